//! XML documents of the service as trees, so that one set of types reads XML and JSON alike.
//!
//! An element with children becomes an object, one with text a string, one with `xsi:nil="true"`
//! null; an element that repeats becomes an array. Prefixes and namespaces are ignored (recorded
//! answers came with and without them). What has no place in these documents is refused: a DTD
//! (no entity is ever expanded or fetched), deep nesting, text after the root's end, a missing end.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

/// No document of the service nests deeper than 6 (a SOAP fault's details).
const DEPTH: usize = 64;

/// The namespace of every control document, named once for the writers.
pub(crate) const NAMESPACE: &str = "http://www.force.com/2009/06/asyncapi/dataload";

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

    fn close(self) -> (String, Value) {
        let value = match self {
            Self { nil: true, .. } => Value::Null,
            Self { children, .. } if !children.is_empty() => Value::Object(children),
            // Blanks around a value are layout: nothing in these documents begins or ends with one.
            Self { text, .. } => Value::String(text.trim().to_owned()),
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
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    loop {
        let closed = match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(_) | Event::Empty(_) if root.is_some() => return Err("two roots".into()),
            Event::Start(_) if open.len() == DEPTH => return Err("nested too deep".into()),
            Event::Start(start) => {
                open.push(Open::new(&start)?);
                None
            }
            Event::Empty(start) => Some(Open::new(&start)?),
            Event::End(_) => open.pop(), // the reader has checked that the names agree
            Event::DocType(_) => return Err("a DTD".into()),
            Event::Eof if root.is_none() => return Err("the document is cut off".into()),
            Event::Eof => break,
            text => {
                add_text(open.last_mut(), &text)?;
                None
            }
        };
        if let Some((name, value)) = closed.map(Open::close) {
            match open.as_mut_slice() {
                [] => root = Some((name, value)),
                [root] => {
                    let left = take(&root.name, &name, value)?;
                    left.into_iter().for_each(|value| root.adopt(name.clone(), value));
                }
                [.., parent] => parent.adopt(name, value),
            }
        }
    }
    root.ok_or_else(|| "no root".into())
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
        super::read(text, |_, _, value| Ok(Some(value)))
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
