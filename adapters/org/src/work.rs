//! The work of batches: done when it is due, each in one transaction.

use rusqlite::Connection;

use crate::jobs::{Batch, Job};
use crate::org::Org;
use crate::{ingest, query, store};

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Completed {
        processed: i64,
        failed: i64,
    },
    /// The batch as a whole could not be processed; this is its state message.
    Failed(String),
}

/// Does the work of every batch whose end has come, in the order of the ends.
pub(crate) fn settle(org: &mut Org, now: i64) -> rusqlite::Result<()> {
    while let Some(batch) = Batch::due(&org.db, now)? {
        let outcome = match Job::find(&org.db, batch.job)? {
            Some(job) if job.operation.is_query() => query::run(org, &job, &batch),
            Some(job) => ingest::run(org, &job, &batch),
            None => Ok(Outcome::Failed("InvalidJob : The job is gone".into())),
        };
        // What the transaction of the work did not commit is undone by now. A batch that cannot be
        // processed must still end, or every later request would try it again.
        let outcome = outcome.unwrap_or_else(|error| {
            Outcome::Failed(format!(
                "InternalServerError : The practice org's database failed: {error}"
            ))
        });
        if let Outcome::Failed(message) = outcome {
            batch.fail(&org.db, &message)?;
        }
    }
    Ok(())
}

/// Ends the work of a batch well: its counts and files become visible together with its records.
pub(crate) fn finish(
    db: &Connection,
    batch: &Batch,
    processed: i64,
    failed: i64,
) -> rusqlite::Result<()> {
    batch.complete(db, processed, failed)?;
    let kept = store::clock(db)?.unwrap_or(0);
    store::set_clock(db, kept.max(batch.ends))
}
