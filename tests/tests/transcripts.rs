//! Runs recorded, stored, and replayed: over real sockets, through odd executors, and damaged.

use std::time::Duration;

use sfbulk::{
    Ask, Error, ErrorInfo, ErrorKind, Host, Job, Offline, Page, Session, Spec, Time, Transcript,
    Turn,
};
use sfbulk_org::{Config, Org, serve};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::offline::batches;
use sfbulk_tests::server::Server;
use sfbulk_ureq::Client;
use sfbulk_ureq::rows::{Batch, Limits, Outcome};

const ROWS: [&str; 5] = ["a,1", "b,2", "\"c\n\",3", "d,4", "e,5"];
/// As the model of the service takes them: a line is a record.
const LINES: [&str; 5] = ["a", "b", "bad", "d", "e"];
const HEADER: &str = "Name,BillingCity";

fn spec() -> Spec {
    Spec::insert("Account").serial().record()
}

/// Loads five rows, two in a batch, and gives what was recorded and what became of them.
fn recorded() -> (Transcript, Vec<Outcome>, String) {
    let config = Config::new().latency(Duration::from_millis(5));
    let server = serve(Org::in_memory_with(config).unwrap(), 0).unwrap();
    let (url, session) = (server.url(), server.session());
    let client = Client::new(move || Session::new(&url, session.clone()));
    let csv = format!("{HEADER}\n{}\n", ROWS.join("\n"));
    let limits = Limits { records: 2, ..Limits::default() };
    let load = client.load(spec()).limits(limits);
    let mut run = load.csv(std::io::Cursor::new(csv)).unwrap();
    let outcomes: Vec<Outcome> = run.by_ref().map(Result::unwrap).collect();
    (run.transcript().unwrap().clone(), outcomes, server.session())
}

fn desk_of_rows() -> Desk {
    desk(&ROWS)
}

fn desk(rows: &[&str]) -> Desk {
    Desk::new(batches(HEADER, rows, 2), other_session)
}

fn desk_of_lines() -> Desk {
    Desk::new(batches("Name", &LINES, 2), other_session)
}

fn other_session() -> Session {
    Session::new("https://other.example", "00D!x").unwrap()
}

#[test]
fn a_stored_run_is_replayed_without_a_network() {
    let (transcript, outcomes, session) = recorded();
    let stored = serde_json::to_string_pretty(&transcript).unwrap();
    assert!(!stored.contains(&session), "the session was stored");
    assert!(!stored.contains("127.0.0.1"), "the org's address was stored");
    let transcript: Transcript = serde_json::from_str(&stored).unwrap();
    let (mut job, mut desk) = (Job::new(spec()).unwrap(), desk_of_rows());
    let summary = transcript.replay(&mut job, &mut desk).unwrap().unwrap();
    assert_eq!((summary.rows, summary.succeeded), (5, 5));
    assert_eq!(desk.outcomes, outcomes);
}

#[test]
fn a_difference_names_the_first_line_that_differs() {
    let (transcript, ..) = recorded();
    let text = transcript.to_string();
    let line = |n: usize| text.lines().nth(n - 1).unwrap().trim();

    let other = ["a,1", "b,2", "\"c\n\",4", "d,4", "e,5"];
    let mut job = Job::new(spec()).unwrap();
    let difference = transcript.replay(&mut job, &mut desk(&other)).unwrap_err();
    assert!(difference.recorded.ends_with("line 3 of its body: \",3"), "{difference}");
    assert!(difference.now.ends_with("line 3 of its body: \",4"), "{difference}");
    assert!(line(difference.line).contains("/batch, "), "{}", line(difference.line));

    let mut job = Job::new(Spec::update("Account").serial()).unwrap();
    let difference = transcript.replay(&mut job, &mut desk_of_rows()).unwrap_err();
    assert!(line(difference.line).contains("POST /services/async/66.0/job, "));
    assert!(difference.now.contains("<operation>update</operation>"), "{difference}");

    let mut job = Job::new(spec()).unwrap();
    let difference = transcript.replay(&mut job, &mut desk(&ROWS[..4])).unwrap_err();
    assert_eq!(difference.recorded, "⇐ rows 4..5");
    assert_eq!(difference.now, "⇐ no more rows");
    assert_eq!(line(difference.line), "⇐ rows 4..5");
}

#[test]
fn a_run_that_was_broken_off_is_replayed_up_to_there() {
    let (transcript, ..) = recorded();
    let mut stored = serde_json::to_value(&transcript).unwrap();
    let lines = stored["lines"].as_array_mut().unwrap();
    lines.truncate(lines.len() - 2);
    let broken: Transcript = serde_json::from_value(stored).unwrap();
    let mut job = Job::new(spec()).unwrap();
    let difference = broken.replay(&mut job, &mut desk_of_rows()).unwrap_err();
    assert_eq!(difference.line, broken.to_string().lines().count() + 1);
    assert_eq!(difference.recorded, "nothing more");
}

/// An application that aborts at its nth turn.
struct Hasty {
    desk: Desk,
    turns: u32,
}

impl Host for Hasty {
    fn batch(&mut self, ask: Ask) -> Result<Option<Batch>, Error> {
        self.desk.batch(ask)
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        self.desk.page(page)
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.desk.login(expired)
    }

    fn aborts(&mut self) -> bool {
        self.turns = self.turns.saturating_sub(1);
        self.turns == 0
    }
}

#[test]
fn an_abort_at_any_turn_is_replayed_in_its_place() {
    for turns in 1..60 {
        let mut server = Server::default();
        let session = server.session();
        let login = move || session.clone();
        let desk = Desk::new(batches("Name", &LINES, 2), login);
        let mut line = Offline::new(|now, request| server.handle(now, &request));
        let mut job = Job::new(Spec::insert("Account").record()).unwrap();
        line.run(&mut job, &mut Hasty { desk, turns }).unwrap();
        let transcript = job.transcript().unwrap();
        let mut again = Job::new(Spec::insert("Account").record()).unwrap();
        let replayed = transcript.replay(&mut again, &mut desk_of_lines());
        let summary = replayed.unwrap_or_else(|d| panic!("{turns}: {d}\n{transcript}")).unwrap();
        assert_eq!(summary, *job.summary(), "{turns}");
        assert_eq!(again.transcript(), Some(transcript), "{turns}");
    }
}

#[test]
fn an_executor_that_replies_at_once_is_replayed_too() {
    let mut server = Server::default();
    let session = server.session();
    let mut desk = Desk::new(batches("Name", &LINES, 2), move || session.clone());
    let mut job = Job::new(Spec::insert("Account").record()).unwrap();
    let mut now = Time::ZERO;
    let summary = loop {
        match job.turn(now, &mut desk) {
            None => {}
            Some(Turn::Send(call)) => {
                let (pages, reply) =
                    call.expect.take_in(server.handle(now, &call.request).unwrap());
                for page in pages {
                    job.deliver(call.tag, page, &mut desk);
                }
                job.reply(call.tag, now, reply);
            }
            Some(Turn::Wait(until)) => now = until.unwrap().0,
            Some(Turn::Done(result)) => break result.unwrap(),
        }
    };
    let transcript = job.transcript().unwrap();
    let mut again = Job::new(Spec::insert("Account")).unwrap();
    let replayed = transcript.replay(&mut again, &mut desk_of_lines());
    assert_eq!(replayed.unwrap().unwrap(), summary);
}

/// An application whose disk is full.
struct Full(Desk);

impl Host for Full {
    fn batch(&mut self, ask: Ask) -> Result<Option<Batch>, Error> {
        self.0.batch(ask)
    }

    fn page(&mut self, _page: Page) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Local, "the disk is full"))
    }

    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        self.0.login(expired)
    }
}

#[test]
fn an_application_that_fails_now_is_a_difference() {
    let (transcript, ..) = recorded();
    let mut job = Job::new(spec()).unwrap();
    let difference = transcript.replay(&mut job, &mut Full(desk_of_rows())).unwrap_err();
    assert_eq!(difference.now, "⇐ stop: the disk is full");
}

#[test]
fn whatever_an_answer_repeats_no_session_and_no_address_is_stored() {
    let (host, tokens) = ("acme.my.salesforce.com", ["00DaFAKE!sesame", "00DaFAKE!abracadabra"]);
    let echo = |request: &http::Request<bytes::Bytes>| {
        let token = request.headers()["x-sfdc-session"].to_str().unwrap().to_owned();
        let escaped = token.replace('!', "%21");
        let body = format!("<html>{token} {escaped} {} of {host}\u{e9}</html>", tokens[0]);
        http::Response::builder()
            .status(if token == tokens[0] { 401 } else { 503 })
            .header("x-request-id", &token)
            .header("location", format!("https://{host}/?sid={token}"))
            .header("set-cookie", &token)
            .body(bytes::Bytes::from(body.into_bytes()))
            .unwrap()
    };
    let mut logins = tokens.into_iter().cycle();
    let login = move || Session::new(&format!("https://{host}"), logins.next().unwrap()).unwrap();
    let mut desk = Desk::new(batches(HEADER, &ROWS, 2), login);
    let mut job = Job::new(Spec::insert("Account").record()).unwrap();
    let mut line = Offline::new(|_, request: http::Request<bytes::Bytes>| Ok(echo(&request)));
    let error = line.run(&mut job, &mut desk).unwrap_err();
    let stored = serde_json::to_string(job.transcript().unwrap()).unwrap();
    for text in [&stored, &error.to_string(), &format!("{error:?}"), &format!("{job:?}")] {
        assert!(!text.contains("sesame") && !text.contains("abracadabra"), "a session in {text}");
    }
    assert!(!stored.contains(host), "the address in {stored}");
    assert!(stored.contains("[redacted]") && stored.contains("[org]"), "{stored}");
}

#[test]
fn a_damaged_transcript_is_a_difference_and_never_a_panic() {
    let (transcript, ..) = recorded();
    let stored = serde_json::to_string(&transcript).unwrap();
    let numbers: Vec<usize> =
        stored.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
    for at in numbers {
        for digits in ["0", "9", "18446744073709551615"] {
            let damaged = format!("{}{digits}{}", &stored[..at], &stored[at + 1..]);
            if let Ok(damaged) = serde_json::from_str::<Transcript>(&damaged) {
                let mut job = Job::new(spec()).unwrap();
                let _ = damaged.replay(&mut job, &mut desk_of_rows());
                let _ = damaged.to_string();
            }
        }
    }
}
