//! Records in: what a batch of an insert, update, upsert, delete or hardDelete job does.
//!
//! The file is read as a whole first; if it cannot be read, or has an unknown column (see
//! `columns`), the batch fails and nothing has happened. Then each record succeeds or fails by
//! itself, top down (see `loader`), and gets one line of the result. All of it is one transaction.

use crate::archive::Archive;
use crate::headers::{self, LineEnding};
use crate::jobs::{Batch, Job, Operation};
use crate::loader::{Loader, Stop};
use crate::org::Org;
use crate::outcomes::Outcomes;
use crate::schema::Object;
use crate::table::Table;
use crate::trouble::Fate;
use crate::value::RowError;
use crate::work::{Failure, finish};
use crate::{columns, delete, ids, store, transform};

pub(crate) fn run(
    org: &mut Org,
    job: &Job,
    batch: &Batch,
    fate: Option<&Fate>,
) -> Result<(), Failure> {
    let body = store::request(&org.db, batch.n)?;
    let limits = org.config.limits;
    let archive = job.zip.then(|| Archive::read(&body, &limits)).transpose();
    let archive = archive.map_err(Failure::batch)?;
    let text = archive.as_ref().map_or(&body, |archive| &archive.records);
    let text = String::from_utf8_lossy(text);
    let mut table = Table::read(job.content, &text, &limits).map_err(Failure::batch)?;
    if let Some(spec) = store::said(&org.db, job.n, transform::NAME)? {
        let object = columns::object(org, job)?;
        table =
            transform::apply(&spec, &table, object, &limits, batch.ends).map_err(Failure::batch)?;
    }
    let lines = store::said(&org.db, job.n, headers::LINES)?;
    if let Some(lines) = lines.as_deref().and_then(LineEnding::read) {
        table.change(|cell| lines.apply(cell));
    }
    if table.len() == 0 {
        return Err(Failure::batch("Records not found"));
    }
    check_operation(columns::object(org, job)?, job.operation)?;
    let columns = columns::columns(org, job, table.header())?;
    let object = columns::object(org, job)?;
    let change = org.db.unchecked_transaction()?;
    if matches!(job.operation, Operation::Delete | Operation::HardDelete) {
        delete::prepare(&change, &org.schema, object)?;
    }
    let loader = Loader::new(&change, &org.schema, object, job, &columns, batch.ends)?;
    let mut loader = loader.with_files(archive.as_ref());
    let mut result = Outcomes::new(job.content);
    let (mut processed, mut failed) = (0, 0);
    let mut spare = Vec::new();
    let half = fate == Some(&Fate::HalfFails);
    let end = if half { table.len() / 2 } else { table.len() };
    for at in 0..end {
        processed += 1;
        let locked = fate == Some(&Fate::Locks) && at % 2 == 0;
        let row = if locked { Err(lock()) } else { loader.row(table.row(at, &mut spare)) };
        match row {
            Ok((n, created)) => result.success(&ids::long(&object.prefix, n), created),
            Err(Stop::Refused(error)) => {
                failed += 1;
                result.failure(&error);
            }
            Err(Stop::Broken(error)) => return Err(error.into()),
        }
    }
    store::set_next_number(&change, object, loader.next_number())?;
    drop(loader);
    store::add_file(&change, batch.n, &result.end())?;
    let problem = half.then_some("InternalServerError : A fault of the practice org");
    finish(&change, batch, (processed, failed), problem)?;
    Ok(change.commit()?)
}

/// Another transaction has the record, by a fault.
fn lock() -> Stop {
    let message = "unable to obtain exclusive access to this record";
    RowError::new("UNABLE_TO_LOCK_ROW", message).into()
}

/// Some objects do not take every operation.
fn check_operation(object: &Object, operation: Operation) -> Result<(), Failure> {
    let needed: &[&str] = match operation {
        Operation::Insert => &["create"],
        Operation::Update => &["update"],
        Operation::Upsert => &["create", "update"],
        Operation::Delete | Operation::HardDelete => &["delete"],
        Operation::Query | Operation::QueryAll => &[],
    };
    needed.iter().find(|what| !object.takes(what)).map_or(Ok(()), |what| {
        let name = &object.name;
        Err(Failure::batch(format!(
            "INVALID_TYPE_FOR_OPERATION: entity type {name} does not support {what}"
        )))
    })
}
