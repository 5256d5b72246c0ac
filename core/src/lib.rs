//! Stub: the front page is written last.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod backoff;
mod call;
mod document;
mod errand;
mod error;
mod id;
mod info;
pub mod job;
mod judge;
mod ledger;
mod print;
pub mod rows;
mod session;
mod soql;
mod spec;
mod step;
mod time;
mod xml;

pub use call::{Call, Expect, Failure, Intake, Page, Received, Reply, Tag};
pub use document::{Document, Format};
pub use error::{Changed, Error, ErrorInfo, ErrorKind, Plain};
pub use id::{BatchId, JobId, RecordId, ResultId};
pub use info::{
    BatchInfo, BatchState, ConcurrencyMode, ContentType, ExceptionCode, IngestResult, JobInfo,
    JobState, Operation, RecordError,
};
pub use job::Job;
pub use print::{Fingerprint, Printer};
pub use session::Session;
pub use spec::{Bounds, Spec};
pub use step::{Ask, Batches, Note, Reason, Step, Summary};
pub use time::Time;
