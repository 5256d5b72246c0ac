//! The sweep: every [scenario](crate::scenarios) with one more fault of every kind, put at its first
//! request, at its second, and so on to the end; and with the client killed at every step. No luck is
//! in it: what can go wrong once, does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sfbulk::rows::Fate;
use sfbulk::{Job, Operation};

use crate::dialogue;
use crate::faults::{MENU, Trouble};
use crate::offline::{Offline, Said};
use crate::oracle::{End, Oracle};
use crate::scenarios::{self, Scenario};
use crate::script::Kind;
use crate::simulation::said;
use crate::worlds::oracle;

/// No scenario needs as many steps.
const STEPS: usize = 40_000;

/// What may become of the requests that were under way when the client was killed.
const LATE: [Option<Duration>; 3] = [None, Some(Duration::ZERO), Some(Duration::from_secs(100))];

/// What came of it.
#[derive(Debug, Default)]
pub struct Swept {
    pub scenarios: usize,
    pub runs: usize,
    /// What was done to which scenario, and what was wrong.
    pub failures: Vec<(String, String)>,
}

/// What is done to a scenario.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Fault { fault: usize, request: usize },
    Kill { step: usize, late: Option<Duration> },
}

/// Sweeps all scenarios, in two threads. If it is `eager`, it ends after a failure.
pub fn sweep(eager: bool) -> Swept {
    let (next, swept) = (AtomicUsize::new(0), Mutex::new(Swept::default()));
    let scenarios = scenarios::all().len();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let scenario = next.fetch_add(1, Ordering::Relaxed);
                    let enough = eager && !swept.lock().unwrap().failures.is_empty();
                    if scenario >= scenarios || enough {
                        return;
                    }
                    let (runs, failures) = sweep_one(scenario);
                    let mut swept = swept.lock().unwrap();
                    swept.scenarios += 1;
                    swept.runs += runs;
                    swept.failures.extend(failures);
                }
            });
        }
    });
    let mut swept = swept.into_inner().unwrap();
    swept.failures.sort();
    swept
}

/// How a scenario goes when it is left alone.
struct Base {
    scenario: usize,
    /// Every row had to come to what its content says, or every row of the query had to come.
    well: bool,
    requests: Vec<Kind>,
    steps: usize,
}

fn sweep_one(scenario: usize) -> (usize, Vec<(String, String)>) {
    let base = match catch_unwind(|| Base::of(scenario)) {
        Ok(base) => base,
        Err(why) => {
            return (1, vec![(format!("{}: left alone", taken(scenario).name), said(&*why))]);
        }
    };
    let mut failures = Vec::new();
    let harms: Vec<Harm> = base.harms().collect();
    for harm in &harms {
        failures.extend(base.play(*harm).err());
    }
    (harms.len(), failures)
}

fn taken(scenario: usize) -> Scenario {
    scenarios::all().swap_remove(scenario)
}

impl Base {
    fn of(scenario: usize) -> Self {
        let scene = taken(scenario);
        // Whatever is tried three times bears one more fault, if not more than one strikes it anyway.
        let bears_more = scene.server.deviations() <= 2;
        let mut play = Play::of(scene);
        let end = play.run(None).expect("nobody kills it");
        let requests = play.world.log.iter().filter_map(|(_, said)| match said {
            Said::Request(_, request) => Some(Kind::of(request)),
            _ => None,
        });
        let as_told = play.fates() == play.oracle.fates;
        let well = bears_more && end.is_ok() && as_told && !play.world.job.summary().aborted;
        Self { scenario, well, requests: requests.collect(), steps: play.steps }
    }

    fn harms(&self) -> impl Iterator<Item = Harm> + use<'_> {
        let faults = MENU.iter().enumerate().flat_map(move |(fault, what)| {
            let requests = self.requests.iter().enumerate();
            let struck = requests.filter(|(_, kind)| what.kinds.contains(kind));
            struck.map(move |(request, _)| Harm::Fault { fault, request })
        });
        let steps = 0..self.steps;
        let kills = steps.flat_map(|step| LATE.map(|late| Harm::Kill { step, late }));
        faults.chain(kills)
    }

    fn play(&self, harm: Harm) -> Result<(), (String, String)> {
        let mut play = Play::of(taken(self.scenario));
        let result = catch_unwind(AssertUnwindSafe(|| {
            let passing = play.suffer(harm);
            if self.well && passing {
                let end = play.end.as_ref().expect("it ended");
                assert!(end.is_ok(), "a passing fault, but it ended so: {end:?}");
                assert_eq!(play.fates(), play.oracle.fates, "lost: not as if nothing had happened");
            }
        }));
        result.map_err(|why| {
            let why = said(&*why);
            let name = taken(self.scenario).name;
            let harm = match harm {
                Harm::Fault { fault, request } => {
                    format!("{} at request {}", MENU[fault].name, request + 1)
                }
                Harm::Kill { step, late } => format!("killed at step {step}, late {late:?}"),
            };
            let told = dialogue::render(&play.world.log);
            (format!("{name}: {harm}"), format!("{why}\n{told}"))
        })
    }
}

/// A scenario being played.
struct Play {
    world: Offline,
    oracle: Oracle,
    batches: Vec<sfbulk::rows::Batch>,
    spec: sfbulk::Spec,
    steps: usize,
    end: End,
}

impl Play {
    fn of(scenario: Scenario) -> Self {
        let (spec, batches) = (scenario.spec.clone(), scenario.batches.clone());
        let insert = *spec.operation() == Operation::Insert;
        let oracle = oracle(&batches, insert, scenario.server.rows().to_vec());
        let mut world = scenario.offline();
        world.starts_over = true;
        Self { world, oracle, batches, spec, steps: 0, end: None }
    }

    /// Lets the harm be done, and tells whether a client can get over it.
    fn suffer(&mut self, harm: Harm) -> bool {
        let (passing, killed) = match harm {
            Harm::Fault { fault, request } => {
                let seed = request as u64;
                self.world.server.trouble = Some(Trouble::nth(request, MENU[fault], seed));
                (MENU[fault].passing, None)
            }
            Harm::Kill { step, late } => (true, Some((step, late))),
        };
        self.end = self.run(killed);
        self.oracle.run_is_over(&self.world, &self.end);
        if self.end.is_none() {
            let job = match &self.world.saved {
                Some(saved) => Job::resume(serde_json::from_str(saved).unwrap()),
                None => Job::new(self.spec.clone()),
            };
            self.world.resume(job.unwrap(), self.batches.clone());
            self.oracle.another_run();
            self.end = self.run(None);
            self.oracle.run_is_over(&self.world, &self.end);
        }
        self.oracle.world_is_over(&mut self.world, &self.end);
        passing
    }

    fn run(&mut self, killed: Option<(usize, Option<Duration>)>) -> End {
        for step in 0..STEPS {
            self.steps = step + 1;
            let next = self.world.poll();
            if let Some((_, late)) = killed.filter(|(at, _)| *at == step) {
                self.world.crash(|| late);
                self.oracle.look(&self.world);
                return None;
            }
            let end = self.world.perform(next);
            self.oracle.look(&self.world);
            if end.is_some() {
                return end;
            }
        }
        panic!("stuck: the run does not end");
    }

    fn fates(&self) -> Vec<Fate> {
        self.world.outcomes.iter().map(|outcome| outcome.fate).collect()
    }
}
