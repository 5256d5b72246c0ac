//! Headers of requests and answers, beyond those of content and session.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::Request;

use crate::client::{BASE, CSV, Client};

#[test]
fn line_ends_in_values_are_stored_as_the_job_says() {
    for (header, stored) in [("LF", "a\nb\nc"), ("CRLF", "a\r\nb\r\nc"), ("CR", "a\nb\r\nc")] {
        let mut client = Client::new();
        let created = client.create_with(("insert", "Account"), ("Sforce-Line-Ending", header));
        client.add(created.element("id"), "Name,Description\nA,\"a\nb\r\nc\"\n");
        client.wait(60);
        let found = client.query("Account", "SELECT Description FROM Account");
        assert_eq!(found, format!("\"Description\"\n\"{stored}\"\n"), "{header}");
    }
}

#[test]
fn what_a_job_was_created_with_is_kept() {
    let mut client = Client::new();
    for (name, value) in [
        ("Sforce-Disable-Batch-Retry", "TRUE"),
        ("Sforce-Call-Options", "client=sfbulk/0.1.0"),
        ("Sforce-Enable-PKChunking", "chunkSize=5"),
    ] {
        let id = client.create_with(("query", "Account"), (name, value)).element("id").to_owned();
        assert_eq!(client.org.header(&id, name).as_deref(), Some(value));
        assert_eq!(client.org.header(&id, "Sforce-Line-Ending"), None);
    }
}

#[test]
fn an_assignment_rule_goes_with_cases_and_leads() {
    let mut client = Client::new();
    let rule = |id: &str| format!("<assignmentRuleId>{id}</assignmentRuleId>");
    let created = client.create(
        "upsert",
        "Lead",
        &format!("{}<externalIdFieldName>Id</externalIdFieldName>", rule("01Q000000000001")),
    );
    assert_eq!(created.element("assignmentRuleId"), "01Q000000000001EAA");
    for (operation, object, id) in [
        ("insert", "Account", "01Q000000000001"),
        ("delete", "Case", "01Q000000000001"),
        ("query", "Lead", "01Q000000000001"),
        ("insert", "Case", "01Q00000000000"),
        ("insert", "Case", "001000000000001"),
        ("insert", "Case", "01Q000000000001EAB"),
    ] {
        let refusal = client.create(operation, object, &rule(id)).refusal();
        assert!(refusal.starts_with("400 InvalidJob: "), "{operation} {object} {id}: {refusal}");
    }
}

#[test]
fn versions_that_will_be_retired_warn() {
    let mut client = Client::new();
    let mut warning = |path: &str| {
        let request = Request::get(path).header("X-SFDC-Session", &client.session);
        let answer = client.send(request.body(Bytes::new()).unwrap());
        answer.headers().get("warning").map(|value| value.to_str().unwrap().to_owned())
    };
    let told = warning("/services/async/40.0/job/x").unwrap();
    assert!(told.starts_with("299 - \"") && told.ends_with('"'), "{told}");
    assert_eq!(warning(&format!("{BASE}/job/x")), None);
    assert_eq!(warning("/services/async/30.0/job/x"), None, "it is retired");
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[test]
fn a_packed_batch_whose_sum_or_length_is_wrong_is_refused() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let whole = packed("Name\nA\n");
    let mut add = |body: Vec<u8>| {
        let request = Request::post(format!("{BASE}/job/{job}/batch"));
        let request = request
            .header("X-SFDC-Session", &client.session)
            .header("Content-Type", CSV)
            .header("Content-Encoding", "gzip");
        client.send(request.body(body.into()).unwrap()).status().as_u16()
    };
    assert_eq!(add(whole.clone()), 201);
    let wrong = |at: usize| {
        let mut body = whole.clone();
        body[at] ^= 1;
        body
    };
    assert_eq!(add(wrong(whole.len() - 8)), 400, "the sum");
    assert_eq!(add(wrong(whole.len() - 4)), 400, "the length");
    assert_eq!(add(whole[..whole.len() - 1].to_vec()), 400, "cut");
    assert_eq!(add([&whole[..], b"x"].concat()), 400, "something behind it");
    assert_eq!(client.states(&job).len(), 1);
}

#[test]
fn every_answer_is_packed_for_those_who_ask() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let batch = client.add(&job, "Name\nA\n");
    client.wait(60);
    for (path, status, holds) in [
        (format!("{BASE}/job/{job}"), 200, "jobInfo"),
        (format!("{BASE}/job/{job}/batch"), 200, "batchInfoList"),
        (format!("{BASE}/job/{job}/batch/{batch}/result"), 200, "\"Created\""),
        (format!("{BASE}/job/{job}/batch/{batch}/request"), 200, "Name"),
        (format!("{BASE}/job/750x"), 400, "InvalidJob"),
        (format!("{BASE}/jobs"), 400, "InvalidUrl"),
        ("/services/data/v66.0/nothing".into(), 404, "NOT_FOUND"),
    ] {
        let request = Request::get(&path).header("X-SFDC-Session", &client.session);
        let request = request
            .header("Authorization", format!("Bearer {}", client.session))
            .header("Accept-Encoding", "gzip");
        let answer = client.send(request.body(Bytes::new()).unwrap());
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        let mut text = String::new();
        GzDecoder::new(&answer.body()[..]).read_to_string(&mut text).unwrap();
        assert!(text.contains(holds), "{path}: {text}");
    }
}
