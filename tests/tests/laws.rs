//! The laws of the machine, as the page of `sfbulk::job` states them, in thousands of seeded worlds.
//!
//! A world is a small load or query, a network that delays, reorders and repeats, a server on which
//! all goes wrong that can, and an application that speaks out of turn. `SEEDS=n` plays more worlds,
//! `SEED=k` only that one; where a law is broken, the conversation is printed.
//!
//! What these laws come to, that no row is lost or doubled and none reported wrongly, also when a
//! client is killed and another goes on (laws 6 to 8), is for `simulation.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use sfbulk::rows::Batch;
use sfbulk::{
    Bounds, Error, ErrorKind, Failure, Job, Note, Reply, Session, Spec, Step, Summary, Tag, Time,
    Transcript,
};
use sfbulk_tests::chance::Chance;
use sfbulk_tests::desk::Desk;
use sfbulk_tests::dialogue;
use sfbulk_tests::faults::Trouble;
use sfbulk_tests::offline::{Offline, Said, batches};
use sfbulk_tests::script::Kind;
use sfbulk_tests::server::{CANARY, INSTANCE, Server};

/// No run of these sizes needs as many steps; one that takes more would never end.
const STEPS: usize = 20_000;

/// A world, and what its seed put into it.
struct World {
    seed: u64,
    offline: Offline,
    /// The records of the load, or of the query's result.
    records: Vec<String>,
    /// The same records, cut.
    batches: Vec<Batch>,
    query: bool,
    parallel: usize,
}

/// How wild a world is.
#[derive(Clone, Copy, PartialEq)]
enum Weather {
    /// Only latencies and the order of events vary.
    Fair,
    /// Requests and answers go wrong in every way.
    Foul,
    /// Besides, the application says the wrong things at the wrong time.
    Mad,
}

fn world(seed: u64, weather: Weather) -> World {
    let mut chance = Chance::new(seed);
    let query = chance.once_in(3);
    let records = records(&mut chance, query);
    let parallel = 1 + chance.index(5);
    let bounds = Bounds { parallel, ..Bounds::default() };
    let takes = [0, 1, 20, 300][chance.index(4)];
    let mut server = Server::default().takes(chance.within(Duration::from_secs(takes)));
    let (spec, batches) = if query {
        server = server.table(records.clone(), 1 + chance.index(8));
        (Spec::query("SELECT Id, Name FROM Account"), Vec::new())
    } else {
        let refs: Vec<&str> = records.iter().map(String::as_str).collect();
        (Spec::insert("Account"), batches("Name", &refs, 1 + chance.index(6)))
    };
    let (spec, fed) = (spec.seed(seed).bounds(bounds).record(), batches.clone());
    if weather != Weather::Fair {
        server.trouble = Some(Trouble::unbounded(chance.clone()));
    }
    let job = Job::new(spec).unwrap();
    let mut offline = Offline::new(job, batches, server);
    offline.network.piece = 1 + chance.index(100);
    if weather == Weather::Mad {
        speak_out_of_turn(&mut offline, &mut chance);
    }
    offline.network.chance = Some(chance);
    World { seed, offline, records, batches: fed, query, parallel }
}

fn records(chance: &mut Chance, query: bool) -> Vec<String> {
    let count = chance.below(40);
    let trouble = chance.once_in(2);
    let record = |row| match chance.below(60) {
        0 if trouble && !query => format!("broken {row}"),
        1 if trouble && !query => format!("refused {row}"),
        2..8 if trouble && !query => format!("bad {row}"),
        _ => format!("row {row}"),
    };
    (0..count).map(record).collect()
}

/// The application stops, aborts, answers what was not asked, and repeats itself.
fn speak_out_of_turn(offline: &mut Offline, chance: &mut Chance) {
    if chance.once_in(8) {
        offline.logins = u32::try_from(chance.below(3)).unwrap();
    }
    for _ in 0..chance.below(4) {
        let most = [1, 60][chance.index(2)];
        let at = chance.within(Duration::from_secs(most));
        let n = chance.below(30);
        match chance.below(8) {
            0 => offline.tell(at, "abort", |job, _| job.abort()),
            7 => offline.tell(at, "leave", |job, _| job.leave()),
            1 => offline.tell(at, "stop", |job, _| job.stop(disk_full())),
            2 => offline.tell(at, "end", |job, _| job.end()),
            3 => offline.tell(at, "feed again", move |job, _| job.feed(strange(n))),
            4 => offline.tell(at, "a session of its own", |job, _| {
                job.login(Session::new(INSTANCE, "00D!old").unwrap());
            }),
            5 => offline.tell(at, "an unknown tag", move |job, now| {
                job.reply(unknown_tag(900 + n), now, Reply::Failed(Failure::Lost("?".into())));
            }),
            _ => offline.tell(at, "feed nothing, backwards", |job, _| {
                let row = job.summary().rows;
                job.feed(Batch { rows: row..row / 2, ..strange(0) });
            }),
        }
    }
}

fn disk_full() -> Error {
    Error::new(ErrorKind::Local, "the disk is full")
}

/// A batch that follows on nothing.
fn strange(n: u64) -> Batch {
    Batch { rows: 1000 + n..1002 + n, body: Bytes::from_static(b"Name\nx\ny\n"), source: 0..0 }
}

/// A tag that no job of these worlds has used: another job's nth.
fn unknown_tag(n: u64) -> Tag {
    let (tries, retries) = (u32::MAX, u64::MAX);
    let bounds = Bounds { tries, few_tries: tries, retries, ..Bounds::default() };
    let mut job = Job::new(Spec::query("SELECT Id FROM Account").bounds(bounds)).unwrap();
    job.login(Session::new(INSTANCE, "00D!x").unwrap());
    let (mut now, mut last) = (Time::ZERO, None);
    while last.is_none_or(|tag: Tag| tag.to_string() != format!("#{n}")) {
        match job.poll(now) {
            Step::Send(call) => {
                last = Some(call.tag);
                job.reply(call.tag, now, Reply::Failed(Failure::Unsent("no route".into())));
            }
            Step::Wait(Some((at, _))) => now = at,
            _ => {}
        }
    }
    last.unwrap()
}

// ---- playing ----

/// Plays one share of the worlds wanted; `check` looks at each when it is over.
fn play_all(share: u64, weather: Weather, check: impl Fn(&mut World, &Result<Summary, Error>)) {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(2000) / share,
    };
    for seed in seeds {
        let mut told = Told(world(seed, weather));
        let result = play(&mut told.0);
        check(&mut told.0, &result);
    }
}

/// A world that tells of itself if a law is broken in it.
struct Told(World);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0.seed;
            println!("{}", dialogue::render(&self.0.offline.log));
            println!("this was SEED={seed}");
        }
    }
}

/// Plays a world to its end, with the laws that hold at every step.
fn play(world: &mut World) -> Result<Summary, Error> {
    let offline = &mut world.offline;
    for _ in 0..STEPS {
        let step = offline.poll();
        if let Step::Wait(wait) = &step {
            let again = offline.poll();
            let Step::Wait(same) = again else { panic!("not Wait but {again:?}") };
            assert_eq!(*wait, same, "level-triggered");
            assert!(wait.is_none_or(|(at, _)| at > offline.now()), "busy loop");
            assert!(wait.is_some() || offline.under_way() > 0, "dead end");
        }
        if let Some(result) = offline.perform(step) {
            let again = offline.poll();
            assert!(matches!(again, Step::Done(_)), "not Done but {again:?}");
            return result;
        }
    }
    panic!("the run does not end");
}

/// What was said in a world, and which request each tag stands for.
struct Trail<'a> {
    query: bool,
    log: &'a [(Time, Said)],
    tags: BTreeMap<Tag, &'a http::Request<Bytes>>,
}

impl<'a> Trail<'a> {
    fn of(world: &'a World) -> Self {
        let log = &world.offline.log[..];
        let requests = log.iter().filter_map(|(_, said)| match said {
            Said::Request(tag, request) => Some((*tag, request)),
            _ => None,
        });
        Self { query: world.query, log, tags: requests.collect() }
    }

    fn kind(&self, tag: Tag) -> Kind {
        Kind::of(self.tags[&tag])
    }

    /// Whether this call sends the batch of a load.
    fn loads(&self, tag: Tag) -> bool {
        !self.query && self.kind(tag) == Kind::Submit
    }

    /// The path of the job that this call is about.
    fn job(&self, tag: Tag) -> &str {
        let path = self.tags[&tag].uri().path();
        path.split_once("/batch").map_or(path, |(job, _)| job)
    }

    /// Whether it was known at this place of the log that the batch of this call never will arrive:
    /// its job took no more batches, and was listed after that.
    fn is_fenced(&self, batch: Tag, at: usize) -> bool {
        let job = self.job(batch);
        let (mut closed, mut asked, mut listed) = (false, BTreeSet::new(), false);
        for (_, said) in &self.log[..at] {
            match said {
                Said::Note(Note::Closed(id) | Note::Aborted(id)) => {
                    closed |= job.ends_with(id.as_str());
                }
                Said::Request(tag, request) if Kind::of(request) == Kind::List && closed => {
                    asked.insert(*tag);
                }
                Said::Answer(tag, _) => listed |= asked.contains(tag) && self.job(*tag) == job,
                _ => {}
            }
        }
        listed
    }

    /// Whether the answer to a batch leaves it certain that it was not taken.
    fn refused(answer: &http::Response<Bytes>) -> bool {
        let body = String::from_utf8_lossy(answer.body());
        let word = ["exceptionCode", "errorCode"].iter().any(|mark| body.contains(mark));
        word && body.trim_end().ends_with(['>', ']']) && !body.contains("InternalServerError")
            || answer.status().is_client_error() && answer.status() != 408
    }
}

// ---- the laws ----

#[test]
fn law_1_any_input_at_any_time_and_every_run_ends() {
    play_all(1, Weather::Mad, |world, result| {
        if let Ok(summary) = result {
            assert_eq!(summary, world.offline.job.summary());
            let waiting = world.offline.server.waiting(world.offline.now());
            let all_said = summary.left_open.is_empty();
            assert!(waiting == 0 || !all_said, "{waiting} batches are still going to run");
        }
    });
}

#[test]
fn law_2_and_3_waiting_is_repeatable_and_neither_a_busy_loop_nor_a_dead_end() {
    // `play` checks this at every step of every world.
    play_all(1, Weather::Foul, |world, _| assert!(world.offline.job.summary().calls < 500));
}

#[test]
fn law_4_never_more_batches_are_held_than_allowed() {
    play_all(2, Weather::Foul, |world, _| {
        let (trail, mut held) = (Trail::of(world), Vec::new());
        for (_, said) in trail.log {
            match said {
                Said::Fed(rows, _) => held.push(rows.start),
                Said::Request(_, request) if !world.query && Kind::of(request) == Kind::Submit => {
                    assert!(held.contains(&row_of(world, request.body())), "sent, but not held");
                }
                Said::Note(Note::Accepted { rows, .. } | Note::Found { rows, .. }) => {
                    held.retain(|row| *row != rows.start);
                }
                Said::Outcomes(None, outcomes) => held.retain(|row| *row != outcomes[0].row),
                // What looked like a refusal broke off.
                Said::Failed(tag, Failure::Lost(_)) if trail.loads(*tag) => {
                    let row = row_of(world, trail.tags[tag].body());
                    held.retain(|held| *held != row);
                    held.push(row);
                }
                Said::Answer(tag, answer) if trail.loads(*tag) && is_invalid_batch(answer) => {
                    held.retain(|row| *row != row_of(world, trail.tags[tag].body()));
                }
                _ => {}
            }
            assert!(held.len() <= world.parallel, "{held:?} held");
        }
    });
}

fn is_invalid_batch(answer: &http::Response<Bytes>) -> bool {
    String::from_utf8_lossy(answer.body()).contains("<exceptionCode>InvalidBatch<")
}

/// The row a load's batch begins with.
fn row_of(world: &World, body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap();
    let first = text.lines().nth(1);
    let at = world.records.iter().position(|record| Some(record.as_str()) == first);
    at.expect("a record of the load") as u64
}

#[test]
fn law_5_equal_inputs_give_equal_steps_to_the_byte() {
    play_all(4, Weather::Mad, |first, _| {
        let mut second = world(first.seed, Weather::Mad);
        let _ = play(&mut second);
        let (first, second) = (&first.offline.log, &second.offline.log);
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    });
}

#[test]
fn law_5_a_recorded_conversation_is_held_again_word_for_word() {
    play_all(1, Weather::Foul, |world, result| {
        let recorded = world.offline.job.transcript().unwrap();
        let stored = serde_json::to_string(recorded).unwrap();
        assert!(!stored.contains(CANARY) && !stored.contains("acme"), "a secret was stored");
        let transcript: Transcript = serde_json::from_str(&stored).unwrap();
        let mut job = Job::new(world.offline.job.spec().clone()).unwrap();
        let login = || Session::new("https://other.example", "00D!x").unwrap();
        let mut desk = Desk::new(world.batches.clone(), login);
        let again = transcript.replay(&mut job, &mut desk).unwrap_or_else(|d| panic!("{d}"));
        assert_eq!(format!("{again:?}"), format!("{result:?}"));
        assert_eq!(desk.outcomes, world.offline.outcomes);
        assert!(
            desk.csv.ends_with(&world.offline.records)
                && desk.csv.is_empty() == world.offline.records.is_empty()
        );
        assert_eq!(job.transcript(), Some(&transcript), "the record of a replay is the same");
    });
}

#[test]
fn law_7_a_batch_is_sent_again_only_if_it_was_certainly_not_taken() {
    play_all(1, Weather::Foul, |world, _| {
        if world.query {
            return; // sent twice, a query writes nothing twice
        }
        let trail = Trail::of(world);
        let mut open: BTreeMap<&Bytes, Tag> = BTreeMap::new();
        for (at, (_, said)) in trail.log.iter().enumerate() {
            match said {
                Said::Request(tag, request) if Kind::of(request) == Kind::Submit => {
                    if let Some(before) = open.insert(request.body(), *tag) {
                        let fenced = trail.is_fenced(before, at);
                        assert!(fenced, "{tag} repeats {before}, which may still arrive");
                    }
                }
                Said::Failed(tag, Failure::Unsent(_)) => open.retain(|_, sent| sent != tag),
                Said::Answer(tag, answer) if Trail::refused(answer) => {
                    open.retain(|_, sent| sent != tag);
                }
                _ => {}
            }
        }
    });
}

#[test]
fn a_job_is_not_closed_while_a_batch_is_on_its_way() {
    play_all(2, Weather::Foul, |world, _| {
        let (trail, mut on_its_way) = (Trail::of(world), BTreeSet::new());
        for (_, said) in trail.log {
            match said {
                Said::Request(tag, request) if Kind::of(request) == Kind::Submit => {
                    on_its_way.insert(*tag);
                }
                Said::Request(_, request) if Kind::of(request) == Kind::Close => {
                    assert!(on_its_way.is_empty(), "{on_its_way:?} may come too late");
                }
                Said::Failed(tag, _) | Said::Answer(tag, _) => {
                    on_its_way.remove(tag);
                }
                _ => {}
            }
        }
    });
}

#[test]
fn one_login_follows_an_expired_session_however_many_calls_it_broke() {
    play_all(2, Weather::Foul, |world, _| {
        let asked = |said: &Said| matches!(said, Said::WantsSession(Some(_)));
        let logins = world.offline.log.iter().filter(|(_, said)| asked(said)).count();
        let expiries = world.offline.server.expiries();
        assert!(logins <= expiries, "{logins} logins for {expiries} expired sessions");
    });
}

#[test]
fn in_fair_weather_everything_succeeds() {
    play_all(4, Weather::Fair, |world, result| {
        let summary = result.as_ref().unwrap();
        assert_eq!((summary.unprocessed, summary.retries), (0, 0));
        assert_eq!(summary.rows, world.records.len() as u64);
        let broken = world.records.iter().any(|record| record.starts_with("broken"));
        assert!(summary.unknown == 0 || broken);
        assert!(summary.left_open.is_empty());
    });
}

#[test]
fn polls_are_few() {
    play_all(2, Weather::Foul, |world, _| assert_polls_are_few(world));
}

#[test]
fn polls_are_few_however_long_the_load_takes() {
    for hours in [1, 4, 12] {
        let server = Server::default().takes(Duration::from_secs(hours * 3600));
        let job = Job::new(Spec::insert("Account").seed(hours)).unwrap();
        let offline = Offline::new(job, batches("Name", &["row 0"], 1), server);
        let records = vec!["row 0".into()];
        let mut world =
            World { seed: hours, offline, records, batches: Vec::new(), query: false, parallel: 4 };
        play(&mut world).unwrap();
        assert_polls_are_few(&world);
    }
}

// ---- what the laws say ----

/// At most 20 polls of a job, and one more for each half minute.
fn assert_polls_are_few(world: &World) {
    let trail = Trail::of(world);
    let mut polls: BTreeMap<&str, Vec<Time>> = BTreeMap::new();
    for (at, said) in trail.log {
        if let Said::Request(_, request) = said
            && Kind::of(request) == Kind::List
        {
            polls.entry(request.uri().path()).or_default().push(*at);
        }
    }
    let retries = world.offline.job.summary().retries;
    for times in polls.values() {
        let elapsed = times[times.len() - 1].saturating_since(times[0]).as_secs();
        let most = 20 + elapsed / 30 + retries;
        assert!(times.len() as u64 <= most, "{} polls in {elapsed} s", times.len());
    }
}
