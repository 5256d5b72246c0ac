//! Where records of a CSV result end.
//!
//! The text comes from a server that quotes each cell, but nothing rests on that: what is a record
//! is what the `csv` crate takes for one. What cannot be a whole result is refused: a quote left
//! open, a row with more or fewer cells than the header. A text that was cut elsewhere looks whole;
//! that is for the transport to notice, and for whoever compares the rows with the server's count.

use bytes::Bytes;

use super::pages::{Pages, cut, incomplete};
use super::scan::{BLOCK, Marks, Scanner, cells, without_end};
use crate::print::Fingerprint;

/// The body of a result without rows (unlike a header alone, it does not tell the columns). It may
/// be the answer to a query of another syntax too.
pub(crate) const NO_RECORDS: &[u8] = b"Records not found for this query";

/// Where in the file the framer is. Places are places in the text that is not done with.
#[derive(Debug, Default)]
pub(super) struct Csv {
    scanner: Scanner,
    /// What was scanned, where the first record starts that was not handed on, and where the open
    /// record does, if one was seen at all.
    scanned: usize,
    from: usize,
    open: Option<usize>,
    header: Option<Header>,
    commas: usize,
}

#[derive(Debug)]
struct Header {
    raw: Bytes,
    columns: usize,
}

impl Csv {
    /// Looks at what came; bytes that make no whole block wait, unless these are the last. Returns
    /// how much of the text is done with.
    pub(super) fn scan(&mut self, text: &[u8], ended: bool, pages: &mut Pages) -> usize {
        while pages.failed().is_none() {
            let rest = text.get(self.scanned..).unwrap_or_default();
            if let Some(block) = rest.first_chunk::<BLOCK>() {
                let marks = self.scanner.lenient(block);
                self.take(text, BLOCK, marks, pages);
            } else if ended && !rest.is_empty() {
                let marks = self.scanner.tail(rest);
                self.take(text, rest.len(), marks, pages);
            } else {
                break;
            }
        }
        let end = match self.open {
            Some(open) => {
                self.hand_on(text, open, pages);
                open
            }
            None => self.scanned, // blank lines
        };
        self.scanned -= end;
        self.from = 0;
        self.open = self.open.map(|open| open - end);
        end
    }

    /// The text has ended, all of it was scanned: so has the open record.
    pub(super) fn end(&mut self, text: &[u8], pages: &mut Pages) {
        if self.scanner.in_quotes() {
            return pages.fail(cut("within quotes", pages.rows()));
        }
        if self.open.is_some() {
            self.complete(text, text.len(), pages);
            self.hand_on(text, text.len(), pages);
            self.open = None;
        }
        if pages.rows() == 0 {
            self.header.take_if(|header| header.says_no_records());
        }
    }

    /// The header as the server wrote it, without its line end.
    pub(super) fn header(&self) -> Bytes {
        self.header.as_ref().map(|header| header.raw.clone()).unwrap_or_default()
    }

    /// The fingerprint of the header's cells.
    pub(super) fn print(&self) -> Option<Fingerprint> {
        let cells = cells(&self.header.as_ref()?.raw);
        Some(Fingerprint::of_cells(cells.iter().map(Vec::as_slice)))
    }

    /// Takes what the scanner saw in the next `length` bytes.
    #[inline]
    fn take(&mut self, text: &[u8], length: usize, marks: Marks, pages: &mut Pages) {
        let (mut starts, mut commas) = (marks.starts, marks.commas);
        while starts != 0 && pages.failed().is_none() {
            let i = starts.trailing_zeros();
            let before = (1 << i) - 1;
            starts &= starts - 1;
            self.commas += (commas & before).count_ones() as usize;
            commas &= !before;
            self.complete(text, self.scanned + i as usize, pages);
        }
        self.commas += commas.count_ones() as usize;
        self.scanned += length;
        pages.check_length(self.open.map_or(0, |open| self.scanned - open));
    }

    /// A record starts at `at`, or the text ends: the one before, if any, is whole.
    fn complete(&mut self, text: &[u8], at: usize, pages: &mut Pages) {
        let commas = std::mem::take(&mut self.commas);
        let Some(open) = self.open.replace(at) else {
            self.from = at;
            return;
        };
        let Some(header) = &self.header else {
            let record = without_end(text.get(open..at).unwrap_or_default());
            self.header = Some(Header { raw: Bytes::copy_from_slice(record), columns: commas + 1 });
            self.from = at;
            return;
        };
        if commas + 1 != header.columns {
            let (row, columns) = (pages.rows(), header.columns);
            let error =
                format!("a row of the result has {} cells, its header {columns}", commas + 1);
            pages.fail(incomplete(error).of_rows(row..row + 1));
            self.open = Some(open);
        } else if pages.count_record() {
            self.hand_on(text, at, pages);
            pages.swallow();
        }
    }

    /// Hands on the whole records up to here, all in one.
    fn hand_on(&mut self, text: &[u8], to: usize, pages: &mut Pages) {
        let records = text.get(self.from..to).unwrap_or_default();
        pages.add(records);
        if !records.is_empty() && !ends_line(records) {
            pages.add(b"\n");
        }
        self.from = to;
    }
}

impl Header {
    fn says_no_records(&self) -> bool {
        matches!(cells(&self.raw).as_slice(), [cell] if cell == NO_RECORDS)
    }
}

fn ends_line(records: &[u8]) -> bool {
    matches!(records.last(), Some(b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::super::frame::Framer;
    use super::super::pages::{Framed, Have, LONGEST, Rows};
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::print::Printer;

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
