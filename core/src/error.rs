//! The one error type, and what it must tell.
//!
//! An error here says five things, as far as they are known: what was asked, of which job, batch
//! and rows, what was answered, whether the org may have changed, and what the reader can do now.
//! It never holds a session, a password, or a body that may carry one.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::{BatchId, JobId};

/// What kind of thing went wrong; see [`Error::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for something that cannot be: a bad name, address or session. Nothing was
    /// sent.
    Usage,
    /// The input is not what the Bulk API takes: see [`Error::line`].
    Input,
    /// No session could be got, or the org does not accept it.
    Login,
    /// The API said no: see [`Error::answer`].
    Refused,
    /// The server could not be reached, or answered no reading request to the end, in all the
    /// tries allowed.
    Unreachable,
    /// The answer to a write was lost, so the org may hold rows whose ids are not known here.
    Unknown,
    /// A result did not hold what the server promised, or changed between two readings.
    Incomplete,
    /// The input is not the one that the run had loaded which was to be resumed.
    InputChanged,
    /// The run would use more of the org's daily allowances than there is, or than it may; see
    /// [`Job::preflight`](crate::Job::preflight) and [`Bounds::batches`](crate::Bounds::batches).
    Allowance,
    /// The run was left before its end; it can be resumed.
    Unfinished,
    /// Something on this side failed: a file, a disk.
    Local,
}

/// Whether the org may have changed although this error was returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Changed {
    /// Nothing was written by the request this error is about.
    No,
    /// The request may have been carried out; nobody can tell from here.
    Maybe,
}

/// What the API said when it refused something (topic "Errors" of the vendor's guide).
///
/// Answers arrive as XML, JSON, a REST array, a SOAP fault, HTML or nothing at all; every field is
/// therefore optional but the status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// The HTTP status; 0 when the refusal did not come by HTTP (a batch's state message).
    pub status: u16,
    /// `exceptionCode`, for example `InvalidJobState`; `None` if the body was no error document.
    pub code: Option<String>,
    /// `exceptionMessage`, or the beginning of a body that was no error document. At most 2 KB.
    pub message: String,
    /// The server's own id of the request (`X-SFDC-Request-Id`): what its support asks for.
    pub request_id: Option<String>,
}

impl fmt::Display for ErrorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.code) {
            (0, Some(code)) => write!(f, "{}: {}", Plain(code), Plain(&self.message))?,
            (0, None) => write!(f, "{}", Plain(&self.message))?,
            (status, Some(code)) => {
                write!(f, "{status} {}: {}", Plain(code), Plain(&self.message))?;
            }
            (status, None) if self.message.is_empty() => write!(f, "{status}, with no message")?,
            (status, None) => write!(f, "{status}: {}", Plain(&self.message))?,
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {})", Plain(id)),
            None => Ok(()),
        }
    }
}

/// Text from a server, made safe for a terminal: control characters are escaped.
///
/// ```
/// assert_eq!(sfbulk::Plain("red\u{1b}[31m\r\n").to_string(), "red\\u{1b}[31m ");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    /// Line breaks become one blank, other control characters their escape.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut broken = false;
        for c in self.0.chars() {
            match c {
                '\r' | '\n' => broken = true,
                _ => {
                    if std::mem::take(&mut broken) {
                        f.write_str(" ")?;
                    }
                    if c.is_control() {
                        write!(f, "{}", c.escape_default())?;
                    } else {
                        write!(f, "{c}")?;
                    }
                }
            }
        }
        if broken { f.write_str(" ") } else { Ok(()) }
    }
}

/// Everything that can go wrong, in one type.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    job: Option<JobId>,
    batch: Option<BatchId>,
    rows: Option<Range<u64>>,
    line: Option<u64>,
    answer: Option<ErrorInfo>,
    changed: Changed,
    advice: Option<String>,
}

impl Error {
    /// An error of this kind; `message` says what was asked and what came of it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            job: None,
            batch: None,
            rows: None,
            line: None,
            answer: None,
            changed: if kind == ErrorKind::Unknown { Changed::Maybe } else { Changed::No },
            advice: None,
        }))
    }

    /// Names the job this is about.
    #[must_use]
    pub fn of_job(mut self, job: JobId) -> Self {
        self.0.job = Some(job);
        self
    }

    /// Names the batch this is about.
    #[must_use]
    pub fn of_batch(mut self, batch: BatchId) -> Self {
        self.0.batch = Some(batch);
        self
    }

    /// Names the input rows this is about, counted from 0.
    #[must_use]
    pub fn of_rows(mut self, rows: Range<u64>) -> Self {
        self.0.rows = Some(rows);
        self
    }

    /// Names the line of the input this is about, counted from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.0.line = Some(line);
        self
    }

    /// Adds what the server answered.
    #[must_use]
    pub fn answered(mut self, answer: ErrorInfo) -> Self {
        self.0.answer = Some(answer);
        self
    }

    /// Says that the org may have changed all the same.
    #[must_use]
    pub fn may_have_changed(mut self) -> Self {
        self.0.changed = Changed::Maybe;
        self
    }

    /// Adds what the reader can do now.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// What was asked and what came of it, without where and what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The job this is about.
    pub fn job(&self) -> Option<JobId> {
        self.0.job
    }

    /// The batch this is about.
    pub fn batch(&self) -> Option<BatchId> {
        self.0.batch
    }

    /// The input rows this is about, counted from 0.
    pub fn rows(&self) -> Option<Range<u64>> {
        self.0.rows.clone()
    }

    /// The line of the input this is about, counted from 1, as a text editor counts.
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }

    /// What the server answered.
    pub fn answer(&self) -> Option<&ErrorInfo> {
        self.0.answer.as_ref()
    }

    /// The API's `exceptionCode`, if the API refused with one.
    pub fn code(&self) -> Option<&str> {
        self.0.answer.as_ref()?.code.as_deref()
    }

    /// Whether the org may have changed although an error came back.
    pub fn changed(&self) -> Changed {
        self.0.changed
    }
}

impl fmt::Display for Error {
    /// One line, safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if let Some(line) = inner.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}", Plain(&inner.message))?;
        let mut open = " (";
        let mut place = |f: &mut fmt::Formatter<'_>, what: fmt::Arguments<'_>| {
            f.write_str(std::mem::replace(&mut open, ", "))?;
            f.write_fmt(what)
        };
        if let Some(job) = inner.job {
            place(f, format_args!("job {job}"))?;
        }
        if let Some(batch) = inner.batch {
            place(f, format_args!("batch {batch}"))?;
        }
        if let Some(rows) = &inner.rows {
            place(f, format_args!("rows {} to {}", rows.start + 1, rows.end))?;
        }
        if open == ", " {
            f.write_str(")")?;
        }
        if let Some(answer) = &inner.answer {
            write!(f, "; the server answered {answer}")?;
        }
        if inner.changed == Changed::Maybe {
            f.write_str("; the org may have changed")?;
        }
        match &inner.advice {
            Some(advice) => write!(f, "; {}", Plain(advice)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_what_where_and_what_to_do() {
        let error = Error::new(ErrorKind::Unknown, "the answer to a batch was lost")
            .of_job("7505g00000Ab1CdAAJ".parse().unwrap())
            .of_rows(20_000..30_000)
            .advise("look for these rows in the org before loading them again");
        assert_eq!(
            error.to_string(),
            "the answer to a batch was lost (job 7505g00000Ab1CdAAJ, rows 20001 to 30000); \
             the org may have changed; look for these rows in the org before loading them again"
        );
        assert_eq!(error.changed(), Changed::Maybe);
    }

    #[test]
    fn the_servers_words_cannot_steer_a_terminal() {
        let answer = ErrorInfo {
            status: 400,
            code: Some("InvalidBatch".into()),
            message: "no\u{1b}[2J\nsuch batch".into(),
            request_id: None,
        };
        let error = Error::new(ErrorKind::Refused, "listing failed").answered(answer);
        assert_eq!(
            error.to_string(),
            "listing failed; the server answered 400 InvalidBatch: no\\u{1b}[2J such batch"
        );
        assert_eq!(error.code(), Some("InvalidBatch"));
    }
}
