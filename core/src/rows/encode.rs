//! A serde row → one CSV record.
//!
//! The vendor's rules (topic "Valid CSV Record Rows"): a cell with a comma, a quote or a line end
//! is quoted, quotes in it are doubled. `None` and `()` are empty cells, which the API *ignores*
//! in an update; to set a field to null, send the text `#N/A`.
//!
//! Each row tells the names of its columns again, and they are compared with the first row's: a
//! field that one row skips must not shift its neighbours into the wrong columns.

use std::fmt::{self, Display, Write};

use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeStruct, Serializer};

/// The columns, learnt from the first row.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    names: Vec<String>,
    known: bool,
    /// The text of the cell at hand.
    text: String,
}

impl Columns {
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Writes the header, with a line feed.
    pub(crate) fn write_header(&self, to: &mut Vec<u8>) {
        for (i, name) in self.names.iter().enumerate() {
            write_cell(to, i, name);
        }
        to.push(b'\n');
    }

    /// Writes the row, with a line feed. The first row names the columns.
    pub(crate) fn write<T: Serialize>(&mut self, row: &T, to: &mut Vec<u8>) -> Result<(), Refused> {
        let start = to.len();
        let mut writer = Row { columns: self, to, cells: 0, key: String::new() };
        row.serialize(&mut writer)?;
        let cells = writer.cells;
        if let Some(missing) = self.names.get(cells) {
            return Err(refused(format!(
                "it lacks the column {missing:?}, which the first row has"
            )));
        }
        if cells == 0 {
            return Err(refused("it has no columns"));
        }
        if to.len() == start {
            to.extend_from_slice(b"\"\""); // an empty cell alone would be a blank line, and no record
        }
        to.push(b'\n');
        self.known = true;
        Ok(())
    }
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

/// Why a row cannot be written.
#[derive(Debug)]
pub(crate) struct Refused(String);

fn refused(why: impl Display) -> Refused {
    Refused::custom(why)
}

impl serde::ser::Error for Refused {
    fn custom<T: Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Writes the cells of one row, which has named fields: a struct, or a map.
struct Row<'a> {
    columns: &'a mut Columns,
    to: &'a mut Vec<u8>,
    cells: usize,
    /// Of a map: the key whose value comes next.
    key: String,
}

impl Row<'_> {
    fn cell<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        match self.columns.names.get(self.cells) {
            Some(column) if column == name => {}
            Some(column) => {
                let why = format!(
                    "its column {} is {name:?}, the first row's {column:?}",
                    self.cells + 1
                );
                return Err(refused(why + "; write an empty cell rather than skip a field"));
            }
            None if self.columns.known => {
                return Err(refused(format!(
                    "it has a column {name:?}, which the first row lacks"
                )));
            }
            None => self.columns.names.push(name.to_owned()),
        }
        self.columns.text.clear();
        value
            .serialize(Cell(&mut self.columns.text))
            .map_err(|why| refused(format!("column {name:?}: {why}")))?;
        write_cell(self.to, self.cells, &self.columns.text);
        self.cells += 1;
        Ok(())
    }
}

impl SerializeStruct for &mut Row<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.cell(name, value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl SerializeMap for &mut Row<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.key.clear();
        key.serialize(Cell(&mut self.key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let key = std::mem::take(&mut self.key);
        self.cell(&key, value)?;
        self.key = key;
        Ok(())
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// Writes methods of a serializer that refuse what they are given.
macro_rules! refuse {
    ($why:literal: $($method:ident($($type:ty),*) $(<$generic:ident>)? -> $ok:ty;)*) => {$(
        fn $method $(<$generic: Serialize + ?Sized>)? (self, $(_: $type),*) -> Result<$ok, Refused> {
            Err(refused($why))
        }
    )*};
}

impl Serializer for &mut Row<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeStruct = Self;
    type SerializeMap = Self;
    type SerializeSeq = Impossible<(), Refused>;
    type SerializeTuple = Impossible<(), Refused>;
    type SerializeTupleStruct = Impossible<(), Refused>;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeStructVariant = Impossible<(), Refused>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        row: &T,
    ) -> Result<(), Refused> {
        row.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, row: &T) -> Result<(), Refused> {
        row.serialize(self)
    }

    refuse! { "a row must be a struct or a map, whose fields name the columns":
        serialize_bool(bool) -> (); serialize_char(char) -> (); serialize_str(&str) -> (); serialize_bytes(&[u8]) -> ();
        serialize_i8(i8) -> (); serialize_i16(i16) -> (); serialize_i32(i32) -> (); serialize_i64(i64) -> ();
        serialize_u8(u8) -> (); serialize_u16(u16) -> (); serialize_u32(u32) -> (); serialize_u64(u64) -> ();
        serialize_f32(f32) -> (); serialize_f64(f64) -> ();
        serialize_none() -> (); serialize_unit() -> (); serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_newtype_variant(&'static str, u32, &'static str, &T) <T> -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

/// Writes the text of one cell, not quoted yet.
struct Cell<'a>(&'a mut String);

/// Writes methods that take what `Display` makes of their value.
macro_rules! display {
    ($($method:ident($type:ty);)*) => {$(
        fn $method(self, value: $type) -> Result<(), Refused> {
            write!(self.0, "{value}").map_err(refused)
        }
    )*};
}

impl Serializer for Cell<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeStruct = Impossible<(), Refused>;
    type SerializeMap = Impossible<(), Refused>;
    type SerializeSeq = Impossible<(), Refused>;
    type SerializeTuple = Impossible<(), Refused>;
    type SerializeTupleStruct = Impossible<(), Refused>;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeStructVariant = Impossible<(), Refused>;

    display! {
        serialize_bool(bool);
        serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64); serialize_i128(i128);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_u128(u128);
        serialize_char(char);
    }

    fn serialize_str(self, text: &str) -> Result<(), Refused> {
        self.0.push_str(text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Refused> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| refused("bytes that are no text; encode them as base64"))?;
        self.serialize_str(text)
    }

    fn serialize_f32(self, number: f32) -> Result<(), Refused> {
        if !number.is_finite() {
            return Err(refused(format!("{number} is no number that the API takes")));
        }
        write!(self.0, "{number}").map_err(refused)
    }

    fn serialize_f64(self, number: f64) -> Result<(), Refused> {
        if !number.is_finite() {
            return Err(refused(format!("{number} is no number that the API takes")));
        }
        write!(self.0, "{number}").map_err(refused)
    }

    fn serialize_none(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Refused> {
        self.serialize_str(name)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.serialize_str(variant)
    }

    refuse! { "a cell holds one value, not a list or a struct":
        serialize_newtype_variant(&'static str, u32, &'static str, &T) <T> -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Serialize, Default)]
    #[serde(rename_all = "PascalCase")]
    struct Account<'a> {
        name: &'a str,
        employees: Option<u32>,
        #[serde(rename = "Rating__c")]
        rating: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<char>,
    }

    fn write<T: Serialize>(rows: &[T]) -> Result<String, Refused> {
        let (mut columns, mut text) = (Columns::default(), Vec::new());
        for row in rows {
            columns.write(row, &mut text)?;
        }
        let mut all = Vec::new();
        columns.write_header(&mut all);
        all.extend(text);
        Ok(String::from_utf8(all).unwrap())
    }

    #[test]
    fn rows_become_records() {
        let plain = Account { name: "Ada", employees: Some(3), rating: 1e21, site: Some('x') };
        let quoted =
            Account { name: " \"a\", b\r\n", employees: None, rating: 0.1, site: Some('"') };
        assert_eq!(
            write(&[plain, quoted]).unwrap(),
            "Name,Employees,Rating__c,Site\nAda,3,1000000000000000000000,x\n\" \"\"a\"\", b\r\n\",,0.1,\"\"\"\"\n"
        );
    }

    #[test]
    fn maps_and_flattened_fields_are_columns_too() {
        #[derive(serde::Serialize)]
        struct Row {
            id: u8,
            #[serde(flatten)]
            rest: BTreeMap<&'static str, bool>,
        }
        let row = Row { id: 1, rest: BTreeMap::from([("a", true), ("b,", false)]) };
        assert_eq!(write(&[row]).unwrap(), "id,a,\"b,\"\n1,true,false\n");
    }

    #[test]
    fn an_empty_cell_alone_is_no_blank_line() {
        assert_eq!(write(&[BTreeMap::from([("Id", None::<u8>)])]).unwrap(), "Id\n\"\"\n");
    }

    #[test]
    fn a_skipped_field_is_refused_and_not_filled_by_its_neighbour() {
        let with = Account { site: Some('x'), ..Account::default() };
        let error = write(&[with, Account::default()]).unwrap_err().to_string();
        assert_eq!(error, "it lacks the column \"Site\", which the first row has");
        let with = Account { site: Some('x'), ..Account::default() };
        let error = write(&[Account::default(), with]).unwrap_err().to_string();
        assert_eq!(error, "it has a column \"Site\", which the first row lacks");
        let error = write(&[BTreeMap::from([("a", 1)]), BTreeMap::from([("b", 1)])]).unwrap_err();
        assert!(error.to_string().contains("column 1 is \"b\", the first row's \"a\""), "{error}");
    }

    #[test]
    fn what_is_no_cell_is_refused_by_name() {
        let error = write(&[BTreeMap::from([("tags", vec![1, 2])])]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column \"tags\": a cell holds one value, not a list or a struct"
        );
        let error = write(&[BTreeMap::from([("n", f64::NAN)])]).unwrap_err();
        assert_eq!(error.to_string(), "column \"n\": NaN is no number that the API takes");
        assert!(write(&[(1, 2)]).is_err());
        assert!(write(&[BTreeMap::<u8, u8>::new()]).is_err());
    }
}
