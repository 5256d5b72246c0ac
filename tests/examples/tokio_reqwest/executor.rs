//! A fourth executor, on tokio and reqwest. All decisions are the machine's: an executor sends,
//! waits, and reports.

use std::time::{Duration, Instant};

use sfbulk::{Call, Error, Failure, Host, Job, Page, Reply, Summary, Tag, Time, Turn};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

enum Event {
    Page(Tag, Page),
    Reply(Tag, Reply),
}

/// Drives a job to its end. Dropping the future ends every call that is under way.
pub(crate) async fn run(
    job: &mut Job,
    http: &reqwest::Client,
    host: &mut impl Host,
) -> Result<Summary, Error> {
    let start = Instant::now();
    let now = || Time::since_start(start.elapsed());
    let (events, mut inbox) = channel(8); // a slow host slows the sockets
    let mut calls = JoinSet::new(); // ends them all when it is dropped
    loop {
        let until = match job.turn(now(), host) {
            None => continue,
            Some(Turn::Done(result)) => return result,
            Some(Turn::Send(call)) => {
                while calls.try_join_next().is_some() {} // has told its reply
                let (http, events, tag) = (http.clone(), events.clone(), call.tag);
                calls.spawn(async move {
                    let reply = perform(http, call, &events).await.unwrap_or_else(Reply::Failed);
                    events.send(Event::Reply(tag, reply)).await.ok();
                });
                continue;
            }
            Some(Turn::Wait(until)) => until,
        };
        let wait = until.map_or(Duration::MAX, |(moment, _)| moment.saturating_since(now()));
        match timeout(wait, inbox.recv()).await {
            Ok(Some(Event::Page(tag, page))) => job.deliver(tag, page, host),
            Ok(Some(Event::Reply(tag, reply))) => job.reply(tag, now(), reply),
            Ok(None) | Err(_) => {}
        }
    }
}

async fn perform(
    http: reqwest::Client,
    Call { tag, request, expect }: Call,
    events: &Sender<Event>,
) -> Result<Reply, Failure> {
    let request = request.try_into().map_err(failure)?;
    yield_now().await; // idle connections see to it first that they were closed, or hold surprises
    let mut response = http.execute(request).await.map_err(failure)?;
    let mut head = http::Response::new(()).into_parts().0;
    (head.status, head.headers) = (response.status(), response.headers().clone());
    let mut intake = expect.open(head);
    loop {
        let page = match response.chunk().await {
            Ok(Some(piece)) => intake.push(&piece)?,
            Ok(None) => break,
            Err(error) => return Ok(intake.broke_off(in_words(error))),
        };
        if let Some(page) = page {
            events.send(Event::Page(tag, page)).await.ok();
        }
    }
    let (page, reply) = intake.finish();
    if let Some(page) = page {
        events.send(Event::Page(tag, page)).await.ok();
    }
    Ok(reply)
}

/// When in doubt, lost.
fn failure(error: reqwest::Error) -> Failure {
    let unsent = error.is_connect() || error.is_builder();
    let why = in_words(error);
    if unsent { Failure::unconnected(why) } else { Failure::unanswered(why) }
}

/// reqwest's own words leave out why, and name an address that may hold a session.
fn in_words(error: reqwest::Error) -> String {
    format!("{:?}", error.without_url())
}

/// A client that tells the truth: see "What every executor must set" in `adapters/README.md`.
pub(crate) fn client(connect: Duration, silence: Duration) -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok(); // or the one there is
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(connect)
        .read_timeout(silence)
        .pool_idle_timeout(Duration::from_secs(10));
    client.build().expect("these settings go together")
}
