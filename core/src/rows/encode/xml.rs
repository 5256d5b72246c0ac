//! A row as an `sObject` element (topic "Valid XML Records" of the vendor's guide). What is absent
//! is left out, what is null says so by `xsi:nil`.
//!
//! XML 1.0 cannot carry most control characters, escaped or not, so they are refused. A reader turns
//! a carriage return into a line feed; one that is data is written as a reference.

use super::nested::Notation;
use super::refused::{Refused, refused};
use super::row::Value;

#[derive(Debug)]
pub(super) enum Xml {}

impl Notation for Xml {
    fn open_record(to: &mut Vec<u8>) {
        to.extend_from_slice(b"<sObject>");
    }

    fn open_parent(to: &mut Vec<u8>, parent: &str, kind: Option<&str>) {
        tag(to, b"<", parent, b"><sObject>");
        if let Some(kind) = kind {
            tag(to, b"<type>", kind, b"</type>");
        }
    }

    fn field(to: &mut Vec<u8>, name: &str, value: Value<'_>) -> Result<(), Refused> {
        match value {
            Value::Absent | Value::Null => tag(to, b"<", name, b" xsi:nil=\"true\"/>"),
            Value::Text("") => tag(to, b"<", name, b"/>"),
            Value::Text(text) | Value::Literal(text) => {
                tag(to, b"<", name, b">");
                write_text(to, text)?;
                tag(to, b"</", name, b">");
            }
        }
        Ok(())
    }

    fn close_parent(to: &mut Vec<u8>, parent: &str) {
        tag(to, b"</sObject></", parent, b">");
    }

    fn close_record(to: &mut Vec<u8>) {
        to.extend_from_slice(b"</sObject>");
    }
}

fn tag(to: &mut Vec<u8>, before: &[u8], name: &str, after: &[u8]) {
    to.extend_from_slice(before);
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(after);
}

fn write_text(to: &mut Vec<u8>, text: &str) -> Result<(), Refused> {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'&' => b"&amp;",
            b'\r' => b"&#13;",
            b'\t' | b'\n' | 0x20..0xef | 0xf0.. => continue,
            // The two last characters of the first plane are none.
            0xef if !matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])) => continue,
            _ => return Err(not_xml(text.get(at..).and_then(|rest| rest.chars().next()))),
        };
        to.extend_from_slice(bytes.get(written..at).unwrap_or_default());
        to.extend_from_slice(escaped);
        written = at + 1;
    }
    to.extend_from_slice(bytes.get(written..).unwrap_or_default());
    Ok(())
}

fn not_xml(c: Option<char>) -> Refused {
    let code = c.map_or(0, u32::from);
    refused(format!("XML cannot carry the character U+{code:04X}; JSON and CSV can"))
}
