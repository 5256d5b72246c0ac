//! What the tests of sfbulk share: mostly a world without clocks and sockets.
//!
//! - [`server`]: a small model of the service; [`document`]: its answers.
//! - [`script`]: what goes wrong.
//! - [`offline`]: the smallest executor: performs a [`Job`](sfbulk::Job)'s steps in virtual time.
//! - [`dialogue`]: writes down what was said, for snapshots and for comparison.
//! - [`practice`]: a practice org on loopback, for the executors that use sockets.
//! - [`chance`]: repeatable chance, for seeded worlds.

#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc)] // a test panics where it fails

pub mod chance;
pub mod dialogue;
pub mod document;
pub mod offline;
pub mod practice;
pub mod script;
pub mod server;
