//! The async front door over real sockets, against a practice org on loopback, under every runtime.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_std::task::block_on;
use futures_lite::{AsyncRead, FutureExt, Stream, StreamExt, future};
use sfbulk_async_std::rows::{Fate, Limits, Outcome};
use sfbulk_async_std::{
    BatchState, Bounds, Client, ContentType, Error, ErrorKind, Note, Outcomes, Records, Session,
    Spec,
};
use sfbulk_org::Server;
use sfbulk_tests::practice::{self, Account, NewAccount, SEVEN, SOQL, accounts, small};

mod alone;
mod file;
mod wire;

/// An org, and a client of it.
fn org() -> (Arc<Server>, Client) {
    let server = practice::org();
    let known = Arc::clone(&server);
    (server, Client::new(move || future::ready(practice::session(&known))))
}

async fn all<T>(rows: impl Stream<Item = Result<T, Error>>) -> Vec<T> {
    rows.try_collect().await.unwrap()
}

async fn load_csv(client: &Client, csv: &'static str) -> Vec<Outcome> {
    all(client.insert("Account").limits(small()).csv(csv.as_bytes()).unwrap()).await
}

async fn names(client: &Client) -> Vec<String> {
    all(client.query::<Account>(SOQL).unwrap().map(|row| row.map(|account| account.name))).await
}

/// What programs do: rows, a CSV text, a query, and a query as text.
async fn load_and_query() {
    let (_server, client) = org();
    let rows = accounts(&["a", "b", "", "d", "e", "f", "", "h"]);
    let mut outcomes = client.insert("Account").limits(small()).rows(rows).unwrap();
    let mut fates = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        fates.push(outcome.unwrap());
    }
    assert_eq!(fates.iter().map(|row| row.row).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    let failed: Vec<u64> = fates.iter().filter(|row| !row.success()).map(|row| row.row).collect();
    assert_eq!(failed, [2, 6]);
    let summary = outcomes.summary();
    assert_eq!((summary.rows, summary.succeeded, summary.created, summary.failed), (8, 6, 6, 2));
    assert_eq!((summary.batches.completed, summary.retries), (3, 0));
    assert!(summary.left_open.is_empty());
    assert_eq!(names(&client).await, ["a", "b", "d", "e", "f", "h"]);

    let csv = load_csv(&client, "Name,BillingCity\nx,Rome\n\"y, \"\"z\"\"\",\n").await;
    assert!(csv.iter().all(|row| row.fate == Fate::Succeeded { created: true }));
    let mut text = Vec::new();
    let soql = "SELECT Name FROM Account ORDER BY Name";
    let summary = client.query_csv(soql, &mut text).await.unwrap();
    let expected = "\"Name\"\n\"a\"\n\"b\"\n\"d\"\n\"e\"\n\"f\"\n\"h\"\n\"x\"\n\"y, \"\"z\"\"\"\n";
    assert_eq!((String::from_utf8(text).unwrap().as_str(), summary.rows), (expected, 8));
}

#[test]
fn rows_are_sent_in_any_format_and_a_csv_text_as_csv_only() {
    block_on(async {
        for format in [ContentType::Xml, ContentType::Json] {
            let (_server, client) = org();
            let load = || client.insert("Account").limits(small()).content_type(format.clone());
            let outcomes = all(load().rows(accounts(&["a", "", "c"])).unwrap()).await;
            let good: Vec<bool> = outcomes.iter().map(Outcome::success).collect();
            assert_eq!(good, [true, false, true]);
            assert_eq!(names(&client).await, ["a", "c"]);
            let error = load().csv(&b"Name\nx\n"[..]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
    });
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

#[test]
fn it_runs_under_async_std() {
    block_on(load_and_query());
    block_on(async_std::task::spawn(load_and_query()));
}

#[test]
fn it_runs_under_tokio() {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(load_and_query());
    tokio().block_on(load_and_query());
    tokio().block_on(async { tokio::spawn(load_and_query()).await }).unwrap();
}

#[test]
fn it_runs_under_smol() {
    smol::block_on(load_and_query());
    smol::block_on(smol::spawn(load_and_query()));
}

#[test]
fn it_runs_where_there_is_no_runtime() {
    future::block_on(load_and_query());
}

#[test]
fn streams_may_be_moved_between_threads_and_in_memory() {
    fn check<T: Send + Unpin>() {}
    check::<Outcomes>();
    check::<Records<Account>>();
    // Even a row type that must stay in its thread may be asked for from anywhere.
    check::<Records<std::rc::Rc<()>>>();
}

#[test]
fn the_outcomes_are_those_of_the_rows() {
    block_on(async {
        let (_server, client) = org();
        let outcomes = load_csv(&client, SEVEN).await;
        let found: Vec<Account> = all(client.query(SOQL).unwrap()).await;
        assert_eq!(found.len(), 7);
        // Both are in the order of the names, so the ids must be the same, row for row.
        let ids = outcomes.iter().map(|outcome| outcome.id.unwrap().to_string());
        assert!(ids.eq(found.iter().map(|account| account.id.clone())));
    });
}

#[test]
fn rows_may_come_as_a_stream() {
    block_on(async {
        let (_from, client) = org();
        load_csv(&client, SEVEN).await;
        let rows = client.query::<Account>(SOQL).unwrap();
        let copies = rows.map(|row| NewAccount { name: row.unwrap().name });
        let (_to, other) = org();
        let outcomes = all(other.insert("Account").limits(small()).stream(copies).unwrap()).await;
        assert!(outcomes.len() == 7 && outcomes.iter().all(Outcome::success));
        assert_eq!(names(&other).await, names(&client).await);
    });
}

#[test]
fn a_query_without_rows_has_a_header_all_the_same() {
    block_on(async {
        let (_server, client) = org();
        let mut rows = client.query::<Account>(SOQL).unwrap();
        assert!(rows.next().await.is_none());
        assert_eq!((rows.summary().rows, rows.summary().batches.completed), (0, 1));
        let mut text = Vec::new();
        client.query_csv("SELECT Id, Name FROM Account", &mut text).await.unwrap();
        assert_eq!(text, b"\"Id\",\"Name\"\n");
    });
}

#[test]
fn a_query_that_the_org_refuses_says_why() {
    block_on(async {
        let (_server, client) = org();
        let mut rows = client.query::<Account>("SELECT Bogus FROM Account").unwrap();
        let error = rows.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("Bogus"), "{error}");
        assert!(rows.next().await.is_none(), "an error is the end");
    });
}

#[test]
fn an_expired_session_is_renewed_by_the_closure_once() {
    let (server, _) = org();
    let logins = Arc::new(AtomicUsize::new(0));
    let (known, counted) = (Arc::clone(&server), Arc::clone(&logins));
    let client = Client::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let known = Arc::clone(&known);
        async move {
            future::yield_now().await; // as logins do
            practice::session(&known)
        }
    });
    let expiring = Arc::clone(&server);
    let rows = (0..12).map(move |row| {
        if row == 6 {
            expiring.expire_session();
        }
        NewAccount { name: format!("{row:02}") }
    });
    block_on(async {
        let load = client.insert("Account").serial().limits(small());
        let outcomes = all(load.rows(rows).unwrap()).await;
        assert!(outcomes.iter().all(Outcome::success));
        assert_eq!(logins.load(Ordering::SeqCst), 2);
        assert_eq!(names(&client).await.len(), 12, "no row is lost or written twice");
    });
}

#[test]
fn a_login_that_fails_ends_the_load_before_anything_is_sent() {
    block_on(async {
        let wrong = || Err(Error::new(ErrorKind::Login, "the password is wrong"));
        let client = Client::new(move || future::ready(wrong()));
        let rows = std::iter::from_fn(|| -> Option<NewAccount> { panic!("no row is wanted yet") });
        let mut outcomes = client.insert("Account").rows(rows).unwrap();
        let error = outcomes.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Login);
        assert!(outcomes.next().await.is_none());
        assert_eq!(outcomes.summary().calls, 0);
    });
}

#[test]
fn a_spec_that_cannot_be_is_refused_at_once() {
    let (_server, client) = org();
    let error = client.query::<Account>("no query").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn a_dropped_stream_stops_and_the_client_goes_on() {
    block_on(async {
        let (_server, client) = org();
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let rows = (0..100_000).map(move |row| {
            counted.fetch_add(1, Ordering::SeqCst);
            NewAccount { name: format!("{row:05}") }
        });
        let limits = Limits { records: 5, ..Limits::default() };
        let mut outcomes = client.insert("Account").limits(limits).rows(rows).unwrap();
        assert!(outcomes.next().await.unwrap().unwrap().success());
        drop(outcomes);
        let then = taken.load(Ordering::SeqCst);
        assert!(then < 100_000, "{then} rows were taken for one outcome");
        load_csv(&client, "Name\nzz\n").await;
        assert!(names(&client).await.contains(&"zz".to_owned()));
        assert_eq!(taken.load(Ordering::SeqCst), then, "nobody takes rows any more");
    });
}

/// The next item, by a new future for each look at it.
async fn next_impatiently<S: Stream + Unpin>(stream: &mut S) -> (Option<S::Item>, usize) {
    let mut looks = 0;
    let item = future::poll_fn(|cx| {
        looks += 1;
        Pin::new(&mut stream.next()).poll(cx)
    });
    (item.await, looks)
}

#[test]
fn a_next_that_is_dropped_at_every_look_loses_nothing() {
    block_on(async {
        let (_server, client) = org();
        let names: Vec<String> = (0..60).map(|n| format!("{n:02}")).collect();
        let rows = accounts(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut outcomes = client.insert("Account").limits(small()).rows(rows).unwrap();
        let (mut seen, mut looks) = (Vec::new(), 0);
        while let (Some(outcome), tries) = next_impatiently(&mut outcomes).await {
            seen.push(outcome.unwrap().row);
            looks += tries;
        }
        assert_eq!(seen, (0..60).collect::<Vec<_>>());
        assert!(looks > seen.len() + 20, "only {looks} looks: was anything ever dropped?");
        let summary = outcomes.summary();
        assert_eq!((summary.succeeded, summary.retries), (60, 0));

        let mut rows = client.query::<Account>(SOQL).unwrap();
        let mut found = Vec::new();
        while let (Some(row), _) = next_impatiently(&mut rows).await {
            found.push(row.unwrap().name);
        }
        assert_eq!(found, names);
    });
}

#[test]
fn whoever_gives_up_waiting_may_ask_again() {
    block_on(async {
        let (_server, client) = org();
        let mut outcomes = client.insert("Account").limits(small()).csv(SEVEN.as_bytes()).unwrap();
        let (mut seen, mut given_up) = (0, 0);
        loop {
            let tired = async {
                async_std::task::sleep(Duration::from_millis(2)).await;
                Err(())
            };
            match async { Ok(outcomes.next().await) }.or(tired).await {
                Ok(Some(outcome)) => seen += u32::from(outcome.unwrap().success()),
                Ok(None) => break,
                Err(()) => given_up += 1,
            }
        }
        assert_eq!(seen, 7);
        assert!(given_up > 0);
        assert_eq!(names(&client).await.len(), 7, "nothing was loaded twice");
    });
}

#[test]
fn an_aborted_load_accounts_for_every_row() {
    block_on(async {
        let (_server, client) = org();
        let rows = (0..10_000).map(|row| NewAccount { name: format!("{row:05}") });
        let mut outcomes = client.insert("Account").limits(small()).rows(rows).unwrap();
        assert!(outcomes.next().await.unwrap().unwrap().success());
        outcomes.abort();
        let rest = all(&mut outcomes).await.len() as u64;
        let summary = outcomes.summary();
        assert!(summary.aborted && summary.left_open.is_empty());
        assert_eq!(summary.rows, rest + 1);
        assert_eq!(summary.rows, summary.succeeded + summary.unprocessed);
        assert!(summary.rows < 10_000, "{}", summary.rows);
        assert_eq!(names(&client).await.len() as u64, summary.succeeded);
    });
}

#[test]
fn where_nobody_listens_nothing_was_sent() {
    block_on(async {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let session = move || Session::new(&format!("http://{free}"), "00D!x");
        let client = Client::new(move || future::ready(session()));
        let first_wait = Duration::from_millis(1);
        let bounds = Bounds { tries: 3, first_wait, ..Bounds::default() };
        let load = client.load(Spec::insert("Account").bounds(bounds));
        let mut outcomes = load.rows(accounts(&["a", "b"])).unwrap();
        for _ in 0..2 {
            assert_eq!(outcomes.next().await.unwrap().unwrap().fate, Fate::Unprocessed);
        }
        let error = outcomes.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains(&free.to_string()), "{error}");
        assert_eq!(outcomes.summary().calls, 3);
    });
}

/// What cannot be read.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::Error::other("bad sector")))
    }
}

#[test]
fn a_source_that_breaks_stops_the_load_and_says_so() {
    block_on(async {
        let (_server, client) = org();
        let mut load = client.insert("Account").csv(Broken).unwrap();
        let error = load.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Local);
        assert!(error.to_string().contains("bad sector"), "{error}");
    });
}

#[test]
fn notes_tell_how_a_load_gets_on() {
    block_on(async {
        let (_server, client) = org();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let client = client.on_note(move |note, summary| {
            let word = match note {
                Note::Created(_) => "created",
                Note::Accepted { .. } => "accepted",
                Note::Finished { state: BatchState::Completed, .. } => "completed",
                Note::Closed(_) => "closed",
                _ => "other",
            };
            notes.lock().unwrap().push((word, summary.batches.accepted));
        });
        load_csv(&client, SEVEN).await;
        let heard = heard.lock().unwrap();
        let times = |word| heard.iter().filter(|(heard, _)| *heard == word).count();
        assert_eq!(heard[0], ("created", 0));
        assert_eq!(
            (times("accepted"), times("completed"), times("closed")),
            (3, 3, 1),
            "{heard:?}"
        );
    });
}
