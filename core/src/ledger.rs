//! The ledger: what is true, as far as the machine knows. Jobs, batches, and how far each is.
//!
//! ```text
//!  Cut ──sent──► Unsure ──Done──► Sent { id, state … } ──rows accounted for──► Settled
//!   ▲              │ │                     │                                     ▲
//!   └───Refused────┘ └─────Unknown─────────┴──────────► Doomed { fate, why } ────┘
//! ```
//!
//! A batch is *unsure* from before its request leaves until an answer makes it sure. It is *doomed*
//! when the fate of its rows is known without a result: refused as a whole, or lost from sight.
//! Nothing here decides anything; [`errand`](crate::errand) reads the ledger, the machine writes it.

use std::ops::Range;

use crate::error::Error;
use crate::id::{BatchId, JobId, ResultId};
use crate::info::{BatchInfo, BatchState, JobState};
use crate::print::Fingerprint;
use crate::rows::{Fate, Have};

#[allow(clippy::struct_excessive_bools)] // independent facts, not a state
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Whether rows come out instead of going in.
    pub(crate) query: bool,
    /// The jobs created, oldest first.
    pub(crate) jobs: Vec<JobRecord>,
    /// The batches, in the order of their rows.
    pub(crate) batches: Vec<BatchRecord>,
    /// How many batches from the first on are settled; the rows of those are accounted for.
    pub(crate) settled: usize,
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
    /// The header that all files of a query's result must have.
    pub(crate) header: Option<Fingerprint>,
}

#[derive(Debug)]
pub(crate) struct JobRecord {
    pub(crate) id: JobId,
    pub(crate) state: JobState,
    /// It could not be closed and will stay open.
    pub(crate) given_up: bool,
}

#[derive(Debug)]
pub(crate) struct BatchRecord {
    /// The input rows in it; none for a query.
    pub(crate) rows: Range<u64>,
    pub(crate) stage: Stage,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// Certainly not on the server.
    Cut,
    /// Sent, and no answer yet; or none that will ever come.
    Unsure { job: usize, lost: bool },
    /// On the server, under this id.
    Sent(Sent),
    /// The fate of its rows is known, and why; they are not accounted for yet.
    Doomed { fate: Fate, why: String },
    /// Its rows are accounted for.
    Settled,
}

#[derive(Debug)]
pub(crate) struct Sent {
    /// Index of its job.
    pub(crate) job: usize,
    pub(crate) id: BatchId,
    pub(crate) state: BatchState,
    pub(crate) processed: Option<u64>,
    pub(crate) message: Option<String>,
    /// The files of its result, once listed.
    pub(crate) files: Option<Vec<File>>,
    /// The files as they were listed before, when all is read again.
    pub(crate) before: Vec<File>,
    /// How often the result was read to its end and did not hold what was promised.
    pub(crate) short: u32,
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
    pub(crate) fn new(job: usize, info: &BatchInfo) -> Self {
        Self {
            job,
            id: info.id,
            state: info.state.clone(),
            processed: info.number_records_processed,
            message: info.state_message.clone(),
            files: None,
            before: Vec::new(),
            short: 0,
        }
    }

    /// Takes what a newer answer says of the batch.
    pub(crate) fn update(&mut self, info: &BatchInfo) {
        self.state = info.state.clone();
        self.processed = info.number_records_processed;
        self.message.clone_from(&info.state_message);
    }

    /// A file of its result.
    pub(crate) fn file(&self, file: usize) -> Option<&File> {
        self.files.as_ref()?.get(file)
    }

    /// Why the batch ended as it did, in the server's words.
    pub(crate) fn why(&self) -> String {
        match &self.message {
            Some(message) => message.clone(),
            None => format!("the batch ended {}", self.state),
        }
    }
}

impl Ledger {
    /// The job that takes batches, if there is one.
    pub(crate) fn open_job(&self) -> Option<usize> {
        self.jobs.iter().position(JobRecord::is_open)
    }

    /// Whether a job must be closed, or aborted if that is wanted: then also one that is closed and
    /// still has batches to be worked off.
    pub(crate) fn is_to_end(&self, job: usize) -> bool {
        let record = &self.jobs[job];
        let working = |batch: &BatchRecord| match &batch.stage {
            Stage::Sent(sent) => sent.job == job && !sent.state.is_final(),
            _ => false,
        };
        match record.state {
            _ if record.given_up => false,
            JobState::Open => true,
            JobState::Closed => self.aborting && self.unsettled().iter().any(working),
            _ => false,
        }
    }

    /// Whether a batch of this id is known already.
    pub(crate) fn knows(&self, id: BatchId) -> bool {
        let same = |batch: &BatchRecord| matches!(&batch.stage, Stage::Sent(sent) if sent.id == id);
        self.unsettled().iter().any(same)
    }

    /// Whether every row that will ever be sent was sent.
    pub(crate) fn all_sent(&self) -> bool {
        let waiting = |batch: &BatchRecord| match batch.stage {
            Stage::Cut => !self.no_more(),
            Stage::Unsure { lost, .. } => !lost,
            _ => false,
        };
        self.ended && !self.unsettled().iter().any(waiting)
    }

    /// Whether no more rows are to be sent, sent or not.
    pub(crate) fn no_more(&self) -> bool {
        self.stopped.is_some() || self.aborting
    }

    /// The batches whose rows are not all accounted for. Those before them are not looked at again.
    pub(crate) fn unsettled(&self) -> &[BatchRecord] {
        &self.batches[self.settled..]
    }

    /// The batch, if it is on the server.
    pub(crate) fn sent(&mut self, batch: usize) -> Option<&mut Sent> {
        match &mut self.batches.get_mut(batch)?.stage {
            Stage::Sent(sent) => Some(sent),
            _ => None,
        }
    }

    /// Settles a batch.
    pub(crate) fn settle(&mut self, batch: usize) {
        self.batches[batch].stage = Stage::Settled;
        while self.batches.get(self.settled).is_some_and(BatchRecord::is_settled) {
            self.settled += 1;
        }
    }
}

impl JobRecord {
    /// Whether it takes batches and must still be closed.
    pub(crate) fn is_open(&self) -> bool {
        self.state == JobState::Open && !self.given_up
    }
}

impl BatchRecord {
    fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled)
    }
}
