//! PK chunking: a query that becomes many, each over a range of ids (topic "PK Chunking Header").
//!
//! The header of the job's creation asks for it. A batch with a query that can be split is not run
//! when its time has come; it adds the first chunk to its job, a third of the latency later the
//! next one, and so on until there are no ids left. Then it is `NotProcessed`. (The crate's first
//! page has a picture.) All that has to be kept in between is where the last chunk ends.
//!
//! A chunk is a batch with a query of its own, the range of ids added to its filter, and counts as
//! one. Ids are numbers written in base 62, so a chunk of 100,000 has so many ids, from the first
//! record's or from `startRow`; how many records are still behind them makes no difference.

use rusqlite::{Connection, OptionalExtension};

use crate::calendar;
use crate::fault::Fault;
use crate::ids;
use crate::jobs::{Batch, Job, Operation};
use crate::org::{Org, millis};
use crate::schema::Object;
use crate::trouble::Fate;
use crate::work::{self, Failure};
use crate::{query, soql, store};

/// The header that asks for it, in lower case.
pub(crate) const HEADER: &str = "sforce-enable-pkchunking";

/// Ids in a chunk unless the header says otherwise, and the most it may say.
const USUAL: i64 = 100_000;
const MOST: i64 = 250_000;

/// What the header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunking {
    size: i64,
    /// The object whose ids are split, if it is said.
    parent: Option<String>,
    /// The id at which the first chunk begins.
    start: Option<String>,
}

impl Chunking {
    /// Reads the header: `true`, `false`, or items like `chunkSize=50000` with semicolons between
    /// them, of which `true` may be one. `None` is a query that is not to be split.
    pub(crate) fn read(text: &str) -> Result<Option<Self>, String> {
        if text.trim().eq_ignore_ascii_case("false") {
            return Ok(None);
        }
        let mut chunking = Self { size: USUAL, parent: None, start: None };
        let text = text.trim().strip_suffix(';').unwrap_or(text);
        for item in text.split(';').map(str::trim) {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let (name, value) = (name.trim(), value.trim());
            match name.to_ascii_lowercase().as_str() {
                "true" if value.is_empty() => {}
                "chunksize" => {
                    let size = value.parse().ok().filter(|size| (1..=MOST).contains(size));
                    chunking.size = size.ok_or_else(|| {
                        format!("chunkSize must be between 1 and {MOST}, and is {value}")
                    })?;
                }
                "parent" if !value.is_empty() => chunking.parent = Some(value.into()),
                "startrow" => {
                    ids::read(value).ok_or_else(|| format!("startRow is no id: {value}"))?;
                    chunking.start = Some(value.into());
                }
                _ => return Err(format!("the header is not understood: {item}")),
            }
        }
        Ok(Some(chunking))
    }

    /// Holds it against the object of the job. The org has no shares and histories, whose parent
    /// is another object.
    pub(crate) fn check(&self, object: &Object) -> Result<(), String> {
        let name = &object.name;
        if let Some(parent) = &self.parent
            && !parent.eq_ignore_ascii_case(name)
        {
            return Err(format!("{parent} is not the parent of {name}"));
        }
        match &self.start {
            Some(start) if ids::number(&object.prefix, start).is_none() => {
                Err(format!("startRow is no id of {name}: {start}"))
            }
            _ => Ok(()),
        }
    }
}

/// Does the work of a query's batch, or the next step of its splitting.
pub(crate) fn run(org: &mut Org, job: &Job, batch: &Batch) -> Result<(), Failure> {
    let header = store::said(&org.db, job.n, HEADER)?;
    // It was read when the job was created.
    let chunking = header.and_then(|text| Chunking::read(&text).ok().flatten());
    match chunking {
        Some(chunking) if !is_chunk(&org.db, batch)? => split(org, job, batch, &chunking),
        _ => query::run(org, job, batch),
    }
}

/// Adds the next chunk of a query, and ends its batch if that was the last.
fn split(org: &mut Org, job: &Job, batch: &Batch, chunking: &Chunking) -> Result<(), Failure> {
    let body = store::request(&org.db, batch.n)?;
    let text = String::from_utf8_lossy(&body);
    let all = job.operation == Operation::QueryAll;
    let understood = query::understand(org, batch.ends, &text, Some(&job.object), all);
    let (Ok((object, _)), Ok(query)) = (understood, soql::parse(&text)) else {
        return query::run(org, job, batch); // which fails
    };
    if !soql::can_be_split(&query) {
        return query::run(org, job, batch);
    }
    if job.state == "Aborted" {
        return Ok(batch.end_split(&org.db)?); // it gets no more batches
    }
    let from = next_id(&org.db, batch, chunking, object)?;
    let to = from.saturating_add(chunking.size);
    let last = to >= store::next_number(&org.db, object)?;
    let id = |n| ids::short(&object.prefix, n);
    let soql = soql::bounded(&text, &query, (&id(from), &id(to)));
    let fate = match org.troubles.next_chunk() {
        Some(Fault::FailSplit { .. }) => {
            return Err(Failure::Batch("InternalServerError : A fault of the practice org".into()));
        }
        Some(Fault::FailChunk { code, .. }) => Some(Fate::Fails(code)),
        _ => None,
    };
    let day_ago = batch.ends - calendar::DAY;
    if Batch::added_since(&org.db, day_ago)? >= org.config.limits.daily_batches {
        return Err(Failure::Batch("ExceededQuota : ApiBatchItems Limit exceeded.".into()));
    }
    let latency = millis(org.config.latency);
    let change = org.db.unchecked_transaction()?;
    let chunk = Batch::insert(&change, job, soql.as_bytes(), batch.ends, latency)?;
    change.execute("INSERT INTO _chunk VALUES (?, ?, ?)", [chunk.n, batch.n, to])?;
    if last {
        batch.end_split(&change)?;
    } else {
        batch.go_on(&change, org.troubles.pause().map_or(latency / 3, millis))?;
    }
    work::keep_clock(&change, batch.ends)?;
    change.commit()?;
    org.troubles.seal(chunk.n, fate);
    Ok(())
}

/// The number at which the next chunk begins.
fn next_id(
    db: &Connection,
    batch: &Batch,
    chunking: &Chunking,
    object: &Object,
) -> rusqlite::Result<i64> {
    let mut last = db.prepare_cached("SELECT max(upto) FROM _chunk WHERE original = ?")?;
    if let Some(upto) = last.query_row([batch.n], |row| row.get(0))? {
        return Ok(upto);
    }
    if let Some(start) = &chunking.start {
        return Ok(ids::number(&object.prefix, start).unwrap_or_default());
    }
    let first = format!("SELECT ifnull(min(n), 0) FROM {}", object.table());
    db.prepare_cached(&first)?.query_row((), |row| row.get(0))
}

fn is_chunk(db: &Connection, batch: &Batch) -> rusqlite::Result<bool> {
    let mut find = db.prepare_cached("SELECT 1 FROM _chunk WHERE batch = ?")?;
    find.query_row([batch.n], |_| Ok(())).optional().map(|found| found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunking(size: i64, parent: Option<&str>, start: Option<&str>) -> Chunking {
        Chunking { size, parent: parent.map(Into::into), start: start.map(Into::into) }
    }

    #[test]
    fn the_header_is_read_in_all_the_forms_that_clients_send() {
        for (text, expected) in [
            ("true", chunking(USUAL, None, None)),
            ("TRUE", chunking(USUAL, None, None)),
            ("chunkSize=250000;", chunking(250_000, None, None)),
            ("parent=Case", chunking(USUAL, Some("Case"), None)),
            (
                "chunkSize=50000; startRow=001000000000001",
                chunking(50_000, None, Some("001000000000001")),
            ),
            (" true ;chunkSize = 1;parent=Account ; ", chunking(1, Some("Account"), None)),
        ] {
            assert_eq!(Chunking::read(text), Ok(Some(expected)), "{text}");
        }
        assert_eq!(Chunking::read(" False"), Ok(None));
    }

    #[test]
    fn what_the_header_cannot_say_is_refused() {
        for bad in [
            "",
            ";",
            "yes",
            "true=1",
            "true;false",
            "chunkSize",
            "chunkSize=",
            "chunkSize=0",
            "chunkSize=-5",
            "chunkSize=250001",
            "chunkSize=1e3",
            "startRow=1",
            "startRow=001000000000001AAB",
            "parent=",
            "chunkSize=1;;parent=Account",
            "chunkSize=1,parent=Account",
            "useSampledData",
        ] {
            assert!(Chunking::read(bad).is_err(), "{bad}");
        }
    }
}
