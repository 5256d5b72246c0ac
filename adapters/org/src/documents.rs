//! The control documents: what clients send to create, close and abort, and what they get back.
//!
//! Answers are printed as the service prints them. In XML the prolog is directly followed by the
//! root, whose start tag has a line break before `xmlns`, and each level is indented by one blank;
//! fields without a value are left out. In JSON all is on one line, keys are in alphabetical order
//! and fields without a value are `null`.

use std::fmt::Write as _;

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesRef, Event};
use serde_json::{Map, Value};

use crate::answer::Refusal;
use crate::calendar;

pub(crate) const NAMESPACE: &str = "http://www.force.com/2009/06/asyncapi/dataload";
pub(crate) const PROLOG: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

/// The syntax of a control document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Xml,
    Json,
}

impl Wire {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
            Self::Json => "application/json",
        }
    }
}

/// A value in an answer.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    Text(String),
    Count(i64),
    Moment(i64),
    Version(String),
    Absent,
    /// `false`, said in JSON only.
    JsonFalse,
}

impl Fact {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn maybe(text: Option<String>) -> Self {
        text.map_or(Self::Absent, Self::Text)
    }

    fn xml(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Version(text) => Some(xml_text(text)),
            Self::Count(n) => Some(n.to_string()),
            Self::Moment(ms) => Some(calendar::instant(*ms)),
            Self::Absent | Self::JsonFalse => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Count(n) => (*n).into(),
            Self::Moment(ms) => calendar::json_instant(*ms).into(),
            Self::Version(text) => text.parse::<f64>().map_or(Value::Null, Value::from),
            Self::Absent => Value::Null,
            Self::JsonFalse => false.into(),
        }
    }
}

/// Text as XML can hold it: most control characters have no place there, not even escaped.
pub(crate) fn xml_text(text: &str) -> String {
    let allowed = |c: char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    let text: String = text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect();
    partial_escape(text.as_str()).into_owned()
}

/// The fields of one document, in the order of the schema.
pub(crate) type Facts = Vec<(&'static str, Fact)>;

/// A document of one level: `jobInfo`, `batchInfo`, `error`.
pub(crate) fn document(wire: Wire, root: &str, facts: &Facts) -> Bytes {
    match wire {
        Wire::Xml => {
            let mut out = start(root, ">\n");
            write_facts(&mut out, facts, 1);
            let _ = write!(out, "</{root}>");
            out.into()
        }
        Wire::Json => json_object(facts).to_string().into(),
    }
}

/// A `batchInfoList`; an empty one is a root that closes itself.
pub(crate) fn batch_list(wire: Wire, batches: &[Facts]) -> Bytes {
    if wire == Wire::Json {
        let list: Vec<Value> = batches.iter().map(json_object).collect();
        return Value::from(Map::from_iter([("batchInfo".to_owned(), list.into())]))
            .to_string()
            .into();
    }
    if batches.is_empty() {
        return start("batchInfoList", " />").into();
    }
    let mut out = start("batchInfoList", ">\n");
    for facts in batches {
        out.push_str(" <batchInfo>\n");
        write_facts(&mut out, facts, 2);
        out.push_str(" </batchInfo>\n");
    }
    out.push_str("</batchInfoList>");
    out.into()
}

/// The list of a query's result files: printed on one line, unlike the others.
pub(crate) fn result_list(wire: Wire, ids: &[String]) -> Bytes {
    if wire == Wire::Json {
        return Value::from(ids).to_string().into();
    }
    let mut out = format!("<result-list xmlns=\"{NAMESPACE}\">");
    for id in ids {
        let _ = write!(out, "<result>{id}</result>");
    }
    out.push_str("</result-list>");
    out.into()
}

fn start(root: &str, end: &str) -> String {
    format!("{PROLOG}<{root}\n   xmlns=\"{NAMESPACE}\"{end}")
}

fn write_facts(out: &mut String, facts: &Facts, depth: usize) {
    for (name, fact) in facts {
        if let Some(text) = fact.xml() {
            let _ = writeln!(out, "{:depth$}<{name}>{text}</{name}>", "");
        }
    }
}

fn json_object(facts: &Facts) -> Value {
    let mut sorted: Vec<_> = facts.iter().collect();
    // Sorted here: whether serde_json's map sorts depends on who else is in the build.
    sorted.sort_by_key(|(name, _)| *name);
    sorted
        .into_iter()
        .map(|(name, fact)| ((*name).to_owned(), fact.json()))
        .collect::<Map<_, _>>()
        .into()
}

/// What a client said about a job: the fields in the order they came, empty ones left out.
pub(crate) type Said = Vec<(String, String)>;

/// Reads a `jobInfo` document.
pub(crate) fn read(wire: Wire, body: &[u8]) -> Result<Said, Refusal> {
    match wire {
        Wire::Xml => read_xml(body),
        Wire::Json => read_json(body),
    }
}

fn read_json(body: &[u8]) -> Result<Said, Refusal> {
    let bad = || Refusal::bad("InvalidJob", "Unable to parse Job");
    let object: Map<String, Value> = serde_json::from_slice(body).map_err(|_| bad())?;
    let mut said = Said::new();
    for (name, value) in object {
        match value {
            Value::Null => {}
            Value::String(text) => said.push((name, text)),
            Value::Number(n) => said.push((name, n.to_string())),
            Value::Bool(b) => said.push((name, b.to_string())),
            Value::Array(_) | Value::Object(_) => return Err(bad()),
        }
    }
    Ok(said)
}

/// Reads `<jobInfo><name>text</name>…</jobInfo>`, names without regard to their prefix. A document
/// type is refused as it comes: nothing here ever expands or fetches an entity.
fn read_xml(body: &[u8]) -> Result<Said, Refusal> {
    let bad = |why: &str| Refusal::bad("InvalidXml", format!("Unable to parse the request: {why}"));
    let text = std::str::from_utf8(body).map_err(|_| bad("not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
    let (mut said, mut path, mut value) = (Said::new(), Vec::<String>::new(), String::new());
    let mut rooted = false;
    loop {
        match reader.read_event().map_err(|error| bad(&error.to_string()))? {
            Event::Start(tag) => {
                let name = name_of(&tag);
                if path.len() >= 2 || path.is_empty() && (rooted || name != "jobInfo") {
                    return Err(bad(&format!("unexpected element {name}")));
                }
                rooted = true;
                value.clear();
                path.push(name);
            }
            Event::Empty(tag) if path.is_empty() && !rooted && name_of(&tag) == "jobInfo" => {
                rooted = true;
            }
            Event::Empty(_) if path.len() == 1 => {}
            Event::Empty(_) => return Err(bad("unexpected element")),
            Event::End(_) => match path.pop() {
                Some(name) if path.len() == 1 && !value.trim().is_empty() => {
                    said.push((name, value.trim().to_owned()));
                }
                _ => {}
            },
            Event::Text(text) if path.len() == 2 => value.push_str(&text.xml10_content()),
            Event::CData(text) if path.len() == 2 => value.push_str(&text.xml10_content()),
            Event::GeneralRef(name) if path.len() == 2 => {
                value.push(resolve(&name).ok_or_else(|| bad("unknown entity"))?);
            }
            Event::Text(text) if text.xml10_content().trim().is_empty() => {}
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                return Err(bad("content is not allowed here"));
            }
            Event::DocType(_) => return Err(bad("a document type is not allowed")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if rooted && path.is_empty() => return Ok(said),
            Event::Eof => return Err(bad("premature end of file")),
        }
    }
}

pub(crate) fn name_of(tag: &quick_xml::events::BytesStart<'_>) -> String {
    tag.local_name().as_ref().to_owned()
}

pub(crate) fn resolve(name: &BytesRef<'_>) -> Option<char> {
    if name.is_char_ref() {
        return name.resolve_char_ref().ok().flatten();
    }
    match &*name.xml10_content() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_from_either_syntax() {
        let xml = format!(
            "{PROLOG}\n<x:jobInfo xmlns:x=\"{NAMESPACE}\">\n <x:operation>insert</x:operation><!-- -->\
             <object>A&amp;&#66;<![CDATA[<]]></object><externalIdFieldName/></x:jobInfo>\n"
        );
        let said = read(Wire::Xml, xml.as_bytes()).unwrap();
        assert_eq!(said, [("operation".into(), "insert".into()), ("object".into(), "A&B<".into())]);
        let said = read(Wire::Json, br#"{"operation":"insert","concurrencyMode":1,"object":null}"#);
        assert_eq!(said.unwrap().len(), 2);
        assert_eq!(read(Wire::Xml, b"<jobInfo/>").unwrap(), []);
    }

    #[test]
    fn what_is_no_job_is_refused() {
        for bad in [
            "",
            "insert",
            "<jobInfo>",
            "<jobInfo><a></jobInfo>",
            "<job/>",
            "<jobInfo><a><b/></a></jobInfo>",
            "<jobInfo/><jobInfo/>",
            "<jobInfo>text</jobInfo>",
            "<jobInfo><a>&nbsp;</a></jobInfo>",
            "<!DOCTYPE jobInfo [<!ENTITY x \"y\">]><jobInfo><a>&x;</a></jobInfo>",
        ] {
            assert_eq!(read(Wire::Xml, bad.as_bytes()).unwrap_err().code, "InvalidXml", "{bad}");
        }
        for bad in ["", "[]", "{\"a\":[]}", "{"] {
            assert_eq!(read(Wire::Json, bad.as_bytes()).unwrap_err().code, "InvalidJob", "{bad}");
        }
    }

    #[test]
    fn documents_look_as_recorded() {
        let facts: Facts =
            vec![("b", Fact::text("x<y")), ("c", Fact::Absent), ("a", Fact::Moment(0))];
        let xml = document(Wire::Xml, "error", &facts);
        let expected = format!(
            "{PROLOG}<error\n   xmlns=\"{NAMESPACE}\">\n <b>x&lt;y</b>\n <a>1970-01-01T00:00:00.000Z</a>\n</error>"
        );
        assert_eq!(xml, expected);
        let json = document(Wire::Json, "error", &facts);
        assert_eq!(json, r#"{"a":"1970-01-01T00:00:00.000+0000","b":"x<y","c":null}"#);
        let empty = format!("{PROLOG}<batchInfoList\n   xmlns=\"{NAMESPACE}\" />");
        assert_eq!(batch_list(Wire::Xml, &[]), empty);
        assert_eq!(batch_list(Wire::Json, &[]), r#"{"batchInfo":[]}"#);
    }
}
