//! What the benchmark runs in processes of its own: one load or query, through one front door. A
//! query's file is on the disk (fsync) before it has its name, as the command's; a load's is read in
//! the thread of the executor.

use std::fs::File;
use std::path::Path;

use async_std::task::block_on;
use futures_lite::StreamExt;
use futures_lite::io::AssertAsync;
use sfbulk::rows::Outcome;

use crate::ROWS;

/// The query of the benchmark.
pub(crate) const SOQL: &str = "SELECT Id, Name, Description FROM Account";

/// Loads `file`, or fills it with the query's rows.
pub(crate) fn drive(executor: &str, what: &str, file: &Path) {
    match executor {
        "ureq" => ureq(what, file),
        "async-std" => block_on(async_std(what, file)),
        other => panic!("there is no executor {other:?}"),
    }
}

fn ureq(what: &str, file: &Path) {
    let org = sfbulk_ureq::Client::new(sfbulk_ureq::session_from_env);
    if what == "query" {
        org.query_file(SOQL, file).expect("a whole result");
        return;
    }
    let input = File::open(file).expect("the input");
    let outcomes = org.insert("Account").csv(input).expect("a load");
    let succeeded = outcomes.filter(|outcome| outcome.as_ref().is_ok_and(Outcome::success));
    assert_eq!(succeeded.count(), ROWS);
}

async fn async_std(what: &str, file: &Path) {
    let org = sfbulk_async_std::Client::new(sfbulk_async_std::session_from_env);
    if what == "query" {
        org.query_file(SOQL, file).await.expect("a whole result");
        return;
    }
    let input = AssertAsync::new(File::open(file).expect("the input"));
    let outcomes = org.insert("Account").csv(input).expect("a load");
    let succeeded = outcomes.filter(|outcome| outcome.as_ref().is_ok_and(Outcome::success));
    assert_eq!(succeeded.count().await, ROWS);
}
