//! Rows and the files they name → batches that are archives.
//!
//! The records of such a batch are its entry `request.txt`; a binary field of a record names another
//! entry, `#photos/ada.png` (topics "Prepare a Zip Batch File" and "Load Binary Attachments" of the
//! vendor's guide). The archive is opened when the batch is worked on, so the service says only then
//! that it is too large, or that a file is missing: both are found here, before anything is sent.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;

use super::archive::{END, Entry, Packer, room, write};
use super::batch::{Batch, Limits, input};
use super::encode::Encoder;
use crate::error::{Error, ErrorKind};
use crate::info::Syntax;

/// The most bytes of a batch's files and records, unpacked (topic "Limits": 20 MB).
pub const ZIP_UNPACKED: usize = 20_000_000;

/// The most entries of a batch (topic "Limits": 1,000 files). Whether the records are one of them is
/// not said, so they are.
pub const ZIP_FILES: usize = 1_000;

/// The most bytes of a file's name (topic "Limits").
pub const ZIP_NAME: usize = 512;

/// The binary fields of the objects that people load files into.
pub const BINARY_FIELDS: [&str; 2] = ["Body", "VersionData"];

/// Where the records of a batch are.
const RECORDS: &str = "request.txt";

/// Cuts rows, and the files that they name, into batches that are archives.
///
/// A binary field holds `#` and the path of a file, relative and with forward slashes; any other row
/// is as for a [`RowCutter`](super::RowCutter). Files are packed while they come. A batch is cut by
/// what its archive takes, to the byte, and by all limits of the service. A file that several rows of
/// a batch name is asked for once, and is in the archive once.
///
/// It holds a batch, and the files of one more row, both packed.
///
/// ```
/// use sfbulk::Syntax;
/// use sfbulk::rows::{Limits, ZipCutter};
///
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Logo { name: &'static str, folder_id: &'static str, body: &'static str }
///
/// let mut cutter = ZipCutter::new(Syntax::Csv, Limits::default());
/// for name in ["Logo", "The same logo"] {
///     cutter.push(&Logo { name, folder_id: "00l5g000000AbCdAAK", body: "#logos/new.png" })?;
///     while let Some(path) = cutter.wanted() {
///         assert_eq!(path, "logos/new.png"); // for the first row only
///         cutter.file(b"the file, or the next piece of it")?;
///         cutter.end_file()?;
///     }
///     assert!(cutter.end_row()?.is_none());
/// }
/// let batch = cutter.finish()?.expect("two rows");
/// assert!(batch.rows == (0..2) && batch.body.starts_with(b"PK"));
/// # Ok::<(), sfbulk::Error>(())
/// ```
pub struct ZipCutter<T> {
    limits: Limits,
    binary: Vec<String>,
    encoder: Encoder,
    /// The records of the batch, the first one's row, and its files by their names.
    records: Vec<u8>,
    count: u64,
    row: u64,
    files: Files,
    /// The row at hand, if there is one.
    at_hand: Option<AtHand>,
    failed: Option<Error>,
    rows: PhantomData<fn(&T)>,
}

type Files = BTreeMap<String, Entry>;

/// A row that is in no batch yet.
#[derive(Debug, Default)]
struct AtHand {
    record: Vec<u8>,
    /// What it names, and what came of that.
    files: Files,
    wanted: Vec<String>,
    coming: Option<Packer>,
}

impl<T: Serialize> ZipCutter<T> {
    /// A cutter that has seen no rows yet. The records are written in this syntax, and `limits.bytes`
    /// are those of the archive.
    pub fn new(syntax: Syntax, limits: Limits) -> Self {
        Self {
            limits: limits.within_the_vendors(),
            binary: BINARY_FIELDS.map(Into::into).into(),
            encoder: Encoder::new(syntax),
            records: Vec::new(),
            count: 0,
            row: 0,
            files: Files::new(),
            at_hand: None,
            failed: None,
            rows: PhantomData,
        }
    }

    /// Other binary fields than [`BINARY_FIELDS`].
    #[must_use]
    pub fn binary<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.binary = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Takes the next row. What it names is [`wanted`](Self::wanted) next.
    ///
    /// Fails with [`ErrorKind::Input`], naming the row, as a [`RowCutter`](super::RowCutter) does,
    /// and if a binary field holds anything but `#` and the path of a file: one that is absolute,
    /// leads out of its folder, has a backslash or a NUL, or is longer than [`ZIP_NAME`]. From then
    /// on every method that can fail returns that error.
    pub fn push(&mut self, row: &T) -> Result<(), Error> {
        self.unless_failed(|this| {
            if this.at_hand.is_some() {
                return Err(Error::new(ErrorKind::Usage, "the row before has not ended"));
            }
            let mut at_hand = AtHand::default();
            this.encoder.record(row, &mut at_hand.record)?;
            for path in this.references()? {
                if let Some(file) = this.files.get(&path) {
                    at_hand.files.insert(path, file.clone());
                } else if !at_hand.wanted.contains(&path) {
                    at_hand.wanted.push(path);
                }
            }
            this.at_hand = Some(at_hand);
            Ok(())
        })
    }

    /// The path of the next file that the row needs; `None` if it has all.
    pub fn wanted(&self) -> Option<&str> {
        self.at_hand.as_ref()?.wanted.first().map(String::as_str)
    }

    /// Takes the next piece of the file that is wanted.
    ///
    /// Fails with [`ErrorKind::Input`] once it is certain that no archive can hold it.
    pub fn file(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.unless_failed(|this| {
            let most = this.limits.bytes;
            let (at_hand, name) = this.coming()?;
            let packer = at_hand.coming.get_or_insert_with(Packer::new);
            packer.push(piece).map_err(|error| broken(&error))?;
            let (mut unpacked, bytes) = packer.sizes();
            let mut bytes = room(&name, bytes);
            for (name, entry) in &at_hand.files {
                unpacked += entry.plain();
                bytes += entry.room(name);
            }
            if unpacked > ZIP_UNPACKED || bytes > most {
                return Err(input(format!(
                    "the row's files are too large, up to {name}: a batch takes {most} bytes, \
                     {ZIP_UNPACKED} unpacked"
                )));
            }
            Ok(())
        })
    }

    /// The file that is wanted has come to its end.
    pub fn end_file(&mut self) -> Result<(), Error> {
        self.unless_failed(|this| {
            let (at_hand, name) = this.coming()?;
            let packer = at_hand.coming.take().unwrap_or_else(Packer::new);
            let entry = packer.finish().map_err(|error| broken(&error))?;
            at_hand.wanted.remove(0);
            at_hand.files.insert(name, entry);
            Ok(())
        })
    }

    /// Puts the row into a batch, when all its files are there; returns a batch when one is full.
    ///
    /// Fails with [`ErrorKind::Input`] if the row and its files pass a limit even alone.
    pub fn end_row(&mut self) -> Result<Option<Batch>, Error> {
        self.unless_failed(|this| {
            if this.wanted().is_some() {
                return Err(Error::new(ErrorKind::Usage, "a file of this row is still wanted"));
            }
            let Some(at_hand) = this.at_hand.take() else { return Ok(None) };
            let mut batch = None;
            if !this.size_with(&at_hand).fits(this.limits) {
                batch = this.cut();
                let size = this.size_with(&at_hand);
                if !size.fits(this.limits) {
                    return Err(too_large(&at_hand, &size, this.limits));
                }
            }
            if this.count > 0 {
                this.records.extend_from_slice(this.encoder.between());
            }
            this.records.extend_from_slice(&at_hand.record);
            this.files.extend(at_hand.files);
            this.count += 1;
            if this.count >= this.limits.records {
                batch = this.cut(); // no second one: the first left a batch of one row, of one at most
            }
            Ok(batch)
        })
    }

    /// There are no more rows: returns the batch with the last ones, if they are in none yet.
    pub fn finish(&mut self) -> Result<Option<Batch>, Error> {
        match self.end_row()? {
            None => Ok(self.cut()),
            full => Ok(full),
        }
    }

    /// How many rows were cut into batches so far.
    pub fn rows(&self) -> u64 {
        self.row
    }

    /// Does something; an error is of the row at hand, and stays.
    fn unless_failed<R>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<R, Error>,
    ) -> Result<R, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let n = self.row + self.count;
        let done = act(self).map_err(|error| error.of_rows(n..n + 1));
        self.failed = done.as_ref().err().cloned();
        done
    }

    /// The row whose file is coming, and the name of that.
    fn coming(&mut self) -> Result<(&mut AtHand, String), Error> {
        let none = || Error::new(ErrorKind::Usage, "no file is wanted");
        let at_hand = self.at_hand.as_mut().ok_or_else(none)?;
        let name = at_hand.wanted.first().ok_or_else(none)?.clone();
        Ok((at_hand, name))
    }

    /// The paths in the binary fields of the row at hand.
    fn references(&self) -> Result<Vec<String>, Error> {
        let is_binary =
            |name: &str| self.binary.iter().any(|field| field.eq_ignore_ascii_case(name));
        let cells = self.encoder.cells().filter(|(name, text)| is_binary(name) && !text.is_empty());
        cells.map(|(name, text)| Ok(path(name, text)?.to_owned())).collect()
    }

    /// What the batch would come to with this row.
    fn size_with(&self, row: &AtHand) -> Size {
        let between = if self.count == 0 { &[] } else { self.encoder.between() };
        let parts =
            [&*self.encoder.head(), &self.records, between, &row.record, self.encoder.tail()];
        let records = parts.iter().map(|part| part.len()).sum();
        let new = row.files.iter().filter(|(name, _)| !self.files.contains_key(*name));
        let mut size = Size { bytes: END + room(RECORDS, records), unpacked: records, files: 1 };
        for (name, entry) in self.files.iter().chain(new) {
            size.bytes += entry.room(name);
            size.unpacked += entry.plain();
            size.files += 1;
        }
        size
    }

    fn cut(&mut self) -> Option<Batch> {
        if self.count == 0 {
            return None;
        }
        let records = std::mem::take(&mut self.records);
        let records = [&*self.encoder.head(), &records, self.encoder.tail()].concat();
        let records = (RECORDS.to_owned(), Entry::stored(records));
        let files = std::mem::take(&mut self.files);
        let body = write(std::iter::once(records).chain(files).collect()).into();
        let rows = self.row..self.row + self.count;
        self.row = rows.end;
        self.count = 0;
        Some(Batch { rows, body, source: 0..0 })
    }
}

impl<T> fmt::Debug for ZipCutter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZipCutter({} rows cut, {} waiting)", self.row, self.count)
    }
}

/// What an archive would come to.
struct Size {
    bytes: usize,
    unpacked: usize,
    files: usize,
}

impl Size {
    fn fits(&self, limits: Limits) -> bool {
        self.bytes <= limits.bytes && self.unpacked <= ZIP_UNPACKED && self.files <= ZIP_FILES
    }
}

/// The path in a binary field.
fn path<'a>(field: &str, text: &'a str) -> Result<&'a str, Error> {
    let path = text.strip_prefix('#').ok_or_else(|| "it does not begin with #".to_owned());
    path.and_then(|path| check_path(path).map(|()| path)).map_err(|why| {
        let shown: String = text.chars().take(80).collect();
        input(format!("the field {field} names no file: {shown:?}: {why}"))
            .advise("a binary field holds # and the path of a file, such as #photos/ada.png")
    })
}

/// Refuses what is no plain path within a folder, on any system, or has no room in an archive.
fn check_path(path: &str) -> Result<(), String> {
    let drive = path.as_bytes().get(1) == Some(&b':');
    let strange = |part: &str| matches!(part, "" | "." | "..");
    Err(match path {
        "" => "there is no path".into(),
        RECORDS => format!("{RECORDS} is where the records are; give the file another name"),
        _ if path.len() > ZIP_NAME => {
            format!("it has {} bytes; the API takes {ZIP_NAME}", path.len())
        }
        _ if path.starts_with('/') || drive => "it is absolute".into(),
        _ if path.contains('\\') => "it has a backslash; write / instead".into(),
        _ if path.contains('\0') => "it has a NUL".into(),
        _ if path.split('/').any(strange) => "it has a part that is empty, or dots".into(),
        _ => return Ok(()),
    })
}

fn too_large(row: &AtHand, size: &Size, limits: Limits) -> Error {
    let Size { bytes, unpacked, files } = size;
    let named: Vec<String> =
        row.files.iter().map(|(name, entry)| format!("{name} ({} bytes)", entry.plain())).collect();
    let named = if named.is_empty() { "no files".into() } else { named.join(", ") };
    input(format!(
        "this row is too large even alone: with {named} it makes an archive of {bytes} bytes, {unpacked} \
         unpacked, in {files} entries; a batch takes {} bytes, {ZIP_UNPACKED} unpacked, in {ZIP_FILES}",
        limits.bytes
    ))
}

fn broken(why: &dyn fmt::Display) -> Error {
    input(format!("a file of this row cannot be packed: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = BTreeMap<&'static str, String>;

    fn row(path: &str) -> Row {
        BTreeMap::from([("Name", "x".into()), ("VersionData", format!("#{path}"))])
    }

    /// Cuts a row for each path; each file is as long as asked, and nothing that can be packed.
    fn cut(limits: Limits, files: &[(String, usize)]) -> Result<Vec<Batch>, Error> {
        let mut cutter = ZipCutter::new(Syntax::Csv, limits);
        let mut batches = Vec::new();
        for (path, length) in files {
            cutter.push(&row(path))?;
            while cutter.wanted().is_some() {
                cutter.file(&noise(*length))?;
                cutter.end_file()?;
            }
            batches.extend(cutter.end_row()?);
        }
        batches.extend(cutter.finish()?);
        assert!(cutter.finish()?.is_none() && cutter.rows() == files.len() as u64);
        Ok(batches)
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| byte()).collect()
    }

    #[test]
    fn a_batch_is_cut_by_the_bytes_of_its_archive() {
        let files: Vec<(String, usize)> = (0..5).map(|i| (format!("{i}.bin"), 1_000)).collect();
        let one = cut(Limits::default(), &files[..1]).unwrap()[0].body.len();
        let two = cut(Limits::default(), &files[..2]).unwrap()[0].body.len();
        let rows = |bytes| {
            let batches = cut(Limits { bytes, ..Limits::default() }, &files).unwrap();
            assert!(batches.iter().all(|batch| batch.body.len() <= bytes));
            batches.into_iter().map(|batch| batch.rows).collect::<Vec<_>>()
        };
        assert_eq!(rows(two), [0..2, 2..4, 4..5]);
        assert_eq!(rows(two - 1), [0..1, 1..2, 2..3, 3..4, 4..5]);
        assert_eq!(rows(one).len(), 5);
        let error = cut(Limits { bytes: one - 1, ..Limits::default() }, &files).unwrap_err();
        assert_eq!((error.kind(), error.rows()), (ErrorKind::Input, Some(0..1)));
        assert!(error.to_string().contains("with 0.bin (1000 bytes) it makes"), "{error}");
    }

    #[test]
    fn a_batch_has_as_many_entries_as_the_service_takes() {
        let files: Vec<(String, usize)> = (0..2_000).map(|i| (i.to_string(), 0)).collect();
        let batches = cut(Limits::default(), &files).unwrap();
        let rows: Vec<_> = batches.into_iter().map(|batch| batch.rows).collect();
        assert_eq!(rows, [0..999, 999..1_998, 1_998..2_000]);
    }

    #[test]
    fn what_files_come_to_unpacked_counts() {
        let zeros = |length: usize| {
            let mut cutter = ZipCutter::new(Syntax::Csv, Limits::default());
            cutter.push(&row("zeros"))?;
            for _ in 0..length / 1_000 {
                cutter.file(&[0; 1_000])?;
            }
            cutter.end_file()?;
            cutter.end_row()?;
            cutter.finish()
        };
        assert!(zeros(19_999_000).unwrap().unwrap().body.len() < 100_000);
        let error = zeros(20_000_000).unwrap_err().to_string(); // the records count too
        assert!(error.contains("this row is too large even alone"), "{error}");
        let error = zeros(20_001_000).unwrap_err().to_string();
        assert!(error.contains("files are too large, up to zeros"), "{error}");
    }

    #[test]
    fn a_file_of_two_rows_is_there_once_in_each_batch() {
        let same = |n: usize| vec![("same".to_owned(), 10_000); n];
        let [batch] = &cut(Limits::default(), &same(9)).unwrap()[..] else { panic!() };
        assert!(batch.body.len() < 11_000);
        let batches = cut(Limits { records: 2, ..Limits::default() }, &same(5)).unwrap();
        assert!(batches.len() == 3 && batches.iter().all(|batch| batch.body.len() > 10_000));
        assert_eq!(batches[0].body, batches[1].body);
        // It moves on with the row that did not fit, and is not asked for again.
        let mut cutter = ZipCutter::new(Syntax::Csv, Limits { bytes: 25_000, ..Limits::default() });
        let rows = [("a", "b"), ("a", "c")].map(|(one, two)| {
            BTreeMap::from([("Body", format!("#{one}")), ("VersionData", format!("#{two}"))])
        });
        let mut asked = Vec::new();
        let mut first = None;
        for row in &rows {
            cutter.push(row).unwrap();
            while let Some(name) = cutter.wanted() {
                asked.push(name.to_owned());
                cutter.file(&noise(10_000)).unwrap();
                cutter.end_file().unwrap();
            }
            first = cutter.end_row().unwrap();
        }
        assert_eq!(asked, ["a", "b", "c"]);
        let sizes = [first.unwrap(), cutter.finish().unwrap().unwrap()].map(|b| b.body.len());
        assert_eq!(sizes[0], sizes[1]);
    }

    #[test]
    fn paths_that_leave_the_folder_or_have_no_room_are_refused() {
        for (path, why) in [
            ("", "there is no path"),
            ("request.txt", "where the records are"),
            ("/etc/passwd", "absolute"),
            ("C:boot.ini", "absolute"),
            ("..", "dots"),
            ("a/../../b", "dots"),
            ("./a", "dots"),
            ("a//b", "empty"),
            ("a/", "empty"),
            ("a\\b", "backslash"),
            ("a\0b", "NUL"),
            (&"é".repeat(257), "514 bytes; the API takes 512"),
        ] {
            let error =
                ZipCutter::new(Syntax::Csv, Limits::default()).push(&row(path)).unwrap_err();
            assert_eq!(error.rows(), Some(0..1));
            assert!(error.to_string().contains(why), "{path}: {error}");
        }
        for path in ["a", "..a", "a b/ü/Request.txt", "sub/request.txt", &"é".repeat(256)] {
            let mut cutter = ZipCutter::new(Syntax::Csv, Limits::default());
            cutter.push(&row(path)).unwrap();
            assert_eq!(cutter.wanted(), Some(path));
        }
    }

    #[test]
    fn only_binary_fields_name_files() {
        let mut cutter = ZipCutter::new(Syntax::Csv, Limits::default());
        cutter.push(&BTreeMap::from([("Name", "#1"), ("Body", "")])).unwrap();
        assert_eq!(cutter.wanted(), None);
        cutter.end_row().unwrap();
        cutter.push(&BTreeMap::from([("Name", "#2"), ("Body", "#N/A")])).unwrap();
        assert_eq!(cutter.wanted(), None);
        cutter.end_row().unwrap();
        let error = cutter.push(&BTreeMap::from([("Name", "x"), ("Body", "aGVsbG8=")]));
        assert!(error.unwrap_err().to_string().contains("it does not begin with #"));
        assert!(cutter.finish().is_err(), "an error stays");
        let mut cutter = ZipCutter::new(Syntax::Csv, Limits::default()).binary(["content"]);
        cutter.push(&BTreeMap::from([("Content", "#a"), ("Body", "b")])).unwrap();
        assert_eq!(cutter.wanted(), Some("a"));
        assert_eq!(cutter.end_row().unwrap_err().kind(), ErrorKind::Usage);
    }
}
