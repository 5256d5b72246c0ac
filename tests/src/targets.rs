//! Every reader of bytes, as a function that fails if the reader does.
//!
//! None of them may panic, hang or grow, whatever it is given; and each holds to what its target
//! says: the same in whatever pieces it comes, the same as another reader finds, the same when it is
//! written and read again. Two drivers call them: `tests/fuzz.rs` on every toolchain, and libFuzzer
//! through the crate in `fuzz/`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{Request, Response};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use sfbulk::login::{self, Login, LoginServer, LoginStep};
use sfbulk::rows::{
    Batch, Cutter, Decoder, Framed, Framer, Have, InOrder, Limits, Records, Rows, outcomes_from_csv,
};
use sfbulk::{
    Ask, BatchId, Checkpoint, ContentType, Count, Difference, Document, Error, ErrorInfo, Expect,
    Failure, Fingerprint, Host, Job, JobId, Note, Offline, Page, RecordId, Reply, ResultId,
    Session, Spec, Summary, Syntax, Time, Transcript,
};
use sfbulk_org::{Config, Org};

/// A reader, and what it must hold to.
#[derive(Debug)]
pub struct Target {
    /// What it is called; also the name of its binary in `fuzz/`.
    pub name: &'static str,
    /// Reads these bytes, and panics if something does not hold.
    pub run: fn(&[u8]),
    /// All that a reader tells that takes pieces.
    pub told: Option<Told>,
}

/// What a reader tells of a text in pieces of these sizes, and the rest in one.
pub type Told = fn(&[u8], &[usize]) -> String;

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, told: None }
}

const fn piecewise(name: &'static str, run: fn(&[u8]), told: Told) -> Target {
    Target { name, run, told: Some(told) }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    piecewise("cutter", cutter, told_by_cutter),
    piecewise("records", records, told_by_records),
    piecewise("framer", framer, told_by_framer),
    piecewise("framer_json", framer_json, told_by_json),
    piecewise("framer_xml", framer_xml, told_by_xml),
    target("decoder", decoder),
    target("outcomes", outcomes),
    target("document", document),
    piecewise("intake", intake, told_by_intake),
    target("content", content),
    target("load", load),
    target("query", query),
    target("checkpoint", checkpoint),
    target("transcript", transcript),
    target("session", session),
    target("login_soap", login_soap),
    target("login_oauth", login_oauth),
    target("soql", soql),
    target("ids", ids),
    target("org", org),
    target("org_csv", org_csv),
    target("org_json", org_json),
    target("org_xml", org_xml),
    target("org_soql", org_soql),
    target("org_gzip", org_gzip),
    target("org_zip", org_zip),
];

/// The target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(bytes);
}

/// In one piece, cut at a place that the bytes decide, and in the smallest pieces.
fn same_in_pieces(bytes: &[u8], told: Told) {
    let sum: usize = bytes.iter().map(|byte| usize::from(*byte)).sum();
    let whole = told(bytes, &[]);
    assert_eq!(whole, told(bytes, &[sum % (bytes.len() + 1)]));
    assert_eq!(whole, told(bytes, &vec![1; bytes.len()]));
}

/// A text in pieces of these sizes, and the rest in one.
fn pieces<'a>(mut text: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, rest) = text.split_at((*size).min(text.len()));
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap()
}

/// The records that the `csv` crate finds.
fn by_csv_crate(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let records = reader.byte_records().map(Result::unwrap);
    records.map(|record| record.iter().map(<[u8]>::to_vec).collect()).collect()
}

/// One more comma is no separator there.
fn ends_within_quotes(text: &[u8]) -> bool {
    let cells = |text: &[u8]| by_csv_crate(text).iter().map(Vec::len).sum::<usize>();
    cells(text) == cells(&[text, b","].concat())
}

// Rows.

/// Small ones, so that a short text is cut.
const LIMITS: Limits = Limits { records: 3, bytes: 200 };

fn cut(text: &[u8], sizes: &[usize]) -> (Vec<Batch>, Result<(), Error>) {
    let (mut cutter, mut batches) = (Cutter::new(LIMITS), Vec::new());
    let mut take = |cutter: &mut Cutter| {
        while let Some(batch) = cutter.next()? {
            batches.push(batch);
        }
        Ok(())
    };
    let mut result = Ok(());
    for piece in pieces(text, sizes) {
        cutter.push(piece);
        result = result.and_then(|()| take(&mut cutter));
    }
    cutter.end();
    let result = result.and_then(|()| take(&mut cutter));
    (batches, result)
}

fn told_by_cutter(text: &[u8], sizes: &[usize]) -> String {
    format!("{:?}", cut(text, sizes))
}

/// Batches keep the limits and follow on each other; the records in them are those of the `csv`
/// crate.
fn cutter(text: &[u8]) {
    same_in_pieces(text, told_by_cutter);
    let (batches, result) = cut(text, &[]);
    let all = by_csv_crate(text);
    let mut next = (0, 0);
    for Batch { rows, body, source } in &batches {
        assert!(rows.start == next.0 && source.start >= next.1, "{batches:?}");
        assert!(rows.end - rows.start <= LIMITS.records && body.len() <= LIMITS.bytes);
        assert!(source.end <= text.len() as u64 && std::str::from_utf8(body).is_ok());
        let (from, to) = (index(rows.start) + 1, index(rows.end) + 1);
        assert_eq!(by_csv_crate(body), [&all[..1], &all[from..to]].concat());
        next = (rows.end, source.end);
    }
    if result.is_ok() {
        assert_eq!(index(next.0) + 1, all.len(), "not every record is in a batch");
    }
}

fn split(text: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (mut records, mut found) = (Records::new(), Vec::new());
    let mut take = |records: &mut Records| {
        while let Some(record) = records.next().unwrap() {
            found.push(record.to_vec());
        }
    };
    for piece in pieces(text, sizes) {
        records.push(piece);
        take(&mut records);
    }
    records.end();
    take(&mut records);
    found
}

fn told_by_records(text: &[u8], sizes: &[usize]) -> String {
    format!("{:?}", split(text, sizes))
}

/// Raw records are those of the `csv` crate, cell by cell.
fn records(text: &[u8]) {
    same_in_pieces(text, told_by_records);
    let (raw, all) = (split(text, &[]), by_csv_crate(text));
    assert_eq!(raw.len(), all.len());
    for (n, (raw, cells)) in raw.iter().zip(&all).enumerate() {
        if n + 1 == all.len() && ends_within_quotes(text) {
            break; // its last line end is a part of its last cell to that crate
        }
        // Behind another line, where a byte order mark is none.
        let read = by_csv_crate(&[b"x\n", &raw[..]].concat());
        assert_eq!(read.get(1), Some(cells));
    }
}

/// Everything a framer tells of a text.
#[derive(Debug, Default)]
struct Framing {
    header: Option<Bytes>,
    records: Vec<u8>,
    pages: Vec<Rows>,
    result: Option<Result<Framed, Error>>,
}

fn frame(syntax: Syntax, text: &[u8], sizes: &[usize], have: Option<Have>) -> Framing {
    let (mut framer, mut found) = (Framer::with_syntax(syntax, have), Framing::default());
    let mut run = || {
        for piece in pieces(text, sizes) {
            framer.push(piece);
            while let Some(page) = framer.page()? {
                found.pages.push(page);
            }
        }
        let (last, whole) = framer.finish()?;
        found.pages.extend(last);
        Ok(whole)
    };
    found.result = Some(run());
    for page in &found.pages {
        found.header.get_or_insert_with(|| page.header.clone());
        found.records.extend_from_slice(&page.records);
    }
    found
}

fn told_by_framing(syntax: Syntax, text: &[u8], sizes: &[usize]) -> String {
    let Framing { header, mut records, pages, result } = frame(syntax, text, sizes, None);
    if syntax == Syntax::Json {
        records = elements(&pages);
    }
    let rows = pages.last().map(|page| page.have);
    format!("{header:?} {} {rows:?} {result:?}", records.escape_ascii())
}

/// The records of JSON pages, which have nothing between them.
fn elements(pages: &[Rows]) -> Vec<u8> {
    pages.iter().map(|page| &page.records[..]).collect::<Vec<_>>().join(&b",\n"[..])
}

fn told_by_framer(text: &[u8], sizes: &[usize]) -> String {
    told_by_framing(Syntax::Csv, text, sizes)
}

fn told_by_json(text: &[u8], sizes: &[usize]) -> String {
    told_by_framing(Syntax::Json, text, sizes)
}

fn told_by_xml(text: &[u8], sizes: &[usize]) -> String {
    told_by_framing(Syntax::Xml, text, sizes)
}

/// From each place where a transfer could have broken off, another gives exactly the rest.
fn goes_on_anywhere(syntax: Syntax, text: &[u8]) -> Option<Framed> {
    let whole = frame(syntax, text, &vec![7; text.len() / 7], None);
    let Some(Ok(framed)) = whole.result else { return None };
    for (n, page) in whole.pages.iter().enumerate() {
        let rest = frame(syntax, text, &[], Some(page.have));
        assert!(matches!(rest.result, Some(Ok(again)) if again.rows == framed.rows));
        if syntax == Syntax::Json {
            assert_eq!(elements(&whole.pages[n + 1..]), elements(&rest.pages));
        } else {
            let before: Vec<u8> =
                whole.pages[..=n].iter().flat_map(|page| page.records.to_vec()).collect();
            assert_eq!([&before[..], &rest.records].concat(), whole.records);
        }
    }
    Some(framed)
}

/// A file that is taken for whole has the records of the `csv` crate.
fn framer(text: &[u8]) {
    same_in_pieces(text, told_by_framer);
    let Some(framed) = goes_on_anywhere(Syntax::Csv, text) else { return };
    let all = by_csv_crate(text);
    assert_eq!(index(framed.rows), all.len().saturating_sub(1));
    assert!(all.iter().all(|record| record.len() == all[0].len()));
}

/// What a list of records is to `serde_json`.
type Objects = Vec<BTreeMap<String, serde_json::Value>>;

/// What `serde_json` takes for a list of objects has the same records here, and none of them is
/// missing when it is decoded.
fn framer_json(text: &[u8]) {
    same_in_pieces(text, told_by_json);
    let framed = goes_on_anywhere(Syntax::Json, text);
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let shallow = text.iter().filter(|byte| b"[{".contains(byte)).count() <= 64;
    if let Some(objects) = serde_json::from_slice::<Objects>(text).ok().filter(|_| shallow) {
        let framed = framed.expect("a list of objects is a result");
        assert_eq!(index(framed.rows), objects.len());
        assert_eq!(decoded(Syntax::Json, text), objects.into_iter().map(Some).collect::<Vec<_>>());
    } else if framed.is_some() {
        decoded::<serde_json::Value>(Syntax::Json, text);
    }
}

/// Whatever is taken for a result can be decoded, or its flaw is told.
fn framer_xml(text: &[u8]) {
    same_in_pieces(text, told_by_xml);
    if let Some(framed) = goes_on_anywhere(Syntax::Xml, text) {
        let rows = decoded::<IgnoredAny>(Syntax::Xml, text);
        assert!(rows.len() == index(framed.rows) || rows.iter().any(Option::is_none));
    }
}

fn decoded<T: DeserializeOwned>(syntax: Syntax, text: &[u8]) -> Vec<Option<T>> {
    let mut decoder = Decoder::<T>::new();
    frame(syntax, text, &[], None).pages.iter().for_each(|page| decoder.push(page));
    std::iter::from_fn(|| decoder.next()).map(Result::ok).collect()
}

/// A type that some cells fit and some do not.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Row {
    name: String,
    age: Option<u8>,
    active: bool,
}

/// Rows are those of the `csv` crate's own decoder.
fn decoder(text: &[u8]) {
    let framing = frame(Syntax::Csv, text, &vec![64; text.len() / 64], None);
    if matches!(framing.result, Some(Ok(_))) {
        same_rows::<Row>(text, &framing);
        same_rows::<BTreeMap<String, String>>(text, &framing);
    }
}

fn same_rows<T: DeserializeOwned + Debug + PartialEq>(text: &[u8], framing: &Framing) {
    let mut decoder = Decoder::<T>::new();
    framing.pages.iter().for_each(|page| decoder.push(page));
    if std::str::from_utf8(text).is_err() {
        // That crate then goes by position, or refuses a row for a cell that nobody wants.
        while decoder.next().is_some() {}
        return;
    }
    for theirs in csv::Reader::from_reader(text).deserialize::<T>() {
        let ours = decoder.next().expect("a row is missing");
        assert_eq!(ours.ok(), theirs.ok());
    }
    assert!(decoder.next().is_none());
}

/// Outcomes come from the cells that the `csv` crate finds.
fn outcomes(text: &[u8]) {
    let Ok(outcomes) = outcomes_from_csv(7, text) else { return };
    let all = by_csv_crate(text);
    let column =
        |name: &str| all[0].iter().position(|cell| cell.eq_ignore_ascii_case(name.as_bytes()));
    let (success, error) = (column("Success").unwrap(), column("Error").unwrap());
    assert_eq!(outcomes.len(), all.len() - 1);
    for (n, (outcome, cells)) in outcomes.iter().zip(&all[1..]).enumerate() {
        assert_eq!(outcome.row, 7 + n as u64);
        assert!(cells[success].eq_ignore_ascii_case(outcome.success().to_string().as_bytes()));
        assert_eq!(outcome.message(), String::from_utf8_lossy(&cells[error]));
        assert!(outcome.row_error().is_none_or(|error| error.raw == outcome.message()));
    }
    let mut in_order = InOrder::starting_at(7);
    in_order.add(outcomes);
    assert!(in_order.next().is_none_or(|page| page[0].row == 7) && in_order.held() == 0);
}

// Answers.

/// The most that is kept of anything a document says, in bytes, with room for the words around it.
const SAID: usize = 3_000;

/// A document is read whatever it calls itself; what is kept of its words is bounded.
fn document(body: &[u8]) {
    for media in ["application/xml", "application/json; charset=UTF-8", "text/html", ""] {
        let response = Response::builder().header("content-type", media).body(body).unwrap();
        match Document::read(&response) {
            Ok(Document::Error(error)) => {
                assert!(error.message.len() < SAID && error.code.is_none_or(|c| c.len() <= 80));
            }
            Ok(Document::BatchInfo(batch)) => {
                assert!(batch.state_message.is_none_or(|message| message.len() < SAID));
            }
            Ok(Document::JobInfo(job)) if job.id.is_some_and(|id| id.as_str() < "751") => {
                if job.state.is_none() && job.operation.is_none() {
                    continue; // nothing else tells it from other documents in JSON
                }
                let again = serde_json::to_vec(&job).unwrap();
                let again = Document::read(&Response::new(again));
                assert_eq!(again, Ok(Document::JobInfo(job)), "written and read again");
            }
            Ok(_) => {}
            Err(why) => assert!(why.len() < SAID, "{why}"),
        }
    }
}

/// A name and a value.
type Header<'a> = (&'a [u8], &'a [u8]);

/// A message: its first line, its headers, and behind a blank line its body.
fn message(text: &[u8]) -> (String, Vec<Header<'_>>, &[u8]) {
    let end = text.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((text, &b""[..]), |end| (&text[..end], &text[end + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let headers = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    });
    (first, headers.collect(), body)
}

/// Several messages, between lines of `%%`.
fn messages(text: &[u8]) -> Vec<&[u8]> {
    let (mut messages, mut rest) = (Vec::new(), text);
    while let Some(end) = rest.windows(4).position(|four| four == b"\n%%\n") {
        messages.push(&rest[..end]);
        rest = &rest[end + 4..];
    }
    messages.push(rest);
    messages
}

/// An answer: its first line is its status, and a word for what is expected.
fn answer(text: &[u8]) -> (String, Response<Bytes>) {
    let (first, headers, body) = message(text);
    let (status, word) = first.split_once(' ').unwrap_or((&first, ""));
    let mut answer = Response::builder().status(status.parse::<u16>().unwrap_or(200));
    for (name, value) in headers {
        let one = Response::builder().header(name, value);
        if one.body(()).is_ok() {
            answer = answer.header(name, value);
        }
    }
    let body = Bytes::copy_from_slice(body);
    (word.to_owned(), answer.body(body).unwrap_or_default())
}

fn told_by_intake(text: &[u8], sizes: &[usize]) -> String {
    let (word, answer) = answer(text);
    let at_most = 1_000;
    let expect = match &*word {
        "outcomes" => Expect::Outcomes { rows: 5..7, count: Count::All, at_most },
        "partial" => Expect::Outcomes {
            rows: 5..7,
            count: Count::Processed { rows: None, good: None },
            at_most,
        },
        "request" => Expect::Request { content_type: ContentType::Csv, at_most },
        "nothing" => Expect::Nothing { at_most },
        "rows" => Expect::Rows { syntax: Syntax::Csv, have: None },
        "json" => Expect::Rows { syntax: Syntax::Json, have: None },
        "xml" => Expect::Rows { syntax: Syntax::Xml, have: None },
        _ => Expect::Whole { at_most },
    };
    let (head, body) = answer.into_parts();
    let (mut intake, mut told) = (expect.open(head), String::new());
    let mut take = |page: Option<Page>| match page {
        Some(Page::Rows(rows)) => _ = write!(told, "{}", rows.records.escape_ascii()),
        Some(Page::Outcomes(outcomes)) => _ = write!(told, "{outcomes:?}"),
        None => {}
    };
    for piece in pieces(&body, sizes) {
        let mut taken = intake.push(piece);
        while let Ok(Some(page)) = taken {
            take(Some(page));
            taken = intake.more();
        }
        if taken.is_err() {
            return "failed".into();
        }
    }
    let (page, reply) = intake.finish();
    take(page);
    match reply {
        Reply::Failed(_) => "failed".into(), // how much was handed on before depends on the pieces
        reply => format!("{told} {reply:?}"),
    }
}

/// An answer means the same in whatever pieces it comes.
fn intake(text: &[u8]) {
    same_in_pieces(text, told_by_intake);
}

/// What a batch says, read from what the server gives back of it.
fn said(of: &ContentType, body: Vec<u8>) -> Option<Fingerprint> {
    let expect = Expect::Request { content_type: of.clone(), at_most: 1 << 20 };
    match expect.take_in(Response::new(body.into())).1 {
        Reply::Streamed(received) => received.content,
        _ => None,
    }
}

/// A batch says the same behind a byte order mark and before a line end; and in JSON, in whatever
/// layout.
fn content(body: &[u8]) {
    let bare = !body.starts_with("\u{feff}".as_bytes()) && !ends_within_quotes(body);
    for of in [ContentType::Csv, ContentType::Xml, ContentType::Json].iter().filter(|_| bare) {
        if let print @ Some(_) = said(of, body.to_vec()) {
            let dressed = ["\u{feff}".as_bytes(), body, b"\n"].concat();
            assert_eq!(said(of, dressed), print, "{of}");
        }
    }
    if let Ok(records) = serde_json::from_slice::<Value>(body) {
        let said = |text: serde_json::Result<Vec<u8>>| said(&ContentType::Json, text.unwrap());
        assert_eq!(said(serde_json::to_vec(&records)), said(serde_json::to_vec_pretty(&records)));
    }
}

// Whole runs.

/// An application with two batches that notes which rows it was told of.
#[derive(Default)]
struct App {
    batches: usize,
    told: BTreeSet<u64>,
}

impl Host for App {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        const BATCHES: [&str; 2] = ["Name\na\nb\n", "Name\nc\n"];
        let body = BATCHES.get(self.batches).copied();
        let rows = [0..2, 2..3].get(self.batches).cloned();
        self.batches += 1;
        let batch =
            body.zip(rows).map(|(body, rows)| Batch { rows, body: body.into(), source: 0..0 });
        Ok(batch)
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        if let Page::Outcomes(outcomes) = page {
            for outcome in outcomes {
                assert!(self.told.insert(outcome.row), "row {} was told twice", outcome.row);
            }
        }
        Ok(())
    }

    fn login(&mut self, _expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        Session::new("https://acme.my.salesforce.com", "00D!PRACTICE")
    }

    fn note(&mut self, note: Note, _summary: &Summary) -> Result<(), Error> {
        assert!(format!("{note:?}").len() < 3 * SAID);
        Ok(())
    }
}

/// A run in which the requests get these answers one after the other, and then none.
fn play(job: &mut Job, app: &mut App, answers: &[&[u8]]) -> Result<Summary, Error> {
    let mut answers = answers.iter();
    let service = |_, _| match answers.next() {
        Some(text) if !text.starts_with(b"lost") => Ok(answer(text).1),
        _ => Err(Failure::Lost("no answer".into())),
    };
    let result = Offline::new(service).run(job, app);
    if let Err(error) = &result {
        assert!(error.to_string().len() < 3 * SAID, "{error}");
    }
    result
}

/// Whatever a server says, a load ends and tells of each row once; and its transcript, stored and
/// read again, replays to the same end. (It keeps the answers as text, so only if they are.)
fn load(text: &[u8]) {
    let spec = Spec::insert("Account").record();
    let (mut job, mut app) = (Job::new(spec.clone()).unwrap(), App::default());
    let result = play(&mut job, &mut app, &messages(text));
    let summary = job.summary();
    let counted = summary.succeeded + summary.failed + summary.unprocessed + summary.unknown;
    assert_eq!((summary.rows, app.told.len() as u64), (counted, counted), "{result:?}");
    if std::str::from_utf8(text).is_err() {
        return;
    }
    let stored = serde_json::to_vec(job.transcript().unwrap()).unwrap();
    let transcript: Transcript = serde_json::from_slice(&stored).unwrap();
    let again = transcript.replay(&mut Job::new(spec).unwrap(), &mut App::default());
    assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, Difference>(result)));
}

/// The transcript of a load that got these answers, and its checkpoint, as they are stored.
pub(crate) fn recorded(answers: &str) -> (Vec<u8>, Vec<u8>) {
    let mut job = Job::new(Spec::insert("Account").record()).unwrap();
    let _ = play(&mut job, &mut App::default(), &messages(answers.as_bytes()));
    let transcript = serde_json::to_vec(job.transcript().unwrap()).unwrap();
    (transcript, serde_json::to_vec(&job.checkpoint()).unwrap())
}

/// Whatever a server says, a query ends.
fn query(text: &[u8]) {
    let mut job = Job::new(Spec::query("SELECT Id FROM Account")).unwrap();
    let _ = play(&mut job, &mut App::default(), &messages(text));
}

/// A checkpoint that is read is written the same, and a run goes on from it to some end.
fn checkpoint(text: &[u8]) {
    let messages = messages(text);
    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(messages[0]) else { return };
    let stored = serde_json::to_vec(&checkpoint).unwrap();
    assert_eq!(serde_json::from_slice::<Checkpoint>(&stored).unwrap(), checkpoint);
    if let Ok(mut job) = Job::resume(checkpoint) {
        let _ = play(&mut job, &mut App::default(), &messages[1..]);
    }
}

/// A transcript that is read is written the same, and can be shown and replayed.
fn transcript(text: &[u8]) {
    let Ok(transcript) = serde_json::from_slice::<Transcript>(text) else { return };
    let stored = serde_json::to_vec(&transcript).unwrap();
    assert_eq!(serde_json::from_slice::<Transcript>(&stored).unwrap(), transcript);
    assert!(transcript.to_string().len() < SAID + 8 * text.len());
    let mut job = Job::new(Spec::insert("Account").record()).unwrap();
    let _ = transcript.replay(&mut job, &mut Forgetful(App::default()));
}

/// An application that is told of rows by a transcript that anybody wrote.
struct Forgetful(App);

impl Host for Forgetful {
    fn batch(&mut self, ask: Ask) -> Result<Option<Batch>, Error> {
        self.0.batch(ask)
    }

    fn page(&mut self, _page: Page) -> Result<(), Error> {
        Ok(())
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.0.login(expired)
    }
}

// Words of the user's.

/// A SOAP login's answer.
fn login_soap(bytes: &[u8]) {
    answered(bytes, || Login::soap(LoginServer::production(), "ada@example.com", "CANARY.1"));
}

/// The answer of the token endpoint, to a refresh token and to a device.
fn login_oauth(bytes: &[u8]) {
    let app = || login::App::with_secret("id", "CANARY.2");
    answered(bytes, || Login::refresh_token(LoginServer::production(), app(), "CANARY.1"));
    answered(bytes, || {
        Login::device(LoginServer::production(), app(), "api", |shown| {
            assert!(shown.address.to_ascii_lowercase().starts_with("https://"));
        })
    });
}

/// Whatever a login is answered: the session is of an org that may be, and no error has a secret.
fn answered(bytes: &[u8], login: impl Fn() -> Login) {
    for status in [200, 302, 400, 500] {
        let mut login = login();
        assert!(matches!(login.poll(Duration::ZERO), LoginStep::Send(_)));
        let answer = Response::builder().status(status).body(Bytes::copy_from_slice(bytes));
        login.reply(Reply::Whole(answer.unwrap()));
        match login.poll(Duration::ZERO) {
            LoginStep::Done(Ok(session)) => {
                let host = session.instance().strip_prefix("https://").unwrap();
                let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
                assert!(host.chars().all(plain), "{host}");
                let ours = [".salesforce.com", ".force.com", ".salesforce.mil"];
                assert!(ours.iter().any(|domain| host.ends_with(domain)), "{host}");
            }
            LoginStep::Done(Err(error)) => assert!(!format!("{error:?}").contains("CANARY")),
            LoginStep::Wait(time) => assert!(time <= Duration::from_secs(65)),
            LoginStep::Send(_) => panic!("nothing is sent at once"),
        }
    }
}

/// An address that is taken is a host and nothing more, reached safely, and no token is shown. The
/// first line is the address, the second the token.
fn session(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let (instance, token) = text.split_once('\n').unwrap_or((&text, "00D!PRACTICE"));
    let Ok(session) = Session::new(instance, token) else { return };
    let address = session.instance();
    let uri: http::Uri = address.parse().unwrap();
    assert!(
        !address.contains(['@', '?', '#', '\\', ' ']) && uri.host().is_some_and(|h| !h.is_empty()),
        "{address}"
    );
    assert!(matches!(uri.scheme_str(), Some("https" | "http")) && uri.path() == "/", "{address}");
    assert_eq!(Session::new(address, token).unwrap().instance(), address);
    let shown = format!("{session:?}").replace(address, "");
    assert!(token.len() <= "[redacted]".len() || !shown.contains(token), "{shown}");
}

/// The object and the columns of a query are parts of it.
fn soql(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let spec = Spec::query(&*text);
    assert!(text.contains(spec.object()));
    for column in spec.columns().unwrap_or_default() {
        assert!(text.contains(column) && !column.contains(char::is_whitespace));
    }
    if Job::new(spec.clone()).is_ok() {
        assert!(!spec.object().is_empty());
    }
}

/// An id that is taken can go into a path, and is written as it was read.
fn ids(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let Ok(id) = text.parse::<RecordId>() else {
        assert!(text.parse::<JobId>().is_err() && text.parse::<BatchId>().is_err());
        return;
    };
    assert!((15..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert_eq!((id.as_str(), id.to_string()), (&*text, text.to_string()));
    assert_eq!(
        serde_json::from_str::<ResultId>(&serde_json::to_string(&id).unwrap()).unwrap().as_str(),
        text
    );
}

// The practice org.

const BASE: &str = "/services/async/66.0";

thread_local! {
    /// An org, and how often it was used: a new one takes a thousand times as long as a request.
    static ORG: Cell<Option<(Org, u32)>> = const { Cell::new(None) };
}

/// Lends an org. It is not used again after a panic, nor when it has become large.
fn with_org<T>(visit: impl FnOnce(&mut Org) -> T) -> T {
    let config = || Config::new().latency(Duration::ZERO).max_body(1 << 16);
    let kept = ORG.take().filter(|(_, used)| *used < 1_000);
    let (mut org, used) = kept.unwrap_or_else(|| (Org::in_memory_with(config()).unwrap(), 0));
    let result = visit(&mut org);
    ORG.set(Some((org, used + 1)));
    result
}

fn ask(
    org: &mut Org,
    method: &str,
    path: &str,
    headers: &[Header<'_>],
    body: &[u8],
) -> Option<Response<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    if headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case(b"x-sfdc-session")) {
        request = request.header("x-sfdc-session", org.session());
    }
    for (name, value) in headers {
        if Request::builder().header(*name, *value).body(()).is_ok() {
            request = request.header(*name, *value);
        }
    }
    let request = request.body(Bytes::copy_from_slice(body)).ok()?;
    let answer = org.deliver(Time::ZERO, request).expect("no fault is armed");
    let text = String::from_utf8_lossy(answer.body());
    assert!(answer.status().as_u16() < 500 && !text.contains("InternalServerError"), "{answer:?}");
    Some(answer)
}

/// Requests of any kind, one after the other, each with a first line like `GET /path`, in which
/// `{job}` and `{batch}` are what was made last.
fn org(text: &[u8]) {
    with_org(|org| {
        let mut made = [("{job}", String::new()), ("{batch}", String::new())];
        for text in messages(text).into_iter().take(8) {
            let (mut first, headers, body) = message(text);
            for (name, id) in &made {
                first = first.replace(name, id);
            }
            let (method, path) = first.split_once(' ').unwrap_or(("GET", &first));
            let answer = ask(org, method, path, &headers, body);
            if let Some(answer) = answer.filter(|answer| answer.status() == 201) {
                made[usize::from(path.contains("/job/"))].1 = element(answer.body(), "id");
            }
        }
    });
}

/// Adds a batch to a new job. The batch is refused, or it ends; then each of its
/// records has a result. Tells how many there were, if it was worked off.
fn batch(
    org: &mut Org,
    operation: &str,
    content: &str,
    headers: &[Header<'_>],
    body: &[u8],
) -> Option<u64> {
    let key = if operation == "upsert" { r#","externalIdFieldName":"Key__c""# } else { "" };
    let job = format!(
        r#"{{"operation":"{operation}","object":"Account","contentType":"{content}"{key}}}"#
    );
    let json = [(&b"content-type"[..], &b"application/json"[..])];
    let created = ask(org, "POST", &format!("{BASE}/job"), &json, job.as_bytes())?;
    assert_eq!(created.status(), 201, "{created:?}");
    let id = element(created.body(), "id");
    let job = format!("{BASE}/job/{id}/batch");
    let added = ask(org, "POST", &job, headers, body)?;
    if added.status() != 201 {
        assert!(added.status().is_client_error(), "{added:?}");
        return None;
    }
    let batch = format!("{job}/{}", element(added.body(), "id"));
    let info = ask(org, "GET", &batch, &[], b"")?;
    let processed = element(info.body(), "numberRecordsProcessed").parse().unwrap();
    match &*element(info.body(), "state") {
        "Failed" => return None,
        state => assert_eq!(state, "Completed"),
    }
    let result = ask(org, "GET", &format!("{batch}/result"), &[], b"")?;
    let count = match (operation, Document::read(&result)) {
        ("query", Ok(Document::ResultList(files))) => {
            let file = ask(org, "GET", &format!("{batch}/result/{}", files[0]), &[], b"")?;
            return frame(Syntax::Csv, file.body(), &[], None)
                .result?
                .ok()
                .map(|framed| framed.rows);
        }
        (_, Ok(Document::Results(results))) => results.len(),
        (_, Ok(Document::ResultList(none))) => none.len(), // an empty JSON list is read as this
        _ => outcomes_from_csv(0, result.body()).unwrap().len(),
    };
    assert_eq!(count as u64, processed, "{result:?}");
    Some(processed)
}

/// The text of a member of a document in JSON or XML.
fn element(document: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(document);
    let rest = [format!("<{name}>"), format!("\"{name}\":")]
        .iter()
        .find_map(|start| Some(text.split_once(start)?.1.to_owned()));
    let rest = rest.unwrap_or_default();
    rest.trim_start_matches(['"', ' '])
        .split(['<', '"', ',', '}'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

const CSV: Header<'_> = (b"content-type", b"text/csv; charset=UTF-8");

/// A batch of CSV ends; in what the client cuts, the org finds as many records as the client.
fn org_csv(text: &[u8]) {
    with_org(|org| batch(org, "upsert", "CSV", &[CSV], text));
    let mut cutter = Cutter::new(Limits::default());
    cutter.push(text);
    cutter.end();
    if let Ok(Some(Batch { rows, body, .. })) = cutter.next() {
        let processed = with_org(|org| batch(org, "insert", "CSV", &[CSV], &body));
        assert!(processed.is_none_or(|processed| processed == rows.end - rows.start));
    }
}

/// A batch of JSON ends; the org finds as many records as there are in the list.
fn org_json(text: &[u8]) {
    let json = (&b"content-type"[..], &b"application/json"[..]);
    if let Some(processed) = with_org(|org| batch(org, "upsert", "JSON", &[json], text)) {
        let text = String::from_utf8_lossy(text);
        let list: Vec<IgnoredAny> = serde_json::from_str(&text).unwrap();
        assert_eq!(index(processed), list.len());
    }
}

/// A batch of XML ends.
fn org_xml(text: &[u8]) {
    with_org(|org| batch(org, "upsert", "XML", &[(b"content-type", b"application/xml")], text));
}

/// A query ends, and what it finds is a whole file.
fn org_soql(text: &[u8]) {
    with_org(|org| batch(org, "query", "CSV", &[(b"content-type", b"text/csv")], text));
}

/// What claims to be an archive ends as a batch.
fn org_zip(body: &[u8]) {
    with_org(|org| batch(org, "upsert", "ZIP_CSV", &[(b"content-type", b"zip/csv")], body));
}

/// What claims to be packed is refused, or means the same as when it comes plain.
fn org_gzip(body: &[u8]) {
    let packed: Header<'_> = (b"content-encoding", b"gzip");
    if let Some(processed) = with_org(|org| batch(org, "insert", "CSV", &[CSV, packed], body)) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(body).take(1 << 17).read_to_end(&mut plain).unwrap();
        let again = with_org(|org| batch(org, "insert", "CSV", &[CSV], &plain));
        assert_eq!(again, Some(processed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::seeds;

    #[test]
    fn an_org_takes_what_is_good() {
        let json = (&b"content-type"[..], &b"application/json"[..]);
        let xml = (&b"content-type"[..], &b"application/xml"[..]);
        let packed = (&b"content-encoding"[..], &b"gzip"[..]);
        for (name, operation, content, headers, rows) in [
            ("org_csv", "upsert", "CSV", &[CSV][..], 2),
            ("org_csv", "insert", "CSV", &[CSV], 2),
            ("org_gzip", "insert", "CSV", &[CSV, packed], 2),
            ("org_json", "upsert", "JSON", &[json], 3),
            ("org_xml", "upsert", "XML", &[xml], 2),
        ] {
            let good = &seeds(name)[0];
            let processed = with_org(|org| batch(org, operation, content, headers, good));
            assert_eq!(processed, Some(rows), "{name}, {operation}");
        }
    }
}
