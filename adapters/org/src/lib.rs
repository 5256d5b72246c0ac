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
//! # In the tests of an application
//!
//! With `sfbulk-org` beside its front door among the dependencies an application has an org in memory in three lines,
//! and talks to it as to any other:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use sfbulk_org::{Fault, Org, serve};
//! use sfbulk_ureq::{Client, Error, Session};
//!
//! // The application: it imports names, and tells how many of them the org took.
//! fn import(org: &Client, names: &'static [&'static str]) -> Result<u64, Error> {
//!     let rows = names.iter().map(|name| BTreeMap::from([("Name", name)]));
//!     let mut outcomes = org.insert("Account").rows(rows)?;
//!     outcomes.by_ref().try_for_each(|outcome| outcome.map(drop))?;
//!     Ok(outcomes.summary().succeeded)
//! }
//!
//! let server = serve(Org::in_memory()?, 0)?; // a free port, until it is dropped
//! let (url, session) = (server.url(), server.session());
//! let org = Client::new(move || Session::new(&url, session.clone()));
//!
//! assert_eq!(import(&org, &["Northwind", ""])?, 1); // an account needs a name
//!
//! server.fault(Fault::LoseAnswer { batch: 1 }); // now the wire breaks at the worst moment
//! assert_eq!(import(&org, &["Contoso"])?, 1); // found on the server, and not sent again
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same in async colours, under whatever runtime the application has:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use futures_lite::StreamExt;
//! use sfbulk_async_std::{Client, Error, Session};
//! use sfbulk_org::{Org, serve};
//!
//! async fn names(org: &Client) -> Result<Vec<BTreeMap<String, String>>, Error> {
//!     org.query("SELECT Name FROM Account ORDER BY Name")?.try_collect().await
//! }
//!
//! let server = serve(Org::in_memory()?, 0)?;
//! let (url, session) = (server.url(), server.session());
//! let org = Client::new(move || std::future::ready(Session::new(&url, session.clone())));
//!
//! futures_lite::future::block_on(async {
//!     let csv = futures_lite::io::Cursor::new("Name\nNorthwind\nContoso\n");
//!     let mut outcomes = org.insert("Account").csv(csv)?;
//!     while let Some(outcome) = outcomes.next().await {
//!         assert!(outcome?.success());
//!     }
//!     assert_eq!(names(&org).await?[1]["Name"], "Northwind");
//!     Ok::<(), Error>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Who has a [`Host`](sfbulk::Host) of their own can do without sockets and without waiting: an org
//! is a [`Service`](sfbulk::Service), so [`sfbulk::Offline::new(org)`](sfbulk::Offline) runs jobs
//! against it in virtual time, to the same end each time. `job.transcript()` then makes a good
//! snapshot.
//!
//! # What it has
//!
//! **Jobs** of all content types, created by XML or JSON documents, for insert, update,
//! upsert, delete, hardDelete, query and queryAll; all resources of jobs, batches and results; the
//! control documents in the layout of the service. Everything is kept in the database: records, jobs,
//! batches, what was sent and what came of it; jobs older than [`Limits::retention`] stay there, but
//! are not told of.
//!
//! **Objects** (`src/schema.txt`): Account, Contact, Lead, Opportunity, Case, Task, Event, Note,
//! Attachment, Folder, Document, ContentDocument, ContentVersion, Campaign, CampaignMember, Product2,
//! Pricebook2, PricebookEntry, OpportunityLineItem, OpportunityContactRole, Contract, Order,
//! OrderItem, Asset, CaseComment, User, Group, Profile, UserRole, RecordType and Organization, with
//! their usual fields: which of them a record needs, their defaults, lengths and picklists, and those
//! that must be unique. Objects and fields ending in `__c` come into being when a job or a file first
//! names them, as text. A new org has its user, with a profile and a role, its organization, the
//! standard price book, a folder and a queue.
//!
//! **Files.** A job of content type ZIP_CSV, ZIP_XML or ZIP_JSON takes archives of `request.txt`, with
//! the records, and of files; a binary field holds `#` and the name of one. REST gives the file back,
//! byte for byte: `sobjects/Attachment/{id}/Body`. An archive is held to the service's limits while it
//! is unpacked, whatever it says of itself. A new content version makes no ContentDocument.
//!
//! **Parents.** In queries a path leads to the fields of a parent, over five relationships at most:
//! `Account.Owner.Name`; behind a polymorphic one, like `Who`, to what its objects share. Results in
//! JSON and XML have the parents as records within records. In a batch a parent may be named by a key
//! of it: by a column such as `Account.Erp_Key__c` in CSV, by a record within the record in JSON and
//! XML. If it may be of several objects and more than one of them has such a key, its type is told as
//! well, as in `Contact:Who.Email`; `Owner.Username` does without, since queues have none. A custom
//! field `Plant__c` is a text that may hold an id: `Plant__r` is the record of the object `Plant__c`,
//! or else of the standard object `Plant`, with that id. Where there is no such object, a batch or a
//! query with that relationship fails.
//!
//! **SOQL** over one object and its parents: a list of fields; `WHERE` with comparisons, `LIKE`,
//! `IN`, `INCLUDES` and `EXCLUDES` (on custom fields), `AND`, `OR`, `NOT`, dates, moments and date
//! literals; `ORDER BY` and `LIMIT`. queryAll sees the recycle bin, query does not.
//!
//! **PK chunking** of every object's queries, with `chunkSize` and `startRow`; of `parent` it takes
//! the object itself alone, since there are no shares and histories. `useSampledData` is refused.
//! See below for how chunks come.
//!
//! **Transformation specs** of CSV loads: columns, default values, hints for dates (patterns of Java
//! made of numbers and literals; names of months and zones are not read) and booleans (regular
//! expressions, without look-around), and the whole name of a contact or lead as its first and last
//! name. Foreign files are UTF-8 here; the service reads other encodings too.
//!
//! **Headers**: gzip both ways; `Sforce-Enable-PKChunking`, `Sforce-Line-Ending`,
//! `Sforce-Disable-Batch-Retry` and `Sforce-Call-Options` with the creation of a job, of which
//! [`Org::header`] tells; `Location` with a new batch, and a `Warning` with each answer of a version
//! whose retirement is announced. An `assignmentRuleId` is checked and told of, but no rule is run.
//!
//! **Deletes** take along what goes with a record:
//!
//! | deleted | goes too |
//! |---|---|
//! | Account | its contacts, opportunities, contracts, orders, assets |
//! | Opportunity | its line items and contact roles |
//! | Contact | its contact roles |
//! | Contact, Lead, Campaign | its campaign members |
//! | Case | its comments |
//! | Order | its items |
//! | Product2, Pricebook2 | its price book entries |
//! | ContentDocument | its versions |
//! | whatever they are about | tasks, events, notes, attachments |
//!
//! and so on with what goes with those. Any other reference to a deleted record is emptied, such as
//! the account of a case; but a record that cannot be without it stands in the way (`DELETE_FAILED`):
//! a line item for its price book entry, a document for its folder. A hardDelete leaves nothing of
//! all this, in the recycle bin neither.
//!
//! **REST**, as far as bulk clients ask for it on the way: the versions, the resources,
//! describeGlobal and describe, the contents of binary fields, `limits`, `userinfo`, and `query` and `queryAll` in pages of 2,000
//! rows, with the SOQL above.
//!
//! **Logins**: SOAP `login()` up to version 64.0, and OAuth 2.0 in all its flows, for one app and one
//! user; their names and secrets are in [`login`], and [`login::Logins`] says what is forbidden.
//!
//! What the service has and the practice org has not is refused where the service would refuse
//! something: a query with more than that when it is run, the schema of the service (`AsyncApi.xsd`) as not found. Nothing is quietly done in part.
//!
//! # What can be forbidden, and what can go wrong
//!
//! [`Limits`] lowers each limit of the service for a test, [`Permissions`] takes rights away.
//! A [`Fault`] is armed by name and counts requests as they come, so it strikes the same one every
//! time, unless several are under way together:
//!
//! ```
//! # use bytes::Bytes;
//! # use http::Request;
//! # use sfbulk::Time;
//! use sfbulk_org::{Fault, NoAnswer, Org};
//!
//! let mut org = Org::in_memory()?;
//! org.fault(Fault::LoseCreate);
//! # let create = Request::post("/services/async/66.0/job")
//! #     .header("X-SFDC-Session", org.session())
//! #     .header("Content-Type", "application/json")
//! #     .body(Bytes::from(r#"{"operation":"insert","object":"Account","contentType":"CSV"}"#))?;
//! assert_eq!(org.deliver(Time::ZERO, create).unwrap_err(), NoAnswer::Lost); // the job is there
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Org::deliver`] answers as a wire would, and [`serve`] plays the same on its sockets;
//! [`Org::handle`] knows no faults. Whatever a client sends is bounded: bodies packed and unpacked,
//! heads, depth and breadth of documents, connections, and the time for each of them.
//!
//! # How time passes
//!
//! A new org begins on 2026-01-01 ([`Config::epoch`] says otherwise; the command has it begin now), an
//! older one where it stopped or at that moment, whichever is later. Then the caller's clock goes on.
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
//! A query that is to be split adds its chunks one after the other, the first when its time has come
//! and each next one a third of the latency later:
//!
//! ```text
//!         added    ⅓ latency       latency     + ⅓        + ⅓
//! query     │── Queued ──│── InProgress ─────────────────────│── NotProcessed
//! chunk 1                             │── Queued ──│── InProgress ─────────│── Completed
//! chunk 2                                        │── Queued ──│── …
//! ```
//!
//! # What is decided where the documents are silent
//!
//! * The first chunk begins at the object's first record, deleted ones included, or at `startRow`; an
//!   object without records is one empty chunk. A job that is closed too early gets its chunks all
//!   the same; the chunks of an aborted one end where they are, and so does its query,
//!   `NotProcessed`. A query that was split does not count among the batches of its job.
//! * A header of PK chunking that is not understood is refused with `InvalidJob`, names in it are
//!   read without regard to case, and a job that is no query's does not look at it.
//! * A second transformation spec takes the place of the first, until there are batches. A value
//!   that does not fit its date pattern is read as if there were none. A row of a foreign file that
//!   is not as wide as its header fails by itself; a column that the spec names and the file has not
//!   fails the batch.
//! * In every format `#N/A` stands for null, as it must in CSV. An empty value says nothing.
//! * JSON's `attributes` of a record are passed over; a name that a record has twice is an error.
//! * A row with more or fewer values than the header has columns fails by itself.
//! * Line breaks inside values come back as they were sent, unless the job says `LF` or `CRLF`; the
//!   service may turn CRLF into LF.
//! * Text compares without regard to case in SOQL and as a key, for ASCII letters.
//! * A field ending in `__c` may be the key of an upsert or of a parent; it need not be unique, and
//!   it is kept when the record whose id it holds is deleted.
//! * The service wants the type of every polymorphic parent; here it may be left out where one object
//!   alone has such a key.
//! * Records of one JSON or XML batch may name a parent in different ways; one that names it in two
//!   fails by itself.
//! * A row finds a parent that an earlier row of its batch brought in.
//! * A row whose parent's key has several records fails with `DUPLICATE_EXTERNAL_ID`.
//! * Rules that bind several fields or records are not kept: a campaign member needs neither a lead
//!   nor a contact, an event no date, a price no standard price before it.
//! * The days of date literals are those of UTC, weeks begin on Sunday, and the fiscal year is the
//!   calendar year.
//! * CSV results are `text/csv` without a charset, which some clients compare as a whole.
//! * A binary field cannot be selected; the words for it are made after those for addresses.
//! * Several rows of a batch may mean the same record; the last one stays.
//!
//! # Reading the source
//!
//! `org` receives a request, finds its `route` and what is `wanted`; `rest` answers what is not bulk,
//! with `describe`, and `login` who wants a session; `jobs` holds jobs and batches and what time makes of them; `work` does what is
//! due, by `ingest` (with `columns` for the names of fields, a `loader` for the records and `delete`
//! for what goes with them) or `chunks` and `query`; `headers` and `transform` are what more a client
//! may say of a job; `store` is the database. Records come in as a `table`, from
//! `csv`, `records_json` or `records_xml`, perhaps out of an `archive`, and go out as `outcomes` or `rows`, in a `format`;
//! `schema`, `value`, `calendar` and `ids` are what they are made of; `soql` turns queries into SQL.
//! `documents`, `answer` and `gzip` make the answers; `fault` names what can go wrong, `chaos`
//! draws from it and `trouble` plays it; `serve` is the listener.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answer;
mod archive;
mod calendar;
mod chaos;
mod chunks;
mod columns;
mod config;
mod csv;
mod delete;
mod describe;
mod documents;
mod error;
mod fault;
mod format;
mod gzip;
mod headers;
mod ids;
mod ingest;
mod jobs;
mod loader;
pub mod login;
mod offline;
mod org;
mod outcomes;
mod query;
mod records_json;
mod records_xml;
mod rest;
mod route;
mod rows;
mod schema;
mod serve;
mod soql;
mod store;
mod table;
mod transform;
mod trouble;
mod usage;
mod value;
mod wanted;
mod work;

pub use config::{Config, Limits, Permissions};
pub use error::OrgError;
pub use fault::{Call, Fault, UnknownFault};
pub use org::Org;
pub use serve::{Server, serve};
pub use trouble::NoAnswer;
