//! CSV as the service reads and writes it: stricter than most readers.
//!
//! A quote may stand only around a whole value, so a blank beside it is an error, as is a quote
//! inside a bare value. Rows end with LF or CRLF, blank lines are skipped, and everything else is
//! kept byte for byte: blanks around values, line breaks inside quotes (CRLF too: what went in comes
//! back), NUL, U+2028. A byte-order mark is part of the first column's name. Bytes that are not
//! UTF-8 become U+FFFD; they never move a cell.

use std::borrow::Cow;

use memchr::{memchr, memchr3};

use crate::table::Table;

/// Cuts a file into a table, or says what the batch's state message says.
pub(crate) fn read<'a>(text: &'a str, mut table: Table<'a>) -> Result<Table<'a>, String> {
    let mut rest = text;
    let mut headed = false;
    while !rest.is_empty() {
        // An empty line is no row.
        if let Some(next) = line_end(rest) {
            rest = next;
            continue;
        }
        rest = row(rest, &mut table, headed)
            .map_err(|problem| format!("Failed to parse CSV. {problem}"))?;
        headed = true;
    }
    Ok(table)
}

/// Takes one row off the front.
fn row<'a>(text: &'a str, table: &mut Table<'a>, headed: bool) -> Result<&'a str, String> {
    let mut rest = text;
    let rest = loop {
        let (cell, after) = cell(rest)?;
        table.push(cell)?;
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => break line_end(after).unwrap_or(after),
        }
    };
    if headed {
        table.end_row(&text[..text.len() - rest.len()])?;
    } else {
        table.end_header();
    }
    Ok(rest)
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
    use crate::config::Limits;
    use crate::format::Format;
    use crate::table;

    fn parse<'a>(text: &'a str, limits: &'a Limits) -> Result<Table<'a>, String> {
        Table::read(Format::Csv, text, limits)
    }

    fn cut(text: &str) -> Vec<Vec<String>> {
        table::cut(Format::Csv, text).unwrap()
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
            let limits = Limits::default();
            let message = parse(text, &limits).unwrap_err();
            assert!(message.starts_with("Failed to parse CSV. "), "{message}");
            assert!(message.contains(problem), "{text:?}: {message}");
        }
    }

    #[test]
    fn the_limits_are_the_services() {
        let limits = Limits::default();
        let told = |text: &str| parse(text, &limits).map(|table| table.len());
        let rows = |n: usize| format!("A\n{}", "x\n".repeat(n));
        assert_eq!(told(&rows(10_000)), Ok(10_000));
        assert!(told(&rows(10_001)).unwrap_err().contains("number of records : 10001"));
        assert!(told(&format!("A\n{}", "x".repeat(131_072))).is_ok());
        assert!(told(&format!("A\n{}", "x".repeat(131_073))).is_err());
        assert!(told(&format!("A\n{}", "😀".repeat(65_536))).is_ok(), "two units each");
        assert!(told(&",".repeat(4_999)).is_ok());
        assert!(told(&",".repeat(5_000)).unwrap_err().contains("columns"));
        let wide = format!("A\n{}", vec!["x".repeat(131_072); 4].join(","));
        assert!(told(&wide).unwrap_err().contains("one record"));
        let message = "Failed to read request. Exceeded max size limit of 10000000";
        assert_eq!(told(&"x".repeat(10_000_001)).unwrap_err(), message);
    }

    #[test]
    fn cells_are_written_in_quotes() {
        let mut out = Vec::new();
        quote(&mut out, b"He said \"hi\"\n");
        assert_eq!(out, b"\"He said \"\"hi\"\"\n\"");
    }
}
