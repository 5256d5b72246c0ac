//! Typed rows → batches.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::batch::{Batch, Limits, check_fit};
use super::encode::Encoder;
use crate::error::Error;
use crate::info::Syntax;

/// Cuts rows of a serde type into batches: [`Cutter`](super::Cutter) for those who have no text.
///
/// The columns are the fields of the type, under the names that serde gives them; maps and
/// flattened fields do as well. A field that is itself a struct or a map is a parent record, told
/// by a key of it: `owner: Owner { username }` is the column `Owner.Username`, and so is a field of
/// that name; a parent that may be of several types has the type in front, `Lead:Who`.
///
/// | in Rust | in the record | a field of CSV | of XML | of JSON |
/// |---|---|---|---|---|
/// | `None`, `()` | absent: it stays as it is | empty | left out | left out |
/// | `""` | empty | empty, which is absent | `<A/>` | `""` |
/// | `"#N/A"` | null: it is cleared | `#N/A` | `<A xsi:nil="true"/>` | `null` |
///
/// A field that a row skips is absent in XML and JSON. In CSV all rows must have the same columns in
/// the same order, and a parent that is `None` cannot tell which: make its key an `Option` instead.
///
/// ```
/// use sfbulk::Syntax;
/// use sfbulk::rows::{Limits, RowCutter};
///
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Account { name: String, employees: Option<u32>, owner: Owner }
///
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Owner { username: &'static str }
///
/// let batch_in = |syntax| {
///     let mut cutter = RowCutter::with_syntax(syntax, Limits::default());
///     let owner = Owner { username: "ada@example.com" };
///     cutter.push(&Account { name: "Ada, Inc.".into(), employees: None, owner })?;
///     Ok::<_, sfbulk::Error>(cutter.finish()?.expect("one row").body)
/// };
/// assert_eq!(
///     batch_in(Syntax::Csv)?,
///     "Name,Employees,Owner.Username\n\"Ada, Inc.\",,ada@example.com\n"
/// );
/// assert_eq!(
///     batch_in(Syntax::Json)?,
///     r#"[{"Name":"Ada, Inc.","Owner":{"Username":"ada@example.com"}}]"#
/// );
/// # Ok::<(), sfbulk::Error>(())
/// ```
pub struct RowCutter<T> {
    limits: Limits,
    encoder: Encoder,
    /// What is before the first record of a batch; nothing before the first row.
    head: Vec<u8>,
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
    /// A cutter into CSV that has seen no rows yet.
    pub fn new(limits: Limits) -> Self {
        Self::with_syntax(Syntax::Csv, limits)
    }

    /// A cutter that has seen no rows yet.
    pub fn with_syntax(syntax: Syntax, limits: Limits) -> Self {
        Self {
            limits: limits.within_the_vendors(),
            encoder: Encoder::new(syntax),
            head: Vec::new(),
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
    /// Fails with [`ErrorKind::Input`](crate::ErrorKind::Input), naming the row, if it has a cell
    /// that is no scalar, a name that is none, or more than the topic "Limits" of the vendor's guide
    /// allows; in CSV, other columns than the first row; in XML, a character that XML cannot carry.
    /// From then on it returns that error.
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

    /// The names of the columns, once a row was seen; in XML and JSON, those of the rows until now.
    pub fn header(&self) -> Option<&[String]> {
        (!self.head.is_empty()).then(|| self.encoder.names())
    }

    /// How many rows were cut into batches so far.
    pub fn rows(&self) -> u64 {
        self.row
    }

    fn take(&mut self, row: &T) -> Result<Option<Batch>, Error> {
        let n = self.row + self.records;
        self.encode(row).map_err(|error| error.of_rows(n..n + 1))?;
        let (mut batch, tail) = (None, self.encoder.tail());
        let between = self.encoder.between();
        if self.body.len() + between.len() + self.record.len() + tail.len() > self.limits.bytes {
            batch = self.cut();
        }
        self.body.extend_from_slice(if self.body.is_empty() { &self.head } else { between });
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
        self.encoder.record(row, &mut self.record)?;
        if self.head.is_empty() {
            self.head = self.encoder.head();
        }
        let around = self.head.len() + self.encoder.tail().len();
        check_fit(around, self.record.len(), self.limits)
    }

    fn cut(&mut self) -> Option<Batch> {
        if self.records == 0 {
            return None;
        }
        self.body.extend_from_slice(self.encoder.tail());
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
    use crate::error::ErrorKind;

    type Row = BTreeMap<&'static str, &'static str>;

    type Cut = Vec<(std::ops::Range<u64>, String)>;

    fn cut(limits: Limits, cells: &[&'static str]) -> Result<Cut, Error> {
        cut_in(Syntax::Csv, limits, cells)
    }

    fn cut_in(syntax: Syntax, limits: Limits, cells: &[&'static str]) -> Result<Cut, Error> {
        let mut cutter = RowCutter::<Row>::with_syntax(syntax, limits);
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
    fn brackets_and_what_is_between_records_count() {
        let limits = Limits { records: 9, bytes: 21 };
        let batches = cut_in(Syntax::Json, limits, &["1", "2", "3"]).unwrap();
        assert_eq!(
            batches,
            [(0..2, r#"[{"A":"1"},{"A":"2"}]"#.into()), (2..3, r#"[{"A":"3"}]"#.into())]
        );
        let tight = Limits { bytes: 20, ..limits };
        assert_eq!(cut_in(Syntax::Json, tight, &["1", "2", "3"]).unwrap().len(), 3);
        for syntax in [Syntax::Csv, Syntax::Json, Syntax::Xml] {
            let least = cut_in(syntax, Limits::default(), &["1"]).unwrap()[0].1.len();
            let exact = |bytes| cut_in(syntax, Limits { records: 9, bytes }, &["1"]);
            assert!(exact(least).is_ok() && exact(least - 1).is_err());
        }
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
