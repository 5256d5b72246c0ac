//! The host of a load: where its rows come from, and where outcomes, notes and checkpoints go.

use sfbulk::rows::{Batch, Source};
use sfbulk_ureq::{
    Ask, BatchState, Batches, Checkpoint, Error, ErrorInfo, ErrorKind, Host, Job, JobId, Note,
    Page, Plain, Session, Summary,
};

use crate::exit::Exit;
use crate::input::{Input, Total};
use crate::interrupt;
use crate::journal::Journal;
use crate::org::Org;
use crate::progress::{Count, Progress, Things, Took, complain};
use crate::report::{self, Report, What};
use crate::results::{Results, Sheet};
use crate::run::{command, exit_of, say};
use crate::tally::Kind;

/// The most reasons that are told of one kind: the error file has them all.
const REASONS: usize = 5;

/// All that a load needs besides the machine.
pub(crate) struct Desk<'a> {
    pub(crate) org: Org,
    pub(crate) input: &'a Input,
    pub(crate) source: Box<dyn Source + 'a>,
    pub(crate) results: Results<'a>,
    pub(crate) journal: Journal,
    pub(crate) total: Total,
    pub(crate) progress: Progress,
    /// The run's first job, which names its files.
    pub(crate) job: Option<JobId>,
    pub(crate) batches: Batches,
    /// Why batches were refused as a whole, each reason once, the first few.
    pub(crate) refused: Vec<String>,
    /// How a result file can be loaded again.
    pub(crate) again: String,
    /// What has not started is not to start.
    pub(crate) aborts: bool,
    /// It leaves once all is sent.
    pub(crate) detaches: bool,
    pub(crate) closed: bool,
}

impl Host for Desk<'_> {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        self.input.unchanged()?;
        self.source.batch()
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        self.begin()?;
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

    fn note(&mut self, note: Note, summary: &Summary) -> Result<(), Error> {
        self.batches = summary.batches;
        match &note {
            Note::Created(job) => {
                self.progress.say(format_args!("job       {job}"));
                self.job.get_or_insert(*job);
                self.begin()?;
            }
            Note::Closed(_) => self.closed = true,
            _ => {}
        }
        if self.is_new(&note) {
            say(&mut self.progress, note);
        }
        self.show();
        Ok(())
    }

    fn aborts(&mut self) -> bool {
        self.aborts
    }

    fn leaves(&mut self) -> bool {
        let all_sent = self.closed && self.batches.accepted >= self.total.batches;
        interrupt::pending() || (self.detaches && all_sent)
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.journal.save(checkpoint)
    }
}

impl Desk<'_> {
    /// The result files are named once there is a job. Those of a run that goes on are left as they
    /// are until there is something to write into new ones.
    fn begin(&mut self) -> Result<(), Error> {
        self.job.map_or(Ok(()), |job| self.results.begin(job))
    }

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

    fn show(&mut self) {
        interrupt::leaves(self.how_far()); // for a second Ctrl-C
        let Batches { accepted, completed, .. } = self.batches;
        let batches = format_args!("{completed} of {accepted} batches done");
        self.progress.show(self.results.rows_written(), Some(self.total.rows), batches);
    }

    fn how_far(&self) -> String {
        let (sent, total) = (Count(self.batches.accepted), Things(self.total.batches, "batch"));
        let resume = command("resume", self.job);
        format!("{sent} of {total} sent, nothing is lost.  {resume}")
    }

    /// The end: the last rows, the check of the books, the summary.
    pub(crate) fn conclude(mut self, job: &Job, failed: Option<Error>, json: bool) -> Exit {
        self.progress.clear();
        let left = failed.as_ref().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::Unfinished | ErrorKind::InputChanged)
        });
        let error = if left { failed } else { self.account(job.summary(), failed) };
        let summary = job.summary();
        let exit = match &error {
            Some(error) => exit_of(error, summary),
            None if summary.succeeded == self.total.rows => Exit::Good,
            None => Exit::RowsFailed,
        };
        let resumable = error.is_some() && (left || self.job.is_some());
        if left {
            self.say_how_it_was_left(exit);
        } else {
            self.sum_up(job, exit, resumable);
        }
        if let Some(error) = error.as_ref().filter(|e| e.kind() != ErrorKind::Unfinished) {
            complain(error);
        }
        if resumable && !left {
            let [on, end] = ["resume", "abort"].map(|verb| command(verb, self.job));
            complain(&format_args!("the run is kept: {on} goes on with it, {end} ends it"));
        }
        if json {
            // Rows that are still to come are neither here nor there.
            let total = if left { summary.rows } else { self.total.rows };
            let what = what(&self.results, total, summary);
            let run = (job, self.org.name.as_str(), self.total.rows);
            Report::new(run, self.progress.elapsed(), what, (exit, error.as_ref())).print();
        }
        if !resumable {
            self.journal.over();
        }
        exit
    }

    /// Every row that has no outcome yet gets one, and the books are checked.
    fn account(&mut self, summary: &Summary, failed: Option<Error>) -> Option<Error> {
        if let Some(job) = self.job {
            if !self.results.begun() {
                return failed; // nothing was done yet: the files of before stay
            }
            let books = self.results.finish(self.total.rows, summary);
            let books = books.and_then(|()| self.input.unchanged());
            return failed.or(books.err().map(|error| error.of_job(job)));
        }
        if self.input.origin.spooled {
            return failed.or(self.results.keep_all(self.total.rows).err());
        }
        failed
    }

    fn say_how_it_was_left(&mut self, exit: Exit) {
        let how = if exit == Exit::Interrupted { "stopped" } else { "left" };
        let (took, how_far) = (Took(self.progress.elapsed()), self.how_far());
        if exit == Exit::NothingSent {
            return; // the error says it
        }
        self.progress.say_always(format_args!("{how} after {took}: {how_far}"));
        let abort = command("abort", self.job);
        self.progress.say(format_args!("  to give it up: {abort}"));
    }

    fn sum_up(&mut self, job: &Job, exit: Exit, resumable: bool) {
        let summary = job.summary();
        let took = Took(self.progress.elapsed());
        let how = match exit {
            Exit::Interrupted => "stopped",
            Exit::Unfinished => "left",
            Exit::Good | Exit::RowsFailed if summary.aborted => "aborted",
            Exit::Good | Exit::RowsFailed => "done",
            Exit::Failed | Exit::NothingSent => "failed",
        };
        let (unprocessed, unknown) =
            (unprocessed(self.total.rows, summary), unknown(self.total.rows, summary));
        let counts = report::parts([
            (summary.succeeded, &ok(job)),
            (summary.failed, "failed"),
            (unprocessed, "not processed"),
            (unknown, "unknown"),
        ]);
        let which = self.job.map_or("no job was created".into(), |id| format!("job {id}"));
        self.progress.say(format_args!("{how} in {took}   {counts}   ({which})"));
        self.list_files(summary, resumable);
        let was_said = |kind: &Kind| self.refused.iter().any(|why| kind.is_of(why));
        let kinds = self.results.tally.by_count().into_iter().filter(|kind| !was_said(kind));
        for kind in kinds.take(REASONS) {
            self.progress.say(format_args!("  {} × {kind}", Count(kind.count)));
        }
        say_what_was_removed(&mut self.progress, &self.results);
        if self.job.is_none() && !self.input.origin.spooled {
            self.progress.say(format_args!("  {} itself can be loaded again", self.input.name));
        }
        if let Some(brief) = self.in_brief(summary) {
            self.progress.say_if_quiet(brief);
        }
    }

    fn list_files(&mut self, summary: &Summary, resumable: bool) {
        let mend = self.how_to_mend(summary);
        let never = format!("never loaded: {}", self.again);
        let (unprocessed_hint, unknown_hint) = if resumable {
            ("not loaded yet: the run does it when it goes on", "the run finds out when it goes on")
        } else {
            (&*never, "look for these rows in the org before you load them again")
        };
        let Results { success, error, unprocessed, unknown, .. } = &self.results;
        for (sheet, hint) in [
            (success, ""),
            (error, &*mend),
            (unprocessed, unprocessed_hint),
            (unknown, unknown_hint),
        ] {
            list(&mut self.progress, sheet, hint);
        }
    }

    /// What to do with the rows of the error file.
    fn how_to_mend(&self, summary: &Summary) -> String {
        let batches = summary.batches.failed;
        if batches == 0 || self.refused.is_empty() {
            return format!("mend these rows and {}", self.again);
        }
        let (were, why) = (if batches == 1 { "was" } else { "were" }, self.refused.join("; "));
        let batches = Things(batches, "batch");
        let (why, again) = (Plain(&why), &self.again);
        format!("{batches} {were} refused as a whole: {why}; mend that and {again}")
    }

    /// What is not good, in one line.
    fn in_brief(&self, summary: &Summary) -> Option<String> {
        let Results { error, unprocessed, unknown, .. } = &self.results;
        let rows = self.total.rows;
        let parts = [
            (summary.failed, "failed", error),
            (self::unprocessed(rows, summary), "not processed", unprocessed),
            (self::unknown(rows, summary), "unknown", unknown),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, what, sheet)| {
                let total = Things(rows, "row");
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

pub(crate) fn say_what_was_removed(progress: &mut Progress, results: &Results<'_>) {
    if let Some(path) = results.removed() {
        let path = path.display().to_string();
        progress.say(format_args!("no row failed: the earlier {} was removed", Plain(&path)));
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

/// Rows that were never asked for count too, unless an earlier process may have sent them.
fn unprocessed(total: u64, summary: &Summary) -> u64 {
    summary.unprocessed + if summary.beyond_unknown { 0 } else { beyond(total, summary) }
}

fn unknown(total: u64, summary: &Summary) -> u64 {
    summary.unknown + if summary.beyond_unknown { beyond(total, summary) } else { 0 }
}

fn beyond(total: u64, summary: &Summary) -> u64 {
    total.saturating_sub(summary.rows)
}

pub(crate) fn what(results: &Results<'_>, total: u64, summary: &Summary) -> What {
    let file = |sheet: &Sheet| report::path(sheet.written());
    What::Load {
        succeeded: summary.succeeded,
        created: summary.created,
        updated: summary.succeeded - summary.created,
        failed: summary.failed,
        unprocessed: unprocessed(total, summary),
        unknown: unknown(total, summary),
        success_file: file(&results.success),
        error_file: file(&results.error),
        unprocessed_file: file(&results.unprocessed),
        unknown_file: file(&results.unknown),
        errors: results.tally.by_count(),
    }
}
