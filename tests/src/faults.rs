//! The menu of faults: what networks, gateways, servers and other people do to a run.
//!
//! A fault is *passing* if a client can always get over it, as long as it does not strike the same
//! thing more often than the client tries. The others are somebody's last word (a refusal, an abort
//! by another user), or hold rows in a way that cannot be mended; there a run may end with an error,
//! but it may not lie.
//!
//! One thing is not on the menu, since nobody could get over it: a list that, after the job was
//! closed, leaves out for ever a batch which the server never acknowledged, from a server that does
//! not tell how many batches the job has. Such a batch can be told from one that never arrived by
//! nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::Fingerprint;

use crate::chance::Chance;
use crate::document::{doubled, error, lengthened, page, shortened};
use crate::script::{Deviation, Kind};

/// A kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What it is.
    pub name: &'static str,
    /// The requests it can strike.
    pub kinds: &'static [Kind],
    /// Whether a client can always get over it.
    pub passing: bool,
    /// What it does to a request, with some chance in it.
    pub make: fn(&mut Chance) -> Deviation,
}

const ALL: &[Kind] = &Kind::ALL;
const WRITES: &[Kind] = &[Kind::Create, Kind::Transform, Kind::Submit, Kind::Close, Kind::Abort];
const DOCUMENTS: &[Kind] =
    &[Kind::Create, Kind::Submit, Kind::List, Kind::Count, Kind::Inspect, Kind::Close, Kind::Abort];
const DATA: &[Kind] = &[Kind::Result, Kind::File];
const LIST: &[Kind] = &[Kind::List];
const BATCHES: &[Kind] = &[Kind::Submit, Kind::List, Kind::Inspect, Kind::Result, Kind::Close];

const fn passing(
    name: &'static str,
    kinds: &'static [Kind],
    make: fn(&mut Chance) -> Deviation,
) -> Fault {
    Fault { name, kinds, passing: true, make }
}

const fn lasting(
    name: &'static str,
    kinds: &'static [Kind],
    make: fn(&mut Chance) -> Deviation,
) -> Fault {
    Fault { name, kinds, passing: false, make }
}

/// All kinds of faults.
pub const MENU: [Fault; 42] = [
    passing("not sent", ALL, |_| Deviation::Unsent),
    passing("request lost", ALL, |_| Deviation::Lost { arrives: None }),
    passing("answer lost", ALL, |_| Deviation::Lost { arrives: Some(Duration::ZERO) }),
    passing("late", WRITES, |chance| late(chance, 90)),
    passing("hours late", WRITES, |chance| late(chance, 4 * 3600)),
    passing("cut", ALL, |chance| Deviation::Cut(chance.index(200))),
    passing("two lengths", ALL, |_| Deviation::Headed("content-length", "7")),
    passing("length no number", ALL, |_| Deviation::Headed("content-length", "many")),
    passing("compressed", ALL, |_| Deviation::Headed("content-encoding", "gzip")),
    passing("chunks and a length", ALL, |_| Deviation::Headed("transfer-encoding", "chunked")),
    passing("session expires", ALL, |_| Deviation::Expired),
    passing("repeats the session", ALL, |_| Deviation::Echo),
    passing("408", ALL, |_| Deviation::Instead(html(408))),
    passing("429", ALL, |_| Deviation::Instead(after(html(429), 5))),
    passing("500 of the API", ALL, |_| Deviation::Instead(internal())),
    passing("500 of the API, done", ALL, |_| Deviation::Masked(internal())),
    passing("500", ALL, |_| Deviation::Instead(html(500))),
    passing("500, done", ALL, |_| Deviation::Masked(html(500))),
    passing("502", ALL, |_| Deviation::Instead(html(502))),
    passing("502, done", ALL, |_| Deviation::Masked(html(502))),
    passing("503", ALL, |_| Deviation::Instead(after(html(503), 20))),
    passing("503, done", ALL, |_| Deviation::Masked(html(503))),
    passing("504, done", ALL, |_| Deviation::Masked(html(504))),
    passing("a page with 200", ALL, |_| Deviation::Instead(html(200))),
    passing("a page with 200, done", ALL, |_| Deviation::Masked(html(200))),
    passing("another document", DOCUMENTS, |_| Deviation::Edited(|_| "<result-list/>".into())),
    passing("a row short", DATA, |_| Deviation::Edited(shortened)),
    passing("a row too many", &[Kind::Result], |_| Deviation::Edited(lengthened)),
    passing("a state nobody knows", LIST, |_| {
        Deviation::Edited(|list| list.replace("InProgress", "Sleeping"))
    }),
    passing("back in the queue", LIST, |_| {
        Deviation::Edited(|list| list.replace("InProgress", "Queued"))
    }),
    passing("a batch listed twice", LIST, |_| Deviation::Edited(doubled)),
    passing("a list that breaks off", LIST, |_| Deviation::Unlisted),
    passing("a list that lags", LIST, |_| Deviation::Lagging),
    lasting("a row short of what was sent", &[Kind::Inspect], |_| Deviation::Edited(shortened)),
    lasting("403", ALL, |_| Deviation::Instead(rest(403, "REQUEST_LIMIT_EXCEEDED"))),
    lasting("404", ALL, |_| Deviation::Instead(html(404))),
    lasting("409 or 431", ALL, |chance| Deviation::Instead(html([409, 431][chance.index(2)]))),
    lasting("quota", ALL, |_| Deviation::Instead(error(400, "ExceededQuota", "no more today"))),
    lasting("invalid", BATCHES, |_| {
        Deviation::Instead(error(400, "InvalidBatch", "no such thing"))
    }),
    lasting("aborted by another user", ALL, |_| Deviation::ForeignAbort),
    lasting("given up by the server", ALL, |_| Deviation::JobFails),
    lasting("a batch of another user", ALL, |_| Deviation::Stranger),
];

fn late(chance: &mut Chance, most: u64) -> Deviation {
    Deviation::Lost { arrives: Some(chance.within(Duration::from_secs(most))) }
}

fn html(status: u16) -> Response<Bytes> {
    page(status, "text/html", "<!DOCTYPE html><html><title>Something else</title></html>")
}

fn after(mut page: Response<Bytes>, seconds: u32) -> Response<Bytes> {
    page.headers_mut().insert("retry-after", seconds.into());
    page
}

fn internal() -> Response<Bytes> {
    error(500, "InternalServerError", "try again")
}

fn rest(status: u16, code: &str) -> Response<Bytes> {
    let body = format!(r#"[{{"errorCode":"{code}","message":"no more today"}}]"#);
    page(status, "application/json", body)
}

/// When faults strike.
#[derive(Clone, Debug)]
pub struct Trouble {
    when: When,
    chance: Chance,
    /// How often each (fault, kind of request) struck.
    pub struck: BTreeMap<(&'static str, Kind), u64>,
}

#[derive(Clone, Debug)]
enum When {
    Never,
    /// At the nth request from here on, once.
    Nth(usize, Fault),
    /// At one in so many, whatever they are.
    Often {
        one_in: u64,
        menu: Vec<Fault>,
        stuck: Option<(Kind, Fault, u32)>,
    },
    /// At one in so many, passing faults only, and not too many of them.
    Seldom {
        one_in: u64,
        menu: Vec<Fault>,
        left: Left,
    },
}

/// How much more a run can bear.
#[derive(Clone, Debug)]
struct Left {
    faults: u32,
    /// Sessions that may expire, and requests that may not leave.
    dear: u32,
    struck: BTreeMap<Fingerprint, u32>,
}

/// A request is tried three times at least.
const TIMES: u32 = 2;

impl Default for Left {
    /// A run has 20 retries, an outage is over after the second try, and so is a session's expiry.
    fn default() -> Self {
        Self { faults: 12, dear: TIMES, struck: BTreeMap::new() }
    }
}

impl Trouble {
    /// A fault at the nth request, counted from 0.
    pub fn nth(n: usize, fault: Fault, seed: u64) -> Self {
        Self::new(When::Nth(n, fault), Chance::new(seed))
    }

    /// Any faults, also such as stay for a while.
    pub fn unbounded(mut chance: Chance) -> Self {
        let (one_in, menu) = (rarity(&mut chance), menu(&mut chance, |_| true));
        Self::new(When::Often { one_in, menu, stuck: None }, chance)
    }

    /// Faults that every run gets over.
    pub fn bounded(mut chance: Chance) -> Self {
        let (one_in, menu) = (rarity(&mut chance), menu(&mut chance, |fault| fault.passing));
        Self::new(When::Seldom { one_in, menu, left: Left::default() }, chance)
    }

    fn new(when: When, chance: Chance) -> Self {
        Self { when, chance, struck: BTreeMap::new() }
    }

    /// No more of it.
    pub fn calm(&mut self) {
        self.when = When::Never;
    }

    /// Another run begins, with as much patience as the one before.
    pub fn renew(&mut self) {
        if let When::Seldom { left, .. } = &mut self.when {
            (left.faults, left.dear) = (Left::default().faults, TIMES);
        }
    }

    /// What goes wrong with this request.
    pub(crate) fn strikes(&mut self, kind: Kind, request: &Request<Bytes>) -> Option<Deviation> {
        let chance = &mut self.chance;
        let fault = match &mut self.when {
            When::Never => None,
            When::Nth(0, fault) => {
                let fault = fault.kinds.contains(&kind).then_some(*fault);
                self.when = When::Never;
                fault
            }
            When::Nth(n, _) => {
                *n -= 1;
                None
            }
            When::Often { stuck: Some((stuck, fault, times)), .. }
                if *stuck == kind && *times > 0 =>
            {
                *times -= 1;
                Some(*fault)
            }
            When::Often { one_in, menu, stuck } => {
                let fault = drawn(chance, *one_in, menu, kind);
                *stuck = fault.filter(|_| chance.once_in(6)).map(|fault| (kind, fault, 8));
                fault
            }
            When::Seldom { one_in, menu, left } => {
                let fault = drawn(chance, *one_in, menu, kind);
                fault.filter(|fault| left.bears(fault, request))
            }
        }?;
        *self.struck.entry((fault.name, kind)).or_default() += 1;
        Some((fault.make)(&mut self.chance))
    }
}

impl Left {
    fn bears(&mut self, fault: &Fault, request: &Request<Bytes>) -> bool {
        let dear = matches!(fault.name, "session expires" | "not sent");
        // All files of a result are read again together.
        let path = request.uri().path();
        let path = path.split_once("/result").map_or(path, |(batch, _)| batch);
        let what = Fingerprint::of_cells([path.as_bytes(), request.body()]);
        let times = self.struck.entry(what).or_default();
        if self.faults == 0 || *times == TIMES || (dear && self.dear == 0) {
            return false;
        }
        *times += 1;
        self.faults -= 1;
        self.dear -= u32::from(dear);
        true
    }
}

/// From hardly ever to every other request.
fn rarity(chance: &mut Chance) -> u64 {
    [2, 4, 8, 16, 40][chance.index(5)]
}

/// Some of the faults, or all.
fn menu(chance: &mut Chance, fits: fn(&Fault) -> bool) -> Vec<Fault> {
    let all: Vec<Fault> = MENU.into_iter().filter(fits).collect();
    if chance.once_in(3) {
        return all;
    }
    (0..=chance.below(4)).map(|_| all[chance.index(all.len())]).collect()
}

fn drawn(chance: &mut Chance, one_in: u64, menu: &[Fault], kind: Kind) -> Option<Fault> {
    let fitting: Vec<Fault> =
        menu.iter().filter(|fault| fault.kinds.contains(&kind)).copied().collect();
    (!fitting.is_empty() && chance.once_in(one_in)).then(|| fitting[chance.index(fitting.len())])
}
