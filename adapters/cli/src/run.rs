//! What loads and queries have in common: how a run is begun, told of, and left.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::time::Duration;

use sfbulk_ureq::{
    Error, ErrorKind, Executor, Host, Job, JobId, Note, Plain, Spec, Summary, Transport,
};

use crate::args::Common;
use crate::exit::Exit;
use crate::interrupt;
use crate::org::Org;
use crate::progress::{Count, Progress, Took};

/// What all verbs have in common. The seed keeps clients that start together apart.
pub(crate) fn common(spec: Spec, args: &Common) -> Spec {
    let spec = spec.seed(RandomState::new().hash_one(std::process::id()));
    let spec = match &args.api_version {
        Some(version) => spec.version(version),
        None => spec,
    };
    let spec = args.gzip.into_iter().fold(spec, Spec::gzip);
    if args.no_server_retry { spec.no_server_retries() } else { spec }
}

pub(crate) fn introduce(progress: &mut Progress, org: &Org) {
    if org.is_practice() {
        progress
            .say("practice  embedded org in ./.sfbulk/practice.db; nothing leaves this machine");
    } else {
        progress.say(format_args!("org       {}", org.name));
    }
}

/// Runs a job to its end, or until it has waited long enough; Ctrl-C wakes it. `forget` tells whether
/// the host has forgotten all it was given, so that a result that proved short can be read again.
pub(crate) fn drive<H: Host>(
    job: &mut Job,
    host: &mut H,
    wait: Option<Duration>,
    forget: impl Fn(&mut H) -> bool,
) -> Result<Summary, Error> {
    if let Some(wait) = wait {
        job.leave_after(wait);
    }
    let executor = Executor::new(Transport::default());
    interrupt::wake(executor.waker());
    loop {
        match executor.turn(job, host) {
            Some(Err(error))
                if error.kind() == ErrorKind::Incomplete && forget(host) && job.start_over() => {}
            Some(result) => return result,
            None => {}
        }
    }
}

/// Says what people want to know on the way.
pub(crate) fn say(progress: &mut Progress, note: Note) {
    match note {
        Note::Retry { what, why, wait } => {
            let wait = Took(wait);
            progress.say(format_args!("{what}: {}; again in {wait}", Plain(&why)));
        }
        // A query's message is told with its failure.
        Note::Finished { batch, message: Some(message), state, rows, .. } if !rows.is_empty() => {
            progress.say(format_args!("batch {batch} ended {state}: {}", Plain(&message)));
        }
        Note::Lost { rows, why } => {
            let (rows, why) = (RowsOf(rows), Plain(&why));
            progress.say(format_args!(
                "{rows}: no answer ({why}); asking the org whether they arrived"
            ));
        }
        Note::Found { batch, rows } if !rows.is_empty() => {
            progress.say(format_args!("{}: they had arrived, as batch {batch}", RowsOf(rows)));
        }
        Note::LeftOpen { job, why } => {
            progress.warn(format_args!("job {job} stays open: {}", Plain(&why)));
        }
        Note::Unchecked { why } => {
            progress.say(format_args!("the org's allowances are not known: {}", Plain(&why)));
        }
        Note::Warning(words) => progress.warn(format_args!("the org warns: {}", Plain(&words))),
        Note::Orphan => {
            progress.warn("the answer to the job's creation was lost; it may stay behind, empty");
        }
        _ => {}
    }
}

/// The input rows of a batch, counted from 1 as people do.
struct RowsOf(Range<u64>);

impl fmt::Display for RowsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rows {} to {}", Count(self.0.start + 1), Count(self.0.end))
    }
}

/// How a run ends that did not come to its end, or not to a good one.
pub(crate) fn exit_of(error: &Error, summary: &Summary) -> Exit {
    match error.kind() {
        ErrorKind::Unfinished if interrupt::pending() => Exit::Interrupted,
        ErrorKind::Unfinished => Exit::Unfinished,
        ErrorKind::InputChanged => Exit::NothingSent,
        ErrorKind::Allowance if summary.jobs.is_empty() => Exit::NothingSent,
        _ if summary.calls == 0 => Exit::NothingSent,
        _ => Exit::Failed,
    }
}

/// The command that goes on with a run, or does something else with it.
pub(crate) fn command(verb: &str, job: Option<JobId>) -> String {
    job.map_or_else(|| format!("sfbulk {verb}"), |job| format!("sfbulk {verb} {job}"))
}
