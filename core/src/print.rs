//! Fingerprints: short numbers that tell whether two texts are the same.
//!
//! Against accident, not against attack: nobody forges their own load. XXH3 keeps up with the
//! fastest network, so a result can be watched while it streams.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// The fingerprint of a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a text.
    pub fn of(text: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(text))
    }

    /// To be part of another text.
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// The fingerprint of a row of cells. Each cell's length goes in before its text, so that
    /// `["ab", "c"]` and `["a", "bc"]` differ; quoting and line ends do not count.
    pub fn of_cells<'a>(cells: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut print = Printer::default();
        for cell in cells {
            print.add(&(cell.len() as u64).to_le_bytes());
            print.add(cell);
        }
        print.so_far()
    }
}

impl From<Fingerprint> for String {
    fn from(print: Fingerprint) -> Self {
        print.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let print = u64::from_str_radix(&text, 16).map(Self);
        let print = print.ok().filter(|print| print.to_string() == text);
        print.ok_or_else(|| format!("{text:?} is no fingerprint: 16 hexadecimal digits"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes a text piece by piece; the pieces' borders do not count.
#[derive(Clone, Default)]
pub struct Printer(Xxh3);

impl Printer {
    /// Takes the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The fingerprint of everything taken until now.
    pub fn so_far(&self) -> Fingerprint {
        Fingerprint(self.0.digest())
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Printer({})", self.so_far())
    }
}
