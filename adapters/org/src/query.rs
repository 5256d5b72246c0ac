//! Records out: what a batch of a query or queryAll job does.
//!
//! The rows are written to result files when the batch is done; a later change of a record does not
//! change them. A file ends after as many rows as the settings say, or when it is large.

use rusqlite::{Connection, Statement};

use crate::config::Config;
use crate::format::Format;
use crate::jobs::{Batch, Job, Operation};
use crate::org::Org;
use crate::rows::{Rows, Select};
use crate::schema::Object;
use crate::soql::{self, Plan, Setting};
use crate::store;
use crate::work::{Failure, finish};

pub(crate) fn run(org: &Org, job: &Job, batch: &Batch) -> Result<(), Failure> {
    let body = store::request(&org.db, batch.n)?;
    let text = String::from_utf8_lossy(&body);
    let all = job.operation == Operation::QueryAll;
    let understood = understand(org, batch.ends, &text, Some(&job.object), all);
    let (object, plan) = understood.map_err(|problem| refusal(job.content, &problem))?;
    let change = org.db.unchecked_transaction()?;
    let select = Select::of(&plan, &org.schema, object);
    let rows = write_files(&change, &org.config, (job, batch), &plan, &select)?;
    finish(&change, batch, (rows, 0), None)?;
    Ok(change.commit()?)
}

/// What a batch fails with.
fn refusal(format: Format, Problem { code, message }: &Problem) -> Failure {
    match *code {
        // The practice org has no child sub-queries at all; in CSV the service has none either.
        soql::NO_CHILDREN if format == Format::Csv => {
            let message =
                "Aggregate Relationships not supported in Bulk Query with CSV content type";
            Failure::Batch(format!("{code} : {message}"))
        }
        _ => Failure::batch(format!("Failed to process query: {code}: {message}")),
    }
}

/// Why a query is not understood.
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Reads and plans a query, as it is meant at a moment; it must be about an object if one is wanted.
pub(crate) fn understand<'o>(
    org: &'o Org,
    now: i64,
    text: &str,
    wanted: Option<&str>,
    all: bool,
) -> Result<(&'o Object, Plan<'o>), Problem> {
    if text.chars().count() > soql::LENGTH {
        let message = "SOQL statements cannot be longer than 100000 characters.".into();
        return Err(Problem { code: "MALFORMED_QUERY", message });
    }
    let explain = |problem: soql::Problem| Problem {
        code: problem.code,
        message: soql::explain(text, &problem),
    };
    let query = soql::parse(text).map_err(explain)?;
    let name = query.object;
    let Some(object) = org.schema.object(name.text) else {
        let shown: String = name.text.chars().take(100).collect();
        let text = format!(
            "sObject type '{shown}' is not supported. If you are attempting to use a custom object, be sure to append \
             the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
        );
        return Err(explain(soql::Problem::new("INVALID_TYPE", name.at, text)));
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != object.name) {
        let message = format!(
            "The root entity of the requested query ({}) does not match the entity of the requested Bulk API Job \
             ({wanted}).",
            object.name
        );
        return Err(Problem { code: "INVALID_TYPE_FOR_OPERATION", message });
    }
    let plan = soql::plan(&query, Setting { schema: &org.schema, object, all, now });
    Ok((object, plan.map_err(explain)?))
}

/// Gives a statement the values of its plan.
pub(crate) fn bind(statement: &mut Statement<'_>, plan: &Plan<'_>) -> rusqlite::Result<()> {
    let mut parameters = (1..).zip(&plan.parameters);
    parameters.try_for_each(|(at, parameter)| statement.raw_bind_parameter(at, parameter.value()))
}

/// Runs a plan into files and counts the rows.
fn write_files(
    change: &Connection,
    config: &Config,
    (job, batch): (&Job, &Batch),
    plan: &Plan<'_>,
    select: &Select<'_>,
) -> Result<i64, Failure> {
    let mut statement = change.prepare(&plan.sql)?;
    bind(&mut statement, plan)?;
    let new = || Rows::new(job.content, select, &job.version);
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
