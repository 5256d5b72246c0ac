//! The machine: one job, from its first row to its last.
//!
//! A [`Job`] performs nothing. [`poll`](Job::poll) says what to do; the other methods tell it what
//! happened. Between the two lies the *ledger* (`ledger.rs`): what is true, as far as is known. What
//! is left to do is a function of it, the *errands* (`errand.rs`, where the theory of operation
//! stands):
//!
//! ```text
//!            feed / end / reply / login / stop / abort                poll(now)
//! application ──────────────────────────────────────►  Ledger  ───────────────►  errands
//!                                                        ▲                          │ minus: under way,
//!                                                        │                          │ not due, no session
//!                                                        └── Verdict ◄─ Reply ◄─ Step::Send(Call)
//! ```
//!
//! # Laws
//!
//! 1. **Total**: any input at any time. An answer to an unknown tag is ignored. No panics.
//! 2. **Level-triggered**: `poll` without news, at the same moment, after `Wait`: the same `Wait`.
//! 3. **No busy loop**: `Wait(Some(t))` means `t > now`. **No dead end**: `Wait(None)` means that a
//!    call is under way or that an answer to `Feed` or `Login` is due.
//! 4. **Bounded**: never more batches held than [`Bounds::parallel`](crate::Bounds::parallel).
//! 5. **Deterministic**: equal inputs, equal steps, to the byte. No clock, no chance but the seed.
//! 6. **Counted, never assumed**: a result is done when its rows are as many as the batch's (a load)
//!    or, over all files, as many as `numberRecordsProcessed` (a query). Otherwise it is read again,
//!    and then an error that says the numbers.
//! 7. **Never blindly repeated**: a batch whose answer is unknown is not sent again. It ends the
//!    load with an error that names its job and rows; the batches accepted before are still worked
//!    off, fetched and accounted for, and the job is closed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::backoff::{self, Jitter};
use crate::call::{Call, Expect, Page, Received, Reply, Tag, Wire};
use crate::document::Document;
use crate::errand::{Errand, errands, fate};
use crate::error::{Error, ErrorInfo, ErrorKind};
use crate::id::JobId;
use crate::info::{BatchInfo, BatchState, ExceptionCode, JobState};
use crate::judge::{Answer, Class, Refusal, Verdict, judge};
use crate::ledger::{BatchRecord, File, JobRecord, Ledger, Sent, Stage};
use crate::rows::{Batch, Fate, Outcome};
use crate::session::Session;
use crate::spec::Spec;
use crate::step::{Ask, Note, Reason, Step, Summary};
use crate::time::Time;

/// How often a result may be read to its end and still not hold what was promised, before that is
/// an error. Once may be the network's fault, twice an unlucky one; three times it is the result.
const SHORT_READS: u32 = 3;

/// Growth of the wait between polls: 50 ms to 30 s in eight steps.
const POLL_GROWTH: f64 = 2.5;

/// The machine of one load or query. See the [module's page](crate::job) for how it thinks.
///
/// Methods that *ask* it something: [`poll`](Self::poll). That *tell* it something:
/// [`feed`](Self::feed), [`end`](Self::end), [`reply`](Self::reply), [`progress`](Self::progress),
/// [`login`](Self::login), [`stop`](Self::stop), [`abort`](Self::abort). That only *look*:
/// [`summary`](Self::summary), [`spec`](Self::spec).
#[derive(Debug)]
pub struct Job {
    spec: Spec,
    ledger: Ledger,
    /// The bodies of batches that are not on the server for certain, by their index.
    bodies: BTreeMap<usize, Bytes>,
    session: Option<Session>,
    login: Login,
    under_way: BTreeMap<Tag, Flight>,
    troubles: BTreeMap<Errand, Trouble>,
    /// When each job's batches are to be listed next.
    polls: BTreeMap<usize, Poll>,
    jitter: Jitter,
    next_tag: u64,
    /// Rows were asked for and have not come yet.
    asked: bool,
    /// What is to be said before anything else is done.
    news: VecDeque<Step>,
    summary: Summary,
    successes: u64,
}

#[derive(Debug, Default)]
struct Login {
    /// How many sessions there have been; a call remembers which one it used.
    epoch: u64,
    asked: bool,
    /// What the server said of the session before, if it was turned down.
    expired: Option<ErrorInfo>,
    /// Logins since the last request that succeeded.
    fruitless: u32,
    /// No session could be got: nothing more can be asked of the server at all.
    failed: bool,
}

#[derive(Debug)]
struct Flight {
    errand: Errand,
    epoch: u64,
}

#[derive(Debug, Default)]
struct Trouble {
    tries: u32,
    not_before: Time,
}

#[derive(Debug, Default)]
struct Poll {
    next: Time,
    step: u32,
    /// Polls in a row that left it unclear how a batch is.
    unclear: u32,
}

impl Job {
    /// A machine for this load or query. Fails with [`ErrorKind::Usage`] if the service could not
    /// possibly accept it.
    pub fn new(spec: Spec) -> Result<Self, Error> {
        spec.check()?;
        let mut job = Self {
            ledger: Ledger { query: spec.operation.is_query(), ..Ledger::default() },
            bodies: BTreeMap::new(),
            session: None,
            login: Login::default(),
            under_way: BTreeMap::new(),
            troubles: BTreeMap::new(),
            polls: BTreeMap::new(),
            jitter: Jitter::new(spec.seed),
            next_tag: 1,
            asked: false,
            news: VecDeque::new(),
            summary: Summary::default(),
            successes: 0,
            spec,
        };
        if let Some(soql) = job.spec.soql.clone() {
            job.hold(0..0, soql.into());
            job.ledger.ended = true;
        }
        Ok(job)
    }

    /// What to do next. Ask again after every answer, and when a `Wait`'s moment has come.
    pub fn poll(&mut self, now: Time) -> Step {
        self.settle_certain();
        if let Some(step) = self.news.pop_front() {
            return step;
        }
        if let Some(result) = self.over() {
            return Step::Done(result);
        }
        let mut wait: Option<(Time, Reason)> = None;
        for errand in errands(&self.ledger, self.spec.bounds.parallel) {
            if self.under_way.values().any(|flight| flight.errand == errand) {
                continue;
            }
            let (at, reason) = self.due(errand);
            if at > now {
                wait = Some(wait.map_or((at, reason), |first| first.min((at, reason))));
            } else if let Some(session) = self.session.clone() {
                match self.send(errand, &session) {
                    Ok(call) => return Step::Send(call),
                    // A request that cannot be built never will be: the next poll knows more.
                    Err(error) => self.give_up(errand, error),
                }
                return self.poll(now);
            } else if !std::mem::replace(&mut self.login.asked, true) {
                return Step::Login(self.login.expired.clone());
            }
        }
        if self.wants_rows() {
            self.asked = true;
            return Step::Feed(Ask { from: self.summary.rows });
        }
        Step::Wait(wait)
    }

    /// The next batch. Its rows must follow on those fed before; anything else stops the load.
    pub fn feed(&mut self, batch: Batch) {
        self.asked = false;
        if self.ledger.query || self.ledger.ended || batch.rows.start != self.summary.rows {
            let expected = self.summary.rows;
            let message = format!("a batch was fed that does not follow on row {expected}");
            self.stop(Error::new(ErrorKind::Usage, message).of_rows(batch.rows));
        } else {
            self.hold(batch.rows, batch.body);
        }
    }

    /// There are no more rows.
    pub fn end(&mut self) {
        self.asked = false;
        self.ledger.ended = true;
        self.hurry();
    }

    /// A call ended. A reply to a tag that is not under way is ignored.
    pub fn reply(&mut self, tag: Tag, now: Time, reply: Reply) {
        let Some(Flight { errand, epoch }) = self.under_way.remove(&tag) else { return };
        let (why, again) = match judge(reply) {
            Verdict::Done(answer) => match self.done(errand, answer, now) {
                Ok(()) => return self.succeeded(errand),
                Err(reason) => (reason, None),
            },
            Verdict::Refused(refusal) => return self.refused(errand, epoch, *refusal, now),
            Verdict::Unknown { reason, again } => (reason, again),
        };
        self.unknown(errand, &why, again, now);
    }

    /// A page of this call has reached the application; a broken transfer will go on behind it.
    pub fn progress(&mut self, tag: Tag, page: &Page) {
        let Page::Rows(rows) = page else { return };
        let Some(&Flight { errand, .. }) = self.under_way.get(&tag) else { return };
        let Errand::Fetch { batch, file } = errand else { return };
        if let Some(file) = file_of(&mut self.ledger, batch, file) {
            file.have = Some(rows.have);
            self.summary.rows += rows.count;
            self.troubles.remove(&errand); // it breaks, but it gets on
        }
    }

    /// A new session.
    pub fn login(&mut self, session: Session) {
        self.session = Some(session);
        self.login.epoch += 1;
        self.login.asked = false;
    }

    /// The application cannot go on: its input is unreadable, its output is full, it got no
    /// session. No more rows are sent; those on the server are accounted for as far as possible,
    /// the job is closed, and the run ends with this error.
    pub fn stop(&mut self, error: Error) {
        self.asked = false;
        if self.session.is_none() && self.login.asked {
            self.login.failed = true;
            self.ledger.blind = true;
        }
        self.fail(error);
    }

    /// Ends it: batches that have not started never will, those running are waited for, so that
    /// every row is accounted for. The run ends well, with [`Summary::aborted`] set.
    pub fn abort(&mut self) {
        self.ledger.aborting = true;
        self.summary.aborted = true;
    }

    /// What it came to until now.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What it was asked to do.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    // ---- rows ----

    fn hold(&mut self, rows: Range<u64>, body: Bytes) {
        self.summary.rows = rows.end;
        self.bodies.insert(self.ledger.batches.len(), body);
        self.ledger.batches.push(BatchRecord { rows, stage: Stage::Cut });
    }

    fn wants_rows(&self) -> bool {
        let room = self.bodies.len() < self.spec.bounds.parallel;
        room && !self.asked && !self.ledger.ended && !self.ledger.no_more()
    }

    /// Accounts for the rows whose fate is certain without a result, near the first unsettled
    /// batch: further ahead their outcomes would only have to be kept in memory.
    fn settle_certain(&mut self) {
        if self.ledger.query {
            return;
        }
        let from = self.ledger.settled;
        let to = self.ledger.batches.len().min(from + self.spec.bounds.parallel);
        for batch in from..to {
            let record = &self.ledger.batches[batch];
            if let Some((fate, why)) = fate(&self.ledger, record) {
                let rows = record.rows.clone();
                self.settle_as(rows, fate, &why);
                self.bodies.remove(&batch);
                self.ledger.settle(batch);
            }
        }
    }

    fn settle_as(&mut self, rows: Range<u64>, fate: Fate, why: &str) {
        let count = rows.end - rows.start;
        match fate {
            Fate::Succeeded { .. } => self.summary.succeeded += count,
            Fate::Failed => self.summary.failed += count,
            Fate::Unprocessed => self.summary.unprocessed += count,
            Fate::Unknown => self.summary.unknown += count,
        }
        if count > 0 {
            self.news.push_back(Step::Settled(Outcome::settled(rows, fate, why)));
        }
    }

    // ---- sending ----

    fn due(&self, errand: Errand) -> (Time, Reason) {
        let retry = self.troubles.get(&errand).map_or(Time::ZERO, |trouble| trouble.not_before);
        match errand {
            Errand::List { job } => match self.polls.get(&job) {
                Some(poll) if poll.next >= retry => (poll.next, Reason::Poll),
                _ => (retry, Reason::Retry),
            },
            _ => (retry, Reason::Retry),
        }
    }

    fn send(&mut self, errand: Errand, session: &Session) -> Result<Call, Error> {
        let tag = Tag(self.next_tag);
        let call = self.call(tag, errand, session)?;
        self.next_tag += 1;
        self.summary.calls += 1;
        self.under_way.insert(tag, Flight { errand, epoch: self.login.epoch });
        Ok(call)
    }

    fn call(&mut self, tag: Tag, errand: Errand, session: &Session) -> Result<Call, Error> {
        let wire = Wire { spec: &self.spec, session };
        let bounds = &self.spec.bounds;
        let ledger = &mut self.ledger;
        let whole = Expect::Whole { at_most: bounds.document };
        let list = Expect::Whole { at_most: bounds.list };
        let gone = || Error::new(ErrorKind::Usage, "the batch is not on the server");
        let (request, expect) = match errand {
            Errand::Create => (wire.create()?, whole),
            Errand::Submit { batch } => {
                let job = ledger.open_job().ok_or_else(gone)?;
                let body = self.bodies.get(&batch).cloned().unwrap_or_default();
                self.summary.bytes_sent += body.len() as u64;
                let request = wire.submit(ledger.jobs[job].id, body)?;
                // Unsure from here on: only an answer makes it sure.
                ledger.batches[batch].stage = Stage::Unsure { job, lost: false };
                (request, whole)
            }
            Errand::List { job } => (wire.list(ledger.jobs[job].id)?, list),
            Errand::Files { batch } => {
                let sent = ledger.sent(batch).ok_or_else(gone)?;
                let (job, id) = (sent.job, sent.id);
                (wire.result(ledger.jobs[job].id, id)?, list)
            }
            Errand::Fetch { batch, file } => {
                let rows = ledger.batches[batch].rows.clone();
                let query = ledger.query;
                let sent = ledger.sent(batch).ok_or_else(gone)?;
                let (job, id, partial) = (sent.job, sent.id, sent.state == BatchState::Failed);
                let file = sent.files.as_ref().and_then(|files| files.get(file));
                let file = file.map(|file| (file.id, file.have));
                let job = ledger.jobs[job].id;
                match file {
                    Some((file, have)) => (wire.file(job, id, file)?, Expect::Rows { have }),
                    None if query => return Err(gone()),
                    None => {
                        let at_most = bounds.result;
                        (wire.result(job, id)?, Expect::Outcomes { rows, partial, at_most })
                    }
                }
            }
            Errand::Close { job } => {
                (wire.set_state(ledger.jobs[job].id, JobState::Closed)?, whole)
            }
            Errand::Abort { job } => {
                (wire.set_state(ledger.jobs[job].id, JobState::Aborted)?, whole)
            }
        };
        Ok(Call { tag, request, expect })
    }

    // ---- what came of it: done ----

    fn succeeded(&mut self, errand: Errand) {
        self.troubles.remove(&errand);
        self.login.fruitless = 0;
        self.successes += 1;
    }

    /// Takes the answer to an errand. The error says why it is not the answer that was wanted.
    fn done(&mut self, errand: Errand, answer: Answer, now: Time) -> Result<(), String> {
        match (errand, answer) {
            (Errand::Create, Answer::Document(Document::JobInfo(info))) => {
                let id = info.id.ok_or("the answer names no job")?;
                let record = JobRecord { id, state: JobState::Open, given_up: false };
                self.ledger.jobs.push(record);
                self.summary.jobs.push(id);
                self.note(Note::Created(id));
                Ok(())
            }
            (Errand::Submit { batch }, Answer::Document(Document::BatchInfo(info))) => {
                self.accepted(batch, info, now)
            }
            (Errand::List { job }, Answer::Document(Document::BatchInfoList(list))) => {
                self.listed(job, list, now)
            }
            (Errand::Files { batch }, Answer::Document(Document::ResultList(ids))) => {
                let file = |id| File { id, have: None, rows: None };
                if let Some(sent) = self.ledger.sent(batch) {
                    sent.files = Some(ids.into_iter().map(file).collect());
                }
                self.read_to_end(batch);
                Ok(())
            }
            (Errand::Fetch { batch, file }, Answer::Streamed(received)) => {
                if self.ledger.query {
                    self.file_read(batch, file, received);
                } else {
                    self.outcomes_read(batch, received);
                }
                Ok(())
            }
            (Errand::Close { job }, Answer::Document(Document::JobInfo(_))) => {
                self.ended(job, JobState::Closed);
                Ok(())
            }
            (Errand::Abort { job }, Answer::Document(Document::JobInfo(_))) => {
                self.ended(job, JobState::Aborted);
                Ok(())
            }
            (_, Answer::Document(_)) => Err("the answer is a document of another kind".into()),
            (_, Answer::Streamed(_)) => Err("the answer is data, not a document".into()),
        }
    }

    fn accepted(&mut self, batch: usize, info: BatchInfo, now: Time) -> Result<(), String> {
        let Stage::Unsure { job, .. } = self.ledger.batches[batch].stage else { return Ok(()) };
        same_job(info.job_id, self.ledger.jobs[job].id)?;
        let rows = self.ledger.batches[batch].rows.clone();
        self.note(Note::Accepted { batch: info.id, rows });
        let last = info.clone();
        self.ledger.batches[batch].stage = Stage::Sent(Sent::new(job, info));
        self.bodies.remove(&batch);
        self.summary.batches.accepted += 1;
        self.finished(batch, &last);
        let first_poll = self.spec.bounds.first_poll;
        self.polls.entry(job).or_insert_with(|| Poll { next: now + first_poll, ..Poll::default() });
        self.hurry();
        Ok(())
    }

    /// Once all is sent, the jobs are looked at at once and then again at short intervals: a small
    /// job is done in no time, and a large one has been polled slowly for a while.
    fn hurry(&mut self) {
        if self.ledger.all_sent() {
            for poll in self.polls.values_mut() {
                *poll = Poll { unclear: poll.unclear, ..Poll::default() };
            }
        }
    }

    fn listed(&mut self, job: usize, list: Vec<BatchInfo>, now: Time) -> Result<(), String> {
        for info in &list {
            same_job(info.job_id, self.ledger.jobs[job].id)?;
        }
        let infos: BTreeMap<_, _> = list.into_iter().map(|info| (info.id, info)).collect();
        let mut unclear = false;
        for batch in self.ledger.settled..self.ledger.batches.len() {
            let Some(sent) = self.ledger.sent(batch) else { continue };
            if sent.job != job || sent.state.is_final() {
                continue;
            }
            // A batch that was accepted and is not in the list is not done: look again.
            let Some(info) = infos.get(&sent.id) else {
                unclear = true;
                continue;
            };
            sent.update(info.clone());
            unclear |= matches!(info.state, BatchState::Other(_));
            self.finished(batch, info);
        }
        let bounds = &self.spec.bounds;
        let poll = self.polls.entry(job).or_default();
        let wait = backoff::grow(bounds.first_poll, POLL_GROWTH, bounds.longest_poll, poll.step);
        poll.next = now + self.jitter.spread(wait);
        poll.step += 1;
        poll.unclear = if unclear { poll.unclear + 1 } else { 0 };
        if poll.unclear > bounds.unclear_polls {
            let message = "a batch is missing from its job's list, or in a state nobody knows, \
                           and stays so";
            self.give_up(Errand::List { job }, Error::new(ErrorKind::Incomplete, message));
        }
        Ok(())
    }

    /// Says and counts that the server is done with a batch, if it is.
    fn finished(&mut self, batch: usize, info: &BatchInfo) {
        let batches = &mut self.summary.batches;
        match info.state {
            BatchState::Completed => batches.completed += 1,
            BatchState::Failed => batches.failed += 1,
            BatchState::NotProcessed => batches.not_processed += 1,
            _ => return,
        }
        self.note(Note::Finished {
            batch: info.id,
            rows: self.ledger.batches[batch].rows.clone(),
            state: info.state.clone(),
            processed: info.number_records_processed,
            message: info.state_message.clone(),
        });
        if self.ledger.query && info.state != BatchState::Completed && !self.ledger.aborting {
            let message = info.state_message.as_deref().unwrap_or("no reason is given");
            let message = format!("the query ended {}: {message}", info.state);
            self.fail(Error::new(ErrorKind::Refused, message).of_batch(info.id));
        }
    }

    /// A file of a query's result was read to its end.
    fn file_read(&mut self, batch: usize, file: usize, received: Received) {
        if let Some(header) = received.header
            && *self.ledger.header.get_or_insert(header) != header
        {
            let message = "the files of the result have different columns";
            let error = Error::new(ErrorKind::Incomplete, message);
            return self.give_up(Errand::Fetch { batch, file }, error);
        }
        if let Some(file) = file_of(&mut self.ledger, batch, file) {
            file.rows = Some(received.rows);
        }
        self.read_to_end(batch);
    }

    /// Once all files of a query's batch are read: are the rows as many as the server promised?
    fn read_to_end(&mut self, batch: usize) {
        let Some(sent) = self.ledger.sent(batch) else { return };
        let Some(files) = &mut sent.files else { return };
        let Some(rows) = files.iter().map(|file| file.rows).sum::<Option<u64>>() else { return };
        let Some(promised) = sent.processed.filter(|promised| *promised != rows) else {
            return self.ledger.settle(batch);
        };
        sent.short += 1;
        if sent.short < SHORT_READS {
            // Read it all again, from the list on. What the application has is compared, skipped,
            // and gone on behind.
            for file in files {
                file.rows = None;
            }
            return;
        }
        let message = format!("the result holds {rows} rows, but the server promised {promised}");
        self.give_up(Errand::Files { batch }, Error::new(ErrorKind::Incomplete, message));
    }

    /// The outcomes of a batch were read; they went to the application only if they fit.
    fn outcomes_read(&mut self, batch: usize, received: Received) {
        let rows = self.ledger.batches[batch].rows.clone();
        let wanted = rows.end - rows.start;
        let Some(sent) = self.ledger.sent(batch) else { return };
        let partial = sent.state == BatchState::Failed && received.rows < wanted;
        if received.rows != wanted && !partial {
            sent.short += 1;
            if sent.short >= SHORT_READS {
                let got = received.rows;
                let message = format!(
                    "the batch has {wanted} rows, but its result tells of {got}; \
                     which of them are meant cannot be known"
                );
                let error = Error::new(ErrorKind::Incomplete, message).may_have_changed();
                self.give_up(Errand::Fetch { batch, file: 0 }, error);
            }
            return;
        }
        let why = sent.why();
        self.summary.succeeded += received.succeeded;
        self.summary.created += received.created;
        self.summary.failed += received.rows - received.succeeded;
        if partial {
            self.settle_as(rows.start + received.rows..rows.end, Fate::Unknown, &why);
        }
        self.ledger.settle(batch);
    }

    fn ended(&mut self, job: usize, state: JobState) {
        let record = &mut self.ledger.jobs[job];
        let id = record.id;
        let aborted = state == JobState::Aborted;
        record.state = state;
        self.note(if aborted { Note::Aborted(id) } else { Note::Closed(id) });
    }

    // ---- what came of it: not done ----

    fn refused(&mut self, errand: Errand, epoch: u64, refusal: Refusal, now: Time) {
        if let Errand::Submit { batch } = errand {
            self.ledger.batches[batch].stage = Stage::Cut; // certainly not taken
        }
        let Refusal { info, class, again } = refusal;
        let code = info.code.as_deref().map(ExceptionCode::from);
        match (errand, class) {
            (_, Class::Session) => self.expired(epoch, info),
            (_, Class::Passing) => {
                let why = info.to_string();
                if !self.try_again(errand, &why, again, now) {
                    let error = self.failure(errand, ErrorKind::Unreachable, "failed too often");
                    self.give_up(errand, error.answered(info));
                }
            }
            // A second close or abort is refused, which tells that the first one worked.
            (Errand::Close { job }, _) if code == Some(ExceptionCode::InvalidJobState) => {
                self.ended(job, JobState::Closed);
            }
            (Errand::Abort { job }, _) if code == Some(ExceptionCode::InvalidJobState) => {
                self.ended(job, JobState::Aborted);
            }
            // The content of one batch is at fault; the next one may be good.
            (Errand::Submit { batch }, _)
                if matches!(
                    code,
                    Some(ExceptionCode::InvalidBatch | ExceptionCode::ClientInputError)
                ) =>
            {
                self.bodies.remove(&batch);
                let doomed = Stage::Doomed { fate: Fate::Failed, why: info.to_string() };
                self.ledger.batches[batch].stage = doomed;
            }
            // A failed batch that wrote nothing has no result, and not every answer says so before.
            (Errand::Fetch { batch, .. }, _)
                if code == Some(ExceptionCode::InvalidBatch) && self.failed_unseen(batch) =>
            {
                let why = self.ledger.sent(batch).map_or_else(String::new, |sent| sent.why());
                self.ledger.batches[batch].stage = Stage::Doomed { fate: Fate::Failed, why };
            }
            (_, Class::Final) => {
                let error = self.failure(errand, ErrorKind::Refused, "was refused");
                self.give_up(errand, error.answered(info));
            }
        }
    }

    fn failed_unseen(&mut self, batch: usize) -> bool {
        let sent = self.ledger.sent(batch);
        sent.is_some_and(|sent| sent.state == BatchState::Failed && sent.processed.is_none())
    }

    /// The session was turned down. It is dropped only if no newer one has come since the call
    /// left, so ten calls that fail together ask once.
    fn expired(&mut self, epoch: u64, info: ErrorInfo) {
        if epoch != self.login.epoch || self.session.is_none() {
            return;
        }
        self.session = None;
        self.login.fruitless += 1;
        if self.login.fruitless >= self.spec.bounds.logins {
            self.login.failed = true;
            self.ledger.blind = true;
            let message = "the org accepts none of the sessions it gives";
            self.fail(Error::new(ErrorKind::Login, message).answered(info.clone()));
        }
        self.login.expired = Some(info);
    }

    fn unknown(&mut self, errand: Errand, why: &str, again: Option<Duration>, now: Time) {
        match errand {
            Errand::Submit { batch } if !self.ledger.query => return self.lose(batch, why),
            // A query writes nothing, and only the batch whose id is known will be read.
            Errand::Submit { batch } => self.ledger.batches[batch].stage = Stage::Cut,
            Errand::Create => self.note(Note::Orphan),
            _ => {}
        }
        if !self.try_again(errand, why, again, now) {
            let kind = match errand {
                Errand::Fetch { .. } | Errand::Files { .. } => ErrorKind::Incomplete,
                _ => ErrorKind::Unreachable,
            };
            let what = format!("failed too often, the last time because {why}");
            let mut error = self.failure(errand, kind, &what);
            if errand.is_write() && !self.ledger.query {
                error = error.may_have_changed();
            }
            self.give_up(errand, error);
        }
    }

    /// Nobody can tell whether a batch arrived. It is not sent again.
    fn lose(&mut self, batch: usize, why: &str) {
        let Stage::Unsure { job, .. } = self.ledger.batches[batch].stage else { return };
        self.ledger.batches[batch].stage = Stage::Unsure { job, lost: true };
        self.bodies.remove(&batch);
        let what = format!("got no answer ({why})");
        let error = self.failure(Errand::Submit { batch }, ErrorKind::Unknown, &what);
        self.fail(error.of_job(self.ledger.jobs[job].id).advise(
            "look for these rows in the org before loading them again; \
             no further rows were sent, and the job is closed",
        ));
    }

    /// Schedules another try, if one is left for this errand and for the run.
    fn try_again(&mut self, errand: Errand, why: &str, asked: Option<Duration>, now: Time) -> bool {
        let bounds = &self.spec.bounds;
        let trouble = self.troubles.entry(errand).or_default();
        trouble.tries += 1;
        let left = self.summary.retries < bounds.retries + self.successes / 10;
        let hopeless = self.successes == 0 || matches!(errand, Errand::Fetch { .. });
        let most = if hopeless { bounds.few_tries.min(bounds.tries) } else { bounds.tries };
        if trouble.tries >= most || !left {
            return false;
        }
        let longest = bounds.longest_wait;
        let own = backoff::grow(bounds.first_wait, 2.0, longest, trouble.tries - 1);
        let own = self.jitter.spread(own);
        let wait = own.max(asked.unwrap_or_default().min(bounds.longest_retry_after));
        trouble.not_before = now + wait;
        self.summary.retries += 1;
        let (what, why) = (self.in_words(errand), why.to_owned());
        self.note(Note::Retry { what, why, wait });
        true
    }

    /// The errand cannot be done, now or later. What does that mean for the rest?
    fn give_up(&mut self, errand: Errand, error: Error) {
        let error = self.placed(errand, error);
        match errand {
            Errand::Create | Errand::Submit { .. } => {}
            Errand::Close { job } | Errand::Abort { job } => {
                // The rows are not touched by this: it is said, but it is not the run's failure.
                let id = self.ledger.jobs[job].id;
                self.ledger.jobs[job].given_up = true;
                self.summary.left_open.push(id);
                return self.note(Note::LeftOpen { job: id, why: error.to_string() });
            }
            Errand::Fetch { batch, .. } if !self.ledger.query => {
                let why = error.to_string();
                self.ledger.batches[batch].stage = Stage::Doomed { fate: Fate::Unknown, why };
            }
            Errand::List { .. } | Errand::Files { .. } | Errand::Fetch { .. } => {
                self.ledger.blind = true;
            }
        }
        self.fail(error);
    }

    /// Keeps the first failure; it lets no more rows be sent.
    fn fail(&mut self, error: Error) {
        let error = match self.ledger.jobs.last() {
            Some(job) if error.job().is_none() => error.of_job(job.id),
            _ => error,
        };
        self.ledger.stopped.get_or_insert(error);
    }

    fn failure(&self, errand: Errand, kind: ErrorKind, what: &str) -> Error {
        self.placed(errand, Error::new(kind, format!("{} {what}", self.in_words(errand))))
    }

    /// Names the job, batch and rows an errand is about.
    fn placed(&self, errand: Errand, error: Error) -> Error {
        match errand {
            Errand::Create => error,
            Errand::List { job } | Errand::Close { job } | Errand::Abort { job } => {
                error.of_job(self.ledger.jobs[job].id)
            }
            Errand::Submit { batch } | Errand::Files { batch } | Errand::Fetch { batch, .. } => {
                let BatchRecord { rows, stage } = &self.ledger.batches[batch];
                let error = match stage {
                    Stage::Sent(sent) => {
                        error.of_batch(sent.id).of_job(self.ledger.jobs[sent.job].id)
                    }
                    _ => error,
                };
                if rows.is_empty() { error } else { error.of_rows(rows.clone()) }
            }
        }
    }

    fn in_words(&self, errand: Errand) -> String {
        match errand {
            Errand::Create => {
                format!("creating the job ({} {})", self.spec.operation, self.spec.object)
            }
            Errand::Submit { .. } if self.ledger.query => "sending the query".into(),
            Errand::Submit { batch } => format!("sending batch {}", batch + 1),
            Errand::List { .. } => "listing the batches".into(),
            Errand::Files { .. } => "listing the files of the result".into(),
            Errand::Fetch { file, .. } if self.ledger.query => {
                format!("reading file {} of the result", file + 1)
            }
            Errand::Fetch { batch, .. } => format!("reading the result of batch {}", batch + 1),
            Errand::Close { .. } => "closing the job".into(),
            Errand::Abort { .. } => "aborting the job".into(),
        }
    }

    // ---- the end ----

    fn over(&mut self) -> Option<Result<Summary, Error>> {
        let ledger = &self.ledger;
        if !self.login.failed {
            let writing = self.under_way.values().any(|flight| flight.errand.is_write());
            if writing || ledger.open_job().is_some() {
                return None;
            }
        }
        let all_settled = ledger.unsettled().is_empty();
        let over = if ledger.query {
            all_settled || ledger.no_more()
        } else {
            all_settled && (ledger.ended || ledger.no_more())
        };
        if !over {
            return None;
        }
        if let Some(job) = ledger.open_job() {
            // Without a session nothing could be closed.
            let id = ledger.jobs[job].id;
            self.ledger.jobs[job].given_up = true;
            self.summary.left_open.push(id);
        }
        Some(match &self.ledger.stopped {
            Some(error) => Err(error.clone()),
            None => Ok(self.summary.clone()),
        })
    }

    fn note(&mut self, note: Note) {
        self.news.push_back(Step::Note(note));
    }
}

fn file_of(ledger: &mut Ledger, batch: usize, file: usize) -> Option<&mut File> {
    ledger.sent(batch)?.files.as_mut()?.get_mut(file)
}

/// An answer that speaks of another job is not an answer.
fn same_job(told: JobId, asked: JobId) -> Result<(), String> {
    if told == asked { Ok(()) } else { Err(format!("the answer is about another job, {told}")) }
}
