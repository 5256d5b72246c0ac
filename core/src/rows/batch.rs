//! What is cut: batches, and the limits they keep.

use std::ops::Range;

use bytes::Bytes;

use super::scan::{cells, without_end};
use crate::error::{Error, ErrorKind};

/// The most characters a cell may have, in UTF-16 units (topic "Limits" of the vendor's guide).
pub const CELL_CHARS: usize = 131_072;

/// The most characters a record may have, in UTF-16 units (topic "Limits").
pub const RECORD_CHARS: usize = 400_000;

/// The most columns a record may have (topic "Limits").
pub const COLUMNS: usize = 5_000;

/// How much goes into one batch. The default is the most the vendor takes (topic "Limits" of its
/// guide: 10,000 records, 10 MB, 10,000,000 characters).
///
/// The limit in characters needs no count of its own: a text never has more UTF-16 units than
/// UTF-8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most records in a batch, its header not counted; 0 is taken for 1, and more than the
    /// vendor takes for that.
    pub records: u64,
    /// The most bytes in a batch, its header or brackets included.
    pub bytes: usize,
}

impl Limits {
    /// These limits, within what the vendor takes.
    pub(crate) fn within_the_vendors(self) -> Self {
        let most = Self::default();
        Self { records: self.records.clamp(1, most.records), bytes: self.bytes.min(most.bytes) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: 10_000, bytes: 10_000_000 }
    }
}

/// A piece of the input as it is sent: some records, never none, with what must be around them,
/// which is a header in CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The input rows in it, counted from 0.
    pub rows: Range<u64>,
    /// The records and what is around them, as they go over the wire.
    pub body: Bytes,
    /// The bytes of the source text it came from. They begin where its first record does (the
    /// header and a byte order mark count as bytes before) and end where the next batch's begin,
    /// or with the text; blank lines belong to the batch before them. `0..0` for rows that came
    /// from no text.
    pub source: Range<u64>,
}

/// Refuses names of columns that the API would refuse, or take in a way nobody meant.
pub(crate) fn check_names(names: &[String]) -> Result<(), Error> {
    if names.len() > COLUMNS {
        return Err(input(format!(
            "the header has {} columns; the API takes {COLUMNS}",
            names.len()
        )));
    }
    if let Some(i) = names.iter().position(|name| name.trim().is_empty()) {
        return Err(input(format!("column {} has no name", i + 1)));
    }
    if names.first().is_some_and(|name| name.starts_with('\u{feff}')) {
        let error = input("the first column's name begins with a byte order mark");
        return Err(
            error.advise("the mark may stand only at the very beginning of the text; remove it")
        );
    }
    let mut sorted: Vec<(String, usize, &str)> =
        names.iter().enumerate().map(|(i, name)| (name.to_ascii_lowercase(), i, &**name)).collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| matches!(pair, [(a, ..), (b, ..)] if a == b)) {
        Some([(_, i, one), (_, k, other)]) => Err(double_name((i + 1, one), (k + 1, other))),
        _ => Ok(()),
    }
}

/// Two columns, counted from 1, whose names are one to the API.
fn double_name((i, one): (usize, &str), (k, other): (usize, &str)) -> Error {
    if one == other {
        return input(format!("columns {i} and {k} are both named {one:?}"));
    }
    input(format!("columns {i} and {k} are named {one:?} and {other:?}"))
        .advise("the API does not tell upper from lower case in names")
}

/// Refuses a CSV record of more characters than the API takes, in all or in a cell.
pub(crate) fn check_length(record: &[u8], names: &[String]) -> Result<(), Error> {
    if record.len() <= CELL_CHARS {
        return Ok(()); // no text has more UTF-16 units than bytes
    }
    check_record(without_end(record))?;
    cells(record).iter().zip(names).try_for_each(|(cell, name)| check_cell(name, cell))
}

/// Refuses a record, as it is written, of more characters than the API takes.
pub(crate) fn check_record(record: &[u8]) -> Result<(), Error> {
    if record.len() <= RECORD_CHARS {
        return Ok(());
    }
    let units = utf16_units(record);
    if units <= RECORD_CHARS {
        return Ok(());
    }
    Err(input(format!("this record has {units} characters; the API takes {RECORD_CHARS}")))
}

/// Refuses a cell's text of more characters than the API takes.
pub(crate) fn check_cell(name: &str, text: &[u8]) -> Result<(), Error> {
    if text.len() <= CELL_CHARS {
        return Ok(());
    }
    let units = utf16_units(text);
    if units <= CELL_CHARS {
        return Ok(());
    }
    Err(input(format!("the cell {name:?} has {units} characters; the API takes {CELL_CHARS}")))
}

/// Refuses a record that does not fit a batch, even alone with its header, or what else must be
/// around it.
pub(crate) fn check_fit(around: usize, record: usize, limits: Limits) -> Result<(), Error> {
    let (bytes, most) = (around + record, limits.bytes);
    if bytes <= most {
        return Ok(());
    }
    Err(input(format!("this record and the header have {bytes} bytes; a batch takes {most}")))
}

/// Characters as Java counts them: two for those that UTF-8 writes in four bytes.
fn utf16_units(text: &[u8]) -> usize {
    text.iter().map(|byte| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0)).sum()
}

/// An error of the input.
pub(crate) fn input(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Input, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_utf16_units() {
        for text in ["", "abc", "äöü", "€", "😀x", "\u{feff}"] {
            assert_eq!(utf16_units(text.as_bytes()), text.encode_utf16().count());
        }
    }

    #[test]
    fn names_are_compared_without_case() {
        let names =
            |names: &[&str]| check_names(&names.iter().map(|&n| n.into()).collect::<Vec<_>>());
        assert!(names(&["Id", "Name"]).is_ok());
        let error = names(&["Name", "x", "NAME"]).unwrap_err().to_string();
        assert!(error.contains("columns 1 and 3 are named \"Name\" and \"NAME\""), "{error}");
        let error = names(&["x", "A", "A"]).unwrap_err().to_string();
        assert!(error.contains("columns 2 and 3 are both named \"A\""), "{error}");
        assert!(names(&["Id", " "]).unwrap_err().to_string().contains("column 2 has no name"));
        let many: Vec<String> = (0..=COLUMNS).map(|i| i.to_string()).collect();
        assert!(check_names(&many).is_err() && check_names(&many[1..]).is_ok());
    }

    #[test]
    fn long_cells_are_found() {
        let names = ["A".to_owned(), "B".to_owned()];
        let record = |n: usize| format!("x,\"{}\"\"\"\n", "é".repeat(n)).into_bytes();
        assert!(check_length(&record(CELL_CHARS - 1), &names).is_ok());
        let error = check_length(&record(CELL_CHARS), &names).unwrap_err().to_string();
        assert_eq!(error, "the cell \"B\" has 131073 characters; the API takes 131072");
    }
}
