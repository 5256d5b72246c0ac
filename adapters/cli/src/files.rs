//! Loads of files: rows that name them, or a folder of them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use sfbulk::rows::{Attachment, BINARY_FIELDS, ContentVersion, Document, Limits, Source};
use sfbulk::{Fingerprint, Plain, Printer};
use sfbulk_draft::{FileSource, Folder};
use sfbulk_ureq::{Error, Spec};

use crate::args::Load;
use crate::exit::{Failure, in_words};
use crate::input::{Columns, Input, RecordReader, Stamp, cells};
use crate::output;

/// Where the files are that rows name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Files {
    folder: PathBuf,
    /// The columns that name them.
    columns: Vec<String>,
    /// What tells that one of them was changed, once they have been looked at.
    print: Option<Fingerprint>,
}

impl Files {
    /// What was asked for: files beside the CSV, or a folder of them; or neither.
    pub(crate) fn of(args: &Load) -> Option<Self> {
        let file = args.file.as_deref().filter(|file| !output::is_stdout(file));
        let folder = match file {
            Some(folder) if folder.is_dir() => folder,
            _ if args.files.is_none() => return None,
            Some(file) => output::folder(file),
            None => Path::new("."),
        };
        let column = args.files.clone().filter(|column| !column.is_empty());
        let columns =
            column.map_or_else(|| BINARY_FIELDS.map(Into::into).into(), |name| vec![name]);
        Some(Self { folder: output::absolute(folder), columns, print: None })
    }

    /// The batches of an input whose rows name files.
    pub(crate) fn source<'a>(
        &self,
        spec: &Spec,
        limits: Limits,
        input: &'a Input,
        columns: &Columns,
    ) -> Result<impl Source + use<'a>, Failure> {
        let rows = Rows::of(input, columns, self)?;
        let source = FileSource::open(spec, limits, &self.folder, rows)?;
        Ok(source.binary(self.columns.iter().cloned()))
    }

    /// Fails if a file was changed since the files were first looked at, by an earlier process too.
    pub(crate) fn unchanged(&mut self, input: &Input, columns: &Columns) -> Result<(), Failure> {
        let print = self.look(input, columns)?;
        if *self.print.get_or_insert(print) == print {
            return Ok(());
        }
        let message = "a file that its rows name was changed since the run began, so it is not clear \
                       what is left to load; nothing was sent";
        Err(Failure::nothing_sent(message).of_file(&input.name))
    }

    /// The fingerprint of the paths, lengths and times of all files. Who judges the rows says why one
    /// cannot be opened.
    fn look(&self, input: &Input, columns: &Columns) -> Result<Fingerprint, Failure> {
        let folder = Folder::open(&self.folder).map_err(|e| Failure::nothing_sent(in_words(&e)))?;
        let mut print = Printer::default();
        for row in Rows::of(input, columns, self)? {
            let cells = row?.0.into_iter().filter(|(name, _)| self.names(name));
            for path in cells.filter_map(|(_, cell)| cell.strip_prefix('#').map(str::to_owned)) {
                print.add(path.as_bytes());
                if let Ok(stamp) = folder.file(&path).and_then(|(file, _)| Stamp::of(&file)) {
                    stamp.add_to(&mut print);
                }
            }
        }
        Ok(print.so_far())
    }

    /// How a result file can be loaded again: its paths are those from the folder.
    pub(crate) fn how_to_load(&self) -> String {
        let folder = output::from_here(self.folder.clone());
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        let folder = folder.display().to_string();
        let column = match &self.columns[..] {
            [column] => format!("={column}"),
            _ => String::new(),
        };
        format!("load the file with --files{column}, once it lies in {}", Plain(&folder))
    }

    fn names(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name.eq_ignore_ascii_case(column))
    }
}

/// A record of an input, or one that is made of a file: cells, and the names of their columns.
struct Row(Vec<(String, String)>);

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let absent_if_empty = |cell| Some(cell).filter(|cell: &&String| !cell.is_empty());
        serializer.collect_map(self.0.iter().map(|(name, cell)| (name, absent_if_empty(cell))))
    }
}

/// The rows of an input that has been judged.
struct Rows<'a> {
    records: RecordReader<'a>,
    columns: Vec<Column>,
}

/// A column that is sent.
struct Column {
    position: usize,
    name: String,
    /// Whether it names files: people may leave out the `#`.
    binary: bool,
}

impl<'a> Rows<'a> {
    fn of(input: &'a Input, columns: &Columns, files: &Files) -> Result<Self, Failure> {
        let mut records = RecordReader::new(input);
        let mut header = Vec::new();
        records.take(1, |record| {
            header = cells(record);
            Ok(())
        })?;
        let column = |(position, name): (usize, String)| {
            let binary = files.names(&name);
            columns.sends(position).then_some(Column { position, name, binary })
        };
        let columns: Vec<Column> = header.into_iter().enumerate().filter_map(column).collect();
        if columns.iter().any(|column| column.binary) {
            return Ok(Self { records, columns });
        }
        let message = format!("there is no column {} for the files", files.columns.join(" or "));
        Err(Failure::nothing_sent(message).of_file(&input.name))
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut row = None;
        let taken = self.records.take(1, |record| {
            let mut cells = cells(record);
            let cell = |column: &Column| {
                let cell = cells.get_mut(column.position).map(std::mem::take).unwrap_or_default();
                let bare = column.binary && !cell.starts_with('#') && !cell.is_empty();
                (column.name.clone(), if bare { format!("#{cell}") } else { cell })
            };
            row = Some(Row(self.columns.iter().map(cell).collect()));
            Ok(())
        });
        taken.map(|_| row).transpose()
    }
}

/// The CSV of a folder: a row for each file in it, with the fields that the object needs for one, and
/// those that are `set` for all.
pub(crate) fn made(folder: &Path, object: &str, set: &[String]) -> Result<String, Failure> {
    let unreadable = |error| Failure::nothing_sent(in_words(&error));
    let mut rest = Vec::new();
    for field in set {
        let (name, value) = field.split_once('=').ok_or_else(|| {
            Failure::nothing_sent(format!("--set {field:?}: it looks like FIELD=VALUE"))
        })?;
        rest.push((name.to_owned(), value.to_owned()));
    }
    let mut text = String::new();
    line(&mut text, row(object, "", &rest)?.0.iter().map(|(name, _)| name));
    for path in Folder::open(folder).and_then(|folder| folder.paths()).map_err(unreadable)? {
        line(&mut text, row(object, &path, &rest)?.0.iter().map(|(_, cell)| cell));
    }
    Ok(text)
}

/// The record for a file.
fn row(object: &str, path: &str, rest: &[(String, String)]) -> Result<Row, Failure> {
    let is = |name: &str| object.eq_ignore_ascii_case(name);
    let (fields, needed) = if is("ContentVersion") {
        let ContentVersion { title, path_on_client, version_data } = ContentVersion::new(path);
        let fields = vec![("Title", title), ("PathOnClient", path_on_client)];
        ([fields, vec![("VersionData", version_data)]].concat(), None)
    } else if is("Document") {
        let Document { name, body, .. } = Document::new(path, "");
        (vec![("Name", name), ("Body", body)], Some("FolderId"))
    } else if is("Attachment") {
        let Attachment { name, body, .. } = Attachment::new(path, "");
        (vec![("Name", name), ("Body", body)], Some("ParentId"))
    } else {
        return Err(Failure::nothing_sent(format!(
            "this is a folder, which makes records of ContentVersion, Document or Attachment, not of {object}"
        )));
    };
    let is_set = |needed: &&str| !rest.iter().any(|(name, _)| name.eq_ignore_ascii_case(needed));
    if let Some(needed) = needed.filter(is_set) {
        return Err(Failure::nothing_sent(format!("a record of {object} needs --set {needed}=…")));
    }
    let fields = fields.into_iter().map(|(name, cell)| (name.to_owned(), cell));
    Ok(Row(fields.chain(rest.iter().cloned()).collect()))
}

fn line<'a>(to: &mut String, cells: impl Iterator<Item = &'a String>) {
    let quoted: Vec<String> =
        cells.map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    to.push_str(&quoted.join(","));
    to.push('\n');
}
