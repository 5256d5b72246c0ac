//! The core of **sfbulk**, a client for the Salesforce Bulk API: a state machine that says which
//! requests to make and is told what came of them, and the data plane around it. It opens no
//! socket and no file, starts no thread, and has no clock; executors do that in a plain loop, such
//! as those of `sfbulk-ureq`. If you only want to load or query records, begin there.
//!
//! # Two planes
//!
//! The *control plane* is [`Job`]: create a job, submit its batches, poll them, close it, retrieve
//! every result, abort at any time, retry what may be retried. It sees counts, never rows.
//! The *data plane* is [`rows`]: text or serde rows are cut into batches, results are framed,
//! counted, and decoded if somebody asks. Records that nobody looks into are never decoded.
//!
//! ```text
//!   rows ──► Cutter ──► Batch ──► Job ──► Step::Send(Call) ──► HTTP, somebody else's business
//!                                  ▲                            │
//!                                  └── Reply ◄── Intake ◄───────┘
//!                                                  │
//!   rows ◄── Decoder ◄── Page ◄────────────────────┘
//! ```
//!
//! # A job, step by step
//!
//! This is a whole executor, with a table in place of a network:
//!
//! ```
//! use sfbulk::rows::{Limits, RowCutter};
//! use sfbulk::{Job, Page, Session, Spec, Step, Time};
//!
//! # const JOB: &str = "<jobInfo><id>750000000000001AAA</id></jobInfo>";
//! # const BATCH: &str = "<batchInfo><id>751000000000001AAA</id><jobId>750000000000001AAA</jobId>\
//! #     <state>Completed</state><numberRecordsProcessed>1</numberRecordsProcessed></batchInfo>";
//! # const RESULT: &str = "\"Id\",\"Success\",\"Created\",\"Error\"\n\
//! #     \"001000000000001AAA\",\"true\",\"true\",\"\"\n";
//! fn server(request: &http::Request<bytes::Bytes>) -> &'static str {
//!     match (request.method().as_str(), request.uri().path().rsplit('/').next()) {
//!         ("POST", Some("batch")) => BATCH,
//!         ("GET", Some("result")) => RESULT,
//!         _ => JOB, // create, close
//!     }
//! }
//!
//! let mut rows = RowCutter::new(Limits::default());
//! rows.push(&[("Name", "Northwind")].into_iter().collect::<std::collections::BTreeMap<_, _>>())?;
//!
//! let mut job = Job::new(Spec::insert("Account"))?;
//! let summary = loop {
//!     match job.poll(Time::ZERO) {
//!         Step::Feed(_) => match rows.finish()? {
//!             Some(batch) => job.feed(batch),
//!             None => job.end(),
//!         },
//!         Step::Login(_) => job.login(Session::new("https://acme.my.salesforce.com", "00D!x")?),
//!         Step::Send(call) => {
//!             let (head, body) = http::Response::new(server(&call.request)).into_parts();
//!             let mut intake = call.expect.open(head); // counts, frames, bounds
//!             intake.push(body.as_bytes()).expect("a page, or none yet");
//!             let (page, reply) = intake.finish();
//!             if let Some(Page::Outcomes(outcomes)) = page {
//!                 assert!(outcomes[0].created());
//!             }
//!             job.reply(call.tag, Time::ZERO, reply);
//!         }
//!         Step::Settled(outcomes) => panic!("rows without a result: {outcomes:?}"),
//!         Step::Note(note) => println!("{note:?}"),
//!         Step::Save => {} // nobody will go on with this run
//!         Step::Wait(_) => unreachable!("this network answers at once"),
//!         Step::Done(result) => break result?,
//!     }
//! };
//! assert_eq!((summary.rows, summary.succeeded, summary.failed), (1, 1, 0));
//! # Ok::<(), sfbulk::Error>(())
//! ```
//!
//! # What holds, always
//!
//! The laws of the machine are on the page of [`job`]; what the project guarantees, with the
//! numbers used in tests and commits (G1 …), in the README of this crate.
//!
//! # Errors
//!
//! Every function that fails does so with [`Error`]: what was asked, of which job, batch and rows,
//! what was answered, whether the org may have changed, and what to do. No error, no `Debug` and
//! no transcript holds a session, not even where a server repeats it.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod backoff;
mod call;
mod checkpoint;
mod document;
mod errand;
mod error;
mod gzip;
mod host;
mod id;
mod info;
pub mod job;
mod judge;
mod ledger;
pub mod login;
mod offline;
mod pace;
mod print;
mod replay;
pub mod rows;
mod secret;
mod session;
mod soql;
mod spec;
mod step;
mod text;
mod time;
mod transcript;
mod xml;

pub use call::{Call, Count, Expect, Failure, Intake, Page, Received, Reply, Tag};
pub use checkpoint::Checkpoint;
pub use document::{Document, Format};
pub use error::{Changed, Error, ErrorInfo, ErrorKind, Plain};
pub use host::Host;
pub use id::{BatchId, JobId, RecordId, ResultId};
pub use info::{
    Allowances, BatchInfo, BatchState, ConcurrencyMode, ContentType, ExceptionCode, IngestResult,
    JobInfo, JobState, Operation, RecordError, Syntax,
};
pub use job::Job;
pub use offline::{Offline, Service};
pub use print::{Fingerprint, Printer};
pub use replay::Difference;
pub use secret::Secret;
pub use session::Session;
pub use spec::{Bounds, LineEnding, PkChunking, Spec};
pub use step::{Ask, Batches, Note, Reason, Step, Summary, Turn};
pub use time::Time;
pub use transcript::Transcript;
