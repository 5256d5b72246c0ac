//! Query results → pages of whole, raw records.
//!
//! Nothing is decoded: the framer finds where records end, drops the header, counts, and passes
//! the bytes on. It keeps a running fingerprint, so that a transfer that broke can go on: read the
//! file again, and swallow what the application has, if it is still the same.
//!
//! The text comes from a server that quotes each cell, but nothing rests on that: what is a record
//! is what the `csv` crate takes for one. What cannot be a whole result is refused: a quote left
//! open, a row with more or fewer cells than the header. A text that was cut elsewhere looks whole;
//! that is for the transport to notice, and for whoever compares the rows with the server's count.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// The rows it has, from the first.
    pub rows: u64,
    /// The fingerprint of these rows, as [`Rows::have`] told it.
    pub print: Fingerprint,
}

/// Some whole records of a result file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The header as the server wrote it, without its line end. Each page has it.
    #[serde(with = "crate::text")]
    pub header: Bytes,
    /// The records as the server wrote them. Each ends with a line end; it is added if the last
    /// one of the file lacks it.
    #[serde(with = "crate::text")]
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\"Id\",\"Name\"\n\"1\",\"a\nb\"\n\"2\",\"\"\n\"3\",\"He said \"\"hi\"\"\"";

    /// All records, and the places where one can go on.
    fn frame(
        have: Option<Have>,
        text: &str,
        piece: usize,
    ) -> Result<(String, Vec<Have>, Framed), Error> {
        let mut framer = Framer::new(have);
        let (mut records, mut places) = (String::new(), Vec::new());
        let mut take = |rows: Option<Rows>| {
            if let Some(rows) = rows {
                records += std::str::from_utf8(&rows.records).unwrap();
                places.push(rows.have);
            }
        };
        for piece in text.as_bytes().chunks(piece) {
            framer.push(piece);
            take(framer.page()?);
        }
        let (last, whole) = framer.finish()?;
        take(last);
        Ok((records, places, whole))
    }

    fn refused(have: Option<Have>, text: &str) -> Error {
        let error = frame(have, text, 5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incomplete);
        error
    }

    #[test]
    fn records_pass_as_they_are_without_the_header() {
        for piece in 1..=TEXT.len() {
            let (records, places, framed) = frame(None, TEXT, piece).unwrap();
            assert_eq!(records, "\"1\",\"a\nb\"\n\"2\",\"\"\n\"3\",\"He said \"\"hi\"\"\"\n");
            assert_eq!((framed.rows, places.last().unwrap().rows), (3, 3));
            assert_eq!(framed.header, Some(Fingerprint::of_cells([&b"Id"[..], b"Name"])));
        }
    }

    #[test]
    fn no_records_can_be_said_in_four_ways() {
        let words = "Records not found for this query";
        for text in ["", "\n", words, &format!("{words}\r\n"), &format!("\"{words}\"\n")] {
            let (records, places, framed) = frame(None, text, 3).unwrap();
            assert_eq!(
                (records.as_str(), places.len(), framed),
                ("", 0, Framed { rows: 0, header: None })
            );
        }
        let mut framer = Framer::new(None);
        framer.push(b"\"Id\"\n");
        let (rows, whole) = framer.finish().unwrap();
        assert_eq!((rows.unwrap().header, whole.header.is_some()), (Bytes::from("\"Id\""), true));
        // With a row below, the words are a header.
        assert_eq!(frame(None, &format!("{words}\n1\n"), 9).unwrap().2.rows, 1);
    }

    #[test]
    fn a_broken_transfer_goes_on_after_the_rows_one_has() {
        let (all, _, framed) = frame(None, TEXT, 1).unwrap();
        let padded = TEXT.replace("a\nb", &"long ".repeat(40));
        for text in [TEXT, &padded] {
            let (all, places, framed) = frame(None, text, 1).unwrap();
            for have in places {
                let (rest, later, again) = frame(Some(have), text, 10).unwrap();
                assert!(all.ends_with(&rest) && again == framed);
                assert_eq!(later.last().map_or(have, |last| *last).rows, 3);
                assert_eq!(rest.is_empty(), have.rows == 3);
            }
        }
        assert_eq!((all.lines().count(), framed.rows), (4, 3));
    }

    #[test]
    fn a_result_that_changed_is_not_gone_on_with() {
        let (_, places, _) = frame(None, TEXT, 1).unwrap();
        let have = *places.last().unwrap();
        for changed in
            [TEXT.replace("\"2\"", "\"5\""), "\"Id\",\"Name\"\n\"1\",\"x\"\n".into(), String::new()]
        {
            let error = refused(Some(have), &changed);
            assert!(error.to_string().contains("changed between two readings"), "{error}");
        }
        let nothing = Have { rows: 0, print: Printer::default().so_far() };
        assert_eq!(frame(Some(nothing), TEXT, 8).unwrap(), frame(None, TEXT, 8).unwrap());
    }

    #[test]
    fn what_was_cut_is_refused() {
        assert!(
            refused(None, "\"Id\"\n\"1\"\n\"2")
                .to_string()
                .contains("ends within quotes, after 1 whole rows")
        );
        let error = refused(None, "a,b\n1,2\n3,4\n5\n6,7\n");
        assert_eq!(error.rows(), Some(2..3));
        assert!(error.to_string().contains("has 1 cells, its header 2"), "{error}");
    }

    #[test]
    fn the_rows_before_a_bad_one_are_given_out() {
        let text = format!("a,b\n1,2\n3\n{}", "4,5\n".repeat(50));
        for piece in [1, 64, 300] {
            let mut framer = Framer::new(None);
            let mut records = Vec::new();
            let error = text.as_bytes().chunks(piece).find_map(|piece| {
                framer.push(piece);
                loop {
                    match framer.page() {
                        Ok(Some(rows)) => records.extend_from_slice(&rows.records),
                        Ok(None) => return None,
                        Err(error) => return Some(error),
                    }
                }
            });
            assert_eq!(error.unwrap().rows(), Some(1..2));
            assert_eq!(records, b"1,2\n");
            assert!(framer.finish().is_err());
        }
    }

    #[test]
    fn quotes_out_of_place_do_not_stop_a_download() {
        let text = "a,b\n5\" pipe,\"x\"y\n\n2,\"\n\"\n";
        let (records, _, framed) = frame(None, text, 4).unwrap();
        assert_eq!((records.as_str(), framed.rows), ("5\" pipe,\"x\"y\n\n2,\"\n\"\n", 2));
    }

    #[test]
    fn a_quote_left_open_does_not_fill_the_memory() {
        let mut framer = Framer::new(None);
        framer.push(b"a\n\"");
        let piece = vec![b'x'; 100_000];
        let pushed = (0..1000).take_while(|_| {
            framer.push(&piece);
            framer.page().is_ok()
        });
        assert!(pushed.count() <= LONGEST / 100_000);
    }
}
