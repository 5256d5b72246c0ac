//! SOQL: the part of it that bulk queries take, on one object and the parents of its records.
//!
//! `token` cuts, `parse` understands, `period` knows the date literals, `path` the joins, `sql`
//! plans, `split` bounds a query to a range of ids. Nothing of a query's text gets into SQL: names are looked up in the schema, values are
//! bound.

mod parse;
mod path;
mod period;
mod split;
mod sql;
mod token;

pub(crate) use parse::{NO_CHILDREN, Problem, parse};
pub(crate) use path::Column;
pub(crate) use split::{bounded, can_be_split};
pub(crate) use sql::{Plan, Setting, plan};

/// The longest query the service takes.
pub(crate) const LENGTH: usize = 100_000;
/// How much of the query a message shows before and after the place it is about.
const CONTEXT: usize = 60;

/// The message for a problem as the service prints it behind the code: the line of the query, a caret
/// below the place, its position, and what is wrong; the last alone if it is not about a place.
pub(crate) fn explain(query: &str, problem: &Problem) -> String {
    let Some(at) = problem.at else { return problem.text.clone() };
    let before = &query[..at.min(query.len())];
    let row = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = query[start..before.len()].chars().count();
    let left: String =
        query[start..before.len()].chars().skip(column.saturating_sub(CONTEXT)).collect();
    let right: String =
        query[before.len()..].chars().take_while(|c| *c != '\n').take(CONTEXT).collect();
    let caret = left.chars().count() + 1;
    format!(
        "\n{left}{right}\n{:>caret$}\nERROR at Row:{row}:Column:{}\n{}",
        "^",
        column + 1,
        problem.text
    )
}
