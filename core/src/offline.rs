//! The offline executor: the loop in virtual time.
//!
//! Now is a number. A request takes a while to arrive, its answer a while to come back, and a wait
//! moves the number on to whatever comes first: a load of four hours takes milliseconds, and the
//! same load takes the same course, to the byte. Nothing here opens a socket, so the other side is
//! a function, a [`Service`]: a practice org, a model, or a closure with a table in it.
//!
//! ```text
//!   Job ──Send──► latency ──► Service::handle ──► latency ──► pages, reply ──► Job
//!                                     └── no answer ──► timeout ──► Lost ──────►
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::call::{Call, Failure, Page, Reply, Tag};
use crate::error::{Error, ErrorKind};
use crate::host::Host;
use crate::job::Job;
use crate::step::{Reason, Summary, Turn};
use crate::time::Time;

/// How long a message is on its way, unless told otherwise: as between continents.
const LATENCY: Duration = Duration::from_millis(50);

/// How long an answer is waited for: as long as the executors with sockets bear silence.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The other side of the line.
///
/// Every closure `FnMut(Time, Request<Bytes>) -> Result<Response<Bytes>, Failure>` is one.
pub trait Service {
    /// What comes of a request that arrives now: an answer, or none. A body shorter than its
    /// `Content-Length` is an answer that broke off.
    fn handle(&mut self, now: Time, request: Request<Bytes>) -> Result<Response<Bytes>, Failure>;
}

impl<F> Service for F
where
    F: FnMut(Time, Request<Bytes>) -> Result<Response<Bytes>, Failure>,
{
    fn handle(&mut self, now: Time, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        self(now, request)
    }
}

/// Drives jobs against a [`Service`], in virtual time.
///
/// Time goes on from one job to the next: what the service remembers stays in order. One job runs
/// at a time.
///
/// ```
/// use sfbulk::{ErrorKind, Failure, Job, Offline, Spec};
/// # use sfbulk::rows::Batch;
/// # use sfbulk::{Ask, Error, ErrorInfo, Host, Page, Session};
/// # struct App;
/// # impl Host for App {
/// #     fn batch(&mut self, _: Ask) -> Result<Option<Batch>, Error> { Ok(None) }
/// #     fn page(&mut self, _: Page) -> Result<(), Error> { Ok(()) }
/// #     fn login(&mut self, _: Option<&ErrorInfo>) -> Result<Session, Error> {
/// #         Session::new("https://acme.my.salesforce.com", "00D!x")
/// #     }
/// # }
///
/// let mut cut = Offline::new(|_now, _request| Err(Failure::Lost("a cable was cut".into())));
/// let mut query = Job::new(Spec::query("SELECT Id FROM Account"))?;
/// let error = cut.run(&mut query, &mut App).unwrap_err(); // App is a Host of your own
/// assert_eq!(error.kind(), ErrorKind::Unreachable);
/// assert!(cut.now().elapsed().as_secs() >= 3 * 120); // three tries, each with its time-out
/// # Ok::<(), sfbulk::Error>(())
/// ```
#[derive(Debug)]
pub struct Offline<S> {
    service: S,
    latency: Duration,
    now: Time,
    /// What will happen, by moment and, within one moment, in the order it was set going.
    events: BTreeMap<(Time, u64), Event>,
    scheduled: u64,
}

#[derive(Debug)]
enum Event {
    Arrival(Call),
    Page(Tag, Page),
    Reply(Tag, Reply),
}

impl<S: Service> Offline<S> {
    /// A line to this service; a message takes 50 ms.
    pub fn new(service: S) -> Self {
        let events = BTreeMap::new();
        Self { service, latency: LATENCY, now: Time::ZERO, events, scheduled: 0 }
    }

    /// How long a message is on its way, each way.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// What time it is: how long all jobs until now would have taken.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The other side, to look at or to prepare.
    pub fn service(&mut self) -> &mut S {
        &mut self.service
    }

    /// Drives a job to its end.
    pub fn run(&mut self, job: &mut Job, host: &mut impl Host) -> Result<Summary, Error> {
        self.events.clear(); // answers to a job that was dropped belong to nobody
        loop {
            match job.turn(self.now, host) {
                Some(Turn::Send(call)) => self.schedule(self.latency, Event::Arrival(call)),
                Some(Turn::Wait(until)) => self.wait(until, job, host)?,
                Some(Turn::Done(result)) => return result,
                None => {}
            }
        }
    }

    /// Goes on to what comes first: an event, or the moment that is waited for.
    fn wait(
        &mut self,
        until: Option<(Time, Reason)>,
        job: &mut Job,
        host: &mut impl Host,
    ) -> Result<(), Error> {
        let until = until.map(|(moment, _)| moment);
        let next = self.events.first_entry();
        match (next, until) {
            (Some(next), until) if until.is_none_or(|until| next.key().0 <= until) => {
                let ((moment, _), event) = next.remove_entry();
                self.now = self.now.max(moment);
                match event {
                    Event::Arrival(call) => self.arrive(call),
                    Event::Page(tag, page) => job.deliver(tag, page, host),
                    Event::Reply(tag, reply) => job.reply(tag, self.now, reply),
                }
            }
            (_, Some(until)) => self.now = until,
            (_, None) => {
                let message = "the job waits for an answer that nobody will give: another \
                               executor began it";
                return Err(Error::new(ErrorKind::Usage, message));
            }
        }
        Ok(())
    }

    fn arrive(&mut self, Call { tag, request, expect, .. }: Call) {
        match self.service.handle(self.now, request) {
            Ok(answer) => {
                let (pages, reply) = expect.take_in(answer);
                for page in pages {
                    self.schedule(self.latency, Event::Page(tag, page));
                }
                self.schedule(self.latency, Event::Reply(tag, reply));
            }
            Err(failure) => {
                let silence = match failure {
                    Failure::Lost(_) => TIMEOUT,
                    Failure::Unsent(_) => self.latency,
                };
                self.schedule(silence, Event::Reply(tag, Reply::Failed(failure)));
            }
        }
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((self.now + after, self.scheduled), event);
    }
}
