//! The rows of a query as files: CSV as a table; JSON and XML as records in which parents nest.
//!
//! A record of JSON begins with its `attributes`, and moments and days are milliseconds since 1970
//! (REST answers, which have the same records, write them out). A record of XML begins with its
//! `type` and its `Id`, which is there a second time if it was selected, and once as nil if not.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::documents::{NAMESPACE, PROLOG, xml_text};
use crate::format::Format;
use crate::schema::{Field, Kind, Object};
use crate::soql::Plan;
use crate::{calendar, csv, ids, value};

/// The whole body of a CSV result without rows.
const NOTHING: &[u8] = b"Records not found for this query";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What a record of a result has, in the order of the select list.
pub(crate) struct Shape<'a> {
    object: &'a Object,
    /// The column that holds the number of the record; null in a parent that is not there.
    number: usize,
    members: Vec<(&'a str, Member<'a>)>,
}

enum Member<'a> {
    Field(usize, &'a Field),
    Parent(Shape<'a>),
}

impl<'a> Shape<'a> {
    /// The shape of a plan's rows.
    pub(crate) fn of(plan: &Plan<'a>, object: &'a Object) -> Self {
        let mut shape = Self::new(object, plan.fields.len());
        for (at, field) in plan.fields.iter().enumerate() {
            shape.add(&[], at, field);
        }
        shape
    }

    fn new(object: &'a Object, number: usize) -> Self {
        Self { object, number, members: Vec::new() }
    }

    /// Adds the field of a column, below the parents of its path: the name of each, its object and
    /// the column of its number.
    fn add(&mut self, path: &[(&'a str, &'a Object, usize)], at: usize, field: &'a Field) {
        let Some(((name, object, number), rest)) = path.split_first() else {
            self.members.push((&field.name, Member::Field(at, field)));
            return;
        };
        for (known, member) in &mut self.members {
            if let Member::Parent(parent) = member
                && known == name
            {
                return parent.add(rest, at, field);
            }
        }
        let mut parent = Self::new(object, *number);
        parent.add(rest, at, field);
        self.members.push((name, Member::Parent(parent)));
    }

    /// The id of the record; `None` if there is none.
    fn id(&self, row: &Row<'_>) -> rusqlite::Result<Option<String>> {
        let number: Option<i64> = row.get(self.number)?;
        Ok(number.map(|n| ids::long(&self.object.prefix, n)))
    }
}

/// How JSON tells moments and days.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    /// As milliseconds since 1970: bulk results.
    Counted,
    /// As text: REST.
    Written,
}

/// One result file that grows row by row.
pub(crate) struct Rows<'q, 'a> {
    format: Format,
    shape: &'q Shape<'a>,
    version: &'q str,
    out: Vec<u8>,
    count: u64,
}

impl<'q, 'a> Rows<'q, 'a> {
    pub(crate) fn new(format: Format, shape: &'q Shape<'a>, version: &'q str) -> Self {
        let mut out = Vec::new();
        match format {
            Format::Csv => write_header(&mut out, shape),
            Format::Xml => out.extend_from_slice(
                format!("{PROLOG}<queryResult\n   xmlns=\"{NAMESPACE}\" xmlns:xsi=\"{XSI}\">\n")
                    .as_bytes(),
            ),
            Format::Json => out.push(b'['),
        }
        Self { format, shape, version, out, count: 0 }
    }

    /// How many rows there are, and how many bytes.
    pub(crate) fn size(&self) -> (u64, usize) {
        (self.count, self.out.len())
    }

    pub(crate) fn push(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let out = &mut self.out;
        match self.format {
            Format::Csv => write_line(out, self.shape, row)?,
            Format::Xml => {
                out.extend_from_slice(b" <records xsi:type=\"sObject\">");
                write_xml(out, self.shape, row)?;
                out.extend_from_slice(b"</records>\n");
            }
            Format::Json => {
                out.extend_from_slice(if self.count == 0 { b" " } else { b", " });
                write_json(out, self.shape, row, self.version, Dates::Counted)?;
            }
        }
        self.count += 1;
        Ok(())
    }

    /// The whole file.
    pub(crate) fn end(mut self) -> Vec<u8> {
        match self.format {
            Format::Csv if self.count == 0 => return NOTHING.to_vec(),
            Format::Csv => {}
            Format::Xml => self.out.extend_from_slice(b"</queryResult>"),
            Format::Json => self.out.extend_from_slice(b" ]"),
        }
        self.out
    }
}

/// The names of the fields as the schema spells them.
fn write_header(out: &mut Vec<u8>, shape: &Shape<'_>) {
    for (name, _) in &shape.members {
        csv::quote(out, name.as_bytes());
        out.push(b',');
    }
    out.pop();
    out.push(b'\n');
}

fn write_line(out: &mut Vec<u8>, shape: &Shape<'_>, row: &Row<'_>) -> rusqlite::Result<()> {
    for (_, member) in &shape.members {
        if let Member::Field(at, field) = member {
            value::write_cell(out, field, &shape.object.prefix, row.get_ref(*at)?);
        }
        out.push(b',');
    }
    out.pop();
    out.push(b'\n');
    Ok(())
}

fn write_xml(out: &mut Vec<u8>, shape: &Shape<'_>, row: &Row<'_>) -> rusqlite::Result<()> {
    let selected = shape.members.iter().any(|(name, _)| *name == "Id");
    let id = shape.id(row)?.filter(|_| selected);
    write_element(out, "type", Some(&shape.object.name));
    write_element(out, "Id", id.as_deref());
    for (name, member) in &shape.members {
        match member {
            Member::Field(at, field) => match row.get_ref(*at)? {
                ValueRef::Null => write_element(out, name, None),
                found => {
                    let text = value::text(field, &shape.object.prefix, found);
                    write_element(out, name, Some(&String::from_utf8_lossy(&text)));
                }
            },
            Member::Parent(parent) if parent.id(row)?.is_none() => write_element(out, name, None),
            Member::Parent(parent) => {
                out.extend_from_slice(format!("<{name} xsi:type=\"sObject\">").as_bytes());
                write_xml(out, parent, row)?;
                out.extend_from_slice(format!("</{name}>").as_bytes());
            }
        }
    }
    Ok(())
}

/// An element with its text; nil without one.
fn write_element(out: &mut Vec<u8>, name: &str, text: Option<&str>) {
    let element = match text {
        Some(text) => format!("<{name}>{}</{name}>", xml_text(text)),
        None => format!("<{name} xsi:nil=\"true\"/>"),
    };
    out.extend_from_slice(element.as_bytes());
}

/// Writes one record.
pub(crate) fn write_json(
    out: &mut Vec<u8>,
    shape: &Shape<'_>,
    row: &Row<'_>,
    version: &str,
    dates: Dates,
) -> rusqlite::Result<()> {
    let Some(id) = shape.id(row)? else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    let object = &shape.object.name;
    let attributes = format!(
        "{{\n  \"attributes\" : {{ \"type\" : \"{object}\", \"url\" : \"/services/data/v{version}/sobjects/{object}/{id}\" }}"
    );
    out.extend_from_slice(attributes.as_bytes());
    for (name, member) in &shape.members {
        out.extend_from_slice(format!(",\n  \"{name}\" : ").as_bytes());
        match member {
            Member::Parent(parent) => write_json(out, parent, row, version, dates)?,
            Member::Field(at, field) => {
                let value = json(field, &shape.object.prefix, row.get_ref(*at)?, dates);
                out.extend_from_slice(value.to_string().as_bytes());
            }
        }
    }
    out.extend_from_slice(b"\n}");
    Ok(())
}

fn json(field: &Field, prefix: &str, value: ValueRef<'_>, dates: Dates) -> serde_json::Value {
    match (&field.kind, value) {
        (_, ValueRef::Null) => serde_json::Value::Null,
        (Kind::Boolean, ValueRef::Integer(n)) => (n != 0).into(),
        (Kind::DateTime, ValueRef::Integer(ms)) if dates == Dates::Written => {
            calendar::json_instant(ms).into()
        }
        (Kind::Int | Kind::Number(_) | Kind::DateTime, ValueRef::Integer(n)) => n.into(),
        (Kind::Number(_), ValueRef::Real(x)) => x.into(),
        (kind, value) => {
            let text = value::text(field, prefix, value);
            let text = String::from_utf8_lossy(&text);
            let day = (*kind == Kind::Date && dates == Dates::Counted)
                .then(|| calendar::read_instant(&format!("{text}T00:00:00Z")));
            day.flatten().map_or_else(|| text.as_ref().into(), Into::into)
        }
    }
}
