//! The rows of a query as files: CSV as a table; JSON and XML as records in which parents nest.
//!
//! A record of JSON begins with its `attributes`, and moments and days are milliseconds since 1970
//! (REST answers, which have the same records, write them out). A record of XML begins with its
//! `type` and its `Id`, which is there a second time if it was selected, and once as nil if not.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::documents::{NAMESPACE, PROLOG, xml_text};
use crate::format::Format;
use crate::schema::{Kind, Object, Schema};
use crate::soql::{Column, Plan};
use crate::{calendar, csv, ids, value};

/// The whole body of a CSV result without rows.
const NOTHING: &[u8] = b"Records not found for this query";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What the rows of a result are: the select list, and the records that JSON and XML make of it.
pub(crate) struct Select<'a> {
    schema: &'a Schema,
    object: &'a Object,
    columns: &'a [Column<'a>],
    /// The record itself first, then the parents that the paths lead to.
    records: Vec<Record<'a>>,
}

struct Record<'a> {
    /// The relationships that lead to it.
    path: Vec<&'a str>,
    /// The column with its id, or with its number if it is the record itself; null in a parent that
    /// is not there.
    id: usize,
    /// What it has, in the order in which the select list first names it.
    members: Vec<(&'a str, Member<'a>)>,
}

#[derive(Clone, Copy)]
enum Member<'a> {
    Value(usize, &'a Kind),
    /// Another one of the records.
    Parent(usize),
}

impl<'a> Select<'a> {
    pub(crate) fn of(plan: &'a Plan<'a>, schema: &'a Schema, object: &'a Object) -> Self {
        let columns = plan.columns.as_slice();
        let mut select = Self { schema, object, columns, records: Vec::new() };
        select.record(&[], plan);
        for (at, column) in columns.iter().enumerate() {
            let Some((name, parents)) = column.path.split_last() else { continue };
            let record = select.record(parents, plan);
            select.records[record].members.push((name, Member::Value(at, column.kind)));
        }
        select
    }

    /// Which of the records a path leads to; they are added, from the first relationship on, when
    /// the path is first met.
    fn record(&mut self, path: &[&'a str], plan: &Plan<'a>) -> usize {
        if let Some(known) = self.records.iter().position(|record| record.path == path) {
            return known;
        }
        let child = path.split_last().map(|(name, above)| (self.record(above, plan), *name));
        let id = plan.records.iter().position(|known| known == path).unwrap_or_default();
        let (at, id) = (self.records.len(), plan.columns.len() + id);
        self.records.push(Record { path: path.to_vec(), id, members: Vec::new() });
        if let Some((child, name)) = child {
            self.records[child].members.push((name, Member::Parent(at)));
        }
        at
    }

    /// The id of a record and the name of its object; `None` if there is no record.
    fn identity(
        &self,
        record: &Record<'_>,
        row: &Row<'_>,
    ) -> rusqlite::Result<Option<(String, &'a str)>> {
        Ok(match row.get_ref(record.id)? {
            ValueRef::Integer(n) => Some((ids::long(&self.object.prefix, n), &self.object.name)),
            ValueRef::Text(id) => {
                let id = String::from_utf8_lossy(id).into_owned();
                let object = id.get(..3).and_then(|prefix| self.schema.by_prefix(prefix));
                object.map(|object| (id, object.name.as_str()))
            }
            _ => None,
        })
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
    select: &'q Select<'a>,
    version: &'q str,
    out: Vec<u8>,
    count: u64,
}

impl<'q, 'a> Rows<'q, 'a> {
    pub(crate) fn new(format: Format, select: &'q Select<'a>, version: &'q str) -> Self {
        let mut out = Vec::new();
        match format {
            Format::Csv => write_header(&mut out, select),
            Format::Xml => out.extend_from_slice(
                format!("{PROLOG}<queryResult\n   xmlns=\"{NAMESPACE}\" xmlns:xsi=\"{XSI}\">\n")
                    .as_bytes(),
            ),
            Format::Json => out.push(b'['),
        }
        Self { format, select, version, out, count: 0 }
    }

    /// How many rows there are, and how many bytes.
    pub(crate) fn size(&self) -> (u64, usize) {
        (self.count, self.out.len())
    }

    pub(crate) fn push(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let out = &mut self.out;
        match self.format {
            Format::Csv => write_line(out, self.select, row)?,
            Format::Xml => {
                out.extend_from_slice(b" <records xsi:type=\"sObject\">");
                write_xml(out, self.select, 0, row)?;
                out.extend_from_slice(b"</records>\n");
            }
            Format::Json => {
                out.extend_from_slice(if self.count == 0 { b" " } else { b", " });
                write_json(out, self.select, row, self.version, Dates::Counted)?;
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

/// The paths of the fields as the schema spells them.
fn write_header(out: &mut Vec<u8>, select: &Select<'_>) {
    for column in select.columns {
        csv::quote(out, column.name().as_bytes());
        out.push(b',');
    }
    out.pop();
    out.push(b'\n');
}

fn write_line(out: &mut Vec<u8>, select: &Select<'_>, row: &Row<'_>) -> rusqlite::Result<()> {
    for (at, column) in select.columns.iter().enumerate() {
        value::write_cell(out, column.kind, &select.object.prefix, row.get_ref(at)?);
        out.push(b',');
    }
    out.pop();
    out.push(b'\n');
    Ok(())
}

/// Writes what is within a record's element.
fn write_xml(
    out: &mut Vec<u8>,
    select: &Select<'_>,
    record: usize,
    row: &Row<'_>,
) -> rusqlite::Result<()> {
    let record = &select.records[record];
    let Some((id, object)) = select.identity(record, row)? else { return Ok(()) };
    let selected = record.members.iter().any(|(name, _)| *name == "Id");
    write_element(out, "type", Some(object));
    write_element(out, "Id", selected.then_some(&id));
    for (name, member) in &record.members {
        match *member {
            Member::Value(at, kind) => match row.get_ref(at)? {
                ValueRef::Null => write_element(out, name, None),
                found => {
                    let text = value::text(kind, &select.object.prefix, found);
                    write_element(out, name, Some(&String::from_utf8_lossy(&text)));
                }
            },
            Member::Parent(at) if select.identity(&select.records[at], row)?.is_none() => {
                write_element(out, name, None);
            }
            Member::Parent(at) => {
                out.extend_from_slice(format!("<{name} xsi:type=\"sObject\">").as_bytes());
                write_xml(out, select, at, row)?;
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

/// Writes the record of a row.
pub(crate) fn write_json(
    out: &mut Vec<u8>,
    select: &Select<'_>,
    row: &Row<'_>,
    version: &str,
    dates: Dates,
) -> rusqlite::Result<()> {
    write_json_record(out, select, 0, row, (version, dates))
}

fn write_json_record(
    out: &mut Vec<u8>,
    select: &Select<'_>,
    record: usize,
    row: &Row<'_>,
    (version, dates): (&str, Dates),
) -> rusqlite::Result<()> {
    let record = &select.records[record];
    let Some((id, object)) = select.identity(record, row)? else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    let attributes = format!(
        "{{\n  \"attributes\" : {{ \"type\" : \"{object}\", \"url\" : \"/services/data/v{version}/sobjects/{object}/{id}\" }}"
    );
    out.extend_from_slice(attributes.as_bytes());
    for (name, member) in &record.members {
        out.extend_from_slice(format!(",\n  \"{name}\" : ").as_bytes());
        match *member {
            Member::Parent(at) => write_json_record(out, select, at, row, (version, dates))?,
            Member::Value(at, kind) => {
                let value = json(kind, &select.object.prefix, row.get_ref(at)?, dates);
                out.extend_from_slice(value.to_string().as_bytes());
            }
        }
    }
    out.extend_from_slice(b"\n}");
    Ok(())
}

fn json(kind: &Kind, prefix: &str, value: ValueRef<'_>, dates: Dates) -> serde_json::Value {
    match (kind, value) {
        (_, ValueRef::Null) => serde_json::Value::Null,
        (Kind::Boolean, ValueRef::Integer(n)) => (n != 0).into(),
        (Kind::DateTime, ValueRef::Integer(ms)) if dates == Dates::Written => {
            calendar::json_instant(ms).into()
        }
        (Kind::Int | Kind::Number { .. } | Kind::DateTime, ValueRef::Integer(n)) => n.into(),
        (Kind::Number { .. }, ValueRef::Real(x)) => x.into(),
        (kind, value) => {
            let text = value::text(kind, prefix, value);
            let text = String::from_utf8_lossy(&text);
            let day = (*kind == Kind::Date && dates == Dates::Counted)
                .then(|| calendar::read_instant(&format!("{text}T00:00:00Z")));
            day.flatten().map_or_else(|| text.as_ref().into(), Into::into)
        }
    }
}
