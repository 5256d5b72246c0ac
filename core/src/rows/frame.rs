//! Query results → pages of whole, raw records.
//!
//! Nothing is decoded: the framer finds where records end, drops the header, counts, and passes
//! the bytes on. It keeps a running fingerprint, so that a transfer that broke can go on: read the
//! file again, and swallow what the application has, if it is still the same.
//!
//! The text comes from a server that quotes each cell, but nothing rests on that: what is a record
//! is what the `csv` crate takes for one. What cannot be a whole result is refused: a quote left
//! open, a row with more or fewer cells than the header.

use bytes::Bytes;

use super::inlet::Inlet;
use super::scan::{BLOCK, Marks, Scanner, cells, without_end};
use crate::error::{Error, ErrorKind};
use crate::print::{Fingerprint, Printer};

/// The longest record held, in bytes. Nothing documents a limit for results; a record has at most
/// 400,000 characters on its way in, and rich text and long text areas come out longer, by a
/// factor of ten and not of forty.
const LONGEST: usize = 16 << 20;

/// The body of a result without rows (unlike a header alone, it does not tell the columns).
const NO_RECORDS: &[u8] = b"Records not found for this query";

/// How far an application has got with a result file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Have {
    /// The rows it has, from the first.
    pub rows: u64,
    /// The fingerprint of these rows, as [`Rows::have`] told it.
    pub print: Fingerprint,
}

/// Some whole records of a result file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The header as the server wrote it, without its line end. Each page has it.
    pub header: Bytes,
    /// The records as the server wrote them. Each ends with a line end; it is added if the last
    /// one of the file lacks it.
    pub records: Bytes,
    /// How many records these are.
    pub count: u64,
    /// The rows of the file up to the end of this page, the ones swallowed included.
    pub have: Have,
}

/// What a whole result file was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed {
    /// Its rows, the ones swallowed included.
    pub rows: u64,
    /// The fingerprint of its header's cells; `None` if the file had no rows and told no header.
    pub header: Option<Fingerprint>,
}

/// Splits one result file into pages of whole records.
///
/// ```
/// use sfbulk::rows::Framer;
///
/// let mut framer = Framer::new(None);
/// framer.push(b"\"Id\",\"Name\"\n\"0015g00000Xb1cCAAR\",\"Fabrikam & Sons\"\n\"0015g00000Xb2dDAAR\",\"He said \"\"hi\"\"\"");
/// let (rows, framed) = framer.finish()?;
/// let rows = rows.expect("the two that no page had");
/// assert_eq!(rows.header, "\"Id\",\"Name\"");
/// assert!(rows.records.ends_with(b",\"He said \"\"hi\"\"\"\n"));
/// assert_eq!((rows.count, framed.rows), (2, 2));
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Debug)]
pub struct Framer {
    inlet: Inlet,
    scanner: Scanner,
    begun: bool,
    /// In the inlet's text: what was scanned, where the first record of the page starts, and where
    /// the open record does, if one was seen at all.
    scanned: usize,
    page: usize,
    open: Option<usize>,
    header: Option<Header>,
    commas: usize,
    /// The rows seen, and those of them in the page.
    rows: u64,
    count: u64,
    printer: Printer,
    /// What is still to be swallowed.
    swallow: Option<Have>,
    failed: Option<Error>,
}

#[derive(Debug)]
struct Header {
    raw: Bytes,
    columns: usize,
}

impl Framer {
    /// Before the first byte of a file; `have` is what the application already has of it.
    pub fn new(have: Option<Have>) -> Self {
        Self {
            inlet: Inlet::default(),
            scanner: Scanner::default(),
            begun: false,
            scanned: 0,
            page: 0,
            open: None,
            header: None,
            commas: 0,
            rows: 0,
            count: 0,
            printer: Printer::default(),
            swallow: have.filter(|have| have.rows > 0),
            failed: None,
        }
    }

    /// Room for the next piece of the body, at least 64 KiB.
    pub fn space(&mut self) -> &mut [u8] {
        self.inlet.space()
    }

    /// Says that `n` bytes of the [`space`](Self::space) were filled; 0 says the body has ended.
    pub fn filled(&mut self, n: usize) {
        self.inlet.filled(n);
    }

    /// Takes a piece of the body; an empty one is not the end.
    pub fn push(&mut self, piece: &[u8]) {
        self.inlet.push(piece);
    }

    /// The whole records so far that no page had; `None` if there are none.
    ///
    /// Fails with [`ErrorKind::Incomplete`] if a row has more or fewer cells than the header, if a
    /// record is longer than 16 MiB (that is an open quote), or if the rows the application
    /// already has are not those of the file.
    pub fn page(&mut self) -> Result<Option<Rows>, Error> {
        self.scan(false);
        if let Some(rows) = self.take_page() {
            return Ok(Some(rows));
        }
        self.failed.clone().map_or(Ok(None), Err)
    }

    /// Says that the body has ended, whole. Returns the records that no page had; if the file has
    /// none, a page with none, for its header's sake.
    ///
    /// Fails as [`page`](Self::page) does, and if the body ends inside quotes or before the rows
    /// that the application already has.
    pub fn finish(&mut self) -> Result<(Option<Rows>, Framed), Error> {
        self.inlet.end();
        self.scan(true);
        self.complete_last();
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let no_header = self.rows == 0 && self.header.as_ref().is_none_or(Header::says_no_records);
        let framed = Framed {
            rows: self.rows,
            header: self.header.as_ref().filter(|_| !no_header).map(Header::print),
        };
        let mut last = self.take_page();
        if self.rows == 0 && !no_header {
            last = self.rows_of(Bytes::new());
        }
        Ok((last, framed))
    }

    /// Scans what came; bytes that make no whole block wait, unless these are the last.
    fn scan(&mut self, ended: bool) {
        if !self.begun {
            self.begun = self.inlet.strip_mark().is_some();
        }
        let inlet = std::mem::take(&mut self.inlet);
        let text = inlet.text();
        while self.begun && self.failed.is_none() {
            let rest = text.get(self.scanned..).unwrap_or_default();
            if let Some(block) = rest.first_chunk::<BLOCK>() {
                let marks = self.scanner.lenient(block);
                self.take(text, BLOCK, marks);
            } else if ended && !rest.is_empty() {
                let marks = self.scanner.tail(rest);
                self.take(text, rest.len(), marks);
            } else {
                break;
            }
        }
        self.inlet = inlet;
    }

    /// Takes what the scanner saw in the next `length` bytes.
    #[inline]
    fn take(&mut self, text: &[u8], length: usize, marks: Marks) {
        let (mut starts, mut commas) = (marks.starts, marks.commas);
        while starts != 0 && self.failed.is_none() {
            let i = starts.trailing_zeros();
            let before = (1 << i) - 1;
            starts &= starts - 1;
            self.commas += (commas & before).count_ones() as usize;
            commas &= !before;
            self.complete(text, self.scanned + i as usize);
        }
        self.commas += commas.count_ones() as usize;
        self.scanned += length;
        if self.open.is_some_and(|open| self.scanned - open > LONGEST) && self.failed.is_none() {
            self.failed = Some(incomplete(format!(
                "row {} of the result is longer than 16 MiB",
                self.rows + 1
            )));
        }
    }

    /// A record starts at `at`, or the text ends: the one before, if any, is whole.
    fn complete(&mut self, text: &[u8], at: usize) {
        let commas = std::mem::take(&mut self.commas);
        let Some(open) = self.open.replace(at) else {
            self.page = at;
            return;
        };
        let Some(header) = &self.header else {
            let record = without_end(text.get(open..at).unwrap_or_default());
            self.header = Some(Header { raw: Bytes::copy_from_slice(record), columns: commas + 1 });
            self.page = at;
            return;
        };
        if commas + 1 != header.columns {
            let error = format!(
                "a row of the result has {} cells, its header {}",
                commas + 1,
                header.columns
            );
            self.failed = Some(incomplete(error).of_rows(self.rows..self.rows + 1));
            self.open = Some(open);
            return;
        }
        self.rows += 1;
        self.count += 1;
        if self.swallow.is_some_and(|have| have.rows == self.rows) {
            self.swallow(text.get(self.page..at).unwrap_or_default());
            self.page = at;
        }
    }

    /// The last of the rows that the application already has: they must be the same.
    fn swallow(&mut self, records: &[u8]) {
        self.print(records);
        self.count = 0;
        if self.swallow.take().is_some_and(|have| have.print != self.printer.so_far()) {
            self.failed = Some(self.changed());
        }
    }

    /// The body has ended: so has the open record.
    fn complete_last(&mut self) {
        if self.failed.is_some() {
            return;
        }
        if self.scanner.in_quotes() {
            let error = format!("the result ends within quotes, after {} whole rows", self.rows);
            self.failed = Some(incomplete(error).advise("it was cut on its way; read it again"));
        } else if self.open.is_some() {
            let inlet = std::mem::take(&mut self.inlet);
            self.complete(inlet.text(), inlet.text().len());
            self.inlet = inlet;
            self.scanner = Scanner::default();
            self.open = None;
        }
        if self.swallow.is_some() && self.failed.is_none() {
            self.failed = Some(self.changed());
        }
    }

    /// Hands out the whole records since the last page, or swallows them.
    fn take_page(&mut self) -> Option<Rows> {
        let text = self.inlet.text();
        let end = self.open.unwrap_or(self.scanned);
        let records = text.get(self.page..end).filter(|_| self.count > 0)?;
        let records = if ends_line(records) {
            Bytes::copy_from_slice(records)
        } else {
            Bytes::from([records, b"\n"].concat())
        };
        self.inlet.consume(end);
        self.scanned -= end;
        self.page = 0;
        self.open = self.open.map(|open| open - end);
        self.printer.add(&records);
        let rows = self.rows_of(records);
        self.count = 0;
        rows.filter(|_| self.swallow.is_none())
    }

    fn rows_of(&self, records: Bytes) -> Option<Rows> {
        let header = self.header.as_ref()?.raw.clone();
        let have = Have { rows: self.rows, print: self.printer.so_far() };
        Some(Rows { header, records, count: self.count, have })
    }

    /// Adds records to the fingerprint, as they are handed out.
    fn print(&mut self, records: &[u8]) {
        self.printer.add(records);
        if !ends_line(records) {
            self.printer.add(b"\n");
        }
    }

    fn changed(&self) -> Error {
        incomplete(format!(
            "the result changed between two readings, within its first {} rows",
            self.rows
        ))
        .advise("start this query again")
    }
}

impl Header {
    fn print(&self) -> Fingerprint {
        Fingerprint::of_cells(cells(&self.raw).iter().map(Vec::as_slice))
    }

    fn says_no_records(&self) -> bool {
        matches!(cells(&self.raw).as_slice(), [cell] if cell == NO_RECORDS)
    }
}

fn ends_line(records: &[u8]) -> bool {
    matches!(records.last(), Some(b'\n' | b'\r'))
}

fn incomplete(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Incomplete, message)
}
