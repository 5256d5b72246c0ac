//! What goes with a deleted record, what stays, and what stands in the way.

use std::fmt::Write as _;

use crate::client::Client;

fn ok(id: &str) -> String {
    format!("\"{id}\",\"true\",\"false\",\"\"")
}

/// An account with a record of every kind that refers to it.
fn account() -> Client {
    let mut client = Client::new();
    let account = "001000000000001AAA";
    client.insert("Account", format!("Name,ParentId\nGone,\nChild,{account}\nOther,\n"));
    client.insert("Contact", format!("LastName,AccountId\nA,{account}\nB,\n"));
    client.load("update", "Contact", "", "Id,ReportsToId\n003000000000002,003000000000001\n");
    client.insert(
        "Opportunity",
        format!("Name,StageName,CloseDate,AccountId\nBig,New,2026-01-01,{account}\n"),
    );
    client.insert(
        "Case",
        format!("Subject,AccountId,ContactId\nBroken,{account},003000000000001AAA\n"),
    );
    client.insert(
        "Task",
        format!("Subject,WhatId,WhoId\nCall,{account},\nMail,,003000000000001AAA\nStay,,\n"),
    );
    client.insert("Note", format!("Title,ParentId\nN,{account}\nO,006000000000001AAA\n"));
    client
}

/// What is left of an object, by this field.
fn left(client: &mut Client, operation: &str, object: &str, field: &str) -> Vec<String> {
    let soql = format!("SELECT {field} FROM {object} ORDER BY Id");
    let rows = client.files(operation, object, &soql).unwrap().concat();
    rows.lines().skip(1).map(|line| line.trim_matches('"').to_owned()).collect()
}

const EVERYTHING: [(&str, &str); 6] = [
    ("Account", "Name"),
    ("Contact", "LastName"),
    ("Opportunity", "Name"),
    ("Case", "Subject"),
    ("Task", "Subject"),
    ("Note", "Title"),
];

#[test]
fn an_account_takes_its_own_along_and_leaves_the_rest() {
    let mut client = account();
    let lines = client.load("delete", "Account", "", "Id\n001000000000001AAA\n");
    assert_eq!(lines, [ok("001000000000001AAA")]);
    let live = EVERYTHING.map(|(object, field)| left(&mut client, "query", object, field).concat());
    assert_eq!(live, ["ChildOther", "B", "", "Broken", "Stay", ""]);
    let all =
        EVERYTHING.map(|(object, field)| left(&mut client, "queryAll", object, field).concat());
    assert_eq!(all, ["GoneChildOther", "AB", "Big", "Broken", "CallMailStay", "NO"]);
    for (object, field) in [
        ("Account", "ParentId"),
        ("Contact", "ReportsToId"),
        ("Case", "AccountId"),
        ("Case", "ContactId"),
    ] {
        let found = left(&mut client, "query", object, field).concat();
        assert_eq!(found, "", "{object}.{field} is emptied");
    }
    let soql = "SELECT LastName, Account.Name, IsDeleted FROM Contact WHERE IsDeleted = true";
    let binned = client.files("queryAll", "Contact", soql).unwrap().concat();
    assert!(binned.ends_with("\n\"A\",\"Gone\",\"true\"\n"), "the bin keeps what was: {binned}");
    let lines = client.load("delete", "Contact", "", "Id\n003000000000001AAA\n");
    assert_eq!(lines, ["\"\",\"false\",\"false\",\"ENTITY_IS_DELETED:entity is deleted:--\""]);
}

#[test]
fn a_hard_delete_takes_along_what_is_in_the_bin() {
    let mut client = account();
    client.load("delete", "Opportunity", "", "Id\n006000000000001AAA\n");
    client.load("delete", "Account", "", "Id\n001000000000002AAA\n");
    let lines =
        client.load("hardDelete", "Account", "", "Id\n001000000000001AAA\n001000000000001\n");
    let gone =
        "\"\",\"false\",\"false\",\"INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--\"";
    assert_eq!(lines, [ok("001000000000001AAA"), gone.to_owned()]);
    let all =
        EVERYTHING.map(|(object, field)| left(&mut client, "queryAll", object, field).concat());
    assert_eq!(all, ["ChildOther", "B", "", "Broken", "Stay", ""]);
    assert_eq!(left(&mut client, "queryAll", "Account", "ParentId").concat(), "");
    let lines = client.load("hardDelete", "Account", "", "Id\n001000000000002AAA\n");
    assert_eq!(lines, [ok("001000000000002AAA")], "from the bin too");
}

#[test]
fn a_record_that_another_needs_stays() {
    let mut client = Client::new();
    client.insert("Product2", "Name,ProductCode\nSprocket,S-1\nWheel,\n");
    let entries = "Product2Id,Pricebook2Id,UnitPrice\n01t000000000001AAA,01s000000000001AAA,9.5\n\
                   01t000000000002AAA,01s000000000001AAA,1\n";
    assert_eq!(client.insert("PricebookEntry", entries).len(), 2);
    let order = "EffectiveDate,Status\n2026-01-01,Draft\n";
    client.insert("Order", order);
    let item = "OrderId,PricebookEntryId,Quantity,UnitPrice\n801000000000001AAA,01u000000000001AAA,3,9.5\n";
    client.insert("OrderItem", item);
    let soql = "SELECT OrderItemNumber, PricebookEntry.Name, PricebookEntry.ProductCode, TotalPrice, \
                Order.OrderNumber FROM OrderItem";
    let rows = client.query("OrderItem", soql);
    assert!(
        rows.ends_with("\n\"0000000001\",\"Sprocket\",\"S-1\",\"28.5\",\"00000001\"\n"),
        "{rows}"
    );

    for operation in ["delete", "hardDelete"] {
        let lines = client.load(operation, "Product2", "", "Id\n01t000000000001AAA\n");
        let why = "DELETE_FAILED:Your attempt to delete 01t000000000001AAA could not be completed because \
                   Order Product 802000000000001AAA needs it:--";
        assert_eq!(lines, [format!("\"\",\"false\",\"false\",\"{why}\"")]);
    }
    let lines = client.load("delete", "Product2", "", "Id\n01t000000000002AAA\n");
    assert_eq!(lines, [ok("01t000000000002AAA")]);
    assert_eq!(left(&mut client, "query", "PricebookEntry", "Name"), ["Sprocket"]);
    client.load("delete", "Order", "", "Id\n801000000000001AAA\n");
    let lines = client.load("delete", "Product2", "", "Id\n01t000000000001AAA\n");
    assert_eq!(lines, [ok("01t000000000001AAA")], "what is in the bin needs nothing");
    let lines = client.load("hardDelete", "Product2", "", "Id\n01t000000000001AAA\n");
    assert_eq!(lines, [ok("01t000000000001AAA")]);
    assert!(left(&mut client, "queryAll", "OrderItem", "Id").is_empty());
}

#[test]
fn a_text_that_reads_like_an_id_is_left_alone() {
    let mut client = Client::new();
    client.insert("Account", "Name\nA\n");
    client.insert("Visit__c", "Account__c\n001000000000001AAA\n");
    client.load("delete", "Account", "", "Id\n001000000000001AAA\n");
    let rows = client.query("Visit__c", "SELECT Account__c, Account__r.Name FROM Visit__c");
    assert!(rows.ends_with("\n\"001000000000001AAA\",\"\"\n"), "{rows}");
}

#[test]
fn many_rows_are_deleted_with_many_children() {
    let mut client = Client::new();
    let (mut accounts, mut contacts) =
        ("Name,Key__c\n".to_owned(), "LastName,Account.Key__c\n".to_owned());
    for i in 0..10_000 {
        if i < 1_000 {
            writeln!(accounts, "A,{i}").unwrap();
        }
        writeln!(contacts, "C,{}", i / 10).unwrap();
    }
    client.insert("Account", accounts);
    client.insert("Contact", contacts);
    let ids = left(&mut client, "query", "Account", "Id");
    let lines = client.load("delete", "Account", "", format!("Id\n{}\n", ids.join("\n")));
    assert!(lines.iter().all(|line| line.ends_with("\"true\",\"false\",\"\"")));
    assert!(left(&mut client, "query", "Contact", "Id").is_empty());
    assert_eq!(left(&mut client, "queryAll", "Contact", "Id").len(), 10_000);
}
