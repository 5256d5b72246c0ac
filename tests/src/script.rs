//! What goes wrong: a [`Deviation`], set for the nth request of a [`Kind`], or for any by
//! [`faults`](crate::faults).

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};

use crate::document::{element, text};

/// The kinds of requests, so that a script can mean "the second listing".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Create,
    /// The upload of a transformation spec.
    Transform,
    Submit,
    List,
    /// How many batches the server counts in a job.
    Count,
    /// What was sent as a batch.
    Inspect,
    /// The outcomes of a load's batch, or the list of a query's files.
    Result,
    File,
    Close,
    Abort,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::Transform,
        Self::Submit,
        Self::List,
        Self::Count,
        Self::Inspect,
        Self::Result,
        Self::File,
        Self::Close,
        Self::Abort,
    ];

    /// The kind of this request.
    pub fn of(request: &Request<Bytes>) -> Self {
        let path = request.uri().path();
        match (request.method() == Method::POST, path.split('/').count()) {
            (true, 5) => Self::Create,
            (true, 6) if element(&text(request.body()), "state") == "Aborted" => Self::Abort,
            (true, 6) => Self::Close,
            (true, _) if path.ends_with("/spec") => Self::Transform,
            (true, _) => Self::Submit,
            (false, 6) => Self::Count,
            (false, 7) => Self::List,
            (false, 9) if path.ends_with("/request") => Self::Inspect,
            (false, 9) => Self::Result,
            (false, _) => Self::File,
        }
    }
}

/// What happens to a request instead of being carried out and answered.
#[derive(Clone, Debug)]
pub enum Deviation {
    /// It is not carried out; this is the answer.
    Instead(Response<Bytes>),
    /// It is carried out, and this stands in the answer's place.
    Masked(Response<Bytes>),
    /// No answer comes. The request arrives after so long, or never.
    Lost { arrives: Option<Duration> },
    /// It never leaves.
    Unsent,
    /// It is carried out, and the answer breaks off after so many bytes of its body.
    Cut(usize),
    /// It is carried out, and the answer's body is changed.
    Edited(fn(&str) -> String),
    /// It is carried out, and the answer has this header, too.
    Headed(&'static str, &'static str),
    /// It is carried out, and a page that repeats the session stands in the answer's place.
    Echo,
    /// The session has expired.
    Expired,
    /// Somebody else aborts the job first.
    ForeignAbort,
    /// The server gives the job up first.
    JobFails,
    /// Somebody else adds a batch to every open job first.
    Stranger,
    /// The list breaks off before the last batch that was acknowledged, and looks whole.
    Unlisted,
    /// The list does not show yet what has come in the last two seconds.
    Lagging,
}
