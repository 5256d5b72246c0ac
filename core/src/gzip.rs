//! Compression, the one coding the service knows (topic "Compression" of the vendor guide's page on
//! headers): bodies packed on their way out, answers unpacked on their way in.
//!
//! An answer is unpacked into the room that its taker lends, and no further: however much a few
//! bytes stand for, memory holds a page of it. A stream counts as whole only if its checksum and its
//! length say so; several streams, one behind the other, are one text (RFC 1952, 2.2).

use bytes::{Buf, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What a packed body says of itself, and what is asked for.
pub(crate) const GZIP: &str = "gzip";

/// Bodies below this many bytes go as they are: they fit into a packet or two anyhow.
pub(crate) const WORTH: usize = 4 << 10;

/// Some 150 MB of CSV a second, a quarter of their size left; level 6 leaves a sixth less and takes
/// three times as long.
const LEVEL: Compression = Compression::new(3);

/// The largest window there is, as a power of two; any stream can be read with it.
const WINDOW: u8 = 15;

/// How much room for packed text is added at a time, in bytes.
const ROOM: usize = 64 << 10;

/// A body, packed; `None` if that makes it no smaller. Equal bodies give equal bytes.
pub(crate) fn pack(plain: &[u8]) -> Option<Bytes> {
    let mut deflate = Compress::new_gzip(LEVEL, WINDOW);
    let mut packed = Vec::with_capacity(plain.len() / 4 + ROOM);
    loop {
        let rest = plain.get(usize::try_from(deflate.total_in()).ok()?..)?;
        match deflate.compress_vec(rest, &mut packed, FlushCompress::Finish).ok()? {
            Status::StreamEnd => break,
            Status::Ok | Status::BufError if packed.len() < plain.len() => packed.reserve(ROOM),
            Status::Ok | Status::BufError => return None,
        }
    }
    (packed.len() < plain.len()).then(|| packed.into())
}

/// Unpacks one body, as it comes.
#[derive(Debug)]
pub(crate) struct Unpacker {
    inflate: Decompress,
    /// What came and is still packed.
    packed: BytesMut,
    /// How much of its end is room, not data.
    room: usize,
    /// A stream has begun and has not ended.
    within: bool,
}

impl Default for Unpacker {
    fn default() -> Self {
        let inflate = Decompress::new_gzip(WINDOW);
        Self { inflate, packed: BytesMut::new(), room: 0, within: false }
    }
}

impl Unpacker {
    /// Room for the next piece; say with [`filled`](Self::filled) how much of it was used.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.filled(0);
        let data = self.packed.len();
        self.room = ROOM;
        self.packed.resize(data + ROOM, 0);
        &mut self.packed[data..]
    }

    /// `n` bytes of the space hold the next piece.
    pub(crate) fn filled(&mut self, n: usize) {
        self.packed.truncate(self.packed.len() - self.room + n.min(self.room));
        self.room = 0;
    }

    /// The next piece, copied.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.filled(0);
        self.packed.extend_from_slice(piece);
    }

    /// Unpacks what came into this room, as far as it goes: how many bytes that were. None means
    /// that more must come first. The error says why this is no gzip stream.
    pub(crate) fn unpack(&mut self, room: &mut [u8]) -> Result<usize, String> {
        self.filled(0);
        loop {
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let done = self.inflate.decompress(&self.packed, room, FlushDecompress::None);
            let status = done.map_err(|error| format!("the answer's gzip is damaged ({error})"))?;
            let taken = self.inflate.total_in() - before_in;
            let made = self.inflate.total_out() - before_out;
            self.packed
                .advance(usize::try_from(taken).unwrap_or(usize::MAX).min(self.packed.len()));
            self.within |= taken > 0;
            if status == Status::StreamEnd {
                self.inflate.reset(true);
                self.within = false;
            }
            if made > 0 || self.packed.is_empty() || taken == 0 {
                return Ok(usize::try_from(made).unwrap_or(usize::MAX).min(room.len()));
            }
        }
    }

    /// Whether all that came was unpacked, to the end of a stream. Nothing at all is an empty body.
    pub(crate) fn is_whole(&self) -> bool {
        !self.within && self.packed.len() == self.room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(rows: usize) -> Vec<u8> {
        (0..rows)
            .flat_map(|n| format!("{n},Northwind {},{}\n", n % 7, n * n).into_bytes())
            .collect()
    }

    /// Unpacks these pieces, a little at a time.
    fn unpack<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, String> {
        let (mut unpacker, mut plain, mut room) = (Unpacker::default(), Vec::new(), [0; 100]);
        for (n, piece) in pieces.into_iter().enumerate() {
            if n % 2 == 0 {
                unpacker.push(piece);
            } else {
                unpacker.space()[..piece.len()].copy_from_slice(piece);
                unpacker.filled(piece.len());
            }
            loop {
                let made = unpacker.unpack(&mut room)?;
                plain.extend_from_slice(&room[..made]);
                if made == 0 {
                    break;
                }
            }
            let _ = unpacker.space(); // lent, and not used
        }
        if unpacker.is_whole() { Ok(plain) } else { Err("cut".into()) }
    }

    #[test]
    fn what_is_packed_comes_back_however_it_is_cut() {
        for rows in [1_000, 20_000] {
            let plain = text(rows);
            let packed = pack(&plain).unwrap();
            assert!(packed.len() < plain.len() / 2);
            assert_eq!(pack(&plain).unwrap(), packed, "equal bodies, equal bytes");
            for size in [1, 7, 1000, 65_536] {
                assert!(unpack(packed.chunks(size)).unwrap() == plain, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_would_not_get_smaller_is_not_packed() {
        let chaos = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).to_le_bytes();
        let noise: Vec<u8> = (1..20_000).map(|n| n * n * n).flat_map(chaos).collect();
        assert!(pack(&noise).is_none());
        assert_eq!(pack(b"x"), None);
        assert_eq!(pack(b""), None);
    }

    #[test]
    fn several_streams_are_one_text() {
        let (one, other) = (text(300), text(500));
        let packed = [pack(&one).unwrap(), pack(&other).unwrap()].concat();
        for size in [1, 999, 65_536] {
            assert!(unpack(packed.chunks(size)).unwrap() == [&one[..], &other].concat());
        }
        assert_eq!(unpack([]).unwrap(), b"");
    }

    #[test]
    fn a_stream_that_is_cut_or_damaged_is_no_text() {
        let packed = pack(&text(100)).unwrap();
        for end in 1..packed.len() {
            assert!(unpack([&packed[..end]]).is_err(), "cut at {end}");
        }
        let trailer = packed.len() - 8..packed.len();
        for at in (0..3).chain(trailer) {
            let mut damaged = packed.to_vec();
            damaged[at] ^= 1;
            assert!(unpack([&damaged[..]]).is_err(), "damaged at {at}");
        }
        for behind in [&b"\0"[..], b"x", b"\x1f"] {
            assert!(unpack([&packed[..], behind]).is_err(), "{behind:?} behind it");
        }
    }

    #[test]
    fn a_bomb_fills_the_room_and_no_more() {
        let packed = pack(&vec![b'x'; 32 << 20]).unwrap();
        assert!(packed.len() < 200 << 10);
        let mut unpacker = Unpacker::default();
        unpacker.push(&packed);
        let (mut room, mut made) = (vec![0; 4096], 0);
        loop {
            match unpacker.unpack(&mut room).unwrap() {
                0 => break,
                n => made += n,
            }
        }
        assert_eq!(made, 32 << 20);
        assert!(unpacker.is_whole() && unpacker.packed.capacity() < 1 << 20);
    }
}
