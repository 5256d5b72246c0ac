//! What the tests of sfbulk share: a world without clocks and sockets, and a bad one with both.
//!
//! - [`server`]: a small model of the service; [`document`]: its answers; [`records`]: what it
//!   reads and writes in each syntax; [`socket`]: the model on a
//!   loopback port; [`badly`]: the same, but for one request that it answers badly.
//! - [`script`]: what goes wrong; [`faults`]: all that can; [`scenarios`]: situations, as data.
//! - [`desk`]: an application that loads what is laid out for it and keeps what it gets.
//! - [`offline`]: a loop in virtual time that writes down everything, and in which much can happen.
//! - [`dialogue`]: writes down what was said, for snapshots and for comparison.
//! - [`practice`]: a practice org on loopback, for the executors that use sockets.
//! - [`built`]: the programs that tests run.
//! - [`chance`]: repeatable chance, for seeded worlds.
//! - [`targets`]: every reader of bytes, with what it must hold to whatever comes; [`seeds`]: what is
//!   nearly right, for a start; [`mutate`]: what is made of it.

#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc)] // a test panics where it fails

pub mod badly;
pub mod built;
pub mod chance;
pub mod desk;
pub mod dialogue;
pub mod document;
pub mod faults;
pub mod jobs;
pub mod mutate;
pub mod offline;
pub mod oracle;
pub mod practice;
pub mod records;
pub mod scenarios;
pub mod script;
pub mod seeds;
pub mod server;
pub mod simulation;
pub mod socket;
pub mod sweep;
pub mod targets;
pub mod worlds;

/// The front page's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
