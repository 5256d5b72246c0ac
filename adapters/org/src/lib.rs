//! A practice org: the server side of the Salesforce Bulk API (the classic one, "1.0"), on SQLite.
//!
//! It is there so that loads can be tried, tested and rehearsed without an org: records really get
//! in, bad ones are refused in the vendor's words, queries bring them back. It knows nothing of the
//! client in this repository and is meant to be as good to any other.
//!
//! Two ways to use it:
//!
//! * **As a function.** [`Org::handle`] answers a request at a moment that the caller names. There
//!   is no clock behind it, so a load of hours can be played in milliseconds, and the same
//!   conversation always has the same answers.
//! * **As a server.** [`serve`] puts it on a loopback port, where it speaks HTTP/1.1 to curl,
//!   Python, JavaScript or Java.
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use sfbulk::Time;
//! use sfbulk_org::Org;
//!
//! let mut org = Org::in_memory()?;
//! let create = Request::post("/services/async/66.0/job")
//!     .header("X-SFDC-Session", org.session())
//!     .header("Content-Type", "application/json")
//!     .body(Bytes::from(r#"{"operation":"insert","object":"Account","contentType":"CSV"}"#))?;
//! let answer = org.handle(Time::ZERO, create);
//! assert_eq!(answer.status(), 201);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it has
//!
//! Jobs of content type CSV, created by XML or JSON documents, for insert, update, upsert, delete,
//! hardDelete, query and queryAll; all resources of jobs, batches and results; the control documents
//! in the layout of the service. Account, Contact, Lead, Opportunity, Case, Task and User with their
//! usual fields (`src/schema.txt`); objects and fields ending in `__c` come into being when a job or
//! a file first names them, as text. SOQL over one object: a list of fields, `WHERE`, `ORDER BY`,
//! `LIMIT`. Everything is kept in the database: records, jobs, batches, what was sent and what came
//! of it, without an end to its retention.
//!
//! What the service has and the practice org has not is refused where the service would refuse
//! something: a job with another content type when it is created, a query with more than that when
//! its batch is processed. Nothing is quietly done in part. Deletes do not cascade.
//!
//! # How time passes
//!
//! ```text
//!         added          ⅓ latency                        latency
//!           │── Queued ──────│────────── InProgress ─────────│── Completed or Failed
//! ```
//!
//! A batch's moments are fixed when it is added (in a serial job, behind the serial batches before
//! it). The work is done when the first request at or after the last moment comes, in one
//! transaction, and is dated with that moment. An abort turns queued batches into `NotProcessed`;
//! those in progress go on to their end.
//!
//! # What is decided where the documents are silent
//!
//! * A row with more or fewer values than the header has columns fails by itself.
//! * Line breaks inside values come back as they were sent; the service may turn CRLF into LF.
//! * Text compares without regard to case in SOQL and as a key, for ASCII letters.
//! * A field ending in `__c` may be the key of an upsert; it need not be unique.
//! * Several rows of a batch may mean the same record; the last one stays.
//!
//! # Reading the source
//!
//! `org` receives a request and finds its `route`; `jobs` holds jobs and batches and what time makes
//! of them; `work` does what is due, by `ingest` (with a `loader` for its rows) or `query`; `store` is the database; `schema`,
//! `value`, `csv`, `calendar` and `ids` are what records are made of; `soql` turns queries into SQL;
//! `documents`, `answer` and `gzip` make the answers; `serve` is the listener.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answer;
mod calendar;
mod columns;
mod config;
mod csv;
mod delete;
mod documents;
mod error;
mod gzip;
mod ids;
mod ingest;
mod jobs;
mod loader;
mod org;
mod query;
mod route;
mod schema;
mod serve;
mod soql;
mod store;
mod value;
mod work;

pub use config::Config;
pub use error::OrgError;
pub use org::Org;
pub use serve::{Server, serve};
