use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;
use sfbulk::rows::{Batch, Limits, Source, ZipCutter};
use sfbulk::{Error, ErrorKind, Spec};

use crate::folder::Folder;

/// How much of a file is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// The batches of rows that name files of a folder: archives, into which each file is packed while it
/// is read.
pub struct FileSource<I: Iterator<Item = Result<T, Error>>, T> {
    rows: I,
    row: u64,
    folder: Folder,
    cutter: ZipCutter<T>,
    buffer: Vec<u8>,
}

impl<I: Iterator<Item = Result<T, Error>>, T: Serialize> FileSource<I, T> {
    /// The rows of a load, the files of which are in this folder. Nothing is taken from `rows` before
    /// it is needed; an error among them is given on.
    ///
    /// Fails with [`ErrorKind::Usage`] if the job is none of archives, and with
    /// [`ErrorKind::Input`] if there is no such folder.
    pub fn open(spec: &Spec, limits: Limits, folder: &Path, rows: I) -> Result<Self, Error> {
        if !spec.is_zip() {
            let error = Error::new(ErrorKind::Usage, "only a job of archives takes files");
            return Err(error.advise("say content_type(ContentType::ZipCsv) before files"));
        }
        let folder = Folder::open(folder).map_err(|error| {
            let message = format!("the folder {} cannot be read: {error}", folder.display());
            Error::new(ErrorKind::Input, message)
        })?;
        let cutter = ZipCutter::new(spec.syntax(), limits);
        Ok(Self { rows, row: 0, folder, cutter, buffer: vec![0; PIECE] })
    }

    /// Other fields that name files than [`BINARY_FIELDS`](sfbulk::rows::BINARY_FIELDS).
    #[must_use]
    pub fn binary<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.cutter = self.cutter.binary(fields);
        self
    }

    /// Reads the file of a row to its end.
    fn read(&mut self, path: &str) -> Result<(), Error> {
        let trouble = |kind, error: &io::Error| {
            Error::new(kind, format!("its file {path} cannot be read: {error}"))
        };
        let opened = self.folder.file(path).map_err(|error| trouble(ErrorKind::Input, &error));
        let (mut file, length) = opened?;
        let mut left = length;
        loop {
            let read = match file.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| trouble(ErrorKind::Local, &error))?,
            };
            if read as u64 > left || (read == 0 && left > 0) {
                let message = format!("its file {path} was changed while it was read");
                return Err(Error::new(ErrorKind::Local, message));
            }
            if read == 0 {
                return self.cutter.end_file();
            }
            left -= read as u64;
            self.cutter.file(self.buffer.get(..read).unwrap_or_default())?;
        }
    }
}

impl<I: Iterator<Item = Result<T, Error>>, T: Serialize> Source for FileSource<I, T> {
    fn batch(&mut self) -> Result<Option<Batch>, Error> {
        while let Some(row) = self.rows.next() {
            self.cutter.push(&row?)?;
            while let Some(path) = self.cutter.wanted().map(str::to_owned) {
                self.read(&path).map_err(|error| error.of_rows(self.row..self.row + 1))?;
            }
            self.row += 1;
            if let Some(batch) = self.cutter.end_row()? {
                return Ok(Some(batch));
            }
        }
        self.cutter.finish()
    }
}

impl<I: Iterator<Item = Result<T, Error>>, T> fmt::Debug for FileSource<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (folder, cutter) = (&self.folder, &self.cutter);
        f.debug_struct("FileSource")
            .field("folder", folder)
            .field("cutter", cutter)
            .finish_non_exhaustive()
    }
}
