//! Typed rows → batches.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::batch::{Batch, Limits, check_fit, check_length, check_names};
use super::encode::Columns;
use crate::error::{Error, ErrorKind};

/// Cuts rows of a serde type into batches: [`Cutter`](super::Cutter) for those who have no text.
///
/// The columns are the fields of the type, under the names that serde gives them; maps and
/// flattened fields do as well. `None` is an empty cell, which the API ignores in an update; the
/// text `#N/A` sets a field to null (topic "Valid CSV Record Rows" of the vendor's guide). All
/// rows must have the same columns in the same order.
///
/// ```
/// use sfbulk::rows::{Limits, RowCutter};
///
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Account { name: String, employees: Option<u32> }
///
/// let mut cutter = RowCutter::new(Limits::default());
/// assert!(cutter.push(&Account { name: "Ada, Inc.".into(), employees: None })?.is_none());
/// let batch = cutter.finish()?.expect("one row");
/// assert_eq!(batch.body, "Name,Employees\n\"Ada, Inc.\",\n");
/// # Ok::<(), sfbulk::Error>(())
/// ```
pub struct RowCutter<T> {
    limits: Limits,
    columns: Columns,
    header: Vec<u8>,
    /// The row at hand, as a record.
    record: Vec<u8>,
    body: Vec<u8>,
    /// The records in the body, and the first one's row.
    records: u64,
    row: u64,
    failed: Option<Error>,
    rows: PhantomData<fn(&T)>,
}

impl<T: Serialize> RowCutter<T> {
    /// A cutter that has seen no rows yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: limits.within_the_vendors(),
            columns: Columns::default(),
            header: Vec::new(),
            record: Vec::new(),
            body: Vec::new(),
            records: 0,
            row: 0,
            failed: None,
            rows: PhantomData,
        }
    }

    /// Takes the next row; returns a batch when one is full.
    ///
    /// Fails with [`ErrorKind::Input`], naming the row, if it has other columns than the first one,
    /// a cell that is no scalar, or passes the topic "Limits" of the vendor's guide. From then on it
    /// returns that error.
    pub fn push(&mut self, row: &T) -> Result<Option<Batch>, Error> {
        let result = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.take(row),
        };
        self.failed = result.as_ref().err().cloned();
        result
    }

    /// There are no more rows: returns the batch with the last ones, if they are in none yet.
    ///
    /// Fails as [`push`](Self::push) did.
    pub fn finish(&mut self) -> Result<Option<Batch>, Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(self.cut()),
        }
    }

    /// The names of the columns, once a row was seen.
    pub fn header(&self) -> Option<&[String]> {
        (!self.header.is_empty()).then(|| self.columns.names())
    }

    /// How many rows were cut into batches so far.
    pub fn rows(&self) -> u64 {
        self.row
    }

    fn take(&mut self, row: &T) -> Result<Option<Batch>, Error> {
        let n = self.row + self.records;
        self.encode(row).map_err(|error| error.of_rows(n..n + 1))?;
        let mut batch = None;
        if self.body.len() + self.record.len() > self.limits.bytes {
            batch = self.cut();
        }
        if self.body.is_empty() {
            self.body.extend_from_slice(&self.header);
        }
        self.body.extend_from_slice(&self.record);
        self.records += 1;
        if self.records >= self.limits.records {
            batch = self.cut(); // no second one: the first left a body of one record, of one at most
        }
        Ok(batch)
    }

    /// Makes the row a record, and judges it.
    fn encode(&mut self, row: &T) -> Result<(), Error> {
        self.record.clear();
        self.columns.write(row, &mut self.record).map_err(|why| {
            Error::new(ErrorKind::Input, format!("this row cannot be sent: {why}"))
        })?;
        if self.header.is_empty() {
            check_names(self.columns.names())?;
            self.columns.write_header(&mut self.header);
        }
        check_length(&self.record, self.columns.names())?;
        check_fit(self.header.len(), self.record.len(), self.limits)
    }

    fn cut(&mut self) -> Option<Batch> {
        if self.records == 0 {
            return None;
        }
        let next = Vec::with_capacity(self.body.len()); // as much as this time
        let body = std::mem::replace(&mut self.body, next).into();
        let rows = self.row..self.row + self.records;
        self.row = rows.end;
        self.records = 0;
        Some(Batch { rows, body, source: 0..0 })
    }
}

impl<T> fmt::Debug for RowCutter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowCutter({} rows cut, {} waiting)", self.row, self.records)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Row = BTreeMap<&'static str, &'static str>;

    fn cut(
        limits: Limits,
        cells: &[&'static str],
    ) -> Result<Vec<(std::ops::Range<u64>, String)>, Error> {
        let mut cutter = RowCutter::<Row>::new(limits);
        let mut batches = Vec::new();
        for &cell in cells {
            batches.extend(cutter.push(&BTreeMap::from([("A", cell)]))?);
        }
        batches.extend(cutter.finish()?);
        assert_eq!(cutter.rows(), cells.len() as u64);
        Ok(batches
            .into_iter()
            .map(|b| (b.rows, String::from_utf8(b.body.to_vec()).unwrap()))
            .collect())
    }

    #[test]
    fn batches_keep_both_limits() {
        let by_count = cut(Limits { records: 2, ..Limits::default() }, &["1", "2", "3"]).unwrap();
        assert_eq!(by_count, [(0..2, "A\n1\n2\n".into()), (2..3, "A\n3\n".into())]);
        let by_bytes = cut(Limits { records: 9, bytes: 7 }, &["12", "3", "456", ""]).unwrap();
        assert_eq!(
            by_bytes,
            [(0..2, "A\n12\n3\n".into()), (2..3, "A\n456\n".into()), (3..4, "A\n\"\"\n".into())]
        );
        let single = cut(Limits { records: 1, bytes: 5 }, &["12", "34"]).unwrap();
        assert_eq!(single.len(), 2);
        assert_eq!(cut(Limits::default(), &[]).unwrap(), []);
    }

    #[test]
    fn an_error_names_the_row_and_stays() {
        let limits = Limits { records: 2, bytes: 7 };
        let mut cutter = RowCutter::<Row>::new(limits);
        for cell in ["1", "2", "3"] {
            cutter.push(&BTreeMap::from([("A", cell)])).unwrap();
        }
        let error = cutter.push(&BTreeMap::from([("A", "12345")])).unwrap_err();
        assert_eq!((error.kind(), error.rows()), (ErrorKind::Input, Some(3..4)));
        assert!(cutter.push(&BTreeMap::from([("A", "1")])).is_err());
        assert!(cutter.finish().is_err());
    }
}
