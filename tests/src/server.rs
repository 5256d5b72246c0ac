//! A model of the service, for the machine's tests.
//!
//! It keeps jobs and batches, moves them on with the time it is told, and keeps the ledger that
//! matters: which records were written, and how often. The data says how it ends, so that a test
//! needs no other settings. A record is a line, and
//!
//! - a record that begins with `bad` is refused, one that begins with `known` exists already,
//! - `broken` makes its batch fail there, after the records before it were written,
//! - `refused` has its batch turned away at the door,
//! - a query that names `Bogus` fails.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::{Failure, Session, Time};

use crate::document::{CSV, XML, answer, document, element, error, members, page, text};
use crate::script::{Deviation, Kind};

/// The address of the org that the model plays.
pub const INSTANCE: &str = "https://acme.my.salesforce.com";

/// A part of every session's token. Wherever else it shows up, a secret has leaked.
pub const CANARY: &str = "CANARY";

/// The model of the service.
#[derive(Debug)]
pub struct Server {
    takes: Duration,
    table: Vec<String>,
    rows_per_file: usize,
    deviations: BTreeMap<(Kind, usize), Deviation>,
    seen: BTreeMap<Kind, usize>,
    sessions: u32,
    jobs: Vec<Job>,
    batches: usize,
    stragglers: Vec<(Time, Request<Bytes>)>,
}

#[derive(Debug)]
struct Job {
    id: String,
    operation: String,
    object: String,
    state: &'static str,
    aborted: Option<Time>,
    batches: Vec<Batch>,
}

#[derive(Debug)]
struct Batch {
    id: String,
    lines: Vec<String>,
    added: Time,
    takes: Duration,
    /// How many records there are in it, or how many the query finds.
    records: usize,
}

/// How a batch is at some moment.
struct Progress {
    state: &'static str,
    processed: usize,
    message: Option<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            takes: Duration::from_millis(300),
            table: Vec::new(),
            rows_per_file: 100,
            deviations: BTreeMap::new(),
            seen: BTreeMap::new(),
            sessions: 1,
            jobs: Vec::new(),
            batches: 0,
            stragglers: Vec::new(),
        }
    }
}

impl Server {
    /// The nth request of this kind, counted from 1, goes otherwise.
    #[must_use]
    pub fn but(mut self, kind: Kind, nth: usize, deviation: Deviation) -> Self {
        self.deviations.insert((kind, nth), deviation);
        self
    }

    /// How long a batch takes from being added to being done; a third of it in the queue.
    #[must_use]
    pub fn takes(mut self, takes: Duration) -> Self {
        self.takes = takes;
        self
    }

    /// The records that every query finds, and how many of them go into one file of the result.
    #[must_use]
    pub fn table<S: Into<String>>(
        mut self,
        table: impl IntoIterator<Item = S>,
        per_file: usize,
    ) -> Self {
        self.table = table.into_iter().map(Into::into).collect();
        self.rows_per_file = per_file;
        self
    }

    /// A session that is good until it expires.
    pub fn session(&self) -> Session {
        Session::new(INSTANCE, self.token()).unwrap()
    }

    pub(crate) fn token(&self) -> String {
        format!("00D000000000001!{CANARY}.{}", self.sessions)
    }

    /// How often the session has expired.
    pub fn expiries(&self) -> usize {
        self.sessions as usize - 1
    }

    /// What comes of a request that arrives now.
    pub fn handle(
        &mut self,
        now: Time,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Failure> {
        self.deliver_stragglers(now);
        let kind = Kind::of(request);
        let nth = self.seen.entry(kind).or_default();
        *nth += 1;
        let deviation = self.deviations.remove(&(kind, *nth));
        if matches!(deviation, Some(Deviation::Expired)) {
            self.sessions += 1;
        }
        let mut response = match &deviation {
            Some(Deviation::Unsent) => return Err(Failure::Unsent("connection refused".into())),
            Some(Deviation::Lost { arrives }) => {
                let late = arrives.map(|late| (now + late, request.clone()));
                self.stragglers.extend(late);
                self.deliver_stragglers(now);
                return Err(Failure::Lost("timed out".into()));
            }
            Some(Deviation::Instead(response)) => response.clone(),
            _ if request.headers()["x-sfdc-session"] != self.token() => {
                error(400, "InvalidSessionId", "Invalid session id")
            }
            Some(Deviation::ForeignAbort) => {
                self.jobs.iter_mut().for_each(|job| job.abort(now));
                self.carry_out(now, request)
            }
            _ => self.carry_out(now, request),
        };
        match &deviation {
            Some(Deviation::Masked(mask)) => response = mask.clone(),
            Some(Deviation::Edited(edit)) => {
                response = response.map(|body| edit(&text(&body)).into());
            }
            _ => {}
        }
        let length = response.body().len();
        response.headers_mut().insert("content-length", length.into());
        if let Some(Deviation::Cut(at)) = deviation {
            response = response.map(|body| body.slice(..at.min(body.len())));
        }
        Ok(response)
    }

    fn deliver_stragglers(&mut self, now: Time) {
        let late = self.stragglers.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>();
        for (at, request) in late {
            self.carry_out(at, &request);
        }
    }

    fn carry_out(&mut self, now: Time, request: &Request<Bytes>) -> Response<Bytes> {
        let body = text(request.body());
        let path = request.uri().path();
        let path = path.strip_prefix("/services/async/66.0/").expect(path);
        let media = request.headers().get("content-type").map(|media| media.to_str().unwrap());
        match (media, path.split('/').collect::<Vec<_>>().as_slice()) {
            (Some(XML), ["job"]) => self.create(&body),
            (Some(XML), ["job", job]) => self.job(job).set_state(now, &element(&body, "state")),
            (Some(CSV), ["job", job, "batch"]) => self.add(now, job, &body),
            (None, ["job", job, "batch"]) => self.list(now, job),
            (None, ["job", job, "batch", batch, "result"]) => self.result(now, job, batch),
            (None, ["job", _, "batch", _, "result", file]) => self.file(file),
            request => panic!("the service knows no such request: {request:?}"),
        }
    }

    fn create(&mut self, body: &str) -> Response<Bytes> {
        let job = Job {
            id: format!("7500000000{:05}AAA", self.jobs.len() + 1),
            operation: element(body, "operation"),
            object: element(body, "object"),
            state: "Open",
            aborted: None,
            batches: Vec::new(),
        };
        let answer = answer(201, &job.document());
        self.jobs.push(job);
        answer
    }

    fn job(&mut self, id: &str) -> &mut Job {
        self.jobs.iter_mut().find(|job| job.id == id).expect(id)
    }

    fn add(&mut self, now: Time, job: &str, body: &str) -> Response<Bytes> {
        self.batches += 1;
        let (id, takes) = (format!("7510000000{:05}AAA", self.batches), self.takes);
        let lines: Vec<String> = body.lines().map(str::to_owned).collect();
        let found = self.table.len();
        let job = self.job(job);
        if job.state != "Open" {
            return error(400, "InvalidJobState", &format!("Job is {}", job.state));
        }
        if lines.iter().any(|line| line.starts_with("refused")) {
            return error(400, "InvalidBatch", "Failed to parse CSV");
        }
        let records = if job.operation == "query" { found } else { lines.len() - 1 };
        let batch = Batch { id, lines, added: now, takes, records };
        let answer = answer(201, &document("batchInfo", &job.describe(&batch, now)));
        job.batches.push(batch);
        answer
    }

    fn list(&mut self, now: Time, job: &str) -> Response<Bytes> {
        let job = self.job(job);
        let batches = job.batches.iter();
        let infos = batches.map(|batch| members(&[("batchInfo", &job.describe(batch, now))]));
        answer(200, &document("batchInfoList", &infos.collect::<String>()))
    }

    fn result(&mut self, now: Time, job: &str, batch: &str) -> Response<Bytes> {
        let files = self.table.len().div_ceil(self.rows_per_file).max(1);
        let job = self.job(job);
        let batch = job.batches.iter().find(|other| other.id == batch).expect(batch);
        let progress = job.progress(batch, now);
        if !matches!(progress.state, "Completed" | "Failed") {
            return error(400, "InvalidBatch", "Batch not completed");
        }
        if job.operation == "query" {
            let files = (1..=files).map(|file| format!("<result>7520000000{file:05}</result>"));
            return answer(200, &document("result-list", &files.collect::<String>()));
        }
        if progress.processed == 0 && progress.state == "Failed" {
            return error(400, "InvalidBatch", "Records not processed");
        }
        let mut csv = String::from("\"Id\",\"Success\",\"Created\",\"Error\"\n");
        for (n, record) in batch.lines.iter().skip(1).take(progress.processed).enumerate() {
            let created = job.operation == "insert" || !record.starts_with("known");
            let id = format!("0010000{}{n:03}AAA", &batch.id[10..15]);
            if record.starts_with("bad") {
                csv += "\"\",\"false\",\"false\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --\"\n";
            } else {
                writeln!(csv, "\"{id}\",\"true\",\"{created}\",\"\"").unwrap();
            }
        }
        page(200, CSV, csv)
    }

    fn file(&self, file: &str) -> Response<Bytes> {
        if self.table.is_empty() {
            return page(200, CSV, "Records not found for this query");
        }
        let first = (file[10..].parse::<usize>().unwrap() - 1) * self.rows_per_file;
        let rows = self.table.iter().enumerate().skip(first).take(self.rows_per_file);
        let rows = rows.map(|(n, row)| format!("\"0010000000{n:05}AAA\",\"{row}\"\n"));
        page(200, CSV, format!("\"Id\",\"Name\"\n{}", rows.collect::<String>()))
    }

    // ---- what became of it ----

    /// Lets everything happen that is still going to, and tells how often each record was written.
    pub fn finish(&mut self) -> BTreeMap<String, usize> {
        let end = Time::since_start(Duration::from_secs(1 << 40));
        self.deliver_stragglers(end);
        let mut written = BTreeMap::new();
        for job in self.jobs.iter().filter(|job| job.operation != "query") {
            for batch in &job.batches {
                let records = batch.lines.iter().skip(1).take(job.progress(batch, end).processed);
                for record in records.filter(|record| !record.starts_with("bad")) {
                    *written.entry(record.clone()).or_default() += 1;
                }
            }
        }
        written
    }

    /// How many batches have not started at this moment, but still will.
    pub fn waiting(&self, now: Time) -> usize {
        let waits = |job: &Job, batch: &Batch| job.progress(batch, now).state == "Queued";
        self.jobs
            .iter()
            .map(|job| job.batches.iter().filter(|batch| waits(job, batch)).count())
            .sum()
    }

    /// The jobs that take batches, and how many each has.
    pub fn open_jobs(&self) -> Vec<(String, usize)> {
        let open = self.jobs.iter().filter(|job| job.state == "Open");
        open.map(|job| (job.id.clone(), job.batches.len())).collect()
    }
}

impl Job {
    fn abort(&mut self, now: Time) {
        self.state = "Aborted";
        self.aborted.get_or_insert(now);
    }

    fn set_state(&mut self, now: Time, state: &str) -> Response<Bytes> {
        match (self.state, state) {
            ("Open" | "Closed", "Aborted") => self.abort(now),
            ("Open", "Closed") => self.state = "Closed",
            (from, _) => {
                return error(400, "InvalidJobState", &format!("Not allowed: the job is {from}"));
            }
        }
        answer(200, &self.document())
    }

    fn progress(&self, batch: &Batch, now: Time) -> Progress {
        let (start, end) = (batch.added + batch.takes / 3, batch.added + batch.takes);
        let at = |state, processed| Progress { state, processed, message: None };
        if self.aborted.is_some_and(|aborted| aborted < start) {
            at("NotProcessed", 0)
        } else if now < start {
            at("Queued", 0)
        } else if now < end {
            at("InProgress", 0)
        } else if batch.lines[0].contains("Bogus") {
            let message =
                Some("InvalidBatch : Failed to process query: INVALID_FIELD: Bogus".into());
            Progress { state: "Failed", processed: 0, message }
        } else if let Some(row) =
            batch.lines.iter().skip(1).position(|row| row.starts_with("broken"))
        {
            let message = Some("InternalServerError : Retried more than thirty times".into());
            Progress { state: "Failed", processed: row, message }
        } else {
            at("Completed", batch.records)
        }
    }

    fn document(&self) -> String {
        let (id, operation, object) = (&self.id, &self.operation, &self.object);
        let about = [("id", id.as_str()), ("operation", operation), ("object", object)];
        document("jobInfo", &(members(&about) + &members(&[("state", self.state)])))
    }

    fn describe(&self, batch: &Batch, now: Time) -> String {
        let Progress { state, processed, message } = self.progress(batch, now);
        let mut info = members(&[("id", &batch.id), ("jobId", &self.id), ("state", state)]);
        info += &message.map_or(String::new(), |message| members(&[("stateMessage", &message)]));
        info + &members(&[("numberRecordsProcessed", &processed.to_string())])
    }
}
