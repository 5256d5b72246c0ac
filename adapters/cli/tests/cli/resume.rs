//! Runs that are cut off and go on: killed at any moment, stopped, or out of time.
//!
//! The org is served by this process, so it outlives the command. `KILLS=n` kills more runs.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use sfbulk_org::{Config, Fault, Limits, Org, Server, serve};

use crate::stage::{Ran, Stage};

/// What the session of this org must never be found in.
const CANARY: &str = "CANARY";
const ROWS: usize = 1000;
const INSERT: [&str; 8] =
    ["insert", "Account", "in.csv", "-b", "20", "--success", "success.csv", "--quiet"];

/// A folder with an input, and an org that takes a while for each batch.
struct World {
    stage: Stage,
    org: Server,
}

impl World {
    fn new() -> Self {
        Self::with(Duration::from_millis(1))
    }

    fn with(latency: Duration) -> Self {
        let session = format!("00D000000000001!PRACTICE{CANARY}");
        let config = Config::new().latency(latency).session(session).limits(Limits::default());
        let org = serve(Org::in_memory_with(config).unwrap(), 0).unwrap();
        let stage = Stage::new();
        stage.file("in.csv", input());
        Self { stage, org }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.stage.command(args);
        command.env("SF_ORG_INSTANCE_URL", self.org.url());
        command.env("SF_ACCESS_TOKEN", self.org.session());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    fn spawn(&self, args: &[&str]) -> Child {
        self.stage.spawn(&mut self.command(args))
    }

    /// Every record's id, by its name; each name is there once.
    fn accounts(&self) -> BTreeMap<String, String> {
        let ran = self.run(&["query", "SELECT Id, Name FROM Account"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let mut reader = csv::Reader::from_reader(ran.out.as_bytes());
        let mut found = BTreeMap::new();
        for row in reader.records().map(Result::unwrap) {
            let before = found.insert(row[1].to_owned(), row[0].to_owned());
            assert_eq!(before, None, "{} is there twice", &row[1]);
        }
        found
    }

    /// What `success.csv` holds if nothing goes wrong, with the ids that the org gave.
    fn undisturbed(&self) -> String {
        let ids = self.accounts();
        let mut text = "ID,Name,STATUS\n".to_owned();
        for n in 0..ROWS {
            let name = name(n);
            writeln!(text, "{},{name},Item Created", ids[&name]).unwrap();
        }
        text
    }

    /// The run is over, and it is as if nothing had happened.
    fn assert_whole(&self) {
        assert_eq!(self.accounts().len(), ROWS, "every row is there once");
        assert_eq!(self.stage.read("success.csv"), self.undisturbed());
        assert_eq!(self.stage.names(), ["in.csv", "success.csv"]);
        assert!(self.stage.journals().is_empty());
        // A killed process may leave its lock; the next run removes it. No input is left.
        for entry in self.stage.state().join("sfbulk").read_dir().unwrap() {
            let path = entry.unwrap().path();
            let end = path.extension().unwrap();
            assert!(end == "lock" || end == "partial", "{}", path.display());
        }
    }
}

fn name(n: usize) -> String {
    format!("row {n:05}")
}

fn input() -> String {
    let rows: String = (0..ROWS).map(|n| name(n) + "\n").collect();
    format!("Name\n{rows}")
}

/// A time below `most`, another one for each n, the same in every run of the tests.
fn moment(n: u64, most: Duration) -> Duration {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    most * u32::try_from(z % 1000).unwrap() / 1000
}

fn kill(mut child: Child) {
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

fn interrupt(child: &Child) {
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
}

#[test]
fn killed_at_any_moment_and_resumed_a_load_is_as_if_nothing_had_happened() {
    let kills = env::var("KILLS").map_or(12, |kills| kills.parse().unwrap());
    let world = World::new();
    let start = Instant::now();
    assert_eq!(world.run(&INSERT).code, Some(0));
    let whole = start.elapsed();
    world.assert_whole();
    let (mut before, mut on_the_way, mut resumed) = (0, 0, 0);
    for n in 0..kills {
        let world = World::new();
        let format = ["csv", "json", "xml"][usize::try_from(n / 2 % 3).unwrap()];
        let args = [&INSERT[..], &["--format", format]].concat();
        let child = world.spawn(&args);
        thread::sleep(moment(n, whole.mul_f64(1.1)));
        kill(child);
        if world.stage.journals().is_empty() {
            before += 1; // nothing was sent yet, or all was over
            if world.accounts().is_empty() {
                assert_eq!(world.run(&args).code, Some(0));
            }
            world.assert_whole();
            continue;
        }
        on_the_way += 1;
        if n % 3 == 0 {
            let child = world.spawn(&["resume", "--quiet"]);
            thread::sleep(moment(n + 1000, whole / 2));
            kill(child);
        }
        if !world.stage.journals().is_empty() {
            let ran = world.run(&["resume", "--quiet"]);
            assert_eq!(ran.code, Some(0), "kill {n}: {ran:?}");
            resumed += 1;
        }
        world.assert_whole();
    }
    println!("{kills} kills: {before} outside of the run, {on_the_way} in it, {resumed} resumed");
    assert!(resumed * 3 >= kills, "few kills met the run: {resumed} of {kills}");
}

#[test]
fn the_embedded_org_is_killed_with_the_command_and_goes_on_with_it() {
    let stage = Stage::new();
    stage.file("in.csv", input());
    let args = [&INSERT[..], &["--org", "practice"]].concat();
    for n in 0..3 {
        let child = stage.spawn(&mut stage.command(&args));
        while stage.journals().is_empty() {
            thread::sleep(Duration::from_millis(2));
        }
        thread::sleep(moment(n, Duration::from_millis(60)));
        kill(child);
        if !stage.journals().is_empty() {
            let ran = stage.run(&["resume"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        let ran = stage.run(&["query", "SELECT Name FROM Account", "--org", "practice"]);
        let rows = ran.out.lines().count() - 1;
        assert_eq!(rows, ROWS * (usize::try_from(n).unwrap() + 1), "{ran:?}");
    }
}

#[test]
fn ctrl_c_leaves_a_run_and_says_how_to_go_on() {
    let world = World::with(Duration::from_millis(300));
    let child = world.spawn(&INSERT[..7]);
    let job = loop {
        thread::sleep(Duration::from_millis(5));
        let journals = world.stage.journals().into_iter();
        let journal: String = journals.map(|path| fs::read_to_string(path).unwrap()).collect();
        if let Some((_, job)) = journal.split_once("\"jobs\":[{\"id\":\"") {
            break job[..18].to_owned();
        }
    };
    interrupt(&child);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.err.contains("of 50 batches sent, nothing is lost."), "{ran:?}");
    assert!(ran.err.contains(&format!("sfbulk resume {job}")), "{ran:?}");
    assert!(ran.err.contains(&format!("sfbulk abort {job}")), "{ran:?}");
    let ran = world.run(&["jobs"]);
    assert!(ran.out.contains(&format!("sfbulk resume {job}")), "{ran:?}");
    for wrong in ["7500000000000zz", "no job"] {
        let ran = world.run(&["resume", wrong]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    assert_eq!(world.run(&["resume", &job[..15], "-q"]).code, Some(0));
    world.assert_whole();
    let ran = world.run(&["resume"]);
    assert_eq!((ran.code, ran.err.contains("there is no run to go on with")), (Some(2), true));
}

#[test]
fn a_run_out_of_time_ends_with_4_and_can_be_ended_for_good() {
    let world = World::with(Duration::from_secs(4));
    let start = Instant::now();
    let ran = world.run(&[&INSERT[..], &["--wait", "1s", "--json"]].concat());
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(ran.err.contains("sfbulk resume 750"), "{ran:?}");
    assert!(ran.out.contains("\"state\":\"unfinished\"") && ran.out.contains("\"exit_code\":4"));
    let ran = world.run(&["abort", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains("\"state\":\"aborted\""), "{ran:?}");
    assert!(world.stage.journals().is_empty());
    // Every row is in one file, and those that succeeded are in the org.
    let names = world.stage.names();
    let lines = |end: &str| {
        let name = names.iter().find(|name| name.ends_with(end));
        name.map_or(0, |name| world.stage.read(name).lines().count() - 1)
    };
    assert_eq!(lines("success.csv") + lines("unprocessed.csv"), ROWS, "{names:?}");
    assert_eq!(world.accounts().len(), lines("success.csv"));
    assert!(lines("unprocessed.csv") > 0, "{names:?}");
}

#[test]
fn detached_a_run_leaves_once_all_is_sent() {
    let world = World::with(Duration::from_millis(400));
    let ran = world.run(&[&INSERT[..], &["--detach"]].concat());
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.err.contains("50 of 50 batches sent"), "{ran:?}");
    assert_eq!(world.run(&["resume", "-q"]).code, Some(0));
    world.assert_whole();
}

#[test]
fn another_input_another_org_and_a_second_process_are_refused() {
    let world = World::with(Duration::from_millis(800));
    let args = [&INSERT[..], &["--wait", "1s"]].concat();
    let child = world.spawn(&args);
    while world.stage.journals().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    let ran = world.run(&["resume"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("still going on in another process"), "{ran:?}");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(4));

    let ran = Ran::from(
        world
            .command(&["resume"])
            .env("SF_ORG_INSTANCE_URL", "http://127.0.0.1:1")
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("is of another"), "{ran:?}");

    world.stage.file("in.csv", input().replace("row 00000", "row 99999"));
    let ran = world.run(&["resume"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("was changed since the run began"), "{ran:?}");
    assert!(!world.accounts().contains_key("row 99999"));
}

fn kill_a_load_from_a_pipe(world: &World) {
    let args = ["insert", "Account", "-b", "20", "--success", "success.csv", "-q"];
    let mut child = world.stage.spawn(world.command(&args).stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(input().as_bytes()).unwrap();
    while !world.stage.path("success.csv").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    kill(child);
}

#[test]
fn what_came_from_a_pipe_is_kept_until_the_run_is_over() {
    let world = World::with(Duration::from_millis(300));
    kill_a_load_from_a_pipe(&world);
    assert_eq!(world.run(&["resume", "-q"]).code, Some(0));
    world.assert_whole();
}

#[test]
fn what_cannot_be_resumed_now_stays_as_it_was() {
    let world = World::with(Duration::from_millis(300));
    kill_a_load_from_a_pipe(&world);
    let before = world.stage.read("success.csv");
    // The journal cannot be written: its new content has a folder in the way.
    let journal = world.stage.journals().remove(0);
    let partial = journal.with_extension("json.partial");
    fs::remove_file(&partial).ok(); // the process may have been killed while it wrote it
    fs::create_dir(&partial).unwrap();
    let ran = world.run(&["resume"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(
        world.stage.names(),
        ["in.csv", "success.csv"],
        "no rows are offered for another load"
    );
    assert_eq!(world.stage.read("success.csv"), before);
    fs::remove_dir(&partial).unwrap();
    assert_eq!(world.run(&["resume", "-q"]).code, Some(0));
    world.assert_whole();
}

#[test]
fn without_a_name_the_newest_run_is_meant_that_no_process_is_at() {
    let world = World::with(Duration::from_secs(4));
    assert_eq!(world.run(&[&INSERT[..], &["--wait", "1s"]].concat()).code, Some(4));
    let child = world.spawn(&["query", "SELECT Id FROM Account", "--output", "out.csv"]);
    while world.stage.journals().len() < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    let ran = world.run(&["resume", "-q", "--wait", "1s"]);
    assert_eq!(ran.code, Some(4), "the load's: {ran:?}");
    assert!(ran.err.contains("1 more not over") && ran.err.contains("batches sent"), "{ran:?}");
    kill(child);
}

#[test]
fn what_the_org_has_said_to_a_query_is_its_last_word() {
    let world = World::new();
    let ran = world.run(&["query", "SELECT Nothing FROM Account", "--output", "out.csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(world.stage.journals().is_empty(), "{ran:?}");
}

#[test]
fn a_query_into_a_file_goes_on() {
    let world = World::new();
    assert_eq!(world.run(&INSERT).code, Some(0));
    let soql = "SELECT Name FROM Account ORDER BY Name";
    let whole = world.run(&["query", soql]).out;
    for n in 0..4 {
        let child = world.spawn(&["query", soql, "--output", "out.csv"]);
        while world.stage.journals().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(moment(n, Duration::from_millis(40)));
        kill(child);
        if !world.stage.journals().is_empty() {
            assert!(!world.stage.path("out.csv").exists());
            let ran = world.run(&["resume"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        assert_eq!(world.stage.read("out.csv"), whole);
        fs::remove_file(world.stage.path("out.csv")).unwrap();
        assert!(world.stage.journals().is_empty());
    }
}

#[test]
fn a_short_result_is_read_again_from_the_beginning() {
    let world = World::new();
    assert_eq!(world.run(&INSERT).code, Some(0));
    world.org.fault("short-result:1".parse::<Fault>().unwrap());
    let ran = world.run(&["query", "SELECT Name FROM Account", "--output", "out.csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.stage.read("out.csv").lines().count(), ROWS + 1);
}

#[test]
fn no_secret_is_kept_or_shown() {
    let world = World::with(Duration::from_millis(300));
    let child = world.spawn(&INSERT);
    while !world.stage.path("success.csv").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    let shown = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&shown).contains(CANARY));
    kill(child);
    let folder = world.stage.state().join("sfbulk");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(CANARY) && !text.contains("row 00"), "{file:?}: {text}");
    }
    world.org.expire_session();
    let child = world.command(&["resume"]).env("SF_ACCESS_TOKEN", format!("00D!{CANARY}")).output();
    let ran = child.unwrap();
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(!said.contains(CANARY), "{said}");
    assert_eq!(ran.status.code(), Some(1), "{said}");
    for name in world.stage.names() {
        assert!(!world.stage.read(&name).contains(CANARY), "{name}");
    }
}
