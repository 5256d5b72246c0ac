//! How many requests the last day had: counted by the hour, in memory.

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24;

/// The hours that had requests, and how many each.
#[derive(Debug, Default)]
pub(crate) struct Usage(Vec<(i64, u64)>);

impl Usage {
    pub(crate) fn count(&mut self, now: i64) {
        let hour = now / HOUR;
        self.0.retain(|(counted, _)| *counted > hour - DAY);
        match self.0.last_mut().filter(|(counted, _)| *counted == hour) {
            Some((_, count)) => *count += 1,
            None => self.0.push((hour, 1)),
        }
    }

    /// The requests of this hour and the 23 before it.
    pub(crate) fn of_a_day(&self, now: i64) -> u64 {
        let recent = self.0.iter().filter(|(counted, _)| *counted > now / HOUR - DAY);
        recent.map(|(_, count)| count).sum()
    }
}
