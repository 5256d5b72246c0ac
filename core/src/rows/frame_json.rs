//! Where records of a JSON result end.
//!
//! A result is a list of objects (topic "Bulk Query Results" of the vendor's guide). What ends an
//! element is a bracket outside strings: 64 bytes are looked at together, as [`scan`](super::scan)
//! does; "inside a string" is the parity of the quotes that no backslash stands before. Brackets are
//! matched with the ones they close, and between elements there must be what JSON wants there. What
//! else is within an element is for its decoder to judge.

use super::pages::{BETWEEN, Pages, cut, incomplete};
use super::scan::{BLOCK, mask, parity};
use crate::error::Error;

/// How deep brackets may nest. A record is two deep, a parent of a parent four.
const DEPTH: u32 = 64;

/// The names that errors have in their lists: the Bulk API's and those of REST.
const ERROR: [&[u8]; 5] =
    [b"errorCode", b"message", b"fields", b"exceptionCode", b"exceptionMessage"];

/// Where in the file the framer is. Places are places in the text that is not done with.
#[derive(Debug, Default)]
pub(super) struct Json {
    scanned: usize,
    /// All ones inside a string, else zero.
    inside: u64,
    /// 1 if the last byte was a backslash that escapes the next one, else 0.
    escape: u64,
    /// The brackets that are open: how many, and which are braces, the innermost in the lowest bit.
    depth: u32,
    braces: u64,
    /// Where the open record starts.
    open: Option<usize>,
    /// Where what stands before the next record starts, or after the list.
    gap: usize,
    /// Whether an element was seen, and the end of the list.
    any: bool,
    ended: bool,
}

impl Json {
    /// Looks at what came; bytes that make no whole block wait, unless these are the last. Returns
    /// how much of the text is done with.
    pub(super) fn scan(&mut self, text: &[u8], ended: bool, pages: &mut Pages) -> usize {
        while pages.failed().is_none() {
            let rest = text.get(self.scanned..).unwrap_or_default();
            let mut last = [b' '; BLOCK];
            if let Some(block) = rest.first_chunk::<BLOCK>() {
                self.block(text, block, pages);
                self.scanned += BLOCK;
            } else if ended && !rest.is_empty() {
                last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                self.block(text, &last, pages);
                self.scanned += rest.len();
            } else {
                break;
            }
        }
        let from = self.open.unwrap_or(self.gap);
        pages.check_length(self.scanned.saturating_sub(from));
        if self.ended && !self.gap_is(text, self.scanned, b"") {
            pages.fail(incomplete("there is more behind the end of the result"));
        }
        let done = if self.ended { self.scanned } else { from };
        self.scanned -= done;
        self.open = self.open.map(|open| open - done);
        self.gap = self.gap.saturating_sub(done);
        done
    }

    /// The text has ended, all of it was scanned.
    pub(super) fn end(&self, pages: &mut Pages) {
        if self.inside != 0 {
            pages.fail(cut("within a string", pages.rows()));
        } else if !self.ended {
            pages.fail(cut("before its list does", pages.rows()));
        }
    }

    /// Looks at the 64 bytes after those that were scanned.
    #[inline]
    fn block(&mut self, text: &[u8], block: &[u8; BLOCK], pages: &mut Pages) {
        let (mut quote, backslash) = (mask(block, b'"'), mask(block, b'\\'));
        if backslash | self.escape != 0 {
            quote &= !self.escaped(backslash);
        }
        let inside = parity(quote) ^ self.inside;
        self.inside = 0u64.wrapping_sub(inside >> 63);
        let folded = block.map(|byte| byte | 0x20); // [ and { differ in this bit, ] and } too
        let open = mask(&folded, b'{') & !inside;
        let mut brackets = (mask(&folded, b'}') & !inside) | open;
        while brackets != 0 && !self.ended && pages.failed().is_none() {
            let i = brackets.trailing_zeros();
            brackets &= brackets - 1;
            let at = self.scanned + i as usize;
            let brace = u64::from(block[i as usize] & 0x20 != 0);
            if open >> i & 1 == 1 {
                self.open_bracket(text, at, brace, pages);
            } else {
                self.close_bracket(text, at, brace, pages);
            }
        }
    }

    /// The bytes before which an odd number of backslashes stands.
    fn escaped(&mut self, backslash: u64) -> u64 {
        let mut escaped = std::mem::take(&mut self.escape);
        let mut escaping = backslash & !escaped;
        while escaping != 0 {
            let first = escaping & escaping.wrapping_neg();
            escaped |= first << 1;
            self.escape = first >> 63;
            escaping &= !(first | first << 1);
        }
        escaped
    }

    fn open_bracket(&mut self, text: &[u8], at: usize, brace: u64, pages: &mut Pages) {
        let fits = match self.depth {
            0 => brace == 0 && self.gap_is(text, at, b""),
            1 => {
                let comma: &[u8] = if self.any { b"," } else { b"" };
                brace == 1 && self.gap_is(text, at, comma)
            }
            DEPTH => return pages.fail(incomplete("the result is nested too deep")),
            _ => true,
        };
        if !fits {
            return pages.fail(no_list());
        }
        if self.depth == 0 {
            self.gap = at + 1;
        } else if self.depth == 1 {
            pages.check_length(at - self.gap);
            self.open = Some(at);
        }
        self.depth += 1;
        self.braces = self.braces << 1 | brace;
    }

    fn close_bracket(&mut self, text: &[u8], at: usize, brace: u64, pages: &mut Pages) {
        if self.depth == 0 || self.braces & 1 != brace {
            return pages.fail(no_list());
        }
        self.depth -= 1;
        self.braces >>= 1;
        if self.depth == 1 {
            let record = self.open.take().and_then(|open| text.get(open..=at));
            pages.take(record.unwrap_or_default(), BETWEEN, text.len());
            self.any = true;
        } else if self.depth == 0 {
            if !self.gap_is(text, at, b"") {
                return pages.fail(no_list());
            }
            self.ended = true;
        }
        if self.depth < 2 {
            self.gap = at + 1;
        }
    }

    /// Whether nothing but this, and white space, stands between the last record and `to`.
    fn gap_is(&self, text: &[u8], to: usize, what: &[u8]) -> bool {
        text.get(self.gap..to).is_some_and(|gap| gap.trim_ascii() == what)
    }
}

fn no_list() -> Error {
    incomplete("the result is no list of records")
}

/// Whether a text begins as a result does: with an empty list, or one with an object in it whose
/// first name is there, and none of an error's.
pub(super) fn is_result(beginning: &[u8]) -> bool {
    let Some(list) = after(b'[', beginning.trim_ascii_start()) else { return false };
    let Some(record) = after(b'{', list) else { return list.starts_with(b"]") };
    let Some(name) = after(b'"', record) else { return record.starts_with(b"}") };
    let end = name.iter().position(|byte| *byte == b'"');
    end.and_then(|end| name.get(..end)).is_some_and(|name| !ERROR.contains(&name))
}

fn after(byte: u8, text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(&[byte]).map(<[u8]>::trim_ascii_start)
}

#[cfg(test)]
mod tests {
    use super::super::frame::Framer;
    use super::super::pages::LONGEST;
    use super::*;
    use crate::info::Syntax;

    /// The records, and how many, if all is well.
    fn frame(text: &[u8], piece: usize) -> Result<(String, u64), String> {
        let mut framer = Framer::with_syntax(Syntax::Json, None);
        let mut records = Vec::new();
        let mut take = |page: Option<super::super::Rows>| {
            if let Some(rows) = page {
                records.push(String::from_utf8(rows.records.to_vec()).unwrap());
            }
        };
        for piece in text.chunks(piece) {
            framer.push(piece);
            take(framer.page().map_err(|error| error.to_string())?);
        }
        let (last, whole) = framer.finish().map_err(|error| error.to_string())?;
        take(last);
        Ok((records.join(",\n"), whole.rows))
    }

    const TEXT: &str =
        " [ {\"a\":\"[{\\\"\\\\\"} , {} ,{\"b\" : {\"c\":[1,{}]}, \"d\":\"}]\\\\\\\"é\"}\n] \n";

    #[test]
    fn records_pass_as_they_are() {
        let records =
            "{\"a\":\"[{\\\"\\\\\"},\n{},\n{\"b\" : {\"c\":[1,{}]}, \"d\":\"}]\\\\\\\"é\"}";
        for pad in [0, 1, 40, 57, 63, 64, 200] {
            let text = TEXT.replace(" [ ", &format!("[{}", " ".repeat(pad)));
            for piece in 1..=text.len() {
                assert_eq!(frame(text.as_bytes(), piece), Ok((records.into(), 3)));
            }
        }
        for text in ["[]", " [\n] ", "\u{feff}[ ]"] {
            assert_eq!(frame(text.as_bytes(), 1), Ok((String::new(), 0)));
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = TEXT.trim_end().len();
        for end in 0..whole {
            assert!(frame(&TEXT.as_bytes()[..end], 7).is_err(), "{}", &TEXT[..end]);
        }
        assert!(frame(&TEXT.as_bytes()[..whole], 7).is_ok());
    }

    #[test]
    fn what_is_no_list_of_records_is_refused() {
        let deep = format!("[{}", "{\"a\":".repeat(100_000));
        for (text, why) in [
            ("{}", "no list"),
            ("[[]]", "no list"),
            ("[1]", "no list"),
            ("[{},]", "no list"),
            ("[,{}]", "no list"),
            ("[{}{}]", "no list"),
            ("[{},,{}]", "no list"),
            ("[{}]]", "more behind"),
            ("[{}] x", "more behind"),
            ("[{\"a\":[}]", "no list"),
            ("[{\"a", "within a string"),
            ("[{}", "before its list does, after 1 whole rows"),
            ("", "before its list does"),
            (&deep, "too deep"),
        ] {
            for piece in [1, 3, 100] {
                let error = frame(text.as_bytes(), piece).unwrap_err();
                assert!(error.contains(why), "{text:.50}: {error}");
            }
        }
    }

    #[test]
    fn an_endless_record_does_not_fill_the_memory() {
        for beginning in ["[{\"", "["] {
            let mut framer = Framer::with_syntax(Syntax::Json, None);
            framer.push(beginning.as_bytes());
            let piece = vec![b' '; 100_000];
            let pushed = (0..1000).take_while(|_| {
                framer.push(&piece);
                framer.page().is_ok()
            });
            assert!(pushed.count() <= LONGEST / piece.len());
        }
    }

    #[test]
    fn errors_are_not_taken_for_rows() {
        for (text, is) in [
            ("[]", true),
            (" [ { \"attributes\"", true),
            ("[{}", true),
            ("[{\"attr", false),
            ("[{", false),
            ("[", false),
            ("[{\"message\":\"m\"", false),
            ("[ {\"errorCode\":", false),
            ("{\"exceptionCode\":", false),
            ("[\"7525g000004RtPq\"]", false),
        ] {
            assert_eq!(is_result(text.as_bytes()), is, "{text}");
        }
    }
}
