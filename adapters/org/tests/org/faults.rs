//! Faults: what is carried out, and what the client sees of it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::Time;
use sfbulk_org::{Call, Config, Fault, NoAnswer};

use crate::client::{BASE, CSV, Client, JSON, XML};

const ROWS: &str = "Name\nA\nB\nC\nD\n";

impl Client {
    fn deliver(
        &mut self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let media_type = if path == "job" { JSON } else { CSV };
        let request = Request::builder().method(method).uri(format!("{BASE}/{path}"));
        let request =
            request.header("X-SFDC-Session", &self.session).header("Content-Type", media_type);
        self.org.deliver(Time::since_start(self.now), request.body(body.into()).unwrap())
    }

    /// Adds a batch with faults; tells the status or why there is none.
    fn try_add(&mut self, job: &str) -> Result<u16, NoAnswer> {
        let answer = self.deliver("POST", &format!("job/{job}/batch"), ROWS)?;
        Ok(answer.status().as_u16())
    }

    fn fetch(&mut self, path: &str) -> (u16, String) {
        let answer = self.deliver("GET", path, "").unwrap();
        (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
    }

    fn batches(&mut self, job: &str) -> usize {
        self.states(job).len()
    }
}

fn with(fault: Fault) -> (Client, String) {
    let mut client = Client::with(Config::new().latency(Duration::ZERO));
    client.org.fault(fault);
    let job = client.job("insert", "Account", "");
    (client, job)
}

#[test]
fn a_lost_answer_is_that_of_a_batch_that_was_added() {
    let (mut client, job) = with(Fault::LoseAnswer { batch: 2 });
    let told = [(); 3].map(|()| client.try_add(&job));
    assert_eq!(told, [Ok(201), Err(NoAnswer::Lost), Ok(201)]);
    assert_eq!(client.states(&job), ["Completed"; 3]);
}

#[test]
fn answers_about_jobs_are_lost_too() {
    let (mut client, job) = with(Fault::LoseCreate);
    client.org.fault(Fault::LoseClose);
    client.org.fault(Fault::LoseAbort);
    let create = r#"{"operation":"insert","object":"Account","contentType":"CSV"}"#;
    assert_eq!(client.deliver("POST", "job", create).unwrap_err(), NoAnswer::Lost);
    assert_eq!(client.get("job/750000000000002").element("state"), "Open");
    let path = format!("job/{job}");
    for state in ["Closed", "Aborted"] {
        let update = format!("<jobInfo><state>{state}</state></jobInfo>");
        assert_eq!(client.deliver("POST", &path, update).unwrap_err(), NoAnswer::Lost);
        assert_eq!(client.get(&path).element("state"), state);
    }
}

#[test]
fn a_dropped_request_never_happened() {
    let drop = Fault::DropRequest { call: Call::Batch, nth: 1 };
    for fault in [drop, Fault::CutUpload { batch: 1 }] {
        let (mut client, job) = with(fault);
        assert_eq!(client.try_add(&job), Err(NoAnswer::Dropped));
        assert_eq!(client.batches(&job), 0);
        assert_eq!(client.try_add(&job), Ok(201));
    }
}

#[test]
fn a_late_batch_is_added_when_the_client_has_given_up() {
    let (mut client, job) = with(Fault::Late { batch: 1, seconds: 90 });
    assert_eq!(client.try_add(&job), Err(NoAnswer::Late(Duration::from_secs(90))));
    client.wait(89);
    assert_eq!(client.batches(&job), 0);
    client.wait(600);
    assert_eq!(client.batches(&job), 1);
    let list = client.get(&format!("job/{job}/batch"));
    assert_eq!(list.element("createdDate"), "2026-01-01T00:01:30.000Z", "dated when it came");
}

#[test]
fn a_late_batch_does_not_get_into_a_closed_job() {
    let (mut client, job) = with(Fault::Late { batch: 1, seconds: 90 });
    client.try_add(&job).unwrap_err();
    client.set_state(&job, "Closed");
    client.wait(90);
    assert_eq!(client.batches(&job), 0);
}

#[test]
fn a_gateway_answers_for_a_batch_that_was_added() {
    let (mut client, job) = with(Fault::Gateway { batch: 1 });
    let answer = client.deliver("POST", &format!("job/{job}/batch"), ROWS).unwrap();
    assert_eq!((answer.status().as_u16(), client.batches(&job)), (504, 1));
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
}

#[test]
fn pages_come_in_place_of_any_answer_as_often_as_armed() {
    let status = |call, nth| Fault::Status { call, nth, status: 503, retry_after: Some(7) };
    let (mut client, job) = with(status(Call::Batch, 1));
    client.org.fault(status(Call::Batch, 1));
    client.org.fault(status(Call::Poll, 2));
    client.org.fault(Fault::Status { call: Call::Any, nth: 6, status: 429, retry_after: None });
    let told = [(); 3].map(|()| client.try_add(&job).unwrap());
    assert_eq!((told, client.batches(&job)), ([503, 503, 201], 1));
    let polls = [(); 3].map(|()| client.fetch(&format!("job/{job}")).0);
    assert_eq!(polls, [200, 503, 429]);
    client.org.fault(status(Call::Result, 1));
    let answer = client.deliver("GET", &format!("job/{job}/batch/751000000000001/result"), "");
    assert_eq!(answer.unwrap().headers()["retry-after"], "7");
}

#[test]
fn the_service_refuses_in_its_own_words() {
    for (code, status) in [
        ("InternalServerError", 500),
        ("Unknown", 500),
        ("Timeout", 500),
        ("TransactionSecurityBlock", 400),
        ("HttpsRequired", 400),
    ] {
        let (mut client, job) = with(Fault::Refuse { call: Call::Poll, nth: 1, code: code.into() });
        let (found, body) = client.fetch(&format!("job/{job}"));
        assert_eq!(found, status);
        assert!(body.contains(&format!("<exceptionCode>{code}</exceptionCode>")), "{body}");
    }
}

#[test]
fn a_session_ends_before_a_request() {
    let (mut client, job) = with(Fault::ExpireSession { request: 2 });
    assert_eq!(client.try_add(&job), Ok(201));
    let (status, body) = client.fetch(&format!("job/{job}"));
    assert!(status == 400 && body.contains("InvalidSessionId"), "{body}");
    client.session = client.org.session().to_owned();
    assert_eq!(client.batches(&job), 1);
}

#[test]
fn a_cut_result_announces_more_than_it_has() {
    let (mut client, job) = with(Fault::CutResult { result: 2, bytes: 30 });
    client.try_add(&job).unwrap();
    let path = format!("job/{job}/batch/751000000000001/result");
    let (_, whole) = client.fetch(&path);
    let cut = client.deliver("GET", &path, "").unwrap();
    assert_eq!(cut.headers()["content-length"], whole.len().to_string());
    assert_eq!(cut.body(), &whole[..30]);
    assert_eq!(client.fetch(&path).1, whole);
}

/// The rows of a result: how many, and that it is whole.
fn rows_of(content: &str, result: &str) -> usize {
    match content {
        "JSON" => serde_json::from_str::<Vec<serde_json::Value>>(result).unwrap().len(),
        "XML" => {
            assert!(result.ends_with("</results>") || result.ends_with("</queryResult>"));
            let rows = result.matches("<result>").count() + result.matches("<records ").count();
            assert_eq!(
                result.matches("</result>").count() + result.matches("</records>").count(),
                rows
            );
            rows
        }
        _ => {
            assert!(result.starts_with("\"Id\"") && result.ends_with("\"\n"), "{result}");
            assert_eq!(result.matches('"').count() % 2, 0, "{result}");
            result.matches("\n\"001").count()
        }
    }
}

#[test]
fn a_short_result_is_well_formed_in_every_format() {
    for (content, media_type, records) in [
        ("CSV", CSV, ["Name\n\"A\n\"\"\"\n", "\"B\n\"\n", ""]),
        ("JSON", JSON, [r#"[{"Name":"A"}"#, r#",{"Name":"},{\"success\""}"#, "]"]),
        (
            "XML",
            XML,
            [
                "<sObjects><sObject><Name>A</Name></sObject>",
                "<sObject><Name>B</Name></sObject>",
                "</sObjects>",
            ],
        ),
    ] {
        let one = [records[0], records[2]].concat();
        for (operation, body, result) in [
            ("insert", records.concat(), ""),
            ("insert", one, ""),
            ("query", "SELECT Id, Name FROM Account".into(), "/752000000000002"),
        ] {
            let mut client = Client::with(Config::new().latency(Duration::ZERO));
            client.insert("Account", "Name\n\"1\n\"\"\"\n\"2\n\"\n");
            let create = format!(
                r#"{{"operation":"{operation}","object":"Account","contentType":"{content}"}}"#
            );
            client.post("job", JSON, create);
            let job = "job/750000000000002/batch";
            client.post(job, media_type, body);
            let path = format!("{job}/751000000000002/result{result}");
            let whole = client.fetch(&path).1;
            client.org.fault(Fault::ShortResult { result: 1 });
            let short = client.fetch(&path).1;
            assert_eq!(
                rows_of(content, &short) + 1,
                rows_of(content, &whole),
                "{whole}\n→\n{short}"
            );
        }
    }
}

#[test]
fn batches_fail_whole_half_or_row_by_row() {
    let (mut client, job) = with(Fault::FailBatch { batch: 1, code: "TooManyLockFailure".into() });
    client.org.fault(Fault::HalfFailBatch { batch: 2 });
    client.org.fault(Fault::LockFailure { batch: 3 });
    for _ in 0..4 {
        assert_eq!(client.try_add(&job), Ok(201));
    }
    assert_eq!(client.states(&job), ["Failed", "Failed", "Completed", "Completed"]);
    let list = client.get(&format!("job/{job}/batch"));
    assert_eq!(list.elements("numberRecordsProcessed"), ["0", "2", "4", "4"]);
    assert_eq!(list.elements("numberRecordsFailed"), ["0", "0", "2", "0"]);
    assert!(list.elements("stateMessage")[0].starts_with("TooManyLockFailure : "));
    assert!(list.elements("stateMessage")[1].starts_with("InternalServerError : "));
    let half = client.get(&format!("job/{job}/batch/751000000000002/result"));
    assert_eq!(half.body.lines().count(), 1 + 2, "what was written can be read");
    let locked = client.get(&format!("job/{job}/batch/751000000000003/result"));
    let locked: Vec<bool> =
        locked.body.lines().skip(1).map(|row| row.contains("UNABLE_TO_LOCK_ROW")).collect();
    assert_eq!(locked, [true, false, true, false]);
    let names = client.query("Account", "SELECT Name FROM Account");
    assert_eq!(names.lines().count(), 1 + 2 + 2 + 4);
}

#[test]
fn lists_of_batches_are_wrong_once() {
    let (mut client, job) = with(Fault::ListTwice { list: 1 });
    client.org.fault(Fault::MissingFromList { list: 2 });
    client.try_add(&job).unwrap();
    client.try_add(&job).unwrap();
    let path = format!("job/{job}/batch");
    let counts = [(); 3].map(|()| client.fetch(&path).1.matches("<batchInfo>").count());
    assert_eq!(counts, [3, 1, 2]);
}

#[test]
fn a_quota_is_used_up_for_good() {
    let (mut client, job) = with(Fault::Quota { batch: 2 });
    let told = [(); 3].map(|()| client.try_add(&job).unwrap());
    assert_eq!((told, client.batches(&job)), ([201, 400, 400], 1));
}

#[test]
fn slowness_is_the_callers_to_wait() {
    let (client, _) = with(Fault::Slow { milliseconds: 250 });
    assert_eq!(client.org.delay(), Duration::from_millis(250));
}

#[test]
fn a_fate_is_for_one_batch_though_another_was_refused() {
    let (mut client, job) = with(Fault::FailBatch { batch: 1, code: "Unknown".into() });
    let empty = client.deliver("POST", &format!("job/{job}/batch"), "").unwrap();
    assert_eq!(empty.status(), 400);
    client.try_add(&job).unwrap();
    assert_eq!(client.states(&job), ["Completed"], "the first request was the one that counted");
}

/// What a client sees of so many looks at a job, with chaos of this seed.
fn chaos(seed: u64, looks: usize) -> Vec<Result<u16, NoAnswer>> {
    let (mut client, job) = with(Fault::Chaos { seed });
    let path = format!("job/{job}/batch");
    let look = |_| Ok(client.deliver("GET", &path, "")?.status().as_u16());
    (0..looks).map(look).collect()
}

#[test]
fn chaos_strikes_one_request_in_sixteen_and_repeats_itself() {
    let looks = chaos(7, 3_200);
    let struck = looks.iter().filter(|look| **look != Ok(200)).count();
    // Two of ten strikes only make the list wrong.
    assert!((120..200).contains(&struck), "{struck}");
    for seen in [Err(NoAnswer::Dropped), Err(NoAnswer::Lost), Ok(504), Ok(503), Ok(500), Ok(429)] {
        assert!(looks.contains(&seen), "{seen:?}");
    }
    assert_eq!(looks, chaos(7, 3_200));
    assert_ne!(looks, chaos(8, 3_200));
}

#[test]
fn a_fault_that_is_armed_comes_before_chaos() {
    let (mut client, job) = with(Fault::Chaos { seed: 7 });
    for nth in 1..=100 {
        client.org.fault(Fault::Refuse { call: Call::Poll, nth, code: "HttpsRequired".into() });
    }
    assert!((0..100).all(|_| client.fetch(&format!("job/{job}")).0 == 400));
}

#[test]
fn without_faults_both_ways_in_give_the_same_answers() {
    let (mut client, job) = with(Fault::LoseAnswer { batch: 9 });
    let handled = client.get(&format!("job/{job}"));
    assert_eq!(client.fetch(&format!("job/{job}")), (200, handled.body));
}
