//! A run over real sockets, recorded, stored, and replayed without them.

use std::time::Duration;

use sfbulk::{Job, Session, Spec, Transcript};
use sfbulk_org::{Config, Org, serve};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::offline::batches;
use sfbulk_ureq::Client;
use sfbulk_ureq::rows::{Limits, Outcome};

const ROWS: [&str; 5] = ["a,1", "b,2", "\"c\n\",3", "d,4", "e,5"];
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

fn desk(rows: &[&str]) -> Desk {
    Desk::new(batches(HEADER, rows, 2), || Session::new("https://other.example", "00D!x").unwrap())
}

#[test]
fn a_stored_run_is_replayed_without_a_network() {
    let (transcript, outcomes, session) = recorded();
    let stored = serde_json::to_string_pretty(&transcript).unwrap();
    assert!(!stored.contains(&session), "the session was stored");
    assert!(!stored.contains("127.0.0.1"), "the org's address was stored");
    let transcript: Transcript = serde_json::from_str(&stored).unwrap();
    let (mut job, mut desk) = (Job::new(spec()).unwrap(), desk(&ROWS));
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
    let difference = transcript.replay(&mut job, &mut desk(&ROWS)).unwrap_err();
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
    let difference = broken.replay(&mut job, &mut desk(&ROWS)).unwrap_err();
    assert_eq!(difference.line, broken.to_string().lines().count() + 1);
    assert_eq!(difference.recorded, "nothing more");
}
