//! Records and results in JSON and XML.

use std::time::Duration;

use sfbulk_org::{Config, Limits};

use crate::client::{Answer, CSV, Client, JSON, XML, XMLNS};

pub(crate) fn json_job(client: &mut Client, operation: &str, object: &str) -> String {
    let document =
        format!(r#"{{"operation":"{operation}","object":"{object}","contentType":"JSON"}}"#);
    let created = client.post("job", JSON, document);
    assert_eq!((created.status, created.media_type.as_str()), (201, "application/json"));
    created.member("id").to_owned()
}

pub(crate) fn xml_job(client: &mut Client, operation: &str, object: &str) -> String {
    let document = format!(
        "<jobInfo xmlns=\"{XMLNS}\"><operation>{operation}</operation><object>{object}</object></jobInfo>"
    );
    client.post("job", XML, document).element("id").to_owned()
}

/// Adds a batch and waits for its end; tells its path and its info.
pub(crate) fn run(
    client: &mut Client,
    job: &str,
    media_type: &str,
    body: &str,
) -> (String, Answer) {
    let added = client.post(&format!("job/{job}/batch"), media_type, body.to_owned());
    assert_eq!(added.status, 201, "{}", added.body);
    let id = if media_type == JSON { added.member("id") } else { added.element("id") };
    let path = format!("job/{job}/batch/{id}");
    client.wait(30);
    let info = client.get(&path);
    (path, info)
}

#[test]
fn json_records_are_loaded_and_answered_one_by_one() {
    let mut client = Client::new();
    let job = json_job(&mut client, "insert", "Account");
    let records = r#"[{"Name":"Fabrikam \"&\" Söhne\n😀","AnnualRevenue":125000.5},{"Fax":null},
        {"Name":"B","Key__c":17,"NumberOfEmployees":"42"}]"#;
    let (path, info) = run(&mut client, &job, JSON, records);
    assert_eq!((info.member("state"), info.media_type.as_str()), ("Completed", "application/json"));
    let result = client.get(&format!("{path}/result"));
    assert_eq!(result.media_type, "application/json");
    assert_eq!(
        result.body,
        "[{\"success\":true,\"created\":true,\"id\":\"001000000000001AAA\",\"errors\":[]},\
         {\"success\":false,\"created\":false,\"id\":null,\"errors\":[{\"extendedErrorDetails\":null,\
         \"fields\":[\"Name\"],\"message\":\"Required fields are missing: [Name]\",\
         \"statusCode\":\"REQUIRED_FIELD_MISSING\"}]},\
         {\"success\":true,\"created\":true,\"id\":\"001000000000002AAA\",\"errors\":[]}]"
    );
    assert_eq!(client.get(&format!("{path}/request")).body, records);
    assert_eq!(
        client.query("Account", "SELECT Name, Key__c, NumberOfEmployees FROM Account"),
        "\"Name\",\"Key__c\",\"NumberOfEmployees\"\n\"Fabrikam \"\"&\"\" Söhne\n😀\",\"\",\"\"\n\"B\",\"17\",\"42\"\n"
    );
}

#[test]
fn xml_records_are_loaded_and_answered_one_by_one() {
    let mut client = Client::new();
    let job = xml_job(&mut client, "insert", "Account");
    let records = "<?xml version=\"1.0\"?><sObjects xmlns=\"x\" xmlns:xsi=\"y\"><sObject><Name>A &lt; B</Name></sObject>\
                   <sObject><Fax xsi:nil=\"true\"/></sObject></sObjects>";
    let (path, info) = run(&mut client, &job, XML, records);
    assert_eq!(info.element("state"), "Completed", "{}", info.body);
    let result = client.get(&format!("{path}/result"));
    assert_eq!(result.media_type, "application/xml");
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><results\n   xmlns=\"{XMLNS}\">\n <result>\n  \
         <id>001000000000001AAA</id>\n  <success>true</success>\n  <created>true</created>\n </result>\n \
         <result>\n  <errors>\n   <fields>Name</fields>\n   <message>Required fields are missing: [Name]</message>\n   \
         <statusCode>REQUIRED_FIELD_MISSING</statusCode>\n  </errors>\n  <success>false</success>\n  \
         <created>false</created>\n </result>\n</results>"
    );
    assert_eq!(result.body, expected);
}

#[test]
fn null_clears_and_absent_and_empty_leave_alone() {
    for (clear, keep, media_type) in [
        (
            r#"[{"Id":"001000000000001AAA","Fax":null}]"#,
            r#"[{"Id":"001000000000001AAA","Fax":""}]"#,
            JSON,
        ),
        (
            "<sObjects xmlns:xsi='y'><sObject><Id>001000000000001AAA</Id><Fax xsi:nil='true'/></sObject></sObjects>",
            "<sObjects><sObject><Id>001000000000001AAA</Id><Fax/></sObject></sObjects>",
            XML,
        ),
    ] {
        let mut client = Client::new();
        client.insert("Account", "Name,Fax,Site\nA,1,2\n");
        let fields = |client: &mut Client| client.query("Account", "SELECT Fax, Site FROM Account");
        for (records, left) in [(keep, "\"1\",\"2\""), (clear, "\"\",\"2\"")] {
            let job = match media_type {
                JSON => json_job(&mut client, "update", "Account"),
                _ => xml_job(&mut client, "update", "Account"),
            };
            run(&mut client, &job, media_type, records);
            assert_eq!(fields(&mut client), format!("\"Fax\",\"Site\"\n{left}\n"));
        }
    }
}

#[test]
fn json_rows_have_types_and_moments_are_counted() {
    let mut client = Client::new();
    client.insert("Contact", "LastName,Birthdate,DoNotCall\n\"A\n\"\"\",1969-12-31,true\nB,,\n");
    let job = json_job(&mut client, "query", "Contact");
    let soql = "SELECT Id, LastName, Birthdate, DoNotCall, CreatedDate FROM Contact";
    let (path, info) = run(&mut client, &job, JSON, soql);
    assert_eq!(info.member("state"), "Completed", "{}", info.body);
    let list = client.get(&format!("{path}/result"));
    assert_eq!(list.body, "[\"752000000000002\"]");
    let file = client.get(&format!("{path}/result/752000000000002"));
    assert_eq!(file.media_type, "application/json");
    let url = "/services/data/v66.0/sobjects/Contact/";
    assert_eq!(
        file.body,
        format!(
            "[ {{\n  \"attributes\" : {{ \"type\" : \"Contact\", \"url\" : \"{url}003000000000001AAA\" }},\n  \
             \"Id\" : \"003000000000001AAA\",\n  \"LastName\" : \"A\\n\\\"\",\n  \"Birthdate\" : -86400000,\n  \
             \"DoNotCall\" : true,\n  \"CreatedDate\" : 1767225630000\n}}, {{\n  \
             \"attributes\" : {{ \"type\" : \"Contact\", \"url\" : \"{url}003000000000002AAA\" }},\n  \
             \"Id\" : \"003000000000002AAA\",\n  \"LastName\" : \"B\",\n  \"Birthdate\" : null,\n  \
             \"DoNotCall\" : false,\n  \"CreatedDate\" : 1767225630000\n}} ]"
        )
    );
}

#[test]
fn xml_rows_tell_an_id_twice_or_as_nil() {
    let mut client = Client::new();
    client.insert("Account", "Name,AnnualRevenue\nA & B,1.5\n");
    let start = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><queryResult\n   xmlns=\"{XMLNS}\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n"
    );
    let id = "<Id>001000000000001AAA</Id>";
    for (soql, inner) in [
        ("SELECT Id, Site FROM Account", format!("{id}{id}<Site xsi:nil=\"true\"/>")),
        (
            "SELECT Name, AnnualRevenue FROM Account",
            "<Id xsi:nil=\"true\"/><Name>A &amp; B</Name><AnnualRevenue>1.5</AnnualRevenue>".into(),
        ),
    ] {
        let job = xml_job(&mut client, "query", "Account");
        let (path, _) = run(&mut client, &job, XML, soql);
        let list = client.get(&format!("{path}/result"));
        let file = client.get(&format!("{path}/result/{}", list.element("result")));
        let record =
            format!(" <records xsi:type=\"sObject\"><type>Account</type>{inner}</records>\n");
        assert_eq!(file.body, format!("{start}{record}</queryResult>"));
    }
}

#[test]
fn results_without_rows_are_empty_and_well_formed() {
    let mut client = Client::new();
    let soql = "SELECT Id FROM Account";
    for (job, media_type, body) in [
        (json_job(&mut client, "query", "Account"), JSON, "[ ]"),
        (xml_job(&mut client, "query", "Account"), XML, "</queryResult>"),
        (client.job("query", "Account", ""), CSV, "Records not found for this query"),
    ] {
        let (path, _) = run(&mut client, &job, media_type, soql);
        let list = client.get(&format!("{path}/result")).body;
        let id: String = list[list.find("752").unwrap()..].chars().take(15).collect();
        let file = client.get(&format!("{path}/result/{id}"));
        assert!(file.body.ends_with(body), "{}", file.body);
    }
}

#[test]
fn batches_that_cannot_be_read_fail_in_every_format() {
    let mut client = Client::new();
    for (media_type, body, message) in [
        (JSON, "[{]", "InvalidBatch : Failed to parse JSON. "),
        (JSON, "[]", "InvalidBatch : Records not found"),
        (JSON, r#"[{"Nme":1}]"#, "InvalidBatch : Field name not found : Nme"),
        (XML, "<sObjects>", "InvalidBatch : Failed to parse XML. Premature end of file"),
        (XML, "<!DOCTYPE x><sObjects/>", "InvalidBatch : Failed to parse XML. A document type"),
        (XML, "<sObjects/>", "InvalidBatch : Records not found"),
    ] {
        let job = match media_type {
            JSON => json_job(&mut client, "insert", "Account"),
            _ => xml_job(&mut client, "insert", "Account"),
        };
        let (_, info) = run(&mut client, &job, media_type, body);
        assert!(info.body.contains("Failed") && info.body.contains(message), "{}", info.body);
    }
}

#[test]
fn a_batch_comes_as_the_type_of_its_job() {
    let mut client = Client::new();
    let json = json_job(&mut client, "insert", "Account");
    let xml = xml_job(&mut client, "insert", "Account");
    let refused = client.post(&format!("job/{json}/batch"), XML, "<sObjects/>");
    assert_eq!((refused.status, refused.member("exceptionCode")), (400, "UnsupportedContentType"));
    let refused = client.post(&format!("job/{xml}/batch"), JSON, "[]");
    assert_eq!(refused.element("exceptionCode"), "UnsupportedContentType");
}

#[test]
fn the_limits_of_a_batch_hold_in_every_format() {
    let limits = Limits {
        records: 2,
        characters: 200,
        record: 60,
        value: 30,
        columns: 3,
        ..Limits::default()
    };
    let config = Config::new().latency(Duration::from_secs(30)).limits(limits);
    let mut client = Client::with(config);
    let name = |n: usize| "x".repeat(n);
    let xml = |inner: &str| format!("<sObjects>{inner}</sObjects>");
    for (job, media_type, too_many, too_wide, too_long, too_large, too_big) in [
        (
            json_job(&mut client, "insert", "Account"),
            JSON,
            r#"[{"Name":1},{"Name":1},{"Name":1}]"#.to_owned(),
            r#"[{"Name":1,"Fax":1},{"Site":1,"Phone":1}]"#.to_owned(),
            format!(r#"[{{"Name":"{}"}}]"#, name(31)),
            format!(r#"[{{"Name":"{0}","Site":"{0}"}}]"#, name(30)),
            name(201),
        ),
        (
            xml_job(&mut client, "insert", "Account"),
            XML,
            xml(&"<sObject><Name>1</Name></sObject>".repeat(3)),
            xml("<sObject><Name/><Fax/><Site/><Phone/></sObject>"),
            xml(&format!("<sObject><Name>{}</Name></sObject>", name(31))),
            xml(&format!("<sObject><Name>{0}</Name><Site>{0}</Site></sObject>", name(30))),
            name(201),
        ),
        (
            client.job("insert", "Account", ""),
            CSV,
            "Name\n1\n1\n1\n".to_owned(),
            "Name,Fax,Site,Phone\n1,1,1,1\n".to_owned(),
            format!("Name\n{}\n", name(31)),
            format!("Name,Site\n{0},{0}\n", name(30)),
            name(201),
        ),
    ] {
        for (body, message) in [
            (too_many, "Exceeded number of records : 3"),
            (too_wide, "Exceeded max number of columns per record : 3"),
            (too_long, "Exceeded max length for one value : 30"),
            (too_large, "Exceeded max length for one record : 60"),
            (too_big, "Failed to read request. Exceeded max size limit of 200"),
        ] {
            let (_, info) = run(&mut client, &job, media_type, &body);
            assert!(info.body.contains(message), "{message}: {}", info.body);
        }
    }
}

#[test]
fn records_that_name_one_field_each_do_not_make_a_great_table() {
    let config = Config::new().latency(Duration::ZERO);
    let mut client = Client::with(config);
    let job = json_job(&mut client, "insert", "Account");
    let fields: Vec<String> = (0..4_999).map(|n| format!("\"A{n}__c\":1")).collect();
    let records = format!("[{{{}}}{}]", fields.join(","), ",{}".repeat(9_999));
    let (_, info) = run(&mut client, &job, JSON, &records);
    assert!(info.body.contains("Field name not found : A"), "{}", info.body);
}
