//! A query's result as one CSV text.

use crate::rows::frame::Rows;

/// Puts the pages of a query together to one CSV text, as the server wrote them: one header, then
/// every record.
///
/// ```
/// use sfbulk::rows::{CsvText, Framer};
///
/// let mut framer = Framer::new(None);
/// framer.push(b"\"Id\"\n\"a\"\n");
/// let (page, _) = framer.finish()?;
/// let mut text = CsvText::new();
/// let pieces = page.iter().flat_map(|rows| text.pieces(rows)).collect::<Vec<_>>().concat();
/// assert_eq!(pieces, b"\"Id\"\n\"a\"\n");
/// assert_eq!(text.end(None), "");
/// assert_eq!(CsvText::new().end(Some(vec!["Id", "Name"])), "\"Id\",\"Name\"\n");
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct CsvText {
    begun: bool,
}

impl CsvText {
    /// Nothing of it was written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to write of this page, piece after piece.
    pub fn pieces<'a>(&mut self, rows: &'a Rows) -> [&'a [u8]; 3] {
        if std::mem::replace(&mut self.begun, true) {
            [&[], &[], &rows.records]
        } else {
            [&rows.header, b"\n", &rows.records]
        }
    }

    /// What is left to write when there are no more pages. A result without rows may have come
    /// without a header; it gets the query's columns, if they are known.
    pub fn end(self, columns: Option<Vec<&str>>) -> String {
        match columns {
            Some(columns) if !self.begun => format!("\"{}\"\n", columns.join("\",\"")),
            _ => String::new(),
        }
    }
}
