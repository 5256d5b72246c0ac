//! The calls under way: begun, and then polled by whoever waits for what comes of them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use sfbulk::{Call, Page, Reason, Reply, Tag, Time};

use crate::net::Timer;
use crate::transport::{Transport, Tray};

/// The calls of one job, and its clock. Dropping this cuts them off.
pub(crate) struct Calls {
    transport: Transport,
    start: Instant,
    under_way: Vec<UnderWay>,
    /// Where these lay their pages, one at a time: a reply cannot overtake its pages, and while
    /// nobody takes them the sockets are not read.
    tray: Tray,
    timer: Option<(Time, Timer)>,
}

struct UnderWay {
    tag: Tag,
    call: Pin<Box<dyn Future<Output = Reply> + Send>>,
}

/// What came of waiting.
pub(crate) enum Event {
    Page(Tag, Page),
    Reply(Tag, Reply),
    /// The moment that was waited for has come.
    Time,
}

impl Calls {
    /// None yet. The clock starts now.
    pub(crate) fn new(transport: Transport) -> Self {
        let (start, tray) = (Instant::now(), Tray::default());
        Self { transport, start, under_way: Vec::new(), tray, timer: None }
    }

    pub(crate) fn now(&self) -> Time {
        Time::since_start(self.start.elapsed())
    }

    /// Begins a call; it moves when it is polled.
    pub(crate) fn begin(&mut self, call: Call) {
        let tag = call.tag;
        let call = Box::pin(self.transport.clone().perform(call, self.tray.clone()));
        self.under_way.push(UnderWay { tag, call });
    }

    /// Nobody needs the answers any more.
    pub(crate) fn cut_off(&mut self) {
        self.under_way.clear();
    }

    /// The next thing that happens, or that this moment has come.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        until: Option<(Time, Reason)>,
    ) -> Poll<Event> {
        for at in 0..self.under_way.len() {
            let UnderWay { tag, call } = &mut self.under_way[at];
            let (tag, ended) = (*tag, call.as_mut().poll(cx));
            if let Poll::Ready(reply) = ended {
                self.under_way.swap_remove(at);
                return Poll::Ready(Event::Reply(tag, reply));
            }
            if let Some(page) = self.tray.take() {
                self.under_way.rotate_left(at + 1); // the others' turn
                return Poll::Ready(Event::Page(tag, page));
            }
        }
        match until {
            Some((moment, _)) => self.poll_timer(cx, moment).map(|()| Event::Time),
            None => Poll::Pending,
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, moment: Time) -> Poll<()> {
        let wait = moment.saturating_since(self.now());
        let timer = match &mut self.timer {
            Some((set_for, timer)) if *set_for == moment => timer,
            timer => &mut timer.insert((moment, Timer::after(wait))).1,
        };
        let due = timer.poll(cx);
        if due.is_ready() {
            self.timer = None;
        }
        due
    }
}
