//! The loop: ask the machine, do what it says, tell it what happened.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use sfbulk::{Call, Error, Failure, Host, Job, Page, Reason, Reply, Summary, Tag, Time, Turn};

use crate::transport::Transport;

/// Pages and replies that wait for the application; when it is slow, transfers pause.
const WAITING: usize = 8;

enum Event {
    Page(Tag, Page),
    Reply(Tag, Reply),
    Wake,
}

/// Ends the wait of a [`turn`](Executor::turn), from another thread: a signal handler, say.
#[derive(Clone, Debug)]
pub struct Waker(SyncSender<Event>);

impl Waker {
    /// Has the turn that waits, or else the next one that would, come back at once.
    pub fn wake(&self) {
        self.0.try_send(Event::Wake).ok(); // if it is full, nobody waits
    }
}

/// Performs the calls of one job, each in a thread of its own. There are never more than twice
/// [`Bounds::parallel`](sfbulk::Bounds::parallel) of them, and two. An executor is for one job:
/// pages and replies of another one would be taken for its own.
#[derive(Debug)]
pub struct Executor {
    transport: Transport,
    start: Instant,
    sender: SyncSender<Event>,
    events: Receiver<Event>,
}

impl Executor {
    /// An executor whose clock starts now.
    pub fn new(transport: Transport) -> Self {
        let (sender, events) = sync_channel(WAITING);
        Self { transport, start: Instant::now(), sender, events }
    }

    /// Drives a job to its end.
    pub fn run(self, job: &mut Job, host: &mut impl Host) -> Result<Summary, Error> {
        loop {
            if let Some(result) = self.turn(job, host) {
                return result;
            }
        }
    }

    /// Wakes this executor from another thread.
    pub fn waker(&self) -> Waker {
        Waker(self.sender.clone())
    }

    /// One turn of the loop: asks the job what to do, and does it. `Some` when it is over.
    pub fn turn(&self, job: &mut Job, host: &mut impl Host) -> Option<Result<Summary, Error>> {
        match job.turn(self.now(), host)? {
            Turn::Send(call) => {
                let tag = call.tag;
                if let Err(failure) = self.perform(call) {
                    job.reply(tag, self.now(), Reply::Failed(failure));
                }
            }
            Turn::Wait(until) => match self.wait(until) {
                Some(Event::Page(tag, page)) => job.deliver(tag, page, host),
                Some(Event::Reply(tag, reply)) => job.reply(tag, self.now(), reply),
                Some(Event::Wake) | None => {}
            },
            Turn::Done(result) => return Some(result),
        }
        None
    }

    /// Forgets the calls under way: nobody will hear of their ends, and wakers wake nobody.
    pub(crate) fn cut_off(&mut self) {
        (self.sender, self.events) = sync_channel(WAITING);
    }

    fn now(&self) -> Time {
        Time::since_start(self.start.elapsed())
    }

    fn wait(&self, until: Option<(Time, Reason)>) -> Option<Event> {
        let Some((moment, _)) = until else { return self.events.recv().ok() };
        self.events.recv_timeout(moment.saturating_since(self.now())).ok()
    }

    /// One channel carries pages and replies, so a reply never overtakes its own pages.
    fn perform(&self, call: Call) -> Result<(), Failure> {
        let (transport, events, tag) = (self.transport.clone(), self.sender.clone(), call.tag);
        let work = move || {
            let mut end = End { tag, events, reply: None };
            let deliver = |page| end.events.send(Event::Page(tag, page)).is_ok();
            end.reply = Some(transport.perform(call, deliver));
        };
        match thread::Builder::new().spawn(work) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Unsent(format!("no thread could be started: {error}"))),
        }
    }
}

/// Reports a call's end however its thread ends, so that the machine never waits for a dead one.
struct End {
    tag: Tag,
    events: SyncSender<Event>,
    reply: Option<Reply>,
}

impl Drop for End {
    fn drop(&mut self) {
        let died = || Reply::Failed(Failure::Lost("its thread died".into()));
        let reply = self.reply.take().unwrap_or_else(died);
        self.events.send(Event::Reply(self.tag, reply)).ok(); // nobody listens: the run was dropped
    }
}
