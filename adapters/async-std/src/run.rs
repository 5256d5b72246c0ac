//! The loop: ask the machine, do what it says, tell it what happened.
//!
//! It is written as one `poll`, and all that is under way lies in the run: no task is spawned, and
//! a future that waits for the next page holds nothing. So whoever waits may stop waiting and ask
//! again, and dropping the run stops everything at once.

use std::task::{Context, Poll, ready};

use sfbulk::{Error, Job, Page, Reason, Session, Step, Summary, Time};
use sfbulk_draft::Start;

use crate::calls::{Calls, Event};
use crate::client::{Client, LoggingIn};
use crate::keeper::Keeper;
use crate::source::Source;

/// A job under way, pulled by whoever wants its pages.
pub(crate) struct Run {
    client: Client,
    job: Job,
    source: Box<dyn Source>,
    calls: Calls,
    /// The machine waits for rows.
    asked: bool,
    login: Option<LoggingIn>,
    /// The last one it was given.
    session: Option<Session>,
    keeper: Keeper,
    /// Something happened, so the machine is to be asked what to do.
    news: bool,
    /// Until when it waits, if nothing happens.
    until: Option<(Time, Reason)>,
    /// Once it is over: whether all is well.
    over: Option<bool>,
}

impl Run {
    pub(crate) fn new(
        client: &Client,
        start: Start,
        source: impl Source + 'static,
    ) -> Result<Self, Error> {
        let (job, checkpoint) = start.job()?;
        Ok(Self {
            job,
            // Asked before any row: who has no session should hear of it first, and of nothing else.
            login: Some(client.log_in(None)),
            session: None,
            keeper: Keeper::new(checkpoint),
            client: client.clone(),
            source: Box::new(source),
            calls: Calls::new(client.transport()),
            asked: false,
            news: true,
            until: None,
            over: None,
        })
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    pub(crate) fn abort(&mut self) {
        self.job.abort();
        self.news = true;
    }

    pub(crate) fn leave(&mut self) {
        self.job.leave();
        self.news = true;
    }

    /// The next page; `None` once all is over, which an error is too.
    pub(crate) fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page, Error>>> {
        while self.over.is_none() {
            if !self.news {
                let page = ready!(self.poll_event(cx));
                self.news = true;
                if let Some(page) = page {
                    return Poll::Ready(Some(Ok(page)));
                }
            }
            if let Err(error) = ready!(self.keeper.poll(cx)) {
                self.job.stop(error);
            }
            match self.job.poll(self.calls.now()) {
                Step::Send(call) => self.calls.begin(call),
                Step::Feed(_) => self.asked = true,
                Step::Login(_) => {
                    let (client, session) = (&self.client, &self.session);
                    self.login.get_or_insert_with(|| client.log_in(session.clone()));
                }
                Step::Settled(outcomes) => return Poll::Ready(Some(Ok(Page::Outcomes(outcomes)))),
                Step::Note(note) => self.client.note(&note, self.job.summary()),
                Step::Save => self.keeper.save(|| self.job.checkpoint()),
                Step::Wait(until) => {
                    self.until = until;
                    self.news = false;
                }
                Step::Done(result) => {
                    self.over = Some(result.is_ok());
                    self.calls.cut_off();
                    if let Err(error) = result {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    /// Begins a query anew that ended with an error, if that can help, for a caller who forgets the
    /// rows it was given.
    pub(crate) fn start_over(&mut self) -> bool {
        let again = self.job.start_over();
        if again {
            self.over = None;
        }
        again
    }

    /// All is over, and in the application's hands. If it is well, nobody will resume this run.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<Summary, Error>> {
        match self.over {
            Some(true) => self.keeper.remove(),
            _ => self.keeper.leave(),
        }
        self.keeper.poll(cx).map_ok(|()| self.job.summary().clone())
    }

    /// Tells the machine of one thing that happened, or hands on a page.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Page>> {
        match self.calls.poll(cx, self.until) {
            Poll::Ready(Event::Page(tag, page)) => {
                self.job.progress(tag, &page);
                return Poll::Ready(Some(page));
            }
            Poll::Ready(Event::Reply(tag, reply)) => {
                self.job.reply(tag, self.calls.now(), reply);
                return Poll::Ready(None);
            }
            Poll::Ready(Event::Time) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        if let Some(login) = &mut self.login {
            let session = ready!(login.as_mut().poll(cx));
            self.login = None;
            self.logged_in(session);
        } else if self.asked {
            let batch = ready!(self.source.poll_batch(cx));
            self.asked = false;
            match batch {
                Ok(Some(batch)) => self.job.feed(batch),
                Ok(None) => self.job.end(),
                Err(error) => self.job.stop(error),
            }
        } else {
            return Poll::Pending;
        }
        Poll::Ready(None)
    }

    fn logged_in(&mut self, session: Result<Session, Error>) {
        match session {
            Ok(session) => {
                self.session = Some(session.clone());
                self.job.login(session);
            }
            Err(error) => self.job.login_failed(error),
        }
    }
}
