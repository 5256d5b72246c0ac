//! Each `exceptionCode` that a client can bring about, with its status; and what the org's settings
//! forbid. Those that only the server's trouble causes come by faults.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use sfbulk_org::{Config, Limits, Permissions};

use crate::client::{BASE, CSV, Client, XML, XMLNS};

fn permitted(permissions: Permissions) -> Client {
    Client::with(Config::new().latency(Duration::ZERO).permissions(permissions))
}

fn limited(limits: Limits) -> Client {
    Client::with(Config::new().latency(Duration::ZERO).limits(limits))
}

#[test]
fn every_code_a_client_can_cause_is_caused() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let batch = client.add(&job, "Name\nA\n");
    let wanted = |operation: &str, object: &str| {
        format!(
            "<jobInfo xmlns=\"{XMLNS}\"><operation>{operation}</operation><object>{object}</object></jobInfo>"
        )
    };
    let closing = "<jobInfo><state>Open</state></jobInfo>".to_owned();
    let (create, update) = ("66.0/job".to_owned(), format!("66.0/job/{job}"));
    let add = format!("{update}/batch");
    for (method, path, media_type, body, refusal) in [
        (
            "POST",
            "38.0/job".to_owned(),
            XML,
            wanted("queryAll", "Account"),
            "400 InvalidOperation: queryAll is not allowed in version 38.0",
        ),
        (
            "GET",
            "66.0/jobs".into(),
            "",
            String::new(),
            "400 InvalidUrl: Failed to parse URL. Was expecting 'job' but found:jobs",
        ),
        (
            "POST",
            create.clone(),
            XML,
            "<jobInfo>".into(),
            "400 InvalidXml: Unable to parse the request: premature end of file",
        ),
        (
            "POST",
            create.clone(),
            XML,
            wanted("insert", "Widget"),
            "400 InvalidJob: Unable to find object: Widget",
        ),
        (
            "POST",
            create.clone(),
            XML,
            wanted("insert", "taskstatus"),
            "400 InvalidEntity: Entity 'TaskStatus' is not supported by the Bulk API.",
        ),
        ("POST", update.clone(), XML, closing, "400 InvalidJobState: Invalid job state: Open"),
        (
            "GET",
            format!("{add}/{batch}/result"),
            "",
            String::new(),
            "400 InvalidBatch: Batch not completed",
        ),
        (
            "POST",
            add.clone(),
            CSV,
            String::new(),
            "400 ClientInputError: Unable to find any data to create batch",
        ),
        (
            "GET",
            format!("65.0/job/{job}"),
            "",
            String::new(),
            "400 InvalidVersion: The job was created with version 66.0, not 65.0",
        ),
        (
            "POST",
            add,
            "text/cs",
            "Name\n".into(),
            "400 UnsupportedContentType: Unsupported content type: text/cs",
        ),
        (
            "DELETE",
            update,
            "",
            String::new(),
            "405 MethodNotAllowed: DELETE is not allowed for this resource",
        ),
        (
            "GET",
            "66.0/AsyncApi.xsd".into(),
            "",
            String::new(),
            "404 NotFound: The practice org has no schema document",
        ),
    ] {
        let answer = client.ask(method, &format!("/services/async/{path}"), media_type, body);
        assert_eq!(answer.refusal(), refusal);
    }
}

#[test]
fn a_bearer_is_no_session_for_the_bulk_side() {
    let mut client = Client::new();
    let bearer = format!("Bearer {}", client.session);
    let request = Request::get(format!("{BASE}/job/x")).header("Authorization", bearer);
    let response = client.send(request.body(Bytes::new()).unwrap());
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(response.status() == 400 && body.contains("Unable to find session id"), "{body}");
}

#[test]
fn what_is_not_permitted_is_refused() {
    let all = Permissions::default();
    let mut client = permitted(Permissions { api: false, ..all });
    let refusal = client.create("insert", "Account", "").refusal();
    assert_eq!(refusal, "400 InvalidUser: The user is not allowed to use the API");
    let mut client = permitted(Permissions { bulk_api: false, ..all });
    let refusal = client.create("insert", "Account", "").refusal();
    assert_eq!(refusal, "400 FeatureNotEnabled: Async API is not enabled for this organization");
    let mut client = permitted(Permissions { hard_delete: false, ..all });
    assert_eq!(
        client.create("hardDelete", "Account", "").refusal(),
        "400 FeatureNotEnabled: hardDelete operation requires special user profile permission, please contact your \
         system administrator"
    );
    assert_eq!(client.create("delete", "Account", "").status, 201);
}

#[test]
fn a_job_takes_batches_for_as_long_as_it_is_set() {
    let mut client = limited(Limits { job_open: Duration::from_secs(60), ..Limits::default() });
    let job = client.job("insert", "Account", "");
    client.wait(60);
    client.add(&job, "Name\nA\n");
    client.wait(1);
    let refused = client.post(&format!("job/{job}/batch"), CSV, "Name\nA\n");
    assert_eq!(refused.element("exceptionCode"), "InvalidJobState");
}

#[test]
fn jobs_are_kept_for_as_long_as_it_is_set() {
    let retention = Duration::from_secs(3_600);
    let mut client = limited(Limits { retention, ..Limits::default() });
    let (empty, job) = (client.job("insert", "Account", ""), client.job("insert", "Account", ""));
    client.wait(1_800);
    let batch = client.add(&job, "Name\nA\n");
    client.wait(1_801);
    let gone = |job: &str| format!("400 InvalidJob: Invalid job id: {job}");
    assert_eq!(client.get(&format!("job/{empty}")).refusal(), gone(&empty));
    assert_eq!(client.get(&format!("job/{job}/batch/{batch}/result")).status, 200);
    client.wait(1_800);
    assert_eq!(client.get(&format!("job/{job}/batch/{batch}/result")).refusal(), gone(&job));
    assert_eq!(client.query("Account", "SELECT Name FROM Account"), "\"Name\"\n\"A\"\n");
    assert!(client.job("insert", "Account", "") > job, "ids are never given twice");
}

#[test]
fn a_large_result_ends_when_its_files_are_full() {
    let limits = Limits { result_bytes: 100, result_files: 3, ..Limits::default() };
    let mut client = limited(limits);
    let rows = |n: usize| format!("Name\n{}", format!("{}\n", "x".repeat(97)).repeat(n));
    client.insert("Account", rows(3));
    let soql = "SELECT Name FROM Account";
    assert_eq!(client.files("query", "Account", soql).unwrap().len(), 3);
    client.insert("Account", rows(1));
    let failed = client.files("query", "Account", soql).unwrap_err();
    assert_eq!(failed, "InternalServerError : Retried more than thirty times");
}

#[test]
fn custom_objects_have_an_end() {
    let mut client = limited(Limits { custom_objects: 2, ..Limits::default() });
    for object in ["A__c", "B__c", "a__c"] {
        client.job("insert", object, "");
    }
    let refusal = client.create("insert", "C__c", "").refusal();
    assert_eq!(refusal, "400 InvalidJob: Unable to find object: C__c");
}

#[test]
fn a_batch_has_as_many_bytes_as_it_may() {
    let mut client = limited(Limits { bytes: 10, ..Limits::default() });
    assert_eq!(client.insert("Account", "Name\nABCD\n").len(), 1);
    let told = client.insert("Account", "Name\nÄBCD\n");
    assert_eq!(told, ["InvalidBatch : Failed to read request. Exceeded max size limit of 10"]);
}

#[test]
fn long_ids_and_names_are_not_told_at_length() {
    let mut client = Client::new();
    let long = "x".repeat(50_000);
    for path in [format!("job/{long}"), long.clone(), format!("job/750000000000001/{long}")] {
        let answer = client.get(&path);
        assert!(answer.status == 400 && answer.body.len() < 1_000, "{}", answer.body.len());
    }
    for object in [long.clone(), format!("{long}__c")] {
        let answer = client.create("insert", &object, "");
        assert!(answer.status == 400 && answer.body.len() < 1_000, "{}", answer.body.len());
    }
}
