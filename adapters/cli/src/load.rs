//! The loads: insert, update, upsert, delete, hard-delete.
//!
//! Everything that can be known to be wrong is found before the first request: the arguments, the
//! org's name, every row of the input, the place for the results. Then the machine runs, and every
//! outcome is written as it comes.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IsTerminal};

use sfbulk::rows::{Batch, Limits, Source};
use sfbulk_ureq::{
    Ask, Batches, Bounds, CsvSource, Error, ErrorInfo, Executor, Host, Job, Note, Page, Plain,
    Session, Spec, Summary, Transport,
};

use crate::args::{Common, Load};
use crate::exit::{Exit, Failure};
use crate::input::{Columns, Input, Reader};
use crate::interrupt;
use crate::org::{Choice, Org};
use crate::progress::{Count, Progress, Took, complain};
use crate::report::{self, Report, What};
use crate::results::{Places, Results, Sheet};

/// What is done with the rows.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Insert,
    Update,
    Upsert { key: String },
    Delete,
    HardDelete { sure: bool },
}

impl Operation {
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert { .. } => "upsert",
            Self::Delete => "delete",
            Self::HardDelete { .. } => "hard-delete",
        }
    }

    /// The column it cannot do without.
    pub(crate) fn needs(&self) -> Option<&str> {
        match self {
            Self::Insert => None,
            Self::Upsert { key } => Some(key),
            Self::Update | Self::Delete | Self::HardDelete { .. } => Some("Id"),
        }
    }

    pub(crate) fn takes_only_id(&self) -> bool {
        matches!(self, Self::Delete | Self::HardDelete { .. })
    }

    /// `STATUS` of a row that made a record; these are the words Data Loader's users know.
    pub(crate) fn created(&self) -> &'static str {
        match self {
            Self::Insert | Self::Upsert { .. } => "Item Created",
            _ => self.changed(),
        }
    }

    /// `STATUS` of a row that changed one.
    pub(crate) fn changed(&self) -> &'static str {
        match self {
            Self::Insert => "Item Created",
            Self::Update | Self::Upsert { .. } => "Item Updated",
            Self::Delete => "Item Deleted",
            Self::HardDelete { .. } => "Item Hard Deleted",
        }
    }

    fn spec(&self, object: &str) -> Spec {
        match self {
            Self::Insert => Spec::insert(object),
            Self::Update => Spec::update(object),
            Self::Upsert { key } => Spec::upsert(object, key),
            Self::Delete => Spec::delete(object),
            Self::HardDelete { .. } => Spec::hard_delete(object),
        }
    }
}

/// Runs one load from its arguments to its last line.
pub(crate) fn run(operation: &Operation, args: &Load) -> Result<Exit, Failure> {
    let mut job = Job::new(spec(operation, args))?;
    let org = Choice::of(args.common.org.as_deref())?;
    let asks = must_ask(operation)?;
    let input = Input::open(args.file.as_deref())?;
    let columns = Columns::of(&input, operation)?;
    let limits = Limits { records: args.batch_size, ..Limits::default() };
    let total = input.judge(columns, limits)?;
    let places = places(args, &input)?;
    let mut results = Results::prepare(&input, columns, operation, places)?;

    let mut progress = Progress::new(args.common.quiet);
    if columns.old_errors {
        progress.say("the column ERROR, from an earlier error file, is left out");
    }
    if total == 0 {
        results.without_job()?;
        progress.say(format_args!("{} has a header and no rows: nothing to do", input.name));
        if args.json {
            let what = what(&results, 0, job.summary());
            let run = (&job, org.name(), 0);
            Report::new(run, progress.elapsed(), what, (Exit::Good, None)).print();
        }
        return Ok(Exit::Good);
    }
    if asks {
        ask(&args.object, total)?;
    }
    let org = org.open()?;
    introduce(&mut progress, &org);
    interrupt::watch()?;
    let source = CsvSource::new(input.reader(), columns.cutter(limits));
    let (batches, trouble) = (Batches::default(), None);
    let mut desk = Desk { org, input: &input, source, results, total, progress, batches, trouble };
    let result = drive(&mut job, &mut desk);
    Ok(desk.conclude(&job, result.err(), args.json))
}

fn spec(operation: &Operation, args: &Load) -> Spec {
    let mut bounds = Bounds::default();
    if let Some(parallel) = args.parallel.map(usize::from) {
        bounds.held = bounds.held / bounds.parallel * parallel;
        bounds.parallel = parallel;
    }
    let spec = common(operation.spec(&args.object).bounds(bounds), &args.common);
    if args.serial { spec.serial() } else { spec }
}

/// What all verbs have in common. The seed keeps clients that start together apart.
pub(crate) fn common(spec: Spec, args: &Common) -> Spec {
    let spec = spec.seed(RandomState::new().hash_one(std::process::id()));
    match &args.api_version {
        Some(version) => spec.version(version),
        None => spec,
    }
}

fn places(args: &Load, input: &Input) -> Result<Places, Failure> {
    let places = Places {
        success: args.success.clone(),
        error: args.error.clone(),
        folder: args.out_dir.clone(),
        stem: input.stem.clone(),
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
    let total = Count(total);
    eprint!("This removes {total} {object} records for good. Type the object name to go on: ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok();
    if answer.trim() == object {
        return Ok(());
    }
    Err(Failure::nothing_sent("that is not the object's name; nothing was removed"))
}

pub(crate) fn introduce(progress: &mut Progress, org: &Org) {
    if org.is_practice() {
        progress
            .say("practice  embedded org in ./.sfbulk/practice.db; nothing leaves this machine");
    } else {
        progress.say(format_args!("org       {}", org.name));
    }
}

/// Turns the loop until it is over, with an eye on Ctrl-C.
pub(crate) fn drive(job: &mut Job, host: &mut impl Host) -> Result<Summary, Error> {
    let executor = Executor::new(Transport::default());
    interrupt::wake(executor.waker());
    loop {
        if interrupt::pending() && !job.summary().aborted {
            job.abort();
        }
        if let Some(result) = executor.turn(job, host) {
            return result;
        }
    }
}

/// Where rows come from and outcomes go to.
struct Desk<'a> {
    org: Org,
    input: &'a Input,
    source: CsvSource<Reader<'a>>,
    results: Results<'a>,
    total: u64,
    progress: Progress,
    batches: Batches,
    /// What went wrong where nothing could be returned.
    trouble: Option<Error>,
}

impl Host for Desk<'_> {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        self.trouble.take().map_or(Ok(()), Err)?;
        self.input.unchanged()?;
        self.source.batch()
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        self.trouble.take().map_or(Ok(()), Err)?;
        match page {
            Page::Outcomes(outcomes) => self.results.add(outcomes)?,
            Page::Rows(_) => {} // a load has none
        }
        self.show();
        Ok(())
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.org.login(expired)
    }

    fn note(&mut self, note: Note, summary: &Summary) {
        if let Note::Created(job) = note {
            self.progress.say(format_args!("job       {job}"));
            self.trouble = self.results.begin(job).err();
        }
        say(&mut self.progress, note);
        self.batches = summary.batches;
        self.show();
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
        Note::LeftOpen { job, why } => {
            progress.warn(format_args!("job {job} stays open: {}", Plain(&why)));
        }
        Note::Orphan => {
            progress.warn("the answer to the job's creation was lost; it may stay behind, empty");
        }
        _ => {}
    }
}

impl Desk<'_> {
    fn show(&mut self) {
        let Batches { accepted, completed, .. } = self.batches;
        let batches = format_args!("{completed} of {accepted} batches done");
        self.progress.show(self.results.rows_written(), Some(self.total), batches);
    }

    /// The end: the last rows, the check of the books, the summary.
    fn conclude(mut self, job: &Job, failed: Option<Error>, json: bool) -> Exit {
        let summary = job.summary();
        self.progress.clear();
        let mut error = failed.or(self.trouble.take());
        if let Some(id) = summary.jobs.last() {
            let books = self.results.finish(self.total, summary);
            let books = books.and_then(|()| self.input.unchanged());
            error = error.or(books.err().map(|error| error.of_job(*id)));
        }
        let good = summary.succeeded == self.total;
        let exit = match &error {
            _ if interrupt::pending() && !good => Exit::Interrupted,
            Some(_) if summary.calls == 0 => Exit::NothingSent,
            Some(_) => Exit::Failed,
            None if good => Exit::Good,
            None => Exit::RowsFailed,
        };
        self.sum_up(job, exit);
        if let Some(error) = &error {
            complain(error);
        }
        if json {
            let what = what(&self.results, self.total, summary);
            let run = (job, self.org.name.as_str(), self.total);
            Report::new(run, self.progress.elapsed(), what, (exit, error.as_ref())).print();
        }
        exit
    }

    fn sum_up(&mut self, job: &Job, exit: Exit) {
        let summary = job.summary();
        let took = Took(self.progress.elapsed());
        let how = match exit {
            Exit::Interrupted => "stopped",
            Exit::Good | Exit::RowsFailed => "done",
            Exit::Failed | Exit::NothingSent => "failed",
        };
        let unprocessed = unprocessed(self.total, summary);
        let counts = report::parts([
            (summary.succeeded, &ok(job)),
            (summary.failed, "failed"),
            (unprocessed, "not processed"),
            (summary.unknown, "unknown"),
        ]);
        let which =
            summary.jobs.last().map_or("no job was created".into(), |id| format!("job {id}"));
        self.progress.say(format_args!("{how} in {took}   {counts}   ({which})"));
        let Results { success, error, unprocessed, unknown, .. } = &self.results;
        for (sheet, hint) in [
            (success, ""),
            (error, "mend these rows and load the file"),
            (unprocessed, "never loaded: load the file"),
            (unknown, "look for these rows in the org before you load them again"),
        ] {
            list(&mut self.progress, sheet, hint);
        }
        for kind in self.results.tally.by_count().iter().take(5) {
            self.progress.say(format_args!("  {} × {kind}", Count(kind.count)));
        }
    }
}

/// Only an upsert leaves it open what a row that is good has come to.
fn ok(job: &Job) -> String {
    let Summary { succeeded, created, .. } = job.summary();
    if *job.spec().operation() != sfbulk_ureq::Operation::Upsert {
        return "ok".into();
    }
    format!("ok ({} created, {} updated)", Count(*created), Count(succeeded - created))
}

fn list(progress: &mut Progress, sheet: &Sheet, hint: &str) {
    if let Some(path) = sheet.written() {
        let (path, rows) = (path.display().to_string(), Count(sheet.rows));
        let line = format!("  {}   {rows:>9} rows   {hint}", Plain(&path));
        progress.say(line.trim_end());
    }
}

/// Rows that were never asked for count too.
fn unprocessed(total: u64, summary: &Summary) -> u64 {
    summary.unprocessed + total.saturating_sub(summary.rows)
}

fn what(results: &Results<'_>, total: u64, summary: &Summary) -> What {
    let file = |sheet: &Sheet| report::path(sheet.written());
    What::Load {
        succeeded: summary.succeeded,
        created: summary.created,
        updated: summary.succeeded - summary.created,
        failed: summary.failed,
        unprocessed: unprocessed(total, summary),
        unknown: summary.unknown,
        success_file: file(&results.success),
        error_file: file(&results.error),
        unprocessed_file: file(&results.unprocessed),
        unknown_file: file(&results.unknown),
        errors: results.tally.by_count(),
    }
}
