//! A model of the service, for the machine's tests.
//!
//! It keeps [jobs](crate::jobs) and batches, moves them on with the time it is told, and keeps the
//! ledger that matters: which records were written, and how often. The data says how it ends, so
//! that a test needs no other settings. A record
//!
//! - that begins with `bad` is refused, one that begins with `known` exists already,
//! - `broken` makes its batch fail there, after the records before it were written,
//! - `refused` has its batch turned away at the door,
//! - and a query that names `Bogus` fails.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::{Failure, Session, Syntax, Time};

use crate::chance::Chance;
use crate::document::{CSV, XML, answer, document, element, error, members, page, text};
use crate::faults::Trouble;
use crate::jobs::{Batch, Job, is_refused};
use crate::records::{JSON, batches_of, records, request};
use crate::script::{Deviation, Kind};

/// The address of the org that the model plays.
pub const INSTANCE: &str = "https://acme.my.salesforce.com";

/// A part of every session's token. Wherever else it shows up, a secret has leaked.
pub const CANARY: &str = "CANARY";

/// What records of other people begin with.
pub const ALIEN: &str = "alien";

/// When everything has happened that ever will.
const END: Time = Time::since_start(Duration::from_secs(1 << 40));

/// How far a list may be behind.
const LAG: Duration = Duration::from_secs(2);

/// The model of the service.
#[allow(clippy::struct_excessive_bools)] // independent habits, not a state
#[derive(Debug)]
pub struct Server {
    takes: Duration,
    /// Batches take more or less time than that, so they end in any order.
    uneven: Option<Chance>,
    table: Vec<String>,
    rows_per_file: usize,
    /// It takes no more batches than this.
    quota: Option<usize>,
    /// The last line of a result's file has no end.
    unended: bool,
    /// Its lists are always a little behind.
    lags: bool,
    /// It gives back what was sent in its own writing.
    rewrites: bool,
    /// Its jobs tell how many batches they have.
    counts: bool,
    deviations: BTreeMap<(Kind, usize), Deviation>,
    /// What goes wrong beside that, by chance or by number.
    pub trouble: Option<Trouble>,
    seen: BTreeMap<Kind, usize>,
    sessions: u32,
    jobs: Vec<Job>,
    batches: usize,
    stragglers: Vec<(Time, Request<Bytes>)>,
}

impl Default for Server {
    /// A server on which all goes well, and a batch takes 300 ms.
    fn default() -> Self {
        Self {
            takes: Duration::from_millis(300),
            uneven: None,
            table: Vec::new(),
            rows_per_file: 100,
            quota: None,
            unended: false,
            lags: false,
            rewrites: false,
            counts: true,
            deviations: BTreeMap::new(),
            trouble: None,
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

    /// Batches take up to twice as long, or no time at all.
    #[must_use]
    pub fn uneven(mut self, chance: Chance) -> Self {
        self.uneven = Some(chance);
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

    /// No more batches are taken than this.
    #[must_use]
    pub fn quota(mut self, batches: usize) -> Self {
        self.quota = Some(batches);
        self
    }

    /// The last line of a result's file has no end.
    #[must_use]
    pub fn unended(mut self) -> Self {
        self.unended = true;
        self
    }

    /// A list never shows what has come in the last two seconds.
    #[must_use]
    pub fn lags(mut self) -> Self {
        self.lags = true;
        self
    }

    /// What was sent as a batch is given back in other clothes: each cell in quotes, other line ends.
    #[must_use]
    pub fn rewrites(mut self) -> Self {
        self.rewrites = true;
        self
    }

    /// A job does not tell how many batches it has.
    #[must_use]
    pub fn counts_no_batches(mut self) -> Self {
        self.counts = false;
        self
    }

    /// How many requests are to go otherwise.
    pub fn deviations(&self) -> usize {
        self.deviations.len()
    }

    /// The records that every query finds.
    pub fn rows(&self) -> &[String] {
        &self.table
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
        let deviation = self.deviation(request);
        match &deviation {
            Some(Deviation::Unsent) => return Err(Failure::Unsent("connection refused".into())),
            Some(Deviation::Lost { arrives }) => {
                if let Some(late) = arrives {
                    self.straggle(now + *late, request.clone());
                }
                self.deliver_stragglers(now);
                return Err(Failure::Lost("timed out".into()));
            }
            _ => {}
        }
        let response = self.answer(now, request, deviation.as_ref());
        Ok(finished(response, deviation.as_ref()))
    }

    fn deviation(&mut self, request: &Request<Bytes>) -> Option<Deviation> {
        let kind = Kind::of(request);
        let nth = self.seen.entry(kind).or_default();
        *nth += 1;
        let scripted = self.deviations.remove(&(kind, *nth));
        scripted.or_else(|| self.trouble.as_mut()?.strikes(kind, request))
    }

    fn answer(
        &mut self,
        now: Time,
        request: &Request<Bytes>,
        deviation: Option<&Deviation>,
    ) -> Response<Bytes> {
        self.happens_first(now, deviation);
        if let Some(Deviation::Instead(response)) = deviation {
            return response.clone();
        }
        if request.headers()["x-sfdc-session"] != self.token() {
            return error(400, "InvalidSessionId", "Invalid session id");
        }
        let mut response = match (deviation, Kind::of(request)) {
            (Some(shown @ (Deviation::Unlisted | Deviation::Lagging)), Kind::List) => {
                self.list(now, job_in(request), Some(shown))
            }
            _ => self.carry_out(now, request),
        };
        match deviation {
            Some(Deviation::Masked(mask)) => mask.clone(),
            Some(Deviation::Echo) => page(500, "text/html", format!("session {}", self.token())),
            Some(Deviation::Edited(edit)) if response.status().is_success() => {
                response.map(|body| edit(&text(&body)).into())
            }
            None | Some(Deviation::Stranger) => {
                self.acknowledge(&mut response);
                response
            }
            _ => response,
        }
    }

    fn happens_first(&mut self, now: Time, deviation: Option<&Deviation>) {
        match deviation {
            Some(Deviation::Expired) => self.sessions += 1,
            Some(Deviation::ForeignAbort) => {
                self.jobs.iter_mut().for_each(|job| job.end(now, "Aborted"));
            }
            Some(Deviation::JobFails) => {
                self.jobs.iter_mut().for_each(|job| job.end(now, "Failed"));
            }
            Some(Deviation::Stranger) => {
                // In a query that is split, nobody could tell it from a chunk.
                let open =
                    self.jobs.iter().filter(|job| job.state == "Open" && job.chunk.is_none());
                let open = open.map(|job| (job.id.clone(), job.content_type.syntax()));
                for (job, syntax) in open.collect::<Vec<_>>() {
                    self.add(now, &job, &alien(syntax));
                }
            }
            _ => {}
        }
    }

    /// Whoever gets this answer knows the batches in it.
    fn acknowledge(&mut self, response: &mut Response<Bytes>) {
        let told = text(response.body());
        for batch in self.jobs.iter_mut().flat_map(|job| &mut job.batches) {
            batch.acknowledged |= told.contains("<batchInfo\n") && told.contains(&batch.id);
        }
    }

    /// The client has lost its memory, but for what stands in this text.
    pub fn forgotten_but_for(&mut self, memory: &str) {
        for batch in self.jobs.iter_mut().flat_map(|job| &mut job.batches) {
            batch.acknowledged &= memory.contains(&batch.id);
        }
    }

    /// A request is still on its way and will arrive then.
    pub fn straggle(&mut self, at: Time, request: Request<Bytes>) {
        self.stragglers.push((at, request));
    }

    fn deliver_stragglers(&mut self, now: Time) {
        self.stragglers.sort_by_key(|(at, _)| *at);
        let late = self.stragglers.extract_if(.., |(at, _)| *at <= now).collect::<Vec<_>>();
        for (at, request) in late {
            self.carry_out(at, &request);
        }
    }

    fn carry_out(&mut self, now: Time, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let path = path.strip_prefix("/services/async/66.0/").expect(path);
        let media = request.headers().get("content-type").map(|media| media.to_str().unwrap());
        match (media, path.split('/').collect::<Vec<_>>().as_slice()) {
            (Some(XML), ["job"]) => self.create(now, request),
            (Some(XML), ["job", job]) => {
                self.job(job).set_state(now, &element(&text(request.body()), "state"))
            }
            (None, ["job", job]) => answer(200, &self.job(job).document(now)),
            (Some(CSV | JSON | XML), ["job", job, "batch"]) => self.add(now, job, request.body()),
            (None, ["job", job, "batch"]) => self.list(now, job, None),
            (None, ["job", job, "batch", batch, "request"]) => self.request(job, batch),
            (None, ["job", job, "batch", batch, "result"]) => self.result(now, job, batch),
            (None, ["job", job, "batch", batch, "result", file]) => self.file(job, batch, file),
            request => panic!("the service knows no such request: {request:?}"),
        }
    }

    fn create(&mut self, now: Time, request: &Request<Bytes>) -> Response<Bytes> {
        let body = &text(request.body());
        let chunking = request.headers().get("sforce-enable-pkchunking");
        let size = chunking.and_then(|value| value.to_str().unwrap().strip_prefix("chunkSize="));
        let job = Job {
            id: format!("7500000000{:05}AAA", self.jobs.len() + 1),
            operation: element(body, "operation"),
            object: element(body, "object"),
            content_type: element(body, "contentType").as_str().into(),
            state: "Open",
            ended: None,
            batches: Vec::new(),
            counts: self.counts,
            chunk: size.map(|size| size.parse().unwrap()),
        };
        let answer = answer(201, &job.document(now));
        self.jobs.push(job);
        answer
    }

    fn job(&mut self, id: &str) -> &mut Job {
        self.jobs.iter_mut().find(|job| job.id == id).expect(id)
    }

    fn add(&mut self, now: Time, job: &str, body: &Bytes) -> Response<Bytes> {
        let (found, full) = (self.table.len(), self.quota.is_some_and(|most| self.batches >= most));
        let state = self.job(job).state;
        let query = self.job(job).operation == "query";
        let records = if query { Vec::new() } else { records(body) };
        if state != "Open" {
            return error(400, "InvalidJobState", &format!("Job is {state}"));
        }
        if full {
            return error(400, "ExceededQuota", "ApiBatchItems Limit exceeded.");
        }
        if is_refused(&records) {
            return error(400, "InvalidBatch", "Failed to parse CSV");
        }
        let chunk = self.job(job).chunk;
        let size = if query { found } else { records.len() };
        let batch = Batch { split: chunk.is_some(), ..self.batch(body, records, size, now) };
        let (answers, end) = (self.job(job).describe(&batch, now), batch.added + batch.takes);
        self.job(job).batches.push(batch);
        if let Some(chunk) = chunk {
            for before in (0..found.max(1)).step_by(chunk) {
                let size = found.saturating_sub(before).min(chunk);
                let chunk = Batch { before, ..self.batch(body, Vec::new(), size, end) };
                self.job(job).batches.push(chunk);
            }
        }
        answer(201, &document("batchInfo", &answers))
    }

    fn batch(&mut self, body: &Bytes, records: Vec<String>, size: usize, added: Time) -> Batch {
        self.batches += 1;
        let takes = self.takes;
        Batch {
            id: format!("7510000000{:05}AAA", self.batches),
            body: body.clone(),
            records,
            added,
            takes: self.uneven.as_mut().map_or(takes, |chance| chance.within(takes * 2)),
            size,
            before: 0,
            split: false,
            acknowledged: false,
        }
    }

    fn list(&mut self, now: Time, job: &str, shown: Option<&Deviation>) -> Response<Bytes> {
        let lags = self.lags || matches!(shown, Some(Deviation::Lagging));
        let job = self.job(job);
        let known = job.batches.iter().rposition(|batch| batch.acknowledged);
        let is_listed = |(n, batch): &(usize, &Batch)| {
            let breaks_off = matches!(shown, Some(Deviation::Unlisted));
            let cut = breaks_off && known.is_some_and(|known| *n >= known);
            !cut && (!lags || batch.added + LAG <= now)
        };
        let listed = job.there(now).enumerate().filter(is_listed);
        let infos = listed.map(|(_, batch)| members(&[("batchInfo", &job.describe(batch, now))]));
        answer(200, &document("batchInfoList", &infos.collect::<String>()))
    }

    fn request(&mut self, job: &str, batch: &str) -> Response<Bytes> {
        let rewrites = self.rewrites;
        let batch = self.job(job).batches.iter().find(|other| other.id == batch).expect(batch);
        request(&batch.body, rewrites)
    }

    fn result(&mut self, now: Time, job: &str, batch: &str) -> Response<Bytes> {
        let per_file = self.rows_per_file;
        let job = self.job(job);
        let batch = job.batches.iter().find(|other| other.id == batch).expect(batch);
        let progress = job.progress(batch, now);
        if !matches!(progress.state, "Completed" | "Failed") {
            return error(400, "InvalidBatch", "Batch not completed");
        }
        if job.operation == "query" {
            let files = (1..=batch.size.div_ceil(per_file).max(1))
                .map(|file| format!("<result>7520000000{file:05}</result>"));
            return answer(200, &document("result-list", &files.collect::<String>()));
        }
        if progress.processed == 0 && progress.state == "Failed" {
            return error(400, "InvalidBatch", "Records not processed");
        }
        job.outcomes(batch, progress.processed)
    }

    fn file(&mut self, job: &str, batch: &str, file: &str) -> Response<Bytes> {
        let batch = self.job(job).batches.iter().find(|other| other.id == batch).expect(batch);
        let (before, size) = (batch.before, batch.size);
        if size == 0 {
            return page(200, CSV, "Records not found for this query");
        }
        let first = (file[10..].parse::<usize>().unwrap() - 1) * self.rows_per_file;
        let rows = self.table.iter().enumerate().skip(before).take(size);
        let rows = rows.skip(first).take(self.rows_per_file);
        let rows = rows
            .map(|(n, row)| format!("\"0010000000{n:05}AAA\",\"{}\"\n", row.replace('"', "\"\"")));
        let mut text = format!("\"Id\",\"Name\"\n{}", rows.collect::<String>());
        text.truncate(text.len() - usize::from(self.unended));
        page(200, CSV, text)
    }
}

/// The job that a request is about.
fn job_in(request: &Request<Bytes>) -> &str {
    request.uri().path().split('/').nth(5).expect("a job in the path")
}

/// The answer as it goes out: with its length, perhaps more headers, perhaps not all of it.
fn finished(mut response: Response<Bytes>, deviation: Option<&Deviation>) -> Response<Bytes> {
    let length = response.body().len();
    response.headers_mut().insert("content-length", length.into());
    match deviation {
        Some(Deviation::Headed(name, value)) => {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        Some(Deviation::Cut(at)) => {
            return response.map(|body| body.slice(..(*at).min(body.len().saturating_sub(1))));
        }
        _ => {}
    }
    response
}

/// What other people send.
fn alien(syntax: Syntax) -> Bytes {
    batches_of(syntax, &[format!("{ALIEN} record")], 1).remove(0).body
}

#[allow(clippy::trivially_copy_pass_by_ref)] // fits a filter
fn is_ours(batch: &&Batch) -> bool {
    ![Syntax::Csv, Syntax::Json, Syntax::Xml].map(alien).contains(&batch.body)
}

/// What became of it.
impl Server {
    /// Lets everything happen that is still going to, and tells how often each record was written.
    pub fn finish(&mut self) -> BTreeMap<String, usize> {
        self.deliver_stragglers(END);
        self.bound_to_be_written()
    }

    /// How often each record will have been written, if nothing more arrives.
    pub fn bound_to_be_written(&self) -> BTreeMap<String, usize> {
        let mut written = BTreeMap::new();
        for (job, batch) in self.loaded() {
            for (_, record) in job.written(batch, END) {
                *written.entry(record.to_owned()).or_default() += 1;
            }
        }
        written
    }

    /// The records written until now, by their ids.
    pub fn written(&self, now: Time) -> BTreeMap<String, &str> {
        self.loaded().flat_map(|(job, batch)| job.written(batch, now)).collect()
    }

    fn loaded(&self) -> impl Iterator<Item = (&Job, &Batch)> {
        let loads = self.jobs.iter().filter(|job| job.operation != "query");
        loads.flat_map(|job| job.batches.iter().map(move |batch| (job, batch)))
    }

    /// How many batches with these records the server has.
    pub fn copies_of(&self, records: &[String]) -> usize {
        self.loaded().filter(|(_, batch)| batch.records == records).count()
    }

    /// A number that changes with what is bound to be written: batches there, and jobs ended.
    pub fn version(&self) -> usize {
        self.batches * 1000 + self.jobs.iter().filter(|job| job.ended.is_some()).count()
    }

    /// How many batches of ours have not started at this moment, but still will.
    pub fn waiting(&self, now: Time) -> usize {
        let waits = |job: &Job, batch: &Batch| {
            is_ours(&batch) && job.progress(batch, now).state == "Queued"
        };
        self.jobs
            .iter()
            .map(|job| job.batches.iter().filter(|batch| waits(job, batch)).count())
            .sum()
    }

    /// The jobs that take batches, and how many each has, those of other people not counted.
    pub fn open_jobs(&self) -> Vec<(String, usize)> {
        let open = self.jobs.iter().filter(|job| job.state == "Open");
        open.map(|job| (job.id.clone(), job.batches.iter().filter(is_ours).count())).collect()
    }
}
