//! Records out: what a batch of a query or queryAll job does.
//!
//! The rows are written to result files when the batch is done; a later change of a record does not
//! change them. A file ends after as many rows as the settings say, or when it is large.

use rusqlite::Connection;

use crate::config::Config;
use crate::csv;
use crate::jobs::{Batch, Job, Operation};
use crate::org::Org;
use crate::schema::Object;
use crate::soql::{self, Plan, Problem, Setting};
use crate::store;
use crate::value;
use crate::work::{Failure, finish};

/// The whole body of a result without rows.
const NOTHING: &[u8] = b"Records not found for this query";

pub(crate) fn run(org: &Org, job: &Job, batch: &Batch) -> Result<(), Failure> {
    let body = store::request(&org.db, batch.n)?;
    let text = String::from_utf8_lossy(&body);
    let (object, plan) = understand(org, job, &text, batch.ends)?;
    let change = org.db.unchecked_transaction()?;
    let rows = write_files(&change, &org.config, batch, object, &plan)?;
    finish(&change, batch, rows, 0)?;
    Ok(change.commit()?)
}

/// Reads and plans a query, as it is meant at a moment.
fn understand<'o>(
    org: &'o Org,
    job: &Job,
    text: &str,
    now: i64,
) -> Result<(&'o Object, Plan<'o>), Failure> {
    let failed = |message| Failure::batch(format!("Failed to process query: {message}"));
    if text.chars().count() > soql::LENGTH {
        let message = "MALFORMED_QUERY: SOQL statements cannot be longer than 100000 characters.";
        return Err(failed(message.to_owned()));
    }
    let explain = |problem: Problem| match problem.code {
        "FeatureNotEnabled" => Failure::Batch(format!("{} : {}", problem.code, problem.text)),
        _ => failed(soql::explain(text, &problem)),
    };
    let query = soql::parse(text).map_err(explain)?;
    let name = query.object;
    let Some(object) = org.schema.object(name.text) else {
        let shown: String = name.text.chars().take(100).collect();
        let text = format!(
            "sObject type '{shown}' is not supported. If you are attempting to use a custom object, be sure to append \
             the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
        );
        return Err(explain(Problem::new("INVALID_TYPE", name.at, text)));
    };
    if object.name != job.object {
        return Err(failed(format!(
            "INVALID_TYPE_FOR_OPERATION: The root entity of the requested query ({}) does not match the entity of the \
             requested Bulk API Job ({}).",
            object.name, job.object
        )));
    }
    let all = job.operation == Operation::QueryAll;
    let plan = soql::plan(&query, Setting { schema: &org.schema, object, all, now });
    Ok((object, plan.map_err(explain)?))
}

/// Runs a plan into files and counts the rows.
fn write_files(
    db: &Connection,
    config: &Config,
    batch: &Batch,
    object: &Object,
    plan: &Plan<'_>,
) -> rusqlite::Result<i64> {
    let mut statement = db.prepare(&plan.sql)?;
    for (at, parameter) in (1..).zip(&plan.parameters) {
        statement.raw_bind_parameter(at, parameter.value())?;
    }
    let header = header(plan);
    let mut file = header.clone();
    let (mut count, mut in_file) = (0, 0);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if in_file >= config.result_rows || file.len() >= config.result_bytes {
            store::add_file(db, batch.n, &file)?;
            header.clone_into(&mut file);
            in_file = 0;
        }
        for (at, column) in plan.columns.iter().enumerate() {
            value::write_cell(&mut file, column.kind, &object.prefix, row.get_ref(at)?);
            file.push(if at + 1 == plan.columns.len() { b'\n' } else { b',' });
        }
        count += 1;
        in_file += 1;
    }
    store::add_file(db, batch.n, if count == 0 { NOTHING } else { &file })?;
    Ok(count)
}

/// The paths of the fields as the schema spells them.
fn header(plan: &Plan<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    for column in &plan.columns {
        csv::quote(&mut line, column.name().as_bytes());
        line.push(b',');
    }
    line.pop();
    line.push(b'\n');
    line
}
