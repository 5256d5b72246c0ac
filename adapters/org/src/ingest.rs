//! Records in: what a batch of an insert, update, upsert, delete or hardDelete job does.
//!
//! The file is read as a whole first; if it cannot be read, or has an unknown column (see
//! `columns`), the batch fails and nothing has happened. Then each record succeeds or fails by
//! itself, top down (see `loader`), and gets one line of the result. All of it is one transaction.

use crate::csv::{self, Table};
use crate::jobs::{Batch, Job, Operation};
use crate::loader::{Loader, Stop};
use crate::org::Org;
use crate::schema::Object;
use crate::value::RowError;
use crate::work::{Failure, finish};
use crate::{columns, delete, ids, store};

pub(crate) fn run(org: &mut Org, job: &Job, batch: &Batch) -> Result<(), Failure> {
    let body = store::request(&org.db, batch.n)?;
    let text = String::from_utf8_lossy(&body);
    let table = Table::parse(&text).map_err(Failure::batch)?;
    if table.rows().len() == 0 {
        return Err(Failure::batch("Records not found"));
    }
    check_operation(columns::object(org, job)?, job.operation)?;
    let columns = columns::columns(org, job, table.header())?;
    let object = columns::object(org, job)?;
    let change = org.db.unchecked_transaction()?;
    if matches!(job.operation, Operation::Delete | Operation::HardDelete) {
        delete::prepare(&change, &org.schema, object)?;
    }
    let mut loader = Loader::new(&change, &org.schema, object, job, &columns, batch.ends)?;
    let mut result = b"\"Id\",\"Success\",\"Created\",\"Error\"\n".to_vec();
    let (mut processed, mut failed) = (0, 0);
    for row in table.rows() {
        processed += 1;
        match loader.row(row) {
            Ok((n, created)) => write_success(&mut result, &ids::long(&object.prefix, n), created),
            Err(Stop::Refused(error)) => {
                failed += 1;
                write_error(&mut result, &error);
            }
            Err(Stop::Broken(error)) => return Err(error.into()),
        }
    }
    store::set_next_number(&change, object, loader.next_number())?;
    drop(loader);
    store::add_file(&change, batch.n, &result)?;
    finish(&change, batch, processed, failed)?;
    Ok(change.commit()?)
}

fn write_success(out: &mut Vec<u8>, id: &str, created: bool) {
    csv::quote(out, id.as_bytes());
    let rest: &[u8] =
        if created { b",\"true\",\"true\",\"\"\n" } else { b",\"true\",\"false\",\"\"\n" };
    out.extend_from_slice(rest);
}

fn write_error(out: &mut Vec<u8>, error: &RowError) {
    out.extend_from_slice(b"\"\",\"false\",\"false\",");
    csv::quote(out, error.to_string().as_bytes());
    out.push(b'\n');
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
    let forbidden = object.forbidden.iter().find(|known| needed.contains(&known.as_str()));
    forbidden.map_or(Ok(()), |what| {
        let name = &object.name;
        Err(Failure::batch(format!(
            "INVALID_TYPE_FOR_OPERATION: entity type {name} does not support {what}"
        )))
    })
}
