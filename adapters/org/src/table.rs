//! The records of a batch as a table, whatever they were written in.
//!
//! CSV comes as a table. In JSON and XML each record names its own fields; the columns are the union
//! of those names in the order in which they first appear, and what a record does not mention is an
//! empty cell of its row, like an empty cell of CSV. Rows of such a table are kept as sparse as they
//! came: ten thousand records of one field each, all different, would be a hundred million cells.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::config::Limits;
use crate::format::Format;
use crate::{csv, records_json, records_xml};

/// What clears a field: how CSV says it, and how a JSON `null` and an `xsi:nil` are kept here.
pub(crate) const NULL: &str = "#N/A";

/// A field of a parent as CSV names it.
pub(crate) fn parent_column(kind: Option<&str>, parent: &str, field: &str) -> String {
    match kind {
        Some(kind) => format!("{kind}:{parent}.{field}"),
        None => format!("{parent}.{field}"),
    }
}

/// A value of a record.
pub(crate) type Cell<'a> = Cow<'a, str>;

/// Records cut into cells.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    limits: &'a Limits,
    header: Vec<Cell<'a>>,
    /// Where each name is in the header, in lower case; only for records that name their fields.
    by_name: HashMap<String, usize>,
    /// The number of the last record that has a column, from 1.
    seen: Vec<usize>,
    /// How long the record that is being read is, names and values.
    length: usize,
    cells: Vec<Cell<'a>>,
    /// The column of each cell; empty if rows are written out in full.
    columns: Vec<usize>,
    /// Where in `cells` each row ends.
    ends: Vec<usize>,
}

impl<'a> Table<'a> {
    /// Reads the body of a batch, or says what the batch's state message says.
    pub(crate) fn read(format: Format, text: &'a str, limits: &'a Limits) -> Result<Self, String> {
        for (size, most) in [(text.len(), limits.bytes), (characters(text), limits.characters)] {
            if size > most {
                return Err(format!("Failed to read request. Exceeded max size limit of {most}"));
            }
        }
        let table = Self::new(limits);
        match format {
            Format::Csv => csv::read(text, table),
            Format::Json => records_json::read(text, table),
            Format::Xml => records_xml::read(text, table),
        }
    }

    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            header: Vec::new(),
            by_name: HashMap::new(),
            seen: Vec::new(),
            length: 0,
            cells: Vec::new(),
            columns: Vec::new(),
            ends: Vec::new(),
        }
    }

    pub(crate) fn header(&self) -> &[Cell<'a>] {
        &self.header
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The cells of a record in the order of the header; `spare` is room to put them in order.
    pub(crate) fn row<'t>(&'t self, at: usize, spare: &'t mut Vec<Cell<'a>>) -> &'t [Cell<'a>] {
        let cells = self.start(at)..self.ends[at];
        if self.columns.is_empty() {
            return &self.cells[cells];
        }
        spare.clear();
        spare.resize(self.header.len(), Cow::Borrowed(""));
        for at in cells {
            spare[self.columns[at]].clone_from(&self.cells[at]);
        }
        spare
    }

    /// The cells of a row of CSV, as many as it has.
    pub(crate) fn cells(&self, at: usize) -> &[Cell<'a>] {
        &self.cells[self.start(at)..self.ends[at]]
    }

    /// Changes every value.
    pub(crate) fn change(&mut self, change: impl FnMut(&mut Cell<'a>)) {
        self.cells.iter_mut().for_each(change);
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Adds a value to the record that is being read.
    pub(crate) fn push(&mut self, cell: Cell<'a>) -> Result<(), String> {
        let most = self.limits.value;
        if cell.len() > most && characters(&cell) > most {
            return Err(format!("Exceeded max length for one value : {most}"));
        }
        self.cells.push(cell);
        self.check_columns(self.cells.len() - self.start(self.ends.len()))
    }

    /// The same for a value with a name, `None` being null.
    pub(crate) fn push_named(&mut self, name: &str, value: Option<Cell<'a>>) -> Result<(), String> {
        let key = name.to_ascii_lowercase();
        let column = match self.by_name.get(&key) {
            Some(column) => *column,
            None => self.add_column(name, key)?,
        };
        let record = self.ends.len() + 1;
        if std::mem::replace(&mut self.seen[column], record) == record {
            return Err(format!("Duplicate field name found : {name}"));
        }
        self.columns.push(column);
        let value = value.unwrap_or(Cow::Borrowed(NULL));
        self.length += characters(name) + characters(&value);
        self.push(value)
    }

    fn add_column(&mut self, name: &str, key: String) -> Result<usize, String> {
        let column = self.header.len();
        self.check_columns(column + 1)?;
        self.header.push(name.to_owned().into());
        self.by_name.insert(key, column);
        self.seen.push(0);
        Ok(column)
    }

    /// Makes the values added last the header.
    pub(crate) fn end_header(&mut self) {
        self.header = std::mem::take(&mut self.cells);
    }

    /// Ends a record whose fields have names.
    pub(crate) fn end_named(&mut self) -> Result<(), String> {
        let length = std::mem::take(&mut self.length);
        self.end(length <= self.limits.record)
    }

    /// Ends a row, which was written so.
    pub(crate) fn end_row(&mut self, text: &str) -> Result<(), String> {
        let most = self.limits.record;
        self.end(text.len() <= most || characters(text) <= most)
    }

    fn end(&mut self, fits: bool) -> Result<(), String> {
        self.ends.push(self.cells.len());
        if !fits {
            return Err(format!("Exceeded max length for one record : {}", self.limits.record));
        }
        let most = self.limits.records;
        if self.ends.len() > most {
            // The vendor's reader counts the header.
            return Err(format!(
                "Exceeded number of records : {}. Number of records should be less than or equal to {}",
                most + 1,
                most + 1
            ));
        }
        Ok(())
    }

    fn check_columns(&self, columns: usize) -> Result<(), String> {
        let most = self.limits.columns;
        if columns > most {
            return Err(format!("Exceeded max number of columns per record : {most}"));
        }
        Ok(())
    }
}

/// The service counts characters as Java does, in UTF-16 units.
pub(crate) fn characters(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// A table as texts, its header first.
#[cfg(test)]
pub(crate) fn cut(format: Format, text: &str) -> Result<Vec<Vec<String>>, String> {
    let limits = Limits::default();
    let table = Table::read(format, text, &limits)?;
    let texts = |row: &[Cell<'_>]| row.iter().map(ToString::to_string).collect();
    let rows = (0..table.len()).map(|at| texts(table.row(at, &mut Vec::new())));
    Ok(std::iter::once(texts(table.header())).chain(rows).collect())
}
