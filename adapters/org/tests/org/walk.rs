//! Batches in time: the states they walk through, and who waits for whom.

use std::time::Duration;

use sfbulk_org::Config;

use crate::client::Client;

#[test]
fn a_batch_is_queued_then_in_progress_then_completed() {
    let mut client = Client::new(); // 30 seconds
    let job = client.job("insert", "Account", "");
    let batch = client.add(&job, "Name\nA\n,\n");
    for (seconds, state, queued, running, done) in [
        (0, "Queued", 1, 0, 0),
        (9, "Queued", 1, 0, 0),
        (1, "InProgress", 0, 1, 0),
        (19, "InProgress", 0, 1, 0),
        (1, "Completed", 0, 0, 1),
    ] {
        client.wait(seconds);
        let info = client.batch(&job, &batch);
        assert_eq!(info.element("state"), state);
        let job = client.get(&format!("job/{job}"));
        let counts = ["Queued", "InProgress", "Completed"]
            .map(|name| job.element(&format!("numberBatches{name}")).to_owned());
        assert_eq!(counts, [queued, running, done].map(|n: i32| n.to_string()));
        assert_eq!(job.element("numberBatchesTotal"), "1");
    }
    let info = client.batch(&job, &batch);
    assert_eq!(info.element("createdDate"), "2026-01-01T00:00:00.000Z");
    assert_eq!(info.element("systemModstamp"), "2026-01-01T00:00:30.000Z");
    assert_eq!(
        (info.element("numberRecordsProcessed"), info.element("numberRecordsFailed")),
        ("2", "1")
    );
    assert_eq!(info.element("totalProcessingTime"), "20000");
    let job = client.get(&format!("job/{job}"));
    assert_eq!(
        (job.element("numberRecordsProcessed"), job.element("numberRecordsFailed")),
        ("2", "1")
    );
}

#[test]
fn work_is_dated_with_its_end_whenever_it_is_seen() {
    let mut early = Client::new();
    let mut late = Client::new();
    for client in [&mut early, &mut late] {
        let job = client.job("insert", "Account", "");
        client.add(&job, "Name\nA\n");
    }
    early.wait(30);
    early.get("job/750000000000001");
    late.wait(100_000);
    early.wait(99_970);
    let soql = "SELECT Id, CreatedDate FROM Account";
    assert_eq!(early.query("Account", soql), late.query("Account", soql));
}

#[test]
fn parallel_batches_run_together_and_serial_ones_in_turn() {
    let mut client = Client::new();
    let parallel = client.job("insert", "Account", "");
    let serial = client.job("insert", "Account", "<concurrencyMode>Serial</concurrencyMode>");
    let other = client.job("insert", "Account", "<concurrencyMode>Serial</concurrencyMode>");
    for job in [&parallel, &parallel, &serial, &serial, &other] {
        client.add(job, "Name\nA\n");
    }
    // A serial batch runs for 20 seconds, the first from 10 on.
    for (wait, states) in [
        (10, [["InProgress", "InProgress"], ["InProgress", "Queued"], ["Queued", ""]]),
        (20, [["Completed", "Completed"], ["Completed", "InProgress"], ["Queued", ""]]),
        (20, [["Completed", "Completed"], ["Completed", "Completed"], ["InProgress", ""]]),
        (20, [["Completed", "Completed"], ["Completed", "Completed"], ["Completed", ""]]),
    ] {
        client.wait(wait);
        for (job, expected) in [&parallel, &serial, &other].into_iter().zip(states) {
            let found = client.states(job);
            assert!(
                found.iter().eq(expected.iter().filter(|state| !state.is_empty())),
                "{found:?} {expected:?}"
            );
        }
    }
}

#[test]
fn an_abort_stops_what_waits_and_not_what_runs() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    client.add(&job, "Name\nRunning\n");
    client.wait(15);
    let queued = client.add(&job, "Name\nWaiting\n");
    let aborted = client.set_state(&job, "Aborted");
    assert_eq!((aborted.status, aborted.element("state")), (200, "Aborted"));
    assert_eq!(aborted.element("numberBatchesInProgress"), "1");
    assert_eq!(client.states(&job), ["InProgress", "NotProcessed"]);
    client.wait(60);
    assert_eq!(client.states(&job), ["Completed", "NotProcessed"]);
    let result = client.get(&format!("job/{job}/batch/{queued}/result"));
    assert_eq!(result.refusal(), "400 InvalidBatch: Records not processed");
    assert_eq!(client.query("Account", "SELECT Name FROM Account"), "\"Name\"\n\"Running\"\n");
}

#[test]
fn closing_does_not_stop_batches() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    client.add(&job, "Name\nA\n");
    assert_eq!(client.set_state(&job, "Closed").element("numberBatchesQueued"), "1");
    client.wait(30);
    assert_eq!(client.states(&job), ["Completed"]);
}

#[test]
fn without_latency_the_next_request_sees_the_end() {
    let mut client = Client::with(Config::new().latency(Duration::ZERO));
    let job = client.job("insert", "Account", "");
    let added = client.post(&format!("job/{job}/batch"), crate::client::CSV, "Name\nA\n");
    assert_eq!(added.element("state"), "Queued");
    assert_eq!(client.states(&job), ["Completed"]);
}

#[test]
fn time_never_goes_back() {
    let mut client = Client::new();
    client.wait(1_000);
    let job = client.job("insert", "Account", "");
    client.now = Duration::ZERO;
    let created = client.job("insert", "Account", "");
    assert_ne!(job, created);
    assert!(
        client
            .get(&format!("job/{created}"))
            .body
            .contains("<createdDate>2026-01-01T00:16:40.000Z")
    );
    client.now = Duration::MAX;
    let last = client.job("insert", "Account", "");
    assert_eq!(client.get(&format!("job/{last}")).status, 200);
}

#[test]
fn the_same_conversation_has_the_same_answers() {
    let talk =
        || {
            let mut client = Client::new();
            let mut said = client.insert("Account", "Name,Key__c\nA,1\nB,2\n");
            said.push(client.query(
                "Account",
                "SELECT Id, Key__c, SystemModstamp FROM Account ORDER BY Name DESC",
            ));
            said.push(client.get("job/750000000000002/batch").body);
            said
        };
    assert_eq!(talk(), talk());
}
