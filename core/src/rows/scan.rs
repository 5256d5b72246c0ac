//! Where does a record of CSV text begin?
//!
//! One automaton of six states reads CSV as the `csv` crate does: a record ends at a line feed, a
//! carriage return or both; further line ends before the next record are blank lines and no
//! records; a quote opens only at the beginning of a cell. It is written twice. [`Scanner::tail`]
//! takes a byte at a time. [`Scanner::block`] takes 64: it turns the block into bit masks, one bit
//! a byte, and replaces the walk through the states by arithmetic on the masks. "Inside quotes" is
//! the parity of the quotes before a byte, hence a prefix sum without carry; every other question
//! is about a byte and the one before it, hence a shift by one.
//!
//! Parity tells the truth as long as quotes stand where they belong. A block in which one does not
//! says so in [`Marks::bad`], whose lowest bit is right, as is every mark below it. A caller that
//! is strict refuses the text there; one that is not takes [`Scanner::lenient`], which reads such
//! a block by bytes.

/// How many bytes are looked at together.
pub(crate) const BLOCK: usize = 64;

/// What a block holds: bit `i` speaks of byte `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// First bytes of records.
    pub(crate) starts: u64,
    /// Commas between cells.
    pub(crate) commas: u64,
    /// Bytes of blank lines.
    pub(crate) blank: u64,
    /// Bytes after a carriage return that ended a record alone, without a line feed.
    pub(crate) after_cr: u64,
    /// Bytes before which, or with which, a line of the text ends, in or out of quotes: there are
    /// as many up to a byte that is no line feed as lines before it.
    pub(crate) lines: u64,
    /// Quotes in an unquoted cell, and text after a closing quote.
    pub(crate) bad: u64,
    /// Whether there is any byte beyond ASCII.
    pub(crate) beyond_ascii: bool,
}

/// The automaton. What it knows after a block is what the last byte was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner {
    /// All ones inside quotes, else zero.
    inside: u64,
    /// These are 1 or 0. A cell may open after this byte, or a doubled quote go on.
    apart: u64,
    /// The byte was a quote that closed a cell, or the first of a doubled one.
    closed: u64,
    /// The byte was a line end between records.
    ended: u64,
    /// The byte was a carriage return that ended a record.
    ended_by_cr: u64,
    /// The byte was a carriage return anywhere.
    cr: u64,
}

impl Default for Scanner {
    /// Before a text, as after a line end.
    fn default() -> Self {
        Self { inside: 0, apart: 1, closed: 0, ended: 1, ended_by_cr: 0, cr: 0 }
    }
}

impl Scanner {
    /// Reads the next 64 bytes.
    #[inline]
    pub(crate) fn block(&mut self, block: &[u8; BLOCK]) -> Marks {
        let (quote, comma) = (mask(block, b'"'), mask(block, b','));
        let (lf, cr) = (mask(block, b'\n'), mask(block, b'\r'));

        let inside = parity(quote) ^ self.inside; // holds for an opening quote, not for a closing one
        let special = quote | comma | lf | cr;
        let closing = quote & !inside;
        let bare = quote & inside & !(special << 1 | self.apart);
        let text_after = (closing << 1 | self.closed) & !special;

        let end = (lf | cr) & !inside;
        let after_end = end << 1 | self.ended;
        let by_cr = cr & end & !after_end;
        let after_cr = by_cr << 1 | self.ended_by_cr;
        let marks = Marks {
            starts: after_end & !end,
            commas: comma & !inside,
            blank: end & after_end & !(lf & after_cr),
            after_cr: after_cr & !lf,
            lines: lf | (cr << 1 | self.cr), // of CR LF, both mark the line feed
            bad: bare | text_after,
            beyond_ascii: !block.is_ascii(),
        };
        *self = Self {
            inside: 0u64.wrapping_sub(inside >> 63),
            apart: special >> 63,
            closed: closing >> 63,
            ended: end >> 63,
            ended_by_cr: by_cr >> 63,
            cr: cr >> 63,
        };
        marks
    }

    /// Reads the next 64 bytes as [`block`](Self::block) does; quotes out of place are text.
    #[inline]
    pub(crate) fn lenient(&mut self, block: &[u8; BLOCK]) -> Marks {
        let before = *self;
        let marks = self.block(block);
        if marks.bad == 0 {
            return marks;
        }
        *self = before;
        self.tail(block)
    }

    /// Reads up to 64 bytes, one by one; quotes out of place are marked, and text.
    pub(crate) fn tail(&mut self, bytes: &[u8]) -> Marks {
        let mut marks = Marks { beyond_ascii: !bytes.is_ascii(), ..Marks::default() };
        let mut state = self.state();
        for (i, &byte) in bytes.iter().take(BLOCK).enumerate() {
            let bit = 1 << i;
            let line_end = matches!(byte, b'\n' | b'\r');
            let next = state.after(byte);
            let mark = |mask: &mut u64, it_is: bool| *mask |= if it_is { bit } else { 0 };
            mark(&mut marks.starts, state.is_start() && !line_end);
            mark(&mut marks.commas, next == State::Cell);
            mark(
                &mut marks.blank,
                state.is_start() && line_end && !(state == State::Cr && byte == b'\n'),
            );
            mark(&mut marks.after_cr, state == State::Cr && byte != b'\n');
            mark(&mut marks.lines, byte == b'\n' || self.cr == 1);
            mark(
                &mut marks.bad,
                matches!(
                    (state, byte, next),
                    (State::Plain, b'"', _) | (State::Closed, _, State::Plain)
                ),
            );
            self.cr = u64::from(byte == b'\r');
            state = next;
        }
        self.enter(state);
        marks
    }

    /// Whether a quote is open.
    pub(crate) fn in_quotes(&self) -> bool {
        self.inside != 0
    }

    /// Whether the last byte was a carriage return that ended a record.
    pub(crate) fn after_cr(&self) -> bool {
        self.ended_by_cr != 0
    }

    fn state(&self) -> State {
        match self {
            Self { inside: 1.., .. } => State::Quoted,
            Self { closed: 1.., .. } => State::Closed,
            Self { ended_by_cr: 1.., .. } => State::Cr,
            Self { ended: 1.., .. } => State::Start,
            Self { apart: 1.., .. } => State::Cell,
            _ => State::Plain,
        }
    }

    fn enter(&mut self, state: State) {
        self.inside = if state == State::Quoted { !0 } else { 0 };
        self.apart = u64::from(!matches!(state, State::Plain | State::Quoted));
        self.closed = u64::from(state == State::Closed);
        self.ended = u64::from(state.is_start());
        self.ended_by_cr = u64::from(state == State::Cr);
    }
}

/// The decoded cells of one record, with or without its line end; quotes out of place are text.
pub(crate) fn cells(record: &[u8]) -> Vec<Vec<u8>> {
    let mut cells = vec![Vec::new()];
    let mut state = State::Cell;
    for &byte in record {
        let next = state.after(byte);
        match (state, next) {
            (_, State::Cell) => cells.push(Vec::new()),
            (_, State::Start | State::Cr) => break,
            (_, State::Plain) | (State::Quoted | State::Closed, State::Quoted) => {
                cells.last_mut().into_iter().for_each(|cell| cell.push(byte));
            }
            (_, State::Closed | State::Quoted) => {} // the quotes themselves
        }
        state = next;
    }
    cells
}

/// The cells of one record as they are written, quotes and all. Only for a record without a quote
/// out of place.
pub(crate) fn raw_cells(record: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut inside = false;
    record.split(move |&byte| {
        inside ^= byte == b'"';
        byte == b',' && !inside
    })
}

/// A record without its line end and the blank lines after it.
pub(crate) fn without_end(record: &[u8]) -> &[u8] {
    let len =
        record.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    record.get(..len).unwrap_or(record)
}

/// What the last byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A line end between records, or nothing: a record may begin.
    Start,
    /// The carriage return that ended a record; a line feed after it belongs to it.
    Cr,
    /// The comma before a cell.
    Cell,
    /// A byte of an unquoted cell.
    Plain,
    /// The opening quote or a byte of a quoted cell.
    Quoted,
    /// A quote in a quoted cell: its end, or the first of two.
    Closed,
}

impl State {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Closed,
            (Self::Quoted, _) | (Self::Closed | Self::Start | Self::Cr | Self::Cell, b'"') => {
                Self::Quoted
            }
            (Self::Start | Self::Cr, b'\r') | (_, b'\n') => Self::Start,
            (_, b'\r') => Self::Cr,
            (_, b',') => Self::Cell,
            _ => Self::Plain,
        }
    }

    fn is_start(self) -> bool {
        matches!(self, Self::Start | Self::Cr)
    }
}

/// Bit `i` of the result is the parity of the bits of `mask` up to `i`.
pub(super) fn parity(mut mask: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << shift;
    }
    mask
}

/// Which of 64 bytes are `byte`.
///
/// The compiler makes vector instructions of the loops: eight rows of eight bytes are compared and
/// folded into one, in which bit `r` of byte `c` speaks of row `r`, column `c`. What is wanted is
/// the transpose: bit `c` of byte `r`.
#[inline]
pub(super) fn mask(block: &[u8; BLOCK], byte: u8) -> u64 {
    let mut found = [0u8; BLOCK];
    for (i, found) in found.iter_mut().enumerate() {
        *found = if block[i] == byte { 1 << (i / 8) } else { 0 };
    }
    let (rows, _) = found.as_chunks::<8>();
    transpose(rows.iter().fold(0, |folded, row| folded | u64::from_le_bytes(*row)))
}

/// Swaps the rows and columns of a square of 8 by 8 bits: first in squares of two, then these in
/// squares of four, then those.
#[inline]
fn transpose(mut square: u64) -> u64 {
    for (shift, corners) in
        [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0xf0f0_f0f0)]
    {
        let differ = (square ^ square >> shift) & corners;
        square ^= differ ^ differ << shift;
    }
    square
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of the bytes that matter, in every order a small generator comes by.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        let mut seed = 7u64;
        let mut random = move |n: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % n
        };
        (0..20_000).map(move |_| {
            let length = random(200);
            (0..length).map(|_| b"\",\n\ra\"b,c\xc3\xa4"[random(11)]).collect()
        })
    }

    fn read(
        text: &[u8],
        mut step: impl FnMut(&mut Scanner, &[u8]) -> Marks,
    ) -> (Vec<Marks>, State) {
        let mut scanner = Scanner::default();
        let marks = text.chunks(BLOCK).map(|piece| step(&mut scanner, piece)).collect();
        (marks, scanner.state())
    }

    fn by_block(
        scanner: &mut Scanner,
        piece: &[u8],
        f: fn(&mut Scanner, &[u8; BLOCK]) -> Marks,
    ) -> Marks {
        match piece.try_into() {
            Ok(block) => f(scanner, block),
            Err(_) => scanner.tail(piece),
        }
    }

    #[test]
    fn blocks_and_bytes_agree() {
        for text in texts() {
            let slow = read(&text, Scanner::tail);
            let mut lenient = read(&text, |s, piece| by_block(s, piece, Scanner::lenient));
            assert_eq!(lenient, slow, "{:?}", String::from_utf8_lossy(&text));
            lenient = read(&text, |s, piece| by_block(s, piece, Scanner::block));
            if let Some(bad) = slow.0.iter().position(|m| m.bad != 0) {
                let (fast, slow) = (lenient.0[bad], slow.0[bad]);
                let first = fast.bad & fast.bad.wrapping_neg();
                assert_eq!(first, slow.bad & slow.bad.wrapping_neg());
                let below = |m: Marks| {
                    [m.starts, m.commas, m.blank, m.after_cr, m.lines].map(|x| x & (first - 1))
                };
                assert_eq!(below(fast), below(slow));
            } else {
                assert_eq!(lenient, slow);
            }
        }
    }

    #[test]
    fn records_and_cells_are_those_of_the_csv_crate() {
        for text in texts() {
            let (marks, _) = read(&text, |s, piece| by_block(s, piece, Scanner::lenient));
            let mut starts: Vec<usize> = (0..text.len())
                .filter(|i| marks[i / BLOCK].starts >> (i % BLOCK) & 1 == 1)
                .collect();
            starts.push(text.len());
            let ours: Vec<_> = starts.windows(2).map(|w| cells(&text[w[0]..w[1]])).collect();
            let theirs: Vec<Vec<Vec<u8>>> = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(&text[..])
                .byte_records()
                .map(|r| r.unwrap().iter().map(<[u8]>::to_vec).collect())
                .collect();
            assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&text));
            for (w, cells) in starts.windows(2).zip(&ours) {
                let commas: u32 =
                    (w[0]..w[1]).map(|i| (marks[i / BLOCK].commas >> (i % BLOCK) & 1) as u32).sum();
                assert_eq!(commas as usize + 1, cells.len());
            }
        }
    }

    #[test]
    fn a_mask_has_the_bits_of_its_bytes() {
        for text in texts() {
            for block in text.as_chunks::<BLOCK>().0 {
                for byte in *b"\",\n\ra\xc3" {
                    let bits =
                        block.iter().rev().fold(0, |bits, b| bits << 1 | u64::from(*b == byte));
                    assert_eq!(mask(block, byte), bits);
                }
            }
        }
    }
}
