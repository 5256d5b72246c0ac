//! Calls: requests to be performed, and what comes back of them. The only file that knows the
//! service's addresses and headers.
//!
//! - A *call* is one HTTP request with a *tag* to answer it by.
//! - Its [`Expect`] says where the body of the answer belongs. It opens an [`Intake`], which the
//!   executor fills as the bytes arrive: the intake frames and counts rows, bounds everything else,
//!   and in the end makes the [`Reply`]. An executor moves bytes and decides nothing.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    TRANSFER_ENCODING,
};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use serde::{Deserialize, Serialize};

use crate::document::{Document, Format};
use crate::error::{Error, ErrorKind};
use crate::gzip::{self, GZIP, Unpacker};
use crate::id::{BatchId, JobId, RecordId, ResultId};
use crate::info::{ContentType, IngestResult, JobInfo, JobState, Syntax};
use crate::print::Fingerprint;
use crate::rows::{
    Fate, Framer, Have, NO_RECORDS, Outcome, Rows, content, is_result, outcomes_from_csv,
};
use crate::session::Session;
use crate::spec::{PkChunking, Spec};
use crate::xml;

/// The largest error page taken, in bytes; more of it tells nobody anything.
const ERROR_PAGE: usize = 1 << 20;

/// Within so many bytes a result says that it is one.
const BEGINNING: usize = 64 << 10;

/// How much room an intake offers for the next piece of a control document, in bytes.
const ROOM: usize = 16 << 10;

/// Which call a reply answers. Never used twice by a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub(crate) u64);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A request to be performed. Its end, whatever it is, belongs into
/// [`Job::reply`](crate::Job::reply).
pub struct Call {
    /// To answer by.
    pub tag: Tag,
    /// What to send, complete but for the headers of the transport (`Host`, `Content-Length`).
    pub request: Request<Bytes>,
    /// Where the answer's body belongs.
    pub expect: Expect,
    /// Its body may be packed.
    pub(crate) packs: bool,
}

impl Call {
    /// The call with its body packed by gzip, if the job wants that and the body is worth it. To be
    /// called just before it is sent, and not in the loop: it takes some milliseconds for each
    /// megabyte, and many calls can be packed at once. A call that is sent as it came is right too.
    #[must_use]
    pub fn packed(mut self) -> Self {
        if std::mem::take(&mut self.packs)
            && let Some(packed) = gzip::pack(self.request.body())
        {
            *self.request.body_mut() = packed;
            let coding = HeaderValue::from_static(GZIP);
            self.request.headers_mut().insert(CONTENT_ENCODING, coding);
        }
        self
    }

    /// Whether [`packed`](Self::packed) has something to do: who may not be kept waiting asks first.
    pub fn packs(&self) -> bool {
        self.packs
    }
}

impl fmt::Debug for Call {
    /// Without headers and body: these hold sessions, passwords and records.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, uri) = (self.request.method(), self.request.uri());
        let mut debug = f.debug_struct("Call");
        debug.field("tag", &self.tag).field("method", method).field("uri", uri);
        debug.field("expect", &self.expect).finish_non_exhaustive()
    }
}

/// Where the body of an answer belongs. One that tells of a failure is always read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Read whole: a control document of at most so many bytes.
    Whole {
        /// The most bytes taken.
        at_most: usize,
    },
    /// Of no interest if all went well: then it is a document, any text, or nothing at all.
    Nothing {
        /// The most bytes taken.
        at_most: usize,
    },
    /// The outcomes of a batch: held until they are complete and counted, then handed on at once.
    Outcomes {
        /// The input rows they answer, in order.
        rows: Range<u64>,
        /// How many there must be.
        count: Count,
        /// The most bytes taken.
        at_most: usize,
    },
    /// What was sent as a batch: held until it is complete, and only its fingerprint is told.
    Request {
        /// What the job's batches are.
        content_type: ContentType,
        /// The most bytes taken.
        at_most: usize,
    },
    /// A file of a query's result: passed on in pages of whole records as it arrives.
    Rows {
        /// How the file is written.
        syntax: Syntax,
        /// What the application already has of it, from a transfer that broke.
        have: Option<Have>,
    },
}

/// How many outcomes a batch must have. With one too many or too few, nobody could tell which row an
/// outcome belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// One for each row.
    All,
    /// The batch failed on its way: one for each row that the server says it has processed, or, if it
    /// does not say, for the first ones. It may also tell of all rows, if as many are good as the
    /// server says.
    Processed {
        /// How many rows it has processed.
        rows: Option<u64>,
        /// How many of them are good.
        good: Option<u64>,
    },
}

impl Count {
    /// Whether so many outcomes, of which so many tell of success, can be those of `rows` rows.
    pub(crate) fn fits(self, rows: u64, outcomes: u64, succeeded: u64) -> bool {
        match self {
            Self::All => outcomes == rows,
            Self::Processed { rows: None, .. } => outcomes <= rows,
            Self::Processed { rows: Some(processed), good } => {
                outcomes == processed.min(rows) || (outcomes == rows && good == Some(succeeded))
            }
        }
    }
}

/// Data for the application, on its way past the machine.
#[derive(Debug)]
pub enum Page {
    /// Records of a query's result, as the server wrote them.
    Rows(Rows),
    /// What became of the rows of one batch.
    Outcomes(Vec<Outcome>),
}

/// How a call ended.
#[derive(Debug)]
pub enum Reply {
    /// With an answer, read whole.
    Whole(Response<Bytes>),
    /// With data, all of which was handed on in pages; these are the counts.
    Streamed(Received),
    /// Without an answer, or with one that did not arrive whole.
    Failed(Failure),
}

/// What was received of a result, counted where it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Records, header not counted; rows skipped because the application had them are.
    pub rows: u64,
    /// The fingerprint of the header's cells; `None` if there was no header.
    pub header: Option<Fingerprint>,
    /// Outcomes that tell of success.
    pub succeeded: u64,
    /// Outcomes that tell of a new record.
    pub created: u64,
    /// Of a batch's request, the fingerprint of what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Fingerprint>,
}

/// Why there is no whole answer. When in doubt, `Lost`: it is always safe, only slower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// The request certainly never reached the server: no name, no route, no handshake.
    Unsent(String),
    /// It may have.
    Lost(String),
}

impl Failure {
    /// There was no connection to send the request on: no name, no route, no handshake.
    pub fn unconnected(why: impl fmt::Display) -> Self {
        Self::Unsent(format!("no connection ({why})"))
    }

    /// The request went out, in whole or in part, and no answer began: the connection ended, there
    /// was silence, or what came has no readable head. If an answer broke off later, see
    /// [`Intake::broke_off`].
    pub fn unanswered(why: impl fmt::Display) -> Self {
        Self::Lost(format!("no answer arrived ({why})"))
    }
}

impl Expect {
    /// Takes in an answer that is there as a whole: the pages to hand on, and then the reply.
    pub fn take_in(&self, answer: Response<Bytes>) -> (Vec<Page>, Reply) {
        let (head, body) = answer.into_parts();
        let (mut intake, mut pages) = (self.open(head), Vec::new());
        let mut taken = intake.push(&body);
        while let Ok(Some(page)) = taken {
            pages.push(page);
            taken = intake.more();
        }
        if let Err(failure) = taken {
            return (pages, Reply::Failed(failure));
        }
        let (last, reply) = intake.finish();
        pages.extend(last);
        (pages, reply)
    }

    /// Starts to take in an answer, once its head is there.
    pub fn open(&self, head: Parts) -> Intake {
        let packed = is_packed(&head.headers);
        let unpacker = matches!(packed, Ok(true)).then(Box::default);
        let length = packed.and_then(|_| announced(&head.headers));
        let at_most = match *self {
            _ if !head.status.is_success() => ERROR_PAGE,
            Self::Whole { at_most }
            | Self::Nothing { at_most }
            | Self::Outcomes { at_most, .. }
            | Self::Request { at_most, .. } => at_most,
            Self::Rows { .. } => ERROR_PAGE, // should it turn out to be an error document
        };
        let framer = match self {
            Self::Rows { syntax, have } if head.status.is_success() => {
                Some(Framer::with_syntax(*syntax, *have))
            }
            _ => None,
        };
        Intake {
            expect: self.clone(),
            unpacker,
            head,
            length,
            received: 0,
            whole: BytesMut::new(),
            room: 0,
            at_most,
            framer,
            framing: false,
        }
    }
}

/// Takes in the body of one answer, piece by piece, however the network cut it.
#[derive(Debug)]
pub struct Intake {
    expect: Expect,
    head: Parts,
    length: Result<Option<u64>, String>,
    received: u64,
    /// What a compressed body goes through first.
    unpacker: Option<Box<Unpacker>>,
    /// A body to be read whole, or the first piece of one that will be framed.
    whole: BytesMut,
    /// How much of `whole`'s end is room, not data.
    room: usize,
    at_most: usize,
    framer: Option<Framer>,
    /// Whether the body has turned out to be a result, so that all further pieces go to the framer.
    framing: bool,
}

impl Intake {
    /// Room for the next piece of the body; say with [`filled`](Self::filled) how much of it was
    /// used.
    pub fn space(&mut self) -> &mut [u8] {
        if self.unpacker.is_none() {
            return self.plain_space();
        }
        self.unpacker.as_mut().map(|unpacker| unpacker.space()).unwrap_or_default()
    }

    fn plain_space(&mut self) -> &mut [u8] {
        self.give_back(0);
        match &mut self.framer {
            Some(framer) if self.framing => framer.space(),
            _ => {
                let data = self.whole.len();
                self.room = ROOM;
                self.whole.resize(data + ROOM, 0);
                &mut self.whole[data..]
            }
        }
    }

    /// `n` bytes of the space hold the next piece of the body. What it completed is to be handed
    /// on before anything else is done, and then [`more`](Self::more) asked for. After a failure the
    /// rest of the body is of no use.
    pub fn filled(&mut self, n: usize) -> Result<Option<Page>, Failure> {
        match &mut self.unpacker {
            Some(unpacker) => unpacker.filled(n),
            None => self.plain_filled(n),
        }
        self.took(n)
    }

    fn plain_filled(&mut self, n: usize) {
        match &mut self.framer {
            Some(framer) if self.framing => framer.filled(n),
            _ => self.give_back(n),
        }
    }

    /// The next piece of the body, for transports that bring their own buffers.
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<Page>, Failure> {
        match (&mut self.unpacker, &mut self.framer) {
            (Some(unpacker), _) => unpacker.push(piece),
            (None, Some(framer)) if self.framing => framer.push(piece),
            _ => {
                self.give_back(0);
                self.whole.extend_from_slice(piece);
            }
        }
        self.took(piece.len())
    }

    /// A further page of the last piece, until there is none: what comes compressed may hold many,
    /// and they are made one at a time. Whoever does not ask gets it all at once in the end.
    pub fn more(&mut self) -> Result<Option<Page>, Failure> {
        while self.unpack()? {
            if let Some(page) = self.page()? {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// Unpacks as much of what came as there is room for; `false` if nothing was left of it.
    fn unpack(&mut self) -> Result<bool, Failure> {
        let Some(mut unpacker) = self.unpacker.take() else { return Ok(false) };
        let made = unpacker.unpack(self.plain_space());
        self.unpacker = Some(unpacker);
        let made = made.map_err(Failure::Lost)?;
        if made == 0 {
            return Ok(false); // to fill in nothing would be to end the text
        }
        self.plain_filled(made);
        self.sort(made)?;
        Ok(true)
    }

    /// Ends the loan of the room, of which `n` bytes were used.
    fn give_back(&mut self, n: usize) {
        self.whole.truncate(self.whole.len() - self.room + n.min(self.room));
        self.room = 0;
    }

    fn took(&mut self, n: usize) -> Result<Option<Page>, Failure> {
        self.received += n as u64;
        match &self.length {
            Err(flaw) => return Err(Failure::Lost(flaw.clone())),
            Ok(Some(length)) if self.received > *length => {
                let more = format!("more than the {length} bytes announced arrived");
                return Err(Failure::Lost(more)); // before any of it passes for rows
            }
            Ok(_) => {}
        }
        if self.unpacker.is_some() {
            return self.more();
        }
        self.sort(n)?;
        self.page()
    }

    /// Finds out what the text is, now that it has `n` bytes more, and keeps what is no result within
    /// its bound.
    fn sort(&mut self, n: usize) -> Result<(), Failure> {
        let so_far = self.whole.len().saturating_sub(n) < BEGINNING;
        if !self.framing && self.framer.is_some() && so_far && self.is_result() {
            self.frame();
        }
        if self.whole.len() > self.at_most {
            let most = self.at_most;
            return Err(Failure::Lost(format!("the answer is larger than {most} bytes")));
        }
        Ok(())
    }

    /// Whether the body is a result of the syntax that is wanted; not before it says so.
    fn is_result(&self) -> bool {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let Expect::Rows { syntax, .. } = self.expect else { return false };
        let format = match syntax {
            Syntax::Csv => Format::Text,
            Syntax::Xml => Format::Xml,
            Syntax::Json => Format::Json,
        };
        let text = self.whole.strip_prefix(MARK).unwrap_or(&self.whole);
        !text.trim_ascii_start().is_empty()
            && !MARK.starts_with(text)
            && Format::of(&self.head.headers, &self.whole) == format
            && is_result(syntax, text)
    }

    fn frame(&mut self) {
        self.framing = true;
        let beginning = std::mem::take(&mut self.whole);
        self.framer.iter_mut().for_each(|framer| framer.push(&beginning));
    }

    fn page(&mut self) -> Result<Option<Page>, Failure> {
        match &mut self.framer {
            Some(framer) if self.framing => framer.page().map(|p| p.map(Page::Rows)).map_err(lost),
            _ => Ok(None),
        }
    }

    /// The transport says that the body broke off, or went silent.
    pub fn broke_off(self, why: impl fmt::Display) -> Reply {
        let got = self.received;
        Reply::Failed(Failure::Lost(match self.length {
            Err(flaw) => flaw,
            Ok(Some(length)) => {
                format!("the answer broke off after {got} of {length} bytes ({why})")
            }
            Ok(None) => format!("the answer broke off after {got} bytes ({why})"),
        }))
    }

    /// The transport says that the body has ended properly. The page, if there is one, is to be
    /// handed on before the reply.
    pub fn finish(self) -> (Option<Page>, Reply) {
        match self.ended() {
            Ok((page, reply)) => (page, reply),
            Err(failure) => (None, Reply::Failed(failure)),
        }
    }

    fn ended(mut self) -> Result<(Option<Page>, Reply), Failure> {
        while self.unpack()? {}
        if self.unpacker.as_ref().is_some_and(|unpacker| !unpacker.is_whole()) {
            return Err(Failure::Lost("the answer's gzip ends in its middle".into()));
        }
        self.give_back(0);
        let length = self.length.clone().map_err(Failure::Lost)?;
        if let Some(length) = length.filter(|length| *length != self.received) {
            let got = self.received;
            return Err(Failure::Lost(format!("{got} of {length} bytes arrived")));
        }
        if let Expect::Rows { have, .. } = self.expect
            && self.framer.is_some()
            && self.whole.trim_ascii() == NO_RECORDS
            && Format::of(&self.head.headers, &self.whole) == Format::Text
        {
            self.framer = Some(Framer::new(have)); // it is said in these words in any syntax
            self.frame();
        }
        let nothing_came = self.whole.trim_ascii().is_empty();
        if let Some(framer) = self.framer.as_mut().filter(|_| self.framing || nothing_came) {
            let (page, framed) = framer.finish().map_err(lost)?;
            let counts =
                Received { rows: framed.rows, header: framed.header, ..Received::default() };
            return Ok((page.map(Page::Rows), Reply::Streamed(counts)));
        }
        let response = Response::from_parts(self.head, self.whole.freeze());
        let is_good = response.status().is_success();
        match self.expect {
            Expect::Outcomes { rows, count, .. } if is_good => outcomes(&rows, count, response),
            Expect::Request { content_type, .. } if is_good => request(&content_type, response),
            Expect::Nothing { .. } if is_good && (nothing_came || is_text(&response)) => {
                Ok((None, Reply::Streamed(Received::default())))
            }
            _ => Ok((None, Reply::Whole(response))),
        }
    }
}

fn is_text(response: &Response<Bytes>) -> bool {
    Format::of(response.headers(), response.body()) == Format::Text
}

/// What was sent as a batch, unless it is an error or a page in its place.
fn request(of: &ContentType, response: Response<Bytes>) -> Result<(Option<Page>, Reply), Failure> {
    let plain = of.is_zip() || of.syntax() == Syntax::Csv;
    match content(of, response.body()) {
        Ok(_) if plain && !is_text(&response) => Ok((None, Reply::Whole(response))),
        Ok(content) => {
            let received = Received { content: Some(content), ..Received::default() };
            Ok((None, Reply::Streamed(received)))
        }
        Err(_) if matches!(Document::read(&response), Ok(Document::Error(_))) => {
            Ok((None, Reply::Whole(response)))
        }
        Err(error) => Err(lost(error)),
    }
}

#[allow(clippy::needless_pass_by_value)] // fits map_err
fn lost(error: Error) -> Failure {
    Failure::Lost(error.to_string())
}

/// The outcomes of a batch, handed on only if there are as many as there must be.
fn outcomes(
    rows: &Range<u64>,
    count: Count,
    response: Response<Bytes>,
) -> Result<(Option<Page>, Reply), Failure> {
    let outcomes = if is_text(&response) {
        outcomes_from_csv(rows.start, response.body()).map_err(lost)?
    } else {
        match Document::read(&response).map_err(Failure::Lost)? {
            Document::Results(results) => from_results(rows.start, results),
            Document::ResultList(ids) if ids.is_empty() => Vec::new(),
            _ => return Ok((None, Reply::Whole(response))),
        }
    };
    let received = Received {
        rows: outcomes.len() as u64,
        succeeded: outcomes.iter().filter(|outcome| outcome.success()).count() as u64,
        created: outcomes.iter().filter(|outcome| outcome.created()).count() as u64,
        ..Received::default()
    };
    let fits = count.fits(rows.end - rows.start, received.rows, received.succeeded);
    Ok((fits.then_some(Page::Outcomes(outcomes)), Reply::Streamed(received)))
}

fn from_results(first: u64, results: Vec<IngestResult>) -> Vec<Outcome> {
    let outcome = |(row, result): (u64, IngestResult)| {
        let errors: Vec<String> = result.errors.iter().map(ToString::to_string).collect();
        Outcome {
            row,
            id: result.id.and_then(|id| id.parse::<RecordId>().ok()),
            fate: if result.success {
                Fate::Succeeded { created: result.created }
            } else {
                Fate::Failed
            },
            error: (!errors.is_empty()).then(|| errors.join("; ").into()),
        }
    };
    (first..).zip(results).map(outcome).collect()
}

/// The length the server announced. One beside chunks is the mark of a forged answer (RFC 9112, 6.3),
/// and codings that were not asked for are not undone here.
fn announced(headers: &HeaderMap) -> Result<Option<u64>, String> {
    if let Some(coding) = codings(headers, &TRANSFER_ENCODING, "chunked").first() {
        return Err(format!(
            "the answer is in a transfer coding ({coding}) that was not asked for"
        ));
    }
    match content_length(headers)? {
        Some(_) if headers.contains_key(TRANSFER_ENCODING) => {
            Err("the answer comes in chunks, and yet has a length".into())
        }
        length => Ok(length),
    }
}

/// Whether the body is compressed. An answer may be so unasked, an error page too.
fn is_packed(headers: &HeaderMap) -> Result<bool, String> {
    match codings(headers, &CONTENT_ENCODING, "identity").as_slice() {
        [] => Ok(false),
        [coding] if coding.eq_ignore_ascii_case(GZIP) => Ok(true),
        [coding, ..] => {
            Err(format!("the answer is compressed ({coding}) in a way that was not asked for"))
        }
    }
}

/// The codings that a header names beside the `usual` one.
fn codings<'a>(headers: &'a HeaderMap, name: &HeaderName, usual: &str) -> Vec<Cow<'a, str>> {
    let codings =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    codings.filter(|coding| !coding.eq_ignore_ascii_case(usual)).collect()
}

/// The length in the head. Two that differ are the mark of a broken or forged answer.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for part in value.to_str().unwrap_or("?").split(',') {
            let digits = Some(part.trim()).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let part = digits.and_then(|digits| digits.parse::<u64>().ok());
            let part = part.ok_or("the answer's length is no number")?;
            if length.is_some_and(|length| length != part) {
                return Err("the answer has two lengths that differ".into());
            }
            length = Some(part);
        }
    }
    Ok(length)
}

/// Builds the requests of one job: one function for each operation of the service.
pub(crate) struct Wire<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) session: &'a Session,
}

impl Wire<'_> {
    /// Topic "Limits" of the REST guide: `GET /services/data/v{version}/limits`. The one request that
    /// is not for the Bulk API, which has nothing of the kind.
    pub(crate) fn limits(&self) -> Result<Request<Bytes>, Error> {
        let (instance, version) = (self.session.instance(), &self.spec.version);
        let request = Request::get(format!("{instance}/services/data/v{version}/limits"))
            .header(AUTHORIZATION, self.session.bearer())
            .header("sforce-call-options", self.client());
        request.body(Bytes::new()).map_err(|e| no_request(&e))
    }

    /// Topic "Create a Job": `POST job`.
    pub(crate) fn create(&self) -> Result<Request<Bytes>, Error> {
        let spec = self.spec;
        let info = JobInfo {
            operation: Some(spec.operation.clone()),
            object: Some(spec.object.clone()),
            external_id_field_name: spec.external_id.clone(),
            concurrency_mode: Some(spec.concurrency.clone()),
            content_type: Some(spec.content_type.clone()),
            assignment_rule_id: spec.assignment_rule.map(|id| id.to_string()),
            ..JobInfo::default()
        };
        let mut request = self.post("job", XML, job_document(&info)?)?;
        let headers = [
            ("sforce-enable-pkchunking", spec.chunking.as_ref().map(PkChunking::header)),
            ("sforce-disable-batch-retry", (!spec.server_retries).then(|| "TRUE".into())),
            ("sforce-line-ending", spec.line_ending.map(|ending| ending.header().into())),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                let value = HeaderValue::from_str(&value).map_err(|e| no_request(&e))?;
                request.headers_mut().insert(name, value);
            }
        }
        Ok(request)
    }

    /// Topic "Transformation Spec": `POST job/{id}/spec`, before the job's first batch.
    pub(crate) fn transform(&self, job: JobId) -> Result<Request<Bytes>, Error> {
        let text = self.spec.transformation.clone().unwrap_or_default();
        self.post(&format!("job/{job}/spec"), ContentType::Csv.media(), text.into())
    }

    /// Whether a batch of this size is to be packed. What is compressed already is not, nor is what
    /// the service transforms: the vendor's own client sends both as they are.
    pub(crate) fn packs(&self, size: usize) -> bool {
        let kind = !self.spec.is_zip() && self.spec.transformation.is_none();
        self.compresses() && kind && size >= gzip::WORTH
    }

    /// Whether compression pays: on this machine itself there is no line to be spared.
    fn compresses(&self) -> bool {
        self.spec.gzip.unwrap_or(!self.session.is_of_this_machine())
    }

    /// Topic "Get Job Details": `GET job/{id}`.
    pub(crate) fn job(&self, job: JobId) -> Result<Request<Bytes>, Error> {
        self.get(&format!("job/{job}"))
    }

    /// Topics "Close a Job" and "Abort a Job": `POST job/{id}`, with nothing but the new state: any
    /// other member is an error.
    pub(crate) fn set_state(&self, job: JobId, state: JobState) -> Result<Request<Bytes>, Error> {
        let info = JobInfo { state: Some(state), ..JobInfo::default() };
        self.post(&format!("job/{job}"), XML, job_document(&info)?)
    }

    /// Topic "Add a Batch to a Job": `POST job/{id}/batch`, with records or SOQL.
    pub(crate) fn submit(&self, job: JobId, body: Bytes) -> Result<Request<Bytes>, Error> {
        self.post(&format!("job/{job}/batch"), self.spec.content_type.media(), body)
    }

    /// Topic "Get Information for All Batches in a Job": `GET job/{id}/batch`. One request,
    /// whatever the number of batches.
    pub(crate) fn list(&self, job: JobId) -> Result<Request<Bytes>, Error> {
        self.get(&format!("job/{job}/batch"))
    }

    /// Topic "Get a Batch Request": `GET job/{id}/batch/{id}/request`: what was sent as a batch.
    pub(crate) fn request_of(&self, job: JobId, batch: BatchId) -> Result<Request<Bytes>, Error> {
        self.get(&format!("job/{job}/batch/{batch}/request"))
    }

    /// Topic "Get Batch Results": `GET job/{id}/batch/{id}/result`: the outcomes of a load's batch,
    /// or the list of files of a query's.
    pub(crate) fn result(&self, job: JobId, batch: BatchId) -> Result<Request<Bytes>, Error> {
        self.get(&format!("job/{job}/batch/{batch}/result"))
    }

    /// Topic "Get Results for a Query Batch": `GET job/{id}/batch/{id}/result/{id}`.
    pub(crate) fn file(
        &self,
        job: JobId,
        batch: BatchId,
        file: ResultId,
    ) -> Result<Request<Bytes>, Error> {
        self.get(&format!("job/{job}/batch/{batch}/result/{file}"))
    }

    fn get(&self, path: &str) -> Result<Request<Bytes>, Error> {
        self.request(Method::GET, path, None, Bytes::new())
    }

    fn post(&self, path: &str, media: &str, body: Bytes) -> Result<Request<Bytes>, Error> {
        self.request(Method::POST, path, Some(media), body)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        media: Option<&str>,
        body: Bytes,
    ) -> Result<Request<Bytes>, Error> {
        let (instance, version) = (self.session.instance(), &self.spec.version);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{instance}/services/async/{version}/{path}"))
            .header("x-sfdc-session", self.session.header())
            .header("sforce-call-options", self.client());
        if self.compresses() {
            request = request.header(ACCEPT_ENCODING, GZIP);
        }
        if let Some(media) = media {
            request = request.header(CONTENT_TYPE, media);
        }
        request.body(body).map_err(|e| no_request(&e))
    }

    /// Who asks, as the org's event logs tell it (topic "Headers").
    fn client(&self) -> String {
        format!("client={}", self.spec.client.as_deref().unwrap_or(CLIENT))
    }
}

fn no_request(why: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::Usage, format!("no request: {why}"))
}

const XML: &str = "application/xml; charset=UTF-8";

/// The name of an application that has none.
const CLIENT: &str = concat!("sfbulk/", env!("CARGO_PKG_VERSION"));

/// A JobInfo as XML: the members that are set, in the schema's order.
fn job_document(info: &JobInfo) -> Result<Bytes, Error> {
    let broken = |e: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Usage, format!("the job cannot be written as XML: {e}"))
    };
    let xml = quick_xml::se::to_string_with_root("jobInfo", info).map_err(|e| broken(&e))?;
    let members = xml.strip_prefix("<jobInfo>").ok_or_else(|| broken(&"it is empty"))?;
    let prolog = xml::PROLOG;
    Ok(format!(r#"{prolog}<jobInfo xmlns="{}">{members}"#, xml::NAMESPACE).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::LineEnding;

    fn wire_test(spec: &Spec) -> Vec<Request<Bytes>> {
        let session = Session::new("https://acme.my.salesforce.com", "00Dx!secret").unwrap();
        let wire = Wire { spec, session: &session };
        let job = "7505g00000Ab1CdAAJ".parse().unwrap();
        let batch = "7515g00000Ef2GhAAJ".parse().unwrap();
        let file = "7525g000004RtPq".parse().unwrap();
        vec![
            wire.create().unwrap(),
            wire.limits().unwrap(),
            wire.set_state(job, JobState::Closed).unwrap(),
            wire.job(job).unwrap(),
            wire.submit(job, Bytes::from_static(b"Name\nx\n")).unwrap(),
            wire.list(job).unwrap(),
            wire.request_of(job, batch).unwrap(),
            wire.result(job, batch).unwrap(),
            wire.file(job, batch, file).unwrap(),
        ]
    }

    #[test]
    fn the_header_of_pk_chunking_is_sent_with_the_job() {
        let chunking = PkChunking {
            size: Some(50_000),
            parent: Some("Account".into()),
            start_row: "001000000000001AAA".parse().ok(),
        };
        for (chunking, header) in [
            (PkChunking::default(), "true"),
            (chunking, "chunkSize=50000; parent=Account; startRow=001000000000001AAA"),
        ] {
            let requests = wire_test(&Spec::query("SELECT Id FROM Account").pk_chunking(chunking));
            assert_eq!(requests[0].headers()["sforce-enable-pkchunking"], header);
            let rest = &requests[1..];
            assert!(rest.iter().all(|r| !r.headers().contains_key("sforce-enable-pkchunking")));
        }
    }

    #[test]
    fn what_is_said_of_a_job_is_sent_with_it() {
        let spec = Spec::insert("Lead")
            .client("MyApp/1.0")
            .line_ending(LineEnding::Crlf)
            .no_server_retries()
            .assignment_rule("01Q5g000000AbCdEAK".parse().unwrap())
            .transformation("Salesforce Field,Csv Header,Value,Hint\nLastName,Name,,\n");
        let requests = wire_test(&spec);
        let create = requests[0].headers();
        assert_eq!(create["sforce-disable-batch-retry"], "TRUE");
        assert_eq!(create["sforce-line-ending"], "CRLF");
        let body = std::str::from_utf8(requests[0].body()).unwrap();
        assert!(
            body.contains("</contentType><assignmentRuleId>01Q5g000000AbCdEAK</assignmentRuleId>")
        );
        for request in &requests {
            assert_eq!(request.headers()["sforce-call-options"], "client=MyApp/1.0");
            let bulk = request.uri().path().starts_with("/services/async/");
            assert_eq!(request.headers().contains_key("accept-encoding"), bulk);
        }
        assert!(requests[1..].iter().all(|r| !r.headers().contains_key("sforce-line-ending")));
        let session = Session::new("https://acme.my.salesforce.com", "00Dx!secret").unwrap();
        let job = "7505g00000Ab1CdAAJ".parse().unwrap();
        let request = Wire { spec: &spec, session: &session }.transform(job).unwrap();
        assert_eq!(request.uri().path(), "/services/async/66.0/job/7505g00000Ab1CdAAJ/spec");
        assert_eq!(request.headers()["content-type"], "text/csv; charset=UTF-8");
        assert!(request.body().ends_with(b"LastName,Name,,\n"));
    }

    #[test]
    fn batches_are_packed_where_it_pays() {
        let load = || Spec::insert("Account");
        let remote = "https://acme.my.salesforce.com";
        let spec = "Salesforce Field,Csv Header,Value,Hint\nName,Firm,,\n";
        for (spec, instance, size, packs) in [
            (load(), remote, 4 << 10, true),
            (load(), remote, (4 << 10) - 1, false),
            (load(), "http://127.0.0.1:8080", 1 << 20, false),
            (load(), "http://localhost", 1 << 20, false),
            (load().gzip(true), "http://[::1]:8080", 1 << 20, true),
            (load().gzip(false), remote, 1 << 20, false),
            (load().content_type(ContentType::ZipCsv), remote, 1 << 20, false),
            (load().transformation(spec), remote, 1 << 20, false),
        ] {
            let session = Session::new(instance, "00Dx!secret").unwrap();
            let wire = Wire { spec: &spec, session: &session };
            assert_eq!(wire.packs(size), packs, "{spec:?} {instance} {size}");
        }
    }

    #[test]
    fn a_call_is_packed_once_and_only_if_that_makes_it_smaller() {
        let body = Bytes::from("Name\nNorthwind\n".repeat(1000));
        let call = |body: &Bytes, packs| Call {
            tag: Tag(1),
            request: Request::new(body.clone()),
            expect: Expect::Whole { at_most: 10 },
            packs,
        };
        let packed = call(&body, true).packed().packed();
        assert!(packed.request.body().len() < body.len() / 10 && !packed.packs());
        assert_eq!(packed.request.headers()["content-encoding"], "gzip");
        for plain in [call(&body, false), call(&Bytes::from_static(b"x"), true)] {
            let size = plain.request.body().len();
            let sent = plain.packed();
            assert_eq!(sent.request.body().len(), size);
            assert!(sent.request.headers().is_empty());
        }
    }

    #[test]
    fn requests_are_those_of_the_guide() {
        let requests = wire_test(&Spec::upsert("Invoice__c", "Erp_Key__c").serial());
        let lines: Vec<_> =
            requests.iter().map(|r| format!("{} {}", r.method(), r.uri().path())).collect();
        assert_eq!(
            lines,
            [
                "POST /services/async/66.0/job",
                "GET /services/data/v66.0/limits",
                "POST /services/async/66.0/job/7505g00000Ab1CdAAJ",
                "GET /services/async/66.0/job/7505g00000Ab1CdAAJ",
                "POST /services/async/66.0/job/7505g00000Ab1CdAAJ/batch",
                "GET /services/async/66.0/job/7505g00000Ab1CdAAJ/batch",
                "GET /services/async/66.0/job/7505g00000Ab1CdAAJ/batch/7515g00000Ef2GhAAJ/request",
                "GET /services/async/66.0/job/7505g00000Ab1CdAAJ/batch/7515g00000Ef2GhAAJ/result",
                "GET /services/async/66.0/job/7505g00000Ab1CdAAJ/batch/7515g00000Ef2GhAAJ/result/7525g000004RtPq",
            ]
        );
        assert_eq!(
            requests[0].body(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <jobInfo xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\">\
             <operation>upsert</operation><object>Invoice__c</object>\
             <externalIdFieldName>Erp_Key__c</externalIdFieldName>\
             <concurrencyMode>Serial</concurrencyMode><contentType>CSV</contentType></jobInfo>"
        );
        assert!(requests[2].body().ends_with(b"<state>Closed</state></jobInfo>"));
        assert!(!format!("{requests:?}").contains("secret"));
    }

    fn take(
        expect: &Expect,
        head: http::response::Builder,
        pieces: &[&[u8]],
    ) -> (Vec<Page>, Reply) {
        let (parts, ()) = head.body(()).unwrap().into_parts();
        let mut intake = expect.open(parts);
        let mut pages = Vec::new();
        for piece in pieces {
            match intake.push(piece) {
                Ok(page) => pages.extend(page),
                Err(failure) => return (pages, Reply::Failed(failure)),
            }
        }
        let (page, reply) = intake.finish();
        pages.extend(page);
        (pages, reply)
    }

    #[test]
    fn rows_stream_and_anything_else_is_read_whole() {
        let expect = Expect::Rows { syntax: Syntax::Csv, have: None };
        let (pages, reply) = take(&expect, Response::builder(), &[b"\"Id\"\n\"a", b"\"\n\"b\"\n"]);
        let records: Vec<u8> = pages
            .iter()
            .flat_map(|page| match page {
                Page::Rows(rows) => rows.records.to_vec(),
                Page::Outcomes(_) => Vec::new(),
            })
            .collect();
        assert_eq!(records, b"\"a\"\n\"b\"\n");
        assert!(matches!(reply, Reply::Streamed(Received { rows: 2, header: Some(_), .. })));

        let error: &[u8] = b"<error><exceptionCode>InvalidBatch</exceptionCode></error>";
        for status in [200, 400] {
            let (pages, reply) = take(&expect, Response::builder().status(status), &[error]);
            assert!(pages.is_empty());
            assert!(matches!(reply, Reply::Whole(response) if response.body() == error));
        }
        let (_, reply) = take(&expect, Response::builder(), &[]);
        assert!(matches!(reply, Reply::Streamed(Received { rows: 0, header: None, .. })));

        let marked = [b"\xef\xbb\xbf", error].concat();
        for at in 0..marked.len() {
            let (_, reply) = take(&expect, Response::builder(), &[&marked[..at], &marked[at..]]);
            assert!(matches!(reply, Reply::Whole(_)), "split at {at}");
        }
    }

    #[test]
    fn a_page_in_the_place_of_nothing_is_no_success() {
        let expect = Expect::Nothing { at_most: 1000 };
        for (status, body) in [(503, "upstream connect error"), (401, "go away"), (403, "")] {
            let head = Response::builder().status(status).header("content-type", "text/plain");
            let (_, reply) = take(&expect, head, &[body.as_bytes()]);
            assert!(matches!(reply, Reply::Whole(_)), "{status} {reply:?}");
        }
        for body in ["", "Salesforce Field,Csv Header,Value,Hint\n"] {
            let (_, reply) = take(&expect, Response::builder().status(201), &[body.as_bytes()]);
            assert!(matches!(reply, Reply::Streamed(_)), "{reply:?}");
        }
    }

    #[test]
    fn room_that_was_lent_and_not_used_is_no_data() {
        let csv: &[u8] = b"\"Id\"\n\"a\"\n";
        for expect in
            [Expect::Whole { at_most: 100 }, Expect::Rows { syntax: Syntax::Csv, have: None }]
        {
            let (parts, ()) = Response::new(()).into_parts();
            let mut intake = expect.open(parts);
            let mut rows = 0;
            for piece in csv.chunks(4) {
                intake.space()[..piece.len()].copy_from_slice(piece);
                rows += match intake.filled(piece.len()).unwrap() {
                    Some(Page::Rows(page)) => page.count,
                    _ => 0,
                };
            }
            let _ = intake.space(); // and then the body has ended
            match intake.finish() {
                (None, Reply::Whole(response)) => assert_eq!(response.body(), csv),
                (Some(Page::Rows(page)), Reply::Streamed(received)) => {
                    assert_eq!((rows + page.count, received.rows), (1, 1));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_body_that_is_not_what_its_head_says_is_lost() {
        let whole = Expect::Whole { at_most: 10 };
        let cases = [
            (Response::builder().header("content-length", 3), "more than the 3 bytes"),
            (Response::builder().header("content-length", 5), "4 of 5 bytes"),
            (
                Response::builder().header("content-length", 4).header("content-length", 5),
                "two lengths",
            ),
            (Response::builder().header("content-length", "x"), "no number"),
            (
                Response::builder()
                    .header("content-length", 4)
                    .header("transfer-encoding", "chunked"),
                "yet has a length",
            ),
            (Response::builder().header("content-encoding", "br"), "compressed"),
            (Response::builder().header("content-encoding", "gzip, gzip"), "compressed"),
            (
                Response::builder()
                    .header("content-encoding", "gzip")
                    .header("content-encoding", "gzip"),
                "compressed",
            ),
            (Response::builder().header("content-encoding", "gzip"), "damaged"),
            (Response::builder().header("transfer-encoding", "gzip, chunked"), "gzip, chunked"),
        ];
        for (head, why) in cases {
            let (_, reply) = take(&whole, head, &[b"ab", b"cd"]);
            let Reply::Failed(Failure::Lost(reason)) = reply else { panic!("{reply:?}") };
            assert!(reason.contains(why), "{reason}");
        }
        let (_, reply) = take(&whole, Response::builder(), &[b"0123456789x"]);
        assert!(matches!(reply, Reply::Failed(Failure::Lost(_))), "{reply:?}");
    }

    fn packed(plain: &[u8]) -> Bytes {
        gzip::pack(plain).unwrap()
    }

    fn in_gzip() -> http::response::Builder {
        Response::builder().header("content-encoding", "GZIP")
    }

    #[test]
    fn a_compressed_answer_is_framed_and_bounded_as_a_plain_one() {
        let row = |n: u32| format!("\"{n}\",\"Northwind\"\n").into_bytes();
        let rows: Vec<u8> = (0..100_000).flat_map(row).collect();
        let body = packed(&[b"\"Id\",\"Name\"\n", &rows[..]].concat());
        let expect = Expect::Rows { syntax: Syntax::Csv, have: None };
        for size in [1 << 10, body.len()] {
            let mut intake = expect.open(in_gzip().body(()).unwrap().into_parts().0);
            let (mut records, mut largest) = (Vec::new(), 0);
            let mut keep = |page: Page| {
                let Page::Rows(rows) = page else { panic!() };
                largest = largest.max(rows.records.len());
                records.extend_from_slice(&rows.records);
            };
            for piece in body.chunks(size) {
                let mut page = intake.push(piece).unwrap();
                while let Some(rows) = page {
                    keep(rows);
                    page = intake.more().unwrap();
                }
            }
            let (last, reply) = intake.finish();
            last.map(&mut keep);
            assert!(matches!(reply, Reply::Streamed(Received { rows: 100_000, .. })));
            assert!(records == rows && largest < 600 << 10, "{largest}");
        }
        // Whoever does not ask for more gets the rest in the end.
        let (pages, reply) = take(&expect, in_gzip(), &[&body]);
        assert!(matches!(reply, Reply::Streamed(Received { rows: 100_000, .. })));
        assert_eq!(pages.len(), 2);

        let bomb = packed(&vec![b' '; 8 << 20]);
        let whole = Expect::Whole { at_most: 1 << 20 };
        let (_, reply) = take(&whole, in_gzip(), &[&bomb]);
        assert!(matches!(reply, Reply::Failed(Failure::Lost(why)) if why.contains("larger")));
    }

    #[test]
    fn a_compressed_answer_that_is_cut_or_damaged_is_lost() {
        let body = packed(&b"\"Id\"\n\"0015g00000Xb1cCAAR\"\n".repeat(40));
        let mut damaged = body.to_vec();
        damaged[body.len() - 6] ^= 1;
        for expect in
            [Expect::Whole { at_most: 10_000 }, Expect::Rows { syntax: Syntax::Csv, have: None }]
        {
            for piece in [&body[..body.len() / 2], &body[..body.len() - 1], &damaged] {
                let (_, reply) = take(&expect, in_gzip(), &[piece]);
                assert!(matches!(reply, Reply::Failed(Failure::Lost(_))), "{reply:?}");
            }
            let (_, reply) = take(&expect, in_gzip().header("content-length", 7), &[&body]);
            assert!(matches!(reply, Reply::Failed(Failure::Lost(_))), "{reply:?}");
            let (_, reply) = take(&expect, in_gzip(), &[]);
            assert!(!matches!(reply, Reply::Failed(_)), "nothing is nothing: {reply:?}");
        }
    }

    #[test]
    fn a_body_that_broke_off_says_where() {
        for (head, words) in [
            (Response::builder().header("content-length", 9), "after 2 of 9 bytes (reset)"),
            (Response::builder().header("transfer-encoding", "Chunked"), "after 2 bytes (reset)"),
        ] {
            let mut intake = Expect::Rows { syntax: Syntax::Csv, have: None }
                .open(head.body(()).unwrap().into_parts().0);
            intake.push(b"ab").unwrap();
            let Reply::Failed(Failure::Lost(reason)) = intake.broke_off("reset") else { panic!() };
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn outcomes_are_handed_on_only_if_none_is_missing() {
        let csv: &[u8] = b"\"Id\",\"Success\",\"Created\",\"Error\"\n\
                           \"0015g00000Xb1cCAAR\",\"true\",\"true\",\"\"\n\
                           \"\",\"false\",\"false\",\"X:y:--\"\n";
        let json: &[u8] = br#"[{"success":true,"created":true,"id":"0015g00000Xb1cCAAR","errors":[]},
            {"success":false,"created":false,"id":null,"errors":[{"statusCode":"X","message":"y","fields":[]}]}]"#;
        let processed = |rows, good| Count::Processed { rows, good };
        for body in [csv, json] {
            for (rows, count, fits) in [
                (2, Count::All, true),
                (3, Count::All, false),
                (3, processed(None, None), true),
                (1, processed(None, None), false),
                (3, processed(Some(2), None), true),
                (3, processed(Some(1), Some(1)), false),
                (2, processed(Some(1), Some(1)), true),
                (2, processed(Some(1), Some(0)), false),
                (2, processed(Some(1), None), false),
            ] {
                let expect = Expect::Outcomes { rows: 10..10 + rows, count, at_most: 1000 };
                let (pages, reply) = take(&expect, Response::builder(), &[body]);
                assert!(matches!(
                    reply,
                    Reply::Streamed(Received { rows: 2, succeeded: 1, created: 1, .. })
                ));
                assert_eq!(pages.len(), usize::from(fits));
                let Some(Page::Outcomes(outcomes)) = pages.first() else { continue };
                assert_eq!((outcomes[0].row, outcomes[1].row), (10, 11));
                assert_eq!(outcomes[1].message(), "X:y:--");
            }
        }
    }
}
