//! The rows of a CSV file as records of XML or JSON.
//!
//! The file is judged as one that is sent as it is, so what is wrong with it is told by its line.
//! Then its cells are decoded, and encoded again: an empty one is left out, `#N/A` is null, and a
//! column named by a path is a field of a parent.

use std::collections::VecDeque;

use serde::ser::{Serialize, SerializeMap, Serializer};
use sfbulk::rows::{Batch, Limits, RowCutter, Source};
use sfbulk_ureq::{CsvSource, Error, ErrorKind, Syntax};

use crate::input::{Columns, Reader};

/// How many rows of the file are decoded at once; what they make is held until it is asked for.
const ROWS: u64 = 500;

/// The batches of a file in any syntax.
pub(crate) fn batches<'a>(
    file: Reader<'a>,
    columns: &Columns,
    syntax: Syntax,
    limits: Limits,
) -> Box<dyn Source + 'a> {
    if syntax == Syntax::Csv {
        return Box::new(CsvSource::new(file, columns.cutter(limits)));
    }
    let few = Limits { records: ROWS, ..limits };
    Box::new(Recast {
        file: CsvSource::new(file, columns.cutter(few)),
        row: Row::default(),
        cutter: RowCutter::with_syntax(syntax, limits),
        ready: VecDeque::new(),
    })
}

struct Recast<'a> {
    file: CsvSource<Reader<'a>>,
    row: Row,
    cutter: RowCutter<Row>,
    ready: VecDeque<Batch>,
}

impl Source for Recast<'_> {
    fn batch(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            let Some(piece) = self.file.batch()? else { return self.cutter.finish() };
            self.recast(&piece)?;
        }
    }
}

impl Recast<'_> {
    fn recast(&mut self, piece: &Batch) -> Result<(), Error> {
        let unreadable =
            |e: csv::Error| Error::new(ErrorKind::Input, format!("a row cannot be decoded: {e}"));
        let mut reader = csv::Reader::from_reader(&piece.body[..]);
        self.row.names.clone_from(reader.headers().map_err(unreadable)?);
        while reader.read_record(&mut self.row.cells).map_err(unreadable)? {
            self.ready.extend(self.cutter.push(&self.row)?);
        }
        Ok(())
    }
}

/// A row of the file: a map from the names of its columns to its cells, of which the empty ones are
/// none.
#[derive(Default)]
struct Row {
    names: csv::StringRecord,
    cells: csv::StringRecord,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.cells.len()))?;
        for (name, cell) in self.names.iter().zip(&self.cells) {
            map.serialize_entry(name, &Some(cell).filter(|cell| !cell.is_empty()))?;
        }
        map.end()
    }
}
