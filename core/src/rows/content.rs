//! What a batch says, whatever it looks like: by this a batch is found on the server, when the answer
//! to it was lost.
//!
//! The server gives a batch's text back, but nobody has promised that it is the same to the byte. So
//! what is compared is what the API would read: rows of cells in CSV; in JSON and XML, records of
//! members, each with its path, what it is, and its value. The order of the members does not count,
//! nor do white space around them, comments, prefixes of names, or in which of its ways a
//! character is written. Whether a value is absent, empty or null does.

use std::fmt;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::batch::input;
use crate::error::Error;
use crate::info::{ContentType, Syntax};
use crate::print::{Fingerprint, Printer};
use crate::xml;

/// How deep members nest at most: a parent, an `sObject` in XML or the `attributes` in JSON, a field;
/// and one more.
const DEPTH: usize = 4;

/// The fingerprint of what a batch says; of an archive, that of its bytes.
///
/// Fails with [`ErrorKind::Input`](crate::ErrorKind::Input) if it is no such batch.
pub(crate) fn content(of: &ContentType, body: &[u8]) -> Result<Fingerprint, Error> {
    if of.is_zip() {
        return Ok(Fingerprint::of(body));
    }
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    match of.syntax() {
        Syntax::Csv => csv(body).map_err(|e| input(format!("this is no CSV: {e}"))),
        Syntax::Json => json(body).map_err(|e| input(format!("this is no batch of JSON: {e}"))),
        Syntax::Xml => xml(body).map_err(|e| input(format!("this is no batch of XML: {e}"))),
    }
}

/// Quoting, line ends and blank lines do not count.
fn csv(text: &[u8]) -> Result<Fingerprint, csv::Error> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let (mut record, mut printer) = (csv::ByteRecord::new(), Printer::default());
    while reader.read_byte_record(&mut record)? {
        printer.add(&(record.len() as u64).to_le_bytes());
        for cell in &record {
            printer.add(&(cell.len() as u64).to_le_bytes());
            printer.add(cell);
        }
    }
    Ok(printer.so_far())
}

/// The members of the record at hand.
#[derive(Default)]
struct Members {
    /// The names that lead to the one at hand.
    path: Vec<String>,
    prints: Vec<Fingerprint>,
}

impl Members {
    /// Takes the member at hand. No kind is a name, so a path ends where it does.
    fn add(&mut self, kind: &str, value: &str) {
        let path = self.path.iter().map(String::as_str);
        let cells = path.chain([kind, value]).map(str::as_bytes);
        self.prints.push(Fingerprint::of_cells(cells));
    }

    /// Ends the record.
    fn end(&mut self, printer: &mut Printer) {
        self.prints.sort_unstable();
        printer.add(&(self.prints.len() as u64).to_le_bytes());
        for print in self.prints.drain(..) {
            printer.add(&print.to_bytes());
        }
    }
}

fn json(text: &[u8]) -> Result<Fingerprint, serde_json::Error> {
    let (mut reader, mut printer) =
        (serde_json::Deserializer::from_slice(text), Printer::default());
    reader.deserialize_seq(Records(&mut printer))?;
    reader.end()?;
    Ok(printer.so_far())
}

/// A list of records.
struct Records<'p>(&'p mut Printer);

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        let mut members = Members::default();
        while records.next_element_seed(Member(&mut members))?.is_some() {
            members.end(self.0);
        }
        Ok(())
    }
}

/// A record, if no path leads to it; else a member.
struct Member<'m>(&'m mut Members);

impl Member<'_> {
    fn add<E: serde::de::Error>(self, kind: &str, value: &str) -> Result<(), E> {
        if self.0.path.is_empty() {
            return Err(E::custom("a record is an object"));
        }
        self.0.add(kind, value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or an object")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.add("=text", text)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.add("=bool", if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.add("=number", &number.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.add("=number", &number.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.add("=number", &number.to_string())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.add("=null", "")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let members = self.0;
        if members.path.len() == DEPTH {
            return Err(A::Error::custom("nested too deep"));
        }
        let mut empty = true;
        while let Some(name) = object.next_key::<String>()? {
            if members.path.is_empty() && matches!(&*name, "errorCode" | "exceptionCode") {
                return Err(A::Error::custom("an error, not a record"));
            }
            empty = false;
            members.path.push(name);
            object.next_value_seed(Member(members))?;
            members.path.pop();
        }
        if empty && !members.path.is_empty() {
            members.add("=empty", "");
        }
        Ok(())
    }
}

/// An element that is open.
struct Element {
    nil: bool,
    text: String,
    /// Whether there are elements in it, and so no text of its own.
    nests: bool,
}

fn xml(text: &[u8]) -> Result<Fingerprint, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let (mut reader, mut walk) = (Reader::from_str(text), Walk::default());
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(tag) => walk.open(&tag)?,
            Event::Empty(tag) => {
                walk.open(&tag)?;
                walk.close()?;
            }
            Event::End(_) => walk.close()?, // the reader has checked that the names agree
            Event::DocType(_) => return Err("a DTD".into()),
            Event::Eof if walk.rooted && walk.open.is_empty() => return Ok(walk.printer.so_far()),
            Event::Eof => return Err("the document is cut off".into()),
            event => {
                let text = xml::text_of(&event)?;
                match walk.open.last_mut() {
                    Some(element) => element.text.push_str(&text),
                    None => refuse_text(&text)?,
                }
            }
        }
    }
}

/// Where in a document the reader is: `sObjects`, `sObject`, members.
#[derive(Default)]
struct Walk {
    printer: Printer,
    rooted: bool,
    open: Vec<Element>,
    /// Their path begins below the `sObject`.
    members: Members,
}

/// The depth of a record's element.
const RECORD: usize = 2;

impl Walk {
    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = tag.local_name().as_ref().to_owned();
        match self.open.len() {
            0 if self.rooted => return Err("two roots".into()),
            0 if name != "sObjects" => return Err(format!("<{name}>, not <sObjects>")),
            1 if name != "sObject" => return Err(format!("<{name}>, not <sObject>")),
            0 | 1 => self.rooted = true,
            depth if depth == RECORD + DEPTH => return Err("nested too deep".into()),
            _ => self.members.path.push(name),
        }
        if let Some(around) = self.open.last_mut() {
            around.nests = true;
        }
        self.open.push(Element { nil: xml::is_nil(tag)?, text: String::new(), nests: false });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let depth = self.open.len();
        let Some(element) = self.open.pop() else { return Ok(()) };
        if element.nests || depth <= RECORD {
            refuse_text(&element.text)?;
        } else if element.nil {
            self.members.add("=nil", "");
        } else {
            self.members.add("=text", &element.text);
        }
        if depth == RECORD {
            self.members.end(&mut self.printer);
        }
        self.members.path.pop();
        Ok(())
    }
}

/// Between elements there is nothing but white space.
fn refuse_text(text: &str) -> Result<(), String> {
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Ok(());
    }
    Err("text between elements".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of these say the same, and none of the others does.
    fn compare(of: &ContentType, same: &[&str], others: &[&str]) {
        let print = |text: &str| content(of, text.as_bytes()).unwrap();
        for text in same {
            assert_eq!(print(same[0]), print(text), "{text}");
        }
        for text in others {
            assert_ne!(print(same[0]), print(text), "{text}");
        }
    }

    fn refused(of: &ContentType, text: &str) -> String {
        content(of, text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn looks_do_not_count_but_cells_do() {
        let same = [
            "A,B\nx,\"y \"\"z\"\"\"\n",
            "\u{feff}A,B\r\nx,\"y \"\"z\"\"\"",
            "\"A\",\"B\"\n\n\"x\",\"y \"\"z\"\"\"\n\n",
            "A,B\rx,\"y \"\"z\"\"\"\r",
        ];
        let others = [
            "A,B\nx,y",
            "A,B\nx,\"y \"\"z\"\"\"\nx,y",
            "A,B,x\n\"y \"\"z\"\"\"",
            "A\nB\nx\n\"y \"\"z\"\"\"",
        ];
        compare(&ContentType::Csv, &same, &others);
    }

    #[test]
    fn members_of_json_count_and_their_order_does_not() {
        let same = [
            r#"[{"A":"é\n","B":{"C":1,"attributes":{"type":"T"}}},{"D":null}]"#,
            "\u{feff}[\n {\"B\": {\"attributes\": {\"type\": \"T\"}, \"C\": 1},\n  \"A\": \"\\u00e9\\u000a\"},\r\n {\"D\": null} ]\n",
        ];
        let others = [
            r#"[{"A":"é\n","B":{"C":1,"attributes":{"type":"T"}},"D":null}]"#,
            r#"[{"D":null},{"A":"é\n","B":{"C":1,"attributes":{"type":"T"}}}]"#,
            r#"[{"A":"é\n","B":{"C":1,"attributes":{"type":"T"}}},{"D":""}]"#,
            r#"[{"A":"é\n","B":{"C":1,"attributes":{"type":"T"}}},{}]"#,
            r#"[{"A":"é\n","B":{"C":"1","attributes":{"type":"T"}}},{"D":null}]"#,
            r#"[{"A":"é\n","C":1,"B":{"attributes":{"type":"T"}}},{"D":null}]"#,
            r#"[{"A":"é\n","B":{"C":1,"attributes":{"type":"T"}}},{"D":null},{"D":null}]"#,
        ];
        compare(&ContentType::Json, &same, &others);
    }

    #[test]
    fn members_of_xml_count_and_their_looks_do_not() {
        let same = [
            "<sObjects xmlns=\"x\" xmlns:xsi=\"y\"><sObject><A> é&amp;&#13;</A><B><sObject><C>1</C></sObject></B></sObject><sObject><D xsi:nil=\"true\"/><E></E></sObject></sObjects>",
            "<?xml version=\"1.0\"?>\n<d:sObjects xmlns:d=\"x\">\n <d:sObject>\n  <d:B> <d:sObject><d:C>1</d:C></d:sObject></d:B><!-- no -->\n  <d:A> &#233;<![CDATA[&]]>&#xd;</d:A></d:sObject>\n\
             <d:sObject><d:E/><d:D i:nil='1'></d:D></d:sObject></d:sObjects>\n",
        ];
        let others = [
            "<sObjects/>",
            "<sObjects><sObject><A> é&amp;&#13;</A><B><sObject><C>1</C></sObject></B></sObject><sObject><D/><E></E></sObject></sObjects>",
            "<sObjects><sObject><A> é&amp;&#13;</A><B><sObject><C>1</C></sObject></B></sObject><sObject><D nil=\"true\"/></sObject></sObjects>",
            "<sObjects><sObject><A>é&amp;&#13;</A><B><sObject><C>1</C></sObject></B></sObject><sObject><D nil=\"true\"/><E/></sObject></sObjects>",
            "<sObjects><sObject><A> é&amp;&#13;</A><B><C>1</C></B></sObject><sObject><D nil=\"true\"/><E/></sObject></sObjects>",
        ];
        compare(&ContentType::Xml, &same, &others);
    }

    #[test]
    fn an_archive_says_its_bytes() {
        compare(&ContentType::ZipXml, &["PK\u{3}"], &["PK\u{3} ", "\u{feff}PK\u{3}"]);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let deep = "[".to_owned() + &r#"{"a":"#.repeat(100_000);
        for (text, why) in [
            (&*deep, "nested too deep"),
            ("[1]", "a record is an object"),
            (r#"[{"a":[]}]"#, "expected a value or an object"),
            (r#"[{"a":1}] x"#, "trailing characters"),
            (r#"[{"message":"m","errorCode":"INVALID_SESSION_ID"}]"#, "an error"),
            (r#"{"exceptionCode":"x"}"#, "expected a list of records"),
        ] {
            let told = refused(&ContentType::Json, text);
            assert!(told.contains(why), "{told}");
        }
        let deep = "<sObjects><sObject>".to_owned() + &"<a>".repeat(100_000);
        for (text, why) in [
            (&*deep, "nested too deep"),
            ("<!DOCTYPE a [<!ENTITY e \"x\">]><sObjects/>", "a DTD"),
            ("<sObjects><sObject><a>&e;</a></sObject></sObjects>", "an entity, &e;"),
            ("<sObjects/><sObjects/>", "two roots"),
            ("<error/>", "<error>, not <sObjects>"),
            ("<sObjects><a/></sObjects>", "<a>, not <sObject>"),
            ("<sObjects>x</sObjects>", "text between elements"),
            ("<sObjects><sObject>x<a/></sObject></sObjects>", "text between elements"),
            ("<sObjects/>x", "text between elements"),
            ("", "cut off"),
        ] {
            let told = refused(&ContentType::Xml, text);
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn a_batch_that_is_cut_off_is_none() {
        for (of, text) in [
            (ContentType::Json, r#"[{"A":"x","B":{"C":1}}]"#),
            (ContentType::Xml, "<sObjects><sObject><A>x</A><B/></sObject></sObjects>"),
        ] {
            assert!(content(&of, text.as_bytes()).is_ok());
            for end in 0..text.len() {
                assert!(content(&of, &text.as_bytes()[..end]).is_err(), "{}", &text[..end]);
            }
        }
    }
}
