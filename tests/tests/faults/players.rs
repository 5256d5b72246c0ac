//! The front doors and the command, and what they say of a run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{self, block_on};
use futures_lite::{StreamExt, io};
use sfbulk::rows::{Fate, Limits, Outcome};
use sfbulk::{Bounds, Error, Session, Spec, Summary};
use sfbulk_tests::practice;

use crate::End;
use crate::org::{Stage, names};

/// A way to run jobs.
pub(crate) struct Player {
    pub(crate) name: &'static str,
    /// Whether it can get another session when one has expired.
    pub(crate) renews: bool,
    load: fn(&Stage, Login, Spec, Limits, String) -> Loaded,
    query: fn(&Stage, Spec, &str) -> Queried,
}

pub(crate) static PLAYERS: [Player; 3] = [
    Player { name: "ureq", renews: true, load: load_by_ureq, query: query_by_ureq },
    Player { name: "async-std", renews: true, load: load_by_async_std, query: query_by_async_std },
    Player { name: "command", renews: false, load: load_by_command, query: query_by_command },
];

type Login = Box<dyn Fn() -> Result<Session, Error> + Send + Sync>;

impl Player {
    /// Loads a CSV text in batches of so many rows; with `renews`, an expired session is renewed.
    pub(crate) fn load(&self, stage: &Stage, renews: bool, csv: String, batch: usize) -> Loaded {
        let first = practice::session(&stage.server);
        let server = Arc::clone(&stage.server);
        let login: Login = if renews {
            Box::new(move || practice::session(&server))
        } else {
            Box::new(move || first.clone())
        };
        let limits = Limits { records: batch as u64, ..Limits::default() };
        (self.load)(stage, login, Spec::insert("Account").bounds(quick()), limits, csv)
    }

    pub(crate) fn query(&self, stage: &Stage, soql: &str) -> Queried {
        (self.query)(stage, Spec::query(soql).bounds(quick()), soql)
    }
}

/// Waits for an org next door.
fn quick() -> Bounds {
    Bounds {
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_millis(100),
        longest_retry_after: Duration::from_millis(50),
        first_poll: Duration::from_millis(5),
        longest_poll: Duration::from_millis(50),
        ..Bounds::default()
    }
}

// ---- what they say ----

/// What was said of a load.
#[derive(Default)]
pub(crate) struct Loaded {
    /// What became of each row, by its name, and its id.
    fates: BTreeMap<String, (Fate, Option<String>)>,
    /// Rows that succeeded, failed, were not processed, are unknown.
    counts: [usize; 4],
    error: Option<String>,
}

impl Loaded {
    /// Holds it against the org; a line for the table, or what is wrong.
    pub(crate) fn check(
        &self,
        rows: usize,
        end: End,
        landed: &BTreeMap<String, Vec<String>>,
    ) -> Result<String, String> {
        let [succeeded, failed, unprocessed, unknown] = self.counts;
        let line = format!("{succeeded} ok, {failed} bad, {unprocessed} not, {unknown} ?");
        let wrong = |what: String| Err(format!("{what} ({line}; {:?})", self.error));
        if let Some((name, ids)) = landed.iter().find(|(_, ids)| ids.len() > 1) {
            return wrong(format!("{name} is there {} times", ids.len()));
        }
        for (name, (fate, id)) in &self.fates {
            let there = landed.get(name).map(|ids| ids[0].as_str());
            let right = match fate {
                Fate::Succeeded { .. } => there.is_some() && there == id.as_deref(),
                Fate::Failed | Fate::Unprocessed => there.is_none(),
                Fate::Unknown => true,
            };
            if !right {
                return wrong(format!("{name} is said to be {fate:?} ({id:?}), and is {there:?}"));
            }
        }
        if self.counts.iter().sum::<usize>() != rows
            || (self.error.is_none() && self.fates.len() != rows)
        {
            return wrong(format!("of {rows} rows, {} were told of", self.fates.len()));
        }
        let there = landed.len();
        if !(succeeded..=succeeded + unknown).contains(&there) {
            return wrong(format!("{there} rows are there"));
        }
        match (end, &self.error) {
            (End::Whole, None) if succeeded == rows => Ok(line),
            (End::Without(some), None) if (rows - some..rows).contains(&there) => Ok(line),
            (End::Word(word), Some(error)) if error.contains(word) => Ok(line),
            _ => wrong("it did not end as it should".into()),
        }
    }

    fn told(&mut self, names: &[String], outcome: &Outcome) {
        let name = names[usize::try_from(outcome.row).unwrap()].clone();
        let id = outcome.id.map(|id| id.to_string());
        assert!(self.fates.insert(name, (outcome.fate, id)).is_none(), "a row was told of twice");
    }

    fn count(&mut self, rows: usize, summary: &Summary) {
        let Summary { succeeded, failed, unprocessed, unknown, .. } = *summary;
        let never_asked_for = rows as u64 - summary.rows;
        self.counts = [succeeded, failed, unprocessed + never_asked_for, unknown]
            .map(|count| usize::try_from(count).unwrap());
    }
}

/// What a query brought.
pub(crate) struct Queried {
    /// The rows, if they are said to be all.
    csv: Option<String>,
    error: String,
}

impl Queried {
    /// A line for the table, or what is wrong.
    pub(crate) fn check(&self, expected: &str, end: End) -> Result<String, String> {
        let Self { csv, error } = self;
        match (end, csv) {
            (End::Whole, Some(csv)) if csv == expected => {
                Ok(format!("{} rows", csv.lines().count() - 1))
            }
            (End::Word(word), None) if error.contains(word) => Ok(word.into()),
            (_, None) => Err(format!("it failed: {error}")),
            (_, Some(csv)) => Err(format!("these rows came: {csv}")),
        }
    }

    /// The file is there if all went well, and only then.
    fn of(result: Result<Summary, Error>, file: &Path) -> Self {
        let csv = fs::read_to_string(file).ok();
        assert_eq!(csv.is_some(), result.is_ok(), "{result:?}");
        Self { csv, error: result.map_or_else(|error| error.to_string(), |_| String::new()) }
    }
}

// ---- the front doors ----

fn load_by_ureq(_: &Stage, login: Login, spec: Spec, limits: Limits, csv: String) -> Loaded {
    let names = names(csv.lines().count() - 1);
    let mut told = Loaded::default();
    let client = sfbulk_ureq::Client::new(login);
    let mut outcomes = client.load(spec).limits(limits).csv(Cursor::new(csv)).unwrap();
    for outcome in outcomes.by_ref() {
        match outcome {
            Ok(outcome) => told.told(&names, &outcome),
            Err(error) => told.error = Some(error.to_string()),
        }
    }
    told.count(names.len(), outcomes.summary());
    told
}

fn query_by_ureq(stage: &Stage, spec: Spec, _: &str) -> Queried {
    let server = Arc::clone(&stage.server);
    let client = sfbulk_ureq::Client::new(move || practice::session(&server));
    Queried::of(client.fetch(spec).file(stage.output()), &stage.output())
}

fn load_by_async_std(_: &Stage, login: Login, spec: Spec, limits: Limits, csv: String) -> Loaded {
    let names = names(csv.lines().count() - 1);
    let mut told = Loaded::default();
    let client = sfbulk_async_std::Client::new(move || future::ready(login()));
    let mut outcomes = client.load(spec).limits(limits).csv(io::Cursor::new(csv)).unwrap();
    block_on(async {
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(outcome) => told.told(&names, &outcome),
                Err(error) => told.error = Some(error.to_string()),
            }
        }
    });
    told.count(names.len(), outcomes.summary());
    told
}

fn query_by_async_std(stage: &Stage, spec: Spec, _: &str) -> Queried {
    let server = Arc::clone(&stage.server);
    let client = sfbulk_async_std::Client::new(move || future::ready(practice::session(&server)));
    Queried::of(block_on(client.fetch(spec).file(stage.output())), &stage.output())
}

// ---- the command ----

fn load_by_command(stage: &Stage, _: Login, _: Spec, limits: Limits, csv: String) -> Loaded {
    fs::write(stage.folder.path().join("in.csv"), csv).unwrap();
    let batch = limits.records.to_string();
    let ran = command(stage, &["insert", "Account", "in.csv", "--batch-size", &batch]);
    let mut told = Loaded::default();
    for name in practice::names(stage.folder.path()) {
        let fate = match name.rsplit('.').nth(1) {
            Some("success") => Fate::Succeeded { created: true },
            Some("error") => Fate::Failed,
            Some("unprocessed") => Fate::Unprocessed,
            Some("unknown") => Fate::Unknown,
            _ => continue,
        };
        told.read(&stage.folder.path().join(name), fate);
    }
    let finished = matches!(ran.status.code(), Some(0 | 3));
    told.error = (!finished).then(|| String::from_utf8_lossy(&ran.stderr).into_owned());
    let bad = told.counts[1..].iter().any(|count| *count > 0);
    assert!(!finished || bad == (ran.status.code() == Some(3)), "{ran:?}");
    told
}

impl Loaded {
    /// Takes in a result file.
    fn read(&mut self, path: &Path, fate: Fate) {
        let mut reader = csv::Reader::from_path(path).unwrap();
        let header = reader.headers().unwrap().clone();
        let column = |name| header.iter().position(|column| column == name);
        let at = match fate {
            Fate::Succeeded { .. } => 0,
            Fate::Failed => 1,
            Fate::Unprocessed => 2,
            Fate::Unknown => 3,
        };
        for record in reader.records() {
            let record = record.unwrap();
            let name = record[column("Name").unwrap()].to_owned();
            let id = column("ID").map(|id| record[id].to_owned());
            assert!(self.fates.insert(name, (fate, id)).is_none(), "a row is in two files");
            self.counts[at] += 1;
        }
    }
}

fn query_by_command(stage: &Stage, _: Spec, soql: &str) -> Queried {
    let ran = command(stage, &["query", soql, "--output", "out.csv"]);
    let csv = fs::read_to_string(stage.output()).ok();
    assert_eq!(csv.is_some(), ran.status.success(), "{ran:?}");
    Queried { csv, error: String::from_utf8_lossy(&ran.stderr).into_owned() }
}

/// Runs the command in the folder of the stage.
fn command(stage: &Stage, args: &[&str]) -> Output {
    practice::command(&stage.server, stage.folder.path(), args).output().unwrap()
}
