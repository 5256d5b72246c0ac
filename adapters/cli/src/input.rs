//! The CSV file of a load. It is read three times: once to judge all of it before anything is
//! sent, once to send it, and once to set each outcome beside its row. So it must be a file, and
//! the same one all the while; what is no file is copied into one first.

use std::cell::Cell;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, IsTerminal, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use sfbulk::rows::{Cutter, Limits, Source};
use sfbulk_ureq::{CsvSource, Error, ErrorKind};

use crate::exit::{Failure, in_words};
use crate::load::Operation;

/// What the last column of an error file is called.
pub(crate) const ERROR: &str = "ERROR";

/// The input, whole and on disk.
#[derive(Debug)]
pub(crate) struct Input {
    /// For messages.
    pub(crate) name: String,
    /// The beginning of the names of the result files.
    pub(crate) stem: String,
    file: File,
    /// Where the file's own cursor is: readers share it.
    cursor: Cell<u64>,
    stamp: Stamp,
}

/// What tells that a file was changed.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(data: &Metadata) -> Self {
        Self { length: data.len(), modified: data.modified().ok() }
    }
}

impl Input {
    /// Opens a file; `-` or none is stdin.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let stdin = path.is_none_or(|path| path.as_os_str() == "-");
        let Some(path) = path.filter(|_| !stdin) else {
            if io::stdin().is_terminal() {
                return Err(Failure::nothing_sent("no input: name a FILE, or pipe CSV into stdin"));
            }
            return Self::on_disk("stdin", "stdin", || spool(io::stdin().lock()));
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::on_disk(&path.display().to_string(), &stem, || {
            let file = File::open(path)?;
            match file.metadata()? {
                data if data.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                data if data.is_file() => Ok(file),
                _ => spool(file), // a pipe, as `<(…)` makes one
            }
        })
    }

    fn on_disk(
        name: &str,
        stem: &str,
        open: impl FnOnce() -> io::Result<File>,
    ) -> Result<Self, Failure> {
        let opened = open().and_then(|file| {
            let stamp = Stamp::of(&file.metadata()?);
            Ok(Self { name: name.into(), stem: stem.into(), file, cursor: Cell::new(0), stamp })
        });
        let input = opened.map_err(|e| Failure::nothing_sent(in_words(&e)).of_file(name))?;
        input.refuse_gzip()?;
        Ok(input)
    }

    /// A cutter would only say that this is no UTF-8.
    fn refuse_gzip(&self) -> Result<(), Failure> {
        let mut beginning = [0; 2];
        let read = self.reader().read(&mut beginning);
        if !matches!(read, Ok(2)) || beginning != [0x1f, 0x8b] {
            return Ok(());
        }
        let message = "this is a gzip file; unpack it first: gunzip -c FILE | sfbulk … -";
        Err(Failure::nothing_sent(message).of_file(&self.name))
    }

    /// Reads it from the beginning.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { input: self, at: 0 }
    }

    /// How many rows there are; fails at the first that could not be sent.
    pub(crate) fn judge(&self, columns: Columns, limits: Limits) -> Result<u64, Failure> {
        let mut source = CsvSource::new(self.reader(), columns.cutter(limits));
        let mut rows = 0;
        while let Some(batch) = source.batch().map_err(|e| self.failure(e))? {
            rows = batch.rows.end;
        }
        Ok(rows)
    }

    /// The names in the header.
    fn header(&self) -> Result<Vec<String>, Failure> {
        let mut cutter = Cutter::new(Limits { records: 1, ..Limits::default() });
        let mut reader = self.reader();
        loop {
            let cut = cutter.next();
            if let Some(names) = cutter.header() {
                return Ok(names.to_vec());
            }
            cut.map_err(|e| self.failure(e))?;
            let read = reader.read(cutter.space());
            let read = read.map_err(|e| Failure::nothing_sent(in_words(&e)).of_file(&self.name))?;
            cutter.filled(read);
        }
    }

    /// How its lines end, told by the first.
    pub(crate) fn ends_lines_in_crlf(&self) -> bool {
        let mut bytes = BufReader::new(self.reader()).bytes().map_while(Result::ok);
        let mut inside = false;
        let end = bytes.find(|byte| {
            inside ^= *byte == b'"';
            !inside && matches!(byte, b'\r' | b'\n')
        });
        end == Some(b'\r') && bytes.next() == Some(b'\n')
    }

    /// Fails if the file is not the one that was judged.
    pub(crate) fn unchanged(&self) -> Result<(), Error> {
        if self.file.metadata().is_ok_and(|data| Stamp::of(&data) == self.stamp) {
            return Ok(());
        }
        let message = format!("{} was changed while it was loaded", self.name);
        Err(Error::new(ErrorKind::Local, message))
    }

    fn failure(&self, error: Error) -> Failure {
        Failure::from(error).of_file(&self.name)
    }
}

/// Copies a stream into a file without a name.
fn spool(mut stream: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut stream, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// Reads an [`Input`] from the beginning, whoever else reads it.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    input: &'a Input,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = &self.input.file;
        if self.input.cursor.get() != self.at {
            self.input.cursor.set(file.seek(SeekFrom::Start(self.at))?);
        }
        let read = file.read(buffer)?;
        self.at += read as u64;
        self.input.cursor.set(self.at);
        Ok(read)
    }
}

/// What is done with the columns of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    /// Only `Id` is sent.
    only_id: bool,
    /// The last one is the `ERROR` of an earlier error file, which was mended: it is neither sent
    /// nor written again.
    pub(crate) old_errors: bool,
    /// The first one is `ID`, as in a success file: the server's id goes there.
    pub(crate) id_first: bool,
}

impl Columns {
    /// Fails if a column is missing that the operation needs.
    pub(crate) fn of(input: &Input, operation: &Operation) -> Result<Self, Failure> {
        let names = input.header()?;
        let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        if let Some(wanted) = operation.needs().filter(|wanted| !has(wanted)) {
            let message = format!("there is no column {wanted}, and {} needs it", operation.verb());
            return Err(Failure::nothing_sent(message).of_file(&input.name));
        }
        Ok(Self {
            only_id: operation.takes_only_id(),
            old_errors: names.len() > 1 && names.last().is_some_and(|name| name == ERROR),
            id_first: names.first().is_some_and(|name| name == "ID"),
        })
    }

    pub(crate) fn cutter(self, limits: Limits) -> Cutter {
        let cutter = Cutter::new(limits);
        match self {
            Self { only_id: true, .. } => cutter.keep_only(["Id"]),
            Self { old_errors: true, .. } => cutter.leave_out([ERROR]),
            _ => cutter,
        }
    }
}
