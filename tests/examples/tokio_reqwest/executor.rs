//! A fourth executor, on tokio and reqwest: it sends, waits and reports. The machine decides.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use sfbulk::{Call, Error, Failure, Host, Job, Page, Reply, Summary, Tag, Time, Turn};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::{JoinSet, spawn_blocking, yield_now};
use tokio::time::timeout;

/// The slowest upload borne, in bytes a second: how far it is, nobody tells before the answer.
const SLOWEST: u64 = 50_000;

/// What a call tells: its pages, and then its end.
type Event = (Tag, Result<Page, Reply>);

/// Drives a job to its end. Dropping the future ends every call that is under way.
pub(crate) async fn run(job: &mut Job, net: &Net, host: &mut impl Host) -> Result<Summary, Error> {
    let start = Instant::now();
    let now = || Time::since_start(start.elapsed());
    let (events, mut inbox) = channel(8); // a slow host slows the sockets
    let mut calls = JoinSet::new(); // ends them all when it is dropped
    loop {
        let wait = match job.turn(now(), host) {
            None => continue,
            Some(Turn::Done(result)) => return result,
            Some(Turn::Send(call)) => {
                while calls.try_join_next().is_some() {} // has told its end
                let (net, events, tag) = (net.clone(), events.clone(), call.tag);
                calls.spawn(async move {
                    let end = AssertUnwindSafe(perform(net, call, &events)).catch_unwind().await;
                    let end = end.unwrap_or_else(|_| Err(Failure::Lost("it panicked".into())));
                    events.send((tag, Err(end.unwrap_or_else(Reply::Failed)))).await.ok();
                });
                continue;
            }
            Some(Turn::Wait(None)) => Duration::MAX,
            Some(Turn::Wait(Some((moment, _)))) => moment.saturating_since(now()),
        };
        match timeout(wait, inbox.recv()).await {
            Ok(Some((tag, Ok(page)))) => job.deliver(tag, page, host),
            Ok(Some((tag, Err(reply)))) => job.reply(tag, now(), reply),
            Ok(None) | Err(_) => {}
        }
    }
}

async fn perform(net: Net, call: Call, events: &Sender<Event>) -> Result<Reply, Failure> {
    let call = if call.packs() { spawn_blocking(|| call.packed()).await } else { Ok(call) };
    let call = call.map_err(Failure::unconnected)?;
    let ((client, silence), Call { tag, request, expect, .. }) = (net, call);
    let upload = Duration::from_secs(request.body().len() as u64 / SLOWEST);
    yield_now().await; // idle connections see to it first that they were closed, or hold surprises
    let answer = timeout(silence + upload, client.execute(request.try_into().map_err(failure)?));
    let mut response = answer.await.map_err(Failure::unanswered)?.map_err(failure)?;
    let mut head = http::Response::new(()).into_parts().0;
    (head.status, head.headers) = (response.status(), response.headers().clone());
    let mut intake = expect.open(head);
    loop {
        let mut page = match timeout(silence, response.chunk()).await {
            Ok(Ok(Some(piece))) => intake.push(&piece)?,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Ok(intake.broke_off(in_words(error))),
            Err(silence) => return Ok(intake.broke_off(silence)),
        };
        while let Some(whole) = page {
            events.send((tag, Ok(whole))).await.ok();
            page = intake.more()?;
        }
    }
    let (page, reply) = intake.finish();
    if let Some(page) = page {
        events.send((tag, Ok(page))).await.ok();
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

/// A client, and the longest silence borne.
pub(crate) type Net = (reqwest::Client, Duration);

/// A client that tells the truth: see "What every executor must set" in `adapters/README.md`.
pub(crate) fn client(connect: Duration, silence: Duration) -> Net {
    rustls::crypto::ring::default_provider().install_default().ok(); // or the one there is
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(connect)
        .pool_idle_timeout(Duration::from_secs(10));
    (client.build().expect("these settings go together"), silence)
}
