//! PK chunking: queries that are split, and how long that takes.

use std::time::Duration;

use sfbulk_org::{Config, Fault, Limits, Org};

use crate::client::{BASE, Client, JSON, XML};

const HEADER: &str = "Sforce-Enable-PKChunking";
const SOQL: &str = "SELECT Id, Name FROM Account";

/// An org with so many accounts, A1 first, and chunked query jobs.
fn org(accounts: usize) -> Client {
    with(Config::new().latency(Duration::from_secs(30)), accounts)
}

fn with(config: Config, accounts: usize) -> Client {
    let mut client = Client::with(config);
    let rows: Vec<String> = (1..=accounts).map(|n| format!("A{n}\n")).collect();
    client.insert("Account", format!("Name\n{}", rows.concat()));
    client
}

impl Client {
    fn chunked_job(&mut self, header: &str) -> String {
        let created = self.create_with(("query", "Account"), (HEADER, header));
        assert_eq!(created.status, 201, "{}", created.body);
        created.element("id").to_owned()
    }

    /// The batches of a job: id, state, rows.
    fn list(&mut self, job: &str) -> Vec<(String, String, String)> {
        let list = self.get(&format!("job/{job}/batch"));
        let of = |name| list.elements(name).into_iter().map(str::to_owned);
        of("id")
            .zip(of("state"))
            .zip(of("numberRecordsProcessed"))
            .map(|((id, state), rows)| (id, state, rows))
            .collect()
    }

    fn request(&mut self, job: &str, batch: &str) -> String {
        self.get(&format!("job/{job}/batch/{batch}/request")).body
    }

    /// The rows of a batch, its only file as it is.
    fn rows(&mut self, job: &str, batch: &str) -> String {
        let path = format!("job/{job}/batch/{batch}/result");
        let list = self.get(&path);
        assert_eq!(list.elements("result").len(), 1, "{}", list.body);
        self.get(&format!("{path}/{}", list.element("result"))).body
    }
}

#[test]
fn a_query_is_split_into_chunks_that_come_one_after_the_other() {
    let mut client = org(5);
    let job = client.chunked_job("chunkSize=2");
    let original = client.add(&job, "SELECT Name FROM Account WHERE Name != 'A4' ");
    let mut seen = Vec::new();
    for seconds in [0, 10, 20, 10, 10, 10, 30] {
        client.wait(seconds);
        let list = client.list(&job);
        assert_eq!(list[0].0, original, "the first in the list");
        seen.push(list.into_iter().map(|(_, state, _)| state).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(
        seen,
        [
            "Queued",
            "InProgress",
            "InProgress Queued",
            "InProgress InProgress Queued",
            "NotProcessed InProgress InProgress Queued",
            "NotProcessed Completed InProgress InProgress",
            "NotProcessed Completed Completed Completed",
        ]
    );
    let list = client.list(&job);
    let counts: Vec<&str> = list.iter().map(|(.., rows)| rows.as_str()).collect();
    assert_eq!(counts, ["0", "2", "1", "1"]);
    let bounds = |from: &str, to: &str| {
        format!(
            "SELECT Name FROM Account WHERE (Name != 'A4') AND Id >= '00100000000000{from}' AND Id < '00100000000000{to}'"
        )
    };
    let requests: Vec<String> = list[1..].iter().map(|(id, ..)| client.request(&job, id)).collect();
    assert_eq!(requests, [bounds("1", "3"), bounds("3", "5"), bounds("5", "7")]);
    assert_eq!(client.rows(&job, &list[2].0), "\"Name\"\n\"A3\"\n");
    let refused = client.get(&format!("job/{job}/batch/{original}/result")).refusal();
    assert_eq!(refused, "400 InvalidBatch: Records not processed");
    let info = client.get(&format!("job/{job}"));
    assert_eq!(
        ["Total", "Completed"].map(|what| info.element(&format!("numberBatches{what}"))),
        ["3", "3"],
        "the original does not count"
    );
}

#[test]
fn a_chunk_without_rows_says_so_in_each_format() {
    for (content, media, nothing) in [
        ("CSV", "text/csv", "Records not found for this query"),
        ("JSON", JSON, "[ ]"),
        ("XML", XML, "</queryResult>"),
    ] {
        let mut client = org(2);
        let create = format!(
            "<jobInfo><operation>queryAll</operation><object>Account</object><contentType>{content}</contentType></jobInfo>"
        );
        let request = http::Request::post(format!("{BASE}/job"))
            .header("X-SFDC-Session", &client.session)
            .header("Content-Type", XML)
            .header(HEADER, "chunkSize=1; startRow=001000000000002AAA")
            .body(create.into());
        client.send(request.unwrap());
        let added = client.post(
            "job/750000000000002/batch",
            media,
            "SELECT Name FROM Account WHERE Name = 'A1'",
        );
        assert_eq!(added.status, 201, "{}", added.body);
        client.wait(60);
        let path = "job/750000000000002/batch/751000000000003/result";
        let list = client.get(path);
        let file = list.body.split(['"', '<', '>']).find(|part| part.starts_with("752"));
        let file = client.get(&format!("{path}/{}", file.unwrap()));
        assert!(file.body.ends_with(nothing), "{content}: {}", file.body);
        assert!(!file.body.contains("A1"));
    }
}

#[test]
fn what_cannot_be_split_runs_as_it_is() {
    for rest in ["ORDER BY Name", "LIMIT 3", "WHERE OwnerId != null"] {
        let mut client = org(3);
        let job = client.chunked_job("chunkSize=1");
        let batch = client.add(&job, format!("{SOQL} {rest}"));
        client.wait(300);
        assert_eq!(client.states(&job), ["Completed"], "{rest}");
        assert_eq!(client.rows(&job, &batch).lines().count(), 4);
    }
    let mut client = org(3);
    let job = client.chunked_job("FALSE");
    client.add(&job, SOQL);
    client.wait(300);
    assert_eq!(client.states(&job), ["Completed"]);
}

#[test]
fn a_query_that_is_wrong_fails_before_it_is_split() {
    let mut client = org(3);
    let job = client.chunked_job("true");
    let batch = client.add(&job, "SELECT Bogus FROM Account");
    client.wait(300);
    let info = client.batch(&job, &batch);
    assert_eq!((info.element("state"), client.states(&job).len()), ("Failed", 1));
    assert!(info.element("stateMessage").contains("INVALID_FIELD"));
}

#[test]
fn an_object_without_records_is_one_empty_chunk() {
    let mut client = org(0);
    let job = client.chunked_job("true");
    client.add(&job, SOQL);
    client.wait(300);
    assert_eq!(client.states(&job), ["NotProcessed", "Completed"]);
}

#[test]
fn the_first_chunk_begins_at_the_row_that_is_named() {
    let mut client = org(5);
    let job = client.chunked_job("chunkSize=2;startRow=001000000000004;parent=account");
    client.add(&job, SOQL);
    client.wait(300);
    let list = client.list(&job);
    assert_eq!(list.len(), 2);
    assert!(client.rows(&job, &list[1].0).ends_with("\"A4\"\n\"001000000000005AAA\",\"A5\"\n"));
}

#[test]
fn a_header_that_says_nothing_sensible_is_refused() {
    let mut client = org(0);
    for (header, why) in [
        ("chunkSize=250001", "chunkSize must be between 1 and 250000, and is 250001"),
        ("startRow=003000000000001", "startRow is no id of Account: 003000000000001"),
        ("parent=Case", "Case is not the parent of Account"),
        ("often", "the header is not understood: often"),
    ] {
        let refusal = client.create_with(("query", "Account"), (HEADER, header)).refusal();
        assert_eq!(refusal, format!("400 InvalidJob: Invalid PK chunking: {why}"));
    }
    let ignored = client.create_with(("insert", "Account"), (HEADER, "often"));
    assert_eq!(ignored.status, 201, "no query, no chunks");
}

#[test]
fn each_chunk_is_one_of_the_days_batches() {
    let limits = Limits { daily_batches: 4, ..Limits::default() };
    let config = Config::new().latency(Duration::from_secs(30)).limits(limits);
    let mut client = with(config, 5); // with a batch
    let job = client.chunked_job("chunkSize=1");
    let original = client.add(&job, SOQL); // and a second
    client.wait(300);
    assert_eq!(client.states(&job), ["Failed", "Completed", "Completed"]);
    let info = client.batch(&job, &original);
    assert_eq!(info.element("stateMessage"), "ExceededQuota : ApiBatchItems Limit exceeded.");
}

#[test]
fn an_aborted_job_gets_no_more_chunks() {
    let mut client = org(5);
    let job = client.chunked_job("chunkSize=1");
    client.add(&job, SOQL);
    client.wait(40);
    assert_eq!(client.states(&job), ["InProgress", "InProgress", "Queued"]);
    client.set_state(&job, "Aborted");
    client.wait(300);
    assert_eq!(client.states(&job), ["NotProcessed", "Completed", "NotProcessed"]);
}

#[test]
fn chunks_fail_and_are_late_by_faults() {
    let mut client = org(5);
    client.org.fault(Fault::FailChunk { chunk: 2, code: "Timeout".into() });
    client.org.fault(Fault::LateChunks { seconds: 90 });
    let job = client.chunked_job("chunkSize=2");
    client.add(&job, SOQL);
    client.wait(119);
    assert_eq!(client.states(&job), ["InProgress", "Completed"]);
    client.wait(300);
    assert_eq!(client.states(&job), ["NotProcessed", "Completed", "Failed", "Completed"]);
    let (failed, ..) = client.list(&job)[2].clone();
    let info = client.batch(&job, &failed);
    assert_eq!(info.element("stateMessage"), "Timeout : A fault of the practice org");
}

#[test]
fn splitting_that_fails_leaves_the_chunks_before_it() {
    let mut client = org(5);
    client.org.fault(Fault::FailSplit { chunk: 3 });
    let job = client.chunked_job("chunkSize=2");
    client.add(&job, SOQL);
    client.wait(300);
    assert_eq!(client.states(&job), ["Failed", "Completed", "Completed"]);
}

#[test]
fn an_org_that_is_opened_again_goes_on_splitting() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let config = Config::new().latency(Duration::from_secs(30));
        Client::of(Org::open_with(folder.path().join("org.db"), config).unwrap())
    };
    let mut client = open();
    client.insert("Account", "Name\nA1\nA2\nA3\n");
    let job = client.chunked_job("chunkSize=1");
    client.add(&job, SOQL);
    client.wait(30);
    assert_eq!(client.states(&job), ["InProgress", "Queued"]);
    drop(client);
    let mut client = open();
    client.wait(300);
    assert_eq!(client.states(&job), ["NotProcessed", "Completed", "Completed", "Completed"]);
}

#[test]
fn chunks_are_the_same_whenever_somebody_looks() {
    let run = |steps: &[u64]| {
        let mut client = org(5);
        let job = client.chunked_job("chunkSize=2");
        client.add(&job, SOQL);
        for seconds in steps {
            client.wait(*seconds);
            client.states(&job);
        }
        client.get(&format!("job/{job}/batch")).body
    };
    assert_eq!(run(&[300]), run(&[1; 300]));
}
