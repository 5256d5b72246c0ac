//! Async executor and front door of [sfbulk], on [hyper](https://docs.rs/hyper) and
//! [async-std](https://docs.rs/async-std).
//!
//! ```no_run
//! use futures_lite::StreamExt;
//! use serde::{Deserialize, Serialize};
//! use sfbulk_async_std::{Client, session_from_env};
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
//! async fn example() -> Result<(), sfbulk_async_std::Error> {
//!     let org = Client::new(session_from_env); // called again whenever the session expires
//!     let accounts = ["Northwind", "Contoso"].map(|name| Account { name: name.into() });
//!     let mut outcomes = org.insert("Account").rows(accounts)?;
//!     while let Some(outcome) = outcomes.next().await {
//!         let outcome = outcome?;
//!         if outcome.row_error().is_some() {
//!             eprintln!("row {} was refused: {}", outcome.row + 1, outcome.message());
//!         }
//!     }
//!     let mut contacts = org.query::<Contact>("SELECT Email FROM Contact")?;
//!     while let Some(contact) = contacts.next().await {
//!         println!("{:?}", contact?.email);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`Client`] is the front door; all decisions are the machine's. [`Client::run`] drives a [`Job`] of
//! your own, with a [`Host`] of your own.
//!
//! # Any runtime
//!
//! Nothing is spawned, and no runtime is asked for: a stream moves when it is polled, under
//! async-std, tokio or smol, in a task or in `block_on`. async-std starts a few threads of its own,
//! once for the whole process, which wait for sockets and timers, look up names and write
//! [files](Client::query_file); a run adds none. Streams and futures are `Send`, so a work-stealing
//! runtime may move them.
//!
//! # Stopping
//!
//! The future of `next()` holds nothing: drop it, in a `select` or by a time-out, and ask again;
//! every row still comes once. Dropping the stream stops the run: connections with requests under
//! way are closed, and nothing more is sent; a file that is not whole is removed. The job is left
//! open in the org, which works off the batches it has and closes it by age. To leave in good order,
//! call [`Outcomes::abort`] and read on to the end.
//!
//! # Going on after a crash
//!
//! ```no_run
//! # use sfbulk_async_std::{Client, Error, Outcomes};
//! # use futures_lite::AsyncRead;
//! # type File = Box<dyn AsyncRead + Send + Unpin>;
//! async fn accounts(org: &Client, input: File, again: bool) -> Result<Outcomes, Error> {
//!     let load = org.insert("Account");
//!     if again {
//!         load.resume_from("accounts.checkpoint").await?.csv(input) // the same, from its first row
//!     } else {
//!         load.checkpoint_to("accounts.checkpoint").await?.csv(input)
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
//! A thread of the pool stores it, and the run waits until it is on the disk. If the run is dropped
//! meanwhile, the file is free for the next one a moment later.
//!
//! # async-std's end
//!
//! async-std is discontinued in favour of smol (RUSTSEC-2025-0052, August 2025): unmaintained, not
//! vulnerable; the crates it is made of are maintained. All that names it is one file, `net.rs`: a
//! socket, a timer, a time-out. Should the day come, that file is ported and the crate renamed;
//! hyper, rustls and everything else here ask only for the traits of `futures-io`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod calls;
mod client;
mod connection;
mod file;
mod keeper;
mod net;
mod proxy;
mod run;
mod source;
mod tls;
mod transport;

pub use client::{Client, Load, Outcomes, Query, Records, session_from_env};
pub use sfbulk::*;
