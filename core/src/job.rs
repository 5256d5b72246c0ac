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
//! 4. **Bounded**: never more batches held than [`Bounds::parallel`](crate::Bounds::parallel), and
//!    no more asked for beyond [`Bounds::held`](crate::Bounds::held) bytes of them.
//! 5. **Deterministic**: equal inputs, equal steps, to the byte. No clock, no chance but the seed.
//!    The bytes are plain ones: a body is [packed](Call::packed) on its way, by the executor.
//! 6. **Counted, never assumed**: a result is done when its rows are as many as the batch's (a load)
//!    or, over all files, as many as `numberRecordsProcessed` (a query; every supported version of
//!    the API tells it). Otherwise it is read again, and then an error that says the numbers.
//! 7. **Exactly once**: a batch whose answer is unknown is looked up on the server. It is sent again
//!    only if it is certain that it did not arrive, and never will (`ledger.rs` tells how that can
//!    be known). If the server cannot be asked, the rows are *unknown*, and the run ends with an
//!    error that says so.
//! 8. **To resume is to have lost every answer**: a job that goes on from a
//!    [`Checkpoint`] has the same laws, and tells of every row as if nothing had happened.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::call::{Call, Expect, Page, Tag, Wire};
use crate::checkpoint::Checkpoint;
use crate::errand::{Errand, errands};
use crate::error::{Error, ErrorInfo, ErrorKind};
use crate::host::Host;
use crate::info::JobState;
use crate::ledger::{BatchRecord, File, JobRecord, Ledger, Stage};
use crate::pace::Pace;
use crate::rows::Batch;
use crate::session::Session;
use crate::spec::{Bounds, Spec};
use crate::step::{Ask, Note, Reason, Step, Summary, Turn};
use crate::time::Time;
use crate::transcript::{Line, Transcript};

mod doubt;
mod feed;
mod reply;

/// How long after a list that nobody can vouch for a second one is asked for: that long a service may
/// take to show what it has.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// When a job is closed and another one takes the batches that are left: the service refuses them
/// after 24 hours (topic "Limits").
const JOB_AGE: Duration = Duration::from_secs(23 * 3600);

/// How much time lies between two savings that could wait.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The machine of one load or query. See the [module's page](crate::job) for how it thinks.
///
/// Methods that *ask* it something: [`poll`](Self::poll). That *tell* it something:
/// [`feed`](Self::feed), [`end`](Self::end), [`reply`](Self::reply), [`progress`](Self::progress),
/// [`login`](Self::login), [`login_failed`](Self::login_failed), [`stop`](Self::stop),
/// [`abort`](Self::abort), [`leave`](Self::leave), [`leave_after`](Self::leave_after), [`preflight`](Self::preflight),
/// [`start_over`](Self::start_over). That only *look*: [`summary`](Self::summary), [`checkpoint`](Self::checkpoint),
/// [`transcript`](Self::transcript), [`spec`](Self::spec). That have a [`Host`] do the telling:
/// [`turn`](Self::turn), [`deliver`](Self::deliver).
#[derive(Debug)]
pub struct Job {
    spec: Spec,
    ledger: Ledger,
    /// The bodies of batches that are not on the server for certain, by their index.
    bodies: BTreeMap<usize, Bytes>,
    login: Login,
    under_way: BTreeMap<Tag, Flight>,
    pace: Pace,
    next_tag: u64,
    /// Rows were asked for and have not come yet.
    asked: bool,
    /// What is to be said before anything else is done.
    news: VecDeque<Step>,
    summary: Summary,
    save: Save,
    leave: Leave,
    /// The batches that an earlier run had added.
    added_before: u64,
    /// How often it started over.
    starts: u32,
    /// It was said that the server has something against the API's version.
    warned: bool,
    /// The end was said.
    done: bool,
    /// What was said, if it is to be kept.
    transcript: Option<Transcript>,
}

#[derive(Debug, Default)]
struct Login {
    session: Option<Session>,
    /// All there were: an answer may repeat one that is no longer used.
    sessions: Vec<Session>,
    /// The server turned the session down, and said this.
    expired: Option<ErrorInfo>,
    /// How many sessions there have been; a call remembers which one it used.
    epoch: u64,
    asked: bool,
    /// Sessions turned down since the last request that succeeded.
    fruitless: u32,
}

/// When the ledger is worth storing.
#[derive(Debug, Default)]
struct Save {
    /// At once: a job was created, and its batches could not be found without its id.
    must: bool,
    /// Batches that came to the server since it was stored.
    news: usize,
    last: Time,
}

/// When the application goes, whatever is left to do.
#[derive(Debug, Default)]
struct Leave {
    /// After so long, or at this moment.
    after: Option<Duration>,
    at: Option<Time>,
    /// It goes, and this is what to say.
    now: Option<Error>,
}

impl Login {
    /// A server's words, without any session in them.
    fn blanked(&self, text: &str) -> String {
        self.sessions.iter().fold(text.to_owned(), |text, session| session.blank_out(&text))
    }

    /// A text without any session, and without the org's host.
    fn hidden(&self, text: &str) -> String {
        self.sessions.iter().fold(text.to_owned(), |text, session| session.hide(&text))
    }
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    tag: Tag,
    errand: Errand,
    epoch: u64,
}

impl Job {
    /// A machine for this load or query. Fails with [`ErrorKind::Usage`] if the service could not
    /// possibly accept it.
    pub fn new(spec: Spec) -> Result<Self, Error> {
        let ledger = Ledger { query: spec.operation.is_query(), ..Ledger::default() };
        let mut job = Self::with(spec, ledger)?;
        if let Some(soql) = job.spec.soql.clone() {
            job.hold(0..0, soql.into());
            job.ledger.ended = true;
        }
        Ok(job)
    }

    /// Goes on where an earlier run was cut off, with a [`checkpoint`](Self::checkpoint) of it.
    ///
    /// A load is fed again from its first row, and the same rows must come in the same batches; if
    /// they do not, it ends with [`ErrorKind::InputChanged`] before anything is sent. Then it is
    /// looked up on the server what arrived, and what did not is sent. What became of *every* row is
    /// told again, and every row of a query is given again: the run is as the first would have been.
    ///
    /// Fails with [`ErrorKind::Usage`] as [`new`](Self::new) does.
    pub fn resume(checkpoint: Checkpoint) -> Result<Self, Error> {
        let (spec, ledger) = checkpoint.into_parts();
        let mut job = Self::with(spec, ledger)?;
        job.summary.jobs = job.ledger.jobs.iter().map(|job| job.id).collect();
        let sent = job.ledger.batches.iter().filter(|batch| batch.stage.sent().is_some()).count();
        job.summary.batches.accepted = sent as u64;
        job.added_before = sent as u64;
        if let Some(soql) = job.spec.soql.clone() {
            job.ledger.unfed = 0;
            job.ledger.ended = true;
            if sent == 0 {
                job.bodies.insert(0, soql.into());
            }
        }
        Ok(job)
    }

    fn with(spec: Spec, ledger: Ledger) -> Result<Self, Error> {
        spec.check()?;
        Ok(Self {
            ledger,
            bodies: BTreeMap::new(),
            login: Login::default(),
            under_way: BTreeMap::new(),
            pace: Pace::new(spec.seed),
            next_tag: 1,
            asked: false,
            news: VecDeque::new(),
            summary: Summary::default(),
            save: Save::default(),
            leave: Leave::default(),
            added_before: 0,
            starts: 0,
            warned: false,
            done: false,
            transcript: spec.recorded.then(Transcript::default),
            spec,
        })
    }

    /// What to do next. Ask again after every answer, and when a `Wait`'s moment has come.
    pub fn poll(&mut self, now: Time) -> Step {
        let step = self.next_step(now);
        if !self.done {
            self.record(|hide| Line::said(now, &step, hide));
        }
        self.done |= matches!(step, Step::Done(_));
        step
    }

    fn next_step(&mut self, now: Time) -> Step {
        self.look_at_the_clock(now);
        self.clear_doubts();
        self.settle_certain();
        let over = self.over(); // it may have something to say first
        if self.leave.now.is_none()
            && let Some(step) = self.news.pop_front()
        {
            return step;
        }
        if self.saves(now, over.as_ref()) {
            return Step::Save;
        }
        if let Some(result) = over {
            return Step::Done(result);
        }
        let mut wait = self.leave.at.map(|at| (at, Reason::Leave));
        for errand in errands(&self.ledger, self.spec.bounds.parallel) {
            if self.is_under_way(errand) || self.pace.is_probing() {
                continue;
            }
            let due = self.pace.due(errand);
            if due.0 > now {
                wait = Some(wait.map_or(due, |first| first.min(due)));
            } else if self.beyond_budget(errand) {
                return self.next_step(now);
            } else if let Some(session) = self.session() {
                match self.send(errand, &session) {
                    Ok(call) => return Step::Send(call),
                    // A request that cannot be built never will be: the next poll knows more.
                    Err(error) => self.give_up(errand, error),
                }
                return self.next_step(now);
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
        self.record(|_| Some(Line::Fed(batch.rows.clone())));
        self.asked = false;
        let Range { start, end } = batch.rows;
        if self.ledger.query || self.ledger.ended || start != self.summary.rows || end <= start {
            let expected = self.summary.rows;
            let message = format!("a batch was fed that does not follow on row {expected}");
            self.fail(Error::new(ErrorKind::Usage, message));
        } else if self.ledger.unfed > 0 {
            self.hold_again(batch.rows, batch.body);
        } else {
            self.hold(batch.rows, batch.body);
        }
    }

    /// There are no more rows.
    pub fn end(&mut self) {
        self.record(|_| Some(Line::NoMoreRows));
        self.asked = false;
        if self.ledger.unfed > 0 {
            return self.refuse_input("the input is shorter");
        }
        self.ledger.ended = true;
        self.hurry();
    }

    /// A page of this call has reached the application; a broken transfer will go on behind it.
    pub fn progress(&mut self, tag: Tag, page: &Page) {
        self.record(|_| Some(Line::page(tag, page)));
        let Page::Rows(rows) = page else { return };
        let Some(&Flight { errand, .. }) = self.under_way.get(&tag) else { return };
        let Errand::Fetch { batch, file } = errand else { return };
        if let Some(file) = file_of(&mut self.ledger, batch, file) {
            file.have = Some(rows.have);
            self.summary.rows = self.summary.rows.saturating_add(rows.count);
            if rows.count > 0 {
                self.pace.got_on(errand);
            }
        }
    }

    /// A new session.
    pub fn login(&mut self, session: Session) {
        self.record(|_| Some(Line::Login));
        if !self.login.sessions.iter().any(|known| known.is(&session)) {
            self.login.sessions.push(session.clone());
        }
        self.login.session = Some(session);
        self.login.expired = None;
        self.login.epoch += 1;
        self.login.asked = false;
    }

    /// No session can be got. Nothing more can be asked of the server: batches whose end was not
    /// seen are unknown, a job that is open stays so and is named.
    pub fn login_failed(&mut self, error: Error) {
        self.record(|hide| Some(Line::NoLogin(hide(&error.to_string()))));
        self.cut_off(error);
    }

    /// The application cannot go on: its input is unreadable, or its output is full. No more rows
    /// are sent; those on the server are accounted for, the job is closed, and the run ends with
    /// this error.
    pub fn stop(&mut self, error: Error) {
        self.record(|hide| Some(Line::Stopped(hide(&error.to_string()))));
        self.asked = false;
        if self.ledger.unfed > 0 {
            return self.go(error); // nothing was done yet
        }
        self.fail(error);
    }

    /// Ends it: batches that have not started never will, those running are waited for, so that
    /// every row of a load is accounted for. The run ends well, with [`Summary::aborted`] set. Once
    /// it has ended, this changes nothing.
    pub fn abort(&mut self) {
        if self.done {
            return;
        }
        self.record(|_| Some(Line::Aborted));
        self.ledger.aborting = true;
        self.summary.aborted = true;
    }

    /// The application goes, and leaves everything as it is: nothing more is sent, nothing is
    /// changed in the org, and no row is reported as failed. The run ends with
    /// [`ErrorKind::Unfinished`]; a [`checkpoint`](Self::checkpoint) of it can be
    /// [resumed](Self::resume). Once it has ended, this changes nothing.
    pub fn leave(&mut self) {
        if !self.done {
            self.record(|_| Some(Line::Left));
            let error = Error::new(ErrorKind::Unfinished, "the run was left before its end");
            self.go(error.advise("the org works off what it has; resume the run to go on"));
        }
    }

    /// Has it [`leave`](Self::leave) by itself when it has run for so long, counted from the first
    /// [`poll`](Self::poll): the time-out of a client that cannot wait for ever.
    pub fn leave_after(&mut self, wait: Duration) {
        self.leave.after = Some(wait);
    }

    /// Before it creates a job, has it ask the org what is left of its daily allowances, and go no
    /// further, with [`ErrorKind::Allowance`], if that does not suffice for so many batches: a load
    /// that stops in its middle is worse than none. Should the org not tell, a note says so, and the
    /// run goes on. One request; a job that takes up an earlier run makes none.
    pub fn preflight(&mut self, batches: u64) {
        self.record(|_| Some(Line::Preflight(batches)));
        self.ledger.preflight = Some(batches).filter(|_| self.ledger.jobs.is_empty());
    }

    /// Has a query that ended with [`ErrorKind::Incomplete`] give all its rows again from the first,
    /// for an application that can forget what it was given: a file that proved short after others
    /// were given behind it cannot be mended otherwise. The server does not run the query again.
    /// Tells whether it does so; at most [`Bounds::few_tries`](crate::Bounds::few_tries) times.
    pub fn start_over(&mut self) -> bool {
        let stopped = self.ledger.stopped.as_ref();
        let incomplete = stopped.is_some_and(|error| error.kind() == ErrorKind::Incomplete);
        let can = self.done && self.ledger.query && incomplete && self.leave.now.is_none();
        if !can || self.starts >= self.spec.bounds.few_tries {
            return false;
        }
        let Ok(again) = Self::resume(self.checkpoint()) else { return false };
        let before = std::mem::replace(self, again);
        self.starts = before.starts + 1;
        self.next_tag = before.next_tag; // an answer to a tag of before belongs to nobody
        self.login = before.login;
        self.leave = before.leave;
        let Summary { calls, bytes_sent, retries, .. } = before.summary;
        self.summary = Summary { calls, bytes_sent, retries, ..std::mem::take(&mut self.summary) };
        true
    }

    /// What another run needs to go on from here, should this one be cut off. When it is worth
    /// storing, [`Step::Save`] says so.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::of(&self.spec, &self.ledger)
    }

    /// What it came to until now.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What was said until now; `None` unless the spec asked to [`record`](Spec::record) it.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.transcript.as_ref()
    }

    /// What it was asked to do.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }
}

/// With a host, which leaves three steps to an executor: send, wait, and be done.
impl Job {
    /// [`poll`](Self::poll)s, and has the host do what is asked of the application. `None` when it
    /// did something: ask again.
    #[must_use = "a call that is not performed is waited for without end"]
    pub fn turn(&mut self, now: Time, host: &mut impl Host) -> Option<Turn> {
        if !self.ledger.aborting && !self.done && host.aborts() {
            self.abort();
        }
        if self.leave.now.is_none() && !self.done && host.leaves() {
            self.leave();
        }
        match self.poll(now) {
            Step::Send(call) => return Some(Turn::Send(call)),
            Step::Wait(until) => return Some(Turn::Wait(until)),
            Step::Done(result) => return Some(Turn::Done(result)),
            Step::Feed(ask) => match host.batch(ask) {
                Ok(Some(batch)) => self.feed(batch),
                Ok(None) => self.end(),
                Err(error) => self.stop(error),
            },
            Step::Login(expired) => match host.login(expired.as_ref()) {
                Ok(session) => self.login(session),
                Err(error) => self.login_failed(error),
            },
            Step::Settled(outcomes) => self.give(Page::Outcomes(outcomes), host),
            Step::Save => {
                host.save(&self.checkpoint()).unwrap_or_else(|error| self.stop(error));
            }
            Step::Note(note) => {
                host.note(note, &self.summary).unwrap_or_else(|error| self.stop(error));
            }
        }
        None
    }

    /// A page of this call came: it is the host's from here on. One of a call that is not under way,
    /// of before a run [started over](Self::start_over), perhaps, belongs to nobody.
    pub fn deliver(&mut self, tag: Tag, page: Page, host: &mut impl Host) {
        if self.under_way.contains_key(&tag) {
            self.progress(tag, &page);
            self.give(page, host);
        }
    }

    fn give(&mut self, page: Page, host: &mut impl Host) {
        host.page(page).unwrap_or_else(|error| self.stop(error));
    }
}

/// Sending.
impl Job {
    fn is_under_way(&self, errand: Errand) -> bool {
        self.under_way.values().any(|flight| flight.errand == errand)
    }

    /// The session, unless the server has turned it down.
    fn session(&self) -> Option<Session> {
        self.login.session.clone().filter(|_| self.login.expired.is_none())
    }

    /// Keeps the run within what the application allows it. Tells whether the errand was beyond that.
    fn beyond_budget(&mut self, errand: Errand) -> bool {
        let Bounds { calls, batches, .. } = self.spec.bounds;
        if self.summary.calls >= calls {
            let message = format!("the run may make {calls} requests, and has made them");
            let error = Error::new(ErrorKind::Unfinished, message);
            self.go(error.advise("the org works off what it has; resume the run to go on"));
            return true;
        }
        if !matches!(errand, Errand::Submit { .. }) {
            return false;
        }
        let there =
            |batch: &&BatchRecord| matches!(batch.stage, Stage::Sent(_) | Stage::Unsure { .. });
        let added = self.ledger.batches.iter().filter(there).count() as u64 - self.added_before;
        if added < batches {
            return false;
        }
        let message = format!("the run may add {batches} batches, and has added them");
        self.fail(Error::new(ErrorKind::Allowance, message));
        true
    }

    fn send(&mut self, errand: Errand, session: &Session) -> Result<Call, Error> {
        let tag = Tag(self.next_tag);
        let call = self.call(tag, errand, session)?;
        self.next_tag += 1;
        self.summary.calls += 1;
        self.pace.sent(tag);
        self.under_way.insert(tag, Flight { tag, errand, epoch: self.login.epoch });
        Ok(call)
    }

    fn call(&mut self, tag: Tag, errand: Errand, session: &Session) -> Result<Call, Error> {
        let wire = Wire { spec: &self.spec, session };
        let bounds = &self.spec.bounds;
        let ledger = &mut self.ledger;
        let whole = Expect::Whole { at_most: bounds.document };
        let list = Expect::Whole { at_most: bounds.list };
        let (request, expect) = match errand {
            Errand::Limits => (wire.limits()?, whole),
            Errand::Create => (wire.create()?, whole),
            Errand::Transform { job } => {
                let expect = Expect::Nothing { at_most: bounds.document };
                (wire.transform(ledger.jobs[job].id)?, expect)
            }
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
            Errand::Count { job } => (wire.job(ledger.jobs[job].id)?, whole),
            Errand::Inspect { job, stranger } => {
                let content_type = self.spec.content_type.clone();
                let expect = Expect::Request { content_type, at_most: bounds.request };
                (wire.request_of(ledger.jobs[job].id, stranger)?, expect)
            }
            Errand::Files { batch } => {
                let (job, id) = ledger.place(batch).ok_or_else(gone)?;
                (wire.result(job, id)?, list)
            }
            Errand::Chunk { batch } => {
                let (job, id) = ledger.place(batch).ok_or_else(gone)?;
                (wire.request_of(job, id)?, whole)
            }
            Errand::Fetch { batch, file } if ledger.query => {
                let (job, id) = ledger.place(batch).ok_or_else(gone)?;
                let File { id: file, have, .. } = *file_of(ledger, batch, file).ok_or_else(gone)?;
                (wire.file(job, id, file)?, Expect::Rows { syntax: self.spec.syntax(), have })
            }
            Errand::Fetch { batch, .. } => {
                let (job, id) = ledger.place(batch).ok_or_else(gone)?;
                let rows = ledger.batches[batch].rows.clone();
                let count = ledger.sent(batch).ok_or_else(gone)?.outcomes();
                (wire.result(job, id)?, Expect::Outcomes { rows, count, at_most: bounds.result })
            }
            Errand::Close { job } => {
                // However this ends, it may still arrive, and batches after it would be refused.
                ledger.jobs[job].retired = true;
                (wire.set_state(ledger.jobs[job].id, JobState::Closed)?, whole)
            }
            Errand::Abort { job } => {
                (wire.set_state(ledger.jobs[job].id, JobState::Aborted)?, whole)
            }
        };
        let packs = matches!(errand, Errand::Submit { .. }) && wire.packs(request.body().len());
        Ok(Call { tag, request, expect, packs })
    }
}

/// The end.
impl Job {
    /// Once all is sent, the server is asked at short intervals how it is getting on.
    fn hurry(&mut self) {
        if self.ledger.all_sent() {
            self.pace.hurry();
        }
    }

    /// Keeps the first failure; it lets no more rows be sent.
    fn fail(&mut self, error: Error) {
        let error = match self.ledger.jobs.last() {
            Some(job) if error.job().is_none() => error.of_job(job.id),
            _ => error,
        };
        self.ledger.stopped.get_or_insert(error);
    }

    /// As [`fail`](Self::fail), where nothing more can be asked at all.
    fn cut_off(&mut self, error: Error) {
        self.ledger.cut_off = true;
        self.fail(error);
    }

    /// Whether the ledger is to be stored now: a job was created, or enough has happened since, and
    /// some time has passed. Enough is the 32nd part of all, so that what is written in a long run
    /// stays in proportion to its batches, and what must be looked up after it was cut off is little.
    fn saves(&mut self, now: Time, over: Option<&Result<Summary, Error>>) -> bool {
        let Save { must, news, last } = self.save;
        let enough = news * 32 >= self.ledger.batches.len();
        let due = enough && now.saturating_since(last) >= SAVE_EVERY;
        let unfinished = over.is_some_and(Result::is_err);
        let saves = !self.done && (must || (news > 0 && (due || unfinished)));
        if saves {
            self.save = Save { must: false, news: 0, last: now };
        }
        saves
    }

    fn look_at_the_clock(&mut self, now: Time) {
        if let Some(after) = self.leave.after.take() {
            self.leave.at = Some(now + after);
        }
        if self.leave.now.is_none() && self.leave.at.is_some_and(|at| at <= now) {
            self.leave();
        }
        for job in self.ledger.jobs.iter_mut().filter(|job| job.is_open() && !job.doubt) {
            job.retired |= now.saturating_since(job.born) >= JOB_AGE;
        }
    }

    /// The run ends here and now.
    fn go(&mut self, error: Error) {
        let error = match self.ledger.jobs.last() {
            Some(job) => error.of_job(job.id),
            None => error,
        };
        self.leave.now.get_or_insert(error);
    }

    fn over(&mut self) -> Option<Result<Summary, Error>> {
        let may_be_there = self.ledger.may_be_there();
        self.summary.beyond_unknown = may_be_there != Some(false);
        if let Some(error) = &self.leave.now {
            return Some(Err(error.clone()));
        }
        let ledger = &self.ledger;
        if !ledger.cut_off {
            let writing = self.under_way.values().any(|flight| flight.errand.is_write());
            let asking = ledger.failed_chunk.is_some();
            if asking || writing || (0..ledger.jobs.len()).any(|job| ledger.is_to_end(job)) {
                return None;
            }
        }
        let all_settled =
            ledger.unsettled().next().is_none() && ledger.unfed == 0 && may_be_there.is_some();
        let over = if ledger.query {
            (all_settled && !ledger.in_doubt()) || ledger.no_more()
        } else {
            all_settled && (ledger.ended || ledger.no_more())
        };
        if !over {
            return None;
        }
        // Only when cut off can a job be open here: it could not be closed, and is named first.
        if let Some(job) = self.ledger.jobs.iter().position(JobRecord::is_open) {
            let id = self.ledger.jobs[job].id;
            self.ledger.jobs[job].given_up = true;
            self.summary.left_open.push(id);
            self.note(Note::LeftOpen { job: id, why: "nothing can be asked any more".into() });
            return None;
        }
        Some(match &self.ledger.stopped {
            Some(error) => Err(error.clone()),
            None => Ok(self.summary.clone()),
        })
    }

    /// Adds a line to the transcript, if there is one. What it holds of others' words is to be
    /// hidden first: they may repeat a session, or name the org.
    fn record(&mut self, line: impl FnOnce(&dyn Fn(&str) -> String) -> Option<Line>) {
        if let Some(transcript) = &mut self.transcript {
            let login = &self.login;
            transcript.lines.extend(line(&|text| login.hidden(text)));
        }
    }

    /// A text as it may stand in a transcript of this run.
    pub(crate) fn hidden(&self, text: &str) -> String {
        self.login.hidden(text)
    }

    fn note(&mut self, note: Note) {
        self.news.push_back(Step::Note(note));
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Usage, "the batch is not on the server")
}

fn file_of(ledger: &mut Ledger, batch: usize, file: usize) -> Option<&mut File> {
    ledger.sent(batch)?.files.as_mut()?.get_mut(file)
}
