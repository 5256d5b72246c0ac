//! What came of a call, and what that means for the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::WARNING;

use super::{Flight, Job, SECOND_LOOK, file_of};
use crate::call::{Count, Received, Reply, Tag};
use crate::document::{Document, excerpt};
use crate::errand::Errand;
use crate::error::{Error, ErrorInfo, ErrorKind};
use crate::id::{BatchId, JobId, ResultId};
use crate::info::{Allowances, BatchInfo, BatchState, ExceptionCode, JobInfo, JobState};
use crate::judge::{Answer, Class, Doubtful, Refusal, Verdict, judge};
use crate::ledger::{Content, File, JobRecord, Stage};
use crate::pace::Probe;
use crate::rows::Fate;
use crate::soql;
use crate::step::Note;
use crate::time::Time;
use crate::transcript::Line;

/// How much of a warning is passed on, in characters.
const WARNED: usize = 300;

impl Job {
    /// A call ended. A reply to a tag that is not under way is ignored.
    pub fn reply(&mut self, tag: Tag, now: Time, reply: Reply) {
        self.record(|hide| Some(Line::ended(now, tag, &reply, hide)));
        let Some(flight) = self.under_way.remove(&tag) else { return };
        self.heed(&reply);
        let verdict = judge(reply);
        if !matches!(&verdict, Verdict::Refused(refusal) if refusal.class == Class::Unsent) {
            self.pace.reached();
        }
        match verdict {
            Verdict::Done(answer) => match self.done(flight, answer, now) {
                // Polls prove little: a session may be good for reading only.
                Ok(()) if !matches!(flight.errand, Errand::List { .. }) => self.login.fruitless = 0,
                Ok(()) => {}
                Err(reason) => {
                    let doubtful = Doubtful { reason, again: None, broken: true };
                    self.unknown(flight.errand, doubtful, now);
                }
            },
            Verdict::Refused(refusal) => self.refused(flight, *refusal, now),
            Verdict::Unknown(doubtful) => self.unknown(flight.errand, doubtful, now),
        }
    }
}

/// Done.
impl Job {
    /// Passes on the first warning of the run: the API's version is about to be retired (topic
    /// "Warning Header").
    fn heed(&mut self, reply: &Reply) {
        let Reply::Whole(response) = reply else { return };
        let mut warnings = response.headers().get_all(WARNING).iter();
        let text =
            warnings.find_map(|value| value.to_str().ok().filter(|it| it.starts_with("299")));
        if let Some(text) = text.filter(|_| !self.warned) {
            self.warned = true;
            let text = text.chars().take(WARNED).collect::<String>();
            self.note(Note::Warning(self.login.blanked(&text)));
        }
    }

    /// Takes the answer to an errand. The error says why it is not the answer that was wanted.
    fn done(&mut self, flight: Flight, answer: Answer, now: Time) -> Result<(), String> {
        let errand = flight.errand;
        match (errand, answer) {
            (Errand::Create, Answer::Document(Document::JobInfo(info))) => {
                self.created(&info, now)?;
            }
            // Nobody knows what its answer looks like, and nothing stands in it.
            (Errand::Transform { job }, Answer::Document(_) | Answer::Streamed(_)) => {
                self.ledger.jobs[job].ready = true;
            }
            (Errand::Submit { batch }, Answer::Document(Document::BatchInfo(info))) => {
                self.accepted(batch, &info, now)?;
            }
            // These may have to be done again although they went well, and see to their own pace.
            (Errand::List { job }, Answer::Document(Document::BatchInfoList(list))) => {
                return self.listed(job, flight.tag, list, now);
            }
            (Errand::Inspect { job, stranger }, Answer::Streamed(received)) => {
                let content = received.content.map_or(Content::Unreadable, Content::Print);
                self.inspected(job, stranger, content);
            }
            (Errand::Count { job }, Answer::Document(Document::JobInfo(info))) => {
                same_job(info.id, self.ledger.jobs[job].id)?;
                if info.state == Some(JobState::Open) {
                    return Err("the job is open, although it was closed".into());
                }
                self.ended_otherwise(job, info.state.as_ref());
                self.counted(job, info.number_batches_total);
            }
            (Errand::Files { batch }, Answer::Document(Document::ResultList(ids))) => {
                self.files_listed(batch, ids, now);
                return Ok(());
            }
            (Errand::Fetch { batch, file }, Answer::Streamed(received)) if self.ledger.query => {
                self.file_read(batch, file, received, now);
                return Ok(());
            }
            (Errand::Fetch { batch, .. }, Answer::Streamed(received)) => {
                self.outcomes_read(batch, received, now);
                return Ok(());
            }
            (Errand::Close { job }, Answer::Document(Document::JobInfo(info))) => {
                self.ended(job, &info, JobState::Closed)?;
            }
            (Errand::Abort { job }, Answer::Document(Document::JobInfo(info))) => {
                self.ended(job, &info, JobState::Aborted)?;
            }
            (Errand::Limits, Answer::Document(Document::Allowances(left))) => self.weigh(left),
            (Errand::Chunk { .. }, Answer::Text(soql)) => {
                self.chunk_is_about(soql::id_range(&soql));
            }
            (_, Answer::Text(text)) => {
                return Err(format!("the answer is text: {}", excerpt(&text)));
            }
            (_, Answer::Document(_)) => return Err("the answer is of another kind".into()),
            (_, Answer::Streamed(_)) => return Err("the answer is data, not a document".into()),
        }
        self.pace.succeeded(errand);
        Ok(())
    }

    /// Before a job is created: is enough left of the org's allowances? Each batch is sent and its
    /// result read; the job is created, looked at and closed. That is the least.
    fn weigh(&mut self, left: Allowances) {
        let Some(batches) = self.ledger.preflight.take() else { return };
        let calls = batches.saturating_mul(2).saturating_add(3);
        for (wanted, left, what) in
            [(batches, left.batches, "batches"), (calls, left.calls, "requests")]
        {
            if let Some(left) = left.filter(|left| *left < wanted) {
                let message = format!(
                    "the run needs {wanted} {what} at least, and the org takes {left} more for now"
                );
                let error = Error::new(ErrorKind::Allowance, message);
                self.fail(error.advise("nothing was sent; allowances are those of 24 hours"));
            }
        }
    }

    fn created(&mut self, info: &JobInfo, now: Time) -> Result<(), String> {
        let id = info.id.ok_or("the answer names no job")?;
        let doubt = self.spec.chunking.is_some(); // it will hold batches that nobody here sent
        let ready = self.spec.transformation.is_none();
        let job = JobRecord { doubt, ready, born: now, ..JobRecord::new(id, JobState::Open) };
        self.ledger.jobs.push(job);
        self.save.must = true;
        self.summary.jobs.push(id);
        self.note(Note::Created(id));
        Ok(())
    }

    fn accepted(&mut self, batch: usize, info: &BatchInfo, now: Time) -> Result<(), String> {
        let Stage::Unsure { job, .. } = self.ledger.batches[batch].stage else { return Ok(()) };
        same_job(info.job_id, self.ledger.jobs[job].id)?;
        if self.ledger.knows(info.id) {
            return Err(format!("the answer is about another batch, {}", info.id));
        }
        let rows = self.ledger.batches[batch].rows.clone();
        self.note(Note::Accepted { batch: info.id, rows });
        self.ledger.jobs[job].strangers.remove(&info.id);
        self.took(job, batch, info);
        self.save.must |= self.ledger.query; // or it would be run again
        self.pace.watch(job, &self.spec.bounds, now);
        self.hurry();
        Ok(())
    }

    fn listed(
        &mut self,
        job: usize,
        asked: Tag,
        list: Vec<BatchInfo>,
        now: Time,
    ) -> Result<(), String> {
        for info in &list {
            same_job(info.job_id, self.ledger.jobs[job].id)?;
        }
        let infos: BTreeMap<_, _> = list.into_iter().map(|info| (info.id, info)).collect();
        // A batch that was accepted and is not in the list: look again.
        let known = self.ledger.batches.len();
        let mut unclear = !self.ledger.look(job, asked, &infos);
        self.summary.batches.accepted += (self.ledger.batches.len() - known) as u64;
        for batch in self.ledger.settled..self.ledger.batches.len() {
            let Some(sent) = self.ledger.sent(batch) else { continue };
            if sent.job != job || sent.state.is_final() {
                continue;
            }
            let Some(info) = infos.get(&sent.id) else { continue };
            sent.update(info);
            unclear |= matches!(info.state, BatchState::Other(_));
            self.finished(batch, info);
        }
        let errand = Errand::List { job };
        self.pace.succeeded(errand);
        let record = &self.ledger.jobs[job];
        let seen_too_little =
            record.doubt && record.looks > 0 && !record.is_seen(self.ledger.query);
        if self.pace.polled(job, unclear, &self.spec.bounds, now) {
            let message = "a batch is missing from its job's list, or in a state nobody knows, \
                           and stays so";
            self.give_up(errand, Error::new(ErrorKind::Incomplete, message));
        } else if seen_too_little {
            self.pace.look_again(job, now + SECOND_LOOK);
        }
        Ok(())
    }

    /// A query whose job somebody else ended is not whole, whatever the list shows.
    fn ended_otherwise(&mut self, job: usize, state: Option<&JobState>) {
        let ended = matches!(state, Some(JobState::Aborted | JobState::Failed));
        if ended && self.ledger.query && !self.ledger.aborting {
            let message = "the job was ended by somebody else, before the query was done";
            let error = Error::new(ErrorKind::Incomplete, message);
            self.fail(error.of_job(self.ledger.jobs[job].id).advise("query again"));
        }
    }

    fn counted(&mut self, job: usize, total: Option<u64>) {
        let record = &mut self.ledger.jobs[job];
        record.asked_for_total = true;
        record.total = record.total.max(total);
        record.looks = 0; // a list of before was not compared with it
    }

    fn inspected(&mut self, job: usize, stranger: BatchId, content: Content) {
        if let Some(stranger) = self.ledger.jobs[job].strangers.get_mut(&stranger) {
            stranger.read(content);
        }
    }

    /// Says and counts that the server is done with a batch, if it is.
    pub(super) fn finished(&mut self, batch: usize, info: &BatchInfo) {
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
        let split = self.spec.chunking.is_some() && batch == 0;
        if split && info.state == BatchState::NotProcessed && !self.ledger.aborting {
            return self.ledger.settle(batch); // its rows are in the chunks
        }
        if self.ledger.query && info.state != BatchState::Completed && !self.ledger.aborting {
            let first = self.ledger.stopped.is_none();
            let message = info.state_message.as_deref().unwrap_or("no reason is given");
            let what = if batch == 0 { "the query" } else { "a chunk of the query" };
            let message = format!("{what} ended {}: {message}", info.state);
            self.fail(Error::new(ErrorKind::Refused, message).of_batch(info.id));
            self.ledger.failed_chunk = Some(batch).filter(|_| first && batch > 0);
        }
    }

    /// The query of the chunk that failed was given back, or cannot be had.
    fn chunk_is_about(&mut self, ids: Option<String>) {
        self.ledger.failed_chunk = None;
        if let Some(ids) = ids {
            let advise = |error: Error| error.advise(format!("it is about the records with {ids}"));
            self.ledger.stopped = self.ledger.stopped.take().map(advise);
        }
    }

    fn files_listed(&mut self, batch: usize, ids: Vec<ResultId>, now: Time) {
        self.pace.succeeded(Errand::Files { batch });
        if let Some(sent) = self.ledger.sent(batch) {
            let before = std::mem::take(&mut sent.before);
            // Rows of a file that is no longer there may come again under another name.
            let gave = |file: &File| file.have.is_some_and(|have| have.rows > 0);
            if before.iter().any(|file| gave(file) && !ids.contains(&file.id)) {
                let message = "the result changed: a file that was read is no longer listed";
                let error = Error::new(ErrorKind::Incomplete, message).advise("query again");
                return self.give_up(Errand::Files { batch }, error);
            }
            let mut files: Vec<File> = Vec::with_capacity(ids.len());
            for id in ids {
                // A file named twice is one file.
                if !files.iter().any(|file| file.id == id) {
                    let known = before.iter().find(|file| file.id == id).copied();
                    files.push(known.unwrap_or(File { id, have: None, rows: None }));
                }
            }
            // Only the last file that gave rows, and those behind it, can be gone on with: rows of
            // an earlier one would come too late.
            let from = files.iter().rposition(|file| file.have.is_some()).unwrap_or(0);
            files.iter_mut().skip(from).for_each(|file| file.rows = None);
            sent.files = Some(files);
        }
        self.read_to_end(batch, now);
    }

    /// A file of a query's result was read to its end.
    fn file_read(&mut self, batch: usize, file: usize, received: Received, now: Time) {
        let errand = Errand::Fetch { batch, file };
        self.pace.succeeded(errand);
        if let Some(header) = received.header
            && *self.ledger.header.get_or_insert(header) != header
        {
            let message = "the files of the result have different columns";
            return self.give_up(errand, Error::new(ErrorKind::Incomplete, message));
        }
        if let Some(file) = file_of(&mut self.ledger, batch, file) {
            file.rows = Some(received.rows);
        }
        self.read_to_end(batch, now);
    }

    /// Once all files of a query's batch are read: are the rows as many as the server promised? If
    /// not, all is read again, from the list on. What the application has is compared, skipped, and
    /// gone on behind.
    fn read_to_end(&mut self, batch: usize, now: Time) {
        let Some(sent) = self.ledger.sent(batch) else { return };
        let Some(files) = &sent.files else { return };
        let Some(rows) = files.iter().map(|file| file.rows).sum::<Option<u64>>() else { return };
        let Some(promised) = sent.processed.filter(|promised| *promised != rows) else {
            return self.ledger.settle(batch);
        };
        sent.before = sent.files.take().unwrap_or_default();
        let why = format!("the result holds {rows} rows, but the server promised {promised}");
        self.read_again(Errand::Files { batch }, batch, &why, now);
    }

    /// The outcomes of a batch were read; they went to the application only if they fit.
    fn outcomes_read(&mut self, batch: usize, received: Received, now: Time) {
        let errand = Errand::Fetch { batch, file: 0 };
        self.pace.succeeded(errand);
        let rows = self.ledger.batches[batch].rows.clone();
        let wanted = rows.end - rows.start;
        let Received { rows: got, succeeded, created, .. } = received;
        let Some(sent) = self.ledger.sent(batch) else { return };
        let fits = sent.outcomes().fits(wanted, got, succeeded);
        if !fits || succeeded > got || created > succeeded {
            let processed = match sent.outcomes() {
                Count::Processed { rows: Some(rows), .. } => format!(" and {rows} were processed"),
                _ => String::new(),
            };
            let why = format!(
                "the batch has {wanted} rows{processed}, but its result tells of {got}; \
                 which of them are meant cannot be known"
            );
            return self.read_again(errand, batch, &why, now);
        }
        let why = sent.why();
        self.summary.succeeded += succeeded;
        self.summary.created += created;
        self.summary.failed += got - succeeded;
        if got < wanted {
            self.settle_as(rows.start + got..rows.end, Fate::Unknown, &why);
        }
        self.ledger.settle(batch);
    }

    /// A result arrived whole and does not hold what was promised.
    fn read_again(&mut self, errand: Errand, batch: usize, why: &str, now: Time) {
        let Some(sent) = self.ledger.sent(batch) else { return };
        let times = sent.short;
        sent.short += 1;
        if let Some(wait) = self.pace.read_again(errand, times, &self.spec.bounds, now) {
            self.note_retry(errand, why, wait);
        } else {
            let error = Error::new(ErrorKind::Incomplete, why);
            let error = if self.ledger.query { error } else { error.may_have_changed() };
            self.give_up(errand, error);
        }
    }

    fn ended(&mut self, job: usize, info: &JobInfo, state: JobState) -> Result<(), String> {
        same_job(info.id, self.ledger.jobs[job].id)?;
        if info.state == Some(JobState::Open) {
            return Err("the answer says that the job is open".into());
        }
        self.ledger.jobs[job].total = info.number_batches_total;
        self.job_ended(job, state);
        Ok(())
    }

    fn job_ended(&mut self, job: usize, state: JobState) {
        let record = &mut self.ledger.jobs[job];
        if record.state == JobState::Aborted {
            return; // a close that crossed with the abort
        }
        let id = record.id;
        let aborted = state == JobState::Aborted;
        record.state = state;
        record.look_again(Tag(self.next_tag)); // nothing can arrive from now on
        if aborted || record.doubt {
            self.pace.look(job, Time::ZERO); // the list tells all that will ever be in it
        }
        self.note(if aborted { Note::Aborted(id) } else { Note::Closed(id) });
    }
}

/// Not done.
impl Job {
    fn refused(&mut self, flight: Flight, refusal: Refusal, now: Time) {
        let Flight { tag, errand, epoch } = flight;
        let Refusal { mut info, class, again } = refusal;
        info.message = self.login.blanked(&info.message);
        for told in [&mut info.code, &mut info.request_id].into_iter().flatten() {
            *told = self.login.blanked(told);
        }
        let code = info.code.as_deref().map(ExceptionCode::from);
        if let Errand::Submit { batch } = errand {
            match leaves_open(code.as_ref()) {
                true if self.ledger.query => self.lose_query(batch),
                true => return self.lose(batch, &info.to_string(), again, now),
                false => self.ledger.batches[batch].stage = Stage::Cut, // certainly not taken
            }
        }
        match (errand, class) {
            (_, Class::Session) => self.expired(epoch, info),
            (_, Class::Unsent) => self.unsent(tag, errand, &info.message, now),
            (_, Class::Passing) => {
                if errand == Errand::Create && leaves_open(code.as_ref()) {
                    self.note(Note::Orphan);
                }
                if let Errand::Transform { job } = errand {
                    self.ledger.jobs[job].may_be_ready |= leaves_open(code.as_ref());
                }
                if !self.try_again(errand, false, &info.to_string(), again, now) {
                    let error = self.failure(errand, ErrorKind::Unreachable, "failed too often");
                    self.give_up(errand, error.answered(info));
                }
            }
            // A second close or abort is refused, which tells that the first one worked.
            (Errand::Close { job }, _) if is_closed(code.as_ref(), &info) => {
                self.job_ended(job, JobState::Closed);
            }
            (Errand::Abort { job }, _) if is_closed(code.as_ref(), &info) => {
                self.job_ended(job, JobState::Aborted);
            }
            // It crossed with our own abort, or close.
            (Errand::Submit { .. }, _) if self.ledger.aborting => {}
            (Errand::Transform { job }, _) if !self.ledger.jobs[job].is_open() => {}
            (Errand::Transform { job }, _) if self.replaces(job) => {
                self.ledger.jobs[job].retired = true;
                self.note_retry(errand, &info.to_string(), Duration::ZERO);
            }
            // The content of one batch is at fault; the next one may be good.
            (Errand::Submit { batch }, _)
                if is_about_content(code.as_ref()) && !self.ledger.query =>
            {
                self.bodies.remove(&batch);
                self.save.must = true; // or a run that goes on would have to hold it
                self.ledger.batches[batch].stage = Stage::Refused { why: info.to_string() };
            }
            (Errand::Count { job }, Class::Final) => self.counted(job, None),
            // It matters only if a batch remains that cannot be found otherwise.
            (Errand::Inspect { job, stranger }, Class::Final) => {
                self.inspected(job, stranger, Content::Unreadable);
            }
            // A failed batch that wrote nothing has no result, and not every answer says so before.
            (Errand::Fetch { batch, .. }, _)
                if code == Some(ExceptionCode::InvalidBatch) && self.failed_unseen(batch) =>
            {
                if let Some(sent) = self.ledger.sent(batch) {
                    sent.processed = Some(0);
                }
            }
            (_, Class::Final) => {
                let error = self.failure(errand, ErrorKind::Refused, "was refused");
                self.give_up(errand, error.answered(info));
            }
        }
    }

    /// Whether another job can take the place of one that refuses its spec, perhaps because it has it.
    fn replaces(&self, job: usize) -> bool {
        let jobs = &self.ledger.jobs;
        let replaced = jobs.iter().filter(|job| job.retired && !job.ready).count();
        jobs[job].may_be_ready && replaced + 1 < self.spec.bounds.tries as usize
    }

    fn failed_unseen(&mut self, batch: usize) -> bool {
        let sent = self.ledger.sent(batch);
        sent.is_some_and(|sent| sent.state == BatchState::Failed && sent.processed.is_none())
    }

    /// The session was turned down. It is dropped only if no newer one has come since the call
    /// left, so ten calls that fail together ask once.
    fn expired(&mut self, epoch: u64, info: ErrorInfo) {
        if epoch != self.login.epoch || self.login.expired.is_some() {
            return;
        }
        self.login.expired = Some(info.clone());
        self.login.fruitless += 1;
        if self.login.fruitless >= self.spec.bounds.logins {
            let message = "the org accepts none of the sessions it was given";
            self.cut_off(Error::new(ErrorKind::Login, message).answered(info));
        }
    }

    /// The request did not leave this machine.
    fn unsent(&mut self, tag: Tag, errand: Errand, why: &str, now: Time) {
        match self.pace.unreachable(tag, &self.spec.bounds, now) {
            Probe::In(wait) => self.note_retry(errand, why, wait),
            Probe::Waiting => {}
            Probe::GiveUp => {
                let what = format!("failed: the server cannot be reached ({why})");
                self.cut_off(self.failure(errand, ErrorKind::Unreachable, &what));
            }
        }
    }

    fn unknown(&mut self, errand: Errand, doubtful: Doubtful, now: Time) {
        let Doubtful { reason, again, broken } = doubtful;
        let why = &self.login.blanked(&reason);
        match errand {
            Errand::Submit { batch } if !self.ledger.query => {
                return self.lose(batch, why, again, now);
            }
            Errand::Submit { batch } => self.lose_query(batch),
            Errand::Create => self.note(Note::Orphan),
            Errand::Transform { job } => self.ledger.jobs[job].may_be_ready = true,
            _ => {}
        }
        let few = broken && (matches!(errand, Errand::Fetch { .. }) || self.pace.is_new());
        if !self.try_again(errand, few, why, again, now) {
            let kind = match errand {
                Errand::Fetch { .. } | Errand::Files { .. } => ErrorKind::Incomplete,
                _ => ErrorKind::Unreachable,
            };
            let what = format!("failed too often, the last time because {why}");
            let error = self.failure(errand, kind, &what);
            let changed = errand.is_write() && !self.ledger.query;
            self.give_up(errand, if changed { error.may_have_changed() } else { error });
        }
    }

    /// Nobody can tell from here whether a batch arrived. The server will be asked.
    fn lose(&mut self, batch: usize, why: &str, again: Option<Duration>, now: Time) {
        let Stage::Unsure { job, .. } = self.ledger.batches[batch].stage else { return };
        self.ledger.batches[batch].stage = Stage::Unsure { job, lost: true };
        let record = &mut self.ledger.jobs[job];
        record.doubt = true;
        record.look_again(Tag(self.next_tag));
        let rows = self.ledger.batches[batch].rows.clone();
        self.note(Note::Lost { rows, why: why.to_owned() });
        let errand = Errand::Submit { batch };
        if let Some(wait) = self.pace.try_again(errand, false, again, &self.spec.bounds, now) {
            self.summary.retries = self.pace.retries();
            self.pace.look(job, now + wait);
        } else {
            let what = format!("got no certain answer too often ({why})");
            self.fail(self.failure(errand, ErrorKind::Unreachable, &what));
        }
    }

    /// A query writes nothing, and only the batch whose id is known will be read: it is sent again.
    /// But the chunks of one that did arrive could not be told from those of the other, so it goes
    /// into a job of its own.
    fn lose_query(&mut self, batch: usize) {
        let Stage::Unsure { job, .. } = self.ledger.batches[batch].stage else { return };
        self.ledger.batches[batch].stage = Stage::Cut;
        let record = &mut self.ledger.jobs[job];
        record.retired |= std::mem::take(&mut record.doubt);
    }

    fn try_again(
        &mut self,
        errand: Errand,
        few: bool,
        why: &str,
        asked: Option<Duration>,
        now: Time,
    ) -> bool {
        if errand == Errand::Limits {
            return false; // a look that is not worth waiting for
        }
        let wait = self.pace.try_again(errand, few, asked, &self.spec.bounds, now);
        if let Some(wait) = wait {
            self.note_retry(errand, why, wait);
        }
        wait.is_some()
    }

    fn note_retry(&mut self, errand: Errand, why: &str, wait: Duration) {
        self.summary.retries = self.pace.retries();
        let (what, why) = (self.in_words(errand), why.to_owned());
        self.note(Note::Retry { what, why, wait });
    }

    /// The errand cannot be done, now or later. What does that mean for the rest?
    pub(super) fn give_up(&mut self, errand: Errand, error: Error) {
        let error = self.placed(errand, error);
        match errand {
            Errand::Close { job } | Errand::Abort { job } => {
                // The rows are not touched by this: it is said, but it is not the run's failure.
                let id = self.ledger.jobs[job].id;
                self.ledger.jobs[job].given_up = true; // which leaves a doubt for good
                self.ledger.jobs[job].look_again(Tag(self.next_tag));
                self.summary.left_open.push(id);
                return self.note(Note::LeftOpen { job: id, why: error.to_string() });
            }
            Errand::Fetch { batch, .. } if !self.ledger.query => {
                if let Some(sent) = self.ledger.sent(batch) {
                    sent.unreadable = Some(error.to_string());
                }
            }
            Errand::Count { job } => {
                return self.give_up_doubt(job, "the server does not say how many there are");
            }
            Errand::Inspect { job, stranger } => {
                return self.inspected(job, stranger, Content::Unreadable);
            }
            Errand::Chunk { .. } => return self.chunk_is_about(None),
            Errand::Limits => {
                self.ledger.preflight = None; // the org itself will refuse what is too much
                return self.note(Note::Unchecked { why: error.to_string() });
            }
            Errand::List { job } => {
                self.ledger.blind = true;
                if self.ledger.jobs[job].doubt {
                    self.give_up_doubt(job, error.message());
                }
            }
            Errand::Create
            | Errand::Transform { .. }
            | Errand::Submit { .. }
            | Errand::Files { .. }
            | Errand::Fetch { .. } => {}
        }
        self.fail(error);
    }
}

/// Words.
impl Job {
    fn failure(&self, errand: Errand, kind: ErrorKind, what: &str) -> Error {
        self.placed(errand, Error::new(kind, format!("{} {what}", self.in_words(errand))))
    }

    /// Names the job, batch and rows an errand is about.
    fn placed(&self, errand: Errand, error: Error) -> Error {
        match errand {
            Errand::Limits | Errand::Create => error,
            Errand::Transform { job }
            | Errand::List { job }
            | Errand::Count { job }
            | Errand::Close { job }
            | Errand::Abort { job } => error.of_job(self.ledger.jobs[job].id),
            Errand::Inspect { job, stranger } => {
                error.of_job(self.ledger.jobs[job].id).of_batch(stranger)
            }
            Errand::Submit { batch }
            | Errand::Chunk { batch }
            | Errand::Files { batch }
            | Errand::Fetch { batch, .. } => {
                let rows = &self.ledger.batches[batch].rows;
                let error = match self.ledger.place(batch) {
                    Some((job, id)) => error.of_batch(id).of_job(job),
                    None => error,
                };
                if rows.is_empty() { error } else { error.of_rows(rows.clone()) }
            }
        }
    }

    fn in_words(&self, errand: Errand) -> String {
        match errand {
            Errand::Limits => "asking for the org's allowances".into(),
            Errand::Create => {
                format!("creating the job ({} {})", self.spec.operation, self.spec.object)
            }
            Errand::Transform { .. } => "uploading the transformation spec".into(),
            Errand::Submit { .. } if self.ledger.query => "sending the query".into(),
            Errand::Submit { batch } => format!("sending batch {}", batch + 1),
            Errand::List { .. } => "listing the batches".into(),
            Errand::Count { .. } => "asking how many batches the job has".into(),
            Errand::Inspect { .. } => "asking what a batch holds".into(),
            Errand::Chunk { .. } => "asking which records a chunk is about".into(),
            Errand::Files { .. } => "listing the files of the result".into(),
            Errand::Fetch { file, .. } if self.ledger.query => {
                format!("reading file {} of the result", file + 1)
            }
            Errand::Fetch { batch, .. } => format!("reading the result of batch {}", batch + 1),
            Errand::Close { .. } => "closing the job".into(),
            Errand::Abort { .. } => "aborting the job".into(),
        }
    }
}

/// An answer that speaks of another job is not an answer; one that names none may be.
fn same_job(told: Option<JobId>, asked: JobId) -> Result<(), String> {
    match told {
        Some(told) if told != asked => Err(format!("the answer is about another job, {told}")),
        _ => Ok(()),
    }
}

/// Refusals of a batch that do not say that it was not taken: the server failed on its way. (The
/// guide: only when the batch is not in the job's list may it be sent again.)
fn leaves_open(code: Option<&ExceptionCode>) -> bool {
    matches!(
        code,
        Some(ExceptionCode::Unknown | ExceptionCode::InternalServerError | ExceptionCode::Timeout)
    )
}

fn is_about_content(code: Option<&ExceptionCode>) -> bool {
    matches!(code, Some(ExceptionCode::InvalidBatch | ExceptionCode::ClientInputError))
}

/// A second close or abort is refused, which tells that the first one worked. Nobody has confirmed
/// the code, but the words.
fn is_closed(code: Option<&ExceptionCode>, info: &ErrorInfo) -> bool {
    code == Some(&ExceptionCode::InvalidJobState)
        || info.message.to_ascii_lowercase().contains("closing already")
}
