//! What is said on the way, on stderr: lines for people, and on a terminal one that is redrawn.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Ten times a second is as often as anybody looks.
const REDRAW: Duration = Duration::from_millis(100);

/// Goes to the beginning of the line and clears it.
const CLEAR: &str = "\r\x1b[2K";

/// Says what went wrong.
pub(crate) fn complain(what: &dyn Display) {
    let clear = if io::stderr().is_terminal() { CLEAR } else { "" };
    writeln!(io::stderr(), "{clear}sfbulk: {what}").ok(); // nobody listens
}

/// The voice of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    quiet: bool,
    terminal: bool,
    start: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let terminal = !quiet && io::stderr().is_terminal();
        Self { quiet, terminal, start: Instant::now(), drawn: None }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Says something, unless it is to be quiet.
    pub(crate) fn say(&mut self, what: impl Display) {
        self.clear();
        if !self.quiet {
            writeln!(io::stderr(), "{what}").ok();
        }
    }

    /// Says something even if it is to be quiet.
    pub(crate) fn warn(&mut self, what: impl Display) {
        self.clear();
        complain(&what);
    }

    /// Shows how far it is: `done` of `total` rows, if that is known, and what else.
    pub(crate) fn show(&mut self, done: u64, total: Option<u64>, else_: impl Display) {
        if !self.terminal || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let rate = Rate { rows: done, time: self.elapsed() };
        let done = Count(done);
        let rows = match total {
            Some(total) => format!("{done} of {} rows", Count(total)),
            None => format!("{done} rows"),
        };
        write!(io::stderr(), "{CLEAR}  {rows}   {else_}   {rate}").ok();
    }

    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            write!(io::stderr(), "{CLEAR}").ok();
        }
    }
}

/// A number with a comma after each thousand.
pub(crate) struct Count(pub(crate) u64);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// Rows in a second.
struct Rate {
    rows: u64,
    time: Duration,
}

impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.time.as_millis().max(1);
        let rate = u128::from(self.rows) * 1000 / millis;
        write!(f, "{} rows/s", Count(u64::try_from(rate).unwrap_or(u64::MAX)))
    }
}

/// A time as people say it.
pub(crate) struct Took(pub(crate) Duration);

impl Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0..60 => write!(f, "{:.1}s", self.0.as_secs_f64()),
            60..3600 => write!(f, "{}m {:02}s", self.0.as_secs() / 60, self.0.as_secs() % 60),
            seconds => write!(f, "{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Count(n).to_string(), text);
        }
        for (seconds, text) in [(16.24, "16.2s"), (61.0, "1m 01s"), (7384.0, "2h 03m")] {
            assert_eq!(Took(Duration::from_secs_f64(seconds)).to_string(), text);
        }
        assert_eq!(
            Rate { rows: 500, time: Duration::from_millis(250) }.to_string(),
            "2,000 rows/s"
        );
    }
}
