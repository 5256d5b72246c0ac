//! The ledger: what is true, as far as the machine knows. Jobs, batches, and how far each is.
//!
//! ```text
//!  Cut ──sent──► Unsure ──────Done──────► Sent { id, state … } ──► settled: its rows are
//!   ▲              │ │ └──found there────────────▲                 accounted for
//!   ├───Refused────┘ └─────Unknown─────► Unsure { lost }                ▲
//!   └───────not there, behind the fence────────┘                        │
//!  Refused { why } ─────────────────────────────────────────────────────┘
//! ```
//!
//! A batch is *unsure* from before its request leaves until an answer makes it sure, and *lost* if
//! none ever will. Then its job is *in doubt*: nobody can tell from here what it holds. Doubt is
//! cleared by the server, which can list a job's batches and give back what was sent as each:
//!
//! - Batches in the list that are not known are *strangers*. One whose content, read twice, is that of
//!   a lost batch **is** that batch. Batches of equal content are interchangeable, so it is enough that
//!   each stranger is claimed once.
//! - A list is not believed before it shows every batch that is known to be there, or that another
//!   list has shown, and as many as the server counts.
//! - *Not there yet* and *never* look alike: a request may arrive long after it was given up. So a
//!   batch that is not found may be sent again only from behind a *fence*: the job is closed, which
//!   keeps late batches out, and listed once more. What is missing then goes into a new job.
//!
//! An earlier run that was cut off is the same: all that was under way is lost. Its jobs are
//! *inherited*: in doubt from the start, and fenced, since anything may still arrive; and any batch
//! that is not known to be on the server may prove to be one of their strangers.
//!
//! A query that the server splits into chunks is in doubt, too: the chunks are batches that nobody
//! here has sent. There the doubt ends when the original batch has, and all others in the list, the
//! job is closed, and the list still shows the same.
//!
//! Nothing here decides what to do; [`errand`](crate::errand) reads the ledger, the machine writes
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::call::{Count, Tag};
use crate::error::Error;
use crate::id::{BatchId, JobId, ResultId};
use crate::info::{BatchInfo, BatchState, JobState};
use crate::print::Fingerprint;
use crate::rows::Have;
use crate::time::Time;

/// How often a stranger is read until two readings agree.
const READINGS: u32 = 4;

#[allow(clippy::struct_excessive_bools)] // independent facts, not a state
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Whether rows come out instead of going in.
    pub(crate) query: bool,
    /// The jobs created, oldest first.
    pub(crate) jobs: Vec<JobRecord>,
    /// The batches, in the order of their rows.
    pub(crate) batches: Vec<BatchRecord>,
    /// How many batches from the first on are settled. Those are not looked at again.
    pub(crate) settled: usize,
    /// How many batches an earlier run had cut,
    pub(crate) known: usize,
    /// and how many of them, the last ones, are still to be fed again, to see that the input is the
    /// same.
    pub(crate) unfed: usize,
    /// No more rows will be fed.
    pub(crate) ended: bool,
    /// The application wants it to end, and what has not started not to start.
    pub(crate) aborting: bool,
    /// The first failure that lets no more rows be sent.
    pub(crate) stopped: Option<Error>,
    /// The server can no longer be asked how its batches are; results can still be fetched.
    pub(crate) blind: bool,
    /// Nothing at all can be asked: there is no session, or the server cannot be reached.
    pub(crate) cut_off: bool,
    /// How many batches are to be added, until it is known whether the org takes as many.
    pub(crate) preflight: Option<u64>,
    /// The chunk that made a query fail, until it is known which ids it was about.
    pub(crate) failed_chunk: Option<usize>,
    /// The header that all files of a query's result must have.
    pub(crate) header: Option<Fingerprint>,
}

#[allow(clippy::struct_excessive_bools)] // independent facts, not a state
#[derive(Debug)]
pub(crate) struct JobRecord {
    pub(crate) id: JobId,
    pub(crate) state: JobState,
    /// It could not be closed and will stay open.
    pub(crate) given_up: bool,
    /// When it was created.
    pub(crate) born: Time,
    /// It takes no more batches: an earlier run created it, a query was lost in it, it is old, or it
    /// is being closed.
    pub(crate) retired: bool,
    /// It knows how to read its batches: no transformation is wanted, or it has the spec.
    pub(crate) ready: bool,
    /// It may have the spec although nobody said so.
    pub(crate) may_be_ready: bool,
    /// An earlier run created it.
    pub(crate) inherited: bool,
    /// It may hold batches that are not known.
    pub(crate) doubt: bool,
    /// The doubt cannot be cleared.
    pub(crate) opaque: bool,
    /// How many lists have told what it holds, asked for by this call or a later one: after the last
    /// loss, and after the fence was shut.
    pub(crate) looks: u32,
    pub(crate) since: Tag,
    /// The batches that any list has shown.
    pub(crate) seen: BTreeSet<BatchId>,
    /// How many batches the server counts in it, since it was closed.
    pub(crate) total: Option<u64>,
    /// The server was asked for that number by itself.
    pub(crate) asked_for_total: bool,
    /// The batches in it that are not known to be ours.
    pub(crate) strangers: BTreeMap<BatchId, Stranger>,
}

/// A batch on the server that this run does not know.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) info: BatchInfo,
    pub(crate) content: Content,
    /// What the last reading gave, and how many there were.
    before: Option<Fingerprint>,
    readings: u32,
}

/// What was sent as a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Not asked for yet, or to be asked for again.
    Unread,
    /// The fingerprint of its cells.
    Print(Fingerprint),
    /// The server does not give it out, or says something else each time.
    Unreadable,
}

#[derive(Debug)]
pub(crate) struct BatchRecord {
    /// The input rows in it; none for a query.
    pub(crate) rows: Range<u64>,
    /// The fingerprint of its body's bytes: the same input gives the same.
    pub(crate) print: Fingerprint,
    /// The fingerprint of its body's cells, which the server may write otherwise; known once it was
    /// needed.
    pub(crate) content: Option<Fingerprint>,
    pub(crate) stage: Stage,
    /// Its rows are accounted for.
    pub(crate) settled: bool,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// Not on the server, unless an [inherited](JobRecord::inherited) job in doubt holds it.
    Cut,
    /// Sent, and no answer yet; or none that will ever come.
    Unsure { job: usize, lost: bool },
    /// On the server, under this id.
    Sent(Sent),
    /// Turned away as a whole, for this reason.
    Refused { why: String },
}

#[derive(Debug)]
pub(crate) struct Sent {
    /// Index of its job.
    pub(crate) job: usize,
    pub(crate) id: BatchId,
    pub(crate) state: BatchState,
    pub(crate) processed: Option<u64>,
    pub(crate) failed: Option<u64>,
    pub(crate) message: Option<String>,
    /// The files of its result, once listed.
    pub(crate) files: Option<Vec<File>>,
    /// The files as they were listed before, when all is read again.
    pub(crate) before: Vec<File>,
    /// How often the result was read to its end and did not hold what was promised.
    pub(crate) short: u32,
    /// Why its result cannot be read.
    pub(crate) unreadable: Option<String>,
}

/// A file of a query's result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) id: ResultId,
    /// What the application has of it.
    pub(crate) have: Option<Have>,
    /// The rows in it, once it was read to its end.
    pub(crate) rows: Option<u64>,
}

impl Sent {
    /// A batch of which no more is known than that the server took it.
    pub(crate) fn taken(job: usize, id: BatchId) -> Self {
        Self {
            job,
            id,
            state: BatchState::Queued,
            processed: None,
            failed: None,
            message: None,
            files: None,
            before: Vec::new(),
            short: 0,
            unreadable: None,
        }
    }

    pub(crate) fn new(job: usize, info: &BatchInfo) -> Self {
        let mut sent = Self::taken(job, info.id);
        sent.update(info);
        sent
    }

    /// Takes what a newer answer says of the batch.
    pub(crate) fn update(&mut self, info: &BatchInfo) {
        self.state = info.state.clone();
        self.processed = info.number_records_processed;
        self.failed = info.number_records_failed;
        self.message.clone_from(&info.state_message);
    }

    /// How many outcomes it must have.
    pub(crate) fn outcomes(&self) -> Count {
        match self.state {
            BatchState::Failed => {
                let good =
                    self.processed.zip(self.failed).and_then(|(all, bad)| all.checked_sub(bad));
                Count::Processed { rows: self.processed, good }
            }
            _ => Count::All,
        }
    }

    /// Why the batch ended as it did, in the server's words.
    pub(crate) fn why(&self) -> String {
        match &self.message {
            Some(message) => message.clone(),
            None => format!("the batch ended {}", self.state),
        }
    }
}

/// Batches.
impl Ledger {
    /// The batches whose rows are not all accounted for, and their indices.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = (usize, &BatchRecord)> {
        let open = self.batches[self.settled..].iter();
        (self.settled..).zip(open).filter(|(_, batch)| !batch.settled)
    }

    /// The batches known to be in a job, and not settled.
    pub(crate) fn in_job(&self, job: usize) -> impl Iterator<Item = &Sent> {
        let sent = self.unsettled().filter_map(|(_, batch)| batch.stage.sent());
        sent.filter(move |sent| sent.job == job)
    }

    /// Whether a batch of this id is known already.
    pub(crate) fn knows(&self, id: BatchId) -> bool {
        self.batches.iter().any(|batch| batch.stage.sent().is_some_and(|sent| sent.id == id))
    }

    /// Whether an answer to a batch of this job is under way.
    pub(crate) fn is_unanswered(&self, job: usize) -> bool {
        self.unsettled().any(
            |(_, batch)| matches!(batch.stage, Stage::Unsure { job: to, lost: false } if to == job),
        )
    }

    /// The batches of a job whose answer was lost.
    pub(crate) fn lost(&self, job: usize) -> impl Iterator<Item = usize> {
        let lost = move |batch: &BatchRecord| matches!(batch.stage, Stage::Unsure { job: to, lost: true } if to == job);
        self.unsettled().filter(move |(_, batch)| lost(batch)).map(|(batch, _)| batch)
    }

    /// Whether every row that will ever be sent was sent.
    pub(crate) fn all_sent(&self) -> bool {
        let waiting = |batch: &BatchRecord| match batch.stage {
            Stage::Cut => !self.no_more(),
            Stage::Unsure { .. } => true,
            _ => false,
        };
        self.ended && !self.unsettled().any(|(_, batch)| waiting(batch))
    }

    /// Whether no more rows are to be sent, sent or not.
    pub(crate) fn no_more(&self) -> bool {
        self.stopped.is_some() || self.aborting
    }

    /// The batch, if it is on the server.
    pub(crate) fn sent(&mut self, batch: usize) -> Option<&mut Sent> {
        match &mut self.batches.get_mut(batch)?.stage {
            Stage::Sent(sent) => Some(sent),
            _ => None,
        }
    }

    /// The job that a batch is in on the server, and its id there.
    pub(crate) fn place(&self, batch: usize) -> Option<(JobId, BatchId)> {
        let sent = self.batches.get(batch)?.stage.sent()?;
        Some((self.jobs[sent.job].id, sent.id))
    }

    /// The rows of a batch are accounted for. Where it is stays known: a run that takes this one up
    /// again has to tell what became of them, too.
    pub(crate) fn settle(&mut self, batch: usize) {
        if let Some(sent) = self.sent(batch) {
            *sent = Sent { state: sent.state.clone(), ..Sent::taken(sent.job, sent.id) };
        }
        self.batches[batch].settled = true;
        while self.batches.get(self.settled).is_some_and(|batch| batch.settled) {
            self.settled += 1;
        }
    }
}

/// Jobs.
impl Ledger {
    /// The job that takes batches, if there is one.
    pub(crate) fn open_job(&self) -> Option<usize> {
        self.jobs.iter().position(|job| job.is_open() && !job.retired)
    }

    /// Whether a job must be closed, or aborted if that is wanted: then also one that is closed and
    /// still has batches to be worked off.
    pub(crate) fn is_to_end(&self, job: usize) -> bool {
        let record = &self.jobs[job];
        match record.state {
            _ if record.given_up => false,
            JobState::Open => true,
            JobState::Closed => {
                self.aborting && self.in_job(job).any(|sent| !sent.state.is_final())
            }
            _ => false,
        }
    }

    /// Whether a job may take no more batches until it is known which it holds.
    pub(crate) fn in_doubt(&self) -> bool {
        self.jobs.iter().any(|job| job.doubt)
    }

    /// Whether a batch that is not known to be on the server may be there all the same, sent by an
    /// earlier run. `None` while that is still being found out.
    pub(crate) fn may_be_there(&self) -> Option<bool> {
        let mut inherited = self.jobs.iter().filter(|job| job.inherited && !self.query);
        let doubt = inherited.clone().any(|job| job.doubt);
        if inherited.any(|job| job.opaque) || (doubt && (self.blind || self.cut_off)) {
            return Some(true);
        }
        let unmatched = self.unmatched().is_some();
        let open = doubt || (unmatched && self.stopped.is_none());
        (!open).then_some(unmatched)
    }

    /// A batch of an earlier run that none of the rows fed until now belong to.
    pub(crate) fn unmatched(&self) -> Option<(JobId, BatchId)> {
        let mut inherited = self.jobs.iter().filter(|job| job.inherited && !self.query);
        let first = |job: &JobRecord| Some((job.id, *job.strangers.keys().next()?));
        inherited.find_map(first)
    }

    /// A list of the batches that the server says a job holds, asked for by this call. Tells
    /// whether it can be believed to be whole.
    pub(crate) fn look(
        &mut self,
        job: usize,
        asked: Tag,
        list: &BTreeMap<BatchId, BatchInfo>,
    ) -> bool {
        let here = self.batches.iter().filter_map(|batch| batch.stage.sent());
        let ours: BTreeSet<BatchId> =
            here.filter(|sent| sent.job == job).map(|sent| sent.id).collect();
        let record = &mut self.jobs[job];
        record.seen.extend(list.keys().copied());
        let whole = ours.iter().chain(&record.seen).all(|id| list.contains_key(id))
            && record.total.is_none_or(|total| list.len() as u64 >= total);
        if !whole || !record.doubt || asked < record.since {
            return whole;
        }
        record.looks += 1;
        if self.query {
            // The chunks that the server has split it into.
            for id in list.keys().filter(|id| !ours.contains(id)) {
                let stage = Stage::Sent(Sent::taken(job, *id));
                let chunk = BatchRecord { stage, ..BatchRecord::new(0..0, Fingerprint::of(b"")) };
                self.batches.push(chunk);
            }
            return true;
        }
        for (id, info) in list.iter().filter(|(id, _)| !ours.contains(id)) {
            record
                .strangers
                .entry(*id)
                .and_modify(|stranger| stranger.info = info.clone())
                .or_insert_with(|| Stranger::new(info.clone()));
        }
        true
    }
}

impl JobRecord {
    pub(crate) fn new(id: JobId, state: JobState) -> Self {
        Self {
            id,
            state,
            given_up: false,
            born: Time::ZERO,
            retired: false,
            ready: true,
            may_be_ready: false,
            inherited: false,
            doubt: false,
            opaque: false,
            looks: 0,
            since: Tag(0),
            seen: BTreeSet::new(),
            total: None,
            asked_for_total: false,
            strangers: BTreeMap::new(),
        }
    }

    /// Whether it takes batches and must still be closed.
    pub(crate) fn is_open(&self) -> bool {
        self.state == JobState::Open && !self.given_up
    }

    /// It may hold batches that no list has shown yet, unless one that is asked for from now on
    /// does.
    pub(crate) fn look_again(&mut self, next: Tag) {
        self.looks = 0;
        self.since = next;
    }

    /// Whether what the lists do not show is not there. A list may lag behind. Once the job is
    /// closed, the server's own count of its batches tells; without one it takes two lists, some time
    /// apart. Nobody has confirmed whether a query that was split counts itself: if it matters, there
    /// is no count. Of a job that is open nothing can be concluded, and one list will do.
    pub(crate) fn is_seen(&self, query: bool) -> bool {
        let seen = self.seen.len() as u64;
        let short = self.total.is_some_and(|total| seen < total);
        let counted = self.total.is_some_and(|total| seen >= total + u64::from(query));
        !short && self.looks >= if counted || self.is_open() { 1 } else { 2 }
    }

    /// A stranger whose content is not known yet.
    pub(crate) fn unread(&self) -> Option<BatchId> {
        let unread = |stranger: &Stranger| stranger.content == Content::Unread;
        self.strangers.iter().find(|(_, stranger)| unread(stranger)).map(|(id, _)| *id)
    }

    /// Takes out a stranger of this content and as many rows, if there is one.
    pub(crate) fn claim(&mut self, content: Fingerprint, rows: u64) -> Option<BatchInfo> {
        let same = |stranger: &Stranger| stranger.is_of(content, rows);
        let id = self.strangers.iter().find(|(_, stranger)| same(stranger)).map(|(id, _)| *id)?;
        self.strangers.remove(&id).map(|stranger| stranger.info)
    }
}

impl Stranger {
    pub(crate) fn new(info: BatchInfo) -> Self {
        Self { info, content: Content::Unread, before: None, readings: 0 }
    }

    /// The server said what was sent as it. That is believed when it was said twice: an answer can
    /// be short and look whole, and much is concluded from it.
    pub(crate) fn read(&mut self, content: Content) {
        self.readings += 1;
        self.content = match content {
            Content::Print(print) if self.before.replace(print) != Some(print) => {
                if self.readings < READINGS { Content::Unread } else { Content::Unreadable }
            }
            content => content,
        };
    }

    fn is_of(&self, content: Fingerprint, rows: u64) -> bool {
        let BatchInfo { state, number_records_processed: processed, .. } = &self.info;
        let counted = *state != BatchState::Completed || processed.is_none_or(|n| n == rows);
        self.content == Content::Print(content) && counted
    }
}

impl BatchRecord {
    pub(crate) fn new(rows: Range<u64>, print: Fingerprint) -> Self {
        Self { rows, print, content: None, stage: Stage::Cut, settled: false }
    }
}

impl Stage {
    pub(crate) fn sent(&self) -> Option<&Sent> {
        match self {
            Self::Sent(sent) => Some(sent),
            _ => None,
        }
    }
}
