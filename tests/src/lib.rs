//! What the tests of sfbulk share: a world without clocks and sockets, and a bad one with both.
//!
//! - [`server`]: a small model of the service; [`document`]: its answers; [`socket`]: the model on a
//!   loopback port; [`badly`]: the same, but for one request that it answers badly.
//! - [`script`]: what goes wrong; [`scenarios`]: situations, as data.
//! - [`desk`]: an application that loads what is laid out for it and keeps what it gets.
//! - [`offline`]: the smallest executor: performs a [`Job`](sfbulk::Job)'s steps in virtual time.
//! - [`dialogue`]: writes down what was said, for snapshots and for comparison.
//! - [`chance`]: repeatable chance, for seeded worlds.

#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc)] // a test panics where it fails

pub mod badly;
pub mod chance;
pub mod desk;
pub mod dialogue;
pub mod document;
pub mod offline;
pub mod scenarios;
pub mod script;
pub mod server;
pub mod socket;
