//! Replaying: a transcript in the network's place.
//!
//! The machine and the application are live. The transcript is gone through line by line: where the
//! machine said something, it is asked, and must say the same; where it was told something by the
//! network, it is told the same; where the application did something (gave rows or a session,
//! stopped, aborted), it does so again in that place.

use std::fmt;

use crate::call::{Page, Tag};
use crate::error::{Error, ErrorKind, Plain};
use crate::host::Host;
use crate::job::Job;
use crate::rows::Batch;
use crate::session::Session;
use crate::step::{Ask, Step, Summary};
use crate::time::Time;
use crate::transcript::{Line, Said, Sent, Transcript};

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
        let (recorded, now) = (Plain(recorded), Plain(now));
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
        let now = Time::ZERO;
        let mut replay = Replay { at: 0, now, rows: None, session: None, failed: None, job, host };
        for line in &self.lines {
            replay.check_failure(line)?;
            if let Some(result) = replay.go_through(line)? {
                return Ok(result);
            }
            replay.at += 1;
        }
        Err(replay.differs(&"nothing more", &"the run goes on"))
    }
}

struct Replay<'a, H> {
    /// The line that is gone through.
    at: usize,
    now: Time,
    /// What the application gave when it was asked; the machine gets it in its place.
    rows: Option<Result<Option<Batch>, Error>>,
    session: Option<Result<Session, Error>>,
    /// The application could not take what it was given.
    failed: Option<Error>,
    job: &'a mut Job,
    host: &'a mut H,
}

impl<H: Host> Replay<'_, H> {
    /// Where the application fails, it stops the run at once; it must have been so then.
    fn check_failure(&self, line: &Line) -> Result<(), Difference> {
        match &self.failed {
            Some(error) if !matches!(line, Line::Stopped(_)) => {
                Err(self.differs(line, &Line::Stopped(error.to_string())))
            }
            _ => Ok(()),
        }
    }

    /// Goes through one line; tells the end, if it is that.
    fn go_through(&mut self, line: &Line) -> Result<Option<Result<Summary, Error>>, Difference> {
        match line {
            Line::Page { tag, page } => {
                let page = page.page();
                self.job.progress(Tag(*tag), &page);
                self.give(page);
            }
            Line::Ended { at, tag, end } => {
                let reply = end.reply().ok_or_else(|| self.differs(line, &"no answer"))?;
                self.now = self.now.max(Time::since_start(*at));
                self.job.reply(Tag(*tag), self.now, reply);
            }
            Line::Fed(_) | Line::NoMoreRows => self.feed(line)?,
            Line::Login | Line::NoLogin(_) => self.log_in(line)?,
            Line::Stopped(why) => {
                let error = self.why_stopped(why);
                self.job.stop(error);
            }
            Line::Aborted => self.job.abort(),
            Line::Left => self.job.leave(),
            Line::Preflight(batches) => self.job.preflight(*batches),
            Line::Said { at, what } => {
                self.now = self.now.max(Time::since_start(*at));
                return self.ask(what);
            }
        }
        Ok(None)
    }

    /// The machine must say the same.
    fn ask(&mut self, recorded: &Said) -> Result<Option<Result<Summary, Error>>, Difference> {
        let step = self.job.poll(self.now);
        match Line::said(self.now, &step, &|text| self.job.hidden(text)) {
            Some(Line::Said { what, .. }) => self.compare(recorded, &what)?,
            _ => return Err(self.differs(recorded, &"the job waits")),
        }
        match step {
            Step::Feed(ask) => self.rows = Some(self.host.batch(ask)),
            Step::Login(expired) => self.session = Some(self.host.login(expired.as_ref())),
            Step::Settled(outcomes) => self.give(Page::Outcomes(outcomes)),
            Step::Save => self.failed = self.host.save(&self.job.checkpoint()).err(),
            Step::Note(note) => self.failed = self.host.note(note, self.job.summary()).err(),
            Step::Done(result) => return Ok(Some(result)),
            Step::Send(_) | Step::Wait(_) => {}
        }
        Ok(None)
    }

    fn give(&mut self, page: Page) {
        self.failed = self.host.page(page).err();
    }

    /// Why the application stops here: it could not give rows, or take something, or said so of
    /// its own accord.
    fn why_stopped(&mut self, why: &str) -> Error {
        let no_rows = self.rows.take_if(|rows| rows.is_err()).and_then(Result::err);
        let failed = self.failed.take().or(no_rows);
        failed.unwrap_or_else(|| Error::new(ErrorKind::Local, why))
    }

    fn log_in(&mut self, line: &Line) -> Result<(), Difference> {
        // An application may bring a session before it is asked for one.
        let session = self.session.take().unwrap_or_else(|| self.host.login(None));
        match (line, session) {
            (Line::Login, Ok(session)) => self.job.login(session),
            (Line::NoLogin(_), Err(error)) => self.job.login_failed(error),
            (_, Ok(_)) => return Err(self.differs(line, &Line::Login)),
            (_, Err(error)) => return Err(self.differs(line, &Line::NoLogin(error.to_string()))),
        }
        Ok(())
    }

    fn feed(&mut self, line: &Line) -> Result<(), Difference> {
        let ask = Ask { from: self.job.summary().rows };
        let rows = self.rows.take().unwrap_or_else(|| self.host.batch(ask));
        match (line, rows) {
            (Line::Fed(rows), Ok(Some(batch))) if *rows == batch.rows => self.job.feed(batch),
            (Line::NoMoreRows, Ok(None)) => self.job.end(),
            (_, Ok(Some(batch))) => return Err(self.differs(line, &Line::Fed(batch.rows))),
            (_, Ok(None)) => return Err(self.differs(line, &Line::NoMoreRows)),
            (_, Err(error)) => return Err(self.differs(line, &Line::Stopped(error.to_string()))),
        }
        Ok(())
    }

    fn compare(&self, recorded: &Said, now: &Said) -> Result<(), Difference> {
        let different = match (recorded, now) {
            (Said::Sent(recorded), Said::Sent(now)) => first_difference(recorded, now),
            _ if recorded == now => None,
            _ => Some((recorded.to_string(), now.to_string())),
        };
        different.map_or(Ok(()), |(recorded, now)| Err(self.differs(&recorded, &now)))
    }

    fn differs(&self, recorded: &dyn fmt::Display, now: &dyn fmt::Display) -> Difference {
        let [recorded, now] = [recorded.to_string(), now.to_string()];
        let trimmed = |text: String| text.trim().to_owned();
        Difference { line: self.at + 1, recorded: trimmed(recorded), now: trimmed(now) }
    }
}

/// The first part in which two requests differ.
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
    if recorded.body == now.body {
        return None;
    }
    let same =
        lines(&recorded.body).zip(lines(&now.body)).take_while(|(was, is)| was == is).count();
    let named = |sent: &Sent| {
        let line =
            lines(&sent.body).nth(same).map_or("no such line".into(), String::from_utf8_lossy);
        format!("{}, line {} of its body: {line}", head(sent), same + 1)
    };
    Some((named(recorded), named(now)))
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n')
}
