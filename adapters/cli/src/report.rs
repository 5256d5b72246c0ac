//! What is said in the end: a summary for people on stderr, or one JSON object on stdout.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sfbulk_ureq::{Error, Job, JobId, Spec, Summary};

use crate::exit::{Exit, Failure};
use crate::progress::Count;
use crate::tally::Kind;

/// The JSON object. Its members are documented in the help of each verb.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    state: &'static str,
    job_id: Option<JobId>,
    org: Option<String>,
    operation: String,
    object: String,
    rows: u64,
    #[serde(flatten)]
    what: What,
    batches: Batches,
    duration_ms: u64,
    bytes_sent: u64,
    api_calls: u64,
    retries: u64,
    error: Option<String>,
    exit_code: u8,
}

/// What only a load or only a query has to tell.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum What {
    Load {
        succeeded: u64,
        created: u64,
        updated: u64,
        failed: u64,
        unprocessed: u64,
        unknown: u64,
        success_file: Option<String>,
        error_file: Option<String>,
        unprocessed_file: Option<String>,
        unknown_file: Option<String>,
        errors: Vec<Kind>,
    },
    Query {
        output_file: Option<String>,
    },
}

#[derive(Debug, Serialize)]
struct Batches {
    total: u64,
    completed: u64,
    failed: u64,
    not_processed: u64,
}

impl Report {
    pub(crate) fn new(
        (job, org, rows): (&Job, &str, u64),
        duration: Duration,
        what: What,
        (exit, error): (Exit, Option<&Error>),
    ) -> Self {
        let Summary { jobs, batches, calls, bytes_sent, retries, aborted, .. } = job.summary();
        Self {
            state: match exit {
                Exit::Good | Exit::RowsFailed if *aborted => "aborted",
                Exit::Good | Exit::RowsFailed => "finished",
                Exit::Failed | Exit::NothingSent => "failed",
                Exit::Unfinished => "unfinished",
                Exit::Interrupted => "interrupted",
            },
            job_id: jobs.first().copied(),
            org: Some(org.to_owned()),
            operation: job.spec().operation().to_string(),
            object: job.spec().object().to_owned(),
            rows,
            what,
            batches: Batches {
                total: batches.accepted,
                completed: batches.completed,
                failed: batches.failed,
                not_processed: batches.not_processed,
            },
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            bytes_sent: *bytes_sent,
            api_calls: *calls,
            retries: *retries,
            error: error.map(ToString::to_string),
            exit_code: exit.code(),
        }
    }

    /// Nothing was sent, and no more is known than this; of a run to be resumed perhaps not even
    /// what it was to do.
    pub(crate) fn nothing_sent(spec: Option<&Spec>, what: What, failure: &Failure) -> Self {
        Self {
            state: "failed",
            job_id: None,
            org: None,
            operation: spec.map(|spec| spec.operation().to_string()).unwrap_or_default(),
            object: spec.map(|spec| spec.object().to_owned()).unwrap_or_default(),
            rows: failure.kept.as_ref().map_or(0, |(rows, _)| *rows),
            what,
            batches: Batches { total: 0, completed: 0, failed: 0, not_processed: 0 },
            duration_ms: 0,
            bytes_sent: 0,
            api_calls: 0,
            retries: 0,
            error: Some(failure.to_string()),
            exit_code: failure.exit.code(),
        }
    }

    pub(crate) fn print(&self) {
        let text = serde_json::to_string(self).unwrap_or_default(); // no member can fail
        writeln!(io::stdout(), "{text}").ok(); // nobody listens; the exit code says it too
    }
}

impl What {
    /// A load that never began.
    pub(crate) fn no_load(failure: &Failure) -> Self {
        let (rows, path) = failure.kept.as_ref().map_or((0, None), |(n, path)| (*n, Some(path)));
        Self::Load {
            succeeded: 0,
            created: 0,
            updated: 0,
            failed: 0,
            unprocessed: rows,
            unknown: 0,
            success_file: None,
            error_file: None,
            unprocessed_file: self::path(path.map(PathBuf::as_path)),
            unknown_file: None,
            errors: Vec::new(),
        }
    }
}

/// A path as JSON has it.
pub(crate) fn path(path: Option<&Path>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

/// The counts of a line; those that are zero are left out.
pub(crate) fn parts<const N: usize>(counts: [(u64, &str); N]) -> String {
    let part = |(count, what): (u64, &str)| (count > 0).then(|| format!("{} {what}", Count(count)));
    counts.into_iter().filter_map(part).collect::<Vec<_>>().join("   ")
}
