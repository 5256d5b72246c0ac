//! The jobs of the [model server](crate::server): what is in them, and how far each batch is.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use sfbulk::rows::Fate;
use sfbulk::{ContentType, Time};

use crate::document::{answer, document, error, members};
use crate::records;

/// A job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) operation: String,
    pub(crate) object: String,
    pub(crate) content_type: ContentType,
    pub(crate) state: &'static str,
    /// When it was aborted, or given up by the server.
    pub(crate) ended: Option<Time>,
    pub(crate) batches: Vec<Batch>,
    /// Whether its document tells how many batches it has.
    pub(crate) counts: bool,
    /// How many records of the table go into each chunk of a query, if it is split.
    pub(crate) chunk: Option<usize>,
}

/// A batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: String,
    /// As it was sent.
    pub(crate) body: Bytes,
    /// What is in it; nothing for a query.
    pub(crate) records: Vec<String>,
    pub(crate) added: Time,
    pub(crate) takes: Duration,
    /// How many records there are in it, or how many the query finds.
    pub(crate) size: usize,
    /// The records of the table that are before those which it finds.
    pub(crate) before: usize,
    /// It was split: others have its rows.
    pub(crate) split: bool,
    /// The client was told that it is there, and has not forgotten.
    pub(crate) acknowledged: bool,
}

/// How a batch is at some moment.
pub(crate) struct Progress {
    pub(crate) state: &'static str,
    pub(crate) processed: usize,
    message: Option<String>,
}

/// What becomes of the records of a load's batch, if nothing comes between.
pub fn fates(records: &[String], insert: bool) -> Vec<Fate> {
    if is_refused(records) {
        return vec![Fate::Failed; records.len()];
    }
    let broken = breaks_at(records);
    let fate = |(n, record): (usize, &String)| match broken {
        Some(0) => Fate::Failed,
        Some(row) if n >= row => Fate::Unknown,
        _ if record.starts_with("bad") => Fate::Failed,
        _ => Fate::Succeeded { created: insert || !record.starts_with("known") },
    };
    records.iter().enumerate().map(fate).collect()
}

pub(crate) fn is_refused(records: &[String]) -> bool {
    records.iter().any(|record| record.starts_with("refused"))
}

/// The record at which a batch fails.
fn breaks_at(records: &[String]) -> Option<usize> {
    records.iter().position(|record| record.starts_with("broken"))
}

impl Job {
    /// Ends it before its time; what has not started never will.
    pub(crate) fn end(&mut self, now: Time, state: &'static str) {
        self.state = state;
        self.ended.get_or_insert(now);
    }

    /// The batches that are there by now: the chunks of a query come when it has been split, and not
    /// if the job was ended before.
    pub(crate) fn there(&self, now: Time) -> impl Iterator<Item = &Batch> {
        let ended = self.ended;
        self.batches
            .iter()
            .filter(move |batch| batch.added <= ended.map_or(now, |ended| now.min(ended)))
    }

    pub(crate) fn set_state(&mut self, now: Time, state: &str) -> Response<Bytes> {
        match (self.state, state) {
            ("Open" | "Closed", "Aborted") => self.end(now, "Aborted"),
            ("Open", "Closed") => self.state = "Closed",
            (from, _) => {
                return error(400, "InvalidJobState", &format!("Not allowed: the job is {from}"));
            }
        }
        answer(200, &self.document(now))
    }

    pub(crate) fn progress(&self, batch: &Batch, now: Time) -> Progress {
        let (start, end) = (batch.added + batch.takes / 3, batch.added + batch.takes);
        let at = |state, processed| Progress { state, processed, message: None };
        let failed = |processed, message: &str| Progress {
            state: "Failed",
            processed,
            message: Some(message.into()),
        };
        if self.ended.is_some_and(|ended| ended < start) {
            at("NotProcessed", 0)
        } else if now < start {
            at("Queued", 0)
        } else if now < end {
            at("InProgress", 0)
        } else if batch.split {
            at("NotProcessed", 0)
        } else if self.operation == "query" && batch.body.windows(5).any(|word| word == b"Bogus") {
            failed(0, "InvalidBatch : Failed to process query: INVALID_FIELD: Bogus")
        } else if let Some(row) = breaks_at(&batch.records) {
            failed(row, "InternalServerError : Retried more than thirty times")
        } else {
            at("Completed", batch.size)
        }
    }

    /// The records of a batch that are written by this moment, with their ids.
    pub(crate) fn written<'a>(
        &self,
        batch: &'a Batch,
        now: Time,
    ) -> impl Iterator<Item = (String, &'a str)> + use<'a> {
        let records = batch.records.iter().take(self.progress(batch, now).processed).enumerate();
        let good = records.filter(|(_, record)| !record.starts_with("bad"));
        good.map(|(n, record)| (batch.record_id(n), record.as_str()))
    }

    /// What became of the records of a batch that is done.
    pub(crate) fn outcomes(&self, batch: &Batch, processed: usize) -> Response<Bytes> {
        let told = |(n, record): (usize, &String)| {
            let created = self.operation == "insert" || !record.starts_with("known");
            if record.starts_with("bad") { Err("Name") } else { Ok((batch.record_id(n), created)) }
        };
        let told = batch.records.iter().take(processed).enumerate().map(told);
        records::outcomes(self.content_type.syntax(), told)
    }

    pub(crate) fn document(&self, now: Time) -> String {
        let (id, operation, object) = (&self.id, &self.operation, &self.object);
        let mut about = members(&[("id", id), ("operation", operation), ("object", object)]);
        about += &members(&[("state", self.state)]);
        if self.counts {
            about += &members(&[("numberBatchesTotal", &self.there(now).count().to_string())]);
        }
        document("jobInfo", &about)
    }

    pub(crate) fn describe(&self, batch: &Batch, now: Time) -> String {
        let Progress { state, processed, message } = self.progress(batch, now);
        let mut info = members(&[("id", &batch.id), ("jobId", &self.id), ("state", state)]);
        info += &message.map_or(String::new(), |message| members(&[("stateMessage", &message)]));
        info + &members(&[("numberRecordsProcessed", &processed.to_string())])
    }
}

impl Batch {
    /// The id of its nth record: it tells the batch and the place.
    fn record_id(&self, n: usize) -> String {
        format!("0010000{}{n:03}AAA", &self.id[10..15])
    }
}
