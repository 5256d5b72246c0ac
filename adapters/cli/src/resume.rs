//! Runs that are not over: going on with one, ending one, listing them.

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
    let run = which(args.job.as_deref())?;
    let (journal, entry) = take(&run)?;
    match entry.task.clone() {
        Task::Load(plan) => load::resume((journal, entry), plan, &args.manner, aborts),
        Task::Query { output } => query::resume((journal, entry), &output, &args.manner, aborts),
    }
}

/// The run that is meant: one with such a job, or else the newest.
fn which(job: Option<&str>) -> Result<Run, Failure> {
    let mut runs = Run::all()?;
    let Some(job) = job else {
        if runs.is_empty() {
            return Err(Failure::nothing_sent("there is no run to go on with: all are over"));
        }
        if runs.len() > 1 {
            let others = runs.len() - 1;
            complain(&format_args!(
                "this is the newest run; {others} more are not over: sfbulk jobs lists them"
            ));
        }
        return Ok(runs.swap_remove(0));
    };
    runs.retain(|run| run.is_meant_by(job));
    match runs.len() {
        0 => Err(Failure::nothing_sent(format!(
            "there is no run with a job {job:?} to go on with: it is over, or it was begun by \
             another user or on another machine"
        ))),
        1 => Ok(runs.swap_remove(0)),
        many => {
            Err(Failure::nothing_sent(format!("{many} runs have a job {job:?}: say more of it")))
        }
    }
}

fn take(run: &Run) -> Result<(Journal, Entry), Failure> {
    match run.take()? {
        Taken::Here(taken) => Ok(*taken),
        Taken::Running => {
            let job = run.entry.job().map_or("it has no job yet".into(), |id| format!("job {id}"));
            Err(Failure::failed(format!("this run ({job}) is still going on in another process")))
        }
        Taken::Over => Err(Failure::nothing_sent("this run has just come to its end")),
    }
}

/// `sfbulk jobs`.
pub(crate) fn list() -> Result<Exit, Failure> {
    for Run { entry, .. } in Run::all()? {
        let (batches, sent) = entry.checkpoint.batches();
        let spec = entry.checkpoint.spec();
        let what = format!("{} {}", spec.operation(), spec.object());
        let (age, resume) = (Took(entry.age()), command("resume", entry.job()));
        println!(
            "{}   begun {age} ago   {sent} of {batches} batches sent   {resume}",
            Plain(&what)
        );
    }
    Ok(Exit::Good)
}
