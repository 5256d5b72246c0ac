//! Rows: which are wanted, which are held, and those whose fate needs no result.

use std::ops::Range;

use bytes::Bytes;

use super::Job;
use crate::errand::{Errand, fate};
use crate::error::{Error, ErrorKind};
use crate::ledger::{BatchRecord, Stage};
use crate::print::Fingerprint;
use crate::rows::{Fate, Outcome};
use crate::step::Step;

impl Job {
    pub(super) fn hold(&mut self, rows: Range<u64>, body: Bytes) {
        self.summary.rows = rows.end;
        self.ledger.batches.push(BatchRecord::new(rows, Fingerprint::of(&body)));
        self.bodies.insert(self.ledger.batches.len() - 1, body);
    }

    /// A batch that an earlier run cut. It is held only if it may have to be sent.
    pub(super) fn hold_again(&mut self, rows: Range<u64>, body: Bytes) {
        let batch = self.ledger.batches.len() - self.ledger.unfed;
        let record = &self.ledger.batches[batch];
        if record.rows != rows || record.print != Fingerprint::of(&body) {
            return self.refuse_input("rows are not the same");
        }
        self.summary.rows = rows.end;
        self.ledger.unfed -= 1;
        if matches!(record.stage, Stage::Cut) {
            self.bodies.insert(batch, body);
        }
    }

    /// The rows are not those that the earlier run loaded. Nothing was asked of the server yet.
    pub(super) fn refuse_input(&mut self, how: &str) {
        let batch = self.ledger.batches.len() - self.ledger.unfed;
        let rows = self.ledger.batches[batch].rows.clone();
        let message = format!("the input is not the one that the earlier run loaded: {how}");
        let error = Error::new(ErrorKind::InputChanged, message).of_rows(rows);
        self.go(error.advise("resume with the input as it was, cut with the same limits"));
    }

    pub(super) fn room(&self) -> bool {
        let bounds = &self.spec.bounds;
        let held: usize = self.bodies.values().map(Bytes::len).sum();
        self.bodies.len() < bounds.parallel && held < bounds.held
    }

    pub(super) fn wants_rows(&self) -> bool {
        let ledger = &self.ledger;
        // Also an abort must know which rows an earlier run has sent.
        let wanted =
            !ledger.no_more() || (ledger.stopped.is_none() && ledger.unmatched().is_some());
        !self.asked && !ledger.ended && (ledger.unfed > 0 || (wanted && self.room()))
    }

    /// Accounts for the rows of a batch whose fate is certain without a result, if there is nothing
    /// else to say: one batch's outcomes are held at a time. Only batches near the first unsettled
    /// one are looked at; the application would have to keep the outcomes of those further ahead.
    pub(super) fn settle_certain(&mut self) {
        if self.ledger.query || self.ledger.unfed > 0 || !self.news.is_empty() {
            return;
        }
        let from = self.ledger.settled;
        let to = self.ledger.batches.len().min(from.saturating_add(self.spec.bounds.parallel));
        for batch in from..to {
            let record = &self.ledger.batches[batch];
            // While its result is under way, the batch may still prove to be known.
            if record.settled || self.is_under_way(Errand::Fetch { batch, file: 0 }) {
                continue;
            }
            if let Some((fate, why)) = fate(&self.ledger, record) {
                let rows = record.rows.clone();
                self.settle_as(rows, fate, &why);
                self.bodies.remove(&batch);
                return self.ledger.settle(batch);
            }
        }
    }

    pub(super) fn settle_as(&mut self, rows: Range<u64>, fate: Fate, why: &str) {
        let count = rows.end.saturating_sub(rows.start);
        match fate {
            Fate::Succeeded { .. } => self.summary.succeeded += count,
            Fate::Failed => self.summary.failed += count,
            Fate::Unprocessed => self.summary.unprocessed += count,
            Fate::Unknown => self.summary.unknown += count,
        }
        if count > 0 {
            self.news.push_back(Step::Settled(Outcome::settled(rows, fate, why)));
        }
    }
}
