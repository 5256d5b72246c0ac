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
use crate::soql::Plan;
use crate::{calendar, csv, ids, value};

/// The whole body of a CSV result without rows.
const NOTHING: &[u8] = b"Records not found for this query";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What the rows of a result are: the select list, and the records that JSON and XML make of it.
pub(crate) struct Select<'a> {
    schema: &'a Schema,
    object: &'a Object,
    columns: Vec<Column<'a>>,
    /// The record itself first, then the parents that the paths lead to.
    records: Vec<Record<'a>>,
}

/// An expression of the select list: its path, relationships first, and the kind of its values.
struct Column<'a> {
    path: Vec<&'a str>,
    kind: &'a Kind,
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
    /// The select list of a plan, whose last column is the number of the record.
    pub(crate) fn of(plan: &Plan<'a>, schema: &'a Schema, object: &'a Object) -> Self {
        let columns = plan.fields.iter();
        let columns = columns.map(|field| Column { path: vec![&field.name], kind: &field.kind });
        Self::new(schema, object, columns.collect(), &[(vec![], plan.fields.len())])
    }

    /// `ids` tells which column has the id of the record that a path of relationships leads to; the
    /// empty path leads to the record itself.
    fn new(
        schema: &'a Schema,
        object: &'a Object,
        columns: Vec<Column<'a>>,
        ids: &[(Vec<&'a str>, usize)],
    ) -> Self {
        let mut select = Self { schema, object, columns: Vec::new(), records: Vec::new() };
        select.record(&[], ids);
        for (at, Column { path, kind }) in columns.iter().enumerate() {
            let Some((name, parents)) = path.split_last() else { continue };
            let record = select.record(parents, ids);
            select.records[record].members.push((name, Member::Value(at, kind)));
        }
        select.columns = columns;
        select
    }

    /// Which of the records a path leads to; they are added, from the first relationship on, when
    /// the path is first met.
    fn record(&mut self, path: &[&'a str], ids: &[(Vec<&'a str>, usize)]) -> usize {
        if let Some(known) = self.records.iter().position(|record| record.path == path) {
            return known;
        }
        let child = path.split_last().map(|(name, above)| (self.record(above, ids), *name));
        let id = ids.iter().find(|(known, _)| known == path).map_or(0, |(_, at)| *at);
        let at = self.records.len();
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
    for column in &select.columns {
        csv::quote(out, column.path.join(".").as_bytes());
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
        (Kind::Int | Kind::Number(_) | Kind::DateTime, ValueRef::Integer(n)) => n.into(),
        (Kind::Number(_), ValueRef::Real(x)) => x.into(),
        (kind, value) => {
            let text = value::text(kind, prefix, value);
            let text = String::from_utf8_lossy(&text);
            let day = (*kind == Kind::Date && dates == Dates::Counted)
                .then(|| calendar::read_instant(&format!("{text}T00:00:00Z")));
            day.flatten().map_or_else(|| text.as_ref().into(), Into::into)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a format makes of a task of a lead, or of nobody, and the owner of its account.
    fn told(format: Format, who: &str) -> String {
        let schema = Schema::built_in().unwrap();
        let task = schema.object("Task").unwrap();
        let text = Kind::Text(80);
        let column = |path: &[&'static str]| Column { path: path.to_vec(), kind: &text };
        let columns = vec![
            column(&["Who", "Name"]),
            column(&["Subject"]),
            column(&["Account", "Owner", "Alias"]),
            column(&["Who", "Phone"]),
        ];
        let ids =
            [(vec![], 4), (vec!["Who"], 5), (vec!["Account"], 6), (vec!["Account", "Owner"], 7)];
        let select = Select::new(&schema, task, columns, &ids);
        let db = rusqlite::Connection::open_in_memory().unwrap();
        let sql = format!(
            "SELECT 'Ada', 'Call', 'me', NULL, 1, {who}, '001000000000002AAA', '005000000000001AAA'"
        );
        let mut rows = Rows::new(format, &select, "66.0");
        db.query_row(&sql, (), |row| rows.push(row)).unwrap();
        String::from_utf8(rows.end()).unwrap()
    }

    #[test]
    fn parents_nest_in_json() {
        let found: serde_json::Value =
            serde_json::from_str(&told(Format::Json, "'00Q000000000001EAA'")).unwrap();
        let attributes = |object: &str, id: &str| {
            let url = format!("/services/data/v66.0/sobjects/{object}/{id}");
            serde_json::json!({ "type": object, "url": url })
        };
        let expected = serde_json::json!([{
            "attributes": attributes("Task", "00T000000000001EAA"),
            "Who": {
                "attributes": attributes("Lead", "00Q000000000001EAA"), "Name": "Ada", "Phone": null,
            },
            "Subject": "Call",
            "Account": {
                "attributes": attributes("Account", "001000000000002AAA"),
                "Owner": { "attributes": attributes("User", "005000000000001AAA"), "Alias": "me" },
            },
        }]);
        assert_eq!(found, expected);
        assert!(told(Format::Json, "NULL").contains("\"Who\" : null,"));
    }

    #[test]
    fn parents_nest_in_xml() {
        let owner = "<Owner xsi:type=\"sObject\"><type>User</type><Id xsi:nil=\"true\"/><Alias>me</Alias></Owner>";
        let rest = format!(
            "<Subject>Call</Subject><Account xsi:type=\"sObject\"><type>Account</type><Id xsi:nil=\"true\"/>{owner}</Account>"
        );
        let who = "<Who xsi:type=\"sObject\"><type>Lead</type><Id xsi:nil=\"true\"/><Name>Ada</Name><Phone xsi:nil=\"true\"/></Who>";
        let found = told(Format::Xml, "'00Q000000000001EAA'");
        assert!(found.contains(&format!("{who}{rest}")), "{found}");
        assert!(told(Format::Xml, "NULL").contains(&format!("<Who xsi:nil=\"true\"/>{rest}")));
    }

    #[test]
    fn paths_are_dotted_in_csv() {
        let expected = "\"Who.Name\",\"Subject\",\"Account.Owner.Alias\",\"Who.Phone\"\n\"Ada\",\"Call\",\"me\",\"\"\n";
        assert_eq!(told(Format::Csv, "NULL"), expected);
    }
}
