//! Where records of an XML result end.
//!
//! A result is a `queryResult` whose `records` elements are the records (topic "Bulk Query Results"
//! of the vendor's guide); local names count, prefixes do not. Going from tag to tag is enough:
//! entities stand for no markup, and CDATA, comments and processing instructions are passed over as
//! a whole. A document type is refused as it comes, so nothing anywhere ever expands or fetches an
//! entity. What is within an element is for its decoder to judge.

use bytes::Bytes;
use memchr::memmem;
use memchr::{memchr, memchr3};

use super::pages::{Pages, cut, incomplete};
use crate::error::Error;

/// How deep elements may nest. A record is two deep, the field of a parent four.
const DEPTH: u32 = 64;

/// The longest tag, in bytes; the service's longest is the root's, with two namespaces.
const TAG: usize = 8 << 10;

/// The longest name of an element or attribute, in bytes. An API name has at most 80 or so.
const NAME: usize = 256;

/// The most attributes of an element; the service writes two.
const ATTRIBUTES: usize = 64;

/// What may open with `<!`. Anything else that does is a document type.
const COMMENT: &[u8] = b"<!--";
const CDATA: &[u8] = b"<![CDATA[";

/// Where in the file the framer is. Places are places in the text that is not done with.
#[derive(Debug, Default)]
pub(super) struct Xml {
    scanned: usize,
    at: At,
    depth: u32,
    /// Where the open record starts.
    open: Option<usize>,
    /// The start tag of the root, once it was seen; and whether its end was.
    root: Option<Bytes>,
    ended: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Text between markup.
    #[default]
    Text,
    /// Within the tag that starts there, and maybe within quotes.
    Tag(usize, Option<u8>),
    /// Within what only this ends.
    Until(&'static [u8]),
}

impl Xml {
    /// Looks at what came; returns how much of the text is done with.
    pub(super) fn scan(&mut self, text: &[u8], pages: &mut Pages) -> usize {
        while pages.failed().is_none() {
            let moved = match self.at {
                At::Text => self.text(text, pages),
                At::Tag(start, quote) => self.tag(text, start, quote, pages),
                At::Until(end) => self.until(text, end),
            };
            if moved.is_none() {
                break;
            }
        }
        if let At::Tag(start, _) = self.at {
            check_tag(self.scanned - start, pages);
        }
        pages.check_length(self.open.map_or(0, |open| self.scanned - open));
        let done = match self.at {
            _ if self.open.is_some() => self.open.unwrap_or_default(),
            At::Tag(start, _) => start,
            At::Text | At::Until(_) => self.scanned,
        };
        self.scanned -= done;
        self.open = self.open.map(|open| open - done);
        if let At::Tag(start, _) = &mut self.at {
            *start -= done;
        }
        done
    }

    /// The text has ended; this is what of it is left.
    pub(super) fn end(&self, text: &[u8], pages: &mut Pages) {
        if !self.ended || self.at != At::Text || !text.is_empty() {
            pages.fail(cut("before its root does", pages.rows()));
        }
    }

    /// The start tag of the root.
    pub(super) fn header(&self) -> Bytes {
        self.root.clone().unwrap_or_default()
    }

    /// Goes on to the next markup; `None` wants more text, as it does below.
    #[inline]
    fn text(&mut self, text: &[u8], pages: &mut Pages) -> Option<()> {
        let rest = text.get(self.scanned..)?;
        let length = memchr(b'<', rest);
        let (before, markup) = rest.split_at(length.unwrap_or(rest.len()));
        if self.open.is_none() && self.depth < 2 && !before.trim_ascii().is_empty() {
            pages.fail(incomplete("the result has text outside its records"));
            return None;
        }
        self.scanned += before.len();
        let next = *markup.get(1)?;
        let (at, opener) = match next {
            b'!' if is_prefix(COMMENT, markup)? => (At::Until(b"-->"), COMMENT.len()),
            b'!' if self.depth > 1 && is_prefix(CDATA, markup)? => (At::Until(b"]]>"), CDATA.len()),
            b'!' => {
                pages.fail(incomplete(
                    "the result has a document type, or text outside its records",
                ));
                return None;
            }
            b'?' => (At::Until(b"?>"), 2),
            _ => (At::Tag(self.scanned, None), 1),
        };
        (self.at, self.scanned) = (at, self.scanned + opener);
        Some(())
    }

    /// Goes on to the end of a comment or the like.
    fn until(&mut self, text: &[u8], end: &'static [u8]) -> Option<()> {
        let rest = text.get(self.scanned..)?;
        if let Some(length) = memmem::find(rest, end) {
            (self.at, self.scanned) = (At::Text, self.scanned + length + end.len());
            return Some(());
        }
        // The first bytes of its end may be there.
        self.scanned += rest.len().saturating_sub(end.len() - 1);
        None
    }

    /// Goes on to the end of a tag, or of a quoted value in it.
    #[inline]
    fn tag(
        &mut self,
        text: &[u8],
        start: usize,
        quote: Option<u8>,
        pages: &mut Pages,
    ) -> Option<()> {
        let rest = text.get(self.scanned..)?;
        let found = match quote {
            Some(quote) => memchr(quote, rest),
            None => memchr3(b'>', b'"', b'\'', rest),
        };
        let Some(length) = found else {
            self.scanned = text.len();
            return None;
        };
        self.scanned += length + 1;
        self.at = match (quote, rest.get(length)) {
            (Some(_), _) => At::Tag(start, None),
            (None, Some(b'>')) => At::Text,
            (None, quote) => At::Tag(start, quote.copied()),
        };
        if self.at == At::Text {
            let tag = text.get(start..self.scanned)?;
            check_tag(tag.len(), pages);
            self.take(text, tag, start, pages);
        }
        Some(())
    }

    /// A tag is whole.
    #[inline]
    fn take(&mut self, text: &[u8], tag: &[u8], start: usize, pages: &mut Pages) {
        if let Some(end) = tag.strip_prefix(b"</") {
            return self.close(text, end, pages);
        }
        self.begin(tag, start, pages);
        if tag.ends_with(b"/>") {
            self.close(text, tag.get(1..).unwrap_or_default(), pages);
        }
    }

    fn begin(&mut self, tag: &[u8], start: usize, pages: &mut Pages) {
        let is = |name: &[u8]| tag.get(1..).is_some_and(|tag| local(tag) == name);
        if tag.len() > NAME && !is_modest(tag) {
            return pages.fail(incomplete("a tag of the result has too much in it"));
        }
        match self.depth {
            0 if self.ended => return pages.fail(more()),
            0 if !is(b"queryResult") => return pages.fail(no_result()),
            0 => self.root = Some(start_tag(tag)),
            1 if is(b"records") => self.open = Some(start),
            DEPTH => return pages.fail(incomplete("the result is nested too deep")),
            _ => {}
        }
        self.depth += 1;
    }

    fn close(&mut self, text: &[u8], tag: &[u8], pages: &mut Pages) {
        match (self.depth, self.open) {
            (0, _) => return pages.fail(if self.ended { more() } else { no_result() }),
            (1, _) if local(tag) != b"queryResult" => return pages.fail(no_result()),
            (1, _) => self.ended = true,
            (2, Some(_)) if local(tag) != b"records" => return pages.fail(no_result()),
            (2, Some(open)) => {
                let record = text.get(open..self.scanned).unwrap_or_default();
                pages.take(record, b"\n", text.len());
                self.open = None;
            }
            _ => {}
        }
        self.depth -= 1;
    }
}

/// Whether a text begins with this; `None` if it is too short to tell.
fn is_prefix(prefix: &[u8], text: &[u8]) -> Option<bool> {
    match text.get(..prefix.len()) {
        Some(beginning) => Some(beginning == prefix),
        None if prefix.starts_with(text) => None,
        None => Some(false),
    }
}

/// The local name at the beginning of a tag without its brackets.
fn local(tag: &[u8]) -> &[u8] {
    let end = tag.iter().position(|byte| is_after_name(*byte)).unwrap_or(tag.len());
    let name = tag.get(..end).unwrap_or_default();
    let prefix = memchr(b':', name).map_or(0, |colon| colon + 1);
    name.get(prefix..).unwrap_or_default()
}

fn is_after_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>' | b'=')
}

/// Whether the names in a tag are not too long, and its attributes not too many.
fn is_modest(tag: &[u8]) -> bool {
    let (mut quote, mut name, mut attributes) = (None, 0, 0);
    for &byte in tag {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if matches!(byte, b'"' | b'\'') => {
                (quote, attributes) = (Some(byte), attributes + 1);
            }
            None if is_after_name(byte) => name = 0,
            None => name += 1,
        }
        if name > NAME || attributes > ATTRIBUTES {
            return false;
        }
    }
    true
}

/// A tag as one that starts an element.
fn start_tag(tag: &[u8]) -> Bytes {
    match tag.strip_suffix(b"/>") {
        Some(tag) => [tag.trim_ascii_end(), b">"].concat().into(),
        None => Bytes::copy_from_slice(tag),
    }
}

fn check_tag(length: usize, pages: &mut Pages) {
    if length > TAG {
        pages.fail(incomplete("a tag of the result is longer than 8 KiB"));
    }
}

fn no_result() -> Error {
    incomplete("the result is no queryResult document")
}

fn more() -> Error {
    incomplete("there is more behind the end of the result")
}

/// Whether a text begins as a result does: with a `queryResult`, of which enough is there.
pub(super) fn is_result(beginning: &[u8]) -> bool {
    let mut text = beginning.trim_ascii_start();
    loop {
        let end: &[u8] = match text {
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', b'-', ..] => b"-->",
            _ => break,
        };
        let Some(length) = memmem::find(text, end) else { return false };
        text = text.get(length + end.len()..).unwrap_or_default().trim_ascii_start();
    }
    let Some(tag) = text.strip_prefix(b"<") else { return false };
    tag.iter().any(|byte| is_after_name(*byte)) && local(tag) == b"queryResult"
}

#[cfg(test)]
mod tests {
    use super::super::frame::Framer;
    use super::super::pages::LONGEST;
    use super::*;
    use crate::info::Syntax;

    /// The header, the records, and how many, if all is well.
    fn frame(text: &[u8], piece: usize) -> Result<(String, String, u64), String> {
        let mut framer = Framer::with_syntax(Syntax::Xml, None);
        let (mut header, mut records) = (String::new(), String::new());
        let mut take = |page: Option<super::super::Rows>| {
            if let Some(rows) = page {
                header = String::from_utf8(rows.header.to_vec()).unwrap();
                records += std::str::from_utf8(&rows.records).unwrap();
            }
        };
        for piece in text.chunks(piece) {
            framer.push(piece);
            take(framer.page().map_err(|error| error.to_string())?);
        }
        let (last, whole) = framer.finish().map_err(|error| error.to_string())?;
        take(last);
        Ok((header, records, whole.rows))
    }

    const RECORDS: [&str; 3] = [
        "<s:records a='>' b=\"/>\"><Id>é</Id><x><![CDATA[</records>]]]></x></s:records>",
        "<records><!-- </records> --><?pi <records> ?><records><records/></records>&lt;</records>",
        "<records/>",
    ];

    fn text() -> String {
        let [one, two, three] = RECORDS;
        format!(
            "<?xml version=\"1.0\"?>\n<!-- > --><s:queryResult\n xmlns=\"x\" >\n {one}<done><records/>no<![CDATA[x]]></done>{two} \n\
             <!--->-->{three}</s:queryResult > <!----> \n"
        )
    }

    #[test]
    fn records_pass_as_they_are() {
        let text = text();
        let records = RECORDS.map(|record| format!("{record}\n")).concat();
        let told = ("<s:queryResult\n xmlns=\"x\" >".to_owned(), records, 3);
        for piece in 1..=text.len() {
            assert_eq!(frame(text.as_bytes(), piece), Ok(told.clone()), "pieces of {piece}");
        }
        for text in ["<queryResult xmlns='x'/>", "\u{feff}<queryResult xmlns='x'>\n</queryResult>"]
        {
            let told = ("<queryResult xmlns='x'>".to_owned(), String::new(), 0);
            assert_eq!(frame(text.as_bytes(), 1), Ok(told));
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let text = text();
        let whole = text.find("</s:queryResult >").unwrap() + "</s:queryResult >".len();
        for end in 0..whole {
            assert!(frame(&text.as_bytes()[..end], 7).is_err(), "{}", &text[..end]);
        }
        assert!(frame(&text.as_bytes()[..whole], 7).is_ok());
        assert!(frame(&text.as_bytes()[..=whole + 1], 7).is_err(), "a comment that was cut");
    }

    #[test]
    fn what_is_no_result_is_refused() {
        let deep = format!("<queryResult>{}", "<records>".repeat(100));
        let many = format!("<queryResult><records {}/>", "a='' ".repeat(65));
        let name = format!("<queryResult><{}/>", "n".repeat(257));
        let long = format!("<queryResult><records a='{}'/>", "v".repeat(TAG));
        for (text, why) in [
            ("<html></html>", "no queryResult"),
            ("<!DOCTYPE queryResult><queryResult/>", "a document type"),
            ("<queryResult><!ENTITY x 'y'></queryResult>", "a document type"),
            ("<queryResult><![CDATA[x]]></queryResult>", "text outside"),
            ("<queryResult>x</queryResult>", "text outside"),
            ("<queryResult/>x", "text outside"),
            ("<queryResult/><queryResult/>", "more behind"),
            ("<queryResult></error>", "no queryResult"),
            ("<queryResult><records></error>", "no queryResult"),
            ("</queryResult>", "no queryResult"),
            ("<queryResult/></queryResult>", "more behind"),
            ("<queryResult><records/><records>", "before its root does, after 1 whole rows"),
            ("", "before its root does"),
            (&deep, "too deep"),
            (&many, "too much"),
            (&name, "too much"),
            (&long, "longer than 8 KiB"),
        ] {
            for piece in [1, 3, 10_000] {
                let error = frame(text.as_bytes(), piece).unwrap_err();
                assert!(error.contains(why), "{text:.50}: {error}");
            }
        }
    }

    #[test]
    fn an_endless_record_does_not_fill_the_memory() {
        for beginning in ["<queryResult><records>", "<queryResult><records><![CDATA[", "<a b='"] {
            let mut framer = Framer::with_syntax(Syntax::Xml, None);
            framer.push(beginning.as_bytes());
            let piece = vec![b'x'; 100_000];
            let pushed = (0..1000).take_while(|_| {
                framer.push(&piece);
                framer.page().is_ok()
            });
            assert!(pushed.count() <= LONGEST / piece.len());
        }
    }

    #[test]
    fn other_documents_are_not_taken_for_rows() {
        for (text, is) in [
            ("<queryResult>", true),
            (" <?xml?>\n<!-- <html> --><s:queryResult\n", true),
            ("<queryResult", false),
            ("<?xml", false),
            ("<error>", false),
            ("<!DOCTYPE html>", false),
            ("<html>", false),
        ] {
            assert_eq!(is_result(text.as_bytes()), is, "{text}");
        }
    }
}
