//! A serde row → its cells, each in its column: the one row model of all syntaxes.
//!
//! A column's name is a field's, or the path of a parent's field: `Owner.Username`, with the
//! parent's type in front if there are several, `Lead:Who.Email` (topic "Relationship Fields in a
//! Header Row" of the vendor's guide). A struct or a map within a row is such a parent, one level
//! deep; so `owner: Owner { username }` and a field that is called `Owner.Username` are the same.
//!
//! Each row tells the names of its columns again. Where they must be the first row's, they are
//! compared: a field that one row skips must not shift its neighbours into the wrong columns.
//! Elsewhere the columns are the union of all names in the order they came in, and a field that a
//! row skips is absent in it.

use std::fmt::{Display, Write};

use serde::ser::{Impossible, Serialize, SerializeMap, SerializeStruct, Serializer};

use super::refused::{Refused, refused};

/// The text that sets a field to null, whatever the syntax (topic "Valid CSV Record Rows").
pub(super) const NULL: &str = "#N/A";

/// What a row has in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Nothing: the field is left as it is.
    Absent,
    /// The field is cleared.
    Null,
    /// A text, which may be empty.
    Text(&'a str),
    /// A number or a boolean, in digits and letters that need no quotes anywhere.
    Literal(&'a str),
}

/// The columns known until now, and the row at hand.
#[derive(Debug)]
pub(super) struct Row {
    /// Whether all rows must have the first one's columns, in its order.
    fixed: bool,
    names: Vec<String>,
    /// Whether a row was read.
    known: bool,
    /// One for each column.
    cells: Vec<Cell>,
    /// The texts of all cells.
    text: String,
    /// The name of the cell at hand, from the row on.
    path: String,
    /// The column that comes next, if this row is like the one before.
    next: usize,
}

/// A cell, whose text is a part of the row's.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    kind: Kind,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// The row has not spoken of it.
    #[default]
    Skipped,
    Absent,
    Text,
    Literal,
}

impl Row {
    /// No row yet.
    pub(super) fn new(fixed: bool) -> Self {
        let (names, cells) = (Vec::new(), Vec::new());
        let (text, path) = (String::new(), String::new());
        Self { fixed, names, known: false, cells, text, path, next: 0 }
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// What the row at hand has in each column.
    pub(super) fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.cells.iter().map(|cell| {
            let text = self.text.get(cell.start..cell.end).unwrap_or_default();
            match cell.kind {
                Kind::Skipped | Kind::Absent => Value::Absent,
                Kind::Text if text == NULL => Value::Null,
                Kind::Text => Value::Text(text),
                Kind::Literal => Value::Literal(text),
            }
        })
    }

    /// How many bytes the texts of the row have in all.
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// Takes the next row in place of the one at hand.
    pub(super) fn read<T: Serialize>(&mut self, row: &T) -> Result<(), Refused> {
        self.cells.fill(Cell::default());
        self.text.clear();
        self.next = 0;
        row.serialize(Walk { row: self, at: Place::Row })?;
        if self.names.is_empty() {
            return Err(refused("it has no columns"));
        }
        if let Some(missing) = self.names.get(self.next).filter(|_| self.fixed) {
            return Err(refused(format!(
                "it lacks the column {missing:?}, which the first row has"
            )));
        }
        self.known = true;
        Ok(())
    }

    /// Ends the cell at hand, whose text was added to the row's from `start` on.
    fn end_cell(&mut self, kind: Kind, start: usize) -> Result<(), Refused> {
        let column = self.column()?;
        let cell = self.cells.get_mut(column).filter(|cell| cell.kind == Kind::Skipped);
        let cell = cell.ok_or_else(|| refused("the row has it twice"))?;
        *cell = Cell { kind, start, end: self.text.len() };
        self.next = column + 1;
        Ok(())
    }

    /// The column of the cell at hand.
    fn column(&mut self) -> Result<usize, Refused> {
        let name = &self.path;
        match self.names.get(self.next) {
            Some(column) if column == name => return Ok(self.next),
            Some(column) if self.fixed && self.known => {
                let n = self.next + 1;
                return Err(Refused::row(format!(
                    "its column {n} is {name:?}, the first row's {column:?}; write an empty cell \
                     rather than skip a field"
                )));
            }
            None if self.fixed && self.known => {
                return Err(Refused::row(format!(
                    "it has a column {name:?}, which the first row lacks"
                )));
            }
            _ => {}
        }
        Ok(self.names.iter().position(|column| column == name).unwrap_or_else(|| {
            self.names.push(name.clone());
            self.cells.push(Cell::default());
            self.names.len() - 1
        }))
    }
}

/// Where in a row the serializer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the row itself.
    Row,
    /// At a field of it.
    Field,
    /// At a field of a parent.
    ParentField,
    /// At a map's key, which is a name.
    Key,
}

/// Takes in what serde tells of a row, a field or a key.
struct Walk<'a> {
    row: &'a mut Row,
    at: Place,
}

impl<'a> Walk<'a> {
    fn put(self, kind: Kind, text: impl Display) -> Result<(), Refused> {
        let start = self.row.text.len();
        let to = if self.at == Place::Key { &mut self.row.path } else { &mut self.row.text };
        write!(to, "{text}").map_err(refused)?;
        self.end(kind, start)
    }

    fn put_text(self, kind: Kind, text: &str) -> Result<(), Refused> {
        let start = self.row.text.len();
        let to = if self.at == Place::Key { &mut self.row.path } else { &mut self.row.text };
        to.push_str(text);
        self.end(kind, start)
    }

    fn put_float(self, number: f64, text: impl Display) -> Result<(), Refused> {
        if number.is_finite() {
            return self.put(Kind::Literal, text);
        }
        Err(refused(format!("{number} is no number that the API takes")))
    }

    fn end(self, kind: Kind, start: usize) -> Result<(), Refused> {
        match self.at {
            Place::Row => {
                Err(refused("a row must be a struct or a map, whose fields name the columns"))
            }
            Place::Field | Place::ParentField => self.row.end_cell(kind, start),
            Place::Key => Ok(()),
        }
    }

    fn fields(self) -> Result<Fields<'a>, Refused> {
        let at = match self.at {
            Place::Row => {
                self.row.path.clear();
                Place::Field
            }
            Place::Field => {
                self.row.path.push('.');
                Place::ParentField
            }
            Place::ParentField => return Err(refused("a parent has no parent of its own here")),
            Place::Key => return Err(refused("a map's key is a name")),
        };
        let prefix = self.row.path.len();
        Ok(Fields { row: self.row, prefix, at })
    }
}

/// The fields of a row or of a parent.
struct Fields<'a> {
    row: &'a mut Row,
    /// How much of the row's path leads to them.
    prefix: usize,
    at: Place,
}

impl Fields<'_> {
    /// Takes the value of the field that the row's path names.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let name = self.row.path.len();
        let walked = value.serialize(Walk { row: self.row, at: self.at });
        walked.map_err(|why| why.of_column(self.row.path.get(..name).unwrap_or_default()))
    }
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.row.path.truncate(self.prefix);
        self.row.path.push_str(name);
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.row.path.truncate(self.prefix);
        key.serialize(Walk { row: self.row, at: Place::Key })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// Writes methods that take what `Display` makes of their value.
macro_rules! display {
    ($kind:ident: $($method:ident($type:ty);)*) => {$(
        fn $method(self, value: $type) -> Result<(), Refused> {
            self.put(Kind::$kind, value)
        }
    )*};
}

/// No reader of JSON tells larger numbers from their neighbours for certain, and the API has none.
fn too_large(number: impl Display) -> Refused {
    refused(format!("{number} is no number that the API takes"))
}

/// Writes methods that refuse what they are given.
macro_rules! refuse {
    ($why:literal: $($method:ident($($type:ty),*) $(<$generic:ident>)? -> $ok:ty;)*) => {$(
        fn $method $(<$generic: Serialize + ?Sized>)? (self, $(_: $type),*) -> Result<$ok, Refused> {
            Err(refused($why))
        }
    )*};
}

impl<'a> Serializer for Walk<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeStruct = Fields<'a>;
    type SerializeMap = Fields<'a>;
    type SerializeSeq = Impossible<(), Refused>;
    type SerializeTuple = Impossible<(), Refused>;
    type SerializeTupleStruct = Impossible<(), Refused>;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeStructVariant = Impossible<(), Refused>;

    display! { Literal:
        serialize_bool(bool);
        serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64);
    }

    display! { Text: serialize_char(char); }

    fn serialize_i128(self, number: i128) -> Result<(), Refused> {
        i64::try_from(number).map_err(|_| too_large(number))?.serialize(self)
    }

    fn serialize_u128(self, number: u128) -> Result<(), Refused> {
        u64::try_from(number).map_err(|_| too_large(number))?.serialize(self)
    }

    fn serialize_f32(self, number: f32) -> Result<(), Refused> {
        self.put_float(number.into(), number)
    }

    fn serialize_f64(self, number: f64) -> Result<(), Refused> {
        self.put_float(number, number)
    }

    fn serialize_str(self, text: &str) -> Result<(), Refused> {
        self.put_text(Kind::Text, text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Refused> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| refused("bytes that are no text; encode them as base64"))?;
        self.put_text(Kind::Text, text)
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.put_text(Kind::Absent, "")
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.put_text(Kind::Absent, "")
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
        self.put_text(Kind::Text, name)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.put_text(Kind::Text, variant)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Refused> {
        self.fields()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'a>, Refused> {
        self.fields()
    }

    refuse! { "a cell holds one value, not a list or a variant with values":
        serialize_newtype_variant(&'static str, u32, &'static str, &T) <T> -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}
