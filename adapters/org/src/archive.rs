//! The archive of a ZIP batch: `request.txt` with the records, and the files that they name.
//!
//! It is a stranger's. So nothing in it is believed: bytes are counted while they are unpacked, not
//! when they are announced, and entries before they are unpacked. Nothing is written to the disk, so
//! a name leads nowhere; a record finds a file by exactly the bytes of its name.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::config::Limits;

/// Where the records are.
const RECORDS: &[u8] = b"request.txt";

/// The most bytes of a name, the service's limit.
const NAME: usize = 512;

/// An archive, unpacked.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    pub(crate) records: Vec<u8>,
    files: HashMap<Vec<u8>, Vec<u8>>,
}

impl Archive {
    /// Unpacks a batch, or says what its state message says.
    pub(crate) fn read(body: &[u8], limits: &Limits) -> Result<Self, String> {
        if body.len() > limits.bytes {
            return Err(format!("The zip file exceeds the max size of {}", limits.bytes));
        }
        let bad = |error: &dyn std::fmt::Display| format!("Failed to read the zip file. {error}");
        let mut archive = ZipArchive::new(Cursor::new(body)).map_err(|error| bad(&error))?;
        let (mut files, mut unpacked) = (HashMap::new(), 0);
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at).map_err(|error| bad(&error))?;
            let name = entry.name_raw().to_vec();
            if name.len() > NAME {
                return Err(format!("A file name in the zip file exceeds {NAME} bytes"));
            }
            if name.ends_with(b"/") {
                continue; // a folder
            }
            if files.len() >= limits.files {
                return Err(format!("The zip file has more than {} files", limits.files));
            }
            let mut file = Vec::new();
            let left = (limits.unpacked - unpacked) as u64;
            (&mut entry).take(left + 1).read_to_end(&mut file).map_err(|error| bad(&error))?;
            if file.len() as u64 > left {
                return Err(format!("The zip file exceeds {} bytes unpacked", limits.unpacked));
            }
            unpacked += file.len();
            files.insert(name, file);
        }
        let missing = "request.txt is not in the root of the zip file, or is a folder";
        let records = files.remove(RECORDS).ok_or(missing)?;
        Ok(Self { records, files })
    }

    /// The file that a value of a binary field means, or why there is none.
    pub(crate) fn file(&self, reference: &str) -> Result<&[u8], &'static str> {
        let name = reference.strip_prefix('#').ok_or("a file is referred to by # and its name")?;
        let file = self.files.get(name.as_bytes()).ok_or("no such file in the zip file")?;
        Ok(file)
    }
}
