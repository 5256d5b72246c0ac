//! The practice org asked through its front door, in virtual time.

mod client;
mod deletes;
mod fuzz;
mod objects;
mod parents;
mod persistence;
mod records;
mod serving;
mod soql;
mod walk;
mod wire;
