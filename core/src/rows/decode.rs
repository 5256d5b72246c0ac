//! Pages of raw records → typed rows.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use bytes::buf::{Chain, Reader};
use bytes::{Buf, Bytes};
use csv::ByteRecord;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::decode_xml::Element;
use super::pages::{BETWEEN, Rows};
use crate::error::{Error, ErrorKind};
use crate::info::Syntax;
use crate::xml;

/// Decodes the rows of a result, page by page, with serde.
///
/// Fields are matched by their names as serde does: exactly, with `rename` and `alias`.
///
/// - **CSV**: an empty cell is `None` for an `Option`: such results do not tell null from an empty
///   text (topic "Bulk Query Results" of the vendor's guide). A parent's field is a column with a
///   dot in its name, `Owner.Name`.
/// - **JSON**: a parent is an object, or null; `attributes` is a field like others. Dates and times
///   are numbers: see [`Moment`](super::Moment).
/// - **XML**: text is read into the numbers and truth values that the type wants; `xsi:nil` is
///   `None`, and an empty element is an empty text. A parent is a struct, a repeated element a list;
///   `type` is a field like others, attributes are not told. The `Id`, which the service writes
///   twice, comes once.
///
/// ```
/// use sfbulk::rows::{Decoder, Framer};
///
/// #[derive(serde::Deserialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Contact { email: Option<String> }
///
/// let mut framer = Framer::new(None);
/// framer.push(b"\"Email\"\n\"ada@example.com\"\n\"\"\n");
/// let mut contacts = Decoder::<Contact>::new();
/// contacts.push(&framer.finish()?.0.expect("two rows"));
/// assert_eq!(contacts.next().expect("a row")?.email.as_deref(), Some("ada@example.com"));
/// assert_eq!(contacts.next().expect("a row")?.email, None);
/// assert!(contacts.next().is_none(), "it wants the next page");
/// # Ok::<(), sfbulk::Error>(())
/// ```
pub struct Decoder<T> {
    pages: VecDeque<Page>,
    record: ByteRecord,
    rows: PhantomData<fn() -> T>,
}

type Text = Chain<Chain<Bytes, &'static [u8]>, Bytes>;

struct Page {
    records: Records,
    row: u64,
}

/// What of a page is left.
enum Records {
    /// The header comes first: so the reader knows it, and takes no record's beginning for a byte
    /// order mark.
    Csv(Box<csv::Reader<Reader<Text>>>),
    Xml(Bytes),
    Json(Bytes),
}

/// The next row of a page. One that does not fit its type is a flaw of its own; nothing can be told
/// of what follows one that cannot be read at all.
enum Next<T> {
    Row(T),
    Unfit(String),
    Broken(String),
    NoMore,
}

impl<T: DeserializeOwned> Decoder<T> {
    /// Without any page.
    pub fn new() -> Self {
        Self { pages: VecDeque::new(), record: ByteRecord::new(), rows: PhantomData }
    }

    /// Takes the next page; this copies nothing.
    pub fn push(&mut self, page: &Rows) {
        let records = match page.syntax {
            Syntax::Csv => {
                let text = page.header.clone().chain(&b"\n"[..]).chain(page.records.clone());
                Records::Csv(Box::new(csv::Reader::from_reader(text.reader())))
            }
            Syntax::Xml => Records::Xml(page.records.clone()),
            Syntax::Json => Records::Json(page.records.clone()),
        };
        let row = page.have.rows.saturating_sub(page.count);
        self.pages.push_back(Page { records, row });
    }

    /// The next row; `None` wants the next page.
    ///
    /// Fails with [`ErrorKind::Incomplete`], naming the row and what is wrong with it, if a row does
    /// not fit the type; the next call goes on with the row after it.
    #[allow(clippy::should_implement_trait)] // an iterator's `None` is its end
    pub fn next(&mut self) -> Option<Result<T, Error>> {
        loop {
            let page = self.pages.front_mut()?;
            let next = match &mut page.records {
                Records::Csv(reader) => from_csv(reader, &mut self.record),
                Records::Xml(rest) => from_xml(rest),
                Records::Json(rest) => from_json(rest),
            };
            let row = page.row;
            page.row += 1;
            if matches!(next, Next::NoMore | Next::Broken(_)) {
                self.pages.pop_front();
            }
            match next {
                Next::NoMore => {}
                Next::Row(value) => return Some(Ok(value)),
                Next::Unfit(why) | Next::Broken(why) => {
                    return Some(Err(unfit(&why).of_rows(row..row + 1)));
                }
            }
        }
    }
}

fn from_csv<T: DeserializeOwned>(
    reader: &mut csv::Reader<Reader<Text>>,
    record: &mut ByteRecord,
) -> Next<T> {
    match reader.read_byte_record(record) {
        Ok(false) => return Next::NoMore,
        Ok(true) => {}
        Err(error) => return Next::Broken(error.to_string()),
    }
    let header = match reader.byte_headers() {
        Ok(header) => header,
        Err(error) => return Next::Broken(error.to_string()),
    };
    let error = match record.deserialize(Some(header)) {
        Ok(row) => return Next::Row(row),
        Err(error) => error,
    };
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else {
        return Next::Unfit(error.to_string());
    };
    let column = err.field().and_then(|field| header.get(usize::try_from(field).ok()?));
    Next::Unfit(match column {
        Some(name) => format!("column {:?}: {}", String::from_utf8_lossy(name), err.kind()),
        None => err.kind().to_string(),
    })
}

fn from_json<T: DeserializeOwned>(rest: &mut Bytes) -> Next<T> {
    if rest.is_empty() {
        return Next::NoMore;
    }
    let mut rows = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
    let (row, mut length) = (rows.next(), rows.byte_offset());
    let next = match row {
        Some(Ok(row)) => Next::Row(row),
        None => Next::NoMore,
        Some(Err(error)) => {
            let mut skipped = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
            if !matches!(skipped.next(), Some(Ok(_))) {
                return Next::Broken(error.to_string());
            }
            length = skipped.byte_offset();
            Next::Unfit(error.to_string())
        }
    };
    rest.advance(length);
    if rest.starts_with(BETWEEN) {
        rest.advance(BETWEEN.len());
    }
    next
}

fn from_xml<T: DeserializeOwned>(rest: &mut Bytes) -> Next<T> {
    match xml::record(rest) {
        Ok(None) => Next::NoMore,
        Ok(Some((tree, length))) => {
            rest.advance(length);
            T::deserialize(Element(tree)).map_or_else(|e| Next::Unfit(e.to_string()), Next::Row)
        }
        Err(why) => Next::Broken(why),
    }
}

fn unfit(why: &str) -> Error {
    Error::new(ErrorKind::Incomplete, format!("a row of the result does not fit its type: {why}"))
}

impl<T: DeserializeOwned> Default for Decoder<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Decoder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({} pages)", self.pages.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Framer;
    use super::super::moment::Moment;
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Contact {
        name: String,
        age: Option<u8>,
    }

    fn decode(text: &str) -> Vec<Result<Contact, Error>> {
        decode_as(Syntax::Csv, text)
    }

    fn decode_as<T: DeserializeOwned>(syntax: Syntax, text: &str) -> Vec<Result<T, Error>> {
        let (mut framer, mut decoder) = (Framer::with_syntax(syntax, None), Decoder::new());
        for piece in text.as_bytes().chunks(100) {
            framer.push(piece);
            framer.page().unwrap().iter().for_each(|page| decoder.push(page));
        }
        framer.finish().unwrap().0.iter().for_each(|page| decoder.push(page));
        std::iter::from_fn(|| decoder.next()).collect()
    }

    #[test]
    fn rows_come_typed_and_in_order() {
        let mut text = String::from("Age,Id,Name\n");
        text.extend((0..100).map(|n| format!("{n},x,\"a, \"\"{n}\"\"\"\n")));
        text += ",x,\u{feff}z";
        let rows: Vec<_> = decode(&text).into_iter().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 101);
        assert_eq!(rows[99], Contact { name: "a, \"99\"".into(), age: Some(99) });
        assert_eq!(rows[100], Contact { name: "\u{feff}z".into(), age: None });
    }

    #[test]
    fn an_error_names_the_row_and_the_column_and_the_next_row_follows() {
        let text = format!("Name,Age\n{}b,old\nc,7\n", "a,1\n".repeat(100));
        let rows = decode(&text);
        let error = rows[100].as_ref().unwrap_err();
        assert_eq!((error.kind(), error.rows()), (ErrorKind::Incomplete, Some(100..101)));
        assert!(error.to_string().contains("column \"Age\""), "{error}");
        assert_eq!(rows[101].as_ref().unwrap().age, Some(7));
    }

    /// What the guide's samples have in them.
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Event {
        #[serde(rename = "type")]
        kind: Option<String>,
        id: Option<String>,
        subject: Option<String>,
        is_all_day: bool,
        amount: Option<f64>,
        starts: Option<Moment>,
        who: Option<Who>,
        notes: Option<Notes>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Who {
        last_name: String,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Notes {
        records: Vec<Note>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Note {
        id: String,
    }

    const XML: &str = "<?xml version=\"1.0\"?><queryResult xmlns:xsi=\"x\">\
        <records xsi:type=\"sObject\"><type>Event</type><Id>e</Id><Id>e</Id><Subject> &lt;<![CDATA[&]]>&#10;</Subject>\
        <IsAllDay>true</IsAllDay><Amount>-1.5E7</Amount><Starts>3156-11-08T06:40:00.000Z</Starts>\
        <Who xsi:type=\"sObject\"><type>Lead</type><Id xsi:nil=\"true\"/><LastName>Ray</LastName></Who>\
        <Notes><done>true</done><records><Id>1</Id><Id>1</Id></records><records><Id>2</Id></records><size>2</size></Notes></records>\
        <records><type>Event</type><Id xsi:nil=\"true\"/><Subject></Subject><IsAllDay>false</IsAllDay><Who xsi:nil=\"true\"/></records>\
        <records><IsAllDay>maybe</IsAllDay></records>\
        <records><IsAllDay>true</IsAllDay><Subject xsi:nil=\"true\"/><Notes><records><Id>3</Id></records></Notes></records>\
        </queryResult>";

    const JSON: &str = r#"[ {"attributes": {"type": "Event"}, "type": "Event", "Id": "e", "Subject": " <&\n", "IsAllDay": true, "Amount": -1.5E7,
        "Starts": 37453473600000, "Who": {"attributes": {"type": "Lead"}, "LastName": "Ray"},
        "Notes": {"records": [{"Id": "1"}, {"Id": "2"}]} },
        {"type": "Event", "Id": null, "Subject": "", "IsAllDay": false, "Who": null}, {"IsAllDay": "maybe"} ,
        {"IsAllDay": true, "Subject": null, "Notes": {"records": [{"Id": "3"}]}}]"#;

    #[test]
    fn xml_and_json_say_the_same() {
        let rows = decode_as::<Event>(Syntax::Xml, XML);
        let json = decode_as::<Event>(Syntax::Json, JSON);
        assert_eq!((rows.len(), json.len()), (4, 4));
        for n in [0, 1, 3] {
            assert_eq!(rows[n].as_ref().unwrap(), json[n].as_ref().unwrap());
        }
        for error in [&rows[2], &json[2]].map(|row| row.as_ref().unwrap_err()) {
            assert_eq!((error.kind(), error.rows()), (ErrorKind::Incomplete, Some(2..3)));
            assert!(error.to_string().contains("maybe"), "{error}");
        }
        let row = rows[0].as_ref().unwrap();
        assert_eq!((row.id.as_deref(), row.subject.as_deref()), (Some("e"), Some(" <&\n")));
        assert_eq!(row.notes.as_ref().unwrap().records.len(), 2);
        let row = rows[1].as_ref().unwrap();
        assert_eq!((&row.id, row.subject.as_deref(), &row.who), (&None, Some(""), &None));
    }

    #[test]
    fn nothing_is_made_of_a_record_that_cannot_be_read() {
        let broken = [
            (Syntax::Xml, "<queryResult><records/><records><a>&nbsp;</a></records></queryResult>"),
            (Syntax::Xml, "<queryResult><records/><records><a></b></records></queryResult>"),
            (Syntax::Json, "[{},{\"a\" 1}]"),
        ];
        for (syntax, text) in broken {
            let rows = decode_as::<std::collections::BTreeMap<String, String>>(syntax, text);
            assert_eq!(rows.len(), 2, "{rows:?}");
            assert!(rows[0].as_ref().unwrap().is_empty());
            assert_eq!(rows[1].as_ref().unwrap_err().rows(), Some(1..2));
        }
    }
}
