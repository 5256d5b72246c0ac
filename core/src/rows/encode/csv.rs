//! A row as a CSV record.
//!
//! The vendor's rules (topic "Valid CSV Record Rows"): a cell with a comma, a quote or a line end
//! is quoted, quotes in it are doubled. What is absent and what is empty are both an empty cell,
//! which the API *ignores* in an update.

use super::row::{NULL, Value};

/// Writes the header, with a line feed.
pub(super) fn write_header(to: &mut Vec<u8>, names: &[String]) {
    for (i, name) in names.iter().enumerate() {
        write_cell(to, i, name);
    }
    to.push(b'\n');
}

/// Writes a record, with a line feed.
pub(super) fn write<'a>(to: &mut Vec<u8>, values: impl Iterator<Item = Value<'a>>) {
    let start = to.len();
    for (i, value) in values.enumerate() {
        write_cell(
            to,
            i,
            match value {
                Value::Absent => "",
                Value::Null => NULL,
                Value::Text(text) | Value::Literal(text) => text,
            },
        );
    }
    if to.len() == start {
        to.extend_from_slice(b"\"\""); // an empty cell alone would be a blank line, and no record
    }
    to.push(b'\n');
}

fn write_cell(to: &mut Vec<u8>, position: usize, text: &str) {
    if position > 0 {
        to.push(b',');
    }
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return to.extend_from_slice(text.as_bytes());
    }
    let mut quote: &[u8] = b"\"";
    for piece in text.split('"') {
        to.extend_from_slice(quote);
        to.extend_from_slice(piece.as_bytes());
        quote = b"\"\"";
    }
    to.push(b'"');
}
