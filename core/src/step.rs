//! What the machine says: one step at a time, and what the steps are made of.

use std::ops::Range;
use std::time::Duration;

use crate::call::Call;
use crate::error::{Error, ErrorInfo};
use crate::id::{BatchId, JobId};
use crate::info::BatchState;
use crate::rows::Outcome;
use crate::time::Time;

/// What to do next. See [`Job::poll`](crate::Job::poll).
#[must_use]
#[derive(Debug)]
pub enum Step {
    /// Perform this call; report its end with [`Job::reply`](crate::Job::reply).
    Send(Call),
    /// Cut the next batch and [`feed`](crate::Job::feed) it, or [`end`](crate::Job::end).
    Feed(Ask),
    /// Get a session and [`login`](crate::Job::login). With what the server said of the last one,
    /// if that is why. Asked once per expiry, however many calls it broke.
    Login(Option<ErrorInfo>),
    /// What became of rows for which there is no result to read: refused, never run, or lost from
    /// sight. In no order with the pages of other batches; see [`InOrder`](crate::rows::InOrder).
    Settled(Vec<Outcome>),
    /// Something the application may care about.
    Note(Note),
    /// Worth storing [`checkpoint`](crate::Job::checkpoint) now, on the disk, before anything else is
    /// done. Said when a job was created, then now and then. It may be ignored by those who will
    /// never resume the run.
    Save,
    /// Nothing until a call returns or this moment comes, which is always later than now. Without
    /// a moment, a call is under way, or an answer to `Feed` or `Login` is due.
    Wait(Option<(Time, Reason)>),
    /// It is over: every row fed is accounted for in the summary (an error leaves it in
    /// [`Job::summary`](crate::Job::summary)). Said again at every further poll.
    Done(Result<Summary, Error>),
}

/// What is left to an executor where a [`Host`](crate::Host) does the rest. See
/// [`Job::turn`](crate::Job::turn).
#[must_use]
#[derive(Debug)]
pub enum Turn {
    /// As [`Step::Send`].
    Send(Call),
    /// As [`Step::Wait`].
    Wait(Option<(Time, Reason)>),
    /// As [`Step::Done`].
    Done(Result<Summary, Error>),
}

/// The next rows wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The first of them, counted from 0: the number of rows fed before.
    pub from: u64,
}

/// What the machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The next look at the batches.
    Poll,
    /// The next try of a request that failed.
    Retry,
    /// The moment at which the run is [left](crate::Job::leave_after).
    Leave,
}

/// Something that happened, for people to read or a progress bar to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The job was created.
    Created(JobId),
    /// The server took a batch.
    Accepted {
        /// The batch.
        batch: BatchId,
        /// The input rows in it; none for a query.
        rows: Range<u64>,
    },
    /// The server is done with a batch.
    Finished {
        /// The batch.
        batch: BatchId,
        /// The input rows in it; none for a query.
        rows: Range<u64>,
        /// How it ended.
        state: BatchState,
        /// Records worked on (a query: found), if the server said.
        processed: Option<u64>,
        /// What the server says to it, usually nothing.
        message: Option<String>,
    },
    /// A request will be tried again.
    Retry {
        /// The request, in words.
        what: String,
        /// Why the last try failed.
        why: String,
        /// In how long.
        wait: Duration,
    },
    /// The answer to a batch was lost. No batch is sent before the server has told whether this one
    /// arrived.
    Lost {
        /// The input rows in it.
        rows: Range<u64>,
        /// Why there is no answer.
        why: String,
    },
    /// A batch whose answer was lost, or which an earlier run has sent, was found on the server.
    Found {
        /// The batch.
        batch: BatchId,
        /// The input rows in it.
        rows: Range<u64>,
    },
    /// The org did not tell what is left of its daily allowances, so that could not be
    /// [looked at](crate::Job::preflight) before the start.
    Unchecked {
        /// Why.
        why: String,
    },
    /// The answer to a job's creation was lost. If the server did create it, it stays behind empty
    /// and open; no row was ever sent to it, and the server closes it by age.
    Orphan,
    /// The job was closed: it takes no more batches, those it has are worked off.
    Closed(JobId),
    /// The job was aborted: what had not started never will.
    Aborted(JobId),
    /// The job could not be closed and stays open until someone does.
    LeftOpen {
        /// The job.
        job: JobId,
        /// Why.
        why: String,
    },
}

/// What a run came to. For a load, `rows = succeeded + failed + unprocessed + unknown` once it is
/// over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The jobs created; usually one.
    pub jobs: Vec<JobId>,
    /// The jobs that could not be closed.
    pub left_open: Vec<JobId>,
    /// Rows fed (a load) or received (a query).
    pub rows: u64,
    /// Rows written.
    pub succeeded: u64,
    /// Rows written that are new records.
    pub created: u64,
    /// Rows refused.
    pub failed: u64,
    /// Rows the server never took or never ran: safe to load again.
    pub unprocessed: u64,
    /// Rows of which nobody can tell from here: never to be loaded again blindly.
    pub unknown: u64,
    /// Batches on the server.
    pub batches: Batches,
    /// Requests made; each counts against the org's daily allowance.
    pub calls: u64,
    /// Bytes of records or SOQL sent.
    pub bytes_sent: u64,
    /// Tries beyond the first, of any request.
    pub retries: u64,
    /// Whether rows that were not fed may be on the server all the same: the run goes on from an
    /// earlier one that may have sent them, and it has not found out.
    pub beyond_unknown: bool,
    /// Whether it ended because [`Job::abort`](crate::Job::abort) was called.
    pub aborted: bool,
}

/// How a run's batches ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// Accepted by the server.
    pub accepted: u64,
    /// Worked to their end.
    pub completed: u64,
    /// Failed as a whole.
    pub failed: u64,
    /// Never run.
    pub not_processed: u64,
}
