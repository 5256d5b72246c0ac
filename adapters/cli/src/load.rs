//! The loads: insert, update, upsert, delete, hard-delete.
//!
//! Everything that can be known to be wrong is found before the first request: the arguments, the
//! org's name, every row of the input, the place for the results and for the journal. Then the
//! machine runs, and every outcome is written as it comes. A run that is resumed begins with what
//! its journal says in the arguments' place.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sfbulk::rows::{Limits, Source};
use sfbulk_ureq::{Batches, Job, Spec, Syntax};

use crate::args::{Load, Manner};
use crate::desk::{Desk, say_what_was_removed, what};
use crate::exit::{Exit, Failure, in_words};
use crate::files::{self, Files};
use crate::input::{Columns, ERROR, ID, Input, Origin};
use crate::interrupt;
use crate::journal::{Entry, Journal, Task};
use crate::operation::Operation;
use crate::org::Choice;
use crate::progress::{Progress, Things, complain, put};
use crate::recast::batches;
use crate::report::{Report, What};
use crate::results::{Places, Results};
use crate::run::{common, drive, introduce};

/// Bytes that no transformation spec has: of its fewer than 8,192 characters none has more than four.
const TRANSFORMATION: u64 = 4 * 8_192;

/// What is loaded, and where what became of it goes: enough to begin again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    operation: Operation,
    object: String,
    origin: Origin,
    /// Where the files are that rows name, if they do.
    #[serde(default)]
    files: Option<Files>,
    /// The most rows in a batch. Other batches would not be those of before.
    batch_size: u64,
    places: Places,
}

impl Plan {
    fn limits(&self) -> Limits {
        Limits { records: self.batch_size, ..Limits::default() }
    }

    /// The batches of the input.
    fn source<'a>(
        &self,
        job: &Job,
        input: &'a Input,
        columns: &Columns,
    ) -> Result<Box<dyn Source + 'a>, Failure> {
        Ok(match &self.files {
            Some(files) => Box::new(files.source(job.spec(), self.limits(), input, columns)?),
            None => batches(input.reader(), columns, job.spec().syntax(), self.limits()),
        })
    }
}

/// Runs one load from its arguments to its last line.
pub(crate) fn run(operation: &Operation, args: &Load) -> Result<Exit, Failure> {
    load(operation, args).inspect_err(|failure| {
        if args.manner.json {
            let spec = operation.spec(&args.object);
            Report::nothing_sent(Some(&spec), What::no_load(failure), failure).print();
        }
    })
}

fn load(operation: &Operation, args: &Load) -> Result<Exit, Failure> {
    let job = job(operation, args)?;
    let org = Choice::of(args.common.org.as_deref())?;
    let asks = must_ask(operation)?;
    let journal = Journal::begin()?;
    let input = open(args, &journal)?;
    let places = places(args, &input)?;
    let plan = Plan {
        operation: operation.clone(),
        object: args.object.clone(),
        origin: input.origin.clone(),
        files: Files::of(args),
        batch_size: args.batch_size,
        places: places.absolute(),
    };
    Begin { job, org, journal, input, places, manner: &args.manner, aborts: false }.run(plan, asks)
}

/// Goes on with the load of a journal, or ends it.
pub(crate) fn resume(
    (journal, entry): (Journal, Entry),
    plan: Plan,
    manner: &Manner,
    aborts: bool,
) -> Result<Exit, Failure> {
    let org = Choice::again(entry.org)?;
    let input = Input::again(&plan.origin)?;
    let job = Job::resume(entry.checkpoint)?;
    let places = plan.places.clone().relative();
    Begin { job, org, journal, input, places, manner, aborts }.run(plan, false)
}

/// A load about to start.
struct Begin<'a> {
    job: Job,
    org: Choice,
    journal: Journal,
    input: Input,
    places: Places,
    manner: &'a Manner,
    aborts: bool,
}

impl Begin<'_> {
    fn run(self, mut plan: Plan, asks: bool) -> Result<Exit, Failure> {
        let Self { mut job, org, mut journal, input, places, manner, aborts } = self;
        let columns = Columns::of(&input, &plan.operation, job.spec().transforms())?;
        if plan.files.is_some() {
            // Is it CSV? Only then can its rows be read.
            let mut text = batches(input.reader(), &columns, Syntax::Csv, plan.limits());
            input.judge(&mut *text)?;
        }
        let total = input.judge(&mut *plan.source(&job, &input, &columns)?)?;
        // What is aborted is not loaded.
        if let Some(files) = plan.files.as_mut().filter(|_| !aborts) {
            files.unchanged(&input, &columns)?;
        }
        let source = plan.source(&job, &input, &columns)?;
        let mut results = Results::prepare(&input, columns.clone(), &plan.operation, places)?;
        let mut progress = Progress::new(manner.quiet);
        say_what_is_left_out(&mut progress, &columns);
        if total.rows == 0 {
            return nothing_to_do(&job, &org, &input, results, progress, manner.json);
        }
        if asks {
            ask(&plan.object, total.rows)?;
        }
        job.preflight(total.batches);
        let target = org.target();
        let again = plan.files.as_ref().map(Files::how_to_load);
        let new = journal.is_new();
        let entry = Entry::new(target, Task::Load(Box::new(plan)), job.checkpoint());
        let opened = org.open().and_then(|org| {
            interrupt::watch()?;
            journal.store(entry)?;
            Ok(org)
        });
        let org = opened.map_err(|failure| {
            // Of a run that goes on the journal has the rows; and the org too, perhaps.
            if new { keep(failure, &input, &mut results, total.rows) } else { failure }
        })?;
        introduce(&mut progress, &org);
        let mut desk = Desk {
            org,
            input: &input,
            source,
            results,
            journal,
            total,
            progress,
            job: job.summary().jobs.first().copied(),
            batches: Batches::default(),
            refused: Vec::new(),
            again: again.unwrap_or_else(|| "load the file".into()),
            aborts,
            detaches: manner.detach,
            closed: false,
        };
        let result = drive(&mut job, &mut desk, manner.wait, |_| false);
        Ok(desk.conclude(&job, result.err(), manner.json))
    }
}

fn nothing_to_do(
    job: &Job,
    org: &Choice,
    input: &Input,
    mut results: Results<'_>,
    mut progress: Progress,
    json: bool,
) -> Result<Exit, Failure> {
    results.without_job()?;
    progress.say(format_args!("{} has a header and no rows: nothing to do", input.name));
    say_what_was_removed(&mut progress, &results);
    if json {
        let what = what(&results, 0, job.summary());
        let run = (job, org.name(), 0);
        Report::new(run, progress.elapsed(), what, (Exit::Good, None)).print();
    }
    Ok(Exit::Good)
}

fn say_what_is_left_out(progress: &mut Progress, columns: &Columns) {
    let Some(name) = columns.old_result else { return };
    let file = if name == ERROR { "an earlier error file" } else { "an earlier success file" };
    progress.say(format_args!("the column {name}, from {file}, is left out"));
    if columns.old_id {
        progress.say(format_args!("its first column, {ID}, too: there is another one for ids"));
    }
}

/// Nothing could be sent; rows that nobody else has are written to a file.
fn keep(failure: Failure, input: &Input, results: &mut Results<'_>, total: u64) -> Failure {
    if !input.origin.spooled {
        return failure;
    }
    if let Err(error) = results.keep_all(total) {
        complain(&error);
    }
    match results.unprocessed.written() {
        Some(path) => failure.keeps(results.unprocessed.rows, path.to_owned()),
        None => failure,
    }
}

fn job(operation: &Operation, args: &Load) -> Result<Job, Failure> {
    let spec = spec(operation, args);
    let job = Job::new(spec.clone())?;
    let Some(file) = &args.transformation else { return Ok(job) };
    let text = transformation(file).map_err(|error| {
        let why = in_words(&error);
        Failure::nothing_sent(format!("the transformation spec cannot be read: {why}"))
    });
    // All else is good, so what is wrong now is wrong with the file.
    text.and_then(|text| Ok(Job::new(spec.transformation(text))?))
        .map_err(|failure| failure.of_file(&file.display().to_string()))
}

/// The text of a transformation spec. One that is too long is read in part, and refused as such.
fn transformation(file: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(file)?.take(TRANSFORMATION).read_to_end(&mut text)?;
    if text.len() as u64 == TRANSFORMATION {
        return Err(io::Error::other("it is longer than any such spec"));
    }
    String::from_utf8(text).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn spec(operation: &Operation, args: &Load) -> Spec {
    let spec = common(operation.spec(&args.object), &args.common);
    let spec = match args.parallel {
        Some(parallel) => spec.parallel(parallel.into()),
        None => spec,
    };
    let spec = spec.content_type(args.format.content_type(Files::of(args).is_some()));
    let spec = args.assignment_rule.into_iter().fold(spec, Spec::assignment_rule);
    let spec = args.line_ending.into_iter().fold(spec, Spec::line_ending);
    if args.serial { spec.serial() } else { spec }
}

/// The input, which is made if a folder was named.
fn open(args: &Load, journal: &Journal) -> Result<Input, Failure> {
    match args.file.as_deref().filter(|file| file.is_dir()) {
        Some(folder) => {
            let text = files::made(folder, &args.object, &args.set);
            let text = text.map_err(|failure| failure.of_file(&folder.display().to_string()))?;
            Input::made(folder, &text, journal)
        }
        None if args.set.is_empty() => Input::open(args.file.as_deref(), journal),
        None => Err(Failure::nothing_sent("--set is for the records that are made of a folder")),
    }
}

fn places(args: &Load, input: &Input) -> Result<Places, Failure> {
    let places = Places {
        success: args.success.clone(),
        error: args.error.clone(),
        folder: args.out_dir.clone(),
        stem: input.stem(),
    };
    places.check(args.file.as_deref())?;
    Ok(places)
}

/// Records that are gone for good are not removed by a slip of the hand.
fn must_ask(operation: &Operation) -> Result<bool, Failure> {
    if !matches!(operation, Operation::HardDelete { sure: false }) {
        return Ok(false);
    }
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return Ok(true);
    }
    Err(Failure::nothing_sent("hard-delete removes records for good; say --yes if you mean it"))
}

fn ask(object: &str, total: u64) -> Result<(), Failure> {
    let total = Things(total, "record");
    put(&format!(
        "This removes {total} for good, of the object {object}. Type its name to go on: "
    ));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok();
    if answer.trim() == object {
        return Ok(());
    }
    Err(Failure::nothing_sent("that is not the object's name; nothing was removed"))
}
