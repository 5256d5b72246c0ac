//! Raw records, one by one.
//!
//! Nothing is decoded and no header is known here: this serves to set each outcome beside the row
//! it answers, byte for byte.

use super::inlet::Inlet;
use super::scan::{BLOCK, Scanner, without_end};
use crate::error::{Error, ErrorKind};

/// The longest record held, in bytes: above anything a batch can carry, so only a text that was
/// never cut into batches reaches it (an open quote, most likely).
const LONGEST: usize = 16 << 20;

/// Splits CSV text into its raw records, the header being the first of them. On a text that
/// [`Cutter`](super::Cutter) takes it sees the same records; on others it sees those of the `csv`
/// crate.
#[derive(Debug, Default)]
pub struct Records {
    inlet: Inlet,
    scanner: Scanner,
    begun: bool,
    /// Where the open record starts in the inlet's text, if one is open.
    open: Option<usize>,
    /// How much of the text has been scanned, and the record starts not looked at among the last
    /// block's, whose first byte is at `block`.
    scanned: usize,
    block: usize,
    starts: u64,
}

impl Records {
    /// Before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for the next piece of the text, at least 64 KiB.
    pub fn space(&mut self) -> &mut [u8] {
        self.forget();
        self.inlet.space()
    }

    /// Says that `n` bytes of the [`space`](Self::space) were filled; 0 says the text has ended.
    pub fn filled(&mut self, n: usize) {
        self.inlet.filled(n);
    }

    /// Takes a piece of the text; an empty one is not the end.
    pub fn push(&mut self, piece: &[u8]) {
        self.forget();
        self.inlet.push(piece);
    }

    /// Says that the text has ended.
    pub fn end(&mut self) {
        self.inlet.end();
    }

    /// The next record without its line end, blank lines skipped; `None` wants more text, or says
    /// that there are no more records.
    ///
    /// Fails with [`ErrorKind::Input`] at a record of more than 16 MiB.
    #[allow(clippy::should_implement_trait)] // it lends what it returns
    pub fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            while self.starts != 0 {
                let start = self.block + self.starts.trailing_zeros() as usize;
                self.starts &= self.starts - 1;
                if let Some(open) = self.open.replace(start) {
                    return Ok(self.inlet.text().get(open..start).map(without_end));
                }
            }
            if self.open.is_some_and(|open| self.scanned - open > LONGEST) {
                return Err(Error::new(
                    ErrorKind::Input,
                    "a record is longer than 16 MiB: is a quote left open?",
                ));
            }
            if !self.scan() {
                break;
            }
        }
        let last = if self.inlet.ended() { self.open.take() } else { None };
        Ok(last.and_then(|open| self.inlet.text().get(open..)).map(without_end))
    }

    /// Looks at the next block; there may be none.
    fn scan(&mut self) -> bool {
        if !self.begun {
            self.begun = self.inlet.strip_mark().is_some();
            if !self.begun {
                return false;
            }
        }
        let rest = self.inlet.text().get(self.scanned..).unwrap_or_default();
        let (marks, length) = match rest.first_chunk::<BLOCK>() {
            Some(block) => (self.scanner.lenient(block), BLOCK),
            None if self.inlet.ended() && !rest.is_empty() => (self.scanner.tail(rest), rest.len()),
            None => return false,
        };
        self.block = self.scanned;
        self.starts = marks.starts;
        self.scanned += length;
        true
    }

    /// Forgets the text before the open record.
    fn forget(&mut self) {
        let done = if self.starts == 0 { self.open.unwrap_or(self.scanned) } else { 0 };
        self.inlet.consume(done);
        self.scanned -= done;
        self.open = self.open.map(|open| open - done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str, piece: usize) -> Vec<String> {
        let (mut records, mut found) = (Records::new(), Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            records.push(piece);
            while let Some(record) = records.next().unwrap() {
                found.push(String::from_utf8(record.to_vec()).unwrap());
            }
        }
        records.end();
        while let Some(record) = records.next().unwrap() {
            found.push(String::from_utf8(record.to_vec()).unwrap());
        }
        found
    }

    #[test]
    fn records_come_as_they_were_written() {
        let text = "\u{feff}\nA,B\r\n\r\n\"x\r\n\"\"y\"\"\", 2\n\n\r,\n5\" pipe,z\rlast,";
        for piece in 1..=text.len() {
            assert_eq!(
                records(text, piece),
                ["A,B", "\"x\r\n\"\"y\"\"\", 2", ",", "5\" pipe,z", "last,"]
            );
        }
    }

    #[test]
    fn a_quote_left_open_does_not_fill_the_memory() {
        let mut records = Records::new();
        records.push(b"A\n\"");
        let (mut given, piece) = (0, vec![b'x'; 100_000]);
        loop {
            records.push(&piece);
            match records.next() {
                Ok(found) => given += usize::from(found.is_some()),
                Err(error) => break assert_eq!(error.kind(), ErrorKind::Input),
            }
        }
        assert_eq!(given, 1);
    }
}
