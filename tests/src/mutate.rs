//! Changes to bytes, as a fuzzer makes them, but repeatable and with nothing but the standard library.

use crate::chance::Chance;

/// The longest input made, in bytes: some blocks of a scanner, and some cells of any reader.
pub const LONGEST: usize = 4 << 10;

/// Bytes at which readers decide something.
const DECISIVE: &[u8] = b"\"\",,\n\n\r\r<>&;/{}[]:'\\ \t\0\x7f\x80\xbf\xc3\xe2\xef\xff019azZ";

/// A neighbour of one of these inputs: cut, spliced with another, changed in a few places. `words`
/// are what a reader knows.
pub fn mutate(chance: &mut Chance, inputs: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut bytes = inputs[chance.index(inputs.len())].clone();
    for _ in 0..=chance.below(5) {
        change(chance, &mut bytes, inputs, words);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(chance: &mut Chance, bytes: &mut Vec<u8>, inputs: &[Vec<u8>], words: &[&str]) {
    let length = bytes.len();
    let (a, b) = (chance.index(length + 1), chance.index(length + 1));
    let few = a..length.min(a + chance.index(8));
    match chance.below(10) {
        0 => bytes.truncate(a),
        1 => _ = bytes.drain(few),
        2 => _ = bytes.drain(a.min(b)..a.max(b)),
        3 if a < length => bytes[a] ^= 1 << chance.below(8),
        4 if a < length => bytes[a] = DECISIVE[chance.index(DECISIVE.len())],
        5 => bytes.insert(a, DECISIVE[chance.index(DECISIVE.len())]),
        6 if !words.is_empty() => {
            let word = words[chance.index(words.len())].bytes();
            let place = if chance.once_in(2) { a..a } else { few };
            _ = bytes.splice(place, word);
        }
        7 => {
            let other = &inputs[chance.index(inputs.len())];
            let from = chance.index(other.len() + 1);
            bytes.truncate(a);
            bytes.extend_from_slice(&other[from..]);
        }
        8 => {
            let again = bytes[a.min(b)..a.max(b)].to_vec();
            _ = bytes.splice(a..a, again);
        }
        _ => {
            let byte = DECISIVE[chance.index(DECISIVE.len())];
            let many = vec![byte; chance.index(130)];
            _ = bytes.splice(a..a, many);
        }
    }
}

/// A shorter input of which `fails` is still true: pieces are left out, as long as one can be.
pub fn shrink(mut bytes: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut size = bytes.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < bytes.len() {
            let mut shorter = bytes.clone();
            shorter.drain(at..bytes.len().min(at + size));
            if fails(&shorter) {
                bytes = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_chance_makes_the_same_inputs_and_none_is_too_long() {
        let inputs = [b"Name,City\na,Rome\n".to_vec(), Vec::new(), vec![b'x'; 2 * LONGEST]];
        let made = |seed| {
            let mut chance = Chance::new(seed);
            (0..500).map(|_| mutate(&mut chance, &inputs, &["Id"])).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert!(made(1).iter().all(|bytes| bytes.len() <= LONGEST));
    }

    #[test]
    fn an_input_is_shrunk_to_what_it_takes() {
        let text = b"some text \"with a quote\" and more".to_vec();
        assert_eq!(shrink(text, |bytes| bytes.contains(&b'"')), b"\"");
    }
}
