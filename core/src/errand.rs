//! What is left to do: a function of the ledger, and the theory of operation.
//!
//! There is no "current state". [`errands`] compares what is true with what should be, and lists
//! the requests that would bring the two together; the machine performs those that are due and not
//! under way already. Replies may come in any order, retries need no code of their own, and an
//! abort, a failure or a lost answer is a fact in the ledger that makes other errands of it.
//!
//! From top to bottom:
//!
//! 1. A job is *in doubt* (see the [ledger](crate::ledger)), and no answer to one of its batches is
//!    under way: *list* it; *inspect* its strangers, one at a time, since each is as large as a
//!    batch; and if that does not clear the doubt, *close* it, which is the fence, have its batches
//!    *counted*, unless the answer to the close did, and list it again.
//! 2. No job is in doubt. If none takes batches, and rows wait: *create* one, after a look at the
//!    org's *limits*, if one is wanted and none was taken. (An empty input never makes a job.) If one is open: *submit* every batch that was cut.
//! 3. A job's batches are not all final: *list* them, one request for all of them.
//! 4. A batch is done: list the *files* of a query's result and *fetch* them in their order, one
//!    at a time, so that rows come in the server's order; *fetch* the outcomes of a load's batches,
//!    at most a window ahead of the first that is not settled.
//! 5. Every batch is sent, or no more will be: *close* the job, but not while an answer to a batch
//!    is under way: the close would race with it. Or *abort* it if that is wanted, also when it is
//!    closed and still has batches to work off. A job that takes no more is closed at once: it is an
//!    earlier run's, or as old as the service lets jobs get.
//!
//! A chunk that fails ends the query; its SOQL is asked for first, since it tells which ids it was
//! about.
//!
//! A run that takes up an earlier one asks nothing of the server before the rows that were cut then
//! were fed again, and are the same.

use crate::id::BatchId;
use crate::info::BatchState;
use crate::ledger::{BatchRecord, Ledger, Sent, Stage};
use crate::rows::Fate;

/// One thing to ask of the server. Jobs, batches and files are meant by their index, strangers by
/// their id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    Limits,
    Create,
    Submit { batch: usize },
    List { job: usize },
    Count { job: usize },
    Inspect { job: usize, stranger: BatchId },
    Chunk { batch: usize },
    Files { batch: usize },
    Fetch { batch: usize, file: usize },
    Close { job: usize },
    Abort { job: usize },
}

impl Errand {
    /// Whether it changes something in the org.
    pub(crate) fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Submit { .. } | Self::Close { .. } | Self::Abort { .. })
    }
}

/// What is left to do, most urgent first. `window` is how many batches may be fetched at once.
pub(crate) fn errands(ledger: &Ledger, window: usize) -> Vec<Errand> {
    let mut errands = Vec::new();
    if ledger.cut_off || ledger.unfed > 0 {
        return errands;
    }
    doubts(ledger, &mut errands);
    let unclear = ledger.in_doubt() && !ledger.query;
    if !ledger.no_more() && !unclear && ledger.may_be_there() == Some(false) {
        sending(ledger, &mut errands);
    }
    if !ledger.blind {
        for job in 0..ledger.jobs.len() {
            if ledger.in_job(job).any(|sent| !sent.state.is_final()) {
                errands.push(Errand::List { job });
            }
        }
    }
    errands.extend(ledger.failed_chunk.map(|batch| Errand::Chunk { batch }));
    if ledger.query {
        reading(ledger, &mut errands);
    } else {
        fetching(ledger, window, &mut errands);
    }
    ending(ledger, &mut errands);
    errands
}

/// What would tell which batches the jobs in doubt hold.
fn doubts(ledger: &Ledger, errands: &mut Vec<Errand>) {
    for (job, record) in ledger.jobs.iter().enumerate() {
        let running = |sent: &Sent| !sent.state.is_final();
        let splitting = ledger.query && (!ledger.all_sent() || ledger.in_job(job).any(running));
        if !record.doubt || ledger.blind || splitting || ledger.is_unanswered(job) {
            continue;
        }
        if let Some(stranger) = record.unread() {
            errands.push(Errand::Inspect { job, stranger });
        } else if record.is_open() && (record.looks > 0 || ledger.query || ledger.no_more()) {
            errands.extend((!ledger.aborting).then_some(Errand::Close { job }));
        } else if !record.is_open() && record.total.is_none() && !record.asked_for_total {
            errands.push(Errand::Count { job });
        } else if !record.is_seen(ledger.query) {
            errands.push(Errand::List { job });
        }
    }
}

fn sending(ledger: &Ledger, errands: &mut Vec<Errand>) {
    let mut cut = ledger
        .unsettled()
        .filter(|(_, batch)| matches!(batch.stage, Stage::Cut))
        .map(|(batch, _)| Errand::Submit { batch })
        .peekable();
    if cut.peek().is_some() && ledger.open_job().is_none() {
        errands.push(if ledger.preflight.is_some() { Errand::Limits } else { Errand::Create });
    } else {
        errands.extend(cut);
    }
}

/// A query: the first file that was not read to its end.
fn reading(ledger: &Ledger, errands: &mut Vec<Errand>) {
    let Some((batch, BatchRecord { stage: Stage::Sent(sent), .. })) = ledger.unsettled().next()
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
    let near = ledger.settled.saturating_add(window);
    for (batch, record) in ledger.unsettled().take_while(|(batch, _)| *batch < near) {
        if record.stage.sent().is_some_and(has_result) {
            errands.push(Errand::Fetch { batch, file: 0 });
        }
    }
}

/// A failed batch may have written rows before it failed.
fn has_result(sent: &Sent) -> bool {
    match sent.state {
        _ if sent.unreadable.is_some() => false,
        BatchState::Completed => true,
        BatchState::Failed => sent.processed != Some(0),
        _ => false,
    }
}

fn ending(ledger: &Ledger, errands: &mut Vec<Errand>) {
    for job in (0..ledger.jobs.len()).filter(|job| ledger.is_to_end(*job)) {
        let record = &ledger.jobs[job];
        let splitting = ledger.query && record.doubt;
        let all_sent = !splitting && (ledger.all_sent() || record.retired);
        if ledger.aborting {
            errands.push(Errand::Abort { job });
        } else if (ledger.stopped.is_some() || all_sent) && !ledger.is_unanswered(job) {
            errands.push(Errand::Close { job });
        }
    }
}

/// What became of a load's batch, if that is certain without reading a result, and why. Total over
/// every stage and state: what is not decided here is waited for or fetched.
pub(crate) fn fate(ledger: &Ledger, batch: &BatchRecord) -> Option<(Fate, String)> {
    match &batch.stage {
        Stage::Cut if ledger.no_more() => Some(if ledger.may_be_there()? {
            (Fate::Unknown, "an earlier run may have sent it".into())
        } else {
            (Fate::Unprocessed, why_not_sent(ledger))
        }),
        Stage::Unsure { job, lost: true } => {
            let out_of_sight = ledger.jobs[*job].opaque || ledger.blind || ledger.cut_off;
            out_of_sight.then(|| (Fate::Unknown, "the answer to the batch was lost".into()))
        }
        Stage::Refused { why } => Some((Fate::Failed, why.clone())),
        Stage::Sent(sent) => match (&sent.state, &sent.unreadable) {
            (_, Some(why)) => Some((Fate::Unknown, why.clone())),
            (BatchState::NotProcessed, _) => Some((Fate::Unprocessed, sent.why())),
            (BatchState::Failed, _) if !has_result(sent) => Some((Fate::Failed, sent.why())),
            (state, _) if ledger.cut_off || (ledger.blind && !state.is_final()) => {
                Some((Fate::Unknown, "the server could not be asked what became of it".into()))
            }
            _ => None,
        },
        Stage::Cut | Stage::Unsure { lost: false, .. } => None,
    }
}

fn why_not_sent(ledger: &Ledger) -> String {
    match &ledger.stopped {
        Some(error) if !ledger.aborting => format!("not sent, since {}", error.message()),
        _ => "not sent: the load was aborted".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::info::JobState;
    use crate::ledger::{Content, JobRecord, Stranger};
    use crate::print::Fingerprint;

    const JOB: &str = "7505g00000Ab1CdAAJ";
    const BATCH: &str = "7515g00000Ef2GhAAJ";

    fn ledger(stages: Vec<Stage>) -> Ledger {
        let jobs = vec![JobRecord::new(JOB.parse().unwrap(), JobState::Open)];
        let batches = (0..).zip(stages).map(|(n, stage)| record(n, stage)).collect();
        Ledger { jobs, batches, ..Ledger::default() }
    }

    fn record(n: u64, stage: Stage) -> BatchRecord {
        BatchRecord { stage, ..BatchRecord::new(n * 10..n * 10 + 10, Fingerprint::of(b"")) }
    }

    fn on_server(state: BatchState, processed: Option<u64>) -> Stage {
        Stage::Sent(Sent { state, processed, ..Sent::taken(0, BATCH.parse().unwrap()) })
    }

    fn stranger(content: Content) -> (BatchId, Stranger) {
        let id: BatchId = BATCH.parse().unwrap();
        let info = serde_json::json!({"id": BATCH, "state": "Queued"});
        let mut stranger = Stranger::new(serde_json::from_value(info).unwrap());
        stranger.content = content;
        (id, stranger)
    }

    fn disk_full() -> Error {
        Error::new(ErrorKind::Local, "disk full")
    }

    const UNSURE: Stage = Stage::Unsure { job: 0, lost: false };
    const LOST: Stage = Stage::Unsure { job: 0, lost: true };
    const LIST: Errand = Errand::List { job: 0 };
    const CLOSE: Errand = Errand::Close { job: 0 };

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
    fn a_query_that_is_to_be_split_is_sent_and_its_job_closed_when_all_chunks_are_known() {
        let mut ledger = ledger(vec![Stage::Cut]);
        (ledger.query, ledger.ended, ledger.jobs[0].doubt) = (true, true, true);
        assert_eq!(errands(&ledger, 4), [Errand::Submit { batch: 0 }]);
        ledger.batches[0].stage = on_server(BatchState::Queued, None);
        assert_eq!(errands(&ledger, 4), [LIST], "it is being split");
        ledger.batches[0].stage = on_server(BatchState::NotProcessed, None);
        ledger.settle(0);
        ledger.batches.push(record(0, on_server(BatchState::InProgress, None)));
        assert_eq!(errands(&ledger, 4), [LIST], "a chunk runs");
        ledger.batches[1].stage = on_server(BatchState::Completed, Some(1));
        assert_eq!(errands(&ledger, 4), [CLOSE, Errand::Files { batch: 1 }]);
    }

    #[test]
    fn a_job_is_closed_when_all_is_sent_or_nothing_more_will_be() {
        let mut ledger = ledger(vec![Stage::Cut, Stage::Cut]);
        ledger.settle(0);
        assert!(!errands(&ledger, 4).contains(&CLOSE), "the input may go on");
        ledger.ended = true;
        assert!(!errands(&ledger, 4).contains(&CLOSE), "a batch waits");
        ledger.stopped = Some(disk_full());
        assert_eq!(errands(&ledger, 4), [CLOSE]);
        ledger.batches[1].stage = UNSURE;
        assert_eq!(errands(&ledger, 4), [], "an answer is under way");
        ledger.aborting = true;
        assert_eq!(errands(&ledger, 4), [Errand::Abort { job: 0 }]);
    }

    #[test]
    fn a_job_in_doubt_is_listed_inspected_fenced_and_listed_again() {
        let mut ledger = ledger(vec![LOST, UNSURE, Stage::Cut]);
        ledger.jobs[0].doubt = true;
        assert_eq!(errands(&ledger, 4), [], "a neighbour's answer is under way");
        ledger.batches[1].stage = Stage::Cut;
        assert_eq!(errands(&ledger, 4), [LIST]);
        ledger.jobs[0].looks = 1;
        ledger.jobs[0].strangers.extend([stranger(Content::Unread)]);
        let inspect = Errand::Inspect { job: 0, stranger: BATCH.parse().unwrap() };
        assert_eq!(errands(&ledger, 4), [inspect]);
        ledger.jobs[0].strangers.extend([stranger(Content::Unreadable)]);
        assert_eq!(errands(&ledger, 4), [CLOSE], "the fence");
        ledger.jobs[0].state = JobState::Closed;
        ledger.jobs[0].looks = 0;
        assert_eq!(errands(&ledger, 4), [Errand::Count { job: 0 }]);
        ledger.jobs[0].asked_for_total = true;
        assert_eq!(errands(&ledger, 4), [LIST]);
        ledger.jobs[0].looks = 1;
        assert_eq!(errands(&ledger, 4), [LIST], "nobody knows how many there are");
        ledger.jobs[0].total = Some(1);
        assert_eq!(errands(&ledger, 4), [LIST], "the server counts more than it has shown");
        ledger.jobs[0].seen.insert(BATCH.parse().unwrap());
        assert_eq!(errands(&ledger, 4), []);
        ledger.jobs[0].looks = 0;
        ledger.jobs[0].state = JobState::Open;
        ledger.stopped = Some(disk_full());
        assert!(!errands(&ledger, 4).contains(&LIST), "the fence comes first if it comes anyway");
    }

    #[test]
    fn an_earlier_run_is_fenced_once_its_rows_are_known_to_be_the_same() {
        let mut ledger = ledger(vec![on_server(BatchState::Queued, None), Stage::Cut]);
        ledger.jobs[0] = JobRecord {
            retired: true,
            inherited: true,
            doubt: true,
            ..JobRecord::new(JOB.parse().unwrap(), JobState::Open)
        };
        ledger.unfed = 1;
        assert_eq!(errands(&ledger, 4), []);
        ledger.unfed = 0;
        assert!(errands(&ledger, 4).contains(&CLOSE));
        ledger.jobs[0].state = JobState::Closed;
        ledger.jobs[0].total = Some(1);
        assert_eq!(errands(&ledger, 4), [LIST, LIST]);
        ledger.jobs[0].doubt = false;
        assert_eq!(errands(&ledger, 4), [Errand::Create, LIST]);
        ledger.jobs[0].strangers.extend([stranger(Content::Unreadable)]);
        assert_eq!(errands(&ledger, 4), [LIST], "whose rows are these?");
    }

    #[test]
    fn results_are_fetched_a_window_ahead() {
        let done = || on_server(BatchState::Completed, Some(10));
        let running = on_server(BatchState::InProgress, Some(0));
        let mut ledger = ledger(vec![running, done(), done(), done()]);
        let fetch = |batch| Errand::Fetch { batch, file: 0 };
        assert_eq!(errands(&ledger, 3), [LIST, fetch(1), fetch(2)]);
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
        let fate_of =
            |ledger: &Ledger, stage| fate(ledger, &record(0, stage)).map(|(fate, _)| fate);
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
        assert_eq!(fate_of(&running, LOST), None, "the server will be asked");
        let aborted = || Ledger { aborting: true, ..ledger(vec![]) };
        assert_eq!(fate_of(&aborted(), Stage::Cut), Some(Fate::Unprocessed));
        let blind = Ledger { blind: true, ..ledger(vec![]) };
        assert_eq!(fate_of(&blind, on_server(InProgress, Some(1))), Some(Fate::Unknown));
        assert_eq!(fate_of(&blind, on_server(Completed, Some(1))), None, "its result can be read");
        assert_eq!(fate_of(&blind, LOST), Some(Fate::Unknown));
        let cut_off = Ledger { cut_off: true, ..ledger(vec![]) };
        assert_eq!(fate_of(&cut_off, on_server(Completed, Some(1))), Some(Fate::Unknown));
        let mut resumed = aborted();
        (resumed.jobs[0].inherited, resumed.jobs[0].doubt) = (true, true);
        assert_eq!(fate_of(&resumed, Stage::Cut), None, "an earlier run may have sent it");
        resumed.blind = true;
        assert_eq!(fate_of(&resumed, Stage::Cut), Some(Fate::Unknown));
    }
}
