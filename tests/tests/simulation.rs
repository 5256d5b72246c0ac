//! The simulation: thousands of worlds in which networks, servers and clients fail, and an oracle that
//! knows what is on the server. See `src/worlds.rs` and `src/oracle.rs`.
//!
//! `SEEDS=n` plays so many worlds, best in a release build, from `FROM` on; `SEED=k` plays one and prints its
//! conversation. Every seed that ever failed is in `seeds.txt`, and played first.

use sfbulk_tests::simulation::{play, play_all};

/// Worlds in an ordinary run of the tests.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn no_world_has_a_row_lost_or_doubled_or_a_lie() {
    if let Some(seed) = number("SEED") {
        let told = play(seed).map_or_else(|why| why, |struck| format!("all is well; {struck:?}"));
        return println!("{told}");
    }
    for line in include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next().unwrap().parse().unwrap();
        play(seed).unwrap_or_else(|why| panic!("a seed of seeds.txt fails: {why}"));
    }
    let from = number("FROM").unwrap_or(0);
    let played = play_all(from..from + number("SEEDS").unwrap_or(SEEDS), false);
    println!("{}", played.report());
    assert!(played.failures.is_empty(), "SEED={}: {}", played.failures[0].0, played.failures[0].1);
}
