//! Time as the machine knows it: a moment on the caller's clock, never the wall's.
//!
//! The core has no clock. Whoever drives it says what time it is, as the time passed since an
//! origin of the driver's choosing: an executor passes `start.elapsed()`, a test passes any number,
//! and a four-hour load can be played in milliseconds.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A moment: the time passed since the driver's origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The origin itself.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment `elapsed` after the origin.
    pub const fn since_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the origin this is.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// How long from `earlier` until this moment; zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates: a moment that far away never comes.
    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

impl fmt::Display for Time {
    /// Seconds with three decimals, as conversations print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0.as_secs_f64())
    }
}
