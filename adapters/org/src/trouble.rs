//! Faults in play: which request they are for, and what comes of it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode, request};
use memchr::{memchr2, memmem};
use sfbulk::Time;

use crate::answer::{self, Refusal};
use crate::chaos::Chaos;
use crate::documents::Facts;
use crate::fault::{Call, Counted, Fault};
use crate::gzip;
use crate::login;
use crate::org::Org;
use crate::route::{self, Route};

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// It was never carried out, and never will be.
    Dropped,
    /// It was carried out, and the answer was lost.
    Lost,
    /// It will be carried out when the clock has gone on so far.
    Late(Duration),
}

/// What will become of a batch that a fault has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Fails(String),
    HalfFails,
    Locks,
}

/// What is armed, and what was begun by faults that were played.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// Faults that wait, each with the number of requests until it is its turn.
    armed: Vec<(Fault, Counted, u32)>,
    delay: Duration,
    pause: Option<Duration>,
    chaos: Option<Chaos>,
    /// Batches that are still on their way, with the moment at which they come.
    late: Vec<(i64, Request<Bytes>)>,
    /// The fate of the batch that the request in hand adds, and those of batches that wait.
    fate: Option<Fate>,
    fates: HashMap<i64, Fate>,
    /// A list of batches that is to be wrong: its last entry twice, or missing.
    list: Option<Fault>,
}

impl Troubles {
    /// Takes the fate that waits for the batch of the request in hand.
    pub(crate) fn take_fate(&mut self) -> Option<Fate> {
        self.fate.take()
    }

    /// Ties a fate to a batch that was just added.
    pub(crate) fn seal(&mut self, batch: i64, fate: Option<Fate>) {
        self.fates.extend(fate.map(|fate| (batch, fate)));
    }

    /// Counts a chunk that is about to be added, and takes the fault that is for it.
    pub(crate) fn next_chunk(&mut self) -> Option<Fault> {
        self.take(|counted| counted == Counted::Chunks)
    }

    /// How far apart chunks come, if a fault says so.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.pause
    }

    /// The fate of a batch whose work is due.
    pub(crate) fn fate(&mut self, batch: i64) -> Option<Fate> {
        self.fates.remove(&batch)
    }

    /// Makes a list of batches wrong if it is to be.
    pub(crate) fn distort(&mut self, batches: &mut Vec<Facts>) {
        match self.list.take() {
            Some(Fault::ListTwice { .. }) => batches.extend(batches.last().cloned()),
            Some(Fault::MissingFromList { .. }) => drop(batches.pop()),
            _ => {}
        }
    }

    /// Which of the armed faults is for this request, if one is.
    fn next(&self, is: impl Fn(Counted) -> bool) -> Option<usize> {
        self.armed.iter().position(|(_, counted, left)| is(*counted) && *left <= 1)
    }

    /// Counts a request, and takes the fault that is for it. Chaos strikes where none is.
    fn turn(&mut self, request: Kind) -> Option<Fault> {
        let fault = self.take(|counted| request.is(counted));
        fault.or_else(|| self.chaos.as_mut()?.strike(request))
    }

    /// Counts something, and takes the fault that is for it.
    fn take(&mut self, is: impl Fn(Counted) -> bool) -> Option<Fault> {
        let next = self.next(&is);
        self.count(is);
        let at = next?;
        if let (fault @ Fault::Quota { .. }, ..) = &self.armed[at] {
            return Some(fault.clone()); // and stays
        }
        Some(self.armed.remove(at).0)
    }

    fn count(&mut self, is: impl Fn(Counted) -> bool) {
        for (_, counted, left) in &mut self.armed {
            if is(*counted) {
                *left = left.saturating_sub(1);
            }
        }
    }
}

/// What a request asks for, as faults count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) call: Call,
    pub(crate) lists: bool,
}

impl Kind {
    fn is(self, counted: Counted) -> bool {
        match counted {
            Counted::Calls(Call::Any) => true,
            Counted::Calls(call) => call == self.call,
            Counted::Lists => self.lists,
            Counted::Chunks => false,
        }
    }
}

impl Org {
    /// Arms a fault. Faults are played by [`Org::deliver`] and by [`serve`](crate::serve), not by
    /// [`Org::handle`].
    pub fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Slow { milliseconds } => {
                self.troubles.delay = Duration::from_millis(milliseconds.into());
            }
            Fault::LateChunks { seconds } => {
                self.troubles.pause = Some(Duration::from_secs(seconds.into()));
            }
            Fault::Chaos { seed } => self.troubles.chaos = Some(Chaos::new(seed)),
            _ => {}
        }
        if let Some((counted, n)) = fault.turn() {
            self.troubles.armed.push((fault, counted, n));
        }
    }

    /// How long every answer takes by [`Fault::Slow`]. The clock is the caller's, so the waiting is
    /// too.
    pub fn delay(&self) -> Duration {
        self.troubles.delay
    }

    /// Answers as [`Org::handle`] does, but with the faults that are armed: what a wire would carry.
    /// A body that breaks off is shorter than the `Content-Length` in its head.
    pub fn deliver(
        &mut self,
        now: Time,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let now = self.arrive(now);
        let kind = self.kind(&request);
        let packed = gzip::wanted(request.headers());
        let fault = self.troubles.turn(kind);
        let (response, cut) = match fault {
            Some(Fault::CutResult { bytes, .. }) => (self.respond(now, request), Some(bytes)),
            Some(fault) => (self.play(fault, now, request)?, None),
            None => (self.respond(now, request), None),
        };
        let response = if packed { gzip::pack(response) } else { response };
        // What is cut is what would have been sent.
        Ok(match cut {
            Some(bytes) => cut_off(response, bytes),
            None => response,
        })
    }

    /// Is a batch to be dropped in the middle of its body, of which only the head is known? Counts
    /// it if so.
    pub(crate) fn cuts_upload(&mut self, head: &request::Parts) -> bool {
        let parts = route::parts(head.uri.path()).unwrap_or_default();
        let route = parts.get(1..).and_then(|parts| route::route(&head.method, parts).ok());
        if !matches!(route, Some(Route::AddBatch { .. })) {
            return false;
        }
        let kind = Kind { call: Call::Batch, lists: false };
        let troubles = &mut self.troubles;
        let Some(next) = troubles.next(|counted| kind.is(counted)) else {
            let cuts = troubles.chaos.as_mut().is_some_and(Chaos::cuts);
            if cuts {
                troubles.count(|counted| kind.is(counted));
            }
            return cuts;
        };
        matches!(troubles.armed[next].0, Fault::CutUpload { .. }) && troubles.turn(kind).is_some()
    }

    /// The moment by the org's clock, after all that came in before it.
    pub(crate) fn arrive(&mut self, now: Time) -> i64 {
        let now = self.clock.at(now);
        self.troubles.late.sort_by_key(|(moment, _)| *moment);
        while self.troubles.late.first().is_some_and(|(moment, _)| *moment <= now) {
            let (moment, request) = self.troubles.late.remove(0);
            self.respond(moment, request);
        }
        now
    }

    fn play(
        &mut self,
        fault: Fault,
        now: i64,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        match fault {
            Fault::LoseAnswer { .. } | Fault::LoseCreate | Fault::LoseClose | Fault::LoseAbort => {
                self.respond(now, request);
                return Err(NoAnswer::Lost);
            }
            Fault::DropRequest { .. } | Fault::CutUpload { .. } => return Err(NoAnswer::Dropped),
            Fault::Late { seconds, .. } => {
                let moment = now.saturating_add(i64::from(seconds) * 1_000);
                self.troubles.late.push((moment, request));
                return Err(NoAnswer::Late(Duration::from_secs(seconds.into())));
            }
            Fault::Gateway { .. } => {
                self.respond(now, request);
                return Ok(page(StatusCode::GATEWAY_TIMEOUT, None));
            }
            Fault::Status { status, retry_after, .. } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                return Ok(page(status, retry_after));
            }
            Fault::Refuse { code, .. } => return Ok(self.refuse(&request, &refusal(code))),
            Fault::Quota { .. } => return Ok(self.refuse(&request, &answer::quota())),
            Fault::ShortResult { .. } => return Ok(without_last_row(self.respond(now, request))),
            Fault::ExpireSession { .. } => {
                self.expire_session();
            }
            Fault::FailBatch { code, .. } => self.troubles.fate = Some(Fate::Fails(code)),
            Fault::HalfFailBatch { .. } => self.troubles.fate = Some(Fate::HalfFails),
            Fault::LockFailure { .. } => self.troubles.fate = Some(Fate::Locks),
            Fault::ListTwice { .. } | Fault::MissingFromList { .. } => {
                self.troubles.list = Some(fault);
            }
            Fault::CutResult { .. }
            | Fault::FailChunk { .. }
            | Fault::FailSplit { .. }
            | Fault::LateChunks { .. }
            | Fault::Slow { .. }
            | Fault::Chaos { .. } => {}
        }
        let response = self.respond(now, request);
        // A request that was refused has not used them.
        (self.troubles.fate, self.troubles.list) = (None, None);
        Ok(response)
    }

    fn kind(&self, request: &Request<Bytes>) -> Kind {
        let parts = route::parts(request.uri().path()).unwrap_or_default();
        let route = parts.get(1..).and_then(|parts| route::route(request.method(), parts).ok());
        let place = login::Place::of(request.method(), request.uri().path());
        let logs_in = place.is_some_and(login::Place::logs_in);
        let call = match route {
            Some(Route::CreateJob) => Call::Create,
            Some(Route::AddBatch { .. }) => Call::Batch,
            Some(Route::UpdateJob { .. }) => self.update_call(request),
            Some(Route::Job { .. } | Route::Batches { .. } | Route::Batch { .. }) => Call::Poll,
            Some(Route::Result { job, .. }) => match self.job(job) {
                Ok(job) if job.operation.is_query() => Call::Poll,
                _ => Call::Result,
            },
            Some(Route::File { .. }) => Call::Result,
            None if logs_in => Call::Login,
            Some(Route::Request { .. } | Route::Spec { .. }) | None => Call::Any,
        };
        Kind { call, lists: matches!(route, Some(Route::Batches { .. })) }
    }

    /// Whether an update closes its job or aborts it.
    fn update_call(&self, request: &Request<Bytes>) -> Call {
        let body = request.body().clone();
        let body = gzip::unpack(request.headers(), body, self.config.max_body).unwrap_or_default();
        if memmem::find(&body, b"Aborted").is_some() { Call::Abort } else { Call::Close }
    }
}

/// The service's own refusal: its faults are 500s, the client's are 400s.
fn refusal(code: String) -> Refusal {
    let server = ["InternalServerError", "Unknown", "Timeout"].contains(&code.as_str());
    let status = if server { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
    Refusal::bad(code, "A fault of the practice org").with_status(status)
}

/// What a gateway or a load balancer says in the service's place.
fn page(status: StatusCode, retry_after: Option<u32>) -> Response<Bytes> {
    let body = format!(
        "<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\">\n\
         <html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
    );
    let mut response = answer::typed(status, "text/html; charset=UTF-8", body.into());
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Announces the whole body and keeps the first bytes of it.
fn cut_off(mut response: Response<Bytes>, bytes: usize) -> Response<Bytes> {
    let whole = response.body().len();
    response.headers_mut().insert(CONTENT_LENGTH, whole.into());
    response.body_mut().truncate(bytes);
    response
}

/// A result that ends one row early, and well.
fn without_last_row(response: Response<Bytes>) -> Response<Bytes> {
    if response.status() != StatusCode::OK {
        return response;
    }
    let format = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let (start, end) = match format {
        b"application/json" => (last_json(response.body()), &b"]"[..]),
        b"application/xml" => {
            let end: &[u8] = match memmem::rfind(response.body(), b"</queryResult>") {
                Some(_) => b"</queryResult>",
                None => b"</results>",
            };
            (last_xml(response.body()), end)
        }
        _ => (last_line(response.body()), &b""[..]),
    };
    response.map(|body| match start {
        Some(start) => [&body[..start], end].concat().into(),
        None => body,
    })
}

/// Where the last row begins: line breaks in quotes end none. The header is not a row.
fn last_line(body: &[u8]) -> Option<usize> {
    let (mut quoted, mut starts, mut at) = (false, [0, 0], 0);
    while let Some(found) = memchr2(b'"', b'\n', &body[at..]) {
        at += found + 1;
        match body[at - 1] {
            b'"' => quoted = !quoted,
            _ if !quoted => starts = [starts[1], at],
            _ => {}
        }
    }
    (starts[0] > 0).then_some(starts[0])
}

/// Records are separated as no text within them can be: line breaks and quotes are escaped there.
fn last_json(body: &[u8]) -> Option<usize> {
    let between = [&b"\n}, {\n"[..], b"},{\"success\""];
    let found = between.into_iter().find_map(|mark| memmem::rfind(body, mark));
    match found {
        Some(at) => memmem::find(&body[at..], b"}").map(|close| at + close + 1),
        None => memmem::find(body, b"{"), // the only one
    }
}

fn last_xml(body: &[u8]) -> Option<usize> {
    memmem::rfind(body, b" <records ").or_else(|| memmem::rfind(body, b" <result>"))
}
