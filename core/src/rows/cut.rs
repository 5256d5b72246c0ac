//! Raw CSV text → batches.
//!
//! The text is never decoded: its records are found, counted and copied. What a batch holds is a
//! function of the text and the limits alone; how the text was cut into pieces on its way here does
//! not count. Blocks begin at multiples of 64 bytes of the text, so even *when* an error is seen is
//! such a function, and the batches before it are the same each time.
//!
//! A record is complete when the next one begins (or the text ends): [`Cutter::complete`] is the
//! one place where it is judged, projected, counted, and put into this batch or the next. A record
//! that is refused takes the records with it that wait for their batch to fill.
//!
//! Three things are not passed on as they are: a byte order mark (the server would take it for a
//! part of the first name), blank lines (the vendor's reader skips them, but outcomes are told by
//! position, so nothing is left to a doubt), and a carriage return alone that ends a record, which
//! becomes a line feed.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::batch::{
    Batch, CELL_CHARS, Limits, RECORD_CHARS, check_fit, check_length, check_names, input,
};
use super::inlet::Inlet;
use super::scan::{BLOCK, Marks, Scanner, cells, raw_cells, without_end};
use crate::error::Error;

/// A UTF-16 unit takes three bytes of UTF-8 at most, so a longer record has too many for certain.
/// (A record is not held to find out how much longer.)
const RECORD_BYTES: usize = 3 * RECORD_CHARS;

/// Cuts CSV text into batches, without decoding it.
///
/// ```
/// use sfbulk::rows::{Cutter, Limits};
///
/// let mut cutter = Cutter::new(Limits { records: 2, ..Limits::default() });
/// cutter.push(b"Name,City\nAda,London\nGrace,\"New\nYork\"\nAlan,Wilmslow");
/// cutter.end();
/// let batch = cutter.next()?.expect("two records make a batch here");
/// assert_eq!(batch.rows, 0..2);
/// assert_eq!(batch.body, "Name,City\nAda,London\nGrace,\"New\nYork\"\n");
/// assert_eq!(cutter.next()?.expect("the rest").body, "Name,City\nAlan,Wilmslow");
/// assert!(cutter.next()?.is_none(), "that was all");
/// # Ok::<(), sfbulk::Error>(())
/// ```
pub struct Cutter {
    limits: Limits,
    select: Select,
    inlet: Inlet,
    /// The place in the source text of the inlet's first byte; `None` before the text began.
    at: Option<u64>,
    scanner: Scanner,
    /// Lines of the source text that end before the next block.
    lines: u64,
    /// In the inlet's text: what was scanned (the beginning of the next block), what of it was
    /// copied to the body, and what was seen to be UTF-8 (up to three bytes less than scanned, if a
    /// block ends within a character).
    scanned: usize,
    copied: usize,
    checked: usize,

    header: Option<Header>,
    /// Where the open record starts, if one is open, and the commas seen in it.
    open: Option<Place>,
    commas: usize,
    /// The header and the records of the batch to come, as far as copied.
    body: BytesMut,
    /// How long the body is without the open record, once it is copied.
    whole: usize,
    /// The open record as it was, when not all of it is sent.
    record: Vec<u8>,
    /// The records before `whole`, the first one's row, and where it starts in the source text.
    records: u64,
    row: u64,
    source: u64,

    ready: VecDeque<Batch>,
    failed: Option<Error>,
    finished: bool,
}

impl Cutter {
    /// A cutter that has seen no text yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.within_the_vendors(),
            select: Select::All,
            inlet: Inlet::default(),
            at: None,
            scanner: Scanner::default(),
            lines: 0,
            scanned: 0,
            copied: 0,
            checked: 0,
            header: None,
            open: None,
            commas: 0,
            body: BytesMut::new(),
            whole: 0,
            record: Vec::new(),
            records: 0,
            row: 0,
            source: 0,
            ready: VecDeque::new(),
            failed: None,
            finished: false,
        }
    }

    /// Sends only these columns (a delete takes only `Id`). Their names are compared as the API
    /// compares them, without regard to case; one that the header lacks is an error. Cells are
    /// passed on as they are written.
    #[must_use]
    pub fn keep_only<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.select = Select::Only(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sends all columns but these, whose names are compared without regard to case; one that the
    /// header lacks is left out already.
    #[must_use]
    pub fn leave_out<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.select = Select::Except(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sends only the columns at these positions, counted from 0, in the order of the header; one
    /// that the header lacks is an error. This tells columns apart that have one name.
    #[must_use]
    pub fn keep_columns(mut self, positions: impl IntoIterator<Item = usize>) -> Self {
        self.select = Select::At(positions.into_iter().collect());
        self
    }

    /// Room for the next piece of the text, at least 64 KiB.
    pub fn space(&mut self) -> &mut [u8] {
        self.inlet.space()
    }

    /// Says that `n` bytes of the [`space`](Self::space) were filled; 0 says the text has ended.
    pub fn filled(&mut self, n: usize) {
        self.inlet.filled(n);
    }

    /// Takes a piece of the text; an empty one is not the end.
    pub fn push(&mut self, piece: &[u8]) {
        self.inlet.push(piece);
    }

    /// Says that the text has ended.
    pub fn end(&mut self) {
        self.inlet.end();
    }

    /// The next batch; `None` wants more text, or says that there are no more batches. A batch is
    /// seen to be full when the record after it begins, or a few bytes later.
    ///
    /// Fails with [`ErrorKind::Input`](crate::ErrorKind::Input) and the line (as an editor counts) at the first thing that
    /// the API would not take or not read as it was meant: no header, an empty or a double name in
    /// it, a row with more or fewer cells, a quote out of place or never closed, text that is not
    /// UTF-8, and what passes the topic "Limits" of the vendor's guide. From then on it returns
    /// that error.
    #[allow(clippy::should_implement_trait)] // an iterator's `None` is its end
    pub fn next(&mut self) -> Result<Option<Batch>, Error> {
        self.at = self.at.or_else(|| Some(self.inlet.strip_mark()? as u64));
        let done = self.finished || self.failed.is_some();
        if self.at.is_some() && self.ready.is_empty() && !done {
            let inlet = std::mem::take(&mut self.inlet);
            let consumed = self.read(inlet.text(), inlet.ended());
            self.inlet = inlet;
            self.inlet.consume(consumed);
        }
        match (self.ready.pop_front(), &self.failed) {
            (Some(batch), _) => Ok(Some(batch)),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(None),
        }
    }

    /// The names of the columns that are sent, once the header was seen.
    pub fn header(&self) -> Option<&[String]> {
        self.header.as_ref().map(|header| header.names.as_slice())
    }

    /// How many rows were cut into batches so far.
    pub fn rows(&self) -> u64 {
        self.row
    }
}

/// Reading: blocks to events.
impl Cutter {
    /// Reads until a batch is ready, the text is used up, or something is wrong. Returns how much
    /// of the text is needed no more.
    fn read(&mut self, text: &[u8], ended: bool) -> usize {
        while self.ready.is_empty() && self.failed.is_none() {
            let rest = text.get(self.scanned..).unwrap_or_default();
            if let Some(block) = rest.first_chunk::<BLOCK>() {
                let marks = self.scanner.block(block);
                self.take(text, BLOCK, marks);
            } else if ended && !rest.is_empty() {
                let marks = self.scanner.tail(rest);
                self.take(text, rest.len(), marks);
            } else {
                if ended {
                    self.finish(text);
                }
                break;
            }
        }
        self.copy(text, self.scanned);
        let consumed = self.checked.min(self.scanned);
        self.at = self.at.map(|at| at + consumed as u64);
        self.scanned -= consumed;
        self.copied -= consumed;
        self.checked -= consumed;
        consumed
    }

    /// Takes what the scanner saw in the next `length` bytes.
    #[inline]
    fn take(&mut self, text: &[u8], length: usize, marks: Marks) {
        let end = self.scanned + length;
        let invalid = if !marks.beyond_ascii && self.checked == self.scanned {
            self.checked = end;
            None
        } else {
            self.check_utf8(text, end)
        };
        let events = marks.starts | marks.blank | marks.after_cr;
        if (events | marks.bad) == 0 && invalid.is_none() {
            self.commas += marks.commas.count_ones() as usize;
        } else {
            self.take_events(text, events, marks, invalid);
        }
        self.lines += u64::from(marks.lines.count_ones());
        self.scanned = end;
        if self.length(end).saturating_sub(self.whole) > RECORD_BYTES && self.failed.is_none() {
            self.refuse(self.too_long());
        }
    }

    /// Takes the events of one block in their order, up to the first thing that is wrong.
    fn take_events(&mut self, text: &[u8], mut events: u64, marks: Marks, invalid: Option<usize>) {
        let bad = marks.bad.trailing_zeros() as usize; // 64 if there is none
        let wrong = invalid.map_or(bad, |invalid| bad.min(invalid.saturating_sub(self.scanned)));
        let mut commas = marks.commas;
        while self.failed.is_none() {
            let i = events.trailing_zeros() as usize;
            if i >= wrong.min(BLOCK) {
                break;
            }
            let bit = 1 << i;
            events ^= bit;
            let at = self.scanned + i;
            if marks.after_cr & bit != 0 {
                self.end_by_line_feed(text, at);
            }
            if marks.blank & bit != 0 {
                self.copy(text, at);
                self.copied = at + 1;
            }
            if marks.starts & bit != 0 {
                self.commas += (commas & (bit - 1)).count_ones() as usize;
                commas &= !(bit - 1);
                let place = self.place(at, marks.lines, i);
                if self.open.is_some() {
                    self.complete(text, at, place.byte);
                }
                self.open = Some(place);
            }
        }
        self.commas += commas.count_ones() as usize;
        if self.failed.is_none() && wrong < BLOCK {
            self.refuse_wrong(text, wrong, bad, marks.lines, invalid);
        }
    }

    /// Says what is wrong with the byte `wrong` of the block: a quote, or else no UTF-8.
    fn refuse_wrong(
        &mut self,
        text: &[u8],
        wrong: usize,
        bad: usize,
        lines: u64,
        invalid: Option<usize>,
    ) {
        let here = self.place(self.scanned + wrong, lines, wrong);
        let error = if wrong < bad {
            let byte = self.at.unwrap_or_default() + invalid.unwrap_or_default() as u64;
            input(format!("the text is not UTF-8 at byte {byte}")).advise("save the file as UTF-8")
        } else if text.get(self.scanned + wrong) == Some(&b'"') {
            input("a quote in a cell that does not begin with one")
                .advise("put quotes around the cell and double the quote within")
        } else {
            input("text after the closing quote of a cell")
                .advise("double a quote that is part of the text")
        };
        self.failed = Some(error.at_line(here.line()));
    }

    /// Checks that the text is UTF-8 up to `end`; returns where it is not. A character that `end`
    /// cuts in two is looked at when the rest is there.
    #[cold]
    #[inline(never)]
    fn check_utf8(&mut self, text: &[u8], end: usize) -> Option<usize> {
        let piece = text.get(self.checked..end).unwrap_or_default();
        let Err(error) = std::str::from_utf8(piece) else {
            self.checked = end;
            return None;
        };
        self.checked += error.valid_up_to();
        error.error_len().map(|_| self.checked)
    }

    /// The text has ended, and all of it was scanned.
    fn finish(&mut self, text: &[u8]) {
        self.finished = true;
        if self.checked < text.len() {
            return self.refuse(input("the text ends in the middle of a UTF-8 character"));
        }
        if self.scanner.in_quotes() {
            return self.refuse(input("a quote in this record is never closed"));
        }
        if self.scanner.after_cr() {
            self.end_by_line_feed(text, text.len());
        }
        let end = self.at.unwrap_or_default() + text.len() as u64;
        if self.open.is_none() {
            return self.refuse(input("the input is empty: no header"));
        }
        self.complete(text, text.len(), end);
        self.open = None;
        if self.records > 0 && self.failed.is_none() {
            self.cut(text, end);
        }
    }
}

/// Judging and cutting.
impl Cutter {
    /// The open record, which ends before the byte `at`, is whole. The next one starts at `next`
    /// in the source text.
    fn complete(&mut self, text: &[u8], at: usize, next: u64) {
        let commas = std::mem::take(&mut self.commas);
        let Some(header) = &self.header else {
            return self.complete_header(text, at, next);
        };
        let first = header.line.len();
        if commas + 1 != header.columns {
            let error =
                format!("this row has {} cells, the header has {}", commas + 1, header.columns);
            return self.refuse(input(error));
        }
        if header.keep.is_some() {
            self.project(text, at);
        }
        let record = self.length(at).saturating_sub(self.whole);
        if record > CELL_CHARS {
            self.copy(text, at);
        }
        if let Err(error) = self.judge(first, record) {
            return self.refuse(error);
        }
        if self.length(at) > self.limits.bytes {
            let start = self.open.as_ref().map_or(0, |open| open.byte);
            self.cut(text, start);
        }
        self.records += 1;
        self.whole = self.length(at);
        if self.records >= self.limits.records {
            self.cut(text, next);
        }
    }

    /// The first record is whole.
    fn complete_header(&mut self, text: &[u8], at: usize, next: u64) {
        self.copy(text, at);
        match Header::new(&self.body, &self.select) {
            Ok(header) if header.line.len() >= self.limits.bytes => {
                let bytes = self.limits.bytes;
                self.refuse(input(format!(
                    "the header alone has {} bytes, a batch {bytes}",
                    header.line.len()
                )));
            }
            Ok(header) => {
                self.body.clear();
                self.body.extend_from_slice(&header.line);
                self.whole = self.body.len();
                self.header = Some(header);
                self.source = next;
            }
            Err(error) => self.refuse(error),
        }
    }

    /// Leaves only the chosen cells in the open record.
    fn project(&mut self, text: &[u8], at: usize) {
        self.copy(text, at);
        let Some(keep) = self.header.as_ref().and_then(|header| header.keep.as_deref()) else {
            return;
        };
        self.record.clear();
        self.record.extend_from_slice(self.body.get(self.whole..).unwrap_or_default());
        self.body.truncate(self.whole);
        write_kept(&mut self.body, &self.record, keep);
    }

    /// Judges the open record; if it is a long one, the body has it.
    fn judge(&self, header: usize, record: usize) -> Result<(), Error> {
        if record > CELL_CHARS {
            check_length(
                self.body.get(self.whole..).unwrap_or_default(),
                self.header().unwrap_or_default(),
            )?;
        }
        check_fit(header, record, self.limits)
    }

    /// Makes a batch of the whole records; the next one's first record starts at `next` in the
    /// source text.
    fn cut(&mut self, text: &[u8], next: u64) {
        let missing = self.whole.saturating_sub(self.body.len());
        if missing > 0 {
            self.copy(text, self.copied + missing);
        }
        let tail = self.body.split_off(self.whole.min(self.body.len()));
        let full = std::mem::take(&mut self.body);
        let header = self.header.as_ref().map(|header| header.line.clone()).unwrap_or_default();
        // As much as last time will be wanted again, and a read more before the cut is seen.
        self.body =
            BytesMut::with_capacity(full.len() + full.len() / 8 + tail.len() + header.len());
        self.body.extend_from_slice(&header);
        self.body.extend_from_slice(&tail);
        self.whole = header.len();

        let rows = self.row..self.row + self.records;
        self.row = rows.end;
        self.records = 0;
        let source: Range<u64> = self.source..next;
        self.source = next;
        self.ready.push_back(Batch { rows, body: full.freeze(), source });
    }

    /// How long the body will be once the text up to `at` is copied.
    fn length(&self, at: usize) -> usize {
        self.body.len() + at.saturating_sub(self.copied)
    }

    /// Copies the text up to `at` to the body.
    fn copy(&mut self, text: &[u8], at: usize) {
        if let Some(piece) = text.get(self.copied..at) {
            self.body.extend_from_slice(piece);
            self.copied = at;
        }
    }

    /// The record before the byte `at` was ended by a carriage return alone.
    fn end_by_line_feed(&mut self, text: &[u8], at: usize) {
        self.copy(text, at);
        if let Some(last) = self.body.last_mut() {
            *last = b'\n';
        }
    }

    /// The place of the byte `at`, which is byte `i` of a block with these line ends.
    fn place(&self, at: usize, lines: u64, i: usize) -> Place {
        let byte = self.at.unwrap_or_default() + at as u64;
        Place { byte, lines: self.lines, more: lines & (!0 >> (BLOCK - 1 - i.min(BLOCK - 1))) }
    }

    fn too_long(&self) -> Error {
        let error = input(format!(
            "this record is longer than the {RECORD_CHARS} characters that the API takes"
        ));
        if self.scanner.in_quotes() {
            error.advise("look for a quote that is not closed")
        } else {
            error
        }
    }

    /// Stops at the open record.
    fn refuse(&mut self, error: Error) {
        let line = self.open.as_ref().map_or(1, Place::line);
        self.failed = Some(error.at_line(line));
    }
}

impl fmt::Debug for Cutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cutter({} rows cut, {:?})", self.row, self.inlet)
    }
}

/// A place in the source text; its line is worked out when it is asked for.
#[derive(Clone, Copy)]
struct Place {
    byte: u64,
    lines: u64,
    more: u64,
}

impl Place {
    /// Counted from 1.
    fn line(&self) -> u64 {
        1 + self.lines + u64::from(self.more.count_ones())
    }
}

/// Which columns are sent.
enum Select {
    All,
    Only(Vec<String>),
    Except(Vec<String>),
    At(Vec<usize>),
}

impl Select {
    /// Which of these columns are sent, if not all are.
    fn choose(&self, names: &[String]) -> Result<Option<Vec<bool>>, Error> {
        let among = |list: &[String], name: &str| {
            list.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let keep: Vec<bool> = match self {
            Self::All => return Ok(None),
            Self::Only(list) => {
                if let Some(missing) = list.iter().find(|wanted| !among(names, wanted)) {
                    return Err(input(format!("the header has no column {missing:?}")));
                }
                names.iter().map(|name| among(list, name)).collect()
            }
            Self::Except(list) => names.iter().map(|name| !among(list, name)).collect(),
            Self::At(list) => {
                if let Some(missing) = list.iter().find(|position| **position >= names.len()) {
                    return Err(input(format!("the header has no column {}", missing + 1)));
                }
                (0..names.len()).map(|position| list.contains(&position)).collect()
            }
        };
        if !keep.contains(&true) {
            return Err(input("no column of the header is left to send"));
        }
        Ok(if keep.contains(&false) { Some(keep) } else { None })
    }
}

/// The first record.
struct Header {
    /// As it is sent, with a line feed.
    line: Bytes,
    /// The names that are sent.
    names: Vec<String>,
    /// How many cells each record of the source has.
    columns: usize,
    /// Which of them are sent, if not all are.
    keep: Option<Vec<bool>>,
}

impl Header {
    fn new(record: &[u8], select: &Select) -> Result<Self, Error> {
        let record = without_end(record);
        let mut names: Vec<String> = cells(record)
            .into_iter()
            .map(|cell| String::from_utf8_lossy(&cell).into_owned())
            .collect();
        let columns = names.len();
        let keep = select.choose(&names)?;
        let mut line = BytesMut::with_capacity(record.len() + 1);
        if let Some(keep) = &keep {
            write_kept(&mut line, record, keep);
            let mut kept = keep.iter();
            names.retain(|_| kept.next().copied().unwrap_or_default());
        } else {
            line.extend_from_slice(record);
        }
        line.extend_from_slice(b"\n");
        check_names(&names)?;
        Ok(Self { line: line.freeze(), names, columns, keep })
    }
}

/// Writes the chosen cells of a record as they are written there, and its line end.
fn write_kept(to: &mut BytesMut, record: &[u8], keep: &[bool]) {
    let content = without_end(record);
    let start = to.len();
    let mut separator: &[u8] = b"";
    for (cell, _) in raw_cells(content).zip(keep).filter(|(_, keep)| **keep) {
        to.extend_from_slice(separator);
        to.extend_from_slice(cell);
        separator = b",";
    }
    if to.len() == start {
        to.extend_from_slice(b"\"\""); // a cell alone and empty would be a blank line, and no record
    }
    to.extend_from_slice(record.get(content.len()..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const MANY: Limits = Limits { records: 100, bytes: 1_000_000 };

    fn cut_with(mut cutter: Cutter, text: &[u8]) -> Result<Vec<Batch>, Error> {
        let mut batches = Vec::new();
        for piece in text.chunks(7) {
            cutter.push(piece);
            while let Some(batch) = cutter.next()? {
                batches.push(batch);
            }
        }
        cutter.end();
        while let Some(batch) = cutter.next()? {
            batches.push(batch);
        }
        assert_eq!(cutter.next().unwrap(), None);
        Ok(batches)
    }

    fn bodies(limits: Limits, text: &str) -> Vec<String> {
        let batches = cut_with(Cutter::new(limits), text.as_bytes()).unwrap();
        batches.iter().map(|batch| String::from_utf8(batch.body.to_vec()).unwrap()).collect()
    }

    fn refused(text: impl AsRef<[u8]>) -> String {
        let error = cut_with(Cutter::new(MANY), text.as_ref()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    }

    #[test]
    fn each_batch_has_the_header_and_whole_records() {
        let two = Limits { records: 2, ..MANY };
        assert_eq!(
            bodies(two, "A,B\n1,2\n3,\"4\n5\"\n6,7"),
            ["A,B\n1,2\n3,\"4\n5\"\n", "A,B\n6,7"]
        );
        let small = Limits { bytes: 12, ..MANY };
        assert_eq!(
            bodies(small, "A,B\n1,2\n3,4\n5,6\n\"7\",8\n"),
            ["A,B\n1,2\n3,4\n", "A,B\n5,6\n", "A,B\n\"7\",8\n"]
        );
        assert_eq!(bodies(MANY, "A,B\n").len(), 0);
    }

    #[test]
    fn line_ends_in_and_after_records_are_kept_and_blank_lines_dropped() {
        assert_eq!(
            bodies(MANY, "\u{feff}A,B\r\n\r\n1,\"2\r\n\r\"\r\n\n\n3,4\n\r\n\n"),
            ["A,B\n1,\"2\r\n\r\"\r\n3,4\n"]
        );
    }

    #[test]
    fn a_carriage_return_alone_ends_a_record() {
        assert_eq!(bodies(MANY, "A\r1\r\r2\r\n3\r"), ["A\n1\n2\r\n3\n"]);
    }

    #[test]
    fn sources_leave_no_gap() {
        let text = "\u{feff}\nA\n\n1\n2\n\n\n3\n\n";
        let batches =
            cut_with(Cutter::new(Limits { records: 1, ..MANY }), text.as_bytes()).unwrap();
        let sources: Vec<_> = batches.into_iter().map(|batch| (batch.rows, batch.source)).collect();
        assert_eq!(sources, [(0..1, 7..9), (1..2, 9..13), (2..3, 13..16)]);
    }

    #[test]
    fn columns_can_be_chosen() {
        let text = "Id,Name,\"iD2\"\n1,\"a,\"\"b\"\"\",x\r\n,c,\"y\"";
        let bodies = |cutter| -> Vec<_> {
            cut_with(cutter, text.as_bytes()).unwrap().into_iter().map(|b| b.body).collect()
        };
        assert_eq!(bodies(Cutter::new(MANY).keep_only(["id"])), ["Id\n1\r\n\"\""]);
        assert_eq!(
            bodies(Cutter::new(MANY).leave_out(["ID", "none"])),
            ["Name,\"iD2\"\n\"a,\"\"b\"\"\",x\r\nc,\"y\""]
        );
        assert_eq!(bodies(Cutter::new(MANY).leave_out(["none"])).concat(), text.as_bytes());
        let error = cut_with(Cutter::new(MANY).keep_only(["Key"]), text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("no column \"Key\""), "{error}");
        assert!(
            cut_with(Cutter::new(MANY).leave_out(["id", "name", "id2"]), text.as_bytes()).is_err()
        );
        // What is not sent may have any name, or one name twice.
        assert!(cut_with(Cutter::new(MANY).keep_only(["Id"]), b"Id,,x,X\n1,2,3,4").is_ok());
    }

    #[test]
    fn columns_can_be_chosen_by_position() {
        let text = b"ID,Id,Name,,Status,STATUS\n1,2,\"a,b\",x,new,old\n";
        let cut = |positions: &[usize]| {
            cut_with(Cutter::new(MANY).keep_columns(positions.iter().copied()), text)
        };
        assert_eq!(cut(&[4, 1, 2]).unwrap()[0].body, "Id,Name,Status\n2,\"a,b\",new\n");
        assert_eq!(cut(&[0]).unwrap()[0].body, "ID\n1\n");
        assert!(cut(&[0, 6]).unwrap_err().to_string().contains("no column 7"));
        assert!(cut(&[]).is_err());
        // Only the names that are sent are judged.
        assert!(cut(&[0, 1]).unwrap_err().to_string().contains("columns 1 and 2"));
        assert!(cut(&[2, 3]).unwrap_err().to_string().contains("column 2 has no name"));
    }

    #[test]
    fn what_the_api_would_misread_is_refused_at_its_line() {
        assert_eq!(refused(""), "line 1: the input is empty: no header");
        assert_eq!(refused("\r\n\n"), "line 1: the input is empty: no header");
        assert!(refused("A,a\n").starts_with("line 1: columns 1 and 2 are named \"A\" and \"a\""));
        assert_eq!(refused("\n\nA,,B\n"), "line 3: column 2 has no name");
        assert_eq!(
            refused("A,B\n\"1\r\n\n\",2\r\r\n3\r\n"),
            "line 6: this row has 1 cells, the header has 2"
        );
        assert!(refused("A,B\n1,2\n\n3,4,\n").starts_with("line 4: this row has 3 cells"));
        assert!(refused("A,B\n\n1,5\" pipe\n").starts_with("line 3: a quote in a cell"));
        assert!(refused("A\n\"\n\n1\"x\n").starts_with("line 4: text after the closing quote"));
        assert_eq!(refused("A\n1\n\"2\n\n"), "line 3: a quote in this record is never closed");
        assert!(refused(b"A\n1\n\r2\xff\n").starts_with("line 4: the text is not UTF-8 at byte 6"));
        assert_eq!(refused(b"A\n\xc3"), "line 2: the text ends in the middle of a UTF-8 character");
    }

    #[test]
    fn long_records_are_refused_and_not_held() {
        let vendor = Cutter::new(Limits::default());
        let text = format!("A,B\n1,{}\n", "é".repeat(CELL_CHARS));
        assert_eq!(cut_with(vendor, text.as_bytes()).unwrap().len(), 1);
        let cut = |text: String| {
            cut_with(Cutter::new(Limits::default()), text.as_bytes()).unwrap_err().to_string()
        };
        let error = cut(format!("A,B\n\n1,{}\n", "é".repeat(CELL_CHARS + 1)));
        assert_eq!(error, "line 3: the cell \"B\" has 131073 characters; the API takes 131072");
        let error = cut(format!("A,B,C,D\n{0},{0},{0},{0}", "x".repeat(CELL_CHARS - 1)));
        assert_eq!(error, "line 2: this record has 524287 characters; the API takes 400000");
        let error =
            cut_with(Cutter::new(Limits { bytes: 9, ..MANY }), b"A\n1\n1234567\n12345678\n")
                .unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3: this record and the header have 10 bytes; a batch takes 9"
        );

        let (mut endless, piece) = (Cutter::new(Limits::default()), vec![b'x'; 60_000]);
        endless.push(b"A\n1\n\"");
        let error = loop {
            endless.push(&piece);
            match endless.next() {
                Ok(batch) => assert_eq!(batch, None),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("look for a quote that is not closed"), "{error}");
        assert!(endless.body.len() < RECORD_BYTES + 100_000);
        assert_eq!(endless.next().unwrap_err().to_string(), error.to_string(), "it stays");
    }

    #[test]
    fn batches_before_the_bad_row_are_given_out() {
        let mut cutter = Cutter::new(Limits { records: 1, ..MANY });
        cutter.push(b"A\n1\n2\n3\"\n");
        cutter.end();
        assert_eq!(cutter.next().unwrap().unwrap().body, "A\n1\n");
        assert_eq!(cutter.next().unwrap().unwrap().body, "A\n2\n");
        assert!(cutter.next().is_err());
        assert_eq!((cutter.rows(), cutter.header()), (2, Some(&["A".to_owned()][..])));
    }

    #[test]
    fn batches_are_cut_alike_from_any_blocks() {
        // Records of all lengths around a block's, so that each event meets each place in a block.
        let mut text = String::from("A,B\r\n");
        for n in 0..300 {
            let (plain, quoted) = ("x".repeat(n % 70), "\"\"\r\n".repeat(n % 5));
            text.extend([&plain, ",\"", &quoted, "\"", ["\n", "\r\n", "\n\n\r\n"][n % 3]]);
        }
        let cut = |piece: usize| {
            let mut cutter = Cutter::new(Limits { records: 7, bytes: 300 });
            let mut batches = Vec::new();
            for piece in text.as_bytes().chunks(piece) {
                let room = cutter.space();
                room[..piece.len()].copy_from_slice(piece);
                cutter.filled(piece.len());
                batches.extend(std::iter::from_fn(|| cutter.next().unwrap()));
            }
            cutter.filled(0);
            batches.extend(std::iter::from_fn(|| cutter.next().unwrap()));
            batches
        };
        let whole = cut(60_000);
        assert_eq!(whole.last().unwrap().rows.end, 300);
        for piece in [1, 2, 63, 64, 65, 100, 1000] {
            assert_eq!(cut(piece), whole);
        }
    }
}
