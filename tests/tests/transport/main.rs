//! Transport truth: whatever a server does to a connection, no executor takes a broken answer for a
//! whole one, sends a batch a second time, or is led elsewhere; and all of them say the same of the
//! same server.
//!
//! Each script (`scripts.rs`) is played to one request of a whole small run over real sockets: of a
//! load, at the creation of its job or at its batch, or of a query, at the file of its result.
//! `TIMES=100` plays all of them so many times.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use sfbulk::rows::{Batch, Limits, RowCutter};
use sfbulk::{
    Ask, Bounds, Error, ErrorInfo, ErrorKind, Host, Job, Note, Page, Session, Spec, Summary,
};
use sfbulk_tests::badly::{Act, BadServer};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::script::Kind;
use sfbulk_tests::server::{CANARY, Server};

use scripts::{Address, Outcome, SCRIPTS, Script};

mod scripts;
#[path = "../../examples/tokio_reqwest/executor.rs"]
mod tokio_reqwest;

/// Drives a job to its end. The duration is the longest silence borne; a connection must be made
/// in half of it.
type Drive = fn(&mut Job, &mut Listener<'_>, Duration) -> Result<Summary, Error>;

/// The executors under test. A new one is a line here.
const EXECUTORS: &[(&str, Drive)] = &[("ureq", with_ureq), ("reqwest", with_reqwest)];

fn with_ureq(
    job: &mut Job,
    listener: &mut Listener<'_>,
    silence: Duration,
) -> Result<Summary, Error> {
    let transport = sfbulk_ureq::Transport::with_timeouts(silence / 2, silence);
    sfbulk_ureq::Executor::new(transport).run(job, listener)
}

fn with_reqwest(
    job: &mut Job,
    listener: &mut Listener<'_>,
    silence: Duration,
) -> Result<Summary, Error> {
    let http = tokio_reqwest::client(silence / 2, silence);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokio_reqwest::run(job, &http, listener))
}

/// Runs at the same time; they mostly wait.
const AT_ONCE: usize = 16;

/// How long executors wait for a server that is known to be silent; a busy machine can keep one
/// that is not from answering for a few hundred milliseconds.
const SHORT: Duration = Duration::from_secs(1);

/// How long they wait for one that is not; much longer than a busy machine ever takes.
const LONG: Duration = Duration::from_secs(20);

/// The result of the query, as the model writes it.
const RESULT: &str =
    "\"Id\",\"Name\"\n\"001000000000000AAA\",\"a\"\n\"001000000000001AAA\",\"b\"\n";

#[test]
fn every_script_ends_as_it_says_with_every_executor() {
    let times = std::env::var("TIMES").map_or(1, |times| times.parse().unwrap());
    for time in 1..=times {
        let start = Instant::now();
        let plays = plays();
        let seen = play_all(&plays);
        println!("pass {time}: {} plays in {:.1?}", plays.len(), start.elapsed());
        if time == 1 {
            println!("{}", table(&plays, &seen));
        }
        let wrong: Vec<String> = plays
            .iter()
            .zip(&seen)
            .filter(|(play, seen)| !seen.is(play.script.outcome))
            .map(|(play, seen)| format!("{play}: {seen}, not {:?}", play.script.outcome))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// A script, played at one request to one executor.
struct Play {
    script: &'static Script,
    at: Kind,
    executor: &'static str,
    drive: Drive,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, at {:?}, {}", self.script.name, self.at, self.executor)
    }
}

fn plays() -> Vec<Play> {
    let mut plays = Vec::new();
    for script in SCRIPTS {
        for &at in script.at {
            let play = |&(executor, drive)| Play { script, at, executor, drive };
            plays.extend(EXECUTORS.iter().map(play));
        }
    }
    plays
}

fn play_all(plays: &[Play]) -> Vec<Seen> {
    let next = Mutex::new(plays.iter().enumerate());
    let seen = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((index, play)) = next.lock().unwrap().next() else { break };
                    let saw = play.run();
                    seen.lock().unwrap().insert(index, saw);
                }
            });
        }
    });
    seen.into_inner().unwrap().into_values().collect()
}

/// Script by script, what each executor made of it.
fn table(plays: &[Play], seen: &[Seen]) -> String {
    let mut table = format!("{:<66} {:<7}", "script", "at");
    for (name, _) in EXECUTORS {
        write!(table, " {name:<9}").unwrap();
    }
    let executors = EXECUTORS.len();
    for (plays, seen) in plays.chunks(executors).zip(seen.chunks(executors)) {
        let Play { script, at, .. } = plays[0];
        write!(table, "\n{:<66} {:<7}", script.name, format!("{at:?}")).unwrap();
        for seen in seen {
            write!(table, " {:<9}", seen.in_words().0).unwrap();
        }
        if let Outcome::Either(_, why) = script.outcome {
            write!(table, " ({why})").unwrap();
        }
    }
    table
}

/// What came of a script, with what the machine was told.
enum Seen {
    Taken,
    Refused(String),
    Lost(String),
    Unsent(String),
    /// What must never be, whatever the script.
    Lie(String),
}

impl Seen {
    fn is(&self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (Self::Taken, Outcome::Taken) => true,
            (Self::Refused(told), Outcome::Refused(word))
            | (Self::Lost(told), Outcome::Lost(word))
            | (Self::Unsent(told), Outcome::Unsent(word)) => {
                told.to_lowercase().contains(&word.to_lowercase())
            }
            (seen, Outcome::Either(outcomes, _)) => outcomes.iter().any(|it| seen.is(*it)),
            _ => false,
        }
    }

    fn in_words(&self) -> (&'static str, &str) {
        match self {
            Self::Taken => ("taken", ""),
            Self::Refused(told) => ("refused", told),
            Self::Lost(told) => ("lost", told),
            Self::Unsent(told) => ("unsent", told),
            Self::Lie(told) => ("A LIE", told),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, told) = self.in_words();
        write!(f, "{word} ({told})")
    }
}

impl Play {
    fn run(&self) -> Seen {
        let model = Server::default().takes(Duration::ZERO).table(["a", "b"], 2);
        let server = BadServer::new(model, self.at, self.script.play);
        let mut job = Job::new(self.spec()).unwrap();
        let session = server.session_at(&self.instance(&server));
        let desk = Desk::new(vec![self.rows()], move || session.clone());
        let mut listener = Listener { desk, server: &server, at: self.at, notes: Vec::new() };
        let result = server.serve(|| (self.drive)(&mut job, &mut listener, self.silence()));
        match self.lie(&listener, &result) {
            Some(lie) => Seen::Lie(format!("{lie}: {result:?}, {:?}", listener.notes)),
            None => self.seen(&listener.notes, &result),
        }
    }

    fn instance(&self, server: &BadServer) -> String {
        let address = server.address();
        match self.script.to {
            Address::Server => format!("http://{address}"),
            Address::ServerByTls => format!("https://{address}"),
            Address::NobodyListens => "http://127.0.0.1:1".into(),
            // A name with a part of more than 63 letters is refused without asking anybody.
            Address::NoSuchName => format!("https://{}.example", "x".repeat(64)),
        }
    }

    fn is_query(&self) -> bool {
        self.at == Kind::File
    }

    fn spec(&self) -> Spec {
        let quick = Duration::from_millis(1);
        let bounds = Bounds { first_wait: quick, first_poll: quick, ..Bounds::default() };
        let spec = if self.is_query() {
            Spec::query("SELECT Id, Name FROM Account")
        } else {
            Spec::insert("Account")
        };
        spec.bounds(bounds)
    }

    fn silence(&self) -> Duration {
        let silent = matches!(self.script.play.last(), Some(Act::Silence));
        // After its one play the server waits for http, and a client that speaks TLS for TLS.
        let deaf = matches!(self.script.to, Address::ServerByTls);
        if silent || deaf { SHORT } else { LONG }
    }

    /// The rows of a load; more than any socket's buffer holds, if the server does not read them.
    fn rows(&self) -> Batch {
        let unread = self.script.play.contains(&Act::ReadHead);
        let (count, length) = if unread { (9_000, 900) } else { (2, 9) };
        let mut cutter = RowCutter::new(Limits::default());
        for row in 0..count {
            cutter.push(&BTreeMap::from([("Name", format!("{row:0length$}"))])).unwrap();
        }
        cutter.finish().unwrap().unwrap()
    }

    /// What must never be, if it is.
    fn lie(
        &self,
        listener: &Listener<'_>,
        result: &Result<Summary, Error>,
    ) -> Option<&'static str> {
        let Listener { desk, server, notes, .. } = listener;
        let told = format!("{result:?} {notes:?} {:?}", desk.outcomes);
        let most = if self.at == Kind::Submit { 1 } else { 2 };
        let written = server.written();
        let good = desk.outcomes.iter().filter(|row| row.success()).count();
        let rows_missing = match result {
            Ok(_) if self.is_query() => desk.csv != RESULT,
            Ok(summary) => good as u64 != summary.rows,
            Err(_) => false,
        };
        let lies = [
            (told.contains(CANARY), "a session is shown"),
            (server.was_followed_elsewhere(), "the session went to another server"),
            (server.arrived(self.at) > most, "a request was sent too often"),
            (written.values().any(|times| *times > 1), "a row was written twice"),
            (good > written.len(), "a row is called written and is not"),
            (!RESULT.starts_with(&desk.csv), "the rows are not the server's"),
            (rows_missing, "rows are missing"),
        ];
        lies.into_iter().find_map(|(is, what)| is.then_some(what))
    }

    /// What the machine was told of the answer, by what it said and did.
    fn seen(&self, notes: &[Note], result: &Result<Summary, Error>) -> Seen {
        let why = notes.iter().find_map(|note| match note {
            Note::Retry { why, .. } => Some(why.clone()),
            _ => None,
        });
        let may_have_arrived = self.is_query() || notes.contains(&Note::Orphan);
        match (result, why) {
            (Ok(_), None) => Seen::Taken,
            (Ok(_), Some(why)) if may_have_arrived => Seen::Lost(why),
            (Err(error), why) => match (error.kind(), why) {
                (ErrorKind::Refused, None) => Seen::Refused(error.to_string()),
                (ErrorKind::Unknown, None) => Seen::Lost(error.to_string()),
                (ErrorKind::Unreachable, Some(why)) if !may_have_arrived => Seen::Unsent(why),
                _ => Seen::Lie(format!("{error}, {notes:?}")),
            },
            _ => Seen::Lie(format!("a retry that nobody expects: {notes:?}")),
        }
    }
}

/// The host of a run, which also hears its notes.
struct Listener<'a> {
    desk: Desk,
    server: &'a BadServer,
    at: Kind,
    notes: Vec<Note>,
}

impl Host for Listener<'_> {
    fn batch(&mut self, ask: Ask) -> Result<Option<Batch>, Error> {
        self.desk.batch(ask)
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        self.desk.page(page)
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.desk.login(expired)
    }

    /// Has the next request wait until the play is over, so that its connection has surely been
    /// closed before it, or what nobody asked for is surely in it.
    fn note(&mut self, note: Note, _: &Summary) -> Result<(), Error> {
        let answered = matches!(
            (&note, self.at),
            (Note::Created(_), Kind::Create) | (Note::Accepted { .. }, Kind::Submit)
        );
        if answered {
            self.server.wait_for_the_end_of_the_play();
        }
        self.notes.push(note);
        Ok(())
    }
}
