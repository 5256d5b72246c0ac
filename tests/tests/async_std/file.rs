//! A query into a file: whole, or not there.

use std::fs;
use std::path::Path;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use async_std::task::block_on;
use futures_lite::{FutureExt, future};
use sfbulk_async_std::{Bounds, Client, Error, ErrorKind, Spec, Summary};
use sfbulk_org::{Fault, Server};
use sfbulk_tests::practice::{self, SEVEN, SOQL};

use super::{load_csv, org, tokio};

/// The query, which reads one file after the other, and waits so long before it reads one again.
fn query(first_wait: Duration) -> Spec {
    Spec::query(SOQL).bounds(Bounds { first_wait, ..Bounds::default() }).parallel(1)
}

/// Has the second file of a result that is read cut, and those after it: so many in all.
fn cut(server: &Server, times: usize) {
    for _ in 0..times {
        server.fault(Fault::CutResult { result: 2, bytes: 40 });
    }
}

#[test]
fn a_query_into_a_file_is_whole_and_its_owners_under_any_runtime() {
    let copy = || async {
        let (_server, client) = org();
        load_csv(&client, SEVEN).await;
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("accounts.csv");
        fs::write(&name, "yesterday's, and longer than what comes for it: ".repeat(10)).unwrap();
        fs::write(folder.path().join("accounts.csv.partial"), "of a run that was killed").unwrap();
        let mut text = Vec::new();
        client.query_csv(SOQL, &mut text).await.unwrap();
        let summary = client.query_file(SOQL, &name).await.unwrap();
        assert_eq!(summary.rows, 7);
        assert_eq!(fs::read(&name).unwrap(), text);
        assert_eq!(practice::names(folder.path()), ["accounts.csv"]);
        #[cfg(unix)]
        {
            let permissions = name.metadata().unwrap().permissions();
            let mode = std::os::unix::fs::PermissionsExt::mode(&permissions);
            assert_eq!(mode & 0o777, 0o600);
        }
    };
    block_on(async_std::task::spawn(copy()));
    tokio().block_on(async { tokio::spawn(copy()).await }).unwrap();
    smol::block_on(smol::spawn(copy()));
    future::block_on(copy());
}

#[test]
fn a_query_without_rows_is_a_file_with_a_header() {
    let (_server, client) = org();
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("accounts.csv");
    block_on(client.query_file("SELECT Id, Name FROM Account", &name)).unwrap();
    assert_eq!(fs::read(&name).unwrap(), b"\"Id\",\"Name\"\n");
}

#[test]
fn a_result_that_is_never_whole_leaves_no_file_and_the_old_one_alone() {
    let (server, client) = org();
    block_on(load_csv(&client, SEVEN));
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("accounts.csv");
    for old in [None, Some("yesterday's")] {
        if let Some(old) = old {
            fs::write(&name, old).unwrap();
        }
        cut(&server, 20);
        let error =
            block_on(client.fetch(query(Duration::from_millis(1))).file(&name)).unwrap_err();
        assert!(error.to_string().contains("result"), "{error}");
        let left: Vec<String> = old.map(|_| "accounts.csv".to_owned()).into_iter().collect();
        assert_eq!(practice::names(folder.path()), left);
        assert_eq!(fs::read_to_string(&name).ok().as_deref(), old);
    }
}

#[test]
fn a_result_that_was_short_is_read_from_the_beginning_into_the_file() {
    let (server, client) = org();
    block_on(load_csv(&client, SEVEN));
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("accounts.csv");
    server.fault(Fault::ShortResult { result: 1 });
    let summary = block_on(client.query_file(SOQL, &name)).unwrap();
    assert_eq!((summary.rows, summary.jobs.len()), (7, 1));
    let mut text = Vec::new();
    block_on(client.query_csv(SOQL, &mut text)).unwrap();
    assert_eq!(fs::read(&name).unwrap(), text);
    assert_eq!(practice::names(folder.path()), ["accounts.csv"]);
}

#[test]
fn a_file_that_cannot_be_is_refused_before_the_org_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let client = Client::new(|| -> future::Ready<_> { panic!("nobody needs a session yet") });
    for name in practice::impossible(folder.path()) {
        let error = block_on(client.query_file(SOQL, &name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Local);
        assert!(error.to_string().starts_with(&name.display().to_string()), "{error}");
    }
    assert_eq!(practice::names(folder.path()), ["file"]);
}

/// Begins a query into a file whose second part is [`cut`], and drops it when the first is written.
pub(super) async fn drop_in_the_middle(client: &Client, name: &Path) {
    let partial = name.with_extension("csv.partial");
    let begun = async {
        while fs::read(&partial).map_or(0, |text| text.len()) == 0 {
            async_std::task::sleep(Duration::from_millis(1)).await;
        }
        None::<Summary>
    };
    let mut run = Box::pin(client.fetch(query(Duration::from_secs(60))).file(name));
    let ended = async { Some(run.as_mut().await.unwrap()) }.or(begun).await;
    assert!(ended.is_none(), "it was to be dropped in the middle");
    assert!(partial.exists());
    drop(run);
    assert!(!partial.exists(), "it is removed at once");
}

#[test]
fn a_run_that_is_dropped_leaves_no_partial_file_and_the_old_one_alone() {
    for old in [None, Some("yesterday's")] {
        let (server, client) = org(); // its own: the cut may not have been met when the run is dropped
        block_on(load_csv(&client, SEVEN));
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("accounts.csv");
        if let Some(old) = old {
            fs::write(&name, old).unwrap();
        }
        cut(&server, 1);
        block_on(drop_in_the_middle(&client, &name));
        assert_eq!(fs::read_to_string(&name).ok().as_deref(), old);
        let summary = block_on(client.query_file(SOQL, &name)).unwrap();
        assert_eq!(summary.rows, 7, "and the client goes on");
        assert_eq!(practice::names(folder.path()), ["accounts.csv"]);
    }
}

#[test]
fn a_run_that_is_dropped_at_any_look_leaves_all_or_nothing() {
    let (_server, client) = org();
    block_on(load_csv(&client, SEVEN));
    let folder = tempfile::tempdir().unwrap();
    let mut whole = Vec::new();
    block_on(client.query_csv(SOQL, &mut whole)).unwrap();
    let name = |looks| folder.path().join(format!("{looks}.csv"));
    let mut looks = 0;
    while !ends_within(looks, client.query_file(SOQL, name(looks))) {
        looks += 1;
    }
    assert!(looks > 5, "only {looks} looks: was anything ever dropped?");
    // A thread may have been about to create a file, or to give it its name.
    let start = Instant::now();
    while practice::names(folder.path()).iter().any(|name| name.ends_with(".partial")) {
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", practice::names(folder.path()));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(name(looks).exists() && !name(looks / 2).exists());
    for name in practice::names(folder.path()) {
        assert!(fs::read(folder.path().join(&name)).unwrap() == whole, "{name}");
    }
}

/// Polls a future so many times and drops it; returns whether it ended.
fn ends_within(looks: usize, future: impl Future<Output = Result<Summary, Error>>) -> bool {
    let (mut future, mut left) = (Box::pin(future), looks);
    block_on(future::poll_fn(|cx| match left.checked_sub(1) {
        None => Poll::Ready(false),
        Some(fewer) => {
            left = fewer;
            future.as_mut().poll(cx).map_ok(|_| true).map(Result::unwrap)
        }
    }))
}
