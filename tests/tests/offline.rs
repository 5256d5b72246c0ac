//! Loads and queries against a practice org in virtual time.

use std::time::Duration;

use sfbulk::rows::Fate;
use sfbulk::{Job, Offline, Session, Spec, Transcript};
use sfbulk_org::{Config, Fault, Org};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::offline::batches;

const HOURS: Duration = Duration::from_secs(4 * 3600);

fn org() -> Org {
    Org::in_memory_with(Config::new().latency(HOURS).result_rows(2)).unwrap()
}

fn desk(org: &Org, rows: &[&str]) -> Desk {
    let token = org.session().to_owned();
    let login = move || Session::new("http://127.0.0.1", token.clone()).unwrap();
    Desk::new(batches("Name", rows, 2), login)
}

/// Loads these rows and queries them back; gives the transcripts of both.
fn load_and_query(rows: &[&str]) -> [Transcript; 2] {
    let org = org();
    let (mut loading, mut querying) = (desk(&org, rows), desk(&org, &[]));
    let mut line = Offline::new(org);
    let mut load = Job::new(Spec::insert("Account").record()).unwrap();
    let summary = line.run(&mut load, &mut loading).unwrap();
    assert_eq!(summary.succeeded, rows.len() as u64);
    assert!(loading.outcomes.iter().all(|row| row.fate == Fate::Succeeded { created: true }));
    assert!(line.now().elapsed() >= HOURS);

    let soql = "SELECT Name FROM Account ORDER BY Name";
    let mut query = Job::new(Spec::query(soql).record()).unwrap();
    line.run(&mut query, &mut querying).unwrap();
    assert!(line.now().elapsed() >= 2 * HOURS);
    let names: Vec<String> = rows.iter().map(|row| format!("\"{row}\"\n")).collect();
    assert_eq!(querying.csv, format!("\"Name\"\n{}", names.concat()));
    [load, query].map(|job| job.transcript().unwrap().clone())
}

#[test]
fn a_load_of_hours_takes_the_same_course_each_time() {
    let rows = ["a", "b", "c", "d", "e", "f", "g"];
    let first = load_and_query(&rows);
    assert_eq!(first, load_and_query(&rows));
    let calls = first[0].to_string().matches("GET ").count();
    assert!(calls < 20 + 4 * 120 + 4, "{calls} polls and results in four hours");
}

#[test]
fn an_org_that_fails_by_name_fails_offline_too() {
    let mut org = org();
    org.fault(Fault::LoseAnswer { batch: 2 });
    let mut app = desk(&org, &["a", "b", "c", "d", "e"]);
    let mut line = Offline::new(org);
    let mut job = Job::new(Spec::insert("Account").serial()).unwrap();
    let summary = line.run(&mut job, &mut app).unwrap();
    assert_eq!((summary.succeeded, summary.batches.accepted, summary.retries), (5, 3, 1));
    let fates: Vec<Fate> = app.outcomes.iter().map(|row| row.fate).collect();
    assert_eq!(fates, [Fate::Succeeded { created: true }; 5], "it was found on the server");
}
