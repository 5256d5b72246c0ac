//! Every scenario through every executor, offline and over real sockets: what the application gets
//! and what the server is asked must be the same (G34). What may differ is time: how often a job was
//! polled, and in which order calls that were under way together reached the server.
//!
//! `cargo test -p sfbulk-tests --test equal_answers -- --nocapture` prints the table.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use sfbulk::{Bounds, Error, ErrorKind, Fingerprint, Job, Offline, Session, Summary, Time};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::scenarios::{self, Scenario};
use sfbulk_tests::socket::Socket;

#[path = "../examples/std_only/executor.rs"]
mod std_only;
#[path = "../examples/tokio_reqwest/executor.rs"]
mod tokio_reqwest;

/// The model's clock goes so much faster than ours, and the machine waits so much less.
const SPEED: u32 = 50;

/// Plays a scenario, and tells what came of it.
type Player = fn(Scenario) -> String;

const PLAYERS: [(&str, Player); 5] = [
    ("offline", offline),
    ("ureq", ureq),
    ("async-std", async_std),
    ("tokio, reqwest", tokio),
    ("by hand", by_hand),
];

#[test]
fn every_scenario_comes_to_the_same_in_every_executor() {
    // A socket cannot play a request that never left; the transports' own tests do. What comes of a
    // client that is killed is told by the command's tests.
    // And what arrives late meets a run at another moment on each machine.
    let playable = |scenario: &Scenario| {
        !["unsent_batch", "late_batch"].contains(&scenario.name) && scenario.killed_after.is_none()
    };
    let names = scenarios::all().into_iter().filter(playable).map(|scenario| scenario.name);
    let rows: Vec<_> = names.map(|name| (name, thread::spawn(|| play(name)))).collect();
    assert!(rows.len() >= 28);
    let mut table = format!("{:20}", "");
    for (player, _) in PLAYERS {
        write!(table, " {player:16}").unwrap();
    }
    let mut different = Vec::new();
    for (name, row) in rows {
        let row = row.join().unwrap();
        write!(table, "\n{name:20}").unwrap();
        for (told, (player, _)) in row.iter().zip(PLAYERS) {
            write!(table, " {}", Fingerprint::of_cells([told.as_bytes()])).unwrap();
            if *told != row[0] {
                different.push(format!("{name}:\n{}\n--- {player}:\n{told}", row[0]));
            }
        }
    }
    println!("{table}");
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

/// What each executor makes of a scenario.
fn play(name: &str) -> Vec<String> {
    let scenario = || scenarios::all().into_iter().find(|scenario| scenario.name == name).unwrap();
    PLAYERS.iter().map(|(_, player)| player(scenario())).collect()
}

// ---- the executors ----

fn offline(mut scenario: Scenario) -> String {
    let server = Rc::new(RefCell::new(std::mem::take(&mut scenario.server)));
    let org = Rc::clone(&server);
    let mut line = Offline::new(move |now: Time, request| {
        let now = Time::since_start(now.elapsed() * SPEED);
        org.borrow_mut().handle(now, &request)
    })
    .latency(Duration::from_millis(1));
    let run = |job: &mut Job, desk: &mut Desk| line.run(job, desk);
    told(scenario, move || server.borrow().session(), run)
}

fn ureq(mut scenario: Scenario) -> String {
    let socket = Socket::serve(std::mem::take(&mut scenario.server), SPEED);
    let executor = sfbulk_ureq::Executor::new(sfbulk_ureq::Transport::default());
    told(scenario, move || socket.session(), |job, desk| executor.run(job, desk))
}

fn async_std(mut scenario: Scenario) -> String {
    let socket = Socket::serve(std::mem::take(&mut scenario.server), SPEED);
    let nobody = async || Err(Error::new(ErrorKind::Login, "the host logs in"));
    let client = sfbulk_async_std::Client::new(nobody);
    told(
        scenario,
        move || socket.session(),
        |job, desk| async_std::task::block_on(client.run(job, desk)),
    )
}

fn tokio(mut scenario: Scenario) -> String {
    let socket = Socket::serve(std::mem::take(&mut scenario.server), SPEED);
    let http = tokio_reqwest::client(Duration::from_secs(30), Duration::from_secs(120));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    told(
        scenario,
        move || socket.session(),
        |job, desk| runtime.block_on(tokio_reqwest::run(job, &http, desk)),
    )
}

fn by_hand(mut scenario: Scenario) -> String {
    let socket = Socket::serve(std::mem::take(&mut scenario.server), SPEED);
    let silence = Duration::from_secs(120);
    told(scenario, move || socket.session(), |job, desk| std_only::run(job, silence, desk))
}

// ---- what came of it ----

/// Plays a scenario and tells all that must be the same.
fn told(
    scenario: Scenario,
    login: impl FnMut() -> Session + 'static,
    run: impl FnOnce(&mut Job, &mut Desk) -> Result<Summary, Error>,
) -> String {
    let mut job = Job::new(scenario.spec.bounds(quick()).record()).unwrap();
    let mut desk = Desk::new(scenario.batches, login);
    (desk.logins, desk.aborts_after) = (scenario.logins, scenario.aborts_after);
    let result = run(&mut job, &mut desk);
    let mut text = String::new();
    desk.outcomes.iter().for_each(|outcome| writeln!(text, "{outcome:?}").unwrap());
    text += &desk.csv;
    // The words for a lost answer are the transport's own.
    let end = result.map(|_| ()).map_err(|error| {
        let code = error.code().map(str::to_owned);
        (error.kind(), error.job(), error.batch(), error.rows(), error.changed(), code)
    });
    let Summary { rows, succeeded, created, failed, unprocessed, unknown, aborted, .. } =
        job.summary();
    let counts = [rows, succeeded, created, failed, unprocessed, unknown];
    writeln!(text, "{end:?} {counts:?} {aborted}").unwrap();
    text + &requests(&job)
}

/// Waits that fit the model's clock. One call of a kind is under way at a time, so that the model
/// gives out its ids in the same order.
fn quick() -> Bounds {
    let bounds = Bounds::default();
    Bounds {
        parallel: 1,
        first_wait: bounds.first_wait / SPEED,
        longest_wait: bounds.longest_wait / SPEED,
        longest_retry_after: Duration::from_secs(7) / SPEED,
        first_poll: bounds.first_poll / SPEED,
        longest_poll: bounds.longest_poll / SPEED,
        ..bounds
    }
}

/// What the server was asked, in an order that does not depend on the network; polls once.
fn requests(job: &Job) -> String {
    let transcript = serde_json::to_value(job.transcript().unwrap()).unwrap();
    let lines = transcript["lines"].as_array().unwrap().iter();
    let mut requests: Vec<String> = lines
        .filter_map(|line| line["said"]["what"].get("sent"))
        .map(|sent| {
            format!("{} {} {} {}\n", sent["method"], sent["path"], sent["headers"], sent["body"])
        })
        .collect();
    requests.sort();
    requests.dedup_by(|a, b| a == b && a.contains("/batch\" ") && a.contains("GET"));
    requests.concat()
}
