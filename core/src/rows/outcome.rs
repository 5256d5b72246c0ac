//! What became of each row of a load.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::id::RecordId;

use super::scan::{BLOCK, Scanner, cells, without_end};

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// The org took it.
    Succeeded {
        /// A record was created; tells the inserts of an upsert from its updates.
        created: bool,
    },
    /// The org looked at it and refused it: see [`Outcome::row_error`].
    Failed,
    /// It was never accepted or never run: it is safe to load it again.
    Unprocessed,
    /// Nobody can tell from here whether the org took it. Never load it again blindly.
    Unknown,
}

/// What became of one row (topic "Get Batch Results" of the vendor's guide).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The input row, counted from 0.
    pub row: u64,
    /// The record's id. Some versions leave it empty for failed rows, and none tells it for a
    /// failed insert.
    pub id: Option<RecordId>,
    /// What became of the row.
    pub fate: Fate,
    /// Why, as the server wrote it, or what is known otherwise.
    pub error: Option<Box<str>>,
}

impl Outcome {
    /// Whether the org took the row.
    pub fn success(&self) -> bool {
        matches!(self.fate, Fate::Succeeded { .. })
    }

    /// Whether a record was created.
    pub fn created(&self) -> bool {
        self.fate == Fate::Succeeded { created: true }
    }

    /// Why the row was not taken, as the server wrote it; empty if it was.
    pub fn message(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }

    /// Why a failed row was refused, taken apart; `None` unless it [`Failed`](Fate::Failed).
    pub fn row_error(&self) -> Option<RowError<'_>> {
        (self.fate == Fate::Failed).then(|| RowError::new(self.message()))
    }

    /// One fate for many rows, for which the server has no results.
    pub fn settled(rows: Range<u64>, fate: Fate, message: &str) -> Vec<Self> {
        let error = (!message.is_empty()).then_some(message);
        rows.map(|row| Self { row, id: None, fate, error: error.map(Into::into) }).collect()
    }
}

/// The parts of a failed row's error text. The server writes them in one cell:
/// `REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --`. The grammar is
/// not documented, and the message may hold colons itself, so a text that does not fit is all
/// message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError<'a> {
    /// The status code (topic "Core Data Types Used in API Calls: `StatusCode`").
    pub code: Option<&'a str>,
    /// What the server says.
    pub message: &'a str,
    /// The fields it is about.
    pub fields: Vec<&'a str>,
    /// The whole text as it came.
    pub raw: &'a str,
}

impl<'a> RowError<'a> {
    fn new(raw: &'a str) -> Self {
        let text = raw.trim();
        let mut error = Self { code: None, message: text, fields: Vec::new(), raw };
        let Some((code, rest)) = text.split_once(':').filter(|(code, _)| is_code(code)) else {
            error.message = raw;
            return error;
        };
        error.code = Some(code);
        error.message = rest.trim_end();
        if let Some((message, fields)) =
            rest.strip_suffix("--").and_then(|rest| rest.rsplit_once(':'))
            && fields.chars().all(|c| c.is_ascii_alphanumeric() || "_., ".contains(c))
        {
            error.message = message;
            error.fields = fields.split([' ', ',']).filter(|name| !name.is_empty()).collect();
        } else if let Some(message) = rest.strip_suffix("--") {
            error.message = message.trim_end();
        }
        error
    }
}

fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Reads a batch's result; its first row answers the input row `first_row`, and so on in order.
///
/// Columns are found by name. `Created` may be missing (not all versions send it for deletes), and
/// other columns are skipped. An id that is none is left out.
///
/// Fails with [`ErrorKind::Incomplete`] if the text cannot be a whole result: it ends within
/// quotes, lacks `Id`, `Success` or `Error`, has a row of another width, or one whose success is
/// neither true nor false.
pub fn outcomes_from_csv(first_row: u64, body: &[u8]) -> Result<Vec<Outcome>, Error> {
    let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let mut result = ResultReader::new(first_row, text);
    let mut scanner = Scanner::default();
    for (block, piece) in text.chunks(BLOCK).enumerate() {
        let marks = match piece.first_chunk() {
            Some(piece) => scanner.lenient(piece),
            None => scanner.tail(piece),
        };
        let mut events = marks.starts | marks.commas;
        while events != 0 {
            let bit = events & events.wrapping_neg();
            events ^= bit;
            let at = block * BLOCK + bit.trailing_zeros() as usize;
            if marks.starts & bit != 0 {
                result.record_starts(at)?;
            }
            if marks.commas & bit != 0 {
                result.commas.push(at);
            }
        }
    }
    if scanner.in_quotes() {
        return Err(incomplete("the result of a batch ends within quotes")
            .advise("it was cut on its way; read it again"));
    }
    result.record_starts(text.len())?;
    match result.columns {
        Some(_) => Ok(result.outcomes),
        None => Err(incomplete("the result of a batch is empty")),
    }
}

/// The text of a result, and how far it is understood.
struct ResultReader<'a> {
    text: &'a [u8],
    /// Where the open record starts, and the commas in it.
    open: Option<usize>,
    commas: Vec<usize>,
    columns: Option<Columns>,
    row: u64,
    outcomes: Vec<Outcome>,
}

impl<'a> ResultReader<'a> {
    fn new(row: u64, text: &'a [u8]) -> Self {
        let commas = Vec::with_capacity(8);
        Self { text, open: None, commas, columns: None, row, outcomes: Vec::new() }
    }

    /// A record starts at `at`, or the text ends there: the one before, if any, is whole.
    fn record_starts(&mut self, at: usize) -> Result<(), Error> {
        if let Some(open) = self.open.replace(at) {
            let record = without_end(self.text.get(open..at).unwrap_or_default());
            let cells = Cells { record, open, commas: &self.commas };
            match &self.columns {
                None => self.columns = Some(Columns::of(&cells)?),
                Some(columns) => {
                    self.outcomes.push(columns.outcome(self.row, &cells)?);
                    self.row += 1;
                }
            }
        }
        self.commas.clear();
        Ok(())
    }
}

/// The cells of one record, each decoded when it is asked for.
struct Cells<'a> {
    record: &'a [u8],
    /// Where the record starts in the text, and the commas between its cells.
    open: usize,
    commas: &'a [usize],
}

impl<'a> Cells<'a> {
    fn len(&self) -> usize {
        self.commas.len() + 1
    }

    fn get(&self, i: usize) -> Cow<'a, [u8]> {
        let from =
            if i == 0 { 0 } else { self.commas.get(i - 1).map_or(0, |at| at + 1 - self.open) };
        let to = self.commas.get(i).map_or(self.record.len(), |at| at - self.open);
        let raw = self.record.get(from..to).unwrap_or_default();
        let inner = raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        match inner.unwrap_or(raw) {
            plain if memchr::memchr(b'"', plain).is_none() => Cow::Borrowed(plain),
            _ => Cow::Owned(cells(raw).concat()), // quotes within: decode, which is rare
        }
    }
}

/// Where the columns of a result are.
struct Columns {
    count: usize,
    id: usize,
    success: usize,
    created: Option<usize>,
    error: usize,
}

impl Columns {
    fn of(header: &Cells<'_>) -> Result<Self, Error> {
        let find = |name: &str| {
            (0..header.len()).find(|i| header.get(*i).eq_ignore_ascii_case(name.as_bytes()))
        };
        let need = |name| {
            find(name)
                .ok_or_else(|| incomplete(format!("the result of a batch has no column {name}")))
        };
        Ok(Self {
            count: header.len(),
            id: need("Id")?,
            success: need("Success")?,
            created: find("Created"),
            error: need("Error")?,
        })
    }

    fn outcome(&self, row: u64, cells: &Cells<'_>) -> Result<Outcome, Error> {
        let bad = |why: &str| {
            Err(incomplete(format!("the result of a batch {why}")).of_rows(row..row + 1))
        };
        if cells.len() != self.count {
            return bad("has a row with more or fewer cells than its header");
        }
        let is = |i, word: &[u8]| cells.get(i).eq_ignore_ascii_case(word);
        let fate = if is(self.success, b"true") {
            Fate::Succeeded { created: self.created.is_some_and(|i| is(i, b"true")) }
        } else if is(self.success, b"false") {
            Fate::Failed
        } else {
            return bad("does not say whether a row succeeded");
        };
        let id = cells.get(self.id);
        let id = std::str::from_utf8(&id).ok().filter(|id| !id.is_empty());
        let error = cells.get(self.error);
        let error = Some(error).filter(|error| !error.is_empty());
        Ok(Outcome {
            row,
            id: id.and_then(|id| id.parse().ok()),
            fate,
            error: error.map(|error| String::from_utf8_lossy(&error).into()),
        })
    }
}

fn incomplete(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Incomplete, message)
}

/// Puts outcomes that arrive page by page, in any order of the pages, back into the order of the
/// input.
///
/// It holds the pages that came too early. The machine has only a window of batches on their way,
/// so these are as many as the window is wide; nothing else bounds them.
#[derive(Debug, Default)]
pub struct InOrder {
    early: BTreeMap<u64, Vec<Outcome>>,
    row: u64,
}

impl InOrder {
    /// Expects row 0 first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this row first: a load that goes on.
    pub fn starting_at(row: u64) -> Self {
        Self { early: BTreeMap::new(), row }
    }

    /// Takes a page: outcomes of consecutive rows.
    pub fn add(&mut self, page: Vec<Outcome>) {
        if let Some(first) = page.first() {
            self.early.entry(first.row).or_default().extend(page);
        }
    }

    /// The next page in the order of the input; `None` if it has not come yet.
    #[allow(clippy::should_implement_trait)] // an iterator's `None` is its end
    pub fn next(&mut self) -> Option<Vec<Outcome>> {
        let first = self.early.first_entry().filter(|first| *first.key() <= self.row)?;
        let page = first.remove();
        self.row = page.last().map_or(self.row, |last| self.row.max(last.row + 1));
        Some(page)
    }

    /// How many rows are held because one before them has not come yet.
    pub fn held(&self) -> usize {
        self.early.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_example_is_read() {
        let body = b"\"Id\",\"Success\",\"Created\",\"Error\"\n\"0035g00000Wa1aAAAR\",\"true\",\"true\",\"\"\n\
            \"\",\"false\",\"false\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --\"\n";
        let outcomes = outcomes_from_csv(40, body).unwrap();
        let [good, bad] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert_eq!((good.row, good.id.unwrap().as_str()), (40, "0035g00000Wa1aAAAR"));
        assert!(
            good.success()
                && good.created()
                && good.row_error().is_none()
                && good.message().is_empty()
        );
        assert_eq!((bad.row, bad.id, bad.fate), (41, None, Fate::Failed));
        let error = bad.row_error().unwrap();
        assert_eq!(error.code, Some("REQUIRED_FIELD_MISSING"));
        assert_eq!(error.message, "Required fields are missing: [LastName]");
        assert_eq!((error.fields, error.raw), (vec!["LastName"], bad.message()));
    }

    #[test]
    fn columns_are_found_by_name() {
        let body = b"more,ERROR,success,id\n1, blanks are data,FALSE,0035g00000Wa1aA\n2,\"a\n\"\"b\"\"\",True,no id\n";
        let outcomes = outcomes_from_csv(0, body).unwrap();
        assert_eq!((outcomes[0].message(), outcomes[0].fate), (" blanks are data", Fate::Failed));
        assert!(outcomes[0].id.is_some() && outcomes[1].id.is_none());
        assert_eq!(
            (outcomes[1].message(), outcomes[1].fate),
            ("a\n\"b\"", Fate::Succeeded { created: false })
        );
    }

    #[test]
    fn cells_are_those_of_the_csv_crate() {
        let errors = ["", "x", "a,b", "say \"hi\"", "\"", "two\r\nlines", "ä€😀", ",", " \" "];
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["Id", "Success", "Created", "Error"]).unwrap();
        for n in 0..errors.len() * 30 {
            let error = errors[n % errors.len()].repeat(1 + n % 40); // cells end anywhere in a block
            writer.write_record(["", "false", "false", &error]).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let outcomes = outcomes_from_csv(0, &text).unwrap();
        let mut reader = csv::Reader::from_reader(&text[..]);
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let ours: Vec<&str> = outcomes.iter().map(Outcome::message).collect();
        assert_eq!(ours, records.iter().map(|record| &record[3]).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_whole_result_is_refused() {
        let head = "Id,Success,Created,Error\n";
        let cases = [
            (String::new(), None),
            ("Id,Created,Error\n".into(), None),
            (format!("{head},true,true,\n,false,false,\"cut"), None),
            (format!("{head},true,true,\n,false\n"), Some(8..9)),
            (format!("{head},true,true,\n,,,\n"), Some(8..9)),
        ];
        for (body, rows) in cases {
            let error = outcomes_from_csv(7, body.as_bytes()).unwrap_err();
            assert_eq!((error.kind(), error.rows()), (ErrorKind::Incomplete, rows), "{error}");
        }
        assert_eq!(outcomes_from_csv(7, head.as_bytes()).unwrap(), []);
    }

    #[test]
    fn error_texts_are_taken_apart() {
        let parse = |raw| {
            let error = RowError::new(raw);
            (error.code, error.message, error.fields.join("+"))
        };
        assert_eq!(
            parse("ENTITY_IS_DELETED:entity is deleted:--"),
            (Some("ENTITY_IS_DELETED"), "entity is deleted", String::new())
        );
        assert_eq!(
            parse("A_1:x: y:[z]:B__c, c.D --"),
            (Some("A_1"), "x: y:[z]", "B__c+c.D".into())
        );
        assert_eq!(
            parse("A:see http://x/: {no} --"),
            (Some("A"), "see http://x/: {no}", String::new())
        );
        assert_eq!(parse("A:only a message"), (Some("A"), "only a message", String::new()));
        assert_eq!(parse(" not so: a code --"), (None, " not so: a code --", String::new()));
        assert_eq!(parse(""), (None, "", String::new()));
    }

    #[test]
    fn pages_come_back_in_the_order_of_the_input() {
        let page = |rows: Range<u64>| Outcome::settled(rows, Fate::Unprocessed, "not run");
        let mut order = InOrder::starting_at(2);
        order.add(page(9..10));
        order.add(page(4..9));
        order.add(page(4..4));
        assert_eq!((order.next(), order.held()), (None, 6));
        order.add(page(2..4));
        for rows in [2..4, 4..9, 9..10] {
            assert_eq!(order.next(), Some(page(rows)));
        }
        assert_eq!((order.next(), order.held()), (None, 0));
    }
}
