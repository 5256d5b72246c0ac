//! The offline loop of the laws and conversations: a closer look than `sfbulk::Offline`'s.
//!
//! It writes down everything that is said, cuts answers into pieces, has messages overtake each other
//! and come twice, and lets the application speak out of turn. Requests take time to arrive, and
//! answers to come back; `Wait` moves the time on to whatever comes first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use sfbulk::rows::{Batch, Decoder, InOrder, Outcome};
use sfbulk::{
    Call, Error, ErrorInfo, ErrorKind, Expect, Failure, Job, Note, Page, Reason, Reply, Step,
    Summary, Tag, Time,
};

use crate::chance::Chance;
use crate::server::Server;

/// One thing that was said or done, by either side.
#[derive(Clone, Debug)]
pub enum Said {
    /// The machine sent a request.
    Request(Tag, Request<Bytes>),
    /// An answer began to arrive; its body is all that will come of it.
    Answer(Tag, Response<Bytes>),
    /// A call ended without a whole answer.
    Failed(Tag, Failure),
    /// Rows reached the application: their records, and how many rows of the file it has now.
    Rows(Tag, Bytes, u64),
    /// The outcomes of a batch reached the application, from its result or from the machine.
    Outcomes(Option<Tag>, Vec<Outcome>),
    /// The machine asked for rows, beginning with this one.
    WantsRows(u64),
    /// The machine wanted its checkpoint stored, and it was, or not.
    Saved(bool),
    /// The client was killed, or went.
    Gone,
    /// It goes on from a checkpoint: so many of its rows and jobs are in it; or from nothing.
    Resumed(Option<(u64, usize)>),
    /// It got some: so many bytes.
    Fed(Range<u64>, usize),
    /// There are no more.
    NoMoreRows,
    /// The machine asked for a session; the last one was refused for this reason.
    WantsSession(Option<ErrorInfo>),
    /// It got one, or not.
    Session(bool),
    Note(Note),
    Wait(Time, Reason),
    /// The application said something of its own accord.
    Told(&'static str),
    Done(Result<Summary, Error>),
}

/// How long things take.
#[derive(Clone, Debug)]
pub struct Network {
    /// From the machine to the server, and from the server to the machine.
    pub latency: Duration,
    /// Until a call whose answer is lost is given up.
    pub timeout: Duration,
    /// How many bytes of an answer arrive at once.
    pub piece: usize,
    /// With chance, latencies vary from nothing to four times as much, some are a hundred times as
    /// long, some ends of calls are reported twice, and rows are read as slowly as answers come.
    pub chance: Option<Chance>,
}

impl Default for Network {
    fn default() -> Self {
        let (latency, timeout) = (Duration::from_millis(50), Duration::from_secs(30));
        Self { latency, timeout, piece: usize::MAX, chance: None }
    }
}

type Saying = Box<dyn FnOnce(&mut Job, Time)>;

enum Event {
    Arrives(Call),
    Answer(Tag, Response<Bytes>),
    Page(Tag, Page),
    Reply(Tag, Reply),
    /// The application has the rows that it was asked for.
    Rows,
    Tell(&'static str, Saying),
}

/// A job, the model server, and the line between them.
pub struct Offline {
    pub job: Job,
    pub server: Server,
    pub network: Network,
    /// Everything that was said, and when.
    pub log: Vec<(Time, Said)>,
    /// The application cannot get another session after so many.
    pub logins: u32,
    /// What makes the application abort.
    pub aborts_after: fn(&Note) -> bool,
    /// The application can forget a query's rows, and has it start over if they prove incomplete.
    pub starts_over: bool,
    /// The outcomes that reached the application, in the order of their rows.
    pub outcomes: Vec<Outcome>,
    /// The records that reached the application, and the names in them.
    pub records: String,
    pub found: Vec<String>,
    /// The last checkpoint that was stored, as text.
    pub saved: Option<String>,
    /// Which of the machine's wishes to store its checkpoint fails, counted down to 0.
    pub save_fails_in: Option<u32>,
    batches: VecDeque<Batch>,
    in_order: InOrder,
    now: Time,
    /// When the client began: its clock's origin.
    began: Time,
    events: BTreeMap<(Time, u64), Event>,
    count: u64,
    under_way: BTreeSet<Tag>,
    reading: bool,
}

impl fmt::Debug for Offline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offline").field("job", &self.job).finish_non_exhaustive()
    }
}

impl Offline {
    /// A job that is going to load these batches, or none if it is a query.
    pub fn new(job: Job, batches: Vec<Batch>, server: Server) -> Self {
        Self {
            job,
            server,
            network: Network::default(),
            log: Vec::new(),
            logins: u32::MAX,
            aborts_after: |_| false,
            starts_over: false,
            outcomes: Vec::new(),
            records: String::new(),
            found: Vec::new(),
            saved: None,
            save_fails_in: None,
            batches: batches.into(),
            in_order: InOrder::new(),
            now: Time::ZERO,
            began: Time::ZERO,
            events: BTreeMap::new(),
            count: 0,
            under_way: BTreeSet::new(),
            reading: false,
        }
    }

    /// After so long the application says this.
    pub fn tell(
        &mut self,
        after: Duration,
        what: &'static str,
        saying: impl FnOnce(&mut Job, Time) + 'static,
    ) {
        self.schedule(self.now + after, Event::Tell(what, Box::new(saying)));
    }

    /// Drives the job to its end.
    pub fn run(&mut self) -> Result<Summary, Error> {
        loop {
            let step = self.poll();
            if let Some(result) = self.perform(step) {
                return result;
            }
        }
    }

    /// Asks the machine what to do.
    pub fn poll(&mut self) -> Step {
        let now = self.clock();
        self.job.poll(now)
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What time it is on the client's clock, which began with it.
    pub fn clock(&self) -> Time {
        Time::since_start(self.now.saturating_since(self.began))
    }

    /// Time passes, and nothing is done in it, as when a computer sleeps.
    pub fn sleep(&mut self, time: Duration) {
        self.say(Said::Told("sleep"));
        self.now = self.now + time;
    }

    /// The client is killed. What it had sent may still arrive: `fate` says in how long, or that it
    /// never does.
    pub fn crash(&mut self, mut fate: impl FnMut() -> Option<Duration>) {
        self.say(Said::Gone);
        for ((at, _), event) in std::mem::take(&mut self.events) {
            if let Event::Arrives(call) = event
                && let Some(late) = fate()
            {
                self.server.straggle(at + late, call.request);
            }
        }
        self.server.forgotten_but_for(self.saved.as_deref().unwrap_or_default());
    }

    /// Another client goes on with this job; it gets all its rows again, and begins its own clock.
    pub fn resume(&mut self, job: Job, batches: Vec<Batch>) {
        let known =
            self.saved.as_ref().map(|_| (job.checkpoint().rows(), job.summary().jobs.len()));
        self.say(Said::Resumed(known));
        self.job = job;
        self.batches = batches.into();
        self.under_way.clear();
        self.reading = false;
        self.events.clear();
        (self.in_order, self.began) = (InOrder::new(), self.now);
        self.outcomes.clear();
        self.records.clear();
        self.found.clear();
    }

    /// How many calls have not ended yet, and whether rows are being read.
    pub fn under_way(&self) -> usize {
        self.under_way.len() + usize::from(self.reading)
    }

    /// Does what the machine said. `Some` when it is over.
    pub fn perform(&mut self, step: Step) -> Option<Result<Summary, Error>> {
        match step {
            Step::Send(call) => {
                self.say(Said::Request(call.tag, call.request.clone()));
                assert!(self.under_way.insert(call.tag), "the tag {} was used before", call.tag);
                let at = self.now + self.delay();
                self.schedule(at, Event::Arrives(call));
            }
            Step::Feed(ask) => {
                self.say(Said::WantsRows(ask.from));
                let slow = self.network.chance.as_mut().is_some_and(|chance| chance.once_in(4));
                if slow {
                    let at = self.now + self.delay();
                    self.reading = true;
                    self.schedule(at, Event::Rows);
                } else {
                    self.feed();
                }
            }
            Step::Login(expired) => {
                self.say(Said::WantsSession(expired));
                self.login();
            }
            Step::Settled(outcomes) => self.take(None, Page::Outcomes(outcomes)),
            Step::Note(note) => {
                let aborts = (self.aborts_after)(&note) && !self.job.summary().aborted;
                self.say(Said::Note(note));
                if aborts {
                    self.say(Said::Told("abort"));
                    self.job.abort();
                }
            }
            Step::Save => self.save(),
            Step::Wait(until) => self.wait(until),
            Step::Done(result) => {
                self.say(Said::Done(result.clone()));
                let starts_over = self.starts_over && self.job.start_over();
                if !starts_over {
                    return Some(result);
                }
                self.start_over();
            }
        }
        None
    }

    /// The application forgets a query's rows, which all come again.
    fn start_over(&mut self) {
        self.say(Said::Told("start over"));
        self.records.clear();
        self.found.clear();
        self.under_way.clear();
        self.events.clear();
    }

    fn feed(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.say(Said::Fed(batch.rows.clone(), batch.body.len()));
            self.job.feed(batch);
        } else {
            self.say(Said::NoMoreRows);
            self.job.end();
        }
    }

    fn login(&mut self) {
        let possible = self.logins > 0;
        self.say(Said::Session(possible));
        if possible {
            self.logins -= 1;
            self.job.login(self.server.session());
        } else {
            self.job.login_failed(Error::new(ErrorKind::Login, "the password is wrong"));
        }
    }

    fn save(&mut self) {
        let fails = self.save_fails_in == Some(0);
        self.save_fails_in = self.save_fails_in.and_then(|left| left.checked_sub(1));
        self.say(Said::Saved(!fails));
        if fails {
            return self.job.stop(Error::new(ErrorKind::Local, "the disk is full"));
        }
        self.saved = Some(serde_json::to_string(&self.job.checkpoint()).unwrap());
    }

    fn wait(&mut self, until: Option<(Time, Reason)>) {
        let until = until.map(|(at, reason)| (self.began + at.elapsed(), reason));
        if let Some((at, reason)) = until {
            self.say(Said::Wait(at, reason));
        }
        let next = self.events.first_key_value().map(|((at, _), _)| *at);
        match (next, until) {
            (Some(next), until) if until.is_none_or(|(until, _)| next <= until) => {
                self.now = self.now.max(next);
                if let Some((_, event)) = self.events.pop_first() {
                    self.happen(event);
                }
            }
            (_, Some((until, _))) => self.now = self.now.max(until),
            (_, None) => panic!("the machine waits, and nothing will ever come"),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(call) => self.arrives(call),
            Event::Answer(tag, answer) => self.say(Said::Answer(tag, answer)),
            Event::Page(tag, page) => {
                self.job.progress(tag, &page);
                self.take(Some(tag), page);
            }
            Event::Reply(tag, reply) => {
                self.under_way.remove(&tag);
                if let Reply::Failed(failure) = &reply {
                    self.say(Said::Failed(tag, failure.clone()));
                }
                let now = self.clock();
                self.job.reply(tag, now, reply);
            }
            Event::Rows => {
                self.reading = false;
                self.feed();
            }
            Event::Tell(what, saying) => {
                self.say(Said::Told(what));
                let now = self.clock();
                saying(&mut self.job, now);
            }
        }
    }

    /// The request is at the server: schedules what will be seen of the answer.
    fn arrives(&mut self, Call { tag, request, expect, .. }: Call) {
        let mut at = self.now + self.delay();
        match self.server.handle(self.now, &request) {
            Ok(answer) => {
                self.schedule(at, Event::Answer(tag, answer.clone()));
                let (pages, reply) = take_in(&expect, answer, self.network.piece);
                for page in pages {
                    self.schedule(at, Event::Page(tag, page));
                    at = at
                        + self
                            .network
                            .chance
                            .as_ref()
                            .map_or(Duration::ZERO, |_| self.network.latency);
                }
                self.schedule(at, Event::Reply(tag, reply));
            }
            Err(failure) => {
                if matches!(failure, Failure::Lost(_)) {
                    at = at + self.network.timeout;
                }
                self.schedule(at, Event::Reply(tag, Reply::Failed(failure)));
            }
        }
        if self.network.chance.as_mut().is_some_and(|chance| chance.once_in(8)) {
            let late = at + self.delay();
            let again = move |job: &mut Job, now| {
                job.reply(tag, now, Reply::Failed(Failure::Lost("said again".into())));
            };
            self.schedule(
                late + Duration::from_nanos(1),
                Event::Tell("an end again", Box::new(again)),
            );
        }
    }

    fn take(&mut self, tag: Option<Tag>, page: Page) {
        match (page, tag) {
            (Page::Rows(rows), Some(tag)) => {
                self.records += std::str::from_utf8(&rows.records).unwrap();
                let mut found = Decoder::<Found>::new();
                found.push(&rows);
                self.found.extend(std::iter::from_fn(|| found.next()).map(|row| row.unwrap().name));
                self.say(Said::Rows(tag, rows.records, rows.have.rows));
            }
            (Page::Outcomes(outcomes), tag) => {
                self.say(Said::Outcomes(tag, outcomes.clone()));
                self.in_order.add(outcomes);
                while let Some(page) = self.in_order.next() {
                    self.outcomes.extend(page);
                }
            }
            (Page::Rows(_), None) => unreachable!("rows come from calls"),
        }
    }

    fn delay(&mut self) -> Duration {
        let latency = self.network.latency;
        let Some(chance) = &mut self.network.chance else { return latency };
        let often = if chance.once_in(32) { 100 } else { 4 };
        chance.within(latency * often)
    }

    fn schedule(&mut self, at: Time, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    fn say(&mut self, said: Said) {
        self.log.push((self.now, said));
    }
}

/// Takes in an answer piece by piece, as an executor does.
pub fn take_in(expect: &Expect, answer: Response<Bytes>, piece: usize) -> (Vec<Page>, Reply) {
    let (head, body) = answer.into_parts();
    let mut intake = expect.open(head);
    let mut pages = Vec::new();
    for piece in body.chunks(piece.min(body.len().max(1))) {
        let mut taken = intake.push(piece);
        while let Ok(Some(page)) = taken {
            pages.push(page);
            taken = intake.more();
        }
        if let Err(failure) = taken {
            return (pages, Reply::Failed(failure));
        }
    }
    let (page, reply) = intake.finish();
    pages.extend(page);
    (pages, reply)
}

/// A record of the model's table.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    name: String,
}

/// Batches of so many records each, under one header.
pub fn batches(header: &str, records: &[&str], size: usize) -> Vec<Batch> {
    let mut from = 0;
    let batch = |records: &[&str]| {
        let rows = from..from + records.len() as u64;
        from = rows.end;
        let body = format!("{header}\n{}\n", records.join("\n"));
        Batch { rows, body: body.into(), source: 0..0 }
    };
    records.chunks(size).map(batch).collect()
}
