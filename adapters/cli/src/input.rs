//! The CSV file of a load. It is read three times: once to judge all of it before anything is
//! sent, once to send it, and once to set each outcome beside its row. So it must be a file, and
//! the same one all the while; what is no file is copied into one first.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sfbulk::Printer;
use sfbulk::rows::{Cutter, Limits, Records, Source};
use sfbulk_ureq::{Error, ErrorKind};

use crate::exit::{Failure, in_words};
use crate::journal::Journal;
use crate::operation::Operation;
use crate::output;

/// What the last column of an error file is called.
pub(crate) const ERROR: &str = "ERROR";
/// What the last column of a success file is called, and the first one.
pub(crate) const STATUS: &str = "STATUS";
pub(crate) const ID: &str = "ID";

/// The name of what comes from a pipe without one.
const STDIN: &str = "stdin";

/// The input, whole and on disk.
#[derive(Debug)]
pub(crate) struct Input {
    /// For messages.
    pub(crate) name: String,
    /// Where it came from, to be opened again.
    pub(crate) origin: Origin,
    file: File,
    /// Where the file's own cursor is: readers share it.
    cursor: Cell<u64>,
}

/// What finds an input again, and tells whether it is the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    path: PathBuf,
    /// It came from a pipe: when this run is over, nobody else has it.
    pub(crate) spooled: bool,
    /// It was made of the files in this folder.
    #[serde(default)]
    folder: Option<PathBuf>,
    stamp: Stamp,
}

impl Origin {
    /// The file or the folder that people named.
    fn found_at(&self) -> &Path {
        self.folder.as_deref().unwrap_or(&self.path)
    }
}

/// What tells that a file was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let data = file.metadata()?;
        Ok(Self { length: data.len(), modified: data.modified().ok() })
    }

    /// Makes it a part of a fingerprint.
    pub(crate) fn add_to(&self, print: &mut Printer) {
        let modified = self.modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        print.add(&self.length.to_le_bytes());
        print.add(&modified.unwrap_or_default().as_nanos().to_le_bytes());
    }
}

impl Input {
    /// Opens a file; `-` or none is stdin. What is no file is kept with the journal.
    pub(crate) fn open(path: Option<&Path>, journal: &Journal) -> Result<Self, Failure> {
        let stdin = path.is_none_or(|path| path.as_os_str() == "-");
        let Some(path) = path.filter(|_| !stdin) else {
            if io::stdin().is_terminal() {
                return Err(Failure::nothing_sent("no input: name a FILE, or pipe CSV into stdin"));
            }
            return Self::on_disk(STDIN.into(), || spool(io::stdin().lock(), journal));
        };
        Self::on_disk(path.display().to_string(), || {
            let file = File::open(path)?;
            match file.metadata()? {
                data if data.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                data if data.is_file() => Ok((file, output::absolute(path), false)),
                _ => spool(file, journal), // a pipe, as `<(…)` makes one
            }
        })
    }

    /// Takes what was made of a folder, and keeps it with the journal: the folder may change.
    pub(crate) fn made(folder: &Path, text: &str, journal: &Journal) -> Result<Self, Failure> {
        let name = folder.display().to_string();
        let mut input = Self::on_disk(name, || {
            spool(text.as_bytes(), journal).map(|(file, path, _)| (file, path, false))
        })?;
        input.origin.folder = Some(output::real(folder)); // which has a name, unlike ..
        Ok(input)
    }

    /// Opens the input of an earlier run; fails if it is not the same.
    pub(crate) fn again(origin: &Origin) -> Result<Self, Failure> {
        let path = origin.path.clone();
        let name = if origin.spooled {
            STDIN.into()
        } else {
            output::from_here(origin.found_at().to_owned()).display().to_string()
        };
        let mut input = Self::on_disk(name, || Ok((File::open(&path)?, path, origin.spooled)))?;
        input.origin.folder.clone_from(&origin.folder);
        if input.origin.stamp == origin.stamp {
            return Ok(input);
        }
        let message = "it was changed since the run began, so it is not clear which rows are left; \
                       nothing was sent";
        Err(Failure::nothing_sent(message).of_file(&input.name))
    }

    fn on_disk(
        name: String,
        open: impl FnOnce() -> io::Result<(File, PathBuf, bool)>,
    ) -> Result<Self, Failure> {
        let opened = open().and_then(|(file, path, spooled)| {
            let origin = Origin { path, spooled, folder: None, stamp: Stamp::of(&file)? };
            Ok((file, origin))
        });
        let (file, origin) =
            opened.map_err(|e| Failure::nothing_sent(in_words(&e)).of_file(&name))?;
        let input = Self { name, origin, file, cursor: Cell::new(0) };
        input.refuse_gzip()?;
        Ok(input)
    }

    /// The beginning of the names of the result files.
    pub(crate) fn stem(&self) -> String {
        let spooled = self.origin.spooled;
        let stem = if spooled { Path::new(&self.name) } else { self.origin.found_at() };
        stem.file_stem().unwrap_or_default().to_string_lossy().into_owned()
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

    /// How many rows a source of its rows has, and how many batches they make; fails at the first
    /// that could not be sent.
    pub(crate) fn judge(&self, source: &mut dyn Source) -> Result<Total, Failure> {
        let mut total = Total::default();
        while let Some(batch) = source.batch().map_err(|e| self.failure(e))? {
            total = Total { rows: batch.rows.end, batches: total.batches + 1 };
        }
        Ok(total)
    }

    /// The first record as it is written. It is empty if there is none that can be read: whoever
    /// judges the input says why.
    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        let read = RecordReader::new(self).take(1, |record| {
            header = record.to_vec();
            Ok(())
        });
        if read.is_ok() { header } else { Vec::new() }
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
        if Stamp::of(&self.file).is_ok_and(|stamp| stamp == self.origin.stamp) {
            return Ok(());
        }
        let message = format!("{} was changed while it was loaded", self.name);
        Err(Error::new(ErrorKind::Local, message))
    }

    fn failure(&self, error: Error) -> Failure {
        Failure::from(error).of_file(&self.name)
    }
}

/// How much there is to load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Total {
    pub(crate) rows: u64,
    pub(crate) batches: u64,
}

/// Copies a stream into a file beside the journal. It must be on the disk, as the journal is.
fn spool(mut stream: impl Read, journal: &Journal) -> io::Result<(File, PathBuf, bool)> {
    let (mut file, path) = journal.spool()?;
    io::copy(&mut stream, &mut file)?;
    file.sync_all()?;
    Ok((File::open(&path)?, path, true))
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

/// The records of an input, in order, the header being the first.
#[derive(Debug)]
pub(crate) struct RecordReader<'a> {
    records: Records,
    reader: Reader<'a>,
    ended: bool,
}

impl<'a> RecordReader<'a> {
    pub(crate) fn new(input: &'a Input) -> Self {
        Self { records: Records::new(), reader: input.reader(), ended: false }
    }

    /// Hands on the next `n` records, or all that are left; returns how many these were.
    pub(crate) fn take(
        &mut self,
        n: u64,
        mut with: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut taken = 0;
        loop {
            while taken < n {
                let Some(record) = self.records.next()? else { break };
                with(record)?;
                taken += 1;
            }
            if taken == n || self.ended {
                return Ok(taken);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        let read = self.reader.read(self.records.space()).map_err(|error| {
            let message = format!("the input cannot be read again: {}", in_words(&error));
            Error::new(ErrorKind::Local, message)
        })?;
        self.records.filled(read);
        self.ended = read == 0;
        Ok(())
    }
}

/// Where the commas between the cells of a record are.
pub(crate) fn commas(record: &[u8]) -> impl Iterator<Item = usize> {
    let mut inside = false;
    record.iter().enumerate().filter_map(move |(i, &byte)| {
        inside ^= byte == b'"';
        (byte == b',' && !inside).then_some(i)
    })
}

/// What the cells of a record say.
pub(crate) fn cells(record: &[u8]) -> Vec<String> {
    let ends = commas(record).chain([record.len()]);
    let starts = std::iter::once(0).chain(commas(record).map(|comma| comma + 1));
    starts
        .zip(ends)
        .map(|(start, end)| {
            let cell = String::from_utf8_lossy(record.get(start..end).unwrap_or_default());
            match cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
                Some(inside) => inside.replace("\"\"", "\""),
                None => cell.into_owned(),
            }
        })
        .collect()
}

/// What is done with the columns of an input. They are told apart by their positions: a file may
/// have a field `Status` and the `STATUS` of an earlier run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    /// The positions of those that are sent, if not all are.
    sent: Option<Vec<usize>>,
    /// The last one is the `ERROR` or the `STATUS` of an earlier result file: it is neither sent
    /// nor written again.
    pub(crate) old_result: Option<&'static str>,
    /// The first one is the `ID` of an earlier success file that has its records' ids in another
    /// column too: it is neither sent nor written again.
    pub(crate) old_id: bool,
    /// The first one is `ID`, as in a success file: the server's id goes there.
    pub(crate) id_first: bool,
}

impl Columns {
    /// Fails if a column is missing that the operation needs, or a name cannot be meant.
    /// Columns that the org transforms may have any name.
    pub(crate) fn of(input: &Input, operation: &Operation, foreign: bool) -> Result<Self, Failure> {
        let header = input.header();
        if header.is_empty() {
            return Ok(Self::default()); // judging the input comes next, and says what is wrong
        }
        let fail = |message| Err(Failure::nothing_sent(message).of_file(&input.name));
        if let Some(separator) = other_separator(&header) {
            return fail(format!(
                "the columns seem to be separated by {separator}: sfbulk reads commas"
            ));
        }
        let names = cells(&header);
        let needs = operation.needs().filter(|_| !foreign);
        if let Some(wanted) = needs.filter(|wanted| find(&names, wanted).is_none()) {
            let message = format!("there is no column {wanted}, and {} needs it", operation.verb());
            return fail(message);
        }
        let columns = Self::select(&names, operation.takes_only_id());
        let sent = |(i, name): &(usize, &String)| columns.sends(*i) && has_blanks(name);
        match names.iter().enumerate().find(sent).filter(|_| !foreign) {
            Some((i, name)) => {
                fail(format!("column {}, {name:?}, has blanks around its name", i + 1))
            }
            None => Ok(columns),
        }
    }

    fn select(names: &[String], only_id: bool) -> Self {
        let first = names.first().is_some_and(|name| name == ID);
        let old_result = match names {
            [_, .., last] if last == ERROR => Some(ERROR),
            [_, .., last] if last == STATUS && first => Some(STATUS),
            _ => None,
        };
        let another = names.get(1..).and_then(|names| find(names, ID)).is_some();
        let old_id = old_result == Some(STATUS) && another && !only_id;
        let sent = if only_id {
            find(names, ID).map(|id| vec![id])
        } else if old_result.is_some() {
            Some((usize::from(old_id)..names.len() - 1).collect())
        } else {
            None
        };
        Self { sent, old_result, old_id, id_first: first && !old_id }
    }

    /// Whether the column at this position is sent.
    pub(crate) fn sends(&self, position: usize) -> bool {
        self.sent.as_ref().is_none_or(|sent| sent.contains(&position))
    }

    pub(crate) fn cutter(&self, limits: Limits) -> Cutter {
        let cutter = Cutter::new(limits);
        match &self.sent {
            Some(sent) => cutter.keep_columns(sent.iter().copied()),
            None => cutter,
        }
    }
}

/// The first column of this name, compared as the API does.
fn find(names: &[String], wanted: &str) -> Option<usize> {
    names.iter().position(|name| name.eq_ignore_ascii_case(wanted))
}

/// What the columns seem to be separated by, if it is no comma. No field has it in its name.
fn other_separator(header: &[u8]) -> Option<&'static str> {
    if commas(header).next().is_some() || header.contains(&b'\n') {
        return None; // a line break in it: a quote is open
    }
    [(b';', "';'"), (b'\t', "tabs")]
        .into_iter()
        .find_map(|(byte, name)| header.contains(&byte).then_some(name))
}

/// A name of nothing but blanks is none, which the cutter says.
fn has_blanks(name: &str) -> bool {
    !name.trim().is_empty() && name.trim() != name
}
