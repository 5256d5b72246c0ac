//! The command `sfbulk`: one CSV in, a file of what succeeded and one of what did not.
//!
//! | file | what it does |
//! |---|---|
//! | `args` | what can be typed |
//! | `load`, `query`, `resume`, `practice` | the verbs, top-down |
//! | `desk` | the host of a load |
//! | `run`, `operation` | what verbs have in common, and what tells loads apart |
//! | `journal` | what it takes to go on with a run that was cut off |
//! | `org` | which org is meant |
//! | `input` | the CSV file, judged before anything is sent |
//! | `results` | every row of it into one of four files |
//! | `output` | files, readable by their owner only |
//! | `report`, `tally`, `progress` | what is said, and how often which error came |
//! | `exit`, `interrupt` | how it ends |

#![forbid(unsafe_code)]

mod args;
mod desk;
mod exit;
mod input;
mod interrupt;
mod journal;
mod load;
mod operation;
mod org;
mod output;
mod practice;
mod progress;
mod query;
mod recast;
mod report;
mod results;
mod resume;
mod run;
mod tally;

use std::process::ExitCode;

use clap::Parser;
use sfbulk::Plain;

use crate::args::{Args, Verb};
use crate::operation::Operation;
use crate::progress::Things;

fn main() -> ExitCode {
    let done = match Args::parse().verb {
        Verb::Insert(args) => load::run(&Operation::Insert, &args),
        Verb::Update(args) => load::run(&Operation::Update, &args),
        Verb::Upsert { load, key } => load::run(&Operation::Upsert { key }, &load),
        Verb::Delete(args) => load::run(&Operation::Delete, &args),
        Verb::HardDelete { load, yes } => load::run(&Operation::HardDelete { sure: yes }, &load),
        Verb::Query(args) => query::run(&args),
        Verb::Resume(args) => resume::run(&args, false),
        Verb::Abort(args) => resume::run(&args, true),
        Verb::Jobs => resume::list(),
        Verb::Practice { verb: args::Practice::Serve { port, faults } } => {
            practice::serve(port, faults)
        }
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            progress::complain(&failure);
            if let Some((rows, path)) = &failure.kept {
                let (rows, path) = (Things(*rows, "row"), path.display().to_string());
                progress::complain(&format_args!("{rows} kept in {}: load the file", Plain(&path)));
            }
            failure.exit.into()
        }
    }
}
