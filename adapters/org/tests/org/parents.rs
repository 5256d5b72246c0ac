//! Parents of records: read through them by paths, and set by their keys.

use crate::client::Client;

fn ok(id: &str) -> String {
    format!("\"{id}\",\"true\",\"true\",\"\"")
}

fn error(text: &str) -> String {
    format!("\"\",\"false\",\"false\",\"{text}\"")
}

/// Two users, three accounts in a chain, three contacts.
fn family() -> Client {
    let mut client = Client::new();
    let user = "Username,LastName,Email,Alias,TimeZoneSidKey,LocaleSidKey,LanguageLocaleKey,EmailEncodingKey,\
                Profile.Name,UserRole.Name\n\
                ada@example.com,Byron,ada@example.com,ada,GMT,en_US,en_US,UTF-8,standard user,\n";
    assert_eq!(client.insert("User", user), [ok("005000000000002AAA")]);
    let accounts = "Name,Key__c,Owner.Username,Parent.Key__c\n\
                    Top,K1,ADA@example.com,\nMiddle,K2,,k1\nBottom,K3,practice@example.com,K2\n";
    assert_eq!(client.insert("Account", accounts).len(), 3);
    let contacts = "LastName,Email,Account.Key__c\n\
                    Alone,alone@example.com,\nKing,king@example.com,K1\nHopper,hopper@example.com,K3\n";
    let lines = client.insert("Contact", contacts);
    assert_eq!(lines, [1, 2, 3].map(|n| ok(&format!("00300000000000{n}AAA"))));
    client
}

#[test]
fn a_path_leads_to_the_fields_of_a_parent() {
    let mut client = family();
    let soql = "select lastname, account.name, ACCOUNT.OWNER.username, Account.Parent.Parent.Name, Owner.Profile.Name \
                from Contact ORDER BY LastName";
    assert_eq!(
        client.query("Contact", soql),
        "\"LastName\",\"Account.Name\",\"Account.Owner.Username\",\"Account.Parent.Parent.Name\",\"Owner.Profile.Name\"\n\
         \"Alone\",\"\",\"\",\"\",\"System Administrator\"\n\
         \"Hopper\",\"Bottom\",\"practice@example.com\",\"Top\",\"System Administrator\"\n\
         \"King\",\"Top\",\"ada@example.com\",\"\",\"System Administrator\"\n"
    );
    let soql = "SELECT Name, Account.Id, Account.CreatedDate, CreatedBy.Alias FROM Contact WHERE Account.Name = 'top'";
    assert_eq!(
        client.query("Contact", soql),
        "\"Name\",\"Account.Id\",\"Account.CreatedDate\",\"CreatedBy.Alias\"\n\
         \"King\",\"001000000000001AAA\",\"2026-01-01T00:01:30.000Z\",\"practice\"\n"
    );
}

#[test]
fn records_are_found_and_sorted_by_their_parents() {
    let mut client = family();
    for (rest, names) in [
        ("WHERE Account.Name LIKE '%o%'", ["King", "Hopper"].as_slice()),
        ("WHERE Account.Name = null", &["Alone"]),
        ("WHERE Account.Name != 'Top'", &["Alone", "Hopper"]),
        ("WHERE NOT Account.Name = 'Top'", &["Alone", "Hopper"]),
        ("WHERE Account.Owner.Username IN ('ada@example.com')", &["King"]),
        ("WHERE Account.Id = '001000000000003'", &["Hopper"]),
        ("WHERE Account.CreatedDate = TODAY", &["King", "Hopper"]),
        ("WHERE Contact.Account.Parent.Name = 'Middle'", &["Hopper"]),
        ("ORDER BY Account.Name NULLS LAST", &["Hopper", "King", "Alone"]),
        ("ORDER BY Account.Owner.Username DESC, Name", &["Alone", "Hopper", "King"]),
    ] {
        let rows = client.query("Contact", &format!("SELECT Name FROM Contact {rest}"));
        let found: Vec<_> = rows.lines().skip(1).map(|line| line.trim_matches('"')).collect();
        assert_eq!(found, names, "{rest}");
    }
}

#[test]
fn a_path_of_several_kinds_tells_what_they_share() {
    let mut client = family();
    client.insert("Lead", "LastName,FirstName,Company\nTuring,Alan,Bletchley\n");
    client.insert("Case", "Subject,Account.Key__c\nBroken,K1\n");
    let tasks = "Subject,Contact:Who.Email,WhatId\n\
                 Call,king@example.com,500000000000001AAA\nWrite,,001000000000002\nWait,#N/A,\n";
    assert_eq!(client.insert("Task", tasks).len(), 3);
    let lines = client.load("update", "Task", "", "Id,WhoId\n00T000000000002,00Q000000000001\n");
    assert_eq!(lines, ["\"00T000000000002EAA\",\"true\",\"false\",\"\""]);
    let soql = "SELECT Subject, Who.Type, Who.Name, Who.Id, Who.FirstName, What.Name, What.Type, Owner.Name \
                FROM Task ORDER BY Who.Name NULLS LAST";
    assert_eq!(
        client.query("Task", soql),
        "\"Subject\",\"Who.Type\",\"Who.Name\",\"Who.Id\",\"Who.FirstName\",\"What.Name\",\"What.Type\",\"Owner.Name\"\n\
         \"Write\",\"Lead\",\"Alan Turing\",\"00Q000000000001EAA\",\"Alan\",\"Middle\",\"Account\",\"Practice User\"\n\
         \"Call\",\"Contact\",\"King\",\"003000000000002AAA\",\"\",\"00000001\",\"Case\",\"Practice User\"\n\
         \"Wait\",\"\",\"\",\"\",\"\",\"\",\"\",\"Practice User\"\n"
    );
    for (condition, subject) in [
        ("Who.Name = 'KING'", "Call"),
        ("Who.Name IN ('alan turing')", "Write"),
        ("Who.Type = 'Contact'", "Call"),
        ("Who.Id = '00Q000000000001'", "Write"),
        ("What.Name = null", "Wait"),
        ("What.Type = 'Case' AND Who.Email LIKE 'KING%'", "Call"),
    ] {
        let soql = format!("SELECT Subject FROM Task WHERE {condition}");
        assert_eq!(
            client.query("Task", &soql),
            format!("\"Subject\"\n\"{subject}\"\n"),
            "{condition}"
        );
    }
    let told = client.files("query", "Task", "SELECT Who.Company FROM Task").unwrap_err();
    assert!(told.contains("No such column 'Company' on entity 'Name'"), "{told}");
    let told = client.files("query", "Task", "SELECT What.Parent.Name FROM Task").unwrap_err();
    assert!(told.contains("Didn't understand relationship 'Parent'"), "{told}");
}

#[test]
fn a_key_without_a_record_or_with_several_fails_its_row() {
    let mut client = family();
    client.insert("Account", "Name,Key__c\nTwin,K1\n");
    let file = "LastName,Account.Key__c,ReportsTo.Email,Owner.Id\n\
        A,K9,,\nB,K1,,\nC,,nobody@example.com,\nD,,king@example.com,005000000000002AAA\n\
        E,,,005000000000009AAA\nF,,,003000000000001AAA\nG,,no mail,\n";
    let lines = client.insert("Contact", file);
    assert_eq!(
        lines,
        [
            error(
                "INVALID_FIELD:Foreign key external ID: K9 not found for field Key__c in entity Account:--"
            ),
            error(
                "DUPLICATE_EXTERNAL_ID:Key__c: more than one record found for external id field:Key__c --"
            ),
            error(
                "INVALID_FIELD:Foreign key external ID: nobody@example.com not found for field Email in entity Contact:--"
            ),
            ok("003000000000004AAA"),
            error(
                "INVALID_FIELD:Foreign key external ID: 005000000000009AAA not found for field Id in entity User:--"
            ),
            error("MALFORMED_ID:User ID: id value of incorrect type: 003000000000001AAA:Id --"),
            error("INVALID_EMAIL_ADDRESS:Email: invalid email address: no mail:Email --"),
        ]
    );
    let soql = "SELECT ReportsToId, OwnerId FROM Contact WHERE LastName = 'D'";
    let row = "\n\"003000000000002AAA\",\"005000000000002AAA\"\n";
    assert!(client.query("Contact", soql).ends_with(row));
}

#[test]
fn a_deleted_parent_is_not_found_by_its_key() {
    let mut client = family();
    client.load("delete", "Account", "", "Id\n001000000000002AAA\n");
    let lines = client.insert("Contact", "LastName,Account.Key__c\nA,K2\n");
    assert!(lines[0].contains("Foreign key external ID: K2 not found"), "{lines:?}");
}

#[test]
fn update_and_upsert_take_parents_too() {
    let mut client = family();
    let file = "Id,Account.Key__c\n003000000000001,K2\n003000000000002,#N/A\n003000000000003,\n";
    assert_eq!(client.load("update", "Contact", "", file).len(), 3);
    let key = "<externalIdFieldName>Email</externalIdFieldName>";
    let file = "Email,LastName,account.KEY__C\nalone@example.com,,K3\nnew@example.com,New,K3\n";
    assert_eq!(client.load("upsert", "Contact", key, file).len(), 2);
    let soql = "SELECT LastName, Account.Name FROM Contact ORDER BY Id";
    assert_eq!(
        client.query("Contact", soql),
        "\"LastName\",\"Account.Name\"\n\"Alone\",\"Bottom\"\n\"King\",\"\"\n\"Hopper\",\"Bottom\"\n\"New\",\"Bottom\"\n"
    );
}

#[test]
fn a_row_may_mean_a_parent_that_came_before_it() {
    let mut client = Client::new();
    let lines =
        client.insert("Account", "Name,Key__c,Parent.Key__c\nA,1,\nB,2,1\nC,3,2\nD,4,5\nE,5,\n");
    let missing =
        "INVALID_FIELD:Foreign key external ID: 5 not found for field Key__c in entity Account:--";
    assert_eq!(lines[3], error(missing));
    let key = "<externalIdFieldName>Id</externalIdFieldName>";
    // The key moves from one account to another within a batch, and with it what it means.
    let file = "Id,Key__c,Parent.Key__c\n001000000000003,,1\n001000000000001,x,\n001000000000002,1,\n001000000000003,,1\n";
    assert_eq!(client.load("upsert", "Account", key, file).len(), 4);
    let rows = client.query("Account", "SELECT Parent.Name FROM Account WHERE Name = 'C'");
    assert_eq!(rows, "\"Parent.Name\"\n\"B\"\n");
}

#[test]
fn a_custom_relationship_leads_to_the_object_of_its_name() {
    let mut client = Client::new();
    let told = client.insert("Order__c", "Plant__r.Code__c\nX\n");
    let message =
        "InvalidBatch : Field name not found : Plant__r.Code__c (there is no object Plant__c)";
    assert_eq!(told, [message]);
    client.insert("Plant__c", "Name,Code__c\nWerk Eins,X\n");
    client.insert("Account", "Name,Key__c\nFabrikam,7\n");
    let file = "Name,Plant__r.Code__c,Account__r.Key__c\nA,x,7\nB,,\n";
    assert_eq!(client.insert("Order__c", file).len(), 2);
    let soql = "SELECT Name, Plant__c, Plant__r.Name, Account__r.Name, Plant__r.Id FROM Order__c \
                ORDER BY Plant__r.Name NULLS LAST";
    let id = "a01000000000001AAA";
    assert_eq!(
        client.query("Order__c", soql),
        format!(
            "\"Name\",\"Plant__c\",\"Plant__r.Name\",\"Account__r.Name\",\"Plant__r.Id\"\n\
             \"A\",\"{id}\",\"Werk Eins\",\"Fabrikam\",\"{id}\"\n\"B\",\"\",\"\",\"\",\"\"\n"
        )
    );
    // The field is text, so an id may also come as such.
    client.insert("Order__c", format!("Name,Plant__c\nC,{}\n", &id[..15]));
    let soql = format!("SELECT Name, Plant__r.Id FROM Order__c WHERE Plant__r.Id = '{id}'");
    let rows = client.query("Order__c", &soql);
    assert_eq!(rows, format!("\"Name\",\"Plant__r.Id\"\n\"A\",\"{id}\"\n\"C\",\"{id}\"\n"));
    let soql = "SELECT Name FROM Order__c WHERE Plant__r.Code__c = 'X'";
    assert_eq!(client.query("Order__c", soql), "\"Name\"\n\"A\"\n\"C\"\n");
}

#[test]
fn a_column_that_names_no_key_of_a_parent_fails_the_batch() {
    let mut client = family();
    for (object, header, message) in [
        (
            "Contact",
            "Account:Account.Key__c",
            "type is not needed for non polymorphic foreign key references: Account",
        ),
        ("Task", "Who.Email", "type is needed for polymorphic foreign key references: Who"),
        ("Lead", "Owner.Id", "type is needed for polymorphic foreign key references: Owner"),
        ("Lead", "Owner.Alias", "type is needed for polymorphic foreign key references: Owner"),
        ("Task", "User:Who.Email", "Field name not found : User:Who.Email"),
        (
            "Contact",
            "Account.Phone",
            "Field name provided, Phone does not match an External ID, Salesforce Id, or indexed field for Account",
        ),
        ("Contact", "Account.Other__c", "Field name not found : Account.Other__c"),
        ("Contact", "Account.Parent.Key__c", "Field name not found : Account.Parent.Key__c"),
        ("Contact", "Nobody.Email", "Field name not found : Nobody.Email"),
        ("Contact", "Contact:LastName", "Field name not found : Contact:LastName"),
        ("Contact", ".", "Field name not found : ."),
        ("Contact", "a\"b__r.Id", "Field name not found : a\"b__r.Id"),
    ] {
        let quoted = header.replace('"', "\"\"");
        let told = client.insert(object, format!("New__c,\"{quoted}\"\nx,y\n"));
        assert_eq!(told, [format!("InvalidBatch : {message}")], "{header}");
        let told = client.files("query", object, &format!("SELECT New__c FROM {object}"));
        assert!(told.unwrap_err().contains("No such column 'New__c'"), "nothing is left behind");
    }
    let told = client.insert("Account", "Name,OwnerId,Owner.Username\nA,,\n");
    assert_eq!(told, ["InvalidBatch : Duplicate field name found : Owner.Username"]);
    let lines = client.insert("Account", "Name,CreatedBy.Username\nA,practice@example.com\nB,\n");
    assert!(
        lines[0].contains(
            "INVALID_FIELD_FOR_INSERT_UPDATE:Unable to create/update fields: CreatedById."
        )
    );
    assert_eq!(lines[1], ok("001000000000004AAA"));
}

#[test]
fn an_owner_may_be_a_queue() {
    let mut client = family();
    let file = "LastName,Company,User:Owner.Username\nA,x,ada@example.com\n";
    assert_eq!(client.insert("Lead", file), [ok("00Q000000000001EAA")]);
    let file = "LastName,Company,group:Owner.Name\nB,x,practice queue\n";
    assert_eq!(client.insert("Lead", file), [ok("00Q000000000002EAA")]);
    assert_eq!(
        client.query("Lead", "SELECT Owner.Type, Owner.Name, OwnerId, Owner.Username FROM Lead"),
        "\"Owner.Type\",\"Owner.Name\",\"OwnerId\",\"Owner.Username\"\n\
         \"User\",\"Byron\",\"005000000000002AAA\",\"ada@example.com\"\n\
         \"Group\",\"Practice Queue\",\"00G000000000001EAA\",\"\"\n"
    );
}

#[test]
fn a_key_that_one_object_alone_has_needs_no_type() {
    let mut client = family();
    client.insert("Account", "Name\nFabrikam\n");
    for (object, file) in [
        ("Lead", "LastName,Company,Owner.Username\nA,x,ada@example.com\n"),
        ("Case", "Subject,owner.username\nA,ADA@example.com\n"),
        ("Task", "Subject,Owner.Username\nA,ada@example.com\n"),
        (
            "Order",
            "AccountId,EffectiveDate,Status,Owner.Username\n001000000000001,2026-01-01,Draft,ada@example.com\n",
        ),
        ("Plant__c", "Name,Owner.Username\nA,ada@example.com\n"),
    ] {
        assert!(client.insert(object, file)[0].contains("\"true\",\"true\""), "{object}");
        assert_eq!(
            client.query(object, &format!("SELECT Owner.Alias FROM {object}")),
            "\"Owner.Alias\"\n\"ada\"\n"
        );
    }
    // A key that comes up in a second object is told with its type from then on.
    client.insert("Contact", "LastName,Badge__c\nKing,7\n");
    assert_eq!(client.insert("Task", "Subject,Who.Badge__c\nA,7\n").len(), 1);
    client.insert("Lead", "LastName,Company,Badge__c\nB,x,8\n");
    let told = client.insert("Task", "Subject,Who.Badge__c\nA,7\n");
    assert_eq!(told, ["InvalidBatch : type is needed for polymorphic foreign key references: Who"]);
}
