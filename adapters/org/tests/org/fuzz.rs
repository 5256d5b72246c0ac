//! Whatever a client sends, the org answers; and what it makes of it, SQLite understands.

use std::cell::RefCell;
use std::time::Duration;

use proptest::prelude::*;
use sfbulk_org::Config;

use crate::client::{CSV, Client, JSON, XML};

fn client() -> RefCell<Client> {
    RefCell::new(Client::with(Config::new().latency(Duration::ZERO)))
}

/// Adds a batch to a job and returns its state message.
fn outcome(client: &RefCell<Client>, job: &str, body: &[u8]) -> String {
    let mut client = client.borrow_mut();
    let added = client.post(&format!("job/{job}/batch"), CSV, body.to_vec());
    if added.status != 201 {
        return added.refusal();
    }
    let batch = added.element("id").to_owned();
    let info = client.batch(job, &batch);
    assert!(["Completed", "Failed"].contains(&info.element("state")), "{}", info.body);
    info.element("stateMessage").to_owned()
}

/// Conditions that are meant to be understood.
fn condition() -> impl Strategy<Value = String> {
    let field = prop::sample::select(vec![
        "Id",
        "Name",
        "AnnualRevenue",
        "IsDeleted",
        "CreatedDate",
        "ParentId",
        "Parent.Name",
        "Parent.Owner.UserRole.Name",
        "Owner.CreatedDate",
        "Account.Parent.IsDeleted",
        "Tags__c",
        "Account__r.CreatedBy.Email",
        "BillingAddress",
    ]);
    let signs =
        vec!["=", "!=", "<", ">=", "LIKE", "IN", "NOT IN", "INCLUDES", "EXCLUDES", "<=", ">"];
    let sign = prop::sample::select(signs);
    let value = prop::sample::select(vec![
        "null",
        "'a%'",
        "'001000000000001'",
        "5",
        "true",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "('a', null)",
        "(1, 2)",
        "('001000000000001AAA')",
        "(null)",
        "('a;b', ';')",
        "TODAY",
        "LAST_N_QUARTERS:9999",
        "next_n_days:0",
    ]);
    let leaf =
        (field, sign, value).prop_map(|(field, sign, value)| format!("{field} {sign} {value}"));
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|term| format!("NOT {term}")),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|terms| format!("({})", terms.join(" AND "))),
            prop::collection::vec(inner, 1..4)
                .prop_map(|terms| format!("({})", terms.join(" OR "))),
        ]
    })
}

fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "SELECT",
        "Id",
        "Name",
        ",",
        "FROM",
        "Account",
        "WHERE",
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "IN",
        "LIKE",
        "=",
        "<>",
        "'x'",
        "'\\''",
        "1",
        "-1.5e3",
        "null",
        "true",
        "ORDER",
        "BY",
        "DESC",
        "NULLS",
        "LAST",
        "LIMIT",
        "TYPEOF",
        "INCLUDES",
        "Owner.Name",
        "Owner..",
        "Who.Id",
        "THIS_WEEK",
        "N_YEARS_AGO:",
        "2026-01-01",
        "é",
        "'",
    ]);
    prop::collection::vec(word, 0..20).prop_map(|words| words.join(" "))
}

#[test]
fn every_query_ends() {
    let client = client();
    client.borrow_mut().insert(
        "Account",
        "Name,AnnualRevenue,Tags__c,Account__c,ParentId\na,5,a;b,001000000000002,\nb,,,,001000000000001AAA\n",
    );
    let job = client.borrow_mut().job("query", "Account", "");
    let query = prop_oneof![
        condition().prop_map(|condition| format!("SELECT Id, Name FROM Account WHERE {condition}")),
        soup(),
        condition().prop_map(|condition| format!(
            "SELECT Parent.Id, Parent.Parent.Owner.Name FROM Account WHERE {condition} \
             ORDER BY Parent.Owner.Alias DESC NULLS LAST, Account__r.Name"
        )),
        soup().prop_map(|soup| format!("SELECT Id FROM Account WHERE {soup}")),
        any::<String>(),
    ];
    proptest!(ProptestConfig::with_cases(1_000), |(query in query)| {
        let message = outcome(&client, &job, query.as_bytes());
        prop_assert!(!message.contains("InternalServerError"), "{query}: {message}");
    });
}

/// The rows of a query in a new job, split by this header: of all its batches but the first, if
/// that was split. Nothing if the query fails.
fn rows(client: &mut Client, header: &str, query: &str) -> Option<String> {
    let created = client.create_with(("query", "Account"), ("Sforce-Enable-PKChunking", header));
    let job = created.element("id").to_owned();
    client.add(&job, query.to_owned());
    let list = client.get(&format!("job/{job}/batch"));
    let (ids, states) = (list.elements("id"), list.elements("state"));
    let mut rows = String::new();
    for (id, state) in ids.into_iter().zip(states) {
        match state {
            "Failed" => return None,
            "NotProcessed" => continue,
            _ => assert_eq!(state, "Completed", "{}", list.body),
        }
        let path = format!("job/{job}/batch/{id}/result");
        let file = client.get(&path).element("result").to_owned();
        let file = client.get(&format!("{path}/{file}")).body;
        rows.extend(file.split_inclusive('\n').skip(1));
    }
    Some(rows)
}

#[test]
fn a_split_query_has_the_rows_of_the_whole() {
    let client = client();
    client.borrow_mut().insert(
        "Account",
        "Name,AnnualRevenue,Tags__c,Account__c,ParentId\na,5,a;b,001000000000002,\nb,,,,\nc,1,b,,001000000000001\n",
    );
    proptest!(ProptestConfig::with_cases(300), |(condition in condition(), size in 1..4)| {
        let query = format!("SELECT Id, Name FROM Account WHERE {condition}");
        let client = &mut *client.borrow_mut();
        let whole = rows(client, "false", &query);
        let split = rows(client, &format!("chunkSize={size}"), &query);
        prop_assert_eq!(whole, split, "{}", query);
    });
}

#[test]
fn every_foreign_file_ends() {
    let client = client();
    let hint = prop::sample::select(vec![
        "",
        "dd.MM.yyyy",
        "yyyyMMddHHmmssSSS",
        "'",
        "''y",
        "d'é'",
        "MMM",
        "(a|",
        "(a*)*b",
        "^x{999999}$",
        ".{1000}{1000}",
        "é",
    ]);
    let field = prop::sample::select(vec![
        "Name",
        "Birthdate",
        "DoNotCall",
        "Email",
        "X__c",
        "é",
        "Account.Name",
    ]);
    let value = prop::sample::select(vec![
        "",
        "1.2.2026",
        "20260101",
        "#N/A",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "é, é",
        "true",
    ]);
    let row = (field, "[ab]?", value.clone(), hint);
    let rows = prop::collection::vec(row, 0..5);
    let file = prop::collection::vec(prop::collection::vec(value, 1..4), 0..4);
    proptest!(ProptestConfig::with_cases(500), |(rows in rows, file in file)| {
        let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let spec: String = rows
            .iter()
            .map(|(field, column, value, hint)| [*field, column, *value, *hint].map(quote).join(",") + "\n")
            .collect();
        let file: Vec<String> = file.iter().map(|row| row.iter().map(|cell| quote(cell)).collect::<Vec<_>>().join(",")).collect();
        let job = client.borrow_mut().job("insert", "Contact", "");
        let spec = format!("Salesforce Field,Csv Header,Value,Hint\n{spec}");
        let status = client.borrow_mut().post(&format!("job/{job}/spec"), CSV, spec.clone()).status;
        prop_assert!([201, 400].contains(&status));
        let message = outcome(&client, &job, format!("a,b\n{}", file.join("\n")).as_bytes());
        prop_assert!(!message.contains("InternalServerError"), "{spec}{message}");
    });
}

#[test]
fn every_file_ends() {
    let client = client();
    let key = "<externalIdFieldName>Key__c</externalIdFieldName>";
    let job = client.borrow_mut().job("upsert", "Account", key);
    let cell = prop_oneof![
        Just("x".to_owned()),
        Just("\"a\"\"b\r\n\"".to_owned()),
        Just("#N/A".to_owned()),
        Just(String::new()),
        "[a-c\",\r\n ]{0,3}",
        any::<String>(),
    ];
    let rows = prop::collection::vec(prop::collection::vec(cell, 1..5), 0..6);
    proptest!(ProptestConfig::with_cases(500), |(rows in rows, head in any::<bool>())| {
        let head = if head { "Key__c,Name,AnnualRevenue,ParentId\n" } else { "" };
        let rows: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
        let message = outcome(&client, &job, format!("{head}{}", rows.join("\n")).as_bytes());
        prop_assert!(!message.contains("InternalServerError"), "{message}");
    });
}

/// What is nearly a batch of records.
fn scraps(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    let scrap = prop::sample::select(of);
    prop_oneof![
        prop::collection::vec(scrap, 0..30).prop_map(|scraps| scraps.concat()),
        any::<String>()
    ]
}

#[test]
fn every_batch_of_json_and_xml_ends() {
    let client = client();
    for (content, media_type, pieces) in [
        (
            "JSON",
            JSON,
            &[
                "[",
                "]",
                "{",
                "}",
                ",",
                ":",
                "null",
                "\"Name\"",
                "\"a\\u0000\"",
                "1e999",
                "-1",
                "true",
                "[{\"Name\":\"x\"}",
                "\"attributes\"",
                "{\"Owner\":{\"Id\":1}}",
            ][..],
        ),
        (
            "XML",
            XML,
            &[
                "<sObjects>",
                "</sObjects>",
                "<sObject>",
                "</sObject>",
                "<Name>",
                "</Name>",
                "x",
                "&amp;",
                "&#0;",
                "&x;",
                "<Name xsi:nil='true'/>",
                "<a b=",
                "<!--",
                "-->",
                "<![CDATA[",
                "]]>",
                "<Owner>",
                "<?xml",
                "?>",
            ][..],
        ),
    ] {
        let document =
            format!(r#"{{"operation":"insert","object":"Account","contentType":"{content}"}}"#);
        let created = client.borrow_mut().post("job", JSON, document);
        let job = created.member("id").to_owned();
        proptest!(ProptestConfig::with_cases(500), |(body in scraps(pieces))| {
            let mut client = client.borrow_mut();
            let status = client.post(&format!("job/{job}/batch"), media_type, body).status;
            prop_assert!([201, 400].contains(&status));
            let list = client.get(&format!("job/{job}/batch")).body;
            prop_assert!(!list.contains("Queued") && !list.contains("InternalServerError"), "{list}");
        });
    }
}

#[test]
fn every_header_ends() {
    let client = client();
    client.borrow_mut().insert("Account", "Name,Key__c\nA,a\n");
    let job = client.borrow_mut().job("insert", "Task", "");
    let part = prop::sample::select(vec![
        "Who",
        "What",
        "Owner",
        "Account",
        "Contact",
        "Key__c",
        "Email",
        "Id",
        "Account__r",
        "X__r",
        "Subject",
        ":",
        ".",
        "é",
        "\"",
        "__r",
        "__c",
        " ",
    ]);
    let name = prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat());
    let cell = prop::sample::select(vec!["a", "", "#N/A", "001000000000001", "a@b.cd"]);
    let columns = prop::collection::vec((name, cell), 1..4);
    proptest!(ProptestConfig::with_cases(1_000), |(columns in columns)| {
        let quoted: Vec<_> =
            columns.iter().map(|(name, _)| format!("\"{}\"", name.replace('"', "\"\""))).collect();
        let cells: Vec<_> = columns.iter().map(|(_, cell)| *cell).collect();
        let file = format!("{}\n{}\n", quoted.join(","), cells.join(","));
        let message = outcome(&client, &job, file.as_bytes());
        prop_assert!(!message.contains("InternalServerError"), "{file}: {message}");
    });
}

#[test]
fn every_document_is_answered() {
    let client = client();
    let text = prop_oneof![
        any::<String>(),
        "[<>/a-z\"=!&; \\-\\[\\]{}:]{0,40}",
        "<jobInfo>[<>/a-c&;#]{0,20}</jobInfo>"
    ];
    proptest!(ProptestConfig::with_cases(500), |(text in text, json in any::<bool>())| {
        let answer = client.borrow_mut().post("job", if json { JSON } else { XML }, text);
        prop_assert_eq!(answer.status, 400);
    });
}

#[test]
fn every_path_is_answered() {
    let client = client();
    let path =
        "(/(services|async|66\\.0|job|batch|result|request|750000000000001|[a-z0-9.%]{0,18})){0,9}";
    proptest!(ProptestConfig::with_cases(500), |(path in path)| {
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let status = client.borrow_mut().ask("GET", &path, "", "").status;
        prop_assert!([400, 404, 405].contains(&status), "{path}: {status}");
    });
}
