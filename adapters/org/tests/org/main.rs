//! The practice org asked through its front door, in virtual time.

mod archives;
mod chunks;
mod client;
mod deletes;
mod faults;
mod formats;
mod fuzz;
mod headers;
mod logins;
mod nesting;
mod objects;
mod parents;
mod persistence;
mod records;
mod refusals;
mod rest;
mod serving;
mod soql;
mod transform;
mod walk;
mod wire;
