//! XML documents of the service as trees, so that one set of types reads XML and JSON alike.
//!
//! An element with children becomes an object, one with text a string, one with `xsi:nil="true"`
//! null; an element that repeats becomes an array. Prefixes and namespaces are ignored (recorded
//! answers came with and without them). What has no place in these documents is refused: a DTD
//! (no entity is ever expanded or fetched), deep nesting, text after the root's end, a missing end.
//!
//! Records of a query's result are read in the same way, one element after the other, but their text
//! is data and stays as it is.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

/// No document of the service nests deeper than 6 (a SOAP fault's details).
const DEPTH: usize = 64;

/// The namespace of every control document, named once for the writers.
pub(crate) const NAMESPACE: &str = "http://www.force.com/2009/06/asyncapi/dataload";

/// How every document begins that is written here.
pub(crate) const PROLOG: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// An element under construction.
#[derive(Default)]
struct Open {
    name: String,
    nil: bool,
    text: String,
    children: Map<String, Value>,
}

impl Open {
    fn new(start: &BytesStart<'_>) -> Result<Self, String> {
        let nil = is_nil(start)?;
        Ok(Self { name: start.local_name().as_ref().to_owned(), nil, ..Self::default() })
    }

    fn close(self, value_of: fn(&str) -> &str) -> (String, Value) {
        let value = match self {
            Self { nil: true, .. } => Value::Null,
            Self { children, .. } if !children.is_empty() => Value::Object(children),
            Self { text, .. } => Value::String(value_of(&text).to_owned()),
        };
        (self.name, value)
    }

    fn adopt(&mut self, name: String, value: Value) {
        match self.children.get_mut(&name) {
            None => {
                self.children.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => {
                let first_value = first.take();
                *first = Value::Array(vec![first_value, value]);
            }
        }
    }
}

/// Reads a whole document: the local name of its root, and its tree. The error says what is wrong.
///
/// Each child of the root is shown to `take`, with the root's name and its own; what is taken is not
/// in the tree.
pub(crate) fn read(
    text: &str,
    mut take: impl FnMut(&str, &str, Value) -> Result<Option<Value>, String>,
) -> Result<(String, Value), String> {
    let mut reader = Reader::from_str(text);
    let root = element(&mut reader, trimmed, &mut take)?.ok_or("the document is cut off")?;
    if element(&mut reader, trimmed, &mut take)?.is_some() {
        return Err("two roots".into());
    }
    Ok(root)
}

/// Reads the record at the beginning of a text: its tree, and how long it is; `None` if there is
/// nothing but blanks. A result has the `Id` twice, or once as null if it was not asked for (topic
/// "Bulk Query Results" of the vendor's guide); a record has it once.
pub(crate) fn record(text: &[u8]) -> Result<Option<(Value, usize)>, String> {
    let mut reader = Reader::from_reader(text);
    let record = element(&mut reader, |text| text, &mut keep)?;
    let Some((_, mut tree)) = record else { return Ok(None) };
    single_id(&mut tree);
    let length = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
    Ok(Some((tree, length)))
}

/// Takes nothing out of a tree.
#[allow(clippy::unnecessary_wraps)] // as `read` has it
pub(crate) fn keep(_: &str, _: &str, value: Value) -> Result<Option<Value>, String> {
    Ok(Some(value))
}

/// Blanks around a value are layout: nothing in a control document begins or ends with one.
fn trimmed(text: &str) -> &str {
    text.trim()
}

/// The next element that is within no other one; `None` at the end of the text.
fn element(
    reader: &mut Reader<&[u8]>,
    value_of: fn(&str) -> &str,
    take: &mut impl FnMut(&str, &str, Value) -> Result<Option<Value>, String>,
) -> Result<Option<(String, Value)>, String> {
    let mut open: Vec<Open> = Vec::new();
    loop {
        let closed = match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(_) if open.len() == DEPTH => return Err("nested too deep".into()),
            Event::Start(start) => {
                open.push(Open::new(&start)?);
                None
            }
            Event::Empty(start) => Some(Open::new(&start)?),
            Event::End(_) => open.pop(), // the reader has checked that the names agree
            Event::DocType(_) => return Err("a DTD".into()),
            Event::Eof if open.is_empty() => return Ok(None),
            Event::Eof => return Err("the document is cut off".into()),
            text => {
                add_text(open.last_mut(), &text)?;
                None
            }
        };
        if let Some((name, value)) = closed.map(|element| element.close(value_of)) {
            match open.as_mut_slice() {
                [] => return Ok(Some((name, value))),
                [root] => {
                    if let Some(value) = take(&root.name, &name, value)? {
                        root.adopt(name, value);
                    }
                }
                [.., parent] => parent.adopt(name, value),
            }
        }
    }
}

fn single_id(tree: &mut Value) {
    match tree {
        Value::Array(values) => values.iter_mut().for_each(single_id),
        Value::Object(members) => {
            if let Some(Value::Array(ids)) = members.get_mut("Id") {
                let id = ids.iter().position(|id| !id.is_null()).unwrap_or(0);
                let id = ids.swap_remove(id);
                members.insert("Id".to_owned(), id);
            }
            members.values_mut().for_each(single_id);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn add_text(element: Option<&mut Open>, event: &Event<'_>) -> Result<(), String> {
    let text = text_of(event)?;
    match element {
        Some(element) => element.text.push_str(&text),
        None if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => {}
        None => return Err("text outside the root".into()),
    }
    Ok(())
}

/// Whether a tag says that its element is nil. No tag of the service has many attributes.
pub(crate) fn is_nil(start: &BytesStart<'_>) -> Result<bool, String> {
    let mut nil = false;
    for attribute in start.attributes().with_checks(false).take(DEPTH) {
        let attribute = attribute.map_err(|e| e.to_string())?;
        nil |= attribute.key.local_name().as_ref() == "nil"
            && matches!(attribute.value.as_ref(), "true" | "1");
    }
    Ok(nil)
}

/// The text that an event stands for: none, for declarations, comments and instructions.
pub(crate) fn text_of<'a>(event: &'a Event<'_>) -> Result<Cow<'a, str>, String> {
    Ok(match event {
        Event::Text(text) => text.xml10_content(),
        Event::CData(text) => text.xml10_content(),
        Event::GeneralRef(reference) => resolve(reference)?.into(),
        _ => Cow::default(),
    })
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(c) = reference.resolve_char_ref().map_err(|e| e.to_string())? {
        return Ok(c.into());
    }
    let name = reference.xml10_content();
    let text = resolve_predefined_entity(&name).ok_or_else(|| format!("an entity, &{name};"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<(String, Value), String> {
        super::read(text, keep)
    }

    #[test]
    fn a_document_becomes_a_tree() {
        let text = "<?xml version=\"1.0\"?><l:list\n   xmlns:l=\"urn:x\">\n <i><a>1 &lt; &#50;</a><b xsi:nil=\"true\"/></i>\n \
                    <i><a/><c><![CDATA[<&>]]></c></i></l:list>\n";
        let tree = json!({"i": [{"a": "1 < 2", "b": null}, {"a": "", "c": "<&>"}]});
        assert_eq!(read("<a><b>\n  x y\n</b></a>"), Ok(("a".into(), json!({"b": "x y"}))));
        assert_eq!(read(text), Ok(("list".into(), tree)));
    }

    #[test]
    fn every_cut_is_noticed() {
        let text = "<?xml version=\"1.0\"?><a><b>x</b><c/></a>";
        assert!(read(text).is_ok());
        for end in 0..text.len() {
            assert!(read(&text[..end]).is_err(), "{}", &text[..end]);
        }
    }

    #[test]
    fn what_has_no_place_here_is_refused() {
        for (text, why) in [
            ("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>", "a DTD"),
            ("<a>&e;</a>", "an entity, &e;"),
            ("<a/><b/>", "two roots"),
            ("<a/>x", "text outside the root"),
            (&"<a>".repeat(100_000), "nested too deep"),
        ] {
            assert_eq!(read(text), Err(why.into()));
        }
    }
}
