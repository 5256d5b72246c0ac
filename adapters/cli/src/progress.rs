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
    put(&format!("{clear}sfbulk: {what}\n"));
}

/// Writes to stderr in one call: other processes may write there too.
pub(crate) fn put(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok(); // nobody listens
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
        if !self.quiet {
            let clear = if self.drawn.take().is_some() { CLEAR } else { "" };
            put(&format!("{clear}{what}\n"));
        }
    }

    /// Says something only if it is to be quiet, in place of all that was not said.
    pub(crate) fn say_if_quiet(&self, what: impl Display) {
        if self.quiet {
            complain(&what);
        }
    }

    /// Says something, in one voice or the other.
    pub(crate) fn say_always(&mut self, what: impl Display) {
        if self.quiet {
            complain(&what);
        } else {
            self.say(what);
        }
    }

    /// Says something even if it is to be quiet.
    pub(crate) fn warn(&mut self, what: impl Display) {
        self.drawn = None; // this clears the line
        complain(&what);
    }

    /// Shows how far it is: `done` of `total` rows, if that is known, and what else.
    pub(crate) fn show(&mut self, done: u64, total: Option<u64>, else_: impl Display) {
        if !self.terminal || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let rate = Rate { rows: done, time: self.elapsed() };
        let rows = match total {
            Some(total) => format!("{} of {}", Count(done), Things(total, "row")),
            None => Things(done, "row").to_string(),
        };
        put(&format!("{CLEAR}  {rows}   {else_}   {rate}"));
    }

    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            put(CLEAR);
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

/// A number of things, each of which is called this.
pub(crate) struct Things(pub(crate) u64, pub(crate) &'static str);

impl Display for Things {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, thing) = (Count(self.0), self.1);
        f.pad(&format!("{count} {thing}{}", if self.0 == 1 { "" } else { plural(thing) }))
    }
}

fn plural(thing: &str) -> &'static str {
    if thing.ends_with("ch") { "es" } else { "s" }
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
        for (things, text) in
            [(Things(1, "row"), "1 row"), (Things(2000, "batch"), "2,000 batches")]
        {
            assert_eq!(things.to_string(), text);
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
