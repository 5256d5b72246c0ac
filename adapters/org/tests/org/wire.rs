//! The wire: documents, headers, and how requests are refused.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use sfbulk_org::{Config, Limits};

use crate::client::{BASE, CSV, Client, JSON, XML, XMLNS};

#[test]
fn a_created_job_is_told_in_xml() {
    let mut client = Client::new();
    let created = client.create("insert", "contact", "");
    assert_eq!((created.status, created.media_type.as_str()), (201, "application/xml"));
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><jobInfo\n   xmlns=\"{XMLNS}\">\n \
         <id>750000000000001AAA</id>\n <operation>insert</operation>\n <object>Contact</object>\n \
         <createdById>005000000000001AAA</createdById>\n <createdDate>2026-01-01T00:00:00.000Z</createdDate>\n \
         <systemModstamp>2026-01-01T00:00:00.000Z</systemModstamp>\n <state>Open</state>\n \
         <concurrencyMode>Parallel</concurrencyMode>\n <contentType>CSV</contentType>\n \
         <numberBatchesQueued>0</numberBatchesQueued>\n <numberBatchesInProgress>0</numberBatchesInProgress>\n \
         <numberBatchesCompleted>0</numberBatchesCompleted>\n <numberBatchesFailed>0</numberBatchesFailed>\n \
         <numberBatchesTotal>0</numberBatchesTotal>\n <numberRecordsProcessed>0</numberRecordsProcessed>\n \
         <numberRetries>0</numberRetries>\n <apiVersion>66.0</apiVersion>\n \
         <numberRecordsFailed>0</numberRecordsFailed>\n <totalProcessingTime>0</totalProcessingTime>\n \
         <apiActiveProcessingTime>0</apiActiveProcessingTime>\n <apexProcessingTime>0</apexProcessingTime>\n</jobInfo>"
    );
    assert_eq!(created.body, expected);
    assert_eq!(client.get("job/750000000000001").body, expected, "and with the short id");
}

#[test]
fn a_job_created_in_json_is_told_in_json_once() {
    let mut client = Client::new();
    let document = r#"{"operation":"upsert","object":"Account","externalIdFieldName":"Erp__c","concurrencyMode":1,"contentType":"CSV"}"#;
    let created = client.post("job", JSON, document);
    assert_eq!((created.status, created.media_type.as_str()), (201, "application/json"));
    assert_eq!(
        created.body,
        "{\"apexProcessingTime\":0,\"apiActiveProcessingTime\":0,\"apiVersion\":66.0,\"assignmentRuleId\":null,\
         \"concurrencyMode\":\"Serial\",\"contentType\":\"CSV\",\"createdById\":\"005000000000001AAA\",\
         \"createdDate\":\"2026-01-01T00:00:00.000+0000\",\"externalIdFieldName\":\"Erp__c\",\"fastPathEnabled\":false,\
         \"id\":\"750000000000001AAA\",\"numberBatchesCompleted\":0,\"numberBatchesFailed\":0,\
         \"numberBatchesInProgress\":0,\"numberBatchesQueued\":0,\"numberBatchesTotal\":0,\"numberRecordsFailed\":0,\
         \"numberRecordsProcessed\":0,\"numberRetries\":0,\"object\":\"Account\",\"operation\":\"upsert\",\
         \"state\":\"Open\",\"systemModstamp\":\"2026-01-01T00:00:00.000+0000\",\"totalProcessingTime\":0}"
    );
    let job = client.get("job/750000000000001AAA");
    assert_eq!(job.media_type, "application/xml", "a CSV job is told in XML otherwise");
    assert!(
        job.body
            .contains("<state>Open</state>\n <externalIdFieldName>Erp__c</externalIdFieldName>\n")
    );
    let batches = client.ask("GET", &format!("{BASE}/job/750000000000001AAA/batch"), JSON, "");
    assert_eq!(batches.media_type, "application/xml");
    let closed = client.post("job/750000000000001AAA", JSON, r#"{"state":"Closed"}"#);
    assert!(
        closed.media_type == "application/json" && closed.body.contains("\"state\":\"Closed\"")
    );
}

#[test]
fn batches_are_told_with_their_place() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let empty = client.get(&format!("job/{job}/batch"));
    let start =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><batchInfoList\n   xmlns=\"{XMLNS}\"");
    assert_eq!((empty.status, empty.body), (200, format!("{start} />")));
    let added = client.post(&format!("job/{job}/batch"), CSV, "Name\nA\n");
    assert_eq!((added.status, added.media_type.as_str()), (201, "application/xml"));
    assert_eq!(added.location, format!("{BASE}/job/{job}/batch/751000000000001AAA"));
    assert_eq!((added.element("id"), added.element("jobId")), ("751000000000001AAA", &*job));
    assert_eq!(added.element("state"), "Queued");
    assert!(!added.body.contains("stateMessage"));
    let list = client.get(&format!("job/{job}/batch/"));
    let expected = format!(
        "{start}>\n <batchInfo>\n  <id>751000000000001AAA</id>\n  <jobId>{job}</jobId>\n  <state>Queued</state>\n  \
         <createdDate>2026-01-01T00:00:00.000Z</createdDate>\n  <systemModstamp>2026-01-01T00:00:00.000Z</systemModstamp>\n  \
         <numberRecordsProcessed>0</numberRecordsProcessed>\n  <numberRecordsFailed>0</numberRecordsFailed>\n  \
         <totalProcessingTime>0</totalProcessingTime>\n  <apiActiveProcessingTime>0</apiActiveProcessingTime>\n  \
         <apexProcessingTime>0</apexProcessingTime>\n </batchInfo>\n</batchInfoList>"
    );
    assert_eq!(list.body, expected);
}

#[test]
fn a_request_comes_back_as_it_was_sent() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let sent = &b"Name\r\n\"\xff,\0\"\r\n"[..];
    let batch = client.add(&job, sent);
    let path = format!("{BASE}/job/{job}/batch/{batch}/request");
    let request =
        Request::get(path).header("x-sfdc-session", &client.session).body(Bytes::new()).unwrap();
    assert_eq!(client.send(request).body(), sent);
}

#[test]
fn a_query_lists_its_files_on_one_line() {
    let mut client = Client::new();
    client.insert("Account", "Name\nA\n");
    let job = client.job("query", "Account", "");
    let batch = client.add(&job, "SELECT Name FROM Account");
    client.wait(30);
    let path = format!("job/{job}/batch/{batch}/result");
    let list = client.get(&path);
    // The first file of the org is the result of the insert.
    let expected =
        format!("<result-list xmlns=\"{XMLNS}\"><result>752000000000002</result></result-list>");
    assert_eq!((list.body.as_str(), list.media_type.as_str()), (&*expected, "application/xml"));
    let file = client.ask("GET", &format!("{BASE}/{path}/752000000000002?format=json"), "", "");
    assert_eq!((file.body.as_str(), file.media_type.as_str()), ("\"Name\"\n\"A\"\n", "text/csv"));
    assert_eq!(client.batch(&job, &batch).element("numberRecordsProcessed"), "1");
    for bad in ["752000000000001", "752000000000009", "x"] {
        let refusal = client.get(&format!("{path}/{bad}")).refusal();
        assert_eq!(refusal, format!("400 InvalidBatch: Invalid result id: {bad}"));
    }
}

#[test]
fn results_can_be_fetched_when_there_are_some() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let good = client.add(&job, "Name\nA\n");
    let bad = client.add(&job, "Nme\nA\n");
    let path = |batch: &str| format!("job/{job}/batch/{batch}/result");
    assert_eq!(client.get(&path(&good)).refusal(), "400 InvalidBatch: Batch not completed");
    client.wait(30);
    assert_eq!(client.get(&path(&good)).status, 200);
    assert_eq!(client.get(&path(&bad)).refusal(), "400 InvalidBatch: Records not processed");
}

#[test]
fn a_session_is_asked_for_and_can_end() {
    let mut client = Client::new();
    let request = Request::get(format!("{BASE}/job/x")).body(Bytes::new()).unwrap();
    let response = client.send(request);
    assert_eq!(response.status(), 400);
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><error\n   xmlns=\"{XMLNS}\">\n \
         <exceptionCode>InvalidSessionId</exceptionCode>\n \
         <exceptionMessage>Unable to find session id</exceptionMessage>\n</error>"
    );
    assert_eq!(response.body(), &expected);
    let job = client.job("insert", "Account", "");
    let next = client.org.expire_session().to_owned();
    let refused = client.post(&format!("job/{job}/batch"), CSV, "Name\nA\n");
    assert_eq!(refused.refusal(), "400 InvalidSessionId: Invalid session id");
    client.session = next;
    assert!(client.states(&job).is_empty(), "the refused batch was not added");
    client.session = "00D5g000007Org1!AQ4AQ.abc".into();
    assert_eq!(client.get("job/x").refusal(), "400 InvalidSessionId: Invalid session id");
}

#[test]
fn jobs_that_make_no_sense_are_refused() {
    let mut client = Client::new();
    let key = "<externalIdFieldName>Name</externalIdFieldName>";
    for (operation, object, more, refusal) in [
        ("insert", "Widget", "", "InvalidJob: Unable to find object: Widget"),
        ("insert", "r_Account&quot;__c", "", "InvalidJob: Unable to find object: r_Account\"__c"),
        ("INSERT", "Account", "", "InvalidJob: Unsupported operation: INSERT"),
        (
            "upsert",
            "Contact",
            "",
            "InvalidJob: External ID was blank for Contact. An External ID must be specified for upsert.",
        ),
        ("insert", "Account", key, "InvalidJob: External ID can only be specified for upsert"),
        (
            "upsert",
            "Account",
            key,
            "InvalidJob: Field name provided, Name does not match an External ID, Salesforce Id, or indexed field for Account",
        ),
        (
            "insert",
            "Account",
            "<createdById>x</createdById>",
            "InvalidJob: CreatedById cannot be specified",
        ),
        (
            "insert",
            "Account",
            "<concurrencyMode>Slow</concurrencyMode>",
            "InvalidJob: Unsupported concurrencyMode: Slow",
        ),
    ] {
        let refused = client.create(operation, object, more);
        assert_eq!(refused.refusal(), format!("400 {refusal}"));
    }
    for (operation, content) in [("query", "ZIP_CSV"), ("insert", "ZIP_"), ("insert", "csv")] {
        let document = format!(
            r#"{{"operation":"{operation}","object":"Account","contentType":"{content}"}}"#
        );
        let refused = client.post("job", JSON, document);
        assert_eq!((refused.status, refused.media_type.as_str()), (400, "application/json"));
        assert!(refused.body.starts_with("{\"exceptionCode\":\"InvalidJob\""), "{}", refused.body);
    }
    let bare = format!(
        "<jobInfo xmlns=\"{XMLNS}\"><operation>insert</operation><object>Account</object></jobInfo>"
    );
    let created = client.post("job", XML, bare);
    assert_eq!(created.element("contentType"), "XML", "the default");
    assert_eq!(client.post("job", XML, "<jobInfo>").element("exceptionCode"), "InvalidXml");
    assert_eq!(
        client.post("job", JSON, "{").body,
        r#"{"exceptionCode":"InvalidJob","exceptionMessage":"Unable to parse Job"}"#
    );
    let refusal = client.post("job", "text/cs; charset=UTF-8", "x").refusal();
    assert_eq!(
        refusal,
        "400 UnsupportedContentType: Unsupported content type: text/cs; charset=UTF-8"
    );
}

#[test]
fn a_job_changes_its_state_and_nothing_else() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let document = |inner: &str| format!("<jobInfo xmlns=\"{XMLNS}\">{inner}</jobInfo>");
    let path = format!("job/{job}");
    let mut post = |inner: &str| {
        let answer = client.post(&path, XML, document(inner));
        if answer.status == 200 { answer.element("state").to_owned() } else { answer.refusal() }
    };
    assert_eq!(post("<state>Open</state>"), "400 InvalidJobState: Invalid job state: Open");
    assert_eq!(
        post("<operation>update</operation>"),
        "400 InvalidJob: Operation cannot be specified"
    );
    assert_eq!(post(""), "400 InvalidJob: State must be specified");
    assert_eq!(post(&format!("<id>{job}</id><state>Closed</state>")), "Closed");
    assert_eq!(
        post("<state>Closed</state>"),
        "400 InvalidJobState: Closing already closed Job not allowed"
    );
    assert_eq!(post("<state>Aborted</state>"), "Aborted");
    assert_eq!(
        post("<state>Aborted</state>"),
        "400 InvalidJobState: Aborting already aborted Job not allowed"
    );
    assert_eq!(
        post("<state>Closed</state>"),
        "400 InvalidJobState: Closing already aborted Job not allowed"
    );
    let refused = client.post(&format!("{path}/batch"), CSV, "Name\nA\n");
    assert_eq!(refused.refusal(), "400 InvalidJobState: Job already aborted");
}

#[test]
fn xml_under_the_type_of_records_is_read() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let document = format!("<jobInfo xmlns=\"{XMLNS}\"><state>Closed</state></jobInfo>");
    assert_eq!(client.post(&format!("job/{job}"), CSV, document).element("state"), "Closed");
}

#[test]
fn batches_that_make_no_sense_are_refused() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let path = format!("job/{job}/batch");
    for empty in ["", " \r\n\t"] {
        let refusal = client.post(&path, CSV, empty).refusal();
        assert_eq!(refusal, "400 ClientInputError: Unable to find any data to create batch");
    }
    for media_type in ["text/cs", "application/xml", "text/csv; charset=ISO-8859-1", ""] {
        let refusal = client.post(&path, media_type, "Name\nA\n").refusal();
        let shown = if media_type.is_empty() { "null" } else { media_type };
        assert_eq!(
            refusal,
            format!("400 UnsupportedContentType: Unsupported content type: {shown}")
        );
    }
    for media_type in ["text/csv", "Text/CSV;charset=\"utf-8\""] {
        assert_eq!(client.post(&path, media_type, "Name\nA\n").status, 201);
    }
    client.wait(25 * 3_600);
    assert_eq!(
        client.post(&path, CSV, "Name\nA\n").element("exceptionCode"),
        "InvalidJobState",
        "open for a day"
    );
}

#[test]
fn the_daily_allocation_rolls() {
    let mut client =
        Client::with(Config::new().limits(Limits { daily_batches: 2, ..Limits::default() }));
    let job = client.job("insert", "Account", "");
    let path = format!("job/{job}/batch");
    client.add(&job, "Name\nA\n");
    client.wait(3_600);
    client.add(&job, "Name\nA\n");
    let refusal = client.post(&path, CSV, "Name\nA\n").refusal();
    assert_eq!(refusal, "400 ExceededQuota: ApiBatchItems Limit exceeded.");
    client.wait(23 * 3_600);
    assert_eq!(client.post(&path, CSV, "Name\nA\n").status, 201);
}

#[test]
fn ids_and_paths_that_lead_nowhere() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let other = client.job("insert", "Account", "");
    let batch = client.add(&job, "Name\nA\n");
    for (path, refusal) in [
        ("job/750000000000009AAA".to_owned(), "400 InvalidJob: Invalid job id: 750000000000009AAA"),
        ("job/x".into(), "400 InvalidJob: Invalid job id: x"),
        (format!("job/{batch}"), "400 InvalidJob: Invalid job id: 751000000000001AAA"),
        (
            format!("job/{other}/batch/{batch}"),
            "400 InvalidBatch: Invalid batch id: 751000000000001AAA",
        ),
        (
            format!("job/{job}/batch/../x"),
            "400 InvalidUrl: Failed to parse URL. Was expecting 'result' but found:x",
        ),
        ("jobs".into(), "400 InvalidUrl: Failed to parse URL. Was expecting 'job' but found:jobs"),
        (String::new(), "400 InvalidUrl: Failed to parse URL. Was expecting 'job' but found:"),
    ] {
        assert_eq!(client.get(&path).refusal(), refusal);
    }
    let in_json = client.ask("GET", &format!("{BASE}/job/x"), JSON, "");
    assert_eq!(
        in_json.body,
        r#"{"exceptionCode":"InvalidJob","exceptionMessage":"Invalid job id: x"}"#
    );
    for method in ["GET", "PUT", "HEAD"] {
        let answer = client.ask(method, &format!("{BASE}/job"), "", "");
        assert_eq!((answer.status, answer.element("exceptionCode")), (405, "MethodNotAllowed"));
    }
    let elsewhere = client.ask("GET", "/favicon.ico", "", "");
    assert_eq!((elsewhere.status, elsewhere.media_type.as_str()), (404, "application/json"));
    let doubled = client.ask("GET", &format!("/{BASE}/job/{job}"), "", "");
    assert_eq!(doubled.status, 200);
}

#[test]
fn a_version_must_be_served_and_stay_the_same() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    for version in ["20.0", "v66.0", "66"] {
        let answer = client.ask("GET", &format!("/services/async/{version}/job/{job}"), "", "");
        assert_eq!((answer.status, answer.element("exceptionCode")), (400, "InvalidVersion"));
    }
    let answer = client.ask("GET", &format!("/services/async/65.0/job/{job}"), "", "");
    assert_eq!(
        answer.refusal(),
        "400 InvalidVersion: The job was created with version 66.0, not 65.0"
    );
}

#[test]
fn bodies_are_packed_both_ways() {
    let mut client = Client::new();
    let job = client.job("insert", "Account", "");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"Name\nA\n").unwrap();
    let small = Bytes::from(packer.finish().unwrap());
    let add = |encoding: &str, body: Bytes, session: &str| {
        let request =
            Request::post(format!("{BASE}/job/{job}/batch")).header("X-SFDC-Session", session);
        let request = request.header("Content-Type", CSV).header("Content-Encoding", encoding);
        request.body(body).unwrap()
    };
    let session = client.session.clone();
    assert_eq!(client.send(add("gzip", small.clone(), &session)).status(), 201);
    assert_eq!(client.send(add("deflate", small.clone(), &session)).status(), 400);
    assert_eq!(client.send(add("gzip", small.slice(..15), &session)).status(), 400);
    client.wait(30);
    let path = format!("{BASE}/job/{job}/batch/751000000000001AAA/request");
    let request =
        Request::get(path).header("X-SFDC-Session", &session).header("Accept-Encoding", "gzip, br");
    let response = client.send(request.body(Bytes::new()).unwrap());
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let mut plain = String::new();
    std::io::Read::read_to_string(
        &mut flate2::read::GzDecoder::new(&response.body()[..]),
        &mut plain,
    )
    .unwrap();
    assert_eq!(plain, "Name\nA\n");
}

#[test]
fn a_body_has_a_limit_packed_or_not() {
    let mut client = Client::with(Config::new().max_body(1_000).latency(Duration::ZERO));
    let job = client.job("insert", "Account", "");
    let answer = client.post(&format!("job/{job}/batch"), CSV, "x".repeat(1_001));
    assert_eq!((answer.status, answer.element("exceptionCode")), (413, "ClientInputError"));
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&vec![b'x'; 100_000]).unwrap();
    let request =
        Request::post(format!("{BASE}/job/{job}/batch")).header("X-SFDC-Session", &client.session);
    let request = request.header("Content-Type", CSV).header("Content-Encoding", "gzip");
    let bomb = request.body(packer.finish().unwrap().into()).unwrap();
    assert_eq!(client.send(bomb).status(), 413);
}
