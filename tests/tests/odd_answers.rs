//! Answers that are odd but possible, one test each: a machine driven by hand, a closure for a server.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::rows::{Batch, Outcome};
use sfbulk::{Error, ErrorKind, Job, Note, Page, Session, Spec, Step, Summary, Time};
use sfbulk_tests::offline::take_in;

const JOB: &str = "<jobInfo><id>750000000000001AAA</id></jobInfo>";

/// How a run ended, and what was said on the way.
struct Run {
    result: Result<Summary, Error>,
    records: Vec<u8>,
    outcomes: Vec<Outcome>,
    notes: Vec<Note>,
}

/// Runs a job to its end; one row is fed to a load, and `sessions` logins succeed.
fn run(spec: Spec, mut sessions: u32, mut server: impl FnMut(&str, &str) -> String) -> Run {
    let mut job = Job::new(spec).unwrap();
    let (mut now, mut fed) = (Time::ZERO, false);
    let (mut records, mut outcomes, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let result = loop {
        match job.poll(now) {
            Step::Feed(_) if std::mem::replace(&mut fed, true) => job.end(),
            Step::Feed(_) => {
                job.feed(Batch { rows: 0..1, body: "Name\nx\n".into(), source: 0..0 });
            }
            Step::Login(_) if sessions > 0 => {
                sessions -= 1;
                job.login(Session::new("https://a.example", "00D!x").unwrap());
            }
            Step::Login(_) => job.login_failed(Error::new(ErrorKind::Login, "no more")),
            Step::Send(call) => {
                let body = answer(&call.request, &mut server);
                let (pages, reply) = take_in(&call.expect, Response::new(body.into()), usize::MAX);
                for page in pages {
                    job.progress(call.tag, &page);
                    match page {
                        Page::Rows(rows) => records.extend_from_slice(&rows.records),
                        Page::Outcomes(page) => outcomes.extend(page),
                    }
                }
                job.reply(call.tag, now, reply);
            }
            Step::Settled(settled) => outcomes.extend(settled),
            Step::Note(note) => notes.push(note),
            Step::Save => {}
            Step::Wait(Some((then, _))) => now = then + Duration::from_millis(1),
            Step::Wait(None) => panic!("every call is answered at once"),
            Step::Done(result) => break result,
        }
    };
    Run { result, records, outcomes, notes }
}

fn answer(request: &Request<Bytes>, server: &mut impl FnMut(&str, &str) -> String) -> String {
    let path = request.uri().path().trim_start_matches("/services/async/66.0/");
    server(request.method().as_str(), path)
}

fn batch(processed: u32, job: &str) -> String {
    format!(
        "<batchInfo><id> 751000000000001AAA\n</id>{job}<state>Completed</state>\
         <numberRecordsProcessed>{processed}</numberRecordsProcessed></batchInfo>"
    )
}

#[test]
fn files_that_take_the_place_of_others_are_not_read_twice() {
    let mut lists = 0;
    let run = run(Spec::query("SELECT Id FROM Lead"), 1, |method, path| {
        match (method, path.rsplit('/').next().unwrap_or_default()) {
            ("POST", "batch") => batch(10, ""),
            ("GET", "batch") => format!("<batchInfoList>{}</batchInfoList>", batch(10, "")),
            (_, "result") => {
                lists += 1;
                format!("<result-list><result>75200000000000{lists}</result></result-list>")
            }
            (_, "752000000000001") => "\"Id\"\n\"1\"\n\"2\"\n\"3\"\n\"4\"\n\"5\"\n".into(),
            (_, "752000000000002") => format!("\"Id\"\n{}", "\"x\"\n".repeat(10)),
            _ => JOB.into(),
        }
    });
    let error = run.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert!(error.to_string().contains("the result changed"), "{error}");
    assert_eq!(run.records, b"\"1\"\n\"2\"\n\"3\"\n\"4\"\n\"5\"\n", "no row twice");
}

#[test]
fn a_batch_may_leave_out_its_job_and_put_blanks_around_its_id() {
    let run = run(Spec::insert("Lead"), 1, |method, path| {
        match (method, path.rsplit('/').next().unwrap_or_default()) {
            ("POST", "batch") => batch(1, ""),
            ("GET", "result") => {
                "<results><result><id>\n 00Q000000000001AAA </id><success> true </success>\
                 <created>true</created></result></results>"
                    .into()
            }
            _ => JOB.into(),
        }
    });
    assert_eq!(run.result.unwrap().succeeded, 1);
    assert_eq!(run.outcomes[0].id.unwrap().as_str(), "00Q000000000001AAA");
}

#[test]
fn a_job_that_cannot_be_closed_for_want_of_a_session_is_named() {
    let run = run(Spec::insert("Lead"), 1, |method, path| match (method, path) {
        ("POST", "job") => JOB.into(),
        _ => "<error><exceptionCode>InvalidSessionId</exceptionCode></error>".into(),
    });
    assert_eq!(run.result.unwrap_err().kind(), ErrorKind::Login);
    assert!(run.notes.iter().any(|note| matches!(note, Note::LeftOpen { .. })), "{:?}", run.notes);
    assert_eq!(run.outcomes.len(), 1, "the row is accounted for");
}

#[test]
fn an_answer_about_another_job_is_none() {
    let other = "<jobId>750000000000002AAA</jobId>";
    let run = run(Spec::insert("Lead"), 1, |method, path| match (method, path) {
        ("POST", path) if path.ends_with("/batch") => batch(1, other),
        _ => JOB.into(),
    });
    assert_eq!(run.result.unwrap_err().kind(), ErrorKind::Unknown);
    assert!(!run.outcomes[0].success());
}
