//! The practice org splits a query into ten chunks, and the rows arrive through both front doors, the
//! command and the offline line.
//!
//! `ROWS=1000000 cargo test --release -p sfbulk-tests --test chunks -- --nocapture` does it with a
//! table of that size, and tells how long each took.

use std::fmt::Write;
use std::fs;
use std::future::ready;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::future::block_on;
use http::{Request, Response};
use sfbulk::{Error, ErrorKind, Job, Offline, PkChunking, Service, Session, Spec, Time};
use sfbulk_org::{Config, Fault, Org, Server, serve};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::practice::{self, session};
use tempfile::TempDir;

const SOQL: &str = "SELECT Id, Name FROM Account WHERE Name != null";
const CHUNKS: usize = 10;

fn rows() -> usize {
    std::env::var("ROWS").map_or(10_000, |rows| rows.parse().unwrap())
}

fn spec() -> Spec {
    let size = u32::try_from(rows() / CHUNKS).unwrap();
    Spec::query(SOQL).pk_chunking(PkChunking { size: Some(size), ..PkChunking::default() })
}

/// An org with all the rows, whose chunks come a tenth of a second apart.
fn org() -> Org {
    let config = Config::new().latency(Duration::from_millis(300));
    let mut org = Org::in_memory_with(config).unwrap();
    let job = r#"{"operation":"insert","object":"Account","contentType":"CSV"}"#;
    ask(&mut org, "job", "application/json", job.into());
    for from in (0..rows()).step_by(10_000) {
        let mut csv = "Name\n".to_owned();
        for row in from..rows().min(from + 10_000) {
            writeln!(csv, "{}", name(row)).unwrap();
        }
        ask(&mut org, "job/750000000000001/batch", "text/csv", csv);
    }
    org
}

fn name(row: usize) -> String {
    format!("row {row:07}")
}

fn ask(org: &mut Org, path: &str, media_type: &str, body: String) {
    let request = Request::post(format!("/services/async/66.0/{path}"))
        .header("X-SFDC-Session", org.session())
        .header("Content-Type", media_type)
        .body(body.into());
    assert_eq!(org.handle(Time::ZERO, request.unwrap()).status(), 201);
}

/// Every row is there once, whatever the order.
fn check(csv: &str) {
    let mut names: Vec<&str> =
        csv.lines().skip(1).map(|line| line.split('"').nth(3).unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), rows());
    assert!(names.into_iter().eq((0..rows()).map(name)), "a row is not the one it should be");
}

/// A folder to write to, and a served org.
struct Stage {
    folder: TempDir,
    server: Arc<Server>,
}

impl Stage {
    fn new(org: Org) -> Self {
        Self { folder: TempDir::new().unwrap(), server: Arc::new(serve(org, 0).unwrap()) }
    }

    fn command(&self, args: &[&str]) -> Output {
        practice::command(&self.server, self.folder.path(), args).output().unwrap()
    }

    /// Runs the query in chunks, into `out.csv`.
    fn query(&self, more: &[&str]) -> Output {
        let chunk = format!("--chunk={}", rows() / CHUNKS);
        self.command(&[&["query", SOQL, "--output", "out.csv", &chunk], more].concat())
    }

    fn read(&self) -> String {
        fs::read_to_string(self.folder.path().join("out.csv")).unwrap()
    }
}

fn by_ureq(stage: &Stage) -> Result<(), Error> {
    let server = Arc::clone(&stage.server);
    let org = sfbulk_ureq::Client::new(move || session(&server));
    org.fetch(spec()).file(stage.folder.path().join("out.csv")).map(drop)
}

fn by_async_std(stage: &Stage) -> Result<(), Error> {
    let server = Arc::clone(&stage.server);
    let org = sfbulk_async_std::Client::new(move || ready(session(&server)));
    block_on(org.fetch(spec()).file(stage.folder.path().join("out.csv"))).map(drop)
}

/// Runs the query without a wire: the rows, or the error, and how long each list of batches was.
fn offline(mut org: Org) -> (Result<String, Error>, Vec<usize>) {
    let token = org.session().to_owned();
    let mut desk =
        Desk::new(Vec::new(), move || Session::new("http://127.0.0.1", token.clone()).unwrap());
    let (mut job, mut lists) = (Job::new(spec()).unwrap(), Vec::new());
    let service = |now: Time, request: Request<Bytes>| {
        let is_list = request.uri().path().ends_with("/batch") && request.method() == "GET";
        let answer: Response<Bytes> = Service::handle(&mut org, now, request)?;
        if is_list {
            let list = std::str::from_utf8(answer.body()).unwrap();
            lists.push(list.matches("<batchInfo>").count());
        }
        Ok(answer)
    };
    let result = Offline::new(service).run(&mut job, &mut desk);
    (result.map(|_| desk.csv), lists)
}

#[test]
fn every_row_of_a_split_query_arrives_once() {
    let stage = Stage::new(org());
    for (name, run) in [("ureq", by_ureq as fn(&Stage) -> _), ("async-std", by_async_std)] {
        let start = Instant::now();
        run(&stage).unwrap();
        println!("{name}: {} rows in {:?}", rows(), start.elapsed());
        check(&stage.read());
    }
    stage.command(&["--version"]); // building it takes longer
    let start = Instant::now();
    let ran = stage.query(&[]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    println!("command: {} rows in {:?}", rows(), start.elapsed());
    check(&stage.read());
}

#[test]
fn every_row_arrives_once_however_late_the_chunks_are() {
    let mut org = org();
    org.fault(Fault::LateChunks { seconds: 40 });
    let (csv, mut lists) = offline(org);
    check(&csv.unwrap());
    assert!(lists.is_sorted(), "{lists:?}");
    lists.dedup();
    assert_eq!(lists, (1..=CHUNKS + 1).collect::<Vec<_>>(), "one after the other");
}

/// What goes wrong on the wire while a query is split.
const FAULTS: [&[&str]; 13] = [
    &["lose-create"],
    &["lose-answer:1"],
    &["drop-request:batch:1"],
    &["gateway:1"],
    &["late:1:90"],
    &["lose-close"],
    &["refuse:poll:3:InternalServerError", "status:poll:4:503:1"],
    &["list-twice:4"],
    &["missing-from-list:2", "missing-from-list:5", "missing-from-list:12"],
    &["cut-result:2:400", "cut-result:6:400"],
    &["short-result:3", "drop-request:result:7"],
    &["chaos:1"],
    &["chaos:2"],
];

#[test]
fn every_row_arrives_once_whatever_breaks_on_the_wire() {
    for faults in FAULTS {
        for seconds in [0, 40] {
            let mut org = org();
            org.fault(Fault::LateChunks { seconds });
            for fault in faults {
                org.fault(fault.parse().unwrap());
            }
            let (csv, _) = offline(org);
            check(&csv.unwrap_or_else(|error| panic!("{faults:?}, {seconds} s: {error}")));
        }
    }
}

#[test]
fn a_run_that_is_left_while_the_query_is_split_can_be_resumed() {
    let stage = Stage::new(org());
    stage.server.fault(Fault::LateChunks { seconds: 1 });
    let ran = stage.query(&["--wait", "2s"]);
    assert_eq!(ran.status.code(), Some(4), "{ran:?}");
    stage.server.fault(Fault::LateChunks { seconds: 0 });
    let ran = stage.command(&["resume"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    check(&stage.read());
}

#[test]
fn a_chunk_that_fails_is_named_with_its_ids() {
    let fault = || Fault::FailChunk { chunk: 3, code: "InternalServerError".into() };
    let stage = Stage::new(org());
    let mut errors = Vec::new();
    for run in [by_ureq, by_async_std] {
        stage.server.fault(fault());
        errors.push(run(&stage).unwrap_err());
    }
    let mut org = org();
    org.fault(fault());
    errors.push(offline(org).0.unwrap_err());
    stage.server.fault(fault());
    let ran = stage.query(&[]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(!stage.folder.path().join("out.csv").exists());
    let mut told = vec![String::from_utf8(ran.stderr).unwrap()];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.batch().is_some_and(|id| error.to_string().contains(id.as_str())));
        told.push(error.to_string());
    }
    for told in told {
        assert!(told.contains("a chunk of the query ended Failed: InternalServerError"), "{told}");
        assert!(told.contains("Id >= '0010000"), "{told}");
    }
}

#[test]
fn a_query_that_is_not_split_to_its_end_fails() {
    let stage = Stage::new(org());
    stage.server.fault(Fault::FailSplit { chunk: 3 });
    let ran = stage.query(&[]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let told = String::from_utf8(ran.stderr).unwrap();
    assert!(told.contains("the query ended Failed: InternalServerError"), "{told}");
}

#[test]
fn a_query_that_cannot_be_split_is_run_as_it_is() {
    let stage = Stage::new(org());
    let args = ["query", "SELECT Id, Name FROM Account ORDER BY Name", "--chunk", "-O", "out.csv"];
    let ran = stage.command(&args);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    check(&stage.read());
}

#[test]
fn the_command_says_where_chunks_begin() {
    let stage = Stage::new(org());
    let ran = stage.query(&["--chunk-start=001000000000003", "--chunk-parent", "Account"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(stage.read().lines().count(), rows() - 1, "two rows are before it");
    let ran = stage.query(&["--chunk-parent", "Case"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let told = String::from_utf8(ran.stderr).unwrap();
    assert!(told.contains("Case is not the parent of Account"), "{told}");
    for wrong in [&["--chunk-start=1"][..], &["--chunk=0"], &["--chunk=250001"]] {
        let ran = stage.command(&[&["query", SOQL, "--chunk"], wrong].concat());
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    }
}
