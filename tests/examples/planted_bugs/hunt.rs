//! Looks for what is wrong with a variant of the core, and says where it shows.

use sfbulk_tests::simulation::play_all;
use sfbulk_tests::sweep::sweep;

/// Worlds that are played before the bug is said to have survived, and how many at a time.
const SEEDS: u64 = 10_000;
const AT_A_TIME: u64 = 250;

fn main() {
    std::panic::set_hook(Box::new(|_| {})); // it is expected
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    for from in (0..SEEDS).step_by(usize::try_from(AT_A_TIME).unwrap()) {
        let played = play_all(from..from + AT_A_TIME, false);
        if let Some((seed, why)) = played.failures.first() {
            return println!("seed {seed}\t{}", first_line(why));
        }
        if from == 0
            && let Some((what, why)) = sweep(true).failures.first()
        {
            return println!("{what}\t{}", first_line(why));
        }
    }
}
