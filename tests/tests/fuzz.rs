//! Every target of `sfbulk_tests::targets` on what is nearly right, and on what chance makes of it.
//!
//! `FUZZ=60` stays with each target for 60 seconds, not for one; `SEED=7` takes other chances.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use sfbulk_tests::chance::Chance;
use sfbulk_tests::mutate::{mutate, shrink};
use sfbulk_tests::seeds::{seeds, words};
use sfbulk_tests::targets::{TARGETS, Target};

/// What takes longer is taken for a hang; a target takes a hundredth of it, and a new org a tenth.
const HANG: Duration = Duration::from_secs(2);

/// Documents above this are not cut at every byte.
const SMALL: usize = 8 << 10;

/// More memory than the whole test ever needs, in kilobytes.
const MEMORY: u64 = 512 << 10;

/// The name of the threads that try.
const WORKER: &str = "fuzz";

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().expect(name))
}

/// The project's own seeds, and recorded documents where they are at hand.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let mut inputs = seeds(target);
    let of_documents =
        ["cutter", "records", "framer", "framer_json", "framer_xml", "outcomes", "document"]
            .contains(&target);
    if let Some(folder) = env::var_os("SFBULK_RECORDINGS").filter(|_| of_documents) {
        recordings(Path::new(&folder), &mut inputs);
    }
    assert!(!inputs.is_empty(), "{target} has no seeds");
    inputs
}

fn recordings(folder: &Path, inputs: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let small = || path.metadata().is_ok_and(|file| file.len() <= SMALL as u64);
        let ending = path.extension().unwrap_or_default();
        if path.is_dir() {
            recordings(&path, inputs);
        } else if ["csv", "xml", "json"].iter().any(|known| ending == *known) && small() {
            inputs.push(fs::read(path).unwrap());
        }
    }
}

/// Why a target fails on an input, if it does.
fn failure(target: &Target, input: &[u8]) -> Option<String> {
    let began = Instant::now();
    let why = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("a panic").to_owned(),
    };
    match catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        Err(panic) => Some(why(panic)),
        Ok(()) if began.elapsed() > HANG => Some(format!("took {:?}", began.elapsed())),
        Ok(()) => None,
    }
}

/// Tries a target on its seeds and on changes to them, for so long. Tells how often.
fn fuzz(target: &Target, time: Duration, chance: &mut Chance) -> Result<u64, String> {
    let (inputs, words) = (inputs(target.name), words(target.name));
    let (began, mut executions) = (Instant::now(), 0);
    let mut changed = std::iter::repeat_with(|| mutate(chance, &inputs, words));
    let seeds = inputs.iter().cloned();
    for input in seeds
        .chain(std::iter::from_fn(|| (began.elapsed() < time).then(|| changed.next()).flatten()))
    {
        executions += 1;
        if failure(target, &input).is_some() {
            let input = shrink(input, |shorter| failure(target, shorter).is_some());
            let why = failure(target, &input).unwrap_or_default();
            return Err(format!(
                "after {executions} executions: {why}\n  REGRESSIONS: (\"{}\", b\"{}\")",
                target.name,
                input.escape_ascii()
            ));
        }
    }
    Ok(executions)
}

#[test]
fn no_input_breaks_a_reader() {
    let time = setting("FUZZ").map_or(Duration::from_secs(1), Duration::from_secs);
    let seed = setting("SEED").unwrap_or(1);
    let only = env::var("TARGET").ok();
    let chosen =
        TARGETS.iter().filter(|target| only.as_ref().is_none_or(|name| name == target.name));
    let waiting: Mutex<VecDeque<&Target>> = Mutex::new(chosen.collect());
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some(target) = { waiting.lock().unwrap().pop_front() } {
            match fuzz(target, time, &mut Chance::new(seed)) {
                Ok(executions) => println!("{:12} {executions:9} executions", target.name),
                Err(why) => failures.lock().unwrap().push(format!("{}: {why}", target.name)),
            }
        }
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // What fails while it is tried is told below, shrunk.
        if thread::current().name() != Some(WORKER) {
            hook(panic);
        }
    }));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            thread::Builder::new().name(WORKER.into()).spawn_scoped(scope, work).unwrap();
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    if let Some(peak) = peak_memory() {
        assert!(peak < MEMORY, "{peak} kB of memory were needed");
    }
}

/// In kilobytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[test]
fn a_text_means_the_same_wherever_it_is_cut() {
    for Target { name, told, .. } in TARGETS {
        let Some(told) = told else { continue };
        for text in inputs(name).iter().filter(|text| text.len() <= SMALL) {
            let whole = told(text, &[]);
            for at in 1..text.len() {
                assert_eq!(
                    told(text, &[at]),
                    whole,
                    "{name}, cut at {at}: {}",
                    text.escape_ascii()
                );
            }
        }
    }
}

#[test]
fn every_target_has_a_binary_for_libfuzzer() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    for Target { name, .. } in TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
    }
}
