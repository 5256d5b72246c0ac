//! Runs that are not over: going on with one, ending one, listing them.

use std::io::{self, Write};

use sfbulk_ureq::Plain;

use crate::args::Resume;
use crate::exit::{Exit, Failure};
use crate::journal::{Entry, Journal, Run, Taken, Task};
use crate::progress::{Took, complain};
use crate::report::{Report, What};
use crate::run::command;
use crate::{load, query};

/// `sfbulk resume` and, if it `aborts`, `sfbulk abort`.
pub(crate) fn run(args: &Resume, aborts: bool) -> Result<Exit, Failure> {
    resume(args, aborts).inspect_err(|failure| {
        if args.manner.json {
            Report::nothing_sent(None, What::no_load(failure), failure).print();
        }
    })
}

fn resume(args: &Resume, aborts: bool) -> Result<Exit, Failure> {
    let (journal, entry) = match &args.job {
        Some(job) => named(job)?,
        None => newest()?,
    };
    match entry.task.clone() {
        Task::Load(plan) => load::resume((journal, entry), *plan, &args.manner, aborts),
        Task::Query { output } => query::resume((journal, entry), &output, &args.manner, aborts),
    }
}

/// The newest run that no process is at.
fn newest() -> Result<(Journal, Entry), Failure> {
    let runs = Run::all()?;
    let mut running = None;
    for run in &runs {
        match run.take()? {
            Taken::Here(taken) => {
                if runs.len() > 1 {
                    let (which, others) = (command("resume", run.entry.job()), runs.len() - 1);
                    complain(&format_args!(
                        "this is {which}; {others} more not over: sfbulk jobs lists them"
                    ));
                }
                return Ok(*taken);
            }
            Taken::Running => running = running.or(Some(run)),
            Taken::Over => {}
        }
    }
    let none = || Failure::nothing_sent("there is no run to go on with: all are over");
    Err(running.map_or_else(none, still_running))
}

/// The run that has such a job.
fn named(job: &str) -> Result<(Journal, Entry), Failure> {
    let mut runs = Run::all()?;
    runs.retain(|run| run.is_meant_by(job));
    match &runs[..] {
        [] => Err(Failure::nothing_sent(format!(
            "there is no run with a job {job:?} to go on with: it is over, or it was begun by \
             another user or on another machine"
        ))),
        [run] => match run.take()? {
            Taken::Here(taken) => Ok(*taken),
            Taken::Running => Err(still_running(run)),
            Taken::Over => Err(Failure::nothing_sent("this run has just come to its end")),
        },
        many => {
            let many = many.len();
            Err(Failure::nothing_sent(format!("{many} runs have a job {job:?}: say more of it")))
        }
    }
}

fn still_running(run: &Run) -> Failure {
    let job = run.entry.job().map_or("it has no job yet".into(), |id| format!("job {id}"));
    Failure::failed(format!("this run ({job}) is still going on in another process"))
}

/// `sfbulk jobs`.
pub(crate) fn list() -> Result<Exit, Failure> {
    for Run { entry, .. } in Run::all()? {
        let (batches, sent) = entry.checkpoint.batches();
        let spec = entry.checkpoint.spec();
        let what = format!("{} {}", spec.operation(), spec.object());
        let (age, resume) = (Took(entry.age()), command("resume", entry.job()));
        let what = Plain(&what);
        let line = format_args!(
            "{what}   begun {age} ago   {sent} of {batches} batches sent   {resume}\n"
        );
        if io::stdout().write_fmt(line).is_err() {
            break; // nobody reads on
        }
    }
    Ok(Exit::Good)
}
