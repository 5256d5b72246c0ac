//! A query's result as one document.

use super::pages::{BETWEEN, Rows};
use crate::info::Syntax;
use crate::xml::{NAMESPACE, PROLOG};

/// Puts the pages of a query together to one document, their records as the server wrote them,
/// whatever the number of files: a CSV text with one header, a JSON list, or a `queryResult` in XML.
///
/// ```
/// use sfbulk::Syntax;
/// use sfbulk::rows::{Framer, Text};
///
/// let mut framer = Framer::new(None);
/// framer.push(b"\"Id\"\n\"a\"\n");
/// let (page, _) = framer.finish()?;
/// let mut text = Text::new(Syntax::Csv);
/// let pieces = page.iter().flat_map(|rows| text.pieces(rows)).collect::<Vec<_>>().concat();
/// assert_eq!(pieces, b"\"Id\"\n\"a\"\n");
/// assert_eq!(text.end(None), "");
/// assert_eq!(Text::new(Syntax::Csv).end(Some(vec!["Id", "Name"])), "\"Id\",\"Name\"\n");
/// assert_eq!(Text::new(Syntax::Json).end(None), "[\n]\n");
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Text {
    syntax: Syntax,
    begun: bool,
    /// The name of the root, in XML: what closes it must be what opened it.
    root: String,
}

impl Text {
    /// Nothing of it was written yet.
    pub fn new(syntax: Syntax) -> Self {
        Self { syntax, ..Self::default() }
    }

    /// What to write of this page, piece after piece.
    pub fn pieces<'a>(&mut self, rows: &'a Rows) -> [&'a [u8]; 4] {
        let first = !std::mem::replace(&mut self.begun, true);
        match self.syntax {
            Syntax::Csv if first => [&rows.header, b"\n", &rows.records, b""],
            Syntax::Xml if first => {
                let name = rows.header.split(|byte| b"< \t\r\n>".contains(byte)).nth(1);
                self.root = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
                [PROLOG.as_bytes(), &rows.header, b"\n", &rows.records]
            }
            Syntax::Csv | Syntax::Xml => [b"", b"", b"", &rows.records],
            Syntax::Json => [if first { b"[\n" } else { BETWEEN }, b"", b"", &rows.records],
        }
    }

    /// What is left to write when there are no more pages. A CSV result without rows may have come
    /// without a header; it gets the query's columns, if they are known.
    pub fn end(self, columns: Option<Vec<&str>>) -> String {
        match (self.syntax, columns) {
            (Syntax::Csv, Some(columns)) if !self.begun => {
                format!("\"{}\"\n", columns.join("\",\""))
            }
            (Syntax::Csv, _) => String::new(),
            (Syntax::Json, _) if self.begun => "\n]\n".into(),
            (Syntax::Json, _) => "[\n]\n".into(),
            (Syntax::Xml, _) if self.begun => format!("</{}>\n", self.root),
            (Syntax::Xml, _) => format!("{PROLOG}<queryResult xmlns=\"{NAMESPACE}\"/>\n"),
        }
    }
}
