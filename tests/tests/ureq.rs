//! The blocking front door over real sockets, against a practice org on loopback.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sfbulk_org::{Fault, Server};
use sfbulk_tests::practice::{self, Account, NewAccount, SEVEN, SOQL, accounts, small};
use sfbulk_ureq::rows::{Fate, Limits, Outcome};
use sfbulk_ureq::{BatchState, Bounds, Client, ContentType, Error, ErrorKind, Note, Session, Spec};

/// An org, and a client of it.
fn org() -> (Arc<Server>, Client) {
    let server = practice::org();
    let known = Arc::clone(&server);
    (server, Client::new(move || practice::session(&known)))
}

fn load_csv(client: &Client, csv: &'static str) -> Vec<Outcome> {
    let outcomes = client.insert("Account").limits(small()).csv(csv.as_bytes()).unwrap();
    outcomes.map(Result::unwrap).collect()
}

fn names(client: &Client) -> Vec<String> {
    client.query::<Account>(SOQL).unwrap().map(|account| account.unwrap().name).collect()
}

#[test]
fn typed_rows_are_loaded_and_each_learns_its_fate_in_order() {
    for format in [ContentType::Csv, ContentType::Xml, ContentType::Json] {
        let (_server, client) = org();
        let rows = accounts(&["a", "b", "", "d", "e", "f", "", "h"]);
        let load = client.insert("Account").limits(small()).content_type(format);
        let mut outcomes = load.rows(rows).unwrap();
        let fates: Vec<Outcome> = outcomes.by_ref().map(Result::unwrap).collect();
        assert_eq!(fates.iter().map(|row| row.row).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        let failed = fates.iter().filter(|row| !row.success());
        assert_eq!(failed.map(|row| row.row).collect::<Vec<_>>(), [2, 6]);
        assert_eq!(fates[2].row_error().unwrap().code, Some("REQUIRED_FIELD_MISSING"));
        assert!(fates.iter().all(|row| row.success() == row.id.is_some()));
        let summary = outcomes.summary();
        assert_eq!(
            (summary.rows, summary.succeeded, summary.created, summary.failed),
            (8, 6, 6, 2)
        );
        assert_eq!((summary.batches.completed, summary.jobs.len()), (3, 1));
        assert!(summary.left_open.is_empty());
        assert_eq!(names(&client), ["a", "b", "d", "e", "f", "h"]);
    }
}

#[test]
fn a_csv_text_is_refused_where_rows_are_sent_as_something_else() {
    let (_server, client) = org();
    for format in [ContentType::Xml, ContentType::Json, ContentType::ZipCsv] {
        let error = client.insert("Account").content_type(format).csv(SEVEN.as_bytes());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage);
    }
}

#[test]
fn a_csv_text_is_loaded_as_it_is() {
    let (_server, client) = org();
    let outcomes = load_csv(&client, SEVEN);
    assert_eq!(outcomes.len(), 7);
    assert!(outcomes.iter().all(|row| row.fate == Fate::Succeeded { created: true }));
    assert_eq!(names(&client), ["a", "b", "c", "d, \"e\"", "f", "g", "h"]);
}

#[test]
fn the_outcomes_are_those_of_the_rows() {
    let (_server, client) = org();
    let outcomes = load_csv(&client, SEVEN);
    let found: Vec<Account> = client.query(SOQL).unwrap().collect::<Result<_, Error>>().unwrap();
    assert_eq!(found.len(), 7);
    // Both are in the order of the names, so the ids must be the same, row for row.
    let ids = outcomes.iter().map(|outcome| outcome.id.unwrap().to_string());
    assert!(ids.eq(found.iter().map(|account| account.id.clone())));
    assert_eq!(found[1].city.as_deref(), Some("Oslo"));
    assert_eq!(found[2].city, None);
}

#[test]
fn a_query_of_several_files_is_one_csv_text() {
    let (_server, client) = org();
    load_csv(&client, SEVEN);
    let mut text = Vec::new();
    let summary = client.query_csv("SELECT Name FROM Account ORDER BY Name", &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "\"Name\"\n\"a\"\n\"b\"\n\"c\"\n\"d, \"\"e\"\"\"\n\"f\"\n\"g\"\n\"h\"\n"
    );
    assert_eq!(summary.rows, 7);
}

#[test]
fn a_query_into_a_file_is_whole_and_its_owners() {
    let (_server, client) = org();
    load_csv(&client, SEVEN);
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("accounts.csv");
    fs::write(&name, "yesterday's, and longer than what comes in its place: ".repeat(10)).unwrap();
    fs::write(folder.path().join("accounts.csv.partial"), "of a run that was killed").unwrap();
    let mut text = Vec::new();
    client.query_csv(SOQL, &mut text).unwrap();
    let summary = client.query_file(SOQL, &name).unwrap();
    assert_eq!(summary.rows, 7);
    assert_eq!(fs::read(&name).unwrap(), text);
    assert_eq!(practice::names(folder.path()), ["accounts.csv"]);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&name.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_result_that_is_never_whole_leaves_no_file_and_the_old_one_alone() {
    let (server, client) = org();
    load_csv(&client, SEVEN);
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("accounts.csv");
    for old in [None, Some("yesterday's")] {
        if let Some(old) = old {
            fs::write(&name, old).unwrap();
        }
        for _ in 0..20 {
            server.fault(Fault::CutResult { result: 2, bytes: 40 });
        }
        let bounds = Bounds { first_wait: Duration::from_millis(1), ..Bounds::default() };
        let error = client.fetch(Spec::query(SOQL).bounds(bounds)).file(&name).unwrap_err();
        assert!(error.to_string().contains("result"), "{error}");
        let left: Vec<String> = old.map(|_| "accounts.csv".to_owned()).into_iter().collect();
        assert_eq!(practice::names(folder.path()), left);
        assert_eq!(fs::read_to_string(&name).ok().as_deref(), old);
    }
}

#[test]
fn a_result_that_was_short_is_read_from_the_beginning_into_the_file() {
    let (server, client) = org();
    load_csv(&client, SEVEN);
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("accounts.csv");
    server.fault(Fault::ShortResult { result: 1 });
    let summary = client.query_file(SOQL, &name).unwrap();
    assert_eq!((summary.rows, summary.jobs.len()), (7, 1));
    let mut text = Vec::new();
    client.query_csv(SOQL, &mut text).unwrap();
    assert_eq!(fs::read(&name).unwrap(), text);
    assert_eq!(practice::names(folder.path()), ["accounts.csv"]);
}

#[test]
fn a_file_that_cannot_be_is_refused_before_the_org_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let client = Client::new(|| panic!("nobody needs a session yet"));
    for name in practice::impossible(folder.path()) {
        let error = client.query_file(SOQL, &name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Local);
        assert!(error.to_string().starts_with(&name.display().to_string()), "{error}");
    }
    assert_eq!(practice::names(folder.path()), ["file"]);
}

#[test]
fn a_query_without_rows_gives_none() {
    let (_server, client) = org();
    let mut rows = client.query::<Account>(SOQL).unwrap();
    assert!(rows.next().is_none());
    assert_eq!((rows.summary().rows, rows.summary().batches.completed), (0, 1));
}

#[test]
fn a_query_that_the_org_refuses_says_why() {
    let (_server, client) = org();
    let mut rows = client.query::<Account>("SELECT Bogus FROM Account").unwrap();
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("Bogus"), "{error}");
    assert!(rows.next().is_none(), "an error is the end");
}

#[test]
fn an_upsert_tells_what_is_new() {
    let (_server, client) = org();
    let csv = "Key__c,Name\n1,a\n2,b\n";
    let again = "Key__c,Name\n2,B\n3,c\n";
    let created = |csv: &'static str| -> Vec<bool> {
        let outcomes = client.upsert("Account", "Key__c").csv(csv.as_bytes()).unwrap();
        outcomes.map(|outcome| outcome.unwrap().created()).collect()
    };
    assert_eq!(created(csv), [true, true]);
    assert_eq!(created(again), [false, true]);
    assert_eq!(names(&client), ["a", "B", "c"]);
}

#[test]
fn an_expired_session_is_renewed_by_the_closure_once() {
    let (server, _) = org();
    let logins = Arc::new(AtomicUsize::new(0));
    let (known, counted) = (Arc::clone(&server), Arc::clone(&logins));
    let client = Client::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        practice::session(&known)
    });
    let expiring = Arc::clone(&server);
    let rows = (0..12).map(move |row| {
        if row == 6 {
            expiring.expire_session();
        }
        NewAccount { name: format!("{row:02}") }
    });
    let outcomes = client.insert("Account").serial().limits(small()).rows(rows).unwrap();
    assert!(outcomes.map(Result::unwrap).all(|outcome| outcome.success()));
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    assert_eq!(names(&client).len(), 12, "no row is lost or written twice");
}

#[test]
fn a_login_that_fails_ends_the_load_before_anything_is_sent() {
    let client = Client::new(|| Err(Error::new(ErrorKind::Login, "the password is wrong")));
    let rows = std::iter::from_fn(|| -> Option<NewAccount> { panic!("no row is wanted yet") });
    let error = client.insert("Account").rows(rows).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Login);
}

#[test]
fn a_dropped_iterator_stops_and_the_client_goes_on() {
    let (_server, client) = org();
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let rows = (0..100_000).map(move |row| {
        counted.fetch_add(1, Ordering::SeqCst);
        NewAccount { name: format!("{row:05}") }
    });
    let limits = Limits { records: 5, ..Limits::default() };
    let mut outcomes = client.insert("Account").limits(limits).rows(rows).unwrap();
    assert!(outcomes.next().unwrap().unwrap().success());
    drop(outcomes);
    let then = taken.load(Ordering::SeqCst);
    assert!(then < 100_000, "{then} rows were taken for one outcome");
    load_csv(&client, "Name\nzz\n");
    assert!(names(&client).contains(&"zz".to_owned()));
    assert_eq!(taken.load(Ordering::SeqCst), then, "nobody takes rows any more");
}

#[test]
fn a_dropped_query_stops_too() {
    let (_server, client) = org();
    load_csv(&client, SEVEN);
    let mut rows = client.query::<Account>(SOQL).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().name, "a");
    drop(rows);
    assert_eq!(names(&client).len(), 7);
}

#[test]
fn where_nobody_listens_nothing_was_sent() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(move || Session::new(&format!("http://{free}"), "00D!x"));
    let first_wait = Duration::from_millis(1);
    let spec = Spec::insert("Account").bounds(Bounds { tries: 3, first_wait, ..Bounds::default() });
    let mut outcomes = client.load(spec).rows(accounts(&["a", "b"])).unwrap();
    let settled: Vec<Fate> = outcomes.by_ref().take(2).map(|row| row.unwrap().fate).collect();
    assert_eq!(settled, [Fate::Unprocessed; 2]);
    assert_eq!(outcomes.next().unwrap().unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(outcomes.summary().calls, 3);
}

#[test]
fn notes_tell_how_a_load_gets_on() {
    let (_server, client) = org();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    let client = client.on_note(move |note, summary| {
        let accepted = summary.batches.accepted;
        let word = match note {
            Note::Created(_) => "created",
            Note::Accepted { .. } => "accepted",
            Note::Finished { state: BatchState::Completed, .. } => "completed",
            Note::Closed(_) => "closed",
            _ => "other",
        };
        notes.lock().unwrap().push((word, accepted));
    });
    let names: Vec<String> = (0..6).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let outcomes = client.insert("Account").limits(small()).rows(accounts(&names)).unwrap();
    assert_eq!(outcomes.map(Result::unwrap).filter(Outcome::success).count(), 6);
    let heard = heard.lock().unwrap();
    let times = |word| heard.iter().filter(|(heard, _)| *heard == word).count();
    assert_eq!(heard[0], ("created", 0));
    assert_eq!((times("accepted"), times("completed"), times("closed")), (2, 2, 1), "{heard:?}");
}
