//! Ids, checked once where they come in.
//!
//! Salesforce ids are 15 case-sensitive letters and digits, or the same 15 plus a checksum of
//! three. Job ids start with `750`, batch ids with `751`, ids of query results with `752` (those
//! come back with 15 characters, the others with 18). An id from an answer ends up in the path of
//! the next request, so it is as little to be trusted as one typed by a user: anything that is not
//! 15 to 18 letters and digits is refused (no `../` gets into a path).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

const SHORT: usize = 15;
const LONG: usize = 18;

/// Any id, kept inline: a million outcomes hold a million of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Id {
    text: [u8; LONG],
    len: u8,
}

impl Id {
    fn as_str(&self) -> &str {
        // Only ASCII letters and digits get in, so this is always text.
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        if !(SHORT..=LONG).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            let shown: String = text.chars().take(40).collect();
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{shown:?} is not a Salesforce id (15 or 18 letters and digits)"),
            ));
        }
        let mut id = Self { text: [0; LONG], len: 0 };
        id.text[..bytes.len()].copy_from_slice(bytes);
        id.len = u8::try_from(bytes.len()).unwrap_or_default();
        Ok(id)
    }
}

impl TryFrom<String> for Id {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.as_str().to_owned()
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        ///
        /// Ids compare by their first 15 characters: the checksum adds nothing, and the service
        /// sends the same id with and without it.
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Id);

        impl $name {
            /// The id as it came, 15 to 18 characters.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            fn key(&self) -> &[u8] {
                &self.0.text[..SHORT]
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Fails with [`ErrorKind::Usage`] unless the text is 15 to 18 letters and digits.
            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key() == other.key()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.key().cmp(other.key())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

ids! {
    /// The id of a job, `750…`.
    JobId
    /// The id of a batch, `751…`. Documented as unique only together with its job.
    BatchId
    /// The id of one file of a query's result, `752…`.
    ResultId
    /// The id of a record; its first three characters tell the object.
    RecordId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_15_to_18_letters_and_digits() {
        assert_eq!("7505g00000Ab1CdAAJ".parse::<JobId>().unwrap().as_str(), "7505g00000Ab1CdAAJ");
        assert_eq!("7525g000004RtPq".parse::<ResultId>().unwrap().to_string(), "7525g000004RtPq");
        for bad in ["", "750", "7505g00000Ab1CdAAJx", "../5g00000Ab1CdAAJ", "7505g00000Äb1Cd"] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_compare_by_their_first_15_characters() {
        let long: BatchId = "7515g00000Ef2GhAAJ".parse().unwrap();
        let short: BatchId = "7515g00000Ef2Gh".parse().unwrap();
        let other: BatchId = "7515g00000ef2Gh".parse().unwrap();
        assert_eq!(long, short);
        assert_ne!(short, other, "ids are case-sensitive");
    }
}
