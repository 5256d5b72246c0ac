//! When: the waits between tries and between polls.
//!
//! - A request that failed in passing is tried again after a wait that doubles, or as long as the
//!   server asked for. Each errand has its own count; the run has a budget over all of them.
//! - A job's batches are listed at once when all is sent, then at growing intervals.
//! - While the server cannot be reached at all, nothing is sent but one *probe* at a time: an
//!   outage costs one chain of tries, however many requests it found under way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::backoff::{self, Jitter};
use crate::call::Tag;
use crate::errand::Errand;
use crate::spec::Bounds;
use crate::step::Reason;
use crate::time::Time;

/// Growth of the wait between polls: 50 ms to 30 s in eight steps.
const POLL_GROWTH: f64 = 2.5;

#[derive(Debug)]
pub(crate) struct Pace {
    jitter: Jitter,
    troubles: BTreeMap<Errand, Trouble>,
    polls: BTreeMap<usize, Poll>,
    outage: Option<Outage>,
    successes: u64,
    retries: u64,
}

/// An errand whose last try failed.
#[derive(Debug, Default)]
struct Trouble {
    tries: u32,
    not_before: Time,
}

/// The listing of one job's batches.
#[derive(Debug, Default)]
struct Poll {
    next: Time,
    step: u32,
    /// Polls in a row that left it unclear how a batch is.
    unclear: u32,
}

/// The server cannot be reached.
#[derive(Debug)]
struct Outage {
    tries: u32,
    not_before: Time,
    probe: Option<Tag>,
}

impl Pace {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            jitter: Jitter::new(seed),
            troubles: BTreeMap::new(),
            polls: BTreeMap::new(),
            outage: None,
            successes: 0,
            retries: 0,
        }
    }

    /// Tries beyond the first until now.
    pub(crate) fn retries(&self) -> u64 {
        self.retries
    }

    /// Whether nothing has succeeded yet. What fails then fails for a wrong address more often than for
    /// an outage.
    pub(crate) fn is_new(&self) -> bool {
        self.successes == 0
    }

    /// From when on an errand may be run, and what it waits for.
    pub(crate) fn due(&self, errand: Errand) -> (Time, Reason) {
        let trouble = self.troubles.get(&errand).map_or(Time::ZERO, |trouble| trouble.not_before);
        let outage = self.outage.as_ref().map_or(Time::ZERO, |outage| outage.not_before);
        let retry = (trouble.max(outage), Reason::Retry);
        match errand {
            Errand::List { job } => {
                self.polls.get(&job).map_or(retry, |poll| retry.max((poll.next, Reason::Poll)))
            }
            _ => retry,
        }
    }

    /// Whether nothing may be sent until a call that is under way has come back.
    pub(crate) fn is_probing(&self) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.probe.is_some())
    }

    pub(crate) fn sent(&mut self, tag: Tag) {
        if let Some(outage) = &mut self.outage {
            outage.probe = Some(tag);
        }
    }

    /// The server answered, if only to refuse.
    pub(crate) fn reached(&mut self) {
        self.outage = None;
    }

    pub(crate) fn succeeded(&mut self, errand: Errand) {
        self.troubles.remove(&errand);
        self.successes += 1;
    }

    /// A transfer broke, but it had brought something new.
    pub(crate) fn got_on(&mut self, errand: Errand) {
        self.troubles.remove(&errand);
    }

    /// Schedules another try of an errand, if one is left for it and for the run: in how long.
    /// `few` if more tries will hardly help.
    pub(crate) fn try_again(
        &mut self,
        errand: Errand,
        few: bool,
        asked: Option<Duration>,
        bounds: &Bounds,
        now: Time,
    ) -> Option<Duration> {
        let most = most(few, bounds);
        let trouble = self.troubles.entry(errand).or_default();
        trouble.tries += 1;
        if trouble.tries >= most {
            return None;
        }
        let tries = trouble.tries;
        let wait = self.wait(tries, bounds)?;
        let wait = wait.max(asked.unwrap_or_default().min(bounds.longest_retry_after));
        self.troubles.entry(errand).or_default().not_before = now + wait;
        Some(wait)
    }

    /// As [`try_again`](Self::try_again), for an errand that did end but not well, `times` times.
    pub(crate) fn read_again(
        &mut self,
        errand: Errand,
        times: u32,
        bounds: &Bounds,
        now: Time,
    ) -> Option<Duration> {
        self.troubles.insert(errand, Trouble { tries: times, not_before: now });
        self.try_again(errand, true, None, bounds, now)
    }

    /// The server could not be reached. Says in how long it will be tried again, or
    /// [`Probe::GiveUp`].
    pub(crate) fn unreachable(&mut self, tag: Tag, bounds: &Bounds, now: Time) -> Probe {
        let tries = match &self.outage {
            Some(outage) if outage.probe == Some(tag) => outage.tries + 1,
            Some(_) => return Probe::Waiting, // it left before the outage was noticed
            None => 1,
        };
        if tries >= most(self.is_new(), bounds) {
            return Probe::GiveUp;
        }
        let Some(wait) = self.wait(tries, bounds) else { return Probe::GiveUp };
        self.outage = Some(Outage { tries, not_before: now + wait, probe: None });
        Probe::In(wait)
    }

    /// The wait before the next try, if the run's budget allows one.
    fn wait(&mut self, tries: u32, bounds: &Bounds) -> Option<Duration> {
        if self.retries >= bounds.retries.saturating_add(self.successes / 10) {
            return None;
        }
        self.retries += 1;
        let longest = bounds.longest_wait;
        let wait = backoff::grow(bounds.first_wait, 2.0, longest, tries.saturating_sub(1));
        Some(self.jitter.spread(wait))
    }

    /// A job has its first batch.
    pub(crate) fn watch(&mut self, job: usize, bounds: &Bounds, now: Time) {
        let next = now + bounds.first_poll;
        self.polls.entry(job).or_insert_with(|| Poll { next, ..Poll::default() });
    }

    /// A job is not to be looked at before this moment, but then at once.
    pub(crate) fn look(&mut self, job: usize, next: Time) {
        *self.polls.entry(job).or_default() = Poll { next, ..Poll::default() };
    }

    /// A job is not to be looked at again before this moment.
    pub(crate) fn look_again(&mut self, job: usize, next: Time) {
        self.polls.entry(job).or_default().next = next;
    }

    /// All is sent: jobs are looked at at once and then again at short intervals. A small job is
    /// done in no time, and a large one has been polled slowly for a while.
    pub(crate) fn hurry(&mut self) {
        for poll in self.polls.values_mut() {
            *poll = Poll { unclear: poll.unclear, ..Poll::default() };
        }
    }

    /// A job's batches were listed. Says whether it has been unclear for too long how one is.
    pub(crate) fn polled(&mut self, job: usize, unclear: bool, bounds: &Bounds, now: Time) -> bool {
        let poll = self.polls.entry(job).or_default();
        let wait = backoff::grow(bounds.first_poll, POLL_GROWTH, bounds.longest_poll, poll.step);
        poll.next = now + self.jitter.stretch(wait);
        poll.step += 1;
        poll.unclear = if unclear { poll.unclear + 1 } else { 0 };
        poll.unclear > bounds.unclear_polls
    }
}

fn most(few: bool, bounds: &Bounds) -> u32 {
    if few { bounds.few_tries.min(bounds.tries) } else { bounds.tries }
}

/// What comes of a request that did not reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The next probe leaves in this time.
    In(Duration),
    /// Another request is the probe.
    Waiting,
    /// That was the last.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Errand = Errand::List { job: 0 };

    #[test]
    fn tries_of_an_errand_and_of_the_run_are_bounded() {
        let bounds = Bounds { retries: 12, ..Bounds::default() };
        let mut pace = Pace::new(1);
        pace.succeeded(Errand::Create);
        let mut waits = 0;
        while pace.try_again(LIST, false, None, &bounds, Time::ZERO).is_some() {
            waits += 1;
        }
        assert_eq!(waits, bounds.tries - 1);
        pace.succeeded(LIST);
        let left = (0..20)
            .filter(|n| {
                let errand = Errand::Close { job: *n };
                pace.try_again(errand, false, None, &bounds, Time::ZERO).is_some()
            })
            .count();
        assert_eq!(left, 12 - 7, "the run's budget is shared");
        let generous = Bounds { retries: u64::MAX, ..bounds };
        let errand = Errand::Abort { job: 0 };
        for _ in 0..20 {
            pace.succeeded(Errand::Create);
        }
        assert!(pace.try_again(errand, false, None, &generous, Time::ZERO).is_some());
    }

    #[test]
    fn a_servers_wish_is_honoured_up_to_a_bound() {
        let bounds = Bounds::default();
        let mut pace = Pace::new(1);
        for (asked, wait) in [(7, 7), (3600, 3600), (1_000_000, 3600)] {
            pace.got_on(LIST);
            let asked = Some(Duration::from_secs(asked));
            let given = pace.try_again(LIST, false, asked, &bounds, Time::ZERO);
            assert_eq!(given, Some(Duration::from_secs(wait)));
            assert_eq!(pace.due(LIST).0.elapsed(), Duration::from_secs(wait));
        }
    }

    #[test]
    fn an_outage_is_probed_by_one_request_at_a_time() {
        let bounds = Bounds::default();
        let mut pace = Pace::new(1);
        pace.succeeded(Errand::Create);
        let Probe::In(wait) = pace.unreachable(Tag(1), &bounds, Time::ZERO) else { panic!() };
        assert_eq!(pace.unreachable(Tag(2), &bounds, Time::ZERO), Probe::Waiting);
        assert_eq!(pace.due(Errand::Create), (Time::ZERO + wait, Reason::Retry));
        let mut probes = 0;
        let mut tag = 3;
        loop {
            assert!(!pace.is_probing());
            pace.sent(Tag(tag));
            assert!(pace.is_probing());
            probes += 1;
            match pace.unreachable(Tag(tag), &bounds, Time::ZERO) {
                Probe::In(_) => tag += 1,
                end => break assert_eq!(end, Probe::GiveUp),
            }
        }
        assert_eq!(probes, bounds.tries - 1);
        pace.reached();
        assert_eq!(pace.due(Errand::Create).0, Time::ZERO);
    }

    #[test]
    fn polls_of_a_day_stay_within_their_bound() {
        let bounds = Bounds::default();
        let mut pace = Pace::new(1);
        let (mut now, mut polls) = (Time::ZERO, 0);
        while now.elapsed() < Duration::from_secs(86_400) {
            if polls == 100 {
                pace.hurry();
            }
            now = now.max(pace.due(LIST).0);
            pace.polled(0, false, &bounds, now);
            polls += 1;
        }
        let bound = 20 + now.elapsed().as_secs() / bounds.longest_poll.as_secs();
        assert!(polls <= bound, "{polls} > {bound}");
    }
}
