//! A ZIP archive whose size is known before it is written.
//!
//! As much of PKWARE's APPNOTE as the service needs: local headers, a central directory and its end
//! record, deflate, no zip64, no encryption, no time of day. Equal files make equal archives, to the
//! byte. What cannot be packed deflate writes as it is, with five bytes more for each block of it; so
//! there is one method for files, and none need be kept twice while it comes.

use bytes::Bytes;
use flate2::{Compress, CompressError, Compression, Crc, FlushCompress, Status};

/// Bytes around an entry, besides its name, which stands in two places, and its data.
const LOCAL: usize = 30;
const CENTRAL: usize = 46;

/// Bytes at the end of an archive.
pub(crate) const END: usize = 22;

/// The version of the format that is needed to read an entry: 2.0, for deflate.
const NEEDED: u16 = 20;

/// Names are UTF-8. Readers from before that flag take them for another code page, so it is only
/// set where it matters.
const UTF8: u16 = 1 << 11;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// 1980-01-01, the first day that an archive can name: real times would make equal archives differ.
const DAY: u16 = 1 << 5 | 1;

/// What is packed at once, in bytes. How a packer cuts its blocks may depend on what it sees at a
/// time, and equal files must come out equal however they were read.
const PIECE: usize = 64 << 10;

/// A file as it stands in an archive. Clones share their bytes.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    method: u16,
    crc: u32,
    plain: usize,
    data: Bytes,
}

impl Entry {
    /// A text, as it is.
    pub(crate) fn stored(text: Vec<u8>) -> Self {
        let mut crc = Crc::new();
        crc.update(&text);
        Self { method: STORED, crc: crc.sum(), plain: text.len(), data: text.into() }
    }

    /// Its bytes, unpacked.
    pub(crate) fn plain(&self) -> usize {
        self.plain
    }

    /// What it takes in an archive.
    pub(crate) fn room(&self, name: &str) -> usize {
        room(name, self.data.len())
    }
}

/// What an entry of so many bytes, packed, takes in an archive.
pub(crate) fn room(name: &str, data: usize) -> usize {
    LOCAL + CENTRAL + 2 * name.len() + data
}

/// Writes an archive. The entries must be fewer than 65,536, and all of it smaller than 4 GB: the
/// service's limits are far below that.
pub(crate) fn write(entries: Vec<(String, Entry)>) -> Vec<u8> {
    let size: usize = entries.iter().map(|(name, entry)| entry.room(name)).sum();
    let mut out = Vec::with_capacity(size + END);
    let mut directory = Vec::new();
    let mut count = 0;
    for (name, entry) in entries {
        let (name, entry) = (&name, &entry); // and then it goes, so that nothing is held twice
        directory.extend_from_slice(b"PK\x01\x02");
        short(&mut directory, NEEDED); // made by: MS-DOS, which has no more attributes to tell
        describe(&mut directory, name, entry);
        directory.extend_from_slice(&[0; 10]); // comment, disk, attributes
        long(&mut directory, out.len());
        directory.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"PK\x03\x04");
        describe(&mut out, name, entry);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&entry.data);
        count += 1;
    }
    let start = out.len();
    out.append(&mut directory);
    let length = out.len() - start;
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    short(&mut out, count);
    short(&mut out, count);
    long(&mut out, length);
    long(&mut out, start);
    short(&mut out, 0); // comment
    out
}

/// What both headers of an entry say.
fn describe(to: &mut Vec<u8>, name: &str, entry: &Entry) {
    short(to, NEEDED);
    short(to, if name.is_ascii() { 0 } else { UTF8 });
    short(to, entry.method);
    short(to, 0); // midnight
    short(to, DAY);
    to.extend_from_slice(&entry.crc.to_le_bytes());
    long(to, entry.data.len());
    long(to, entry.plain);
    short(to, u16::try_from(name.len()).unwrap_or(u16::MAX));
    short(to, 0); // extra field
}

fn short(to: &mut Vec<u8>, number: u16) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn long(to: &mut Vec<u8>, number: usize) {
    to.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

/// Packs a file while it comes.
#[derive(Debug)]
pub(crate) struct Packer {
    compress: Compress,
    crc: Crc,
    plain: usize,
    data: Vec<u8>,
    /// What came and is not packed yet: less than a piece.
    waiting: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> Self {
        let compress = Compress::new(Compression::default(), false);
        Self { compress, crc: Crc::new(), plain: 0, data: Vec::new(), waiting: Vec::new() }
    }

    /// What came, unpacked, and what it takes by now.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.plain, self.data.len())
    }

    /// Takes what comes next. However it is cut, the entry is the same.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), CompressError> {
        self.crc.update(piece);
        self.plain += piece.len();
        while self.waiting.len() + piece.len() >= PIECE {
            let (now, later) = piece.split_at(PIECE - self.waiting.len());
            self.waiting.extend_from_slice(now);
            piece = later;
            self.pack(FlushCompress::None)?;
        }
        self.waiting.extend_from_slice(piece);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Entry, CompressError> {
        self.pack(FlushCompress::Finish)?;
        let Self { crc, plain, mut data, .. } = self;
        data.shrink_to_fit(); // many are held at once
        Ok(Entry { method: DEFLATED, crc: crc.sum(), plain, data: data.into() })
    }

    fn pack(&mut self, flush: FlushCompress) -> Result<(), CompressError> {
        let until = self.compress.total_in() + self.waiting.len() as u64;
        loop {
            let from = until - self.compress.total_in();
            let at = self.waiting.len() - usize::try_from(from).unwrap_or_default();
            self.data.reserve(PIECE);
            let rest = self.waiting.get(at..).unwrap_or_default();
            let status = self.compress.compress_vec(rest, &mut self.data, flush)?;
            let all_in = self.compress.total_in() == until;
            if status == Status::StreamEnd || (all_in && flush == FlushCompress::None) {
                self.waiting.clear();
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(file: &[u8], piece: usize) -> Entry {
        let mut packer = Packer::new();
        file.chunks(piece.max(1)).for_each(|piece| packer.push(piece).unwrap());
        packer.finish().unwrap()
    }

    #[test]
    fn the_size_is_known_before_and_the_pieces_do_not_count() {
        let file: Vec<u8> =
            (0..300_000_u32).map(|i| i.wrapping_mul(i).to_be_bytes()[1] & 0x3f).collect();
        let whole = pack(&file, usize::MAX);
        assert!(whole.data.len() < file.len());
        for piece in [1_000, 65_536, 65_537] {
            assert_eq!(pack(&file, piece).data, whole.data);
        }
        let entries =
            vec![("a".to_owned(), whole), ("é/b".to_owned(), Entry::stored(b"x".to_vec()))];
        let size: usize = entries.iter().map(|(name, entry)| entry.room(name)).sum();
        assert_eq!(write(entries).len(), size + END);
    }

    #[test]
    fn what_cannot_be_packed_grows_by_next_to_nothing() {
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let file: Vec<u8> = (0..1_000_000).map(|_| noise()).collect();
        assert!(pack(&file, 4096).data.len() < file.len() + file.len() / 1_000);
        assert!(pack(b"", 1).data.len() <= 2);
    }
}
