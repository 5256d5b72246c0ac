//! Blocking executor and front door of [sfbulk], on [ureq](https://docs.rs/ureq).
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use sfbulk_ureq::{Client, session_from_env};
//!
//! #[derive(Serialize)]
//! struct Account {
//!     #[serde(rename = "Name")]
//!     name: String,
//! }
//!
//! #[derive(Deserialize)]
//! struct Contact {
//!     #[serde(rename = "Email")]
//!     email: Option<String>,
//! }
//!
//! fn main() -> Result<(), sfbulk_ureq::Error> {
//!     let org = Client::new(session_from_env); // called again whenever the session expires
//!     let accounts = ["Northwind", "Contoso"].map(|name| Account { name: name.into() });
//!     for outcome in org.insert("Account").rows(accounts)? {
//!         let outcome = outcome?;
//!         if outcome.row_error().is_some() {
//!             eprintln!("row {} was refused: {}", outcome.row + 1, outcome.message());
//!         }
//!     }
//!     for contact in org.query::<Contact>("SELECT Email FROM Contact")? {
//!         println!("{:?}", contact?.email);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Dropping an iterator before its end stops sending. The job is then left open in the org, which
//! works off the batches it has and closes it by age; to leave in good order, call
//! [`Outcomes::abort`] and read on to the end.
//!
//! # Going on after a crash
//!
//! ```no_run
//! # use std::{fs::File, path::Path};
//! # use sfbulk_ureq::{Client, Error, Outcomes};
//! fn accounts(org: &Client, input: File) -> Result<Outcomes, Error> {
//!     let (load, checkpoint) = (org.insert("Account"), Path::new("accounts.checkpoint"));
//!     if checkpoint.exists() {
//!         load.resume_from(checkpoint)?.csv(input) // the same input, from its first row
//!     } else {
//!         load.checkpoint_to(checkpoint)?.csv(input)
//!     }
//! }
//! ```
//!
//! While its file is there, a run is unfinished: it goes on with [`Load::resume_from`] or
//! [`Query::resume_from`], whether it was killed, dropped, [left](Load::leave_after), or ended with
//! an error. No row is loaded twice, and every outcome and record comes again, from the first one:
//! who writes files of them starts these anew. If the file is not there, the run has ended well or
//! has not created a job yet; which of the two, the program must tell from what it has noted itself.
//!
//! [`Client`] is the front door. Behind it, [`Executor`] performs what a [`Job`] asks for; use it
//! directly with a [`Host`] of your own for full control. All decisions are the machine's.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod client;
mod connect;
mod executor;
mod source;
mod transport;

pub use client::{Client, Load, Outcomes, Query, Records, session_from_env};
pub use executor::{Executor, Waker};
pub use sfbulk::*;
pub use sfbulk_draft::Draft;
pub use source::CsvSource;
pub use transport::Transport;
