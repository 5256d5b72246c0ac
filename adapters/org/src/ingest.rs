//! Records in: what a batch of an insert, update, upsert, delete or hardDelete job does.
//!
//! The file is read as a whole first; if it cannot be read, or has an unknown column, the batch
//! fails and nothing has happened. Then each record succeeds or fails by itself, top down (see
//! `loader`), and gets one line of the result. All of it is one transaction.

use std::borrow::Cow;

use crate::ids;
use crate::jobs::{Batch, Job, Operation};
use crate::loader::{Loader, Stop};
use crate::org::Org;
use crate::outcomes::Outcomes;
use crate::schema::{self, Object};
use crate::store;
use crate::table::Table;
use crate::trouble::Fate;
use crate::value::RowError;
use crate::work::{Failure, finish};

pub(crate) fn run(
    org: &mut Org,
    job: &Job,
    batch: &Batch,
    fate: Option<&Fate>,
) -> Result<(), Failure> {
    let body = store::request(&org.db, batch.n)?;
    let text = String::from_utf8_lossy(&body);
    let limits = org.config.limits;
    let table = Table::read(job.content, &text, &limits).map_err(Failure::batch)?;
    if table.len() == 0 {
        return Err(Failure::batch("Records not found"));
    }
    let columns = columns(org, job, table.header())?;
    let object = org.schema.object(&job.object).ok_or_else(|| no_object(job))?;
    let change = org.db.unchecked_transaction()?;
    let mut loader = Loader::new(&change, &org.schema, object, job, &columns, batch.ends)?;
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

/// Which field each column is. A custom field is made when a file first has it, but not by a file
/// that is refused.
fn columns(org: &mut Org, job: &Job, header: &[Cow<'_, str>]) -> Result<Vec<usize>, Failure> {
    let object = org.schema.object(&job.object).ok_or_else(|| no_object(job))?;
    check_header(object, job, header)?;
    let mut columns = Vec::with_capacity(header.len());
    for name in header {
        store::ensure_field(&org.db, &mut org.schema, &job.object, name)?;
        let position = org.schema.object(&job.object).and_then(|object| object.position(name));
        columns.push(position.ok_or_else(|| unknown(name))?);
    }
    Ok(columns)
}

/// All columns are fields, or can become some; none comes twice; and the one that says which record
/// a row means is there.
fn check_header(object: &Object, job: &Job, header: &[Cow<'_, str>]) -> Result<(), Failure> {
    let fits = |name: &str| object.field(name).is_some() || schema::is_custom_name(name);
    if let Some(name) = header.iter().find(|name| !fits(name)) {
        return Err(unknown(name));
    }
    let key = match job.operation {
        Operation::Insert => None,
        Operation::Upsert => job.external.as_deref(),
        _ => Some("Id"),
    };
    let has = |header: &[Cow<'_, str>], wanted: &str| {
        header.iter().any(|name| name.eq_ignore_ascii_case(wanted))
    };
    if let Some(key) = key.filter(|key| !has(header, key)) {
        return Err(unknown(key));
    }
    match (1..header.len()).find(|at| has(&header[..*at], &header[*at])) {
        Some(at) => Err(Failure::batch(format!("Duplicate field name found : {}", header[at]))),
        None => Ok(()),
    }
}

/// In the vendor's words, but for what only this org does not know.
fn unknown(name: &str) -> Failure {
    let hint =
        if name.contains('.') { " (the practice org knows no relationship columns)" } else { "" };
    Failure::batch(format!("Field name not found : {name}{hint}"))
}

fn no_object(job: &Job) -> Failure {
    Failure::batch(format!("Unable to find object: {}", job.object))
}
