//! Where bytes come in: one buffer, filled by the caller, read from the front.

use std::fmt;

/// The room offered to a reader, and the least of it.
const ROOM: usize = 256 * 1024;
const LEAST: usize = 64 * 1024;

/// A buffer that a reader fills in place. Its memory is written to once, not cleared before each
/// read: safe Rust cannot lend out memory that nobody has written.
#[derive(Default)]
pub(crate) struct Inlet {
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    ended: bool,
}

impl Inlet {
    /// Room for the next piece, at least 64 KiB.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.make_room(LEAST);
        self.buffer.get_mut(self.to..).unwrap_or_default()
    }

    /// Says that `n` bytes of the [`space`](Self::space) were filled; 0 is the end.
    pub(crate) fn filled(&mut self, n: usize) {
        self.ended |= n == 0;
        self.to = (self.to + n).min(self.buffer.len());
    }

    /// Takes a piece by copying it; an empty one says nothing.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.make_room(piece.len());
        if let Some(room) = self.buffer.get_mut(self.to..self.to + piece.len()) {
            room.copy_from_slice(piece);
            self.to += piece.len();
        }
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// What came and was not [`consume`](Self::consume)d.
    pub(crate) fn text(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    /// Strips a byte order mark off the beginning of a text. `None` if it is too early to tell;
    /// else how many bytes were stripped.
    pub(crate) fn strip_mark(&mut self) -> Option<usize> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if self.text().len() < MARK.len() && !self.ended {
            return None;
        }
        let length = if self.text().starts_with(MARK) { MARK.len() } else { 0 };
        self.consume(length);
        Some(length)
    }

    /// Forgets the first `n` bytes of the text.
    pub(crate) fn consume(&mut self, n: usize) {
        self.from = (self.from + n).min(self.to);
    }

    fn make_room(&mut self, least: usize) {
        if self.buffer.len() - self.to < least {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.buffer.len() - self.to < least {
            // Doubling, so that a long record is moved a few times and not once a read.
            self.buffer.resize((self.to + least).max(2 * self.to).max(ROOM), 0);
        }
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inlet({} bytes{})", self.text().len(), if self.ended { ", ended" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let (mut inlet, mut seen) = (Inlet::default(), Vec::new());
        let input: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
        for (i, piece) in input.chunks(70_001).enumerate() {
            if i % 2 == 0 {
                inlet.push(piece);
            } else {
                for piece in piece.chunks(LEAST) {
                    inlet.space()[..piece.len()].copy_from_slice(piece);
                    inlet.filled(piece.len());
                }
            }
            let n = inlet.text().len() / 2;
            seen.extend_from_slice(&inlet.text()[..n]);
            inlet.consume(n);
        }
        seen.extend_from_slice(inlet.text());
        assert!(seen == input && !inlet.ended());
        assert!(inlet.buffer.len() < 1_000_000);
        inlet.filled(0);
        assert!(inlet.ended());
    }
}
