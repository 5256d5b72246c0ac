//! How long to wait before the next try: exponential, with jitter from a seed.
//!
//! Jitter spreads clients that failed together; a seed in place of chance makes every run of the
//! machine repeatable to the byte.

use std::time::Duration;

/// A source of jitter: `SplitMix64`, ten lines that pass the usual tests.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A time between half of `wait` and `wait`.
    pub(crate) fn spread(&mut self, wait: Duration) -> Duration {
        wait / 2 + self.up_to(wait / 2)
    }

    /// A time between `wait` and a quarter more.
    pub(crate) fn stretch(&mut self, wait: Duration) -> Duration {
        wait + self.up_to(wait / 4)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.next() % micros)
    }
}

/// `first`, times `factor` for each earlier step, never more than `most`.
pub(crate) fn grow(first: Duration, factor: f64, most: Duration, step: u32) -> Duration {
    let seconds = first.as_secs_f64() * factor.powi(i32::try_from(step.min(64)).unwrap_or(64));
    most.min(Duration::try_from_secs_f64(seconds).unwrap_or(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_cap_and_jitter_stays_in_the_upper_half() {
        let (first, most) = (Duration::from_secs(1), Duration::from_secs(60));
        let waits: Vec<u64> = (0..8).map(|step| grow(first, 2.0, most, step).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(grow(first, 2.0, most, u32::MAX), most);
        let mut jitter = Jitter::new(7);
        for _ in 0..1000 {
            let spread = jitter.spread(most);
            assert!((most / 2..=most).contains(&spread), "{spread:?}");
            let stretched = jitter.stretch(most);
            assert!((most..=most * 5 / 4).contains(&stretched), "{stretched:?}");
        }
        assert_eq!(jitter.spread(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn the_same_seed_gives_the_same_waits() {
        let waits = |seed| {
            let mut jitter = Jitter::new(seed);
            (0..5).map(|_| jitter.spread(Duration::from_secs(9))).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
