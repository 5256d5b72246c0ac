//! Transcripts: one run as data, to keep, to send with a report, and to replay.
//!
//! A machine is a function of what it is told. A transcript therefore holds what it was told, in
//! order, beside the requests that came of it: enough to hold the same conversation again with no
//! network, and to see where a machine of another day would have asked otherwise. The machine
//! writes it itself, so every executor can be recorded, and none needs to know.
//!
//! What is in it: requests and answers, the rows of results, what was fed and when. **What is not:
//! a session, a cookie, or the org's address.** That is by construction: of a request all headers
//! are kept but those marked sensitive (and the client's version, which may be another one at a
//! replay), of an answer only those that the machine reads. The records
//! are in it, so treat it as you treat them.
//!
//! ```text
//!      0.000 → #1 POST /services/async/66.0/job …      one line for each thing that happened
//!      0.100 ← #1 201 …
//!            ⇐ rows 0..2                               what the application did is in its place
//! ```

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use serde::{Deserialize, Serialize};

use crate::call::{Call, Failure, Page, Received, Reply, Tag};
use crate::error::Error;
use crate::rows::{Outcome, Rows};
use crate::session::Session;
use crate::step::Summary;
use crate::time::Time;

/// The headers of an answer that the machine reads, but for `Location`: see [`host_of`].
const READ: [&str; 7] = [
    "content-type",
    "content-length",
    "content-encoding",
    "date",
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
    /// The machine sent a request.
    Sent(Sent),
    /// A page reached the application.
    Page { tag: u64, page: Given },
    /// A call ended.
    Ended { at: Duration, tag: u64, reply: Ended },
    /// The application gave these rows.
    Fed(Range<u64>),
    /// It had no more.
    NoMoreRows,
    /// It gave a session, which is not kept.
    Login,
    /// It had none, for this reason.
    NoLogin(String),
    /// It stopped the run, for this reason.
    Stopped(String),
    /// It aborted the run.
    Aborted,
    /// The run was over, and this came of it.
    Done(String),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
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
pub(crate) enum Ended {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        #[serde(with = "crate::text")]
        body: Bytes,
    },
    Streamed(Received),
    Failed(Failure),
}

impl Transcript {
    /// Adds a line, if there is a transcript.
    pub(crate) fn add(transcript: &mut Option<Self>, line: impl FnOnce() -> Line) {
        if let Some(transcript) = transcript {
            transcript.lines.push(line());
        }
    }
}

/// Writing.
impl Line {
    pub(crate) fn sent(at: Time, call: &Call) -> Self {
        Self::Sent(Sent::new(at, call.tag, &call.request))
    }

    pub(crate) fn page(tag: Tag, page: &Page) -> Self {
        let page = match page {
            Page::Rows(rows) => Given::Rows(rows.clone()),
            Page::Outcomes(outcomes) => Given::Outcomes(outcomes.clone()),
        };
        Self::Page { tag: tag.0, page }
    }

    /// `session` is the one whose token an answer might repeat.
    pub(crate) fn ended(at: Time, tag: Tag, reply: &Reply, session: Option<&Session>) -> Self {
        let blank = |text: &str| session.map_or(text.to_owned(), |s| s.blank_out(text));
        let reply = match reply {
            Reply::Whole(response) => Ended::Answer {
                status: response.status().as_u16(),
                headers: read_of(response.headers()),
                body: match std::str::from_utf8(response.body()) {
                    Ok(text) => blank(text).into(),
                    Err(_) => response.body().clone(),
                },
            },
            Reply::Streamed(received) => Ended::Streamed(*received),
            Reply::Failed(Failure::Unsent(why)) => Ended::Failed(Failure::Unsent(blank(why))),
            Reply::Failed(Failure::Lost(why)) => Ended::Failed(Failure::Lost(blank(why))),
        };
        Self::Ended { at: at.elapsed(), tag: tag.0, reply }
    }

    pub(crate) fn done(result: &Result<Summary, Error>) -> Self {
        Self::Done(match result {
            Ok(summary) => format!("{summary:?}"),
            Err(error) => error.to_string(),
        })
    }
}

impl Sent {
    pub(crate) fn new(at: Time, tag: Tag, request: &Request<Bytes>) -> Self {
        let mut headers = Vec::new();
        for (name, value) in request.headers() {
            // The client's version may be another one at a replay.
            if !value.is_sensitive() && name != "sforce-call-options" {
                headers.push((name.to_string(), lossy(value.as_bytes())));
            }
        }
        headers.sort();
        Self {
            at: at.elapsed(),
            tag: tag.0,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            headers,
            body: request.body().clone(),
        }
    }
}

/// What is kept of an answer's headers.
fn read_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = READ.iter().flat_map(|name| headers.get_all(*name).iter().map(move |v| (name, v)));
    let kept = kept.map(|(name, value)| ((*name).to_owned(), lossy(value.as_bytes())));
    let location = headers.get(http::header::LOCATION).and_then(host_of);
    kept.chain(location.map(|host| ("location".to_owned(), host))).collect()
}

/// The host of a redirect; its path may hold a session.
fn host_of(value: &HeaderValue) -> Option<String> {
    let to = value.to_str().ok()?.parse::<http::Uri>().ok()?;
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

impl Ended {
    /// The reply; `None` if the transcript holds one that cannot be, by somebody's hand.
    pub(crate) fn reply(&self) -> Option<Reply> {
        Some(match self {
            Self::Streamed(received) => Reply::Streamed(*received),
            Self::Failed(failure) => Reply::Failed(failure.clone()),
            Self::Answer { status, headers, body } => {
                let response = Response::builder().status(*status);
                let response =
                    headers.iter().fold(response, |r, (name, value)| r.header(name, value));
                Reply::Whole(response.body(body.clone()).ok()?)
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self {
            Self::Sent(Sent { at, .. }) | Self::Ended { at, .. } => {
                Time::since_start(*at).to_string()
            }
            _ => String::new(),
        };
        write!(f, "{when:>9} ")?;
        match self {
            Self::Sent(sent) => write!(f, "→ {sent}"),
            Self::Ended { tag, reply, .. } => write!(f, "← {} {reply}", Tag(*tag)),
            Self::Page { tag, page: Given::Rows(rows) } => {
                write!(f, "≡ {} {} rows", Tag(*tag), rows.count)
            }
            Self::Page { tag, page: Given::Outcomes(outcomes) } => {
                write!(f, "≡ {} {} outcomes", Tag(*tag), outcomes.len())
            }
            Self::Fed(rows) => write!(f, "⇐ rows {rows:?}"),
            Self::NoMoreRows => f.write_str("⇐ no more rows"),
            Self::Login => f.write_str("⇐ a session"),
            Self::NoLogin(why) => write!(f, "⇐ no session: {why}"),
            Self::Stopped(why) => write!(f, "⇐ stop: {why}"),
            Self::Aborted => f.write_str("⇐ abort"),
            Self::Done(what) => write!(f, "= {what}"),
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, method, path, body, .. } = self;
        write!(f, "{} {method} {path}, {} B", Tag(*tag), body.len())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { status, body, .. } => write!(f, "{status}, {} B", body.len()),
            Self::Streamed(received) => write!(f, "{} rows in all", received.rows),
            Self::Failed(Failure::Unsent(why)) => write!(f, "unsent: {why}"),
            Self::Failed(Failure::Lost(why)) => write!(f, "lost: {why}"),
        }
    }
}
