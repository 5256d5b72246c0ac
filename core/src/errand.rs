//! What is left to do: a function of the ledger, and the theory of operation.
//!
//! There is no "current state". [`errands`] compares what is true with what should be, and lists
//! the requests that would bring the two together; the machine performs those that are due and not
//! under way already. Replies may come in any order, retries need no code of their own, and an
//! abort or a failure is a fact in the ledger that makes other errands of it.
//!
//! From top to bottom:
//!
//! 1. No job takes batches, and rows wait: *create* one. (An empty input never makes a job.)
//! 2. A job is open: *submit* every batch that was cut.
//! 3. A job's batches are not all final: *list* them, one request for all of them.
//! 4. A batch is done: list the *files* of a query's result and *fetch* them in their order, one
//!    at a time, so that rows come in the server's order; *fetch* the outcomes of a load's batches,
//!    at most a window ahead of the first that is not settled.
//! 5. Every batch is sent, or no more will be: *close* the job, but not while an answer to a batch
//!    is under way: the close would race with it. Or *abort* it if that is wanted, also when it is
//!    closed and still has batches to work off.

use crate::info::BatchState;
use crate::ledger::{BatchRecord, Ledger, Sent, Stage};
use crate::rows::Fate;

/// One thing to ask of the server. Jobs, batches and files are meant by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    Create,
    Submit { batch: usize },
    List { job: usize },
    Files { batch: usize },
    Fetch { batch: usize, file: usize },
    Close { job: usize },
    Abort { job: usize },
}

impl Errand {
    /// Whether it changes something in the org.
    pub(crate) fn is_write(self) -> bool {
        !matches!(self, Self::List { .. } | Self::Files { .. } | Self::Fetch { .. })
    }
}

/// What is left to do, most urgent first. `window` is how many batches may be fetched at once.
pub(crate) fn errands(ledger: &Ledger, window: usize) -> Vec<Errand> {
    let mut errands = Vec::new();
    if ledger.cut_off {
        return errands;
    }
    if !ledger.no_more() {
        sending(ledger, &mut errands);
    }
    if !ledger.blind {
        for job in 0..ledger.jobs.len() {
            let watched = |sent: &Sent| sent.job == job && !sent.state.is_final();
            if sent(ledger).any(watched) {
                errands.push(Errand::List { job });
            }
        }
    }
    if ledger.query {
        reading(ledger, &mut errands);
    } else {
        fetching(ledger, window, &mut errands);
    }
    ending(ledger, &mut errands);
    errands
}

fn sent(ledger: &Ledger) -> impl Iterator<Item = &Sent> {
    ledger.unsettled().iter().filter_map(|batch| match &batch.stage {
        Stage::Sent(sent) => Some(sent),
        _ => None,
    })
}

/// The unsettled batches and their indices.
fn unsettled(ledger: &Ledger) -> impl Iterator<Item = (usize, &BatchRecord)> {
    (ledger.settled..).zip(ledger.unsettled())
}

fn sending(ledger: &Ledger, errands: &mut Vec<Errand>) {
    let mut cut = unsettled(ledger)
        .filter(|(_, batch)| matches!(batch.stage, Stage::Cut))
        .map(|(batch, _)| Errand::Submit { batch })
        .peekable();
    if cut.peek().is_some() && ledger.open_job().is_none() {
        errands.push(Errand::Create);
    } else {
        errands.extend(cut);
    }
}

/// A query: the first file that was not read to its end.
fn reading(ledger: &Ledger, errands: &mut Vec<Errand>) {
    let Some((batch, BatchRecord { stage: Stage::Sent(sent), .. })) = unsettled(ledger).next()
    else {
        return;
    };
    match &sent.files {
        _ if ledger.no_more() || sent.state != BatchState::Completed => {}
        None => errands.push(Errand::Files { batch }),
        Some(files) => {
            let next = files.iter().position(|file| file.rows.is_none());
            errands.extend(next.map(|file| Errand::Fetch { batch, file }));
        }
    }
}

/// A load: the outcomes of every batch near the first unsettled one that has some.
fn fetching(ledger: &Ledger, window: usize, errands: &mut Vec<Errand>) {
    for (batch, record) in unsettled(ledger).take(window) {
        if matches!(&record.stage, Stage::Sent(sent) if has_result(sent)) {
            errands.push(Errand::Fetch { batch, file: 0 });
        }
    }
}

/// A failed batch may have written rows before it failed.
fn has_result(sent: &Sent) -> bool {
    match sent.state {
        BatchState::Completed => true,
        BatchState::Failed => sent.processed != Some(0),
        _ => false,
    }
}

fn ending(ledger: &Ledger, errands: &mut Vec<Errand>) {
    let unanswered = |batch: &BatchRecord| matches!(batch.stage, Stage::Unsure { lost: false, .. });
    let quiet = !ledger.unsettled().iter().any(unanswered);
    for job in (0..ledger.jobs.len()).filter(|job| ledger.is_to_end(*job)) {
        if ledger.aborting {
            errands.push(Errand::Abort { job });
        } else if quiet && (ledger.stopped.is_some() || ledger.all_sent()) {
            errands.push(Errand::Close { job });
        }
    }
}

/// What became of a load's batch, if that is certain without reading a result, and why. Total over
/// every stage and state: what is not decided here is waited for or fetched.
pub(crate) fn fate(ledger: &Ledger, batch: &BatchRecord) -> Option<(Fate, String)> {
    match &batch.stage {
        Stage::Cut if ledger.no_more() => {
            let why = match &ledger.stopped {
                Some(error) if !ledger.aborting => format!("not sent, since {}", error.message()),
                _ => "not sent: the load was aborted".into(),
            };
            Some((Fate::Unprocessed, why))
        }
        Stage::Unsure { lost: true, .. } => {
            Some((Fate::Unknown, "the answer to the batch was lost".into()))
        }
        Stage::Doomed { fate, why } => Some((*fate, why.clone())),
        Stage::Sent(sent) => match sent.state {
            BatchState::NotProcessed => Some((Fate::Unprocessed, sent.why())),
            BatchState::Failed if !has_result(sent) => Some((Fate::Failed, sent.why())),
            _ if ledger.cut_off || (ledger.blind && !sent.state.is_final()) => {
                Some((Fate::Unknown, "the server could not be asked what became of it".into()))
            }
            _ => None,
        },
        Stage::Cut | Stage::Unsure { lost: false, .. } | Stage::Settled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::info::JobState;
    use crate::ledger::JobRecord;

    fn ledger(stages: Vec<Stage>) -> Ledger {
        let jobs = vec![JobRecord {
            id: "7505g00000Ab1CdAAJ".parse().unwrap(),
            state: JobState::Open,
            given_up: false,
        }];
        let record = |(n, stage): (u64, Stage)| BatchRecord { rows: n * 10..n * 10 + 10, stage };
        let batches = (0..).zip(stages).map(record).collect();
        Ledger { jobs, batches, ..Ledger::default() }
    }

    fn on_server(state: BatchState, processed: Option<u64>) -> Stage {
        let id = "7515g00000Ef2GhAAJ".parse().unwrap();
        Stage::Sent(Sent {
            job: 0,
            id,
            state,
            processed,
            message: None,
            files: None,
            before: vec![],
            short: 0,
        })
    }

    const UNSURE: Stage = Stage::Unsure { job: 0, lost: false };

    #[test]
    fn rows_that_wait_need_a_job_and_then_are_sent() {
        let mut ledger = ledger(vec![Stage::Cut, UNSURE, Stage::Cut]);
        let sends = [Errand::Submit { batch: 0 }, Errand::Submit { batch: 2 }];
        assert_eq!(errands(&ledger, 4), sends);
        ledger.jobs[0].state = JobState::Closed;
        assert_eq!(errands(&ledger, 4), [Errand::Create]);
        ledger.aborting = true;
        assert_eq!(errands(&ledger, 4), []);
    }

    #[test]
    fn a_job_is_closed_when_all_is_sent_or_nothing_more_will_be() {
        let close = [Errand::Close { job: 0 }];
        let mut ledger = ledger(vec![Stage::Settled, Stage::Cut]);
        ledger.settled = 1;
        assert!(!errands(&ledger, 4).contains(&close[0]), "the input may go on");
        ledger.ended = true;
        assert!(!errands(&ledger, 4).contains(&close[0]), "a batch waits");
        ledger.stopped = Some(Error::new(ErrorKind::Local, "disk full"));
        assert_eq!(errands(&ledger, 4), close);
        ledger.batches[1].stage = UNSURE;
        assert_eq!(errands(&ledger, 4), [], "an answer is under way");
        ledger.aborting = true;
        assert_eq!(errands(&ledger, 4), [Errand::Abort { job: 0 }]);
    }

    #[test]
    fn results_are_fetched_a_window_ahead() {
        let done = || on_server(BatchState::Completed, Some(10));
        let running = on_server(BatchState::InProgress, Some(0));
        let mut ledger = ledger(vec![running, done(), done(), done()]);
        let fetch = |batch| Errand::Fetch { batch, file: 0 };
        assert_eq!(errands(&ledger, 3), [Errand::List { job: 0 }, fetch(1), fetch(2)]);
        ledger.settle(1);
        assert_eq!(ledger.settled, 0);
        ledger.settle(0);
        assert_eq!(ledger.settled, 2);
        assert_eq!(errands(&ledger, 3), [fetch(2), fetch(3)]);
    }

    #[test]
    fn every_stage_and_state_has_one_decision() {
        use BatchState::{Completed, Failed, InProgress, NotProcessed, Other, Queued};
        let running = ledger(vec![]);
        let fate_of = |ledger: &Ledger, stage| {
            fate(ledger, &BatchRecord { rows: 0..10, stage }).map(|(fate, _)| fate)
        };
        for (state, processed, expected) in [
            (Queued, None, None),
            (InProgress, Some(3), None),
            (Other("Sleeping".into()), Some(0), None),
            (Completed, Some(0), None),
            (Completed, Some(10), None),
            (Failed, Some(0), Some(Fate::Failed)),
            (Failed, Some(3), None),
            (Failed, None, None),
            (NotProcessed, Some(0), Some(Fate::Unprocessed)),
        ] {
            let fate = fate_of(&running, on_server(state.clone(), processed));
            assert_eq!(fate, expected, "{state} {processed:?}");
        }
        assert_eq!(fate_of(&running, Stage::Cut), None);
        assert_eq!(fate_of(&running, UNSURE), None);
        let lost = Stage::Unsure { job: 0, lost: true };
        assert_eq!(fate_of(&running, lost), Some(Fate::Unknown));
        let aborted = Ledger { aborting: true, ..Ledger::default() };
        assert_eq!(fate_of(&aborted, Stage::Cut), Some(Fate::Unprocessed));
        let blind = Ledger { blind: true, ..Ledger::default() };
        assert_eq!(fate_of(&blind, on_server(InProgress, Some(1))), Some(Fate::Unknown));
        assert_eq!(fate_of(&blind, on_server(Completed, Some(1))), None, "its result can be read");
        let cut_off = Ledger { cut_off: true, ..Ledger::default() };
        assert_eq!(fate_of(&cut_off, on_server(Completed, Some(1))), Some(Fate::Unknown));
    }
}
