//! Records in XML: `<sObjects>` of `<sObject>`s, whose children are fields.
//!
//! `xsi:nil="true"` makes a field null, an empty element an empty value. A parent is an `sObject`
//! within a field and becomes a column in CSV's spelling, with the `<type>` it tells in front:
//! `Owner.Username`, `Contact:Who.Email`. Names count without their prefix. A document type is refused as it comes, so nothing here ever expands or
//! fetches an entity, and an element that is deeper than a parent's field can be is refused too.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::documents::{name_of, resolve};
use crate::table::{Table, parent_column};

/// Reads a batch, or says what its state message says.
pub(crate) fn read<'a>(text: &'a str, table: Table<'a>) -> Result<Table<'a>, String> {
    let mut walk = Walk::new(table);
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
    let problem = |why: String| format!("Failed to parse XML. {why}");
    while let Some(event) = next(&mut reader).map_err(problem)? {
        walk.event(event).map_err(problem)?;
    }
    if walk.path.is_empty() && walk.rooted {
        return Ok(walk.table);
    }
    Err(problem("Premature end of file".into()))
}

fn next<'x>(reader: &mut Reader<&'x [u8]>) -> Result<Option<Event<'x>>, String> {
    match reader.read_event() {
        Ok(Event::Eof) => Ok(None),
        Ok(event) => Ok(Some(event)),
        Err(error) => Err(error.to_string()),
    }
}

/// Where in the document the reader is.
struct Walk<'a> {
    table: Table<'a>,
    /// The elements around: `sObjects`, `sObject`, a field, `sObject`, a parent's field.
    path: Vec<String>,
    rooted: bool,
    /// The text of the field, if the innermost element is one.
    text: String,
    nil: bool,
    parent: Option<Parent>,
}

/// A parent that is being read: its fields wait until its type is known.
#[derive(Default)]
struct Parent {
    kind: Option<String>,
    fields: Vec<(String, Option<String>)>,
}

const FIELD: usize = 3;
const PARENT: usize = 4;
const PARENT_FIELD: usize = 5;

impl<'a> Walk<'a> {
    fn new(table: Table<'a>) -> Self {
        Self {
            table,
            path: Vec::new(),
            rooted: false,
            text: String::new(),
            nil: false,
            parent: None,
        }
    }

    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        let in_field = matches!(self.path.len(), FIELD | PARENT_FIELD);
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::Empty(tag) => self.open(&tag).and_then(|()| self.close()),
            Event::End(_) => self.close(),
            Event::Text(text) if in_field => {
                self.text.push_str(&text.xml10_content());
                Ok(())
            }
            Event::CData(text) if in_field => {
                self.text.push_str(&text.xml10_content());
                Ok(())
            }
            Event::GeneralRef(name) if in_field => {
                self.text.push(resolve(&name).ok_or("Unknown entity")?);
                Ok(())
            }
            Event::Text(text) if text.xml10_content().trim().is_empty() => Ok(()),
            Event::DocType(_) => Err("A document type is not allowed".into()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                Err("Content is not allowed here".into())
            }
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = name_of(tag);
        let expected = match self.path.len() {
            0 if self.rooted => false,
            0 => name == "sObjects",
            1 | FIELD => name == "sObject",
            depth => depth < PARENT_FIELD,
        };
        if !expected {
            return Err(format!("Unexpected element {name}"));
        }
        self.rooted = true;
        self.path.push(name);
        match self.path.len() {
            FIELD | PARENT_FIELD => {
                self.text.clear();
                self.nil = is_nil(tag);
            }
            PARENT if self.parent.is_some() => return Err("A field has one parent".into()),
            PARENT => self.parent = Some(Parent::default()),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let depth = self.path.len();
        let Some(name) = self.path.pop() else { return Ok(()) };
        let value = (!self.nil).then_some(&self.text);
        match (depth, &mut self.parent) {
            (2, _) => self.table.end_named(),
            (FIELD, None) => {
                self.table.push_named(&name, value.map(|text| Cow::Owned(text.clone())))
            }
            (FIELD, Some(_)) => self.add_parent(&name),
            (PARENT_FIELD, Some(parent)) if name == "type" => {
                parent.kind = Some(self.text.clone());
                Ok(())
            }
            (PARENT_FIELD, Some(parent)) => {
                parent.fields.push((name, value.cloned()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn add_parent(&mut self, name: &str) -> Result<(), String> {
        let parent = self.parent.take().unwrap_or_default();
        for (field, value) in parent.fields {
            let column = parent_column(parent.kind.as_deref(), name, &field);
            self.table.push_named(&column, value.map(Cow::Owned))?;
        }
        Ok(())
    }
}

/// Whether a tag says that its field is null. Attributes are looked at one by one: comparing each
/// with all before it would make a tag of a million of them a burden.
fn is_nil(tag: &BytesStart<'_>) -> bool {
    let mut attributes = tag.attributes();
    attributes.with_checks(false).flatten().any(|attribute| {
        attribute.key.local_name().as_ref() == "nil"
            && matches!(attribute.value.trim(), "true" | "1")
    })
}

#[cfg(test)]
mod tests {
    use crate::format::Format;
    use crate::table;

    const START: &str = "<?xml version=\"1.0\"?>\n<s:sObjects xmlns:s=\"x\" xmlns:xsi=\"y\">";

    fn cut(text: &str) -> Result<Vec<Vec<String>>, String> {
        table::cut(Format::Xml, text)
    }

    #[test]
    fn absent_empty_and_null_values_are_told_apart() {
        let text = format!(
            "{START}<sObject><Name>A &amp; &#66;<![CDATA[<]]></Name><Fax xsi:nil=\"true\"/><Site/></sObject>\n\
             <sObject><s:name> B\n</s:name><Fax xsi:nil='false'>1</Fax></sObject><sObject/></s:sObjects>"
        );
        let expected =
            [["Name", "Fax", "Site"], ["A & B<", "#N/A", ""], [" B\n", "1", ""], ["", "", ""]];
        assert_eq!(cut(&text).unwrap(), expected);
        assert_eq!(cut("<sObjects/>").unwrap(), [[""; 0]]);
    }

    #[test]
    fn parents_become_columns() {
        let text = format!(
            "{START}<sObject><Owner> <sObject><Username>x</Username></sObject> </Owner>\
             <Who><sObject><type>Contact</type><Email>e</Email></sObject></Who></sObject></s:sObjects>"
        );
        let expected = [["Owner.Username", "Contact:Who.Email"], ["x", "e"]];
        assert_eq!(cut(&text).unwrap(), expected);
    }

    #[test]
    fn what_are_no_records_is_refused() {
        let deep = "<sObjects><sObject><a><sObject><b>".to_owned() + &"<c>".repeat(100_000);
        let wide = format!("<sObjects {}/>", "a=\"1\" ".repeat(100_000));
        assert!(cut(&wide).is_ok(), "in no time");
        for (text, problem) in [
            ("", "Premature end of file"),
            ("<jobInfo/>", "Unexpected element jobInfo"),
            ("<sObjects><sObject>", "Premature end of file"),
            ("<sObjects/><sObjects/>", "Unexpected element sObjects"),
            ("<sObjects>x</sObjects>", "Content is not allowed here"),
            ("<sObjects><sObject><a>&nbsp;</a></sObject></sObjects>", "Unknown entity"),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><sObjects/>", "A document type is not allowed"),
            ("<sObjects><sObject><a>1</a><A>2</A></sObject></sObjects>", "Duplicate field name"),
            ("<sObjects><sObject><a><sObject/><sObject/></a></sObject></sObjects>", "one parent"),
            (&deep, "Unexpected element c"),
        ] {
            let told = cut(text).unwrap_err();
            assert!(told.starts_with("Failed to parse XML. ") && told.contains(problem), "{told}");
        }
    }
}
