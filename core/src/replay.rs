//! Replaying: a transcript in the network's place.
//!
//! The machine and the application are live; what came from the server, and when, is read from the
//! transcript, and what the machine asks is compared with it. The application's own doings (rows,
//! sessions, an abort) take place where they did, so that everything is in the order it was.

use std::fmt;

use bytes::Bytes;

use crate::call::{Page, Tag};
use crate::error::{Error, ErrorKind};
use crate::host::Host;
use crate::job::Job;
use crate::rows::Batch;
use crate::session::Session;
use crate::step::{Ask, Step, Summary};
use crate::time::Time;
use crate::transcript::{Line, Sent, Transcript};

/// Where a replay departs from what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the transcript, counted from 1: the first that differs.
    pub line: usize,
    /// What it says; of a request, the first part that differs.
    pub recorded: String,
    /// What happened instead.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, recorded, now } = self;
        write!(f, "line {line} of the transcript differs: recorded: {recorded}; now: {now}")
    }
}

impl std::error::Error for Difference {}

impl Transcript {
    /// Has a new job hold the recorded conversation, and tells what came of it, or the first line
    /// that differs. The job's [`Spec`](crate::Spec) and the host's rows are to be those that were
    /// recorded; any session will do.
    pub fn replay(
        &self,
        job: &mut Job,
        host: &mut impl Host,
    ) -> Result<Result<Summary, Error>, Difference> {
        let (lines, at, now) = (&self.lines[..], 0, Time::ZERO);
        let mut replay = Replay { lines, at, now, rows: None, session: None, failed: None, host };
        loop {
            match job.poll(replay.now) {
                Step::Send(call) => {
                    replay.compare(&Sent::new(replay.now, call.tag, &call.request))?;
                }
                Step::Feed(ask) => replay.rows = Some(replay.host.batch(ask)),
                Step::Login(expired) => {
                    replay.session = Some(replay.host.login(expired.as_ref()));
                }
                Step::Settled(outcomes) => replay.give(Page::Outcomes(outcomes)),
                Step::Note(note) => {
                    let told = replay.host.note(note, job.summary());
                    replay.failed = told.err().or(replay.failed.take());
                }
                Step::Wait(_) => replay.go_on(job)?,
                Step::Done(result) => return replay.compare_end(&result).map(|()| result),
            }
        }
    }
}

struct Replay<'a, H> {
    lines: &'a [Line],
    /// The line that comes next.
    at: usize,
    now: Time,
    /// What the application gave when it was asked; the machine gets it in its place.
    rows: Option<Result<Option<Batch>, Error>>,
    session: Option<Result<Session, Error>>,
    /// The application could not take what it was given.
    failed: Option<Error>,
    host: &'a mut H,
}

/// The transcript.
impl<H: Host> Replay<'_, H> {
    fn give(&mut self, page: Page) {
        self.failed = self.host.page(page).err().or(self.failed.take());
    }

    /// The machine waits: what was recorded next happens.
    fn go_on(&mut self, job: &mut Job) -> Result<(), Difference> {
        let Some(line) = self.lines.get(self.at) else {
            return Err(self.differs(&"nothing more", &"the run goes on"));
        };
        match line {
            Line::Sent(Sent { at, .. }) if Time::since_start(*at) > self.now => {
                self.now = Time::since_start(*at); // the moment that is waited for
                return Ok(());
            }
            Line::Page { tag, page } => {
                let page = page.page();
                job.progress(Tag(*tag), &page);
                self.give(page);
            }
            Line::Ended { at, tag, reply } => {
                let reply = reply.reply().ok_or_else(|| self.differs(line, &"no answer"))?;
                self.now = self.now.max(Time::since_start(*at));
                job.reply(Tag(*tag), self.now, reply);
            }
            Line::Aborted => job.abort(),
            Line::Stopped(why) => job.stop(self.stop(why)),
            Line::Login | Line::NoLogin(_) => self.log_in(line, job)?,
            Line::Fed(_) | Line::NoMoreRows => self.feed(line, job)?,
            Line::Sent(_) | Line::Done(_) => return Err(self.differs(line, &"the job waits")),
        }
        self.at += 1;
        Ok(())
    }

    /// Why the application stops here: it could not give rows, or take a page, or said so of its
    /// own accord.
    fn stop(&mut self, why: &str) -> Error {
        let no_rows = self.rows.take_if(|rows| rows.is_err()).and_then(Result::err);
        let failed = self.failed.take().or(no_rows);
        failed.unwrap_or_else(|| Error::new(ErrorKind::Local, why))
    }

    fn log_in(&mut self, line: &Line, job: &mut Job) -> Result<(), Difference> {
        // An application may bring a session before it is asked for one.
        let session = self.session.take().unwrap_or_else(|| self.host.login(None));
        match (line, session) {
            (Line::Login, Ok(session)) => job.login(session),
            (Line::NoLogin(_), Err(error)) => job.login_failed(error),
            (_, Ok(_)) => return Err(self.differs(line, &Line::Login)),
            (_, Err(error)) => return Err(self.differs(line, &Line::NoLogin(error.to_string()))),
        }
        Ok(())
    }

    fn feed(&mut self, line: &Line, job: &mut Job) -> Result<(), Difference> {
        let rows =
            self.rows.take().unwrap_or_else(|| self.host.batch(Ask { from: job.summary().rows }));
        match (line, rows) {
            (Line::Fed(rows), Ok(Some(batch))) if *rows == batch.rows => job.feed(batch),
            (Line::NoMoreRows, Ok(None)) => job.end(),
            (_, Ok(Some(batch))) => return Err(self.differs(line, &Line::Fed(batch.rows))),
            (_, Ok(None)) => return Err(self.differs(line, &Line::NoMoreRows)),
            (_, Err(error)) => return Err(self.differs(line, &Line::Stopped(error.to_string()))),
        }
        Ok(())
    }

    fn compare(&mut self, now: &Sent) -> Result<(), Difference> {
        match self.lines.get(self.at) {
            Some(Line::Sent(recorded)) => {
                if let Some((recorded, now)) = first_difference(recorded, now) {
                    return Err(self.differs(&recorded, &now));
                }
                self.now = self.now.max(Time::since_start(recorded.at));
            }
            Some(line) => return Err(self.differs(line, now)),
            None => return Err(self.differs(&"nothing more", now)),
        }
        self.at += 1;
        Ok(())
    }

    fn compare_end(&self, result: &Result<Summary, Error>) -> Result<(), Difference> {
        let now = Line::done(result);
        match self.lines.get(self.at) {
            Some(recorded) if *recorded == now => Ok(()),
            Some(recorded) => Err(self.differs(recorded, &now)),
            None => Err(self.differs(&"nothing more", &now)),
        }
    }

    fn differs(&self, recorded: &dyn fmt::Display, now: &dyn fmt::Display) -> Difference {
        let [recorded, now] = [recorded.to_string(), now.to_string()];
        let trimmed = |text: String| text.trim().to_owned();
        Difference { line: self.at + 1, recorded: trimmed(recorded), now: trimmed(now) }
    }
}

/// The first part in which two requests differ; when they were sent does not matter.
fn first_difference(recorded: &Sent, now: &Sent) -> Option<(String, String)> {
    let head = |sent: &Sent| format!("{} {} {}", Tag(sent.tag), sent.method, sent.path);
    if head(recorded) != head(now) {
        return Some((head(recorded), head(now)));
    }
    let header = |sent: &Sent, n: usize| {
        sent.headers.get(n).map_or("no header".into(), |(name, value)| format!("{name}: {value}"))
    };
    let most = recorded.headers.len().max(now.headers.len());
    if let Some(n) = (0..most).find(|n| header(recorded, *n) != header(now, *n)) {
        return Some((header(recorded, n), header(now, n)));
    }
    let lines = |sent: &'_ Sent| -> Vec<Bytes> {
        let lines = sent.body.split(|byte| *byte == b'\n');
        lines.map(|line| sent.body.slice_ref(line)).collect()
    };
    let (was, is) = (lines(recorded), lines(now));
    let n = (0..was.len().max(is.len())).find(|n| was.get(*n) != is.get(*n))?;
    let named = |sent: &Sent, line: Option<&Bytes>| {
        let line = line.map_or("no such line".into(), |line| String::from_utf8_lossy(line));
        format!("{}, line {} of its body: {line}", head(sent), n + 1)
    };
    Some((named(recorded, was.get(n)), named(now, is.get(n))))
}
