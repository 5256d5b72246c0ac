//! What outlives a run: enough to take it up again, and nothing that could leak.
//!
//! A checkpoint holds what was asked for, the ids of the jobs, and for each batch which rows are in
//! it, a fingerprint, and its id, if it is known. It holds **no record and no session**. It need not
//! be new: what it does not know is looked up on the server, which lists every batch it ever took;
//! only a job that it does not know could not be found.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::{BatchId, JobId};
use crate::info::JobState;
use crate::ledger::{BatchRecord, JobRecord, Ledger, Sent, Stage};
use crate::print::Fingerprint;
use crate::spec::Spec;

/// The version written. A later one is refused: a guess could load rows twice, or other rows than
/// were meant. What came with version 2, all in the [`Spec`], is as if not said in one of version 1.
const VERSION: u32 = 2;

/// Where a run is, to be stored, and [resumed](crate::Job::resume) by another process perhaps.
///
/// It is serde data, for a format that describes itself (JSON, say): some 150 bytes for each batch.
/// Made by [`Job::checkpoint`](crate::Job::checkpoint).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Checkpoint {
    spec: Spec,
    jobs: Vec<StoredJob>,
    batches: Vec<StoredBatch>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    spec: Spec,
    jobs: Vec<StoredJob>,
    batches: Vec<StoredBatch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredJob {
    id: JobId,
    state: JobState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredBatch {
    rows: Range<u64>,
    print: Fingerprint,
    /// Where it is on the server, if that is known: the job's index, and its own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<(usize, BatchId)>,
    /// Why it was turned away, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl Checkpoint {
    /// What the run was asked to do.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The jobs it created, oldest first.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.jobs.iter().map(|job| job.id)
    }

    /// How many rows were cut into batches.
    pub fn rows(&self) -> u64 {
        self.batches.last().map_or(0, |batch| batch.rows.end)
    }

    /// How many batches were cut, and how many of them are known to be on the server.
    pub fn batches(&self) -> (usize, usize) {
        let there = self.batches.iter().filter(|batch| batch.at.is_some());
        (self.batches.len(), there.count())
    }

    pub(crate) fn of(spec: &Spec, ledger: &Ledger) -> Self {
        let job = |job: &JobRecord| StoredJob { id: job.id, state: job.state.clone() };
        let batch = |batch: &BatchRecord| StoredBatch {
            rows: batch.rows.clone(),
            print: batch.print,
            at: batch.stage.sent().map(|sent| (sent.job, sent.id)),
            refused: match &batch.stage {
                Stage::Refused { why } => Some(why.clone()),
                _ => None,
            },
        };
        let jobs = ledger.jobs.iter().map(job).collect();
        // As long as it may prove not to be the input of the earlier run, nothing is kept of it.
        let sure = ledger.query || ledger.may_be_there() == Some(false);
        let kept = if sure { ledger.batches.len() } else { ledger.known };
        let batches = ledger.batches.iter().take(kept).map(batch).collect();
        Self { spec: spec.clone(), jobs, batches }
    }

    /// The ledger of a run that goes on from here: all answers that were under way are lost.
    pub(crate) fn into_parts(self) -> (Spec, Ledger) {
        let query = self.spec.operation().is_query();
        let original = self.batches.first().and_then(|batch| batch.at).map(|(job, _)| job);
        let chunked = original.filter(|_| query && self.spec.chunking.is_some());
        let job = |(index, job): (usize, StoredJob)| JobRecord {
            retired: true,
            inherited: true,
            doubt: !query || chunked == Some(index),
            ..JobRecord::new(job.id, job.state)
        };
        let batch = |batch: StoredBatch| BatchRecord {
            stage: match (batch.at, batch.refused) {
                (Some((job, id)), _) => Stage::Sent(Sent::taken(job, id)),
                (None, Some(why)) => Stage::Refused { why },
                (None, None) => Stage::Cut,
            },
            ..BatchRecord::new(batch.rows, batch.print)
        };
        let ledger = Ledger {
            query,
            known: self.batches.len(),
            unfed: self.batches.len(),
            jobs: self.jobs.into_iter().enumerate().map(job).collect(),
            batches: self.batches.into_iter().map(batch).collect(),
            ..Ledger::default()
        };
        (self.spec, ledger)
    }
}

impl From<Checkpoint> for Stored {
    fn from(Checkpoint { spec, jobs, batches }: Checkpoint) -> Self {
        Self { version: VERSION, spec, jobs, batches }
    }
}

impl TryFrom<Stored> for Checkpoint {
    type Error = String;

    /// Refuses what no run could have stored.
    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { version, spec, jobs, batches } = stored;
        if !(1..=VERSION).contains(&version) {
            return Err(format!(
                "this is a checkpoint of version {version}, not {VERSION}: it is of another sfbulk"
            ));
        }
        spec.check().map_err(|error| error.to_string())?;
        let query = spec.operation().is_query();
        let mut next = 0;
        for StoredBatch { rows, at, .. } in &batches {
            if rows.start != next || (rows.end <= next && !query) {
                return Err(format!("the rows {rows:?} of a batch do not follow on {next}"));
            }
            if at.is_some_and(|(job, _)| job >= jobs.len()) {
                return Err(format!("the batch with the rows {rows:?} is in no job"));
            }
            next = rows.end;
        }
        if query && (batches.is_empty() || next != 0) {
            return Err("a query has a batch, and none with rows".into());
        }
        Ok(Self { spec, jobs, batches })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: &str = "7515g00000Ef2GhAAJ";

    fn load(batches: u64) -> Checkpoint {
        let job = JobRecord::new("7505g00000Ab1CdAAJ".parse().unwrap(), JobState::Open);
        let batch = |n: u64| BatchRecord {
            stage: Stage::Sent(Sent::taken(0, BATCH.parse().unwrap())),
            ..BatchRecord::new(n * 10_000..n * 10_000 + 10_000, Fingerprint::of(&n.to_le_bytes()))
        };
        let batches = (0..batches).map(batch).collect();
        let ledger = Ledger { jobs: vec![job], batches, ..Ledger::default() };
        Checkpoint::of(&Spec::upsert("Account", "Erp_Key__c").serial().seed(7), &ledger)
    }

    fn read(text: &str) -> Result<Checkpoint, String> {
        serde_json::from_str(text).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn a_checkpoint_is_small_and_comes_back_as_it_was() {
        let [none, many] = [load(0), load(1000)].map(|c| serde_json::to_string(&c).unwrap());
        assert!((many.len() - none.len()) / 1000 <= 150, "{} bytes", many.len());
        assert_eq!(read(&many).unwrap(), load(1000));
        let (spec, ledger) = load(3).into_parts();
        assert_eq!((spec.seed, ledger.unfed), (7, 3));
        assert!(ledger.jobs[0].inherited && ledger.jobs[0].doubt);
        assert_eq!(
            Checkpoint::of(&spec, &ledger),
            load(3),
            "a run that does nothing forgets nothing"
        );
    }

    #[test]
    fn a_checkpoint_of_the_first_version_is_read() {
        let old = r#"{"version":1,"spec":{"operation":"insert","object":"Account",
            "externalId":null,"soql":null,"concurrency":"Parallel","version":"66.0","seed":7,
            "recorded":false,"bounds":{}},"jobs":[{"id":"7505g00000Ab1CdAAJ","state":"Open"}],
            "batches":[]}"#;
        let (spec, ledger) = read(old).unwrap().into_parts();
        assert_eq!(spec, Spec::insert("Account").seed(7));
        assert!(ledger.jobs[0].inherited && ledger.batches.is_empty());
    }

    #[test]
    fn what_no_run_can_have_stored_is_refused() {
        let good = serde_json::to_string(&load(2)).unwrap();
        for (what, instead, why) in [
            (r#""version":2"#, r#""version":3"#, "version 3"),
            (r#""version":2"#, r#""version":0"#, "version 0"),
            (r#""start":10000"#, r#""start":10001"#, "do not follow on 10000"),
            (r#""end":20000"#, r#""end":10000"#, "do not follow"),
            (r#"[0,""#, r#"[1,""#, "is in no job"),
            (r#""object":"Account""#, r#""object":"../job""#, "not the API name"),
            (BATCH, "../751", "not a Salesforce id"),
            (r#""operation":"upsert""#, r#""operation":"query""#, "a query has a batch"),
        ] {
            assert!(good.contains(what), "{what} is not in {good}");
            let error = read(&good.replace(what, instead)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        for end in 0..good.len() {
            assert!(read(&good[..end]).is_err(), "cut at {end}");
        }
    }
}
