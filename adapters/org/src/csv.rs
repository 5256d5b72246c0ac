//! CSV as the service reads and writes it: stricter than most readers.
//!
//! A quote may stand only around a whole value, so a blank beside it is an error, as is a quote
//! inside a bare value. Rows end with LF or CRLF, blank lines are skipped, and everything else is
//! kept byte for byte: blanks around values, line breaks inside quotes (CRLF too: what went in comes
//! back), NUL, U+2028. A byte-order mark is part of the first column's name. Bytes that are not
//! UTF-8 become U+FFFD; they never move a cell.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

/// At most so many records in a file, its header not counted.
const RECORDS: usize = 10_000;
/// At most so many characters in a file.
const FILE: usize = 10_000_000;
/// At most so many characters in a record.
const RECORD: usize = 400_000;
/// At most so many characters in a value.
const CELL: usize = 131_072;
/// At most so many columns.
const COLUMNS: usize = 5_000;

/// A file cut into cells.
#[derive(Debug, Default)]
pub(crate) struct Table<'a> {
    cells: Vec<Cow<'a, str>>,
    /// Where in `cells` each row ends, the header first.
    ends: Vec<usize>,
}

impl<'a> Table<'a> {
    /// Cuts a file, or says what the batch's state message says.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        if characters(text) > FILE {
            return Err(format!("Failed to read request. Exceeded max size limit of {FILE}"));
        }
        let mut table = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            rest = table.row(rest).map_err(|problem| format!("Failed to parse CSV. {problem}"))?;
        }
        Ok(table)
    }

    pub(crate) fn header(&self) -> &[Cow<'a, str>] {
        self.slice(0)
    }

    /// The rows below the header.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[Cow<'a, str>]> {
        (1..self.ends.len().max(1)).map(|i| self.slice(i))
    }

    fn slice(&self, row: usize) -> &[Cow<'a, str>] {
        let from = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.ends.get(row).map_or(&[], |to| &self.cells[from..*to])
    }

    /// Takes one row off the front; an empty line is none.
    fn row(&mut self, text: &'a str) -> Result<&'a str, String> {
        if let Some(rest) = line_end(text) {
            return Ok(rest);
        }
        let from = self.cells.len();
        let mut rest = text;
        let rest = loop {
            let (cell, after) = cell(rest)?;
            if cell.len() > CELL && characters(&cell) > CELL {
                return Err(format!("Exceeded max length for one value : {CELL}"));
            }
            self.cells.push(cell);
            if self.cells.len() - from > COLUMNS {
                return Err(format!("Exceeded max number of columns per record : {COLUMNS}"));
            }
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => break line_end(after).unwrap_or(after),
            }
        };
        self.ends.push(self.cells.len());
        let row = &text[..text.len() - rest.len()];
        if row.len() > RECORD && characters(row) > RECORD {
            return Err(format!("Exceeded max length for one record : {RECORD}"));
        }
        if self.ends.len() > RECORDS + 1 {
            let (count, most) = (RECORDS + 1, RECORDS + 1);
            return Err(format!(
                "Exceeded number of records : {count}. Number of records should be less than or equal to {most}"
            ));
        }
        Ok(rest)
    }
}

/// The service counts characters as Java does, in UTF-16 units.
fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// What follows a line end, if the text begins with one (its own end counts).
fn line_end(text: &str) -> Option<&str> {
    text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n")).or(text.is_empty().then_some(""))
}

/// Takes one cell off the front; what remains begins with its separator.
fn cell(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else { return bare(text) };
    let mut value = Cow::Borrowed("");
    let mut rest = quoted;
    loop {
        let end =
            memchr(b'"', rest.as_bytes()).ok_or("EOF reached before closing an opened quote")?;
        let (part, after) = (&rest[..end], &rest[end + 1..]);
        match after.strip_prefix('"') {
            Some(next) => {
                let value = value.to_mut();
                value.push_str(part);
                value.push('"');
                rest = next;
            }
            None if after.starts_with(',') || line_end(after).is_some() => {
                return Ok((if value.is_empty() { part.into() } else { value + part }, after));
            }
            None => return Err("Not expecting more text after end quote".into()),
        }
    }
}

fn bare(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let end = memchr3(b',', b'\n', b'"', text.as_bytes()).unwrap_or(text.len());
    if text[end..].starts_with('"') {
        let problem = "Found unescaped quote. A value with quote should be within a quote";
        return Err(problem.into());
    }
    // The CR of a CRLF ends the row; a lone one is data.
    let crlf = text[end..].starts_with('\n') && text[..end].ends_with('\r');
    let end = end - usize::from(crlf);
    Ok((text[..end].into(), &text[end..]))
}

/// Writes a cell as answers have it: always quoted.
pub(crate) fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<Vec<String>> {
        let table = Table::parse(text).unwrap();
        std::iter::once(table.header())
            .chain(table.rows())
            .map(|row| row.iter().map(ToString::to_string).collect())
            .collect()
    }

    #[test]
    fn values_come_out_as_they_went_in() {
        assert_eq!(cut("A,B\n1,2\n"), [["A", "B"], ["1", "2"]]);
        assert_eq!(
            cut("A,B\r\n1,\"x\r\ny\"\r\n\r\n\n3,"),
            [["A", "B"], ["1", "x\r\ny"], ["3", ""]]
        );
        assert_eq!(cut("A\n\"say \"\"hi\"\"\"\n\"\"\n"), [["A"], ["say \"hi\""], [""]]);
        assert_eq!(cut("A,B\n John , Smith\n"), [["A", "B"], [" John ", " Smith"]]);
        assert_eq!(cut("\u{feff}A\na\rb\0\u{2028}😀"), [["\u{feff}A"], ["a\rb\0\u{2028}😀"]]);
        assert_eq!(cut("A\n\"\"\"\"\n\"\"\"x\""), [["A"], ["\""], ["\"x"]]);
        assert_eq!(cut(""), [[""; 0]]);
    }

    #[test]
    fn what_the_service_does_not_read_is_refused() {
        for (text, problem) in [
            ("A\nx\"y\n", "unescaped quote"),
            ("A,B\n\"John\", \"Smith\"\n", "unescaped quote"),
            ("\u{feff}\"A\"\n", "unescaped quote"),
            ("A\n\"x", "EOF reached"),
            ("A\n\"x\" ,1\n", "more text after end quote"),
            ("A\n\"x\"\ry\n", "more text after end quote"),
        ] {
            let message = Table::parse(text).unwrap_err();
            assert!(message.starts_with("Failed to parse CSV. "), "{message}");
            assert!(message.contains(problem), "{text:?}: {message}");
        }
    }

    #[test]
    fn the_limits_are_the_services() {
        let rows = |n: usize| format!("A\n{}", "x\n".repeat(n));
        assert_eq!(Table::parse(&rows(RECORDS)).unwrap().rows().len(), RECORDS);
        assert!(
            Table::parse(&rows(RECORDS + 1)).unwrap_err().contains("number of records : 10001")
        );
        assert!(Table::parse(&format!("A\n{}", "x".repeat(CELL))).is_ok());
        assert!(Table::parse(&format!("A\n{}", "x".repeat(CELL + 1))).is_err());
        assert!(Table::parse(&format!("A\n{}", "😀".repeat(CELL / 2))).is_ok(), "two units each");
        assert!(Table::parse(&",".repeat(COLUMNS - 1)).is_ok());
        assert!(Table::parse(&",".repeat(COLUMNS)).unwrap_err().contains("columns"));
        let wide = vec!["x".repeat(CELL); 4].join(",");
        assert!(Table::parse(&wide).unwrap_err().contains("one record"));
        let long = "x".repeat(FILE + 1);
        let told = "Failed to read request. Exceeded max size limit of 10000000";
        assert_eq!(Table::parse(&long).unwrap_err(), told);
    }

    #[test]
    fn cells_are_written_in_quotes() {
        let mut out = Vec::new();
        quote(&mut out, b"He said \"hi\"\n");
        assert_eq!(out, b"\"He said \"\"hi\"\"\n\"");
    }
}
