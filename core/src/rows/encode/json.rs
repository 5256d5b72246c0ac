//! A row as a JSON object (topic "Valid JSON Records" of the vendor's guide). What is absent is
//! left out, what is null is `null`; numbers and booleans are bare.

use super::nested::Notation;
use super::refused::{Refused, refused};
use super::row::Value;

#[derive(Debug)]
pub(super) enum Json {}

impl Notation for Json {
    fn open_record(to: &mut Vec<u8>) {
        to.push(b'{');
    }

    fn open_parent(to: &mut Vec<u8>, parent: &str, kind: Option<&str>) {
        key(to, parent);
        to.push(b'{');
        if let Some(kind) = kind {
            to.extend_from_slice(b"\"attributes\":{\"type\":\"");
            to.extend_from_slice(kind.as_bytes());
            to.extend_from_slice(b"\"}");
        }
    }

    fn field(to: &mut Vec<u8>, name: &str, value: Value<'_>) -> Result<(), Refused> {
        key(to, name);
        match value {
            Value::Absent | Value::Null => to.extend_from_slice(b"null"),
            Value::Literal(text) => to.extend_from_slice(text.as_bytes()),
            Value::Text(text) => serde_json::to_writer(to, text).map_err(refused)?,
        }
        Ok(())
    }

    fn close_parent(to: &mut Vec<u8>, _: &str) {
        to.push(b'}');
    }

    fn close_record(to: &mut Vec<u8>) {
        to.push(b'}');
    }
}

/// A member's name, after a comma unless the object has just begun: no value ends in a brace.
fn key(to: &mut Vec<u8>, name: &str) {
    if to.last() != Some(&b'{') {
        to.push(b',');
    }
    to.push(b'"');
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(b"\":");
}
