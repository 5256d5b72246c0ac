//! Queries that the server splits into chunks (topic "PK Chunking Header"): every chunk is read, also
//! one that shows up late, and a failed one is named.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::{ErrorKind, Failure, Job, Offline, PkChunking, Session, Spec, Time};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::document::{CSV, answer, document, element, members, page, text};
use sfbulk_tests::server::INSTANCE;

const JOB: &str = "750000000000001AAA";
const ORIGINAL: &str = "751000000000000AAA";

/// A server that splits the query into chunks of one row, one after the other, a second each.
#[derive(Default)]
struct Splitter {
    asked: Option<Time>,
    closed: Option<Time>,
    /// The header of the job's creation.
    header: String,
    chunks: u64,
    /// This chunk fails.
    broken: Option<u64>,
    /// The list does not show the last chunk before this moment.
    hides_until: Duration,
    /// It does not give back what the chunks ask.
    silent: bool,
    /// It does not split.
    whole: bool,
}

impl Splitter {
    fn handle(&mut self, now: Time, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().rsplit("/66.0/").next().unwrap().to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method().as_str(), &parts[..]) {
            ("POST", ["job"]) => {
                let header = &request.headers()["sforce-enable-pkchunking"];
                header.to_str().unwrap().clone_into(&mut self.header);
                answer(201, &job("Open", None))
            }
            ("POST", ["job", _]) => {
                let state = element(&text(request.body()), "state");
                assert_eq!(state, "Closed");
                assert!(self.is_split(now), "closed while it was being split");
                self.closed = Some(now);
                answer(200, &job("Closed", Some(if self.whole { 1 } else { self.chunks })))
            }
            ("POST", ["job", _, "batch"]) => {
                assert!(self.asked.is_none(), "asked twice");
                self.asked = Some(now);
                answer(201, &document("batchInfo", &batch(0, "Queued", 0)))
            }
            ("GET", ["job", _, "batch"]) => {
                answer(200, &document("batchInfoList", &self.list(now)))
            }
            ("GET", ["job", _, "batch", _, "request"]) if self.silent => {
                answer(400, &document("error", &error_members()))
            }
            ("GET", ["job", _, "batch", id, "request"]) => {
                let soql = format!(
                    "SELECT Name FROM Account WHERE Id >= '001{0}' AND Id < '001{0}z'",
                    &id[3..14]
                );
                page(200, CSV, soql)
            }
            ("GET", ["job", _, "batch", id, "result"]) => {
                let file = format!("<result>752{}</result>", &id[3..15]);
                answer(200, &document("result-list", &file))
            }
            ("GET", [.., file]) => {
                let n: u64 = file[3..].parse().unwrap();
                page(200, CSV, format!("\"Name\"\n\"row {n}\"\n"))
            }
            other => panic!("{other:?}"),
        }
    }

    fn is_split(&self, now: Time) -> bool {
        let since = now.saturating_since(self.asked.unwrap());
        self.whole || since >= Duration::from_secs(self.chunks)
    }

    fn list(&self, now: Time) -> String {
        let since = now.saturating_since(self.asked.unwrap());
        if self.whole {
            return members(&[("batchInfo", &batch(0, "Completed", 1))]);
        }
        let original = if self.is_split(now) { "NotProcessed" } else { "InProgress" };
        let mut all = vec![batch(0, original, 0)];
        let there = since.as_secs().min(self.chunks);
        let shown = if since < self.hides_until { there.min(self.chunks - 1) } else { there };
        all.extend((1..=shown).map(|n| match self.broken {
            Some(broken) if broken == n => {
                batch(n, "Failed", 0) + &members(&[("stateMessage", "QUERY_TIMEOUT : too long")])
            }
            _ => batch(n, "Completed", 1),
        }));
        all.iter().map(|info| members(&[("batchInfo", info)])).collect()
    }
}

fn job(state: &str, total: Option<u64>) -> String {
    let total = total.map(|total| members(&[("numberBatchesTotal", &total.to_string())]));
    document("jobInfo", &(members(&[("id", JOB), ("state", state)]) + &total.unwrap_or_default()))
}

fn error_members() -> String {
    members(&[("exceptionCode", "InvalidBatch"), ("exceptionMessage", "no such request")])
}

fn batch(n: u64, state: &str, rows: u64) -> String {
    let id = format!("751{n:012}AAA");
    let rows = rows.to_string();
    members(&[("id", &id), ("jobId", JOB), ("state", state), ("numberRecordsProcessed", &rows)])
}

/// What a query comes to: its rows, or the error.
fn query(mut splitter: Splitter) -> (String, Result<sfbulk::Summary, sfbulk::Error>) {
    let chunking = PkChunking { size: Some(100_000), ..PkChunking::default() };
    let spec = Spec::query("SELECT Name FROM Account").pk_chunking(chunking);
    let mut job = Job::new(spec).unwrap();
    let mut desk = Desk::new(Vec::new(), || Session::new(INSTANCE, "00D!x").unwrap());
    let mut line = Offline::new(move |now: Time, request: Request<Bytes>| {
        let answer = splitter.handle(now, &request);
        assert_eq!(splitter.header, "chunkSize=100000");
        Ok::<_, Failure>(answer)
    });
    let result = line.run(&mut job, &mut desk);
    (desk.csv, result)
}

#[test]
fn every_chunk_is_read_once() {
    let (csv, result) = query(Splitter { chunks: 5, ..Splitter::default() });
    let summary = result.unwrap();
    assert_eq!(csv, "\"Name\"\n\"row 1\"\n\"row 2\"\n\"row 3\"\n\"row 4\"\n\"row 5\"\n");
    assert_eq!((summary.rows, summary.batches.accepted, summary.batches.completed), (5, 6, 5));
    assert!(summary.left_open.is_empty());
}

#[test]
fn a_chunk_that_shows_up_after_the_job_was_closed_is_read() {
    let late = Splitter { chunks: 3, hides_until: Duration::from_secs(7), ..Splitter::default() };
    let (csv, result) = query(late);
    assert_eq!(result.unwrap().rows, 3);
    assert!(csv.ends_with("\"row 3\"\n"), "{csv}");
}

#[test]
fn a_failed_chunk_is_named() {
    let (_, result) = query(Splitter { chunks: 4, broken: Some(2), ..Splitter::default() });
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.batch().unwrap().as_str(), "751000000000002AAA");
    let told = error.to_string();
    assert!(told.contains("a chunk of the query ended Failed: QUERY_TIMEOUT"), "{told}");
    let range = "; it is about the records with Id >= '00100000000000' AND Id < '00100000000000z'";
    assert!(told.ends_with(range), "{told}");
}

#[test]
fn a_failed_chunk_is_named_although_its_query_cannot_be_had() {
    let silent = Splitter { chunks: 4, broken: Some(2), silent: true, ..Splitter::default() };
    let error = query(silent).1.unwrap_err();
    assert_eq!(error.batch().unwrap().as_str(), "751000000000002AAA");
    assert!(!error.to_string().contains("it is about"), "{error}");
}

#[test]
fn a_query_that_cannot_be_split_runs_as_it_is() {
    let (csv, result) = query(Splitter { whole: true, ..Splitter::default() });
    assert_eq!(result.unwrap().rows, 1);
    assert_eq!(
        csv,
        format!("\"Name\"\n\"row {}\"\n", ORIGINAL[3..15].trim_start_matches("00000000000"))
    );
}
