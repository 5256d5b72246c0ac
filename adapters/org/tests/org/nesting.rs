//! Parents in JSON and XML: records within records, in what is loaded and in what is found.

use serde_json::{Value, json};

use crate::client::{Client, JSON, XML};
use crate::formats::{json_job, run, xml_job};

const XML_START: &str = "<sObjects xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">";

/// An account of the practice user, a contact of it, a lead, and three tasks: one with each of
/// these two, one with nobody.
fn family() -> Client {
    let mut client = Client::new();
    client.insert("Account", "Name,Key__c\nTop,K1\n");
    client.insert("Contact", "LastName,Email,Account.Key__c\nKing,king@example.com,K1\n");
    client.insert("Lead", "LastName,Email,Company\nHopper,hopper@example.com,Navy\n");
    let tasks = "Subject,WhoId,WhatId\nCall,003000000000001,\nWrite,00Q000000000001,001000000000001\nWait,,\n";
    assert_eq!(client.insert("Task", tasks).len(), 3);
    client
}

fn attributes(object: &str, id: &str) -> Value {
    json!({ "type": object, "url": format!("/services/data/v66.0/sobjects/{object}/{id}") })
}

/// The one file of a query in a job of XML or JSON.
fn found(client: &mut Client, media_type: &str, object: &str, soql: &str) -> String {
    let job = match media_type {
        JSON => json_job(client, "query", object),
        _ => xml_job(client, "query", object),
    };
    let (path, info) = run(client, &job, media_type, soql);
    let list = client.get(&format!("{path}/result")).body;
    let at = list.find("752").unwrap_or_else(|| panic!("{}", info.body));
    client.get(&format!("{path}/result/{}", &list[at..at + 15])).body
}

/// What a batch of XML or JSON says of each record: its id or its error, or that of the batch.
fn loaded(client: &mut Client, media_type: &str, object: &str, body: &str) -> Vec<String> {
    let job = match media_type {
        JSON => json_job(client, "insert", object),
        _ => xml_job(client, "insert", object),
    };
    let (path, info) = run(client, &job, media_type, body);
    if info.body.contains("\"Failed\"") || info.element("state") == "Failed" {
        return vec![[info.element("stateMessage"), info.member("stateMessage")].concat()];
    }
    let answer = client.get(&format!("{path}/result"));
    if media_type == XML {
        let results = answer.body.split("<result>").skip(1);
        let told = |result: &str| {
            let start = result.find("<id>").or_else(|| result.find("<message>")).unwrap();
            result[start..].split(['<', '>']).nth(2).unwrap().to_owned()
        };
        return results.map(told).collect();
    }
    let results: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    let told = |result: &Value| {
        let said = result["id"].as_str().or_else(|| result["errors"][0]["message"].as_str());
        said.unwrap().to_owned()
    };
    results.iter().map(told).collect()
}

#[test]
fn parents_nest_in_the_records_of_json_results() {
    let mut client = family();
    let soql = "SELECT Who.Name, Subject, Who.Owner.Name FROM Task";
    let told = client.files("query", "Task", soql).unwrap_err();
    assert!(told.contains("Didn't understand relationship 'Owner'"), "{told}");
    let soql = "SELECT Who.Name, Subject, Who.Phone, What.Id, Owner.Profile.Name FROM Task";
    let file: Value = serde_json::from_str(&found(&mut client, JSON, "Task", soql)).unwrap();
    let me = client.query("User", "SELECT ProfileId FROM User");
    let profile = me.split('"').nth(3).unwrap();
    let owner = json!({
        "attributes": attributes("User", "005000000000001AAA"),
        "Profile": { "attributes": attributes("Profile", profile), "Name": "System Administrator" },
    });
    let who = |object: &str, id: &str, name: &str| json!({ "attributes": attributes(object, id), "Name": name, "Phone": null });
    let account = json!({
        "attributes": attributes("Account", "001000000000001AAA"), "Id": "001000000000001AAA",
    });
    let task = |n: u8, subject: &str, who: Value, what: Value| {
        json!({
            "attributes": attributes("Task", &format!("00T00000000000{n}EAA")),
            "Subject": subject, "Who": who, "What": what, "Owner": owner,
        })
    };
    assert_eq!(
        file,
        json!([
            task(1, "Call", who("Contact", "003000000000001AAA", "King"), Value::Null),
            task(2, "Write", who("Lead", "00Q000000000001EAA", "Hopper"), account),
            task(3, "Wait", Value::Null, Value::Null),
        ])
    );
}

#[test]
fn parents_nest_in_the_records_of_xml_results() {
    let mut client = family();
    let soql = "SELECT Who.Name, Subject, Owner.Username, What.Id FROM Task";
    let file = found(&mut client, XML, "Task", soql);
    let nil = "<Id xsi:nil=\"true\"/>";
    let parent = |name: &str, object: &str, inner: &str| {
        format!("<{name} xsi:type=\"sObject\"><type>{object}</type>{inner}</{name}>")
    };
    let who =
        |object: &str, name: &str| parent("Who", object, &format!("{nil}<Name>{name}</Name>"));
    let username = format!("{nil}<Username>practice@example.com</Username>");
    let owner = parent("Owner", "User", &username);
    let what = parent("What", "Account", &"<Id>001000000000001AAA</Id>".repeat(2));
    let nobody = "<Who xsi:nil=\"true\"/>".to_owned();
    let nothing = "<What xsi:nil=\"true\"/>".to_owned();
    let records: Vec<&str> = file.lines().filter(|line| line.starts_with(" <records")).collect();
    for (record, (who, subject, what)) in records.iter().zip([
        (who("Contact", "King"), "Call", &nothing),
        (who("Lead", "Hopper"), "Write", &what),
        (nobody, "Wait", &nothing),
    ]) {
        let inner = format!("{who}<Subject>{subject}</Subject>{owner}{what}");
        let expected =
            format!(" <records xsi:type=\"sObject\"><type>Task</type>{nil}{inner}</records>");
        assert_eq!(*record, expected);
    }
    assert_eq!(records.len(), 3);
}

#[test]
fn a_path_leads_over_several_parents_and_stops_where_one_is_missing() {
    let mut client = family();
    client.insert("Contact", "LastName\nAlone\n");
    let soql =
        "SELECT LastName, Account.Owner.Username FROM Contact WHERE Account.Parent.Name = null";
    let file: Value = serde_json::from_str(&found(&mut client, JSON, "Contact", soql)).unwrap();
    let account = json!({
        "attributes": attributes("Account", "001000000000001AAA"),
        "Owner": {
            "attributes": attributes("User", "005000000000001AAA"),
            "Username": "practice@example.com",
        },
    });
    assert_eq!((&file[0]["Account"], &file[0]["LastName"]), (&account, &json!("King")));
    assert_eq!((&file[1]["Account"], &file[1]["LastName"]), (&Value::Null, &json!("Alone")));
    client.load("delete", "Account", "", "Id\n001000000000001AAA\n");
    let file = found(&mut client, XML, "Contact", "SELECT Account.Name FROM Contact");
    let alone = "<type>Contact</type><Id xsi:nil=\"true\"/><Account xsi:nil=\"true\"/></records>";
    assert_eq!(file.matches("<records").count(), 1, "its contact went with it: {file}");
    assert!(file.contains(alone), "{file}");
}

#[test]
fn a_child_sub_query_is_refused_as_the_format_has_it() {
    let mut client = family();
    let soql = "SELECT Name, (SELECT Name FROM Contacts) FROM Account";
    let told = client.files("query", "Account", soql).unwrap_err();
    assert_eq!(
        told,
        "FeatureNotEnabled : Aggregate Relationships not supported in Bulk Query with CSV content type"
    );
    let job = xml_job(&mut client, "query", "Account");
    let (_, info) = run(&mut client, &job, XML, soql);
    let told = info.element("stateMessage");
    assert!(
        told.starts_with("InvalidBatch : Failed to process query: FeatureNotEnabled: "),
        "{told}"
    );
    assert!(
        told.ends_with("A child sub-query is not supported in bulk queries of the practice org")
    );
}

#[test]
fn records_name_their_parents_by_records() {
    for (media_type, contacts, tasks) in [
        (
            JSON,
            r#"[{"LastName":"A","Account":{"Key__c":"K1"}},
                {"LastName":"B","Account":{"attributes":null,"Key__c":"k1"},"ReportsTo":{"Email":"king@example.com"}},
                {"LastName":"C","Account":{"Key__c":null}},{"LastName":"D","Account":{"Key__c":"K9"}}]"#,
            r#"[{"Subject":"1","Who":{"attributes":{"type":"Contact"},"Email":"king@example.com"}},
                {"Subject":"2","Who":{"attributes":{"type":"Lead"},"Email":"hopper@example.com"},
                 "What":{"attributes":{"type":"Account"},"Key__c":"K1"},"Owner":{"Username":"practice@example.com"}},
                {"Subject":"3","WhoId":"00Q000000000001"},
                {"Subject":"4","WhoId":"00Q000000000001","Who":{"attributes":{"type":"Lead"},"Email":"hopper@example.com"}}]"#
                .to_owned(),
        ),
        (
            XML,
            "<sObjects><sObject><LastName>A</LastName><Account><sObject><Key__c>K1</Key__c></sObject></Account></sObject>\
             <sObject><LastName>B</LastName><Account><sObject><Key__c>k1</Key__c></sObject></Account>\
             <ReportsTo><sObject><Email>king@example.com</Email></sObject></ReportsTo></sObject>\
             <sObject><LastName>C</LastName></sObject>\
             <sObject><LastName>D</LastName><Account><sObject><Key__c>K9</Key__c></sObject></Account></sObject></sObjects>",
            {
                let contact = "<Who><sObject><type>Contact</type><Email>king@example.com</Email></sObject></Who>";
                let lead = "<Who><sObject><type>Lead</type><Email>hopper@example.com</Email></sObject></Who>";
                let what = "<What><sObject><type>Account</type><Key__c>K1</Key__c></sObject></What>";
                let owner = "<Owner><sObject><Username>practice@example.com</Username></sObject></Owner>";
                let id = "<WhoId>00Q000000000001</WhoId>";
                format!(
                    "{XML_START}<sObject><Subject>1</Subject>{contact}</sObject>\
                     <sObject><Subject>2</Subject>{lead}{what}{owner}</sObject>\
                     <sObject><Subject>3</Subject>{id}</sObject>\
                     <sObject><Subject>4</Subject>{id}{lead}</sObject></sObjects>"
                )
            },
        ),
    ] {
        let mut client = family();
        let ids = |prefix: &str, ns: [u8; 3], end: &str| {
            ns.map(|n| format!("{prefix}00000000000{n}{end}"))
        };
        let told = loaded(&mut client, media_type, "Contact", contacts);
        assert_eq!(told[..3], ids("003", [2, 3, 4], "AAA"));
        assert_eq!(
            told[3],
            "Foreign key external ID: K9 not found for field Key__c in entity Account"
        );
        let told = loaded(&mut client, media_type, "Task", &tasks);
        assert_eq!(told[..3], ids("00T", [4, 5, 6], "EAA"));
        assert_eq!(
            told[3],
            "More than 1 field provided in an external foreign key reference in entity: Task"
        );
        let soql = "SELECT LastName, Account.Name, ReportsTo.Name FROM Contact WHERE LastName < 'K'";
        assert_eq!(
            client.query("Contact", soql),
            "\"LastName\",\"Account.Name\",\"ReportsTo.Name\"\n\"A\",\"Top\",\"\"\n\"B\",\"Top\",\"King\"\n\"C\",\"\",\"\"\n"
        );
        let soql = "SELECT Subject, Who.Name, What.Name FROM Task WHERE Subject < '9'";
        assert_eq!(
            client.query("Task", soql),
            "\"Subject\",\"Who.Name\",\"What.Name\"\n\"1\",\"King\",\"\"\n\"2\",\"Hopper\",\"Top\"\n\"3\",\"Hopper\",\"\"\n"
        );
    }
}

#[test]
fn records_that_name_no_parent_fail_the_batch() {
    let mut client = family();
    for (object, record, message) in [
        (
            "Task",
            json!({ "Who": { "Email": "king@example.com" } }),
            "type is needed for polymorphic foreign key references: Who",
        ),
        (
            "Contact",
            json!({ "Account": { "attributes": { "type": "Account" }, "Key__c": "K1" } }),
            "type is not needed for non polymorphic foreign key references: Account",
        ),
        (
            "Task",
            json!({ "Who": { "attributes": { "type": "User" }, "Email": "a@b.c" } }),
            "Field name not found : User:Who.Email",
        ),
    ] {
        let told = loaded(&mut client, JSON, object, &json!([record]).to_string());
        assert_eq!(told, [format!("InvalidBatch : {message}")]);
    }
}

#[test]
fn records_of_one_batch_may_each_have_their_own_key() {
    let mut client = family();
    let records = r#"[{"LastName":"A","Company":"x","OwnerId":"00G000000000001"},
        {"LastName":"B","Company":"x","Owner":{"Username":"practice@example.com"}},
        {"LastName":"C","Company":"x","Owner":{"attributes":{"type":"Group"},"Name":"practice queue"}},
        {"LastName":"D","Company":"x","Owner":{"Username":"practice@example.com","Email":"practice@example.com"}}]"#;
    let told = loaded(&mut client, JSON, "Lead", records);
    let twice = "More than 1 field provided in an external foreign key reference in entity: Lead";
    assert_eq!(told[3], twice);
    assert_eq!(
        client.query("Lead", "SELECT LastName, Owner.Type FROM Lead WHERE Company = 'x'"),
        "\"LastName\",\"Owner.Type\"\n\"A\",\"Group\"\n\"B\",\"User\"\n\"C\",\"Group\"\n"
    );
}
