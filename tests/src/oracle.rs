//! The oracle: compares what the client says with what the server knows.
//!
//! It looks after every event, and again when the last straggler has arrived:
//!
//! - No row is on the server more often than in the input, ever.
//! - A row reported as written is there, under that id, with that content, and no other row has it.
//! - A row reported as failed or unprocessed is not there, and never will be.
//! - Rows are told of once and in order, and the counts say the same.
//! - A query that ends well gave every row once and in order.
//! - No job is left open unnamed, unless nothing was ever sent to it.
//! - No session stands in a note, an error, a checkpoint or a transcript.
//!
//! Many rows have the same content, since equal batches are the hard case. So rows are counted by
//! content, which is enough: of equal rows nobody can tell which is which. An id tells the batch and
//! the place in it, so a mapping to the wrong rows shows.

use std::collections::{BTreeMap, BTreeSet};

use sfbulk::rows::{Fate, Outcome};
use sfbulk::{Bounds, Error, ErrorKind, Note, Summary};

use crate::offline::{Offline, Said};
use crate::script::Kind;
use crate::server::{ALIEN, CANARY};

/// What a run came to; `None` if it was cut off.
pub type End = Option<Result<Summary, Error>>;

/// One world's oracle.
#[derive(Debug)]
pub struct Oracle {
    /// The content of each row of the load.
    pub rows: Vec<String>,
    /// What becomes of each row of the load if nothing comes between.
    pub fates: Vec<Fate>,
    /// The rows a query finds.
    pub table: Vec<String>,
    /// How often each content is in the input.
    counts: BTreeMap<String, usize>,
    /// What was looked at.
    lines: usize,
    told: usize,
    version: usize,
    /// Of this run: ids given to rows, and how many rows of each content are said not to be there.
    ids: BTreeSet<String>,
    ruled_out: BTreeMap<String, usize>,
    /// Jobs being created, jobs whose creation was not stored, jobs that nobody may know of, and jobs
    /// that were named.
    creating: usize,
    unsaved: usize,
    orphans: usize,
    named: BTreeSet<String>,
}

impl Oracle {
    /// An oracle for a load of these rows, which become that, or for a query that finds these.
    pub fn new(rows: Vec<String>, fates: Vec<Fate>, table: Vec<String>) -> Self {
        let mut counts = BTreeMap::new();
        for row in &rows {
            *counts.entry(row.clone()).or_default() += 1;
        }
        Self {
            rows,
            fates,
            table,
            counts,
            lines: 0,
            told: 0,
            version: 0,
            ids: BTreeSet::new(),
            ruled_out: BTreeMap::new(),
            creating: 0,
            unsaved: 0,
            orphans: 0,
            named: BTreeSet::new(),
        }
    }

    /// Looks at what has happened since the last time.
    pub fn look(&mut self, world: &Offline) {
        for (_, said) in &world.log[self.lines..] {
            self.hear(said);
        }
        self.lines = world.log.len();
        let news = &world.outcomes[self.told..];
        if !news.is_empty() {
            let there = world.server.written(world.now());
            for outcome in news {
                self.take(outcome, &there);
            }
        }
        if !news.is_empty() || world.server.version() != self.version {
            self.compare(&world.server.bound_to_be_written());
        }
        (self.told, self.version) = (world.outcomes.len(), world.server.version());
        if let Some(saved) = &world.saved {
            assert!(!saved.contains(CANARY), "a session in the checkpoint");
        }
    }

    fn hear(&mut self, said: &Said) {
        match said {
            Said::Note(note) => {
                no_secret(&format!("{note:?}"));
                match note {
                    Note::Created(_) => (self.creating, self.unsaved) = (0, 1),
                    Note::Orphan => self.orphans += 1,
                    Note::LeftOpen { job, .. } => drop(self.named.insert(job.to_string())),
                    _ => {}
                }
            }
            Said::Request(_, request) if Kind::of(request) == Kind::Create => self.creating += 1,
            Said::Outcomes(_, outcomes) => no_secret(&format!("{outcomes:?}")),
            Said::Done(Err(error)) => {
                no_secret(&format!("{error:?} {error}"));
                self.orphans += std::mem::take(&mut self.creating);
            }
            Said::Saved(true) => self.unsaved = 0,
            Said::Gone => {
                self.orphans += std::mem::take(&mut self.creating);
                self.orphans += std::mem::take(&mut self.unsaved);
            }
            _ => {}
        }
    }

    /// What became of a row: is it true?
    fn take(&mut self, outcome: &Outcome, there: &BTreeMap<String, &str>) {
        let row = self.told;
        self.told += 1;
        assert_eq!(outcome.row, row as u64, "rows are told of in order");
        let content = &self.rows[row];
        match (outcome.fate, &outcome.id) {
            (Fate::Succeeded { .. }, Some(id)) => {
                let id = id.to_string();
                assert_eq!(there.get(&id).copied(), Some(&**content), "row {row} is not {id}");
                assert!(self.ids.insert(id), "mis-matched: row {row} has another row's id");
            }
            (Fate::Succeeded { .. }, None) => panic!("row {row} was written, but has no id"),
            (Fate::Failed | Fate::Unprocessed, _) => {
                *self.ruled_out.entry(content.clone()).or_default() += 1;
            }
            (Fate::Unknown, _) => {}
        }
    }

    /// Whether there is room on the server for all that is said.
    fn compare(&self, bound: &BTreeMap<String, usize>) {
        for (content, times) in bound.iter().filter(|(content, _)| !content.starts_with(ALIEN)) {
            let rows = self.counts.get(content).copied().unwrap_or_default();
            assert!(*times <= rows, "doubled: {content:?} is there {times} times, not {rows}");
            let not_there = self.ruled_out.get(content).copied().unwrap_or_default();
            assert!(
                times + not_there <= rows,
                "{not_there} of {rows} {content:?} are said not to be there, {times} are"
            );
        }
    }

    /// A run is over, or was cut off: do its counts say what it told?
    pub fn run_is_over(&mut self, world: &Offline, end: &End) {
        let summary = world.job.summary();
        self.named.extend(summary.left_open.iter().map(ToString::to_string));
        if let Some(transcript) = world.job.transcript() {
            no_secret(&serde_json::to_string(transcript).unwrap());
        }
        let seconds = world.clock().elapsed().as_secs();
        let most = 400 + seconds / 30 * (1 + summary.jobs.len() as u64);
        assert!(summary.calls <= most, "{} calls in {seconds} s", summary.calls);
        let Bounds { retries, .. } = Bounds::default();
        assert!(summary.retries <= retries + summary.calls / 10, "{} retries", summary.retries);
        let Some(result) = end else { return };
        if world.job.spec().operation().is_query() {
            self.assert_rows(world, result);
        } else if !is_resumable(world, result) {
            assert_counts(summary, &world.outcomes);
            let aborted = summary.aborted || result.is_err();
            assert!(aborted || world.outcomes.len() == self.rows.len(), "lost: rows not fed");
        }
        if let Ok(summary) = result {
            assert_eq!(summary, world.job.summary());
            for outcome in world.outcomes.iter().filter(|row| row.fate == Fate::Unknown) {
                let why = self.fates[usize::try_from(outcome.row).unwrap()];
                assert_eq!(why, Fate::Unknown, "row {} need not be unknown", outcome.row);
            }
        }
    }

    /// A query's rows: all of them, or some, but each at most once and in order.
    fn assert_rows(&self, world: &Offline, result: &Result<Summary, Error>) {
        let got = &world.found;
        if let Ok(summary) = result {
            let all = summary.aborted || *got == self.table;
            assert!(all, "a silent short read: {} of {} rows", got.len(), self.table.len());
            assert_eq!(summary.rows, got.len() as u64);
        } else {
            // There may be gaps; they are why it is an error. What was given is good.
            let mut rest = self.table.iter();
            assert!(got.iter().all(|row| rest.any(|other| other == row)), "{got:?}");
        }
    }

    /// The next run tells of every row again.
    pub fn another_run(&mut self) {
        self.told = 0;
        self.ids.clear();
        self.ruled_out.clear();
    }

    /// Nothing more will be done: what is there when everything has arrived?
    pub fn world_is_over(&mut self, world: &mut Offline, end: &End) {
        let there = world.server.finish();
        self.compare(&there);
        let resumable = end.as_ref().is_none_or(|result| is_resumable(world, result));
        let summary = world.job.summary();
        let mut may_be: BTreeMap<&str, usize> = BTreeMap::new();
        for (row, content) in self.rows.iter().enumerate() {
            let there = match world.outcomes.get(row).map(|outcome| outcome.fate) {
                Some(Fate::Succeeded { .. } | Fate::Unknown) => true,
                Some(Fate::Failed | Fate::Unprocessed) => false,
                None => resumable || summary.beyond_unknown,
            };
            *may_be.entry(content).or_default() += usize::from(there);
        }
        for (content, times) in there.iter().filter(|(content, _)| !content.starts_with(ALIEN)) {
            let most = may_be.get(&**content).copied().unwrap_or_default();
            assert!(*times <= most, "{content:?} is there {times} times, {most} may be");
        }
        self.assert_no_job_leaks(world, resumable);
    }

    /// A job is closed, aborted, or named; or it is empty, and whoever created it did not hear of it.
    fn assert_no_job_leaks(&mut self, world: &Offline, resumable: bool) {
        if resumable {
            self.named.extend(world.job.checkpoint().jobs().map(|job| job.to_string()));
        }
        let open = world.server.open_jobs();
        let unnamed: Vec<_> = open.iter().filter(|(id, _)| !self.named.contains(id)).collect();
        let empty = unnamed.iter().all(|(_, batches)| *batches == 0);
        assert!(empty && unnamed.len() <= self.orphans, "leaked: {unnamed:?} are open");
    }
}

/// Whether a run ended so that nothing is said of rows, and all is left to another one.
fn is_resumable(world: &Offline, result: &Result<Summary, Error>) -> bool {
    result.as_ref().is_err_and(|error| match error.kind() {
        ErrorKind::Unfinished | ErrorKind::InputChanged => true,
        ErrorKind::Local => world.outcomes.is_empty(),
        _ => false,
    })
}

/// The summary says what was told, row by row.
fn assert_counts(summary: &Summary, outcomes: &[Outcome]) {
    let count = |fates: fn(Fate) -> bool| {
        outcomes.iter().filter(|outcome| fates(outcome.fate)).count() as u64
    };
    let told = [
        outcomes.len() as u64,
        count(|fate| matches!(fate, Fate::Succeeded { .. })),
        count(|fate| fate == Fate::Succeeded { created: true }),
        count(|fate| fate == Fate::Failed),
        count(|fate| fate == Fate::Unprocessed),
        count(|fate| fate == Fate::Unknown),
    ];
    let Summary { rows, succeeded, created, failed, unprocessed, unknown, .. } = summary;
    assert_eq!(told, [*rows, *succeeded, *created, *failed, *unprocessed, *unknown], "sums");
}

fn no_secret(text: &str) {
    assert!(!text.contains(CANARY), "a session was told: {text}");
}
