//! Transport truth: whatever a server does to a connection, no executor takes a broken answer for a
//! whole one, sends a batch a second time, or is led elsewhere; and all of them say the same of the
//! same server.
//!
//! Each script (`scripts.rs`) is played to one request of a whole small run over real sockets: of a
//! load, at the creation of its job or at its batch, or of a query, at the file of its result.
//! `TIMES=100` plays all of them so many times.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sfbulk::rows::{Batch, Limits, Outcome, RowCutter};
use sfbulk::{
    Ask, Bounds, Error, ErrorInfo, ErrorKind, Host, Job, Note, Page, Session, Spec, Summary,
};
use sfbulk_tests::badly::{Act, BadServer};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::script::Kind;
use sfbulk_tests::server::{CANARY, Server};

use scripts::{Address, BY_HAND, Ending, SCRIPTS, Script};

mod scripts;
#[path = "../../examples/std_only/executor.rs"]
mod std_only;
#[path = "../../examples/tokio_reqwest/executor.rs"]
mod tokio_reqwest;

/// Performs a run, and tells what came of it.
type Drive = fn(Run) -> Told;

/// The executors under test. A new one is a line here.
const EXECUTORS: &[(&str, Drive)] = &[
    ("ureq", with_ureq),
    ("async-std", with_async_std),
    ("reqwest", with_reqwest),
    (BY_HAND, by_hand),
];

fn with_ureq(run: Run) -> Told {
    let transport = sfbulk_ureq::Transport::with_timeouts(run.silence / 2, run.silence);
    let executor = sfbulk_ureq::Executor::new(transport);
    run.drive(|job, host| executor.run(job, host))
}

fn with_async_std(run: Run) -> Told {
    let nobody = async || Err(Error::new(ErrorKind::Login, "the host logs in"));
    let client = sfbulk_async_std::Client::new(nobody).timeouts(run.silence / 2, run.silence);
    run.drive(|job, host| async_std::task::block_on(client.run(job, host)))
}

fn with_reqwest(run: Run) -> Told {
    let http = tokio_reqwest::client(run.silence / 2, run.silence);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    run.drive(|job, host| runtime.block_on(tokio_reqwest::run(job, &http, host)))
}

fn by_hand(run: Run) -> Told {
    let silence = run.silence;
    run.drive(|job, host| std_only::run(job, silence, host))
}

/// Runs at the same time; they mostly wait.
const AT_ONCE: usize = 16;

/// How long executors wait for a server that is known to be silent; a busy machine can keep one
/// that is not from answering for a few hundred milliseconds.
const SHORT: Duration = Duration::from_secs(1);

/// How long they wait for one that is not; much longer than a busy machine ever takes.
const LONG: Duration = Duration::from_secs(30);

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
            .filter(|(play, seen)| !seen.is(play.ending()))
            .map(|(play, seen)| format!("{play}: {seen}, not {:?}", play.ending()))
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
        for ending in [Some(script.ending), script.by_hand].into_iter().flatten() {
            if let Ending::Either(_, why) = ending {
                write!(table, " ({why})").unwrap();
            }
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
    fn is(&self, ending: Ending) -> bool {
        match (self, ending) {
            (Self::Taken, Ending::Taken) => true,
            (Self::Refused(told), Ending::Refused(word))
            | (Self::Lost(told), Ending::Lost(word))
            | (Self::Unsent(told), Ending::Unsent(word)) => {
                told.to_lowercase().contains(&word.to_lowercase())
            }
            (seen, Ending::Either(endings, _)) => endings.iter().any(|it| seen.is(*it)),
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
    fn ending(&self) -> Ending {
        let own = self.script.by_hand.filter(|_| self.executor == BY_HAND);
        own.unwrap_or(self.script.ending)
    }

    fn run(&self) -> Seen {
        let model = Server::default().takes(Duration::ZERO).table(["a", "b"], 2);
        let server = Arc::new(BadServer::new(model, self.at, self.script.play));
        let ear = Ear { server: Arc::clone(&server), at: self.at, notes: Arc::default() };
        let run = Run {
            spec: self.spec(),
            batch: self.rows(),
            session: server.session_at(&self.instance(&server)),
            silence: self.silence(),
            ear: ear.clone(),
        };
        let told = server.serve(|| (self.drive)(run));
        let notes = ear.notes.lock().unwrap();
        match self.lie(&server, &told, &notes) {
            Some(lie) => Seen::Lie(format!("{lie}: {:?}, {notes:?}", told.result)),
            None => self.seen(&told.result, &notes),
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
    fn lie(&self, server: &BadServer, told: &Told, notes: &[Note]) -> Option<&'static str> {
        let Told { result, outcomes, csv } = told;
        let said = format!("{result:?} {notes:?} {outcomes:?}");
        let written = server.written();
        let good = outcomes.iter().filter(|row| row.success()).count();
        let rows_missing = match result {
            Ok(_) if self.is_query() => csv != RESULT,
            Ok(summary) => good as u64 != summary.rows,
            Err(_) => false,
        };
        let lies = [
            (said.contains(CANARY), "a session is shown"),
            (server.was_waited_for(), "the time-out for silence did not come"),
            (server.was_followed_elsewhere(), "the session went to another server"),
            (server.arrived(self.at) > 2, "a request was sent too often"),
            (written.values().any(|times| *times > 1), "a row was written twice"),
            (good > written.len(), "a row is called written and is not"),
            (!RESULT.starts_with(csv), "the rows are not the server's"),
            (rows_missing, "rows are missing"),
        ];
        lies.into_iter().find_map(|(is, what)| is.then_some(what))
    }

    /// What the machine was told of the answer, by what it said and did.
    fn seen(&self, result: &Result<Summary, Error>, notes: &[Note]) -> Seen {
        let why = notes.iter().find_map(|note| match note {
            Note::Retry { why, .. } => Some(why.clone()),
            _ => None,
        });
        let lost = notes.iter().find_map(|note| match note {
            Note::Lost { why, .. } => Some(why.clone()),
            _ => None,
        });
        if let (Ok(_), Some(why)) = (result, lost) {
            return Seen::Lost(why); // and it was found out whether the batch had arrived
        }
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

/// What an executor is to do: a load of this batch, or a query.
struct Run {
    spec: Spec,
    batch: Batch,
    session: Session,
    /// The longest silence to be borne; a connection must be made in half of it.
    silence: Duration,
    /// Is to hear every note.
    ear: Ear,
}

/// What came of it: the end, the outcomes of a load, the rows of a query.
struct Told {
    result: Result<Summary, Error>,
    outcomes: Vec<Outcome>,
    csv: String,
}

impl Run {
    /// For executors that drive a job.
    fn drive(self, drive: impl FnOnce(&mut Job, &mut Listener) -> Result<Summary, Error>) -> Told {
        let Self { spec, batch, session, ear, .. } = self;
        let mut job = Job::new(spec).unwrap();
        let desk = Desk::new(vec![batch], move || session.clone());
        let mut host = Listener { desk, ear };
        let result = drive(&mut job, &mut host);
        Told { result, outcomes: host.desk.outcomes, csv: host.desk.csv }
    }
}

/// Hears what happens in a run.
#[derive(Clone)]
struct Ear {
    server: Arc<BadServer>,
    at: Kind,
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Ear {
    /// Has the next request wait until the play is over, so that its connection has surely been
    /// closed before it, or what nobody asked for is surely in it.
    fn hear(&self, note: Note) {
        let answered = matches!(
            (&note, self.at),
            (Note::Created(_), Kind::Create) | (Note::Accepted { .. }, Kind::Submit)
        );
        if answered {
            self.server.wait_for_the_end_of_the_play();
        }
        self.notes.lock().unwrap().push(note);
    }
}

/// A host with an ear.
struct Listener {
    desk: Desk,
    ear: Ear,
}

impl Host for Listener {
    fn batch(&mut self, ask: Ask) -> Result<Option<Batch>, Error> {
        self.desk.batch(ask)
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        self.desk.page(page)
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.desk.login(expired)
    }

    fn note(&mut self, note: Note, _: &Summary) -> Result<(), Error> {
        self.ear.hear(note);
        Ok(())
    }
}
