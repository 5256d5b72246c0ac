//! What a result is split into: pages of whole records, counted and fingerprinted.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::info::Syntax;
use crate::print::{Fingerprint, Printer};

/// The longest record held, in bytes. Nothing documents a limit for results; a record has at most
/// 400,000 characters on its way in, and rich text and long text areas come out longer, by a
/// factor of ten and not of forty.
pub(super) const LONGEST: usize = 16 << 20;

/// How far an application has got with a result file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// The rows it has, from the first.
    pub rows: u64,
    /// The fingerprint of these rows, as [`Rows::have`] told it.
    pub print: Fingerprint,
}

/// Some whole records of a result file, as the server wrote them.
///
/// | syntax | `header` | `records` |
/// |---|---|---|
/// | CSV | the header, without its line end | the records, each with a line end, which is added if the last one of the file lacks it |
/// | XML | the start tag of the root, `queryResult` | the `records` elements, with a line feed after each |
/// | JSON | nothing | the elements of the list, with a comma and a line feed between them |
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// How the records are written.
    #[serde(default, skip_serializing_if = "is_csv")]
    pub syntax: Syntax,
    /// What stands before the records of a file. Each page has it.
    #[serde(with = "crate::text")]
    pub header: Bytes,
    /// The records.
    #[serde(with = "crate::text")]
    pub records: Bytes,
    /// How many records these are.
    pub count: u64,
    /// The rows of the file up to the end of this page, the ones swallowed included.
    pub have: Have,
}

/// Transcripts of CSV results do not name it.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde wants it so
fn is_csv(syntax: &Syntax) -> bool {
    *syntax == Syntax::Csv
}

/// What a whole result file was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed {
    /// Its rows, the ones swallowed included.
    pub rows: u64,
    /// The fingerprint of its header's cells; `None` if the file had no rows and told no header,
    /// and for XML and JSON, where each record names its fields.
    pub header: Option<Fingerprint>,
}

/// The page under construction, and what came before it.
#[derive(Debug)]
pub(super) struct Pages {
    /// The records of the page, each with what stands after it.
    page: Vec<u8>,
    count: u64,
    /// The rows seen, those of the page included.
    rows: u64,
    printer: Printer,
    /// What is still to be swallowed.
    swallow: Option<Have>,
    failed: Option<Error>,
}

impl Pages {
    pub(super) fn new(have: Option<Have>) -> Self {
        Self {
            page: Vec::new(),
            count: 0,
            rows: 0,
            printer: Printer::default(),
            swallow: have.filter(|have| have.rows > 0),
            failed: None,
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// There is no more to be had from this file.
    pub(super) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    pub(super) fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// The open record has this length by now.
    pub(super) fn check_length(&mut self, length: usize) {
        if length > LONGEST {
            let row = self.rows + 1;
            self.fail(incomplete(format!("row {row} of the result is longer than 16 MiB")));
        }
    }

    /// Takes a whole record, and what stands after it. `room` is how much of the text, at most,
    /// becomes a part of this page.
    pub(super) fn take(&mut self, record: &[u8], after: &[u8], room: usize) {
        self.check_length(record.len());
        if self.failed.is_none() {
            if self.page.is_empty() {
                self.page.reserve(room);
            }
            self.add(record);
            self.add(after);
            if self.count_record() {
                self.swallow();
            }
        }
    }

    /// Takes a piece of the records.
    pub(super) fn add(&mut self, records: &[u8]) {
        self.page.extend_from_slice(records);
    }

    /// Counts a record; tells whether it is the last of those that are to be swallowed.
    pub(super) fn count_record(&mut self) -> bool {
        self.rows += 1;
        self.count += 1;
        self.swallow.is_some_and(|have| have.rows == self.rows)
    }

    /// All records are there that the application already has: they must be the same.
    pub(super) fn swallow(&mut self) {
        self.printer.add(&self.page);
        self.page.clear();
        self.count = 0;
        if self.swallow.take().is_some_and(|have| have.print != self.printer.so_far()) {
            self.fail(self.changed());
        }
    }

    /// The text has ended: with it the rows that are to be swallowed.
    pub(super) fn end(&mut self) {
        if self.swallow.is_some() && self.failed.is_none() {
            self.fail(self.changed());
        }
    }

    /// Hands out the whole records since the last page, or swallows them.
    pub(super) fn hand_out(&mut self, syntax: Syntax, header: &Bytes) -> Option<Rows> {
        if self.count == 0 {
            return None;
        }
        self.printer.add(&self.page);
        if self.swallow.is_some() {
            self.page.clear();
            self.count = 0;
            return None;
        }
        let mut records = std::mem::take(&mut self.page);
        if syntax == Syntax::Json {
            records.truncate(records.len() - BETWEEN.len());
        }
        let rows = self.rows_of(syntax, header, records.into());
        self.count = 0;
        Some(rows)
    }

    pub(super) fn rows_of(&self, syntax: Syntax, header: &Bytes, records: Bytes) -> Rows {
        let have = Have { rows: self.rows, print: self.printer.so_far() };
        Rows { syntax, header: header.clone(), records, count: self.count, have }
    }

    fn changed(&self) -> Error {
        incomplete(format!(
            "the result changed between two readings, within its first {} rows",
            self.rows
        ))
        .advise("start this query again")
    }
}

/// What stands between two elements of a JSON page.
pub(super) const BETWEEN: &[u8] = b",\n";

pub(super) fn incomplete(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Incomplete, message)
}

/// A result that ends where none can end.
pub(super) fn cut(place: &str, rows: u64) -> Error {
    incomplete(format!("the result ends {place}, after {rows} whole rows"))
        .advise("it was cut on its way; read it again")
}
