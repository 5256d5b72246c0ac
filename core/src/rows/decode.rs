//! Pages of raw records → typed rows.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use bytes::buf::{Chain, Reader};
use bytes::{Buf, Bytes};
use csv::ByteRecord;
use serde::de::DeserializeOwned;

use super::frame::Rows;
use crate::error::{Error, ErrorKind};

/// Decodes the rows of a result, page by page, with serde.
///
/// Columns are matched by their names as serde does: exactly, with `rename` and `alias`. An empty
/// cell is `None` for an `Option`: CSV results do not tell null from an empty text (topic "Bulk
/// Query Results" of the vendor's guide).
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
    /// The header comes first: so the reader knows it, and takes no record's beginning for a byte
    /// order mark.
    reader: csv::Reader<Reader<Text>>,
    row: u64,
}

impl<T: DeserializeOwned> Decoder<T> {
    /// Without any page.
    pub fn new() -> Self {
        Self { pages: VecDeque::new(), record: ByteRecord::new(), rows: PhantomData }
    }

    /// Takes the next page; this copies nothing.
    pub fn push(&mut self, page: &Rows) {
        let text = page.header.clone().chain(&b"\n"[..]).chain(page.records.clone());
        let row = page.have.rows.saturating_sub(page.count);
        self.pages.push_back(Page { reader: csv::Reader::from_reader(text.reader()), row });
    }

    /// The next row; `None` wants the next page.
    ///
    /// Fails with [`ErrorKind::Incomplete`], naming the row and the column, if a row does not fit
    /// the type; the next call goes on with the row after it.
    #[allow(clippy::should_implement_trait)] // an iterator's `None` is its end
    pub fn next(&mut self) -> Option<Result<T, Error>> {
        loop {
            let page = self.pages.front_mut()?;
            match page.reader.read_byte_record(&mut self.record) {
                Ok(false) => _ = self.pages.pop_front(),
                Ok(true) => {
                    let row = page.row;
                    page.row += 1;
                    return Some(
                        page.decode(&self.record).map_err(|error| error.of_rows(row..row + 1)),
                    );
                }
                Err(error) => {
                    let row = page.row;
                    self.pages.pop_front();
                    return Some(Err(unreadable(&error.to_string()).of_rows(row..row + 1)));
                }
            }
        }
    }
}

impl Page {
    fn decode<T: DeserializeOwned>(&mut self, record: &ByteRecord) -> Result<T, Error> {
        let header = self.reader.byte_headers().map_err(|error| unreadable(&error.to_string()))?;
        record.deserialize(Some(header)).map_err(|error| {
            let csv::ErrorKind::Deserialize { err, .. } = error.kind() else {
                return unreadable(&error.to_string());
            };
            let column = err.field().and_then(|field| header.get(usize::try_from(field).ok()?));
            match column {
                Some(name) => unreadable(&format!(
                    "column {:?}: {}",
                    String::from_utf8_lossy(name),
                    err.kind()
                )),
                None => unreadable(&err.kind().to_string()),
            }
        })
    }
}

fn unreadable(why: &str) -> Error {
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
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Contact {
        name: String,
        age: Option<u8>,
    }

    fn decode(text: &str) -> Vec<Result<Contact, Error>> {
        let (mut framer, mut decoder) = (Framer::new(None), Decoder::new());
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
}
