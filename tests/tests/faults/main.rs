//! Whatever breaks on the way: every fault of the practice org, through both front doors and through
//! the command, over real sockets. Afterwards the org's table is held against the rows that went in,
//! and against what the run said of each of them.
//!
//! `cargo test -p sfbulk-tests --test faults -- --nocapture` prints the tables. `CHAOS_ROWS=200000`
//! makes the chaos as large, `CHAOS_SEEDS=n` plays so many of them.

use std::fmt::Write;
use std::thread;

use sfbulk_org::Fault;

mod org;
mod players;

use org::Stage;
use players::{PLAYERS, Player};

/// Something that goes wrong, and how a run must end that meets it.
struct Case {
    name: &'static str,
    faults: &'static [&'static str],
    end: End,
}

/// How a run ends.
#[derive(Clone, Copy)]
enum End {
    /// Well, with every row in the org once.
    Whole,
    /// With up to so many rows failed, by the org's own doing.
    Without(usize),
    /// With the org's last word.
    Word(&'static str),
}

/// Rows of a load, and how many of them are a batch.
const ROWS: usize = 40;
const BATCH: usize = 10;

#[rustfmt::skip] // a table
const LOADS: &[Case] = &[
    Case { name: "nothing", faults: &[], end: End::Whole },
    Case { name: "batch dropped after it was added", faults: &["lose-answer:2"], end: End::Whole },
    Case { name: "so are two", faults: &["lose-answer:2", "lose-answer:2"], end: End::Whole },
    Case { name: "504 after it was added", faults: &["gateway:2"], end: End::Whole },
    Case { name: "dropped before it was added", faults: &["drop-request:batch:2"], end: End::Whole },
    Case { name: "dropped mid-upload", faults: &["cut-upload:2"], end: End::Whole },
    Case { name: "added late", faults: &["late:2:1"], end: End::Whole },
    Case { name: "added late, close dropped", faults: &["late:2:1", "lose-close"], end: End::Whole },
    Case { name: "batch dropped, close too", faults: &["drop-request:batch:2", "lose-close"], end: End::Whole },
    Case { name: "batch dropped, then not listed", faults: &["lose-answer:4", "missing-from-list:1"], end: End::Whole },
    Case { name: "503 page", faults: &["status:batch:2:503"], end: End::Whole },
    Case { name: "500 page three times", faults: &["status:batch:2:500"; 3], end: End::Whole },
    Case { name: "503 with Retry-After", faults: &["status:batch:2:503:1"], end: End::Whole },
    Case { name: "429 with Retry-After", faults: &["status:batch:2:429:1"], end: End::Whole },
    Case { name: "refused in passing", faults: &["refuse:batch:2:InternalServerError"], end: End::Whole },
    Case { name: "session expires", faults: &["expire-session:4"], end: End::Whole },
    Case { name: "poll fails", faults: &["status:poll:1:500"], end: End::Whole },
    Case { name: "poll dropped", faults: &["drop-request:poll:1"], end: End::Whole },
    Case { name: "close dropped after", faults: &["lose-close"], end: End::Whole },
    Case { name: "close dropped before", faults: &["drop-request:close:1"], end: End::Whole },
    Case { name: "create dropped after", faults: &["lose-create"], end: End::Whole },
    Case { name: "create dropped before", faults: &["drop-request:create:1"], end: End::Whole },
    Case { name: "result truncated", faults: &["cut-result:2:40"], end: End::Whole },
    Case { name: "result short", faults: &["short-result:2"], end: End::Whole },
    Case { name: "result dropped", faults: &["drop-request:result:2"], end: End::Whole },
    Case { name: "result 503", faults: &["status:result:2:503"], end: End::Whole },
    Case { name: "batch Failed", faults: &["fail-batch:2"], end: End::Without(BATCH) },
    Case { name: "batch half Failed", faults: &["half-fail-batch:2"], end: End::Without(BATCH / 2) },
    Case { name: "half its rows locked", faults: &["lock-failure:2"], end: End::Without(BATCH / 2) },
    Case { name: "batch listed twice", faults: &["list-twice:1"], end: End::Whole },
    Case { name: "batch not listed", faults: &["missing-from-list:1"], end: End::Whole },
    Case { name: "quota", faults: &["quota:3"], end: End::Word("ExceededQuota") },
    Case { name: "batch dropped, then quota", faults: &["lose-answer:2", "quota:3"], end: End::Word("ExceededQuota") },
];

/// For a client that has nothing but the session it began with.
const NO_NEW_SESSION: Case = Case {
    name: "no new session",
    faults: &["expire-session:4"],
    end: End::Word("InvalidSessionId"),
};

#[rustfmt::skip]
const QUERIES: &[Case] = &[
    Case { name: "nothing", faults: &[], end: End::Whole },
    Case { name: "truncated", faults: &["cut-result:2:40"], end: End::Whole },
    Case { name: "short", faults: &["short-result:2"], end: End::Whole },
    Case { name: "short at the end", faults: &["short-result:3"], end: End::Whole },
    Case { name: "dropped", faults: &["drop-request:result:2"], end: End::Whole },
    Case { name: "503", faults: &["status:result:2:503"], end: End::Whole },
    Case { name: "503 with Retry-After", faults: &["status:result:2:503:1"], end: End::Whole },
    Case { name: "create dropped", faults: &["lose-create"], end: End::Whole },
    Case { name: "its batch dropped after", faults: &["lose-answer:1"], end: End::Whole },
    Case { name: "its batch dropped before", faults: &["drop-request:batch:1"], end: End::Whole },
    Case { name: "its batch added late", faults: &["late:1:1"], end: End::Whole },
    Case { name: "close dropped", faults: &["lose-close"], end: End::Whole },
    Case { name: "poll fails", faults: &["status:poll:1:500"], end: End::Whole },
    Case { name: "list of files fails", faults: &["status:poll:2:500"], end: End::Whole },
    Case { name: "batch listed twice", faults: &["list-twice:1"], end: End::Whole },
    Case { name: "batch not listed", faults: &["missing-from-list:1"], end: End::Whole },
    Case { name: "batch Failed", faults: &["fail-batch:1:InternalServerError"], end: End::Word("InternalServerError") },
    Case { name: "quota", faults: &["quota:1"], end: End::Word("ExceededQuota") },
];

#[test]
fn every_row_lands_once_and_is_accounted_for_whatever_breaks() {
    table("load", LOADS, |case, player| {
        let renews = player.renews || case.name != "session expires";
        load(if renews { case } else { &NO_NEW_SESSION }, player, renews)
    });
    table("load", &[NO_NEW_SESSION], |case, player| load(case, player, false));
}

fn load(case: &Case, player: &Player, renews: bool) -> Result<String, String> {
    let stage = Stage::new(0);
    arm(&stage, case.faults);
    let told = player.load(&stage, renews, org::rows(ROWS), BATCH);
    told.check(ROWS, case.end, &stage.landed())
}

#[test]
fn every_row_of_a_query_arrives_once_whatever_breaks() {
    table("query", QUERIES, |case, player| {
        let stage = Stage::new(ROWS);
        let expected = stage.csv.clone();
        arm(&stage, case.faults);
        player.query(&stage, org::SOQL).check(&expected, case.end)
    });
}

#[test]
fn what_the_org_cannot_read_is_told_in_its_words() {
    let case = Case { name: "bad SOQL", faults: &[], end: End::Word("Bogus") };
    table("query", &[case], |case, player| {
        player.query(&Stage::new(0), "SELECT Bogus FROM Account").check("", case.end)
    });
}

#[test]
fn chaos_loses_and_doubles_nothing() {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let rows = number("CHAOS_ROWS", 5_000);
    let batch = (rows / 50).clamp(1, 10_000);
    for seed in 1..=number("CHAOS_SEEDS", 1) {
        let case = Case { name: "chaos", faults: &[], end: End::Without(2 * batch) };
        table(&format!("{rows} rows, seed {seed}"), &[case], |case, player| {
            let stage = Stage::new(0);
            arm(&stage, &["fail-batch:7", "half-fail-batch:11", "lock-failure:13"]);
            arm(&stage, &[&format!("chaos:{seed}")]);
            if player.renews {
                arm(&stage, &["expire-session:20"]);
            }
            let told = player.load(&stage, true, org::rows(rows), batch);
            told.check(rows, case.end, &stage.landed())
        });
    }
}

fn arm(stage: &Stage, faults: &[&str]) {
    for fault in faults {
        stage.server.fault(fault.parse::<Fault>().unwrap());
    }
}

/// Plays every case to every player, all at once, and prints what came of it: a word for the table,
/// or what is wrong.
fn table(
    what: &str,
    cases: &[Case],
    play: impl Fn(&Case, &Player) -> Result<String, String> + Sync,
) {
    let mut text = format!("{what:34}");
    for player in &PLAYERS {
        write!(text, " {:30}", player.name).unwrap();
    }
    let mut wrong = Vec::new();
    thread::scope(|scope| {
        let play = &play;
        let row = |case| PLAYERS.each_ref().map(|player| scope.spawn(move || play(case, player)));
        let rows: Vec<_> = cases.iter().map(|case| (case.name, row(case))).collect();
        for (name, row) in rows {
            write!(text, "\n{name:34}").unwrap();
            for (told, player) in row.into_iter().zip(&PLAYERS) {
                let told = told.join().unwrap().unwrap_or_else(|why| {
                    wrong.push(format!("{name}, {}: {why}", player.name));
                    "WRONG".into()
                });
                write!(text, " {told:30}").unwrap();
            }
        }
    });
    println!("{text}\n");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
