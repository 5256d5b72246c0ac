//! Conversations as text: who said what, and when.
//!
//! ```text
//!  0.000  → #1 POST /services/async/66.0/job        a request, and below it its headers and body
//!  0.100  ← #1 201 application/xml <jobInfo>…       an answer, without prolog and namespace
//! 30.100  × #1 lost: timed out                      no answer
//!         ? rows from 0                             the machine asks the application
//!         ⇐ rows 0..3, 42 B                         the application gives something
//!         ≡ rows 0..3: 3 succeeded                  the application gets something
//!         ! created …                               a note
//!         ~ save                                    its checkpoint is stored
//!         ~ until 31.180 (Poll)                     the machine waits, not only for an answer
//!         = …                                       the end
//! ```

use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use sfbulk::rows::{Fate, Outcome};
use sfbulk::{Batches, Note, Summary, Time};

use crate::offline::Said;

/// A text up to this many bytes is shown whole.
const SHORT: usize = 600;

/// The conversation as text.
pub fn render(log: &[(Time, Said)]) -> String {
    let mut text = String::new();
    let mut waiting = None;
    for (at, said) in log {
        if let Said::Wait(until, _) = said
            && waiting.replace(*until) == Some(*until)
        {
            continue;
        }
        let mut lines = line(said);
        lines.truncate(lines.trim_end().len());
        let lines = lines.replace('\n', "\n            ");
        writeln!(text, "{:>8}  {lines}", at.to_string()).unwrap();
    }
    text
}

fn line(said: &Said) -> String {
    match said {
        Said::Request(tag, request) => format!("→ {tag} {}", requested(request)),
        Said::Answer(tag, response) => format!("← {tag} {}", answered(response)),
        Said::Failed(tag, failure) => {
            format!("× {tag} {}", format!("{failure:?}").to_lowercase())
        }
        Said::Rows(tag, records, have) => {
            let count = String::from_utf8_lossy(records).lines().count();
            format!("≡ {tag} {count} rows, up to row {have} of the file")
        }
        Said::Outcomes(tag, outcomes) => {
            let of = tag.map_or(String::new(), |tag| format!("{tag} "));
            format!("≡ {of}{}", counted(outcomes))
        }
        Said::WantsRows(from) => format!("? rows from {from}"),
        Said::Fed(rows, bytes) => format!("⇐ rows {rows:?}, {bytes} B"),
        Said::NoMoreRows => "⇐ no more rows".into(),
        Said::WantsSession(None) => "? a session".into(),
        Said::WantsSession(Some(info)) => format!("? a session, because {info}"),
        Said::Session(true) => "⇐ a session".into(),
        Said::Session(false) => "⇐ no session: the password is wrong".into(),
        Said::Note(note) => format!("! {}", noted(note)),
        Said::Wait(until, reason) => format!("~ until {until} ({reason:?})"),
        Said::Saved(true) => "~ save".into(),
        Said::Saved(false) => "~ save, but the disk is full".into(),
        Said::Gone => "† the client is gone".into(),
        Said::Resumed(None) => "∘ another client begins anew".into(),
        Said::Resumed(Some((rows, jobs))) => {
            format!("∘ another client goes on: it knows of {rows} rows and {jobs} jobs")
        }
        Said::Told(what) => format!("⇐ {what}"),
        Said::Done(Ok(summary)) => format!("= {}", summed(summary)),
        Said::Done(Err(error)) => format!("= {error:?}"),
    }
}

fn requested(request: &Request<Bytes>) -> String {
    let body = if request.body().is_empty() { String::new() } else { shown(request.body()) };
    let (method, path) = (request.method(), request.uri().path());
    format!("{method} {path}\n{}{body}", headers(request.headers()))
}

/// The headers in the order of their names; what is sensitive says so itself.
fn headers(headers: &HeaderMap) -> String {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| match value.to_str() {
            Ok(text) if !value.is_sensitive() => format!("{name}: {text}\n"),
            _ => format!("{name}: [redacted]\n"),
        })
        .collect();
    lines.sort();
    lines.concat()
}

/// Answers are the model's own words, so only what differs between them is shown.
fn answered(response: &Response<Bytes>) -> String {
    let mut line = format!("{}", response.status().as_u16());
    if let Some(wait) = response.headers().get("retry-after") {
        write!(line, " (retry after {})", wait.to_str().unwrap()).unwrap();
    }
    let media = response.headers()["content-type"].to_str().unwrap().split(';').next();
    write!(line, " {}", media.unwrap_or_default()).unwrap();
    let body = String::from_utf8_lossy(response.body());
    if !body.starts_with("<?xml") {
        let announced = response.headers()["content-length"].to_str().unwrap();
        if announced != body.len().to_string() {
            write!(line, ", announced as {announced} B").unwrap();
        }
        return line + "\n" + &shown(response.body());
    }
    let (_, document) = body.split_once("?>").unwrap_or_default();
    let (root, members) = document.split_once('>').unwrap_or((document, ""));
    let root = root.split_whitespace().next().unwrap_or_default();
    write!(line, " {root}>").unwrap();
    members.lines().for_each(|member| line += member.trim());
    line
}

fn shown(body: &Bytes) -> String {
    let text = String::from_utf8_lossy(body);
    if text.len() <= SHORT {
        return text.into_owned();
    }
    format!("{} … ({} B)", text.lines().next().unwrap_or_default(), text.len())
}

fn counted(outcomes: &[Outcome]) -> String {
    let [first, ..] = outcomes else { return "no outcomes".into() };
    let mut line = format!("rows {}..{}:", first.row, first.row + outcomes.len() as u64);
    let fates = [
        ("created", Fate::Succeeded { created: true }),
        ("changed", Fate::Succeeded { created: false }),
        ("failed", Fate::Failed),
        ("unprocessed", Fate::Unprocessed),
        ("unknown", Fate::Unknown),
    ];
    for (word, fate) in fates {
        let of_fate: Vec<&Outcome> = outcomes.iter().filter(|row| row.fate == fate).collect();
        if let Some(first) = of_fate.first() {
            write!(line, " {} {word}", of_fate.len()).unwrap();
            if let Some(error) = &first.error {
                write!(line, " ({error})").unwrap();
            }
        }
    }
    line
}

/// What a run came to; every member has its place here.
fn summed(summary: &Summary) -> String {
    let Summary { jobs, left_open, rows, succeeded, created, failed, unprocessed, unknown, .. } =
        summary;
    let Summary { batches, calls, bytes_sent, retries, aborted, beyond_unknown, .. } = summary;
    let Batches { accepted, completed, failed: failures, not_processed } = batches;
    let aborted = if *aborted { ", aborted" } else { "" };
    let beyond = if *beyond_unknown { ", and perhaps more" } else { "" };
    format!(
        "jobs {jobs:?}, left open {left_open:?}{aborted}\n\
         {rows} rows: {succeeded} succeeded ({created} created), {failed} failed, \
         {unprocessed} unprocessed, {unknown} unknown{beyond}\n\
         {accepted} batches: {completed} completed, {failures} failed, {not_processed} not processed\n\
         {calls} calls, {retries} retries, {bytes_sent} B sent"
    )
}

fn noted(note: &Note) -> String {
    match note {
        Note::Created(job) => format!("created job {job}"),
        Note::Accepted { batch, rows } => format!("accepted batch {batch}, rows {rows:?}"),
        Note::Finished { batch, rows, state, processed, message } => {
            let processed = processed.map_or("an unknown number of".into(), |n| n.to_string());
            let message = message.as_ref().map_or(String::new(), |text| format!(": {text}"));
            format!(
                "batch {batch}, rows {rows:?}, ended {state} with {processed} processed{message}"
            )
        }
        Note::Retry { what, why, wait } => {
            format!("{what} is tried again in {:.3} s, because {why}", wait.as_secs_f64())
        }
        Note::Lost { rows, why } => format!("lost sight of rows {rows:?}, because {why}"),
        Note::Found { batch, rows } => format!("found batch {batch}, rows {rows:?}"),
        Note::Unchecked { why } => format!("allowances are not looked at: {why}"),
        Note::Orphan => "a job may be left behind, empty".into(),
        Note::Closed(job) => format!("closed job {job}"),
        Note::Aborted(job) => format!("aborted job {job}"),
        Note::Warning(words) => format!("the server warns: {words}"),
        Note::LeftOpen { job, why } => format!("job {job} is left open: {why}"),
    }
}
