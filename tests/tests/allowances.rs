//! What an org may do in a day: looked at before a load begins, and a budget that a run keeps.

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::rows::Fate;
use sfbulk::{Bounds, ErrorKind, Failure, Job, Offline, Session, Spec, Summary, Time};
use sfbulk_org::{Config, Limits, Org};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::offline::batches;

const ROWS: [&str; 5] = ["a", "b", "c", "d", "e"]; // three batches of at most two

fn org(limits: Limits) -> Org {
    Org::in_memory_with(Config::new().limits(limits)).unwrap()
}

fn desk(org: &Org) -> Desk {
    let token = org.session().to_owned();
    let login = move || Session::new("http://127.0.0.1", token.clone()).unwrap();
    Desk::new(batches("Name", &ROWS, 2), login)
}

fn job(bounds: Bounds) -> Job {
    Job::new(Spec::insert("Account").bounds(bounds).record()).unwrap()
}

/// The requests of a run, `METHOD path` each, behind the part that all have.
fn requests(job: &Job) -> Vec<String> {
    let text = job.transcript().unwrap().to_string();
    let lines = text.lines().filter(|line| line.contains("→ #"));
    let request = |line: &str| line.split("→ #").nth(1).unwrap().to_owned();
    lines.map(request).collect()
}

#[test]
fn a_load_that_the_org_would_not_take_whole_is_not_begun() {
    for (limits, what) in [
        (
            Limits { daily_batches: 2, ..Limits::default() },
            "needs 3 batches at least, and the org takes 2",
        ),
        (
            Limits { daily_requests: 5, ..Limits::default() },
            "needs 9 requests at least, and the org takes 4",
        ),
    ] {
        let org = org(limits);
        let (mut app, mut job) = (desk(&org), job(Bounds::default()));
        job.preflight(3);
        let error = Offline::new(org).run(&mut job, &mut app).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Allowance);
        assert!(error.to_string().contains(what), "{error}");
        let Summary { jobs, calls, unprocessed, .. } = job.summary();
        assert_eq!((jobs.len(), *calls), (0, 1));
        assert_eq!(*unprocessed, app.outcomes.len() as u64);
        assert!(app.outcomes.iter().all(|row| row.fate == Fate::Unprocessed));
    }
}

#[test]
fn a_load_that_the_org_takes_whole_is_looked_at_once() {
    let mut org = org(Limits { daily_batches: 3, ..Limits::default() });
    let mut app = desk(&org);
    let mut expires = true;
    let mut line = Offline::new(move |now: Time, request: Request<Bytes>| {
        if std::mem::take(&mut expires) {
            let body =
                r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;
            return Ok::<_, Failure>(Response::builder().status(401).body(body.into()).unwrap());
        }
        Ok(org.handle(now, request))
    });
    let mut job = job(Bounds::default());
    job.preflight(3);
    let summary = line.run(&mut job, &mut app).unwrap();
    let asked = requests(&job).iter().filter(|line| line.contains("/limits")).count();
    assert_eq!((summary.succeeded, asked), (5, 2), "again with a new session");
}

#[test]
fn an_org_that_does_not_tell_is_loaded_all_the_same() {
    for status in [404, 503, 200] {
        let mut org = org(Limits::default());
        let mut app = desk(&org);
        let mut line = Offline::new(move |now: Time, request: Request<Bytes>| {
            if request.uri().path().ends_with("/limits") {
                let answer = Response::builder().status(status);
                return Ok::<_, Failure>(answer.body(Bytes::from("<html/>")).unwrap());
            }
            Ok(org.handle(now, request))
        });
        let mut job = job(Bounds::default());
        job.preflight(3);
        let summary = line.run(&mut job, &mut app).unwrap();
        assert_eq!((summary.succeeded, summary.retries), (5, 0), "{status}");
    }
}

#[test]
fn a_run_makes_no_more_requests_than_it_may_and_is_resumed() {
    let org = org(Limits::default());
    let mut app = desk(&org);
    let mut job = job(Bounds { calls: 3, ..Bounds::default() });
    let mut again = desk(&org);
    let mut line = Offline::new(org);
    let mut runs = 1;
    while let Err(error) = line.run(&mut job, &mut app) {
        assert_eq!(error.kind(), ErrorKind::Unfinished, "{error}");
        assert_eq!((job.summary().calls, job.summary().failed), (3, 0));
        runs += 1;
        assert!(runs < 3, "it gets no further");
        let mut checkpoint = serde_json::to_value(job.checkpoint()).unwrap();
        checkpoint["spec"]["bounds"]["calls"] = 100.into();
        job = Job::resume(serde_json::from_value(checkpoint).unwrap()).unwrap();
        std::mem::swap(&mut app, &mut again);
    }
    assert_eq!((runs, job.summary().succeeded), (2, 5));
}

#[test]
fn a_run_adds_no_more_batches_than_it_may() {
    let org = org(Limits::default());
    let (mut app, mut again) = (desk(&org), desk(&org));
    let mut line = Offline::new(org);
    let mut job = job(Bounds { batches: 2, ..Bounds::default() });
    let error = line.run(&mut job, &mut app).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Allowance);
    let Summary { succeeded, unprocessed, left_open, .. } = job.summary();
    assert_eq!((*succeeded, *unprocessed, left_open.len()), (4, 1, 0));
    // A run that goes on may add as many, and those of before do not count.
    let mut job = Job::resume(job.checkpoint()).unwrap();
    let summary = line.run(&mut job, &mut again).unwrap();
    assert_eq!((summary.succeeded, summary.batches.accepted), (5, 3));
}
