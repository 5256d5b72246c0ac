//! The work of batches: done when it is due, each in one transaction.

use rusqlite::Connection;

use crate::jobs::{Batch, Job};
use crate::org::Org;
use crate::trouble::Fate;
use crate::{chunks, ingest, store};

/// Why a batch as a whole could not be processed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Its state message.
    Batch(String),
    Database(rusqlite::Error),
}

impl Failure {
    /// Something is wrong with what was sent.
    pub(crate) fn batch(message: impl Into<String>) -> Self {
        Self::Batch(format!("InvalidBatch : {}", message.into()))
    }

    fn message(self) -> String {
        match self {
            Self::Batch(message) => message,
            Self::Database(error) => {
                format!("InternalServerError : The practice org's database failed: {error}")
            }
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Does the work of every batch whose end has come, in the order of the ends.
pub(crate) fn settle(org: &mut Org, now: i64) -> rusqlite::Result<()> {
    while let Some(batch) = Batch::due(&org.db, now)? {
        let fate = org.troubles.fate(batch.n);
        let outcome = match (Job::find(&org.db, batch.job)?, fate) {
            (_, Some(Fate::Fails(code))) => {
                Err(Failure::Batch(format!("{code} : A fault of the practice org")))
            }
            (Some(job), _) if job.operation.is_query() => chunks::run(org, &job, &batch),
            (Some(job), fate) => ingest::run(org, &job, &batch, fate.as_ref()),
            (None, _) => Err(Failure::batch("The job is gone")),
        };
        // What the work's transaction did not commit is undone by now. Whatever went wrong, the
        // batch must end, or every later request would try it again.
        if let Err(failure) = outcome {
            batch.fail(&org.db, &failure.message(), (0, 0))?;
        }
    }
    Ok(())
}

/// Ends the work of a batch, well or with a message: its counts and files become visible together
/// with its records.
pub(crate) fn finish(
    db: &Connection,
    batch: &Batch,
    counts: (i64, i64),
    problem: Option<&str>,
) -> rusqlite::Result<()> {
    match problem {
        Some(message) => batch.fail(db, message, counts)?,
        None => batch.complete(db, counts)?,
    }
    keep_clock(db, batch.ends)
}

/// The org has changed at a moment.
pub(crate) fn keep_clock(db: &Connection, moment: i64) -> rusqlite::Result<()> {
    let kept = store::clock(db)?.unwrap_or(0);
    store::set_clock(db, kept.max(moment))
}
