//! Worlds made by a seed: a load or a query, a server and a network in which things go wrong, and a
//! client that is killed, leaves, and goes on.
//!
//! In a *bounded* world every fault passes and none strikes too often: the last run must end well,
//! and as if nothing had happened. In an *unbounded* one anything may happen, any number of times: a
//! run may end with an error, but it may not lie. In both, [`Oracle`] looks on.

use std::collections::BTreeSet;
use std::time::Duration;

use sfbulk::rows::{Batch, Cutter, Fate, Limits};
use sfbulk::{
    Bounds, Checkpoint, ContentType, Error, ErrorKind, Job, PkChunking, Session, Spec, Syntax,
};

use crate::chance::Chance;
use crate::faults::Trouble;
use crate::jobs::fates;
use crate::offline::{Offline, Said};
use crate::oracle::{End, Oracle};
use crate::records::{batches_of, records};
use crate::script::Kind;
use crate::server::{INSTANCE, Server};

/// No run of these sizes needs as many steps, also if it polls many jobs for hours; one that takes more
/// would never end.
const STEPS: usize = 100_000;

/// The most runs of a world.
const RUNS: u32 = 5;

/// A world.
#[derive(Debug)]
pub struct World {
    pub offline: Offline,
    oracle: Oracle,
    spec: Spec,
    input: Input,
    bounded: bool,
    chance: Chance,
    runs: u32,
}

/// The rows of a load, and how they are cut.
#[derive(Clone, Debug)]
struct Input {
    rows: Vec<String>,
    /// Whether the last line has an end.
    ended: bool,
    per_batch: u64,
    syntax: Syntax,
}

impl Input {
    fn text(&self) -> String {
        let quoted = self.rows.iter().map(|row| format!("\"{}\"", row.replace('"', "\"\"")));
        let lines: Vec<String> = std::iter::once("Name".to_owned()).chain(quoted).collect();
        lines.join("\n") + if self.ended { "\n" } else { "" }
    }

    fn batches(&self) -> Vec<Batch> {
        if self.syntax != Syntax::Csv {
            return batches_of(self.syntax, &self.rows, self.per_batch);
        }
        let mut cutter = Cutter::new(Limits { records: self.per_batch, ..Limits::default() });
        cutter.push(self.text().as_bytes());
        cutter.end();
        std::iter::from_fn(|| cutter.next().unwrap()).collect()
    }
}

impl World {
    /// The world of this seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let bounded = chance.once_in(2);
        let query = chance.once_in(3);
        let rows = rows(&mut chance, query);
        let insert = chance.once_in(2);
        let spec = match (query, insert) {
            (true, _) => query_of(&mut chance),
            (false, true) => Spec::insert("Account"),
            (false, false) => Spec::upsert("Account", "Name"),
        };
        let bounds = Bounds { parallel: 1 + chance.index(5), ..Bounds::default() };
        let spec = spec.seed(seed).bounds(bounds);
        let spec = if chance.once_in(8) { spec.record() } else { spec };
        let spec = match seed % 4 {
            1 if !query => spec.content_type(ContentType::Json),
            3 if !query => spec.content_type(ContentType::Xml),
            _ => spec,
        };
        let (ended, per_batch) = (chance.once_in(2), 1 + chance.below(6));
        let table = if query { rows.clone() } else { Vec::new() };
        let rows = if query { Vec::new() } else { rows };
        let input = Input { rows, ended, per_batch, syntax: spec.syntax() };
        let batches = input.batches();
        let oracle = oracle(&batches, insert, table.clone());
        let server = server(&mut chance, table, bounded);
        let offline = Offline::new(Job::new(spec.clone()).unwrap(), batches, server);
        let mut world = Self { offline, oracle, spec, input, bounded, chance, runs: 0 };
        world.offline.starts_over = true;
        world.offline.network.piece = 1 + world.chance.index(100);
        world.offline.network.chance = Some(world.chance.clone());
        world
    }

    /// Plays it to its end. Panics where the client lies, loses or doubles.
    pub fn play(&mut self) {
        loop {
            let end = self.run();
            self.oracle.run_is_over(&self.offline, &end);
            if !self.goes_on(&end) {
                return self.is_over(&end);
            }
            self.resume(end.is_none());
        }
    }

    /// One life of the client: to its end, or until it is killed.
    fn run(&mut self) -> End {
        self.runs += 1;
        let killed = (self.runs < RUNS && self.chance.once_in(2)).then(|| self.chance.index(150));
        let sleeps = self.chance.once_in(6).then(|| self.chance.index(100));
        self.speak();
        for step in 0..STEPS {
            if sleeps == Some(step) {
                let time = self.chance.within(Duration::from_secs(5 * 3600));
                self.offline.sleep(time);
            }
            let next = self.offline.poll();
            if killed == Some(step) {
                self.kill();
                return None;
            }
            let end = self.offline.perform(next);
            self.oracle.look(&self.offline);
            if end.is_some() {
                return end;
            }
        }
        panic!("stuck: the run does not end");
    }

    /// The client is killed. What it had sent arrives at once, late or never.
    fn kill(&mut self) {
        let chance = &mut self.chance;
        self.offline.crash(|| match chance.below(3) {
            0 => None,
            1 => Some(Duration::ZERO),
            _ => Some(chance.within(Duration::from_secs(4 * 3600))),
        });
        self.oracle.look(&self.offline);
    }

    /// What the application says of its own accord.
    fn speak(&mut self) {
        let (offline, chance) = (&mut self.offline, &mut self.chance);
        let some_time = |chance: &mut Chance| {
            let most = [1, 60, 3600][chance.index(3)];
            chance.within(Duration::from_secs(most))
        };
        if self.runs < RUNS && chance.once_in(8) {
            offline.job.leave_after(some_time(chance));
        }
        if self.runs < RUNS && chance.once_in(8) {
            offline.tell(some_time(chance), "leave", |job, _| job.leave());
        }
        if self.bounded || chance.once_in(2) {
            return;
        }
        offline.save_fails_in = chance.once_in(6).then(|| u32::try_from(chance.below(3)).unwrap());
        if chance.once_in(8) {
            offline.logins = u32::try_from(chance.below(3)).unwrap();
        }
        match chance.below(8) {
            0 => offline.tell(some_time(chance), "abort", |job, _| job.abort()),
            1 => offline.tell(some_time(chance), "stop", |job, _| {
                job.stop(Error::new(ErrorKind::Local, "the disk is full"));
            }),
            2 => offline.tell(some_time(chance), "feed again", |job, _| {
                job.feed(Batch { rows: 900..901, body: "Name\nx\n".into(), source: 0..0 });
            }),
            3 => offline.tell(some_time(chance), "a session of its own", |job, _| {
                job.login(Session::new(INSTANCE, "00D!old").unwrap());
            }),
            _ => {}
        }
    }

    /// Whether another run takes up what this one left.
    fn goes_on(&mut self, end: &End) -> bool {
        match end {
            _ if self.runs >= RUNS => false,
            None => true,
            // Its end was not seen by anybody.
            Some(Ok(_)) => self.chance.once_in(8),
            Some(Err(error)) if error.kind() == ErrorKind::Unfinished => {
                self.bounded || self.chance.once_in(2)
            }
            Some(Err(_)) => !self.bounded && self.chance.once_in(2),
        }
    }

    fn resume(&mut self, killed: bool) {
        // Whoever ends by itself may store its last state; who is killed has what it stored before.
        if !killed || self.chance.once_in(3) {
            let last = serde_json::to_string(&self.offline.job.checkpoint()).unwrap();
            self.offline.saved = Some(last);
        }
        let checkpoint = self.offline.saved.as_ref();
        let checkpoint: Option<Checkpoint> =
            checkpoint.map(|saved| serde_json::from_str(saved).unwrap());
        if let Some(checkpoint) = &checkpoint
            && self.chance.once_in(4)
        {
            self.try_another_input(checkpoint.clone());
        }
        let job = match checkpoint {
            Some(checkpoint) => Job::resume(checkpoint),
            None => Job::new(self.spec.clone()),
        };
        self.offline.resume(job.unwrap(), self.input.batches());
        self.oracle.another_run();
        self.offline.logins = u32::MAX;
        if let Some(trouble) = &mut self.offline.server.trouble {
            trouble.renew();
            if self.chance.once_in(4) {
                trouble.calm();
            }
        }
    }

    /// Resumes with an input in which one row is not the same: nothing may be sent. The server is asked
    /// only if the checkpoint does not know of the row, but a batch with it is there.
    fn try_another_input(&mut self, checkpoint: Checkpoint) {
        let mut input = self.input.clone();
        let known = checkpoint.rows();
        let Some(row) = input.rows.len().checked_sub(1).map(|last| self.chance.index(last + 1))
        else {
            return;
        };
        let old = &input.batches()[row / usize::try_from(input.per_batch).unwrap()];
        let there = self.offline.server.copies_of(&records(&old.body)) > 0;
        let unique = self.oracle.rows.iter().collect::<BTreeSet<_>>().len() == input.rows.len();
        if row as u64 >= known && !(there && unique) {
            return;
        }
        input.rows[row] = "another row".into();
        self.offline.logins = u32::MAX;
        let trouble = self.offline.server.trouble.take();
        self.offline.resume(Job::resume(checkpoint).unwrap(), input.batches());
        let (before, mut end) = (self.offline.log.len(), None);
        while end.is_none() {
            let step = self.offline.poll();
            end = self.offline.perform(step);
        }
        self.offline.server.trouble = trouble;
        let kind = end.unwrap().unwrap_err().kind();
        let told = |(_, said): &(_, Said)| matches!(said, Said::Told(_) | Said::Saved(false));
        let ended = kind == ErrorKind::Local && self.offline.log[before..].iter().any(told);
        assert!(
            kind == ErrorKind::InputChanged || ended,
            "another input was taken, in row {row}: {kind:?}"
        );
        let asked = self.offline.job.summary().calls > 0;
        assert!(!asked || row as u64 >= known, "the input was not looked at first");
        let sent = self.offline.log[before..].iter().any(|(_, said)| is_submit(said));
        assert!(!sent, "another input was sent");
    }

    fn is_over(&mut self, end: &End) {
        self.oracle.world_is_over(&mut self.offline, end);
        if !self.bounded {
            return;
        }
        match end {
            Some(Ok(summary)) => assert!(summary.left_open.is_empty()),
            end => panic!("passing faults, but it ended so: {end:?}"),
        }
        let fates: Vec<Fate> = self.offline.outcomes.iter().map(|outcome| outcome.fate).collect();
        assert_eq!(fates, self.oracle.fates, "lost: not as if nothing had happened");
    }
}

fn is_submit(said: &Said) -> bool {
    matches!(said, Said::Request(_, request) if Kind::of(request) == Kind::Submit)
}

/// A query, which may be split into chunks.
fn query_of(chance: &mut Chance) -> Spec {
    let query = Spec::query("SELECT Id, Name FROM Account");
    let size = chance.once_in(3).then(|| 1 + u32::try_from(chance.below(20)).unwrap());
    match size {
        Some(_) => query.pk_chunking(PkChunking { size, ..PkChunking::default() }),
        None => query,
    }
}

/// What is loaded, or found. Often there are few different rows, so that batches are equal.
fn rows(chance: &mut Chance, query: bool) -> Vec<String> {
    let count = chance.below(40);
    let different = [1, 2, 5, u64::MAX][chance.index(4)];
    let trouble = chance.once_in(2) && !query;
    let row = |row: u64| {
        let n = row % different;
        match chance.below(60) {
            0 if trouble => format!("broken {n}"),
            1 if trouble => format!("refused {n}"),
            2..8 if trouble => format!("bad {n}"),
            8..12 if trouble => format!("known {n}"),
            12..16 => format!("two\nlines, \"{n}\""),
            _ => format!("row {n}"),
        }
    };
    (0..count).map(row).collect()
}

/// An oracle that knows what is in these batches.
pub fn oracle(batches: &[Batch], insert: bool, table: Vec<String>) -> Oracle {
    let contents: Vec<Vec<String>> = batches.iter().map(|batch| records(&batch.body)).collect();
    let fates = contents.iter().flat_map(|rows| fates(rows, insert)).collect();
    Oracle::new(contents.concat(), fates, table)
}

fn server(chance: &mut Chance, table: Vec<String>, bounded: bool) -> Server {
    let takes = [0, 1, 20, 300, 3 * 3600][chance.index(5)];
    let mut server = Server::default()
        .takes(chance.within(Duration::from_secs(takes)))
        .table(table, 1 + chance.index(8));
    if chance.once_in(2) {
        server = server.uneven(Chance::new(chance.below(u64::MAX)));
    }
    if chance.once_in(2) {
        server = server.rewrites();
    }
    if chance.once_in(2) {
        server = server.unended();
    }
    if chance.once_in(4) {
        server = server.lags();
    }
    if chance.once_in(2) {
        server = server.counts_no_batches();
    }
    if !bounded && chance.once_in(16) {
        server = server.quota(chance.index(6));
    }
    let luck = Chance::new(chance.below(u64::MAX));
    let trouble = if bounded { Trouble::bounded(luck) } else { Trouble::unbounded(luck) };
    server.trouble = Some(trouble);
    server
}
