//! Ids: three characters that name the kind, twelve that count, three that check.
//!
//! The count is written in base 62 with the digits in the order of their bytes (`0-9A-Za-z`), so ids
//! sort as they were given out. The checksum makes an id safe where upper and lower case are lost:
//! of every five characters it tells which are upper case.

/// The prefix of jobs.
pub(crate) const JOB: &str = "750";
/// The prefix of batches.
pub(crate) const BATCH: &str = "751";
/// The prefix of query results.
pub(crate) const RESULT: &str = "752";

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const SHORT: usize = 15;
const LONG: usize = 18;

/// The id of the `n`th thing with this prefix, 18 characters.
pub(crate) fn long(prefix: &str, n: i64) -> String {
    let mut id = short(prefix, n);
    let check = checksum(id.as_bytes());
    id.extend(check.map(char::from));
    id
}

/// The same without the checksum, 15 characters: how ids of query results are sent.
pub(crate) fn short(prefix: &str, n: i64) -> String {
    let mut digits = [b'0'; SHORT - 3];
    let mut rest = n.unsigned_abs();
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(rest % 62).unwrap_or_default()];
        rest /= 62;
    }
    let mut id = String::with_capacity(LONG);
    id.push_str(prefix);
    id.extend(digits.map(char::from));
    id
}

/// What an id says: its prefix and its number. `None` if it is not an id at all; one too large for
/// a number reads as the highest, which no record has.
pub(crate) fn read(text: &str) -> Option<(&str, i64)> {
    let bytes = text.as_bytes();
    if !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    match bytes.len() {
        SHORT => {}
        LONG if checksum(&bytes[..SHORT]) == bytes[SHORT..] => {}
        _ => return None,
    }
    let number = bytes[3..SHORT].iter().try_fold(0_i64, |n, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => byte - b'a' + 36,
        };
        n.checked_mul(62)?.checked_add(i64::from(digit))
    });
    Some((&text[..3], number.unwrap_or(i64::MAX))) // higher than any that is given out
}

/// An id with its checksum, whether it came with it or not.
pub(crate) fn full(text: &str) -> Option<[u8; LONG]> {
    read(text)?;
    let mut id = [0; LONG];
    id[..SHORT].copy_from_slice(&text.as_bytes()[..SHORT]);
    let check = checksum(&id);
    id[SHORT..].copy_from_slice(&check);
    Some(id)
}

/// The number of an id that must have this prefix.
pub(crate) fn number(prefix: &str, text: &str) -> Option<i64> {
    read(text).filter(|(found, _)| *found == prefix).map(|(_, n)| n)
}

fn checksum(id: &[u8]) -> [u8; 3] {
    [0, 5, 10].map(|from| {
        let group = &id[from..from + 5];
        let upper = |k: usize| usize::from(group[k].is_ascii_uppercase()) << k;
        CHECKS[(0..5).map(upper).sum::<usize>()]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_in_base_62_and_carry_a_checksum() {
        assert_eq!(long("001", 1), "001000000000001AAA");
        assert_eq!(long("00Q", 61), "00Q00000000000zEAA");
        assert_eq!(short("752", 62), "752000000000010");
        for n in [0, 1, 61, 62, 3_843, 1_000_000, i64::MAX] {
            assert_eq!(read(&long("003", n)), Some(("003", n)));
            assert_eq!(number("003", &short("003", n)), Some(n));
        }
        assert!(short("001", 9) < short("001", 10) && short("001", 35) < short("001", 36));
    }

    #[test]
    fn the_checksum_is_the_vendors() {
        // An id that is printed in public documents with both of its forms.
        assert_eq!(checksum(b"0015000000Gv7qJ"), *b"AAR");
        assert_eq!(read("0015000000Gv7qJAAR").map(|(prefix, _)| prefix), Some("001"));
        assert_eq!(read("0015000000Gv7qJAAS"), None);
    }

    #[test]
    fn both_forms_of_an_id_are_the_same() {
        assert_eq!(full("0015000000Gv7qJ"), Some(*b"0015000000Gv7qJAAR"));
        assert_eq!(full("0015000000Gv7qJAAR"), full("0015000000Gv7qJ"));
        assert_eq!(full("0015000000Gv7q"), None);
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for bad in ["", "001", "00100000000000é", "0010000000000-1", "0010000000000011"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read("001zzzzzzzzzzzz"), Some(("001", i64::MAX)), "no record has that number");
        assert_eq!(number("001", "003000000000001"), None);
    }
}
