//! The result files of a load: every row of the input into exactly one of four, as it was written,
//! with what became of it.
//!
//! Outcomes come batch by batch in any order; put back into the order of the input, they walk
//! through it once, side by side with its records. So nothing need be remembered of a batch, and
//! the files are right up to the last batch at any moment.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sfbulk::rows::{Fate, InOrder, Outcome};
use sfbulk_ureq::{Draft, Error, ErrorKind, JobId, Summary};

use crate::exit::{Failure, in_words};
use crate::input::{Columns, ERROR, ID, Input, RecordReader, STATUS, commas};
use crate::operation::Operation;
use crate::output;
use crate::tally::Tally;

/// How much is gathered before it is written.
const BUFFER: usize = 256 << 10;

/// Why a row is unknown that this process never came to.
const BEYOND: &str = "an earlier process of this run may have sent it";

/// Where the files go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Places {
    pub(crate) success: Option<PathBuf>,
    pub(crate) error: Option<PathBuf>,
    pub(crate) folder: PathBuf,
    pub(crate) stem: String,
}

impl Places {
    /// Places that mean the same in any folder.
    pub(crate) fn absolute(&self) -> Self {
        let absolute = |path: &PathBuf| output::absolute(path);
        Self {
            success: self.success.as_ref().map(absolute),
            error: self.error.as_ref().map(absolute),
            folder: absolute(&self.folder),
            stem: self.stem.clone(),
        }
    }

    /// The same, written as people would in the current folder.
    pub(crate) fn relative(self) -> Self {
        Self {
            success: self.success.map(output::from_here),
            error: self.error.map(output::from_here),
            folder: Path::new(".").join(output::from_here(self.folder)),
            stem: self.stem,
        }
    }

    /// The default name of a file.
    fn named(&self, job: JobId, kind: &str) -> PathBuf {
        self.in_folder(&format!("{}.{job}.{kind}.csv", self.stem))
    }

    /// The name of the file for rows that no job took. Another run may have left one that nobody
    /// has loaded yet, so it is a new name.
    fn jobless(&self) -> PathBuf {
        let numbers = (2..).map(|n| format!(".{n}"));
        let names = std::iter::once(String::new()).chain(numbers);
        let mut paths = names.map(|n| self.in_folder(&format!("{}{n}.unprocessed.csv", self.stem)));
        paths.find(|path| !path.exists()).unwrap_or_default()
    }

    fn in_folder(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        path.strip_prefix(".").map_or(path.clone(), Path::to_owned)
    }

    fn success(&self, job: JobId) -> PathBuf {
        self.success.clone().unwrap_or_else(|| self.named(job, "success"))
    }

    /// Refuses stdout, and a place that would overwrite the input or another result.
    pub(crate) fn check(&self, input: Option<&Path>) -> Result<(), Failure> {
        for (option, place) in [("--success", &self.success), ("--error", &self.error)] {
            if place.as_deref().is_some_and(output::is_stdout) {
                let message =
                    format!("{option} needs the name of a file: rows are not written to stdout");
                return Err(Failure::nothing_sent(message));
            }
        }
        let [success, error, input] = [self.success.as_deref(), self.error.as_deref(), input]
            .map(|path| path.map(output::real).filter(|path| !output::is_device(path)));
        for (option, place, other, what) in [
            ("--success", &success, &input, "the input"),
            ("--error", &error, &input, "the input"),
            ("--error", &error, &success, "the success file"),
        ] {
            if place.is_some() && place == other {
                return Err(Failure::nothing_sent(format!("{option} would overwrite {what}")));
            }
        }
        Ok(())
    }
}

/// One of the four files. It exists once it has a row.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    pub(crate) path: Option<PathBuf>,
    pub(crate) rows: u64,
    header: Vec<u8>,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl Sheet {
    fn new(header: Vec<u8>) -> Self {
        Self { header, ..Self::default() }
    }

    /// The buffer, for another row.
    #[inline]
    fn row(&mut self) -> Result<&mut Vec<u8>, Error> {
        if self.file.is_none() {
            self.open()?;
        } else if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        self.rows += 1;
        Ok(&mut self.buffer)
    }

    fn open(&mut self) -> Result<(), Error> {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let file = output::create(&output::real(path)).map_err(|error| trouble(path, &error))?;
        self.begin(file);
        Ok(())
    }

    fn begin(&mut self, file: File) {
        self.buffer.reserve_exact(BUFFER + BUFFER / 4);
        self.buffer.append(&mut self.header);
        self.file = Some(file);
    }

    /// Only whole rows are in the buffer, so a file never ends within one.
    fn flush(&mut self) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_all(&self.buffer);
        self.buffer.clear();
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        if written.is_err() && output::is_device(path) {
            self.file = None; // a file still has the rows from before, a device has nothing
        }
        written.map_err(|error| trouble(path, &error))
    }

    /// The file, if it exists.
    pub(crate) fn written(&self) -> Option<&Path> {
        self.path.as_deref().filter(|_| self.file.is_some())
    }
}

fn trouble(path: &Path, error: &std::io::Error) -> Error {
    let message = format!("{} cannot be written: {}", path.display(), in_words(error));
    Error::new(ErrorKind::Local, message)
}

/// The four files, and how far they are.
#[derive(Debug)]
pub(crate) struct Results<'a> {
    pub(crate) success: Sheet,
    pub(crate) error: Sheet,
    pub(crate) unprocessed: Sheet,
    pub(crate) unknown: Sheet,
    pub(crate) tally: Tally,
    places: Places,
    rows: RecordReader<'a>,
    form: Form,
    in_order: InOrder,
    /// Rows written.
    row: u64,
    /// Something could not be written: the files are left as they are.
    broken: bool,
    /// There was an error file of an earlier run, which was removed.
    removed_errors: bool,
}

impl<'a> Results<'a> {
    /// Reads the header and makes sure that there is room for results.
    pub(crate) fn prepare(
        input: &'a Input,
        columns: Columns,
        operation: &Operation,
        places: Places,
    ) -> Result<Self, Failure> {
        let mut rows = RecordReader::new(input);
        let line_end = if input.ends_lines_in_crlf() { "\r\n" } else { "\n" };
        let form =
            Form { columns, created: operation.created(), changed: operation.changed(), line_end };
        let mut header = Vec::new();
        rows.take(1, |record| {
            header = form.cells(record).to_vec();
            Ok(())
        })?;
        let line = |before: &str, after: &str| {
            [before.as_bytes(), &header, after.as_bytes(), line_end.as_bytes()].concat()
        };
        let id = if form.columns.id_first { String::new() } else { format!("{ID},") };
        let with_error = line("", &format!(",{ERROR}"));
        try_out(&places)?;
        Ok(Self {
            success: Sheet::new(line(&id, &format!(",{STATUS}"))),
            error: Sheet::new(with_error.clone()),
            unprocessed: Sheet::new(line("", "")),
            unknown: Sheet::new(with_error),
            tally: Tally::default(),
            places,
            rows,
            form,
            in_order: InOrder::new(),
            row: 0,
            broken: false,
            removed_errors: false,
        })
    }

    /// The files are named by this job, the run's first. Those that an earlier process of the run
    /// wrote go: all rows come again.
    pub(crate) fn begin(&mut self, job: JobId) -> Result<(), Error> {
        if self.begun() {
            return Ok(());
        }
        for (sheet, kind) in [
            (&mut self.unprocessed, "unprocessed"),
            (&mut self.unknown, "unknown"),
            (&mut self.error, "error"),
        ] {
            let path = self.places.named(job, kind);
            output::remove(&path).map_err(|error| trouble(&path, &error))?;
            sheet.path = Some(path);
        }
        if let Some(path) = &self.places.error {
            self.error.path = Some(path.clone());
        }
        self.open_success(self.places.success(job))
    }

    /// Whether the files have names, and hold what they should.
    pub(crate) fn begun(&self) -> bool {
        self.success.path.is_some()
    }

    /// No job was needed: what was asked for by name is there all the same, so that nobody takes
    /// yesterday's files for today's.
    pub(crate) fn without_job(&mut self) -> Result<(), Error> {
        self.error.path.clone_from(&self.places.error);
        match self.places.success.clone() {
            Some(path) => self.open_success(path)?,
            None => self.remove_old_errors()?,
        }
        self.success.flush()
    }

    fn open_success(&mut self, path: PathBuf) -> Result<(), Error> {
        let file = output::create(&output::real(&path)).map_err(|error| trouble(&path, &error))?;
        self.success.path = Some(path);
        self.success.begin(file);
        self.success.flush()?; // with its header from the start, whatever happens then
        self.remove_old_errors()
    }

    /// An error file of an earlier run must not look like one of this.
    fn remove_old_errors(&mut self) -> Result<(), Error> {
        if let Some(path) = self.places.error.as_deref().filter(|path| !output::is_device(path)) {
            self.removed_errors = output::remove(path).map_err(|error| trouble(path, &error))?;
        }
        Ok(())
    }

    /// The error file of an earlier run that was removed, and none came in its place.
    pub(crate) fn removed(&self) -> Option<&Path> {
        self.places.error.as_deref().filter(|_| self.removed_errors && self.error.file.is_none())
    }

    /// Takes the outcomes of a batch, and writes what is next in order.
    pub(crate) fn add(&mut self, page: Vec<Outcome>) -> Result<(), Error> {
        if self.broken || !self.begun() {
            return Ok(()); // without a job nothing was loaded: the input itself says all
        }
        self.in_order.add(page);
        while let Some(page) = self.in_order.next() {
            let written = self.write(&page);
            self.broken = written.is_err();
            written?;
        }
        Ok(())
    }

    fn write(&mut self, page: &[Outcome]) -> Result<(), Error> {
        if page.first().is_some_and(|first| first.row != self.row) {
            return Err(internal(format!("row {} has no outcome", self.row + 1)));
        }
        let Self { success, error, unprocessed, unknown, tally, rows, form, .. } = self;
        let mut outcomes = page.iter();
        let taken = rows.take(page.len() as u64, |record| {
            let Some(outcome) = outcomes.next() else { return Ok(()) };
            match outcome.fate {
                Fate::Succeeded { created } => {
                    form.success(success.row()?, outcome, created, record);
                }
                Fate::Failed => {
                    tally.add(outcome);
                    form.error(error.row()?, outcome, record);
                }
                Fate::Unprocessed => form.plain(unprocessed.row()?, record),
                Fate::Unknown => form.error(unknown.row()?, outcome, record),
            }
            Ok(())
        })?;
        self.row += taken;
        if taken < page.len() as u64 {
            return Err(internal(format!("the input has only {} rows", self.row)));
        }
        self.flush()
    }

    /// How many rows have their place.
    pub(crate) fn rows_written(&self) -> u64 {
        self.row
    }

    fn flush(&mut self) -> Result<(), Error> {
        [&mut self.success, &mut self.error, &mut self.unprocessed, &mut self.unknown]
            .into_iter()
            .try_for_each(Sheet::flush)
    }

    /// No job could be created, and nobody else has the rows: they go into a file.
    pub(crate) fn keep_all(&mut self, total: u64) -> Result<(), Error> {
        self.unprocessed.path = Some(self.places.jobless());
        self.rows.take(total, |record| {
            self.form.plain(self.unprocessed.row()?, record);
            Ok(())
        })?;
        self.flush()
    }

    /// The load is over: rows that were never asked for are unprocessed, and the files are compared
    /// with what the machine counted. Only for a load that had a job.
    pub(crate) fn finish(&mut self, total: u64, summary: &Summary) -> Result<(), Error> {
        if self.broken {
            return Ok(()); // it was said when it happened
        }
        if self.row != summary.rows {
            let (fed, row) = (summary.rows, self.row);
            return Err(internal(format!("{fed} rows were taken, but {row} have an outcome")));
        }
        let beyond = summary.beyond_unknown;
        let mut row = self.row;
        let left = self.rows.take(total - self.row, |record| {
            if beyond {
                let outcome =
                    Outcome { row, id: None, fate: Fate::Unknown, error: Some(BEYOND.into()) };
                self.form.error(self.unknown.row()?, &outcome, record);
            } else {
                self.form.plain(self.unprocessed.row()?, record);
            }
            row += 1;
            Ok(())
        })?;
        self.flush()?;
        let (unprocessed, unknown) = if beyond { (0, left) } else { (left, 0) };
        for (what, sheet, counted) in [
            ("succeeded", &self.success, summary.succeeded),
            ("failed", &self.error, summary.failed),
            ("were not processed", &self.unprocessed, summary.unprocessed + unprocessed),
            ("are unknown", &self.unknown, summary.unknown + unknown),
        ] {
            if sheet.rows != counted {
                let rows = sheet.rows;
                return Err(internal(format!("{counted} rows {what}, but {rows} were written")));
            }
        }
        if self.row + left != total {
            return Err(internal(format!("{} of {total} rows were written", self.row + left)));
        }
        Ok(())
    }
}

/// Fails if a file could not be written, while nothing has been sent.
fn try_out(places: &Places) -> Result<(), Failure> {
    let folder = &places.folder;
    tempfile::tempfile_in(folder).map_err(|error| unwritable(folder, &error))?;
    for path in [&places.error, &places.success].into_iter().flatten() {
        if !output::is_device(path) {
            Draft::create(path).map_err(|error| unwritable(path, &error))?;
        }
    }
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("no result files can be written: {}", in_words(error));
    Failure::nothing_sent(message).of_file(&path.display().to_string())
}

fn internal(message: impl Display) -> Error {
    let message = format!("internal error: {message}; the result files cannot be trusted");
    Error::new(ErrorKind::Local, message).advise("please report this")
}

/// How a row is written.
#[derive(Debug)]
struct Form {
    columns: Columns,
    created: &'static str,
    changed: &'static str,
    /// As the input's.
    line_end: &'static str,
}

impl Form {
    /// The record without what an earlier run wrote.
    #[inline]
    fn cells<'r>(&self, record: &'r [u8]) -> &'r [u8] {
        if self.columns.old_result.is_none() {
            return record;
        }
        let end = commas(record).last().unwrap_or(record.len());
        let start =
            if self.columns.old_id { commas(record).next().map(|comma| comma + 1) } else { None };
        record.get(start.unwrap_or_default()..end).unwrap_or(record)
    }

    #[inline]
    fn success(&self, to: &mut Vec<u8>, outcome: &Outcome, created: bool, record: &[u8]) {
        let mut cells = self.cells(record);
        if let Some(id) = &outcome.id {
            to.extend_from_slice(id.as_str().as_bytes());
            if self.columns.id_first {
                cells =
                    cells.get(commas(cells).next().unwrap_or(cells.len())..).unwrap_or_default();
            }
        }
        if !self.columns.id_first {
            to.push(b',');
        }
        to.extend_from_slice(cells);
        to.push(b',');
        to.extend_from_slice(if created { self.created } else { self.changed }.as_bytes());
        to.extend_from_slice(self.line_end.as_bytes());
    }

    fn error(&self, to: &mut Vec<u8>, outcome: &Outcome, record: &[u8]) {
        to.extend_from_slice(self.cells(record));
        to.extend_from_slice(b",\"");
        push_on_one_line(to, outcome.message());
        to.push(b'"');
        to.extend_from_slice(self.line_end.as_bytes());
    }

    fn plain(&self, to: &mut Vec<u8>, record: &[u8]) {
        to.extend_from_slice(self.cells(record));
        to.extend_from_slice(self.line_end.as_bytes());
    }
}

/// The inside of a quoted cell: quotes doubled, each line break a blank.
fn push_on_one_line(to: &mut Vec<u8>, text: &str) {
    let mut before = 0;
    for &byte in text.trim().as_bytes() {
        match byte {
            b'"' => to.extend_from_slice(b"\"\""),
            b'\n' if before == b'\r' => {}
            b'\n' | b'\r' => to.push(b' '),
            _ => to.push(byte),
        }
        before = byte;
    }
}
