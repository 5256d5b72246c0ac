//! The loop: ask the machine, do what it says, tell it what happened.
//!
//! It is written as one `poll`, and all that is under way lies in the run: no task is spawned, and
//! a future that waits for the next page holds nothing. So whoever waits may stop waiting and ask
//! again, and dropping the run stops everything at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use sfbulk::{Error, Job, Page, Reply, Session, Spec, Step, Tag, Time};

use crate::client::{Client, LoggingIn};
use crate::net::Timer;
use crate::source::Source;
use crate::transport::Tray;

/// A job under way, pulled by whoever wants its pages.
pub(crate) struct Run {
    client: Client,
    job: Job,
    source: Box<dyn Source>,
    start: Instant,
    calls: Vec<UnderWay>,
    /// Where these lay their pages, one at a time: a reply cannot overtake its pages, and while
    /// nobody takes them the sockets are not read.
    tray: Tray,
    /// The machine waits for rows.
    asked: bool,
    login: Option<LoggingIn>,
    /// Something happened, so the machine is to be asked what to do.
    news: bool,
    /// Until when it waits, if nothing happens.
    until: Option<Time>,
    timer: Option<(Time, Timer)>,
    over: bool,
}

struct UnderWay {
    tag: Tag,
    call: Pin<Box<dyn Future<Output = Reply> + Send>>,
}

impl Run {
    pub(crate) fn new(
        client: &Client,
        spec: Spec,
        source: impl Source + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            job: Job::new(spec)?,
            // Asked before any row: who has no session should hear of it first, and of nothing else.
            login: Some(client.log_in()),
            client: client.clone(),
            source: Box::new(source),
            start: Instant::now(),
            calls: Vec::new(),
            tray: Tray::default(),
            asked: false,
            news: true,
            until: None,
            timer: None,
            over: false,
        })
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    pub(crate) fn abort(&mut self) {
        self.job.abort();
        self.news = true;
    }

    /// The next page; `None` once all is over, which an error is too.
    pub(crate) fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page, Error>>> {
        while !self.over {
            if !self.news {
                let page = ready!(self.poll_event(cx));
                self.news = true;
                if let Some(page) = page {
                    return Poll::Ready(Some(Ok(page)));
                }
            }
            match self.job.poll(self.now()) {
                Step::Send(call) => {
                    let (tag, transport) = (call.tag, self.client.transport());
                    let call = Box::pin(transport.perform(call, self.tray.clone()));
                    self.calls.push(UnderWay { tag, call });
                }
                Step::Feed(_) => self.asked = true,
                Step::Login(_) => {
                    self.login.get_or_insert_with(|| self.client.log_in());
                }
                Step::Settled(outcomes) => return Poll::Ready(Some(Ok(Page::Outcomes(outcomes)))),
                Step::Note(note) => self.client.note(&note, self.job.summary()),
                Step::Wait(until) => {
                    self.until = until.map(|(moment, _)| moment);
                    self.news = false;
                }
                Step::Done(result) => {
                    self.over = true;
                    self.calls.clear(); // nobody needs their answers any more
                    if let Err(error) = result {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    /// Tells the machine of one thing that happened, or hands on a page.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Page>> {
        if let event @ Poll::Ready(_) = self.poll_calls(cx) {
            return event;
        }
        if let Some(login) = &mut self.login
            && let Poll::Ready(session) = login.as_mut().poll(cx)
        {
            self.login = None;
            self.logged_in(session);
            return Poll::Ready(None);
        }
        if self.asked
            && self.login.is_none()
            && let Poll::Ready(batch) = self.source.poll_batch(cx)
        {
            self.asked = false;
            match batch {
                Ok(Some(batch)) => self.job.feed(batch),
                Ok(None) => self.job.end(),
                Err(error) => self.job.stop(error),
            }
            return Poll::Ready(None);
        }
        self.poll_timer(cx).map(|()| None)
    }

    fn poll_calls(&mut self, cx: &mut Context<'_>) -> Poll<Option<Page>> {
        for at in 0..self.calls.len() {
            let UnderWay { tag, call } = &mut self.calls[at];
            let (tag, ended) = (*tag, call.as_mut().poll(cx));
            if let Poll::Ready(reply) = ended {
                self.calls.swap_remove(at);
                self.job.reply(tag, self.now(), reply);
                return Poll::Ready(None);
            }
            if let Some(page) = self.tray.take() {
                self.calls.rotate_left(at + 1); // the others' turn
                self.job.progress(tag, &page);
                return Poll::Ready(Some(page));
            }
        }
        Poll::Pending
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(moment) = self.until else { return Poll::Pending };
        let now = self.now();
        let timer = match &mut self.timer {
            Some((set_for, timer)) if *set_for == moment => timer,
            timer => {
                let wait = moment.saturating_since(now);
                &mut timer.insert((moment, Timer::after(wait))).1
            }
        };
        let due = timer.poll(cx);
        if due.is_ready() {
            self.timer = None;
        }
        due
    }

    fn logged_in(&mut self, session: Result<Session, Error>) {
        match session {
            Ok(session) => self.job.login(session),
            Err(error) => self.job.login_failed(error),
        }
    }

    fn now(&self) -> Time {
        Time::since_start(self.start.elapsed())
    }
}
