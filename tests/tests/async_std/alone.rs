//! What can be seen only in a process of its own: its environment, its threads, its open files.

use std::env;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_std::net::TcpStream;
use async_std::task::{block_on, sleep};
use futures_lite::StreamExt;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use sfbulk_async_std::{Bounds, Client, Spec, session_from_env};
use sfbulk_org::{Fault, Server};
use sfbulk_tests::practice::{self, Account, NewAccount, SEVEN, SOQL, small};

use super::wire::{listen, pipe};
use super::{file, load_csv, names, org};

/// Has a process of its own play a part against this org, and returns what it printed.
fn play(part: &str, server: &Server, variables: &[(&str, String)]) -> String {
    let program = env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", "alone::a_part_is_played", "--ignored", "--nocapture"])
        .env("PART", part)
        .env("SF_ACCESS_TOKEN", server.session())
        .env("SF_ORG_INSTANCE_URL", server.url())
        .envs(variables.iter().cloned())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
#[ignore = "other tests run it, in a process of its own"]
fn a_part_is_played() {
    let client = Client::new(session_from_env);
    match env::var("PART").as_deref() {
        Ok("query with ureq") => query_with_ureq(),
        Ok("query") => query(&client),
        Ok("drop") => drop_a_run(&client),
        Ok("drop files") => drop_files(),
        _ => println!("no part was given"),
    }
}

fn query(client: &Client) {
    let bounds = Bounds { tries: 1, ..Bounds::default() };
    let rows = client.fetch(Spec::query(SOQL).bounds(bounds)).records::<Account>().unwrap();
    match block_on(rows.try_collect::<Account, _, Vec<_>>()) {
        Ok(rows) => println!("found {}", rows.len()),
        Err(error) => println!("failed: {error}"),
    }
}

fn query_with_ureq() {
    let client = sfbulk_ureq::Client::new(sfbulk_ureq::session_from_env);
    let bounds = Bounds { tries: 1, ..Bounds::default() };
    let rows = client.fetch(Spec::query(SOQL).bounds(bounds)).records::<Account>().unwrap();
    match rows.collect::<Result<Vec<_>, _>>() {
        Ok(rows) => println!("found {}", rows.len()),
        Err(error) => println!("failed: {error}"),
    }
}

// ---- dropping ----

#[cfg(target_os = "linux")]
#[test]
fn a_dropped_run_leaves_no_thread_and_no_socket() {
    let printed = play("drop", &practice::org(), &[]);
    assert!(printed.contains("nothing left, and 7 found"), "{printed}");
}

/// The threads and the open files of this process.
fn counts() -> (usize, usize) {
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    (count("task"), count("fd"))
}

fn drop_a_run(client: &Client) {
    block_on(async {
        load_csv(client, SEVEN).await; // starts the one thread of the reactor
        for _ in 0..3 {
            let before = counts();
            let fresh = Client::new(session_from_env); // with connections of its own
            let rows = (0..100_000).map(|row| NewAccount { name: format!("{row:05}") });
            let load = fresh.insert("Unheard__c").limits(small());
            let mut outcomes = load.rows(rows).unwrap();
            outcomes.next().await.unwrap().unwrap();
            let during = counts();
            drop((outcomes, fresh));
            assert_eq!(during.0, before.0, "a run needs no thread");
            assert!(during.1 > before.1, "its sockets were seen");
            assert_eq!(counts(), before, "and leaves none");
        }
        println!("nothing left, and {} found", names(client).await.len());
    });
}

/// How many runs into a file are dropped, one after the other.
const DROPPED: u32 = 5;

#[cfg(target_os = "linux")]
#[test]
fn dropped_runs_into_files_leave_no_open_file_and_share_their_threads() {
    let (server, client) = org();
    block_on(load_csv(&client, SEVEN));
    for run in 1..=DROPPED {
        server.fault(Fault::CutResult { result: 2 * run, bytes: 40 }); // each reads two
    }
    let printed = play("drop files", &server, &[]);
    assert!(printed.contains("nothing left"), "{printed}");
}

fn drop_files() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        sleep(Duration::from_millis(1)).await; // starts the one thread of the reactor
        let before = counts();
        for _ in 0..DROPPED {
            let fresh = Client::new(session_from_env);
            file::drop_in_the_middle(&fresh, &folder.path().join("accounts.csv")).await;
        }
        let start = Instant::now();
        while counts().1 != before.1 {
            assert!(start.elapsed() < Duration::from_secs(10), "{before:?} were {:?}", counts());
            sleep(Duration::from_millis(1)).await; // what a thread is about, it ends
        }
        // The pool keeps its threads for who comes next, as the reactor does. A run has one thing
        // at a time for them, and one that was dropped may still have one.
        let threads = counts().0 - before.0;
        assert!((1..=2).contains(&threads), "{threads} threads for {DROPPED} runs");
        println!("nothing left");
    });
}

// ---- proxies ----

/// A proxy that makes tunnels, or refuses to; and the requests it heard.
fn proxy(refuses: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&requests);
    let (address, _) = listen(move |mut stream| {
        let log = Arc::clone(&log);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let to = head.split(' ').nth(1).unwrap().to_owned();
            log.lock().unwrap().push(head);
            if refuses {
                let no: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
                return stream.write_all(no).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            pipe(stream, TcpStream::connect(to).await.unwrap()).await;
        }
    });
    (format!("http://user:hush%40hush@{address}"), requests)
}

#[test]
fn the_proxy_of_the_environment_is_tunnelled_through() {
    let server = practice::org();
    for part in ["query", "query with ureq"] {
        let (address, heard) = proxy(false);
        let printed = play(part, &server, &[("https_proxy", address)]);
        assert!(printed.contains("found 0"), "{part}: {printed}");
        let heard = heard.lock().unwrap();
        assert!(!heard.is_empty());
        for head in heard.iter() {
            let connect = format!("CONNECT {} HTTP/1.1\r\n", server.addr());
            assert!(head.starts_with(&connect), "{part}: {head}");
            let credentials = "\r\nProxy-Authorization: Basic dXNlcjpodXNoQGh1c2g=\r\n";
            assert!(head.contains(credentials), "{part}: {head}");
        }
    }
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_secret() {
    let (address, heard) = proxy(true);
    let printed = play("query", &practice::org(), &[("ALL_PROXY", address)]);
    assert!(printed.contains("failed: ") && printed.contains("the proxy http://127"), "{printed}");
    assert!(!printed.contains("hush") && !printed.contains("dXNlc"), "{printed}");
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[test]
fn hosts_that_need_no_proxy_are_reached_without() {
    let server = practice::org();
    for part in ["query", "query with ureq"] {
        let (address, heard) = proxy(true);
        let variables = [("HTTPS_PROXY", address), ("NO_PROXY", "localhost,127.0.0.1".into())];
        let printed = play(part, &server, &variables);
        assert!(printed.contains("found 0"), "{part}: {printed}");
        assert!(heard.lock().unwrap().is_empty());
    }
}
