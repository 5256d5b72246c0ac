//! The REST bits, and what REST says when it refuses.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use sfbulk_org::{Config, Limits, Permissions};

use crate::client::Client;

const DATA: &str = "/services/data/v66.0";

impl Client {
    /// A REST answer: its status and its JSON.
    fn rest_with(&mut self, method: &str, path: &str, authorization: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("Authorization", authorization).body(Bytes::new()).unwrap();
        let response = self.send(request);
        assert!(
            response.headers()["content-type"].to_str().unwrap().starts_with("application/json")
        );
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }

    fn rest(&mut self, path: &str) -> (u16, Value) {
        let authorization = format!("Bearer {}", self.session);
        self.rest_with("GET", path, &authorization)
    }

    fn found(&mut self, path: &str) -> Value {
        let (status, value) = self.rest(&format!("{DATA}/{path}"));
        assert_eq!(status, 200, "{value}");
        value
    }

    /// `status CODE: message` of a refusal.
    fn rest_refusal(&mut self, path: &str) -> String {
        refusal(&self.rest(path))
    }
}

fn refusal((status, value): &(u16, Value)) -> String {
    let text = |name: &str| value[0][name].as_str().unwrap_or_default().to_owned();
    format!("{status} {}: {}", text("errorCode"), text("message"))
}

fn client() -> Client {
    Client::with(Config::new().latency(Duration::ZERO))
}

#[test]
fn versions_are_told_to_everyone() {
    let mut client = client();
    let (status, versions) = client.rest_with("GET", "/services/data", "");
    let versions = versions.as_array().unwrap();
    assert_eq!((status, versions.len()), (200, 36));
    let told =
        |at: usize| ["label", "url", "version"].map(|name| versions[at][name].as_str().unwrap());
    assert_eq!(told(0), ["Summer '14", "/services/data/v31.0", "31.0"]);
    assert_eq!(told(35), ["Spring '26", "/services/data/v66.0", "66.0"]);
}

#[test]
fn resources_lead_on() {
    let mut client = client();
    let (_, resources) = client.rest(DATA);
    for (name, path) in resources.as_object().unwrap() {
        assert_eq!(path.as_str().unwrap(), format!("{DATA}/{name}"));
    }
    let (status, user) = client.rest("/services/oauth2/userinfo");
    assert_eq!((status, user["user_id"].as_str()), (200, Some("005000000000001AAA")));
    assert!(client.session.starts_with(user["organization_id"].as_str().unwrap()));
}

#[test]
fn objects_and_fields_are_described() {
    let mut client = client();
    client.insert("Invoice__c", "Total__c\n1\n");
    let all = client.found("sobjects");
    let objects = all["sobjects"].as_array().unwrap();
    let account = objects.iter().find(|object| object["name"] == "Account").unwrap();
    assert_eq!(account["keyPrefix"], "001");
    assert_eq!(account["urls"]["describe"], format!("{DATA}/sobjects/Account/describe"));
    assert!(
        objects.iter().any(|object| object["name"] == "Invoice__c" && object["custom"] == true)
    );

    let contact = client.found("sobjects/contact/describe");
    let field = |name: &str| {
        let fields = contact["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap().clone()
    };
    let reference = field("AccountId");
    assert_eq!(
        (&reference["type"], &reference["referenceTo"][0]),
        (&"reference".into(), &"Account".into())
    );
    assert_eq!(reference["relationshipName"], "Account");
    let name = field("LastName");
    assert_eq!((&name["length"], &name["nillable"]), (&80.into(), &false.into()));
    let created = field("CreatedDate");
    assert_eq!((&created["type"], &created["createable"]), (&"datetime".into(), &false.into()));
    assert_eq!(
        (&field("Email")["idLookup"], &field("Id")["updateable"]),
        (&true.into(), &false.into())
    );
    let invoice = client.found("sobjects/Invoice__c/describe");
    let total = &invoice["fields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["name"] == "Total__c")
        .unwrap()["externalId"];
    assert_eq!(total, &Value::Bool(true));
}

/// The fields of an object as describe tells them, by their names.
fn fields(client: &mut Client, object: &str) -> serde_json::Map<String, Value> {
    let mut told = client.found(&format!("sobjects/{object}/describe"));
    let Value::Array(fields) = told["fields"].take() else { panic!("{told}") };
    fields.into_iter().map(|field| (field["name"].as_str().unwrap().to_owned(), field)).collect()
}

#[test]
fn fields_are_described_by_what_they_hold() {
    let mut client = client();
    for (object, name, kind, length, precision, scale) in [
        ("Account", "Name", "string", 255, 0, 0),
        ("Account", "Industry", "picklist", 255, 0, 0),
        ("Account", "BillingStreet", "textarea", 255, 0, 0),
        ("Account", "BillingAddress", "address", 0, 0, 0),
        ("Account", "Website", "url", 255, 0, 0),
        ("Account", "Phone", "phone", 40, 0, 0),
        ("Account", "AnnualRevenue", "currency", 0, 18, 2),
        ("Account", "NumberOfEmployees", "int", 0, 0, 0),
        ("Account", "ParentId", "reference", 18, 0, 0),
        ("Contact", "Email", "email", 80, 0, 0),
        ("Contact", "Birthdate", "date", 0, 0, 0),
        ("Contact", "DoNotCall", "boolean", 0, 0, 0),
        ("Opportunity", "Probability", "percent", 0, 3, 0),
        ("Attachment", "Body", "base64", 0, 0, 0),
        ("Event", "ShowAs", "picklist", 255, 0, 0),
    ] {
        let field = &fields(&mut client, object)[name];
        let expected = serde_json::json!([kind, length, length * 3, precision, scale]);
        let found = ["type", "length", "byteLength", "precision", "scale"].map(|of| &field[of]);
        assert_eq!(serde_json::json!(found), expected, "{object}.{name}");
    }
}

#[test]
fn picklists_are_described_with_their_values() {
    let mut client = client();
    let event = fields(&mut client, "Event");
    let values: Vec<_> = event["ShowAs"]["picklistValues"].as_array().unwrap().iter().collect();
    let choice = |value: &str, is_default: bool| {
        serde_json::json!({
            "active": true, "defaultValue": is_default, "label": value, "validFor": null, "value": value,
        })
    };
    let expected = [choice("Busy", true), choice("OutOfOffice", false), choice("Free", false)];
    assert_eq!(values, expected.iter().collect::<Vec<_>>());
    assert_eq!(event["ShowAs"]["restrictedPicklist"], true);
    assert_eq!(event["ShowAs"]["defaultedOnCreate"], true);
    let rating = &fields(&mut client, "Account")["Rating"];
    assert_eq!(rating["picklistValues"].as_array().unwrap().len(), 3);
    assert_eq!(rating["restrictedPicklist"], false, "others are taken");
    assert_eq!(event["Subject"]["picklistValues"], serde_json::json!([]));
}

#[test]
fn references_and_keys_are_described() {
    let mut client = client();
    client.insert("Plant__c", "Name\nA\n");
    client.insert("Account", "Name,Plant__c,Region__c\nA,,\n");
    for (object, name, to, relationship) in [
        ("Task", "WhoId", &["Contact", "Lead"][..], Some("Who")),
        ("Lead", "OwnerId", &["Group", "User"], Some("Owner")),
        ("Account", "ParentId", &["Account"], Some("Parent")),
        ("Account", "Plant__c", &["Plant__c"], Some("Plant__r")),
        ("Account", "Region__c", &[], None),
        ("Account", "Name", &[], None),
    ] {
        let field = &fields(&mut client, object)[name];
        assert_eq!(field["referenceTo"], serde_json::json!(to), "{object}.{name}");
        assert_eq!(field["relationshipName"].as_str(), relationship, "{object}.{name}");
    }
    for (object, name, external, key) in [
        ("Account", "Id", false, true),
        ("Account", "Plant__c", true, true),
        ("Account", "Phone", false, false),
        ("Contact", "Email", false, true),
        ("User", "Username", false, true),
    ] {
        let field = &fields(&mut client, object)[name];
        assert_eq!((&field["externalId"], &field["idLookup"]), (&external.into(), &key.into()));
    }
    let names = |client: &mut Client, object: &str| {
        let fields = fields(client, object);
        let told = fields.values().filter(|field| field["nameField"] == true);
        told.map(|field| field["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut client, "Order"), ["OrderNumber"]);
    assert_eq!(names(&mut client, "Account"), ["Name"]);
    let children = client.found("sobjects/Account/describe")["childRelationships"].take();
    let contacts = serde_json::json!({
        "childSObject": "Contact", "field": "AccountId", "relationshipName": null,
        "cascadeDelete": true, "restrictedDelete": false,
    });
    assert!(children.as_array().unwrap().contains(&contacts), "{children}");
}

#[test]
fn what_can_be_done_is_described() {
    let mut client = client();
    for (object, may) in [
        ("Account", [true, true, true]),
        ("User", [true, true, false]),
        ("Profile", [false, true, false]),
        ("ContentDocument", [false, true, true]),
    ] {
        let told = client.found(&format!("sobjects/{object}/describe"));
        let found = ["createable", "updateable", "deletable"].map(|what| told[what] == true);
        assert_eq!(found, may, "{object}");
    }
    for (object, name, create, update, compared) in [
        ("Account", "Phone", true, true, true),
        ("Account", "Id", false, false, true),
        ("Account", "CreatedDate", false, false, true),
        ("Account", "BillingAddress", false, false, false),
        ("Attachment", "Body", false, false, false),
        ("Contact", "Name", false, false, true),
        ("Profile", "Name", false, true, true),
    ] {
        let field = &fields(&mut client, object)[name];
        let found =
            ["createable", "updateable", "filterable", "sortable"].map(|what| field[what] == true);
        assert_eq!(found, [create, update, compared, compared], "{object}.{name}");
    }
}

#[test]
fn a_query_follows_relationships() {
    let mut client = client();
    client.insert("Account", "Name,Key__c\nTop,1\n");
    client.insert("Contact", "LastName,Email,Account.Key__c\nKing,king@example.com,1\nAlone,,\n");
    client.insert("Task", "Subject,Contact:Who.Email\nCall,king@example.com\n");
    let soql =
        "SELECT+LastName,Account.Name,Account.Owner.CreatedDate+FROM+Contact+ORDER+BY+Account.Name";
    let answer = client.found(&format!("query?q={soql}"));
    let account = &answer["records"][1]["Account"];
    assert_eq!(answer["records"][0]["Account"], Value::Null);
    assert_eq!(account["attributes"]["url"], format!("{DATA}/sobjects/Account/001000000000001AAA"));
    assert_eq!(
        (&account["Name"], &account["Owner"]["attributes"]["type"]),
        (&"Top".into(), &"User".into())
    );
    assert!(account["Owner"]["CreatedDate"].as_str().unwrap().ends_with("+0000"));
    let answer = client
        .found("query?q=SELECT+Who.Name+FROM+Task+WHERE+Who.Type='Contact'+AND+CreatedDate=TODAY");
    let who = &answer["records"][0]["Who"];
    assert_eq!((&who["attributes"]["type"], &who["Name"]), (&"Contact".into(), &"King".into()));
    let refused = client.rest_refusal(&format!("{DATA}/query?q=SELECT+Nobody.Name+FROM+Task"));
    assert!(refused.starts_with("400 INVALID_FIELD: \nSELECT Nobody.Name"), "{refused}");
    let refused =
        client.rest_refusal(&format!("{DATA}/query?q=SELECT+(SELECT+Id+FROM+Tasks)+FROM+Contact"));
    assert!(refused.starts_with("400 FeatureNotEnabled: "), "{refused}");
}

#[test]
fn limits_are_what_is_left() {
    let limits = Limits { daily_requests: 10, daily_batches: 5, ..Limits::default() };
    let mut client = Client::with(Config::new().limits(limits));
    let job = client.job("insert", "Account", "");
    client.add(&job, "Name\nA\n");
    let told = client.found("limits");
    assert_eq!(told["DailyApiRequests"], serde_json::json!({ "Max": 10, "Remaining": 7 }));
    assert_eq!(told["DailyBulkApiBatches"], serde_json::json!({ "Max": 5, "Remaining": 4 }));
    client.wait(12 * 3_600);
    for _ in 0..7 {
        client.found("limits");
    }
    let refused = "403 REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded.";
    assert_eq!(client.rest_refusal(&format!("{DATA}/limits")), refused);
    assert_eq!(client.get(&format!("job/{job}")).refusal(), refused, "and on the bulk side");
    client.wait(12 * 3_600);
    assert_eq!(client.found("limits")["DailyApiRequests"]["Remaining"], 2, "the day rolls");
}

#[test]
fn small_queries_are_answered_at_once() {
    let mut client = client();
    client.insert(
        "Contact",
        "LastName,Birthdate,DoNotCall\n\"A+B & \"\"C\"\"\",1970-01-01,true\nD,,\n",
    );
    let soql = "SELECT+Id,+LastName,+Birthdate,+DoNotCall,+CreatedDate+FROM+Contact+WHERE+LastName='A%2BB+%26+\"C\"'";
    let answer = client.found(&format!("query?q={}", soql.replace('"', "%22")));
    let expected = serde_json::json!({
        "totalSize": 1,
        "done": true,
        "records": [{
            "attributes": { "type": "Contact", "url": format!("{DATA}/sobjects/Contact/003000000000001AAA") },
            "Id": "003000000000001AAA",
            "LastName": "A+B & \"C\"",
            "Birthdate": "1970-01-01",
            "DoNotCall": true,
            "CreatedDate": "2026-01-01T00:00:00.000+0000",
        }],
    });
    assert_eq!(answer, expected);
    let none = client.found("query/?q=SELECT+Id+FROM+Account");
    assert_eq!(none, serde_json::json!({ "totalSize": 0, "done": true, "records": [] }));
    client.load("delete", "Contact", "", "Id\n003000000000001AAA\n");
    for (resource, count) in [("query", 1), ("queryAll", 2)] {
        let answer = client.found(&format!("{resource}?q=SELECT+Id+FROM+Contact"));
        assert_eq!(answer["totalSize"], count, "{resource}");
    }
}

#[test]
fn a_longer_answer_comes_in_pages() {
    let mut client = client();
    let rows: Vec<String> = (0..4_001).map(|n| format!("N{n}")).collect();
    client.insert("Account", format!("Name\n{}\n", rows.join("\n")));
    let mut path = format!("{DATA}/query?q=SELECT+Name+FROM+Account");
    let mut names = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let (_, page) = client.rest(&path);
        assert_eq!(page["totalSize"], 4_001);
        let records = page["records"].as_array().unwrap();
        sizes.push(records.len());
        names.extend(records.iter().map(|record| record["Name"].as_str().unwrap().to_owned()));
        if page["done"] == true {
            break;
        }
        page["nextRecordsUrl"].as_str().unwrap().clone_into(&mut path);
    }
    assert_eq!(sizes, [2_000, 2_000, 1]);
    assert!(names.iter().enumerate().all(|(n, name)| *name == format!("N{n}")));
    let first = client.found("query?q=SELECT+Name+FROM+Account")["nextRecordsUrl"].clone();
    for _ in 0..10 {
        client.found("query?q=SELECT+Name+FROM+Account");
    }
    let refused = "400 INVALID_QUERY_LOCATOR: invalid query locator";
    assert_eq!(client.rest_refusal(first.as_str().unwrap()), refused, "the oldest is forgotten");
    for bad in ["x", "01g000000000099-0", "01g000000000001", "01g000000000001AAA-x"] {
        assert_eq!(client.rest_refusal(&format!("{DATA}/query/{bad}")), refused);
    }
}

#[test]
fn rest_refuses_in_its_own_way() {
    let mut client = client();
    let expired = "401 INVALID_SESSION_ID: Session expired or invalid";
    let session = client.session.clone();
    for authorization in ["", "Bearer", "Bearer x", &format!("Basic {session}"), &session] {
        let answer = client.rest_with("GET", &format!("{DATA}/limits"), authorization);
        assert_eq!(refusal(&answer), expired, "{authorization}");
    }
    let bearer = format!("Bearer {session}");
    let posted = client.rest_with("POST", &format!("{DATA}/query"), &bearer);
    assert_eq!(
        refusal(&posted),
        "405 METHOD_NOT_ALLOWED: HTTP Method 'POST' not allowed. Allowed are GET"
    );
    let nothing = "404 NOT_FOUND: The requested resource does not exist";
    for path in [
        "/",
        "/services/data/v20.0/limits",
        "/services/data/66.0",
        "/services/data/v66.0/sobjects/X/describe",
        "/services/data/v66.0/composite",
        "/services/data/v66.0/limits/x",
    ] {
        assert_eq!(client.rest_refusal(path), nothing, "{path}");
    }
    let wrong = client.rest_refusal(&format!("{DATA}/query?q=SELECT+Nme+FROM+Account"));
    assert!(
        wrong.starts_with("400 INVALID_FIELD: \nSELECT Nme FROM Account\n       ^\n"),
        "{wrong}"
    );
    let missing = client.rest_refusal(&format!("{DATA}/query"));
    assert!(missing.starts_with("400 MALFORMED_QUERY: "), "{missing}");
    let large = client.rest_refusal(&format!("{DATA}/query?q={}", "x".repeat(60_000)));
    assert!(large.starts_with("400 MALFORMED_QUERY: "), "{}", large.len());

    let permissions = Permissions { api: false, ..Permissions::default() };
    let mut client = Client::with(Config::new().permissions(permissions));
    assert_eq!(
        client.rest_refusal(&format!("{DATA}/limits")),
        "403 API_DISABLED_FOR_ORG: The REST API is not enabled for this Organization."
    );
}
