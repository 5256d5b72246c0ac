//! Many [worlds](crate::worlds), played by two threads, and what is said of them in the end.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::dialogue;
use crate::faults::MENU;
use crate::script::Kind;
use crate::worlds::World;

/// How often each (fault, kind of request) struck.
pub type Struck = BTreeMap<(&'static str, Kind), u64>;

/// What came of many worlds.
#[derive(Debug, Default)]
pub struct Played {
    /// How many were played.
    pub worlds: u64,
    /// The seeds that failed, and why.
    pub failures: Vec<(u64, String)>,
    struck: Struck,
}

/// What can go wrong, by the words of the panic that tells of it.
const WRONGS: [(&str, &str); 6] = [
    ("lost", "lost"),
    ("doubled", "doubled"),
    ("mis-matched", "mis-matched"),
    ("silent short reads", "a silent short read"),
    ("stuck", "stuck"),
    ("leaked", "leaked"),
];

/// Plays the world of this seed. An error says what was wrong, and then the whole conversation.
pub fn play(seed: u64) -> Result<Struck, String> {
    let mut world = World::of(seed);
    let result = catch_unwind(AssertUnwindSafe(|| world.play()));
    let struck = world.offline.server.trouble.take().map(|trouble| trouble.struck);
    match result {
        Ok(()) => Ok(struck.unwrap_or_default()),
        Err(why) => {
            let why = said(&*why);
            Err(format!("{why}\n{}\nthis was SEED={seed}", dialogue::render(&world.offline.log)))
        }
    }
}

/// Plays the worlds of these seeds in two threads. If it is `eager`, it ends after a failure.
pub fn play_all(seeds: std::ops::Range<u64>, eager: bool) -> Played {
    let (all, enough) = (Mutex::new(Played::default()), AtomicBool::new(false));
    thread::scope(|scope| {
        for thread in 0..2 {
            let (seeds, all, enough) = (seeds.clone(), &all, &enough);
            scope.spawn(move || {
                let mut played = Played::default();
                for seed in seeds.skip(thread).step_by(2) {
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                    played.worlds += 1;
                    match play(seed) {
                        Ok(struck) => add(&mut played.struck, struck),
                        Err(why) => {
                            eprintln!("SEED={seed} fails");
                            enough.fetch_or(eager, Ordering::Relaxed);
                            played.failures.push((seed, why));
                        }
                    }
                }
                let mut all = all.lock().unwrap();
                all.worlds += played.worlds;
                all.failures.extend(played.failures);
                add(&mut all.struck, played.struck);
            });
        }
    });
    let mut played = all.into_inner().unwrap();
    played.failures.sort();
    played
}

fn add(all: &mut Struck, struck: Struck) {
    for (what, times) in struck {
        *all.entry(what).or_default() += times;
    }
}

/// What a panic said.
pub(crate) fn said(why: &(dyn Any + Send)) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| why.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

impl Played {
    /// The page at the end: what went wrong, and which faults struck what.
    pub fn report(&self) -> String {
        let mut page = format!("{} worlds", self.worlds);
        let first = |failure: &(u64, String)| failure.1.lines().next().unwrap_or("?").to_owned();
        for (what, words) in WRONGS {
            let times = self.failures.iter().filter(|failure| first(failure).starts_with(words));
            write!(page, ", {what} {}", times.count()).unwrap();
        }
        writeln!(page, "; {} failed in all", self.failures.len()).unwrap();
        for failure in self.failures.iter().take(20) {
            writeln!(page, "  SEED={}: {}", failure.0, first(failure)).unwrap();
        }
        let pairs =
            MENU.iter().flat_map(|fault| fault.kinds.iter().map(|kind| (fault.name, *kind)));
        let (hit, missed): (Vec<_>, Vec<_>) =
            pairs.partition(|pair| self.struck.contains_key(pair));
        let (hits, all) = (hit.len(), hit.len() + missed.len());
        writeln!(
            page,
            "{} faults struck; {hits} of {all} pairs of fault and request ({} %)",
            self.struck.values().sum::<u64>(),
            100 * hits / all.max(1)
        )
        .unwrap();
        for (fault, kind) in missed {
            writeln!(page, "  not: {fault}, {kind:?}").unwrap();
        }
        page
    }
}
