//! The loads: insert, update, upsert, delete, hard-delete.
//!
//! Everything that can be known to be wrong is found before the first request: the arguments, the
//! org's name, every row of the input, the place for the results. Then the machine runs, and every
//! outcome is written as it comes.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IsTerminal};

use sfbulk::rows::{Batch, Limits, Source};
use sfbulk_ureq::{
    Ask, BatchState, Batches, CsvSource, Error, ErrorInfo, Executor, Host, Job, JobId, Note, Page,
    Plain, Session, Spec, Summary, Transport,
};

use crate::args::{Common, Load};
use crate::exit::{Exit, Failure};
use crate::input::{Columns, ERROR, ID, Input, Reader};
use crate::interrupt;
use crate::org::{Choice, Org};
use crate::progress::{Count, Progress, Things, Took, complain, put};
use crate::report::{self, Report, What};
use crate::results::{Places, Results, Sheet};
use crate::tally::Kind;

/// The most reasons that are told of one kind: the error file has them all.
const REASONS: usize = 5;

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
    load(operation, args).inspect_err(|failure| {
        if args.json {
            let spec = operation.spec(&args.object);
            Report::nothing_sent(&spec, What::no_load(failure), failure).print();
        }
    })
}

fn load(operation: &Operation, args: &Load) -> Result<Exit, Failure> {
    let mut job = Job::new(spec(operation, args))?;
    let org = Choice::of(args.common.org.as_deref())?;
    let asks = must_ask(operation)?;
    let input = Input::open(args.file.as_deref())?;
    let columns = Columns::of(&input, operation)?;
    let limits = Limits { records: args.batch_size, ..Limits::default() };
    let total = input.judge(&columns, limits)?;
    let places = places(args, &input)?;
    let mut results = Results::prepare(&input, columns.clone(), operation, places)?;

    let mut progress = Progress::new(args.common.quiet);
    say_what_is_left_out(&mut progress, &columns);
    if total == 0 {
        results.without_job()?;
        progress.say(format_args!("{} has a header and no rows: nothing to do", input.name));
        say_what_was_removed(&mut progress, &results);
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
    let opened = org.open().and_then(|org| interrupt::watch().map(|()| org));
    let org = opened.map_err(|failure| keep(failure, &input, &mut results, total))?;
    introduce(&mut progress, &org);
    let source = CsvSource::new(input.reader(), columns.cutter(limits));
    let mut desk = Desk {
        org,
        input: &input,
        source,
        results,
        total,
        progress,
        job: None,
        batches: Batches::default(),
        refused: Vec::new(),
    };
    let result = drive(&mut job, &mut desk);
    Ok(desk.conclude(&job, result.err(), args.json))
}

fn say_what_is_left_out(progress: &mut Progress, columns: &Columns) {
    let Some(name) = columns.old_result else { return };
    let file = if name == ERROR { "an earlier error file" } else { "an earlier success file" };
    progress.say(format_args!("the column {name}, from {file}, is left out"));
    if columns.old_id {
        progress.say(format_args!("its first column, {ID}, too: there is another one for ids"));
    }
}

fn say_what_was_removed(progress: &mut Progress, results: &Results<'_>) {
    if let Some(path) = results.removed() {
        let path = path.display().to_string();
        progress.say(format_args!("no row failed: the earlier {} was removed", Plain(&path)));
    }
}

/// Nothing could be sent; rows that nobody else has are written to a file.
fn keep(failure: Failure, input: &Input, results: &mut Results<'_>, total: u64) -> Failure {
    if !input.spooled {
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

fn spec(operation: &Operation, args: &Load) -> Spec {
    let spec = common(operation.spec(&args.object), &args.common);
    let spec = match args.parallel {
        Some(parallel) => spec.parallel(parallel.into()),
        None => spec,
    };
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

pub(crate) fn introduce(progress: &mut Progress, org: &Org) {
    if org.is_practice() {
        progress
            .say("practice  embedded org in ./.sfbulk/practice.db; nothing leaves this machine");
    } else {
        progress.say(format_args!("org       {}", org.name));
    }
}

/// Runs a job to its end; Ctrl-C wakes it.
pub(crate) fn drive(job: &mut Job, host: &mut impl Host) -> Result<Summary, Error> {
    let executor = Executor::new(Transport::default());
    interrupt::wake(executor.waker());
    executor.run(job, host)
}

/// Where rows come from and outcomes go to.
struct Desk<'a> {
    org: Org,
    input: &'a Input,
    source: CsvSource<Reader<'a>>,
    results: Results<'a>,
    total: u64,
    progress: Progress,
    job: Option<JobId>,
    batches: Batches,
    /// Why batches were refused as a whole, each reason once, the first few.
    refused: Vec<String>,
}

impl Host for Desk<'_> {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        self.input.unchanged()?;
        self.source.batch()
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        match page {
            Page::Outcomes(outcomes) => self.results.add(outcomes)?,
            Page::Rows(_) => {} // a load has none
        }
        self.say_how_far();
        self.show();
        Ok(())
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.org.login(expired)
    }

    fn note(&mut self, note: Note, summary: &Summary) -> Result<(), Error> {
        if let Note::Created(job) = note {
            self.progress.say(format_args!("job       {job}"));
            self.job = Some(job);
            self.say_how_far();
            self.results.begin(job)?;
        }
        if self.is_new(&note) {
            say(&mut self.progress, note);
        }
        self.batches = summary.batches;
        self.show();
        Ok(())
    }

    fn aborts(&mut self) -> bool {
        interrupt::pending()
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
    /// Whether it was not said before: a thousand batches are refused for one reason.
    fn is_new(&mut self, note: &Note) -> bool {
        let Note::Finished { message: Some(message), state: BatchState::Failed, .. } = note else {
            return true;
        };
        let new = !self.refused.contains(message) && self.refused.len() < REASONS;
        if new {
            self.refused.push(message.clone());
        }
        new
    }

    /// For a second Ctrl-C.
    fn say_how_far(&self) {
        if let Some(job) = self.job {
            interrupt::leaves(job, Some((self.results.rows_written(), self.total)));
        }
    }

    fn show(&mut self) {
        let Batches { accepted, completed, .. } = self.batches;
        let batches = format_args!("{completed} of {accepted} batches done");
        self.progress.show(self.results.rows_written(), Some(self.total), batches);
    }

    /// The end: the last rows, the check of the books, the summary.
    fn conclude(mut self, job: &Job, failed: Option<Error>, json: bool) -> Exit {
        let summary = job.summary();
        self.progress.clear();
        let mut error = failed;
        if let Some(id) = summary.jobs.last() {
            let books = self.results.finish(self.total, summary);
            let books = books.and_then(|()| self.input.unchanged());
            error = error.or(books.err().map(|error| error.of_job(*id)));
        } else if self.input.spooled {
            error = error.or(self.results.keep_all(self.total).err());
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
        let mend = self.how_to_mend(summary);
        let Results { success, error, unprocessed, unknown, .. } = &self.results;
        for (sheet, hint) in [
            (success, ""),
            (error, &*mend),
            (unprocessed, "never loaded: load the file"),
            (unknown, "look for these rows in the org before you load them again"),
        ] {
            list(&mut self.progress, sheet, hint);
        }
        let was_said = |kind: &Kind| self.refused.iter().any(|why| kind.is_of(why));
        let kinds = self.results.tally.by_count().into_iter().filter(|kind| !was_said(kind));
        for kind in kinds.take(REASONS) {
            self.progress.say(format_args!("  {} × {kind}", Count(kind.count)));
        }
        say_what_was_removed(&mut self.progress, &self.results);
        if summary.jobs.is_empty() && !self.input.spooled {
            self.progress.say(format_args!("  {} itself can be loaded again", self.input.name));
        }
        if let Some(brief) = self.in_brief(summary) {
            self.progress.say_if_quiet(brief);
        }
    }

    /// What to do with the rows of the error file.
    fn how_to_mend(&self, summary: &Summary) -> String {
        let batches = summary.batches.failed;
        if batches == 0 || self.refused.is_empty() {
            return "mend these rows and load the file".into();
        }
        let (were, why) = (if batches == 1 { "was" } else { "were" }, self.refused.join("; "));
        let batches = Things(batches, "batch");
        format!("{batches} {were} refused as a whole: {}; mend that and load the file", Plain(&why))
    }

    /// What is not good, in one line.
    fn in_brief(&self, summary: &Summary) -> Option<String> {
        let Results { error, unprocessed, unknown, .. } = &self.results;
        let not_processed = self::unprocessed(self.total, summary);
        let parts = [
            (summary.failed, "failed", error),
            (not_processed, "not processed", unprocessed),
            (summary.unknown, "unknown", unknown),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, what, sheet)| {
                let total = Things(self.total, "row");
                let part = format!("{} of {total} {what}", Count(count));
                match sheet.written().map(|path| path.display().to_string()) {
                    Some(path) => format!("{part}: see {}", Plain(&path)),
                    None => part,
                }
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
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
        let (path, rows) = (path.display().to_string(), Things(sheet.rows, "row"));
        let line = format!("  {}   {rows:>14}   {hint}", Plain(&path));
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
