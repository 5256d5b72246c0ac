//! Records out: what a batch of a query or queryAll job does.
//!
//! The rows are written to result files when the batch is done; a later change of a record does not
//! change them. A file ends after as many rows as the settings say, or when it is large.

use rusqlite::Connection;

use crate::config::Config;
use crate::jobs::{Batch, Job, Operation};
use crate::org::Org;
use crate::rows::{Rows, Shape};
use crate::schema::Object;
use crate::soql::{self, Plan, Problem};
use crate::store;
use crate::work::{Failure, finish};

pub(crate) fn run(org: &Org, job: &Job, batch: &Batch) -> Result<(), Failure> {
    let body = store::request(&org.db, batch.n)?;
    let text = String::from_utf8_lossy(&body);
    let (object, plan) = understand(org, job, &text)
        .map_err(|message| Failure::batch(format!("Failed to process query: {message}")))?;
    let change = org.db.unchecked_transaction()?;
    let rows = write_files(&change, &org.config, job, batch, object, &plan)?;
    finish(&change, batch, (rows, 0), None)?;
    Ok(change.commit()?)
}

/// Reads and plans a query; the error is what the state message says.
fn understand<'o>(org: &'o Org, job: &Job, text: &str) -> Result<(&'o Object, Plan<'o>), String> {
    if text.chars().count() > soql::LENGTH {
        return Err(
            "MALFORMED_QUERY: SOQL statements cannot be longer than 100000 characters.".into()
        );
    }
    let explain = |problem: Problem| soql::explain(text, &problem);
    let query = soql::parse(text).map_err(explain)?;
    let name = query.object;
    let Some(object) = org.schema.object(name.text) else {
        let shown: String = name.text.chars().take(100).collect();
        let text = format!(
            "sObject type '{shown}' is not supported. If you are attempting to use a custom object, be sure to append \
             the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
        );
        return Err(explain(Problem { code: "INVALID_TYPE", at: name.at, text }));
    };
    if object.name != job.object {
        return Err(format!(
            "INVALID_TYPE_FOR_OPERATION: The root entity of the requested query ({}) does not match the entity of the \
             requested Bulk API Job ({}).",
            object.name, job.object
        ));
    }
    let plan = soql::plan(&query, object, job.operation == Operation::QueryAll).map_err(explain)?;
    Ok((object, plan))
}

/// Runs a plan into files and counts the rows.
fn write_files(
    change: &Connection,
    config: &Config,
    job: &Job,
    batch: &Batch,
    object: &Object,
    plan: &Plan<'_>,
) -> Result<i64, Failure> {
    let mut statement = change.prepare(&plan.sql)?;
    for (at, parameter) in (1..).zip(&plan.parameters) {
        statement.raw_bind_parameter(at, parameter.value())?;
    }
    let shape = Shape::of(plan, object);
    let new = || Rows::new(job.content, &shape, &job.version);
    let (mut file, mut full, mut count) = (new(), 0, 0);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let (in_file, bytes) = file.size();
        let large = bytes >= config.limits.result_bytes;
        if large || in_file >= config.result_rows {
            full += u64::from(large);
            if full >= config.limits.result_files {
                let message = "InternalServerError : Retried more than thirty times";
                return Err(Failure::Batch(message.into()));
            }
            store::add_file(change, batch.n, &std::mem::replace(&mut file, new()).end())?;
        }
        file.push(row)?;
        count += 1;
    }
    store::add_file(change, batch.n, &file.end())?;
    Ok(count)
}
