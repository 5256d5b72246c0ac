//! Query results → pages of whole, raw records.
//!
//! Nothing is decoded: the framer finds where records end, drops what stands around them, counts,
//! and passes the bytes on. It keeps a running fingerprint, so that a transfer that broke can go
//! on: read the file again, and swallow what the application has, if it is still the same.
//!
//! How a record is found is a matter of the syntax; what holds for all of them is here. A file is
//! read in one pass, whatever pieces it comes in; what is held is one record and one piece. The
//! records before a flaw are given out, and then the error.

use bytes::Bytes;

use super::frame_csv::Csv;
use super::frame_json::{self, Json};
use super::frame_xml::{self, Xml};
use super::inlet::Inlet;
use super::pages::{Framed, Have, Pages, Rows};
use crate::error::Error;
use crate::info::Syntax;

/// Splits one result file into pages of whole records.
///
/// ```
/// use sfbulk::rows::Framer;
///
/// let mut framer = Framer::new(None);
/// framer.push(b"\"Id\",\"Name\"\n\"0015g00000Xb1cCAAR\",\"Fabrikam & Sons\"\n\"0015g00000Xb2dDAAR\",\"He said \"\"hi\"\"\"");
/// let (rows, framed) = framer.finish()?;
/// let rows = rows.expect("the two that no page had");
/// assert_eq!(rows.header, "\"Id\",\"Name\"");
/// assert!(rows.records.ends_with(b",\"He said \"\"hi\"\"\"\n"));
/// assert_eq!((rows.count, framed.rows), (2, 2));
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Debug)]
pub struct Framer {
    inlet: Inlet,
    /// Whether a byte order mark would have been seen by now.
    begun: bool,
    scan: Scan,
    pages: Pages,
}

/// Where records end.
///
/// Each of these looks at the text that is not done with: as far as it can tell anything, and never
/// twice at a byte. It hands whole records on, and says how much of the text is of no more use.
#[derive(Debug)]
enum Scan {
    Csv(Csv),
    Xml(Xml),
    Json(Json),
}

impl Framer {
    /// Before the first byte of a CSV file; `have` is what the application already has of it.
    pub fn new(have: Option<Have>) -> Self {
        Self::with_syntax(Syntax::Csv, have)
    }

    /// Before the first byte of a file of this syntax.
    pub fn with_syntax(syntax: Syntax, have: Option<Have>) -> Self {
        let scan = match syntax {
            Syntax::Csv => Scan::Csv(Csv::default()),
            Syntax::Xml => Scan::Xml(Xml::default()),
            Syntax::Json => Scan::Json(Json::default()),
        };
        Self { inlet: Inlet::default(), begun: false, scan, pages: Pages::new(have) }
    }

    /// Room for the next piece of the body, at least 64 KiB.
    pub fn space(&mut self) -> &mut [u8] {
        self.inlet.space()
    }

    /// Says that `n` bytes of the [`space`](Self::space) were filled; 0 says the body has ended.
    pub fn filled(&mut self, n: usize) {
        self.inlet.filled(n);
    }

    /// Takes a piece of the body; an empty one is not the end.
    pub fn push(&mut self, piece: &[u8]) {
        self.inlet.push(piece);
    }

    /// The whole records so far that no page had; `None` if there are none.
    ///
    /// Fails with [`ErrorKind::Incomplete`](crate::ErrorKind::Incomplete) if the text cannot be a
    /// result (a row of CSV with more or fewer cells than the header, a document of another kind),
    /// if a record is longer than 16 MiB, or if the rows the application already has are not those
    /// of the file.
    pub fn page(&mut self) -> Result<Option<Rows>, Error> {
        self.scan(false);
        if let Some(rows) = self.hand_out() {
            return Ok(Some(rows));
        }
        self.pages.failed().cloned().map_or(Ok(None), Err)
    }

    /// Says that the body has ended, whole. Returns the records that no page had; if the file has
    /// none, a page with none, for its header's sake.
    ///
    /// Fails as [`page`](Self::page) does, and if the body ends where no result can end, or before
    /// the rows that the application already has.
    pub fn finish(&mut self) -> Result<(Option<Rows>, Framed), Error> {
        self.inlet.end();
        self.scan(true);
        if self.pages.failed().is_none() {
            let text = self.inlet.text();
            match &mut self.scan {
                Scan::Csv(csv) => csv.end(text, &mut self.pages),
                Scan::Xml(xml) => xml.end(text, &mut self.pages),
                Scan::Json(json) => json.end(&mut self.pages),
            }
            self.pages.end();
        }
        if let Some(error) = self.pages.failed() {
            return Err(error.clone());
        }
        let print = match &self.scan {
            Scan::Csv(csv) => csv.print(),
            Scan::Xml(_) | Scan::Json(_) => None,
        };
        let framed = Framed { rows: self.pages.rows(), header: print };
        let mut last = self.hand_out();
        if framed.rows == 0 && !self.header().is_empty() {
            last = Some(self.pages.rows_of(self.syntax(), &self.header(), Bytes::new()));
        }
        Ok((last, framed))
    }

    fn scan(&mut self, ended: bool) {
        if !self.begun {
            self.begun = self.inlet.strip_mark().is_some();
        }
        if self.begun && self.pages.failed().is_none() {
            let text = self.inlet.text();
            let done = match &mut self.scan {
                Scan::Csv(csv) => csv.scan(text, ended, &mut self.pages),
                Scan::Xml(xml) => xml.scan(text, &mut self.pages),
                Scan::Json(json) => json.scan(text, ended, &mut self.pages),
            };
            self.inlet.consume(done);
        }
    }

    fn hand_out(&mut self) -> Option<Rows> {
        self.pages.hand_out(self.syntax(), &self.header())
    }

    fn syntax(&self) -> Syntax {
        match &self.scan {
            Scan::Csv(_) => Syntax::Csv,
            Scan::Xml(_) => Syntax::Xml,
            Scan::Json(_) => Syntax::Json,
        }
    }

    fn header(&self) -> Bytes {
        match &self.scan {
            Scan::Csv(csv) => csv.header(),
            Scan::Xml(xml) => xml.header(),
            Scan::Json(_) => Bytes::new(),
        }
    }
}

/// Whether a text of this syntax that begins so (without a byte order mark) is a result, and not
/// another document. `false` may also mean that it is too early to tell.
pub(crate) fn is_result(syntax: Syntax, beginning: &[u8]) -> bool {
    match syntax {
        Syntax::Csv => true,
        Syntax::Xml => frame_xml::is_result(beginning),
        Syntax::Json => frame_json::is_result(beginning),
    }
}
