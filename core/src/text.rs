//! Bytes as serde data that people can read: as text, or in hexadecimal digits if they are none.

use bytes::Bytes;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Hex { hex: String },
}

pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.serialize(to);
    }
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    let hex = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    Form::Hex { hex }.serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    match Form::deserialize(from)? {
        Form::Text(text) => Ok(text.into()),
        Form::Hex { hex } => {
            let digit = |c: u8| u8::try_from(char::from(c).to_digit(16)?).ok();
            let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
            let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
            bytes.map(Bytes::from).ok_or_else(|| D::Error::custom("no hexadecimal digits"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Body(#[serde(with = "super")] Bytes);

    #[test]
    fn bytes_come_back_whatever_they_are() {
        let forms =
            [(&b""[..], r#""""#), (b"a\n", r#""a\n""#), (b"\xffP\x00", r#"{"hex":"ff5000"}"#)];
        for (bytes, json) in forms {
            let body = Body(Bytes::from_static(bytes));
            assert_eq!(serde_json::to_string(&body).unwrap(), json);
            assert_eq!(serde_json::from_str::<Body>(json).unwrap(), body);
        }
        for bad in [r#"{"hex":"f"}"#, r#"{"hex":"é1"}"#, "[1]", r#"{"hex":"-1"}"#] {
            assert!(serde_json::from_str::<Body>(bad).is_err(), "{bad}");
        }
    }
}
