//! Clearing doubt: which batches are on the server, when an answer was lost.
//!
//! What is asked of the server to find out stands in `errand.rs`; here is what the answers mean.

use super::Job;
use crate::error::{Error, ErrorKind};
use crate::id::{BatchId, JobId};
use crate::info::BatchInfo;
use crate::ledger::{Content, Sent, Stage};
use crate::print::Fingerprint;
use crate::rows::content;
use crate::step::Note;

impl Job {
    /// Looks whether what is known now clears a doubt.
    pub(super) fn clear_doubts(&mut self) {
        if self.ledger.unfed > 0 {
            return;
        }
        for job in 0..self.ledger.jobs.len() {
            if self.ledger.query {
                self.clear_splitting(job);
                continue;
            }
            let record = &self.ledger.jobs[job];
            if record.doubt && !self.ledger.is_unanswered(job) && record.unread().is_none() {
                self.clear_doubt(job);
            }
        }
        self.match_inherited();
    }

    /// All chunks of a query are known when those that are have ended, and the closed job shows no
    /// others.
    fn clear_splitting(&mut self, job: usize) {
        let running = self.ledger.in_job(job).any(|sent| !sent.state.is_final());
        let record = &mut self.ledger.jobs[job];
        if !record.doubt || running || record.is_open() || !record.is_seen(true) {
            return;
        }
        record.doubt = false;
        let alone = self.ledger.batches.len() == 1 && self.summary.batches.not_processed > 0;
        if alone && !self.ledger.no_more() {
            let message = "the query was not processed, and there are no chunks of it";
            let error = Error::new(ErrorKind::Incomplete, message);
            self.fail(error.of_job(self.ledger.jobs[job].id).advise("query again"));
        }
    }

    /// Nothing of this job is under way, and what is listed of it has been read.
    fn clear_doubt(&mut self, job: usize) {
        for batch in self.ledger.lost(job).collect::<Vec<_>>() {
            if let Some(info) = self.claim(job, batch) {
                self.found(job, batch, &info);
            }
        }
        let missing = self.ledger.lost(job).next().is_some();
        let record = &mut self.ledger.jobs[job];
        let fenced = record.is_seen(false) && !record.is_open();
        if !missing && !record.inherited {
            record.doubt = false; // and it goes on taking batches
        } else if record.given_up {
            self.give_up_doubt(job, "it cannot be closed, so they may still arrive");
        } else if fenced && record.strangers.values().any(|s| s.content == Content::Unreadable) {
            self.give_up_doubt(job, "the server does not give out what one of its batches holds");
        } else if fenced && missing && !record.strangers.is_empty() {
            // Nobody else adds batches to a job: more likely it is ours, and the answer was wrong.
            self.give_up_doubt(job, "one of its batches holds none of the rows that were sent");
        } else if fenced {
            record.doubt = false;
            for batch in self.ledger.lost(job).collect::<Vec<_>>() {
                self.ledger.batches[batch].stage = Stage::Cut; // certainly not there
            }
        }
    }

    /// It cannot be known which batches a job holds.
    pub(super) fn give_up_doubt(&mut self, job: usize, why: &str) {
        let record = &mut self.ledger.jobs[job];
        record.doubt = false;
        record.opaque = true;
        let message = format!("it cannot be found out which batches arrived: {why}");
        let error = Error::new(ErrorKind::Unknown, message).of_job(self.ledger.jobs[job].id);
        self.fail(error.advise(
            "resume the run later, or look for these rows in the org before loading them again",
        ));
    }

    /// Takes a stranger of the batch's content out of a job.
    fn claim(&mut self, job: usize, batch: usize) -> Option<BatchInfo> {
        if self.ledger.jobs[job].strangers.is_empty() {
            return None;
        }
        let content = self.content(batch)?;
        let rows = self.ledger.batches[batch].rows.clone();
        self.ledger.jobs[job].claim(content, rows.end - rows.start)
    }

    /// The fingerprint of what a batch says. Its body is held as long as this may be asked.
    fn content(&mut self, batch: usize) -> Option<Fingerprint> {
        let record = &mut self.ledger.batches[batch];
        if record.content.is_none() {
            record.content = content(&self.spec.content_type, self.bodies.get(&batch)?).ok();
        }
        record.content
    }

    /// A batch is on the server, although nobody said so.
    fn found(&mut self, job: usize, batch: usize, info: &BatchInfo) {
        let rows = self.ledger.batches[batch].rows.clone();
        self.note(Note::Found { batch: info.id, rows });
        self.took(job, batch, info);
    }

    /// The server has a batch.
    pub(super) fn took(&mut self, job: usize, batch: usize, info: &BatchInfo) {
        self.ledger.batches[batch].stage = Stage::Sent(Sent::new(job, info));
        self.bodies.remove(&batch);
        self.save.news += 1;
        self.summary.batches.accepted += 1;
        self.finished(batch, info);
    }

    /// Which of the rows fed until now are on the server, sent by an earlier run?
    fn match_inherited(&mut self) {
        if self.ledger.in_doubt() || self.ledger.unmatched().is_none() {
            return;
        }
        for batch in self.bodies.keys().copied().collect::<Vec<_>>() {
            for job in 0..self.ledger.jobs.len() {
                let cut = matches!(self.ledger.batches[batch].stage, Stage::Cut);
                if cut
                    && self.ledger.jobs[job].inherited
                    && let Some(info) = self.claim(job, batch)
                {
                    self.found(job, batch, &info);
                }
            }
        }
        // No earlier run had more batches under way than are held now, so the rows of a stranger
        // cannot lie beyond them.
        if let Some((job, stranger)) = self.ledger.unmatched()
            && (self.ledger.ended || !self.room())
            && self.ledger.stopped.is_none()
        {
            self.refuse_strangers(job, stranger);
        }
    }

    fn refuse_strangers(&mut self, job: JobId, stranger: BatchId) {
        let message = "the job holds a batch with none of the rows that were fed: the input is not \
                       the one that the earlier run loaded, or somebody else added the batch";
        let error = Error::new(ErrorKind::InputChanged, message).of_job(job).of_batch(stranger);
        self.fail(error.advise("nothing was sent; resume with the input as it was"));
    }
}
