//! Transcripts: one run as data, to keep, to send with a report, and to replay.
//!
//! A machine is a function of what it is told. A transcript therefore holds, in order, what it was
//! told and what it said, its waits left out: enough to hold the same conversation again with no
//! network, and to see where a machine of another day, or another application, would depart from
//! it. The machine writes it itself, so every executor can be recorded, and none needs to know.
//!
//! ```text
//!      0.000 ? rows from 0                           what the machine asks of the application
//!            ⇐ rows 0..2                             what the application gives or says
//!      0.000 → #1 POST /services/async/66.0/job …    a request
//!      0.100 ← #1 201 …                              how a call ended
//!      0.100 ! Created(…)                            a note
//!            ≡ #5 2 outcomes …                       a page for the application
//!      0.900 = …                                     the end
//! ```
//!
//! What is in it: requests, answers, records, and when. **What is not: a session, a cookie, or the
//! org's address.** Requests are written down without their host and without headers that are marked
//! sensitive; of an answer's headers only those that the machine reads; and where the server's words
//! repeat a session of this run or the org's host, these are blanked out. Pages are as they came:
//! treat a transcript as you treat the records.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use serde::{Deserialize, Serialize};

use crate::call::{Failure, Page, Received, Reply, Tag};
use crate::error::{Error, Plain};
use crate::rows::{Outcome, Rows};
use crate::step::{Step, Summary};
use crate::time::Time;

/// The headers of an answer that the machine reads.
const READ: [&str; 8] = [
    "content-type",
    "content-length",
    "content-encoding",
    "date",
    "location",
    "retry-after",
    "x-sfdc-request-id",
    "x-request-id",
];

/// What was said in one run. Made by a job whose [`Spec`](crate::Spec) asks for it with
/// [`record`](crate::Spec::record); see [`Job::transcript`](crate::Job::transcript).
///
/// Its `Display` is for people: a line for each thing that happened. As serde data, in a format that
/// describes itself (JSON, say), it can be stored, and [replayed](Self::replay) later. It holds all
/// that was said in memory, records included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    pub(crate) lines: Vec<Line>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Line {
    /// The machine said something.
    Said { at: Duration, what: Said },
    /// A page of a call came.
    Page { tag: u64, page: Given },
    /// A call ended.
    Ended { at: Duration, tag: u64, end: End },
    /// The application gave these rows,
    Fed(Range<u64>),
    /// or had no more;
    NoMoreRows,
    /// it gave a session, which is not kept,
    Login,
    /// or had none, for this reason;
    NoLogin(String),
    /// it stopped the run, for this reason;
    Stopped(String),
    /// it aborted the run,
    Aborted,
    /// or left it;
    Left,
    /// it wants to know first whether the org takes so many batches.
    Preflight(u64),
}

/// What the machine says: its steps, but for waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Said {
    Sent(Sent),
    /// It wants rows, beginning with this one.
    WantsRows(u64),
    WantsSession,
    /// Outcomes without a result.
    Settled(Vec<Outcome>),
    Noted(String),
    /// It is worth storing.
    Saves,
    /// What came of the run.
    Done(String),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) tag: u64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    #[serde(with = "crate::text")]
    pub(crate) body: Bytes,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Given {
    Rows(Rows),
    Outcomes(Vec<Outcome>),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum End {
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    Streamed(Received),
    Failed(Failure),
}

/// Writing. `hide` takes from a text what must not be told.
impl Line {
    /// What the machine said; a wait is no line.
    pub(crate) fn said(at: Time, step: &Step, hide: &dyn Fn(&str) -> String) -> Option<Self> {
        let what = match step {
            Step::Wait(_) => return None,
            Step::Send(call) => Said::Sent(Sent::new(call.tag, &call.request)),
            Step::Feed(ask) => Said::WantsRows(ask.from),
            Step::Login(_) => Said::WantsSession,
            Step::Settled(outcomes) => {
                let error = |outcome: &Outcome| outcome.error.as_ref().map(|e| hide(e).into());
                let hidden =
                    |outcome: &Outcome| Outcome { error: error(outcome), ..outcome.clone() };
                Said::Settled(outcomes.iter().map(hidden).collect())
            }
            Step::Save => Said::Saves,
            Step::Note(note) => Said::Noted(hide(&format!("{note:?}"))),
            Step::Done(result) => Said::Done(hide(&end(result))),
        };
        Some(Self::Said { at: at.elapsed(), what })
    }

    pub(crate) fn page(tag: Tag, page: &Page) -> Self {
        let page = match page {
            Page::Rows(rows) => Given::Rows(rows.clone()),
            Page::Outcomes(outcomes) => Given::Outcomes(outcomes.clone()),
        };
        Self::Page { tag: tag.0, page }
    }

    pub(crate) fn ended(at: Time, tag: Tag, reply: &Reply, hide: &dyn Fn(&str) -> String) -> Self {
        let end = match reply {
            Reply::Whole(response) => End::Answer {
                status: response.status().as_u16(),
                headers: read_of(response.headers(), hide),
                body: hide(&String::from_utf8_lossy(response.body())),
            },
            Reply::Streamed(received) => End::Streamed(*received),
            Reply::Failed(Failure::Unsent(why)) => End::Failed(Failure::Unsent(hide(why))),
            Reply::Failed(Failure::Lost(why)) => End::Failed(Failure::Lost(hide(why))),
        };
        Self::Ended { at: at.elapsed(), tag: tag.0, end }
    }
}

impl Sent {
    fn new(tag: Tag, request: &Request<Bytes>) -> Self {
        let mut headers = Vec::new();
        for (name, value) in request.headers() {
            // The client's version may be another one at a replay.
            if !value.is_sensitive() && name != "sforce-call-options" {
                headers.push((name.to_string(), lossy(value.as_bytes())));
            }
        }
        headers.sort();
        Self {
            tag: tag.0,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            headers,
            body: request.body().clone(),
        }
    }
}

fn end(result: &Result<Summary, Error>) -> String {
    match result {
        Ok(summary) => format!("{summary:?}"),
        Err(error) => error.to_string(),
    }
}

/// What is kept of an answer's headers. Of a redirect only the host: its path may hold a session of
/// somebody else.
fn read_of(headers: &HeaderMap, hide: &dyn Fn(&str) -> String) -> Vec<(String, String)> {
    let kept = READ.iter().flat_map(|name| headers.get_all(*name).iter().map(move |v| (name, v)));
    let text = |name: &str, text: String| match name {
        "location" => host_of(&text).unwrap_or_default(),
        _ => text,
    };
    kept.map(|(name, value)| ((*name).to_owned(), hide(&text(name, lossy(value.as_bytes())))))
        .collect()
}

fn host_of(address: &str) -> Option<String> {
    let to = address.parse::<http::Uri>().ok()?;
    Some(format!("{}://{}/", to.scheme_str()?, to.host()?))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reading.
impl Given {
    pub(crate) fn page(&self) -> Page {
        match self {
            Self::Rows(rows) => Page::Rows(rows.clone()),
            Self::Outcomes(outcomes) => Page::Outcomes(outcomes.clone()),
        }
    }
}

impl End {
    /// The reply; `None` if the transcript holds one that cannot be, by somebody's hand.
    pub(crate) fn reply(&self) -> Option<Reply> {
        Some(match self {
            Self::Streamed(received) => Reply::Streamed(*received),
            Self::Failed(failure) => Reply::Failed(failure.clone()),
            Self::Answer { status, headers, body } => {
                let response = Response::builder().status(*status);
                let response =
                    headers.iter().fold(response, |r, (name, value)| r.header(name, value));
                Reply::Whole(response.body(body.clone().into()).ok()?)
            }
        })
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    /// One line, safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self {
            Self::Said { at, .. } | Self::Ended { at, .. } => Time::since_start(*at).to_string(),
            _ => String::new(),
        };
        write!(f, "{when:>9} ")?;
        match self {
            Self::Said { what, .. } => what.fmt(f),
            Self::Page { tag, page: Given::Rows(rows) } => {
                write!(f, "≡ {} {} rows", Tag(*tag), rows.count)
            }
            Self::Page { tag, page: Given::Outcomes(outcomes) } => {
                write!(f, "≡ {} {}", Tag(*tag), counted(outcomes))
            }
            Self::Ended { tag, end, .. } => write!(f, "← {} {end}", Tag(*tag)),
            Self::Fed(rows) => write!(f, "⇐ rows {rows:?}"),
            Self::NoMoreRows => f.write_str("⇐ no more rows"),
            Self::Login => f.write_str("⇐ a session"),
            Self::NoLogin(why) => write!(f, "⇐ no session: {}", Plain(why)),
            Self::Stopped(why) => write!(f, "⇐ stop: {}", Plain(why)),
            Self::Aborted => f.write_str("⇐ abort"),
            Self::Left => f.write_str("⇐ leave"),
            Self::Preflight(batches) => write!(f, "⇐ preflight for {batches} batches"),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(sent) => write!(f, "→ {sent}"),
            Self::WantsRows(from) => write!(f, "? rows from {from}"),
            Self::WantsSession => f.write_str("? a session"),
            Self::Settled(outcomes) => write!(f, "≡ {}", counted(outcomes)),
            Self::Saves => f.write_str("~ save"),
            Self::Noted(note) => write!(f, "! {}", Plain(note)),
            Self::Done(what) => write!(f, "= {}", Plain(what)),
        }
    }
}

fn counted(outcomes: &[Outcome]) -> String {
    let good = outcomes.iter().filter(|outcome| outcome.success()).count();
    let first = outcomes.first().map_or(0, |outcome| outcome.row);
    format!("{} outcomes from row {first}, {good} good", outcomes.len())
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, method, path, body, .. } = self;
        write!(f, "{} {} {}, {} B", Tag(*tag), Plain(method), Plain(path), body.len())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { status, body, .. } => write!(f, "{status}, {} B", body.len()),
            Self::Streamed(received) => write!(f, "{} rows in all", received.rows),
            Self::Failed(Failure::Unsent(why)) => write!(f, "unsent: {}", Plain(why)),
            Self::Failed(Failure::Lost(why)) => write!(f, "lost: {}", Plain(why)),
        }
    }
}
