//! What each operation does to records, and the vendor's words when it cannot.

use std::fmt::Write as _;

use crate::client::Client;

const ERP: &str = "<externalIdFieldName>Erp_Key__c</externalIdFieldName>";

fn ok(id: &str, created: bool) -> String {
    format!("\"{id}\",\"true\",\"{created}\",\"\"")
}

fn error(text: &str) -> String {
    format!("\"\",\"false\",\"false\",\"{text}\"")
}

#[test]
fn insert_answers_row_by_row() {
    let mut client = Client::new();
    let lines = client.insert("Contact", "FirstName,LastName\nAda,Byron\nGrace,\nAlan,Turing\n");
    let missing = "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --";
    assert_eq!(
        lines,
        [ok("003000000000001AAA", true), error(missing), ok("003000000000002AAA", true)]
    );
    let rows = client.query(
        "Contact",
        "SELECT Id, Name, OwnerId, CreatedDate, DoNotCall FROM Contact WHERE FirstName = 'ADA'",
    );
    assert_eq!(
        rows,
        "\"Id\",\"Name\",\"OwnerId\",\"CreatedDate\",\"DoNotCall\"\n\
         \"003000000000001AAA\",\"Ada Byron\",\"005000000000001AAA\",\"2026-01-01T00:00:30.000Z\",\"false\"\n"
    );
}

#[test]
fn several_missing_fields_are_named_together() {
    let mut client = Client::new();
    let lines = client.insert("Lead", "FirstName,Company\nAda,\n");
    let missing = "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName, Company]:LastName Company --";
    assert_eq!(lines, [error(missing)]);
}

#[test]
fn text_comes_back_as_it_went_in() {
    let mut client = Client::new();
    let texts = [
        "say \"hi\"",
        "two\nlines",
        "two\r\nlines",
        " blanks ",
        "😀 é\u{2028}",
        "a\0b",
        "comma, comma",
        "'; DROP",
    ];
    let mut file = "Name,Description,Note__c\n".to_owned();
    for text in texts {
        let quoted = text.replace('"', "\"\"");
        write!(file, "x,\"{quoted}\",\"{quoted}\"\r\n").unwrap();
    }
    assert_eq!(client.insert("Account", file).len(), texts.len());
    let rows = client.query("Account", "select description, note__c from account");
    let mut expected = "\"Description\",\"Note__c\"\n".to_owned();
    for text in texts {
        let quoted = text.replace('"', "\"\"");
        writeln!(expected, "\"{quoted}\",\"{quoted}\"").unwrap();
    }
    assert_eq!(rows, expected);
}

#[test]
fn values_are_normalised_by_type() {
    let mut client = Client::new();
    let file = "Name,StageName,CloseDate,Amount,Probability\nBig,New,2026-03-01,1.25E8,42\nSmall,New,2024-02-29,23456,\n";
    assert_eq!(client.insert("Opportunity", file).len(), 2);
    let rows = client
        .query("Opportunity", "SELECT CloseDate, Amount, Probability, IsClosed FROM Opportunity");
    assert_eq!(
        rows,
        "\"CloseDate\",\"Amount\",\"Probability\",\"IsClosed\"\n\
         \"2026-03-01\",\"1.25E8\",\"42.0\",\"false\"\n\"2024-02-29\",\"23456.0\",\"\",\"false\"\n"
    );
    client.insert("Task", "IsReminderSet,ReminderDateTime\n1,2026-03-01T12:00:00+05:00\n");
    let rows = client.query("Task", "SELECT IsReminderSet, ReminderDateTime, Status FROM Task");
    assert!(rows.ends_with("\n\"true\",\"2026-03-01T07:00:00.000Z\",\"Not Started\"\n"), "{rows}");
}

#[test]
fn a_bad_value_fails_its_row_alone() {
    let mut client = Client::new();
    let file = "LastName,Email,Birthdate,AccountId\n\
        A,no mail,,\nB,,2026-02-30,\nC,,,17\nD,,,003000000000001AAA\nE,,,001000000000009AAA\nF,ada@example.com,1815-12-10,\n";
    let lines = client.insert("Contact", file);
    assert_eq!(
        lines,
        [
            error("INVALID_EMAIL_ADDRESS:Email: invalid email address: no mail:Email --"),
            error(
                "INVALID_TYPE_ON_FIELD_IN_RECORD:Birthdate: value not of required type: 2026-02-30:Birthdate --"
            ),
            error("MALFORMED_ID:Account ID: id value of incorrect type: 17:AccountId --"),
            error(
                "MALFORMED_ID:Account ID: id value of incorrect type: 003000000000001AAA:AccountId --"
            ),
            error("INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--"),
            ok("003000000000001AAA", true),
        ]
    );
}

#[test]
fn rows_that_do_not_fit_the_header_fail_alone() {
    let mut client = Client::new();
    let lines = client.insert("Account", "Name,Site\nA\nB,x\nC,x,y\n");
    assert!(lines[0].contains("INVALID_FIELD:The row has 1 values, the header has 2 columns:--"));
    assert_eq!(lines[1], ok("001000000000001AAA", true));
    assert!(lines[2].contains("INVALID_FIELD:"));
}

#[test]
fn what_the_org_alone_sets_cannot_be_sent() {
    let mut client = Client::new();
    let lines = client.insert("Account", "Name,Id\nA,001000000000001AAA\nB,\n");
    let message = "INVALID_FIELD_FOR_INSERT_UPDATE:cannot specify Id in an insert call:Id --";
    assert_eq!(lines, [error(message), ok("001000000000001AAA", true)]);
    let lines = client.insert("Account", "Name,CreatedDate\nA,2026-01-01T00:00:00Z\n");
    assert!(
        lines[0].contains(
            "INVALID_FIELD_FOR_INSERT_UPDATE:Unable to create/update fields: CreatedDate."
        )
    );
    assert!(lines[0].ends_with(":CreatedDate --\""));
}

#[test]
fn update_changes_what_is_said_and_nothing_else() {
    let mut client = Client::new();
    client.insert("Account", "Name,Site,Fax,Key__c\nA,here,1,k\n");
    let lines =
        client.load("update", "Account", "", "id,site,FAX,Key__c\n001000000000001,,#N/A,new\n");
    assert_eq!(lines, [ok("001000000000001AAA", false)]);
    let rows = client.query(
        "Account",
        "SELECT Name, Site, Fax, Key__c, LastModifiedDate, CreatedDate FROM Account",
    );
    let row =
        "\n\"A\",\"here\",\"\",\"new\",\"2026-01-01T00:01:30.000Z\",\"2026-01-01T00:00:30.000Z\"\n";
    assert!(rows.ends_with(row), "{rows}");
    let lines = client.load(
        "update",
        "Account",
        "",
        "Id,Name\n001000000000001AAA,#N/A\n,x\n001000000000002AAA,x\n003000000000001AAA,x\nnonsense,x\n",
    );
    assert_eq!(
        lines,
        [
            error("REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"),
            error("MISSING_ARGUMENT:Id not specified in an update call:--"),
            error("INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--"),
            error("MALFORMED_ID:Account ID: id value of incorrect type: 003000000000001AAA:Id --"),
            error("MALFORMED_ID:Account ID: id value of incorrect type: nonsense:Id --"),
        ]
    );
    let told = client.load("update", "Account", "", "Name\nx\n");
    assert_eq!(told, ["InvalidBatch : Field name not found : Id"]);
}

#[test]
fn upsert_tells_insert_from_update() {
    let mut client = Client::new();
    let lines =
        client.load("upsert", "Account", ERP, "Erp_Key__c,Name\nA-17,Fabrikam\nA-18,Litware\n");
    assert_eq!(lines, [ok("001000000000001AAA", true), ok("001000000000002AAA", true)]);
    let lines = client.load(
        "upsert",
        "Account",
        ERP,
        "Erp_Key__c,Name,Site\na-18,,x\nA-19,Contoso,\n,Nobody,\nA-20,,\n",
    );
    assert_eq!(
        lines,
        [
            ok("001000000000002AAA", false),
            ok("001000000000003AAA", true),
            error("MISSING_ARGUMENT:Erp_Key__c not specified:--"),
            error("REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"),
        ]
    );
    client.insert("Account", "Name,Erp_Key__c\nTwin,A-17\n");
    let lines = client.load("upsert", "Account", ERP, "Erp_Key__c,Name\nA-17,x\n");
    assert!(
        lines[0].contains("DUPLICATE_EXTERNAL_ID:Erp_Key__c: more than one record found"),
        "{lines:?}"
    );
    let told = client.load("upsert", "Account", ERP, "Name\nx\n");
    assert_eq!(told, ["InvalidBatch : Field name not found : Erp_Key__c"]);
}

#[test]
fn upsert_takes_the_id_and_standard_keys() {
    let mut client = Client::new();
    let by = |name: &str| format!("<externalIdFieldName>{name}</externalIdFieldName>");
    let lines =
        client.load("upsert", "Contact", &by("email"), "Email,LastName\nada@example.com,Byron\n");
    assert_eq!(lines, [ok("003000000000001AAA", true)]);
    let lines =
        client.load("upsert", "Contact", &by("Email"), "Email,LastName\nADA@example.com,King\n");
    assert_eq!(lines, [ok("003000000000001AAA", false)]);
    let lines = client.load(
        "upsert",
        "Contact",
        &by("Id"),
        "Id,LastName\n003000000000001AAA,Lovelace\n,Hopper\n",
    );
    assert_eq!(lines, [ok("003000000000001AAA", false), ok("003000000000002AAA", true)]);
    let file = "Email,Id,LastName\nx@example.com,003000000000001AAA,x\n";
    let lines = client.load("upsert", "Contact", &by("Email"), file);
    assert!(lines[0].contains("INVALID_FIELD:cannot specify both an external ID reference Email"));
}

#[test]
fn delete_keeps_records_in_the_recycle_bin() {
    let mut client = Client::new();
    client.insert("Lead", "LastName,Company\nA,x\nB,x\nC,x\n");
    let lines = client.load(
        "delete",
        "Lead",
        "",
        "id\n00Q000000000001EAA\n00Q000000000001EAA\n\"\"\n00Q000000000007EAA\n",
    );
    assert_eq!(
        lines,
        [
            ok("00Q000000000001EAA", false),
            error("ENTITY_IS_DELETED:entity is deleted:--"),
            error("INVALID_ID_FIELD:invalid record id:--"),
            error("INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--"),
        ]
    );
    let soql = "SELECT LastName, IsDeleted FROM Lead";
    assert_eq!(
        client.query("Lead", soql),
        "\"LastName\",\"IsDeleted\"\n\"B\",\"false\"\n\"C\",\"false\"\n"
    );
    let all = client.files("queryAll", "Lead", soql).unwrap().concat();
    assert_eq!(
        all,
        "\"LastName\",\"IsDeleted\"\n\"A\",\"true\"\n\"B\",\"false\"\n\"C\",\"false\"\n"
    );
    let lines = client.load("update", "Lead", "", "Id,City\n00Q000000000001EAA,x\n");
    assert_eq!(lines, [error("ENTITY_IS_DELETED:entity is deleted:--")]);
}

#[test]
fn hard_delete_leaves_nothing_and_no_number_is_used_twice() {
    let mut client = Client::new();
    client.insert("Lead", "LastName,Company\nA,x\nB,x\n");
    client.load("delete", "Lead", "", "Id\n00Q000000000002EAA\n");
    let lines =
        client.load("hardDelete", "Lead", "", "Id\n00Q000000000001EAA\n00Q000000000002EAA\n");
    assert_eq!(lines, [ok("00Q000000000001EAA", false), ok("00Q000000000002EAA", false)]);
    let all = client.files("queryAll", "Lead", "SELECT Id FROM Lead").unwrap();
    assert_eq!(all, ["Records not found for this query"]);
    let lines = client.insert("Lead", "LastName,Company\nC,x\n");
    assert_eq!(lines, [ok("00Q000000000003EAA", true)]);
}

#[test]
fn a_reference_to_a_deleted_record_is_refused() {
    let mut client = Client::new();
    client.insert("Account", "Name\nA\nB\n");
    client.load("delete", "Account", "", "Id\n001000000000001AAA\n");
    let file =
        "LastName,AccountId\nA,001000000000002AAA\nB,001000000000001AAA\nC,001000000000002AAA\n";
    let lines = client.insert("Contact", file);
    let deleted = error("ENTITY_IS_DELETED:entity is deleted:--");
    assert_eq!(lines, [ok("003000000000001AAA", true), deleted, ok("003000000000002AAA", true)]);
}

#[test]
fn a_short_id_means_the_same_as_a_long_one() {
    let mut client = Client::new();
    client.insert("Account", "Name\nA\n");
    client.insert("Contact", "LastName,AccountId\nA,001000000000001\n");
    let soql = "SELECT AccountId FROM Contact WHERE AccountId = '001000000000001'";
    assert_eq!(client.query("Contact", soql), "\"AccountId\"\n\"001000000000001AAA\"\n");
}

#[test]
fn a_unique_value_is_given_once() {
    let mut client = Client::new();
    let head = "Username,LastName,Email,Alias,TimeZoneSidKey,LocaleSidKey,LanguageLocaleKey,EmailEncodingKey,ProfileId\n";
    let tail = "x,x@example.com,x,GMT,en_US,en_US,UTF-8,00e000000000001AAA\n";
    let lines =
        client.insert("User", format!("{head}practice@example.com,{tail}ada@example.com,{tail}"));
    let duplicate = "DUPLICATE_VALUE:duplicate value found: Username duplicates value on record with id: \
                     005000000000001AAA:Username --";
    assert_eq!(lines, [error(duplicate), ok("005000000000002AAA", true)]);
}

#[test]
fn custom_objects_and_fields_come_into_being() {
    let mut client = Client::new();
    let lines = client.insert("Invoice__c", "Total__c,Name\n17,\n18,INV-2\n");
    assert_eq!(lines, [ok("a00000000000001AAA", true), ok("a00000000000002AAA", true)]);
    let rows = client.query("invoice__c", "SELECT Name, total__c, OwnerId FROM INVOICE__C");
    assert_eq!(
        rows,
        "\"Name\",\"Total__c\",\"OwnerId\"\n\"a00000000000001AAA\",\"17\",\"005000000000001AAA\"\n\
         \"INV-2\",\"18\",\"005000000000001AAA\"\n"
    );
    assert_eq!(client.insert("Line__c", "No__c\n1\n"), [ok("a01000000000001AAA", true)]);
}

#[test]
fn a_file_that_cannot_be_read_fails_whole() {
    let mut client = Client::new();
    for (file, message) in [
        ("LastName,FirstNam\nByron,Ada\n", "InvalidBatch : Field name not found : FirstNam"),
        ("\u{feff}LastName\nByron\n", "InvalidBatch : Field name not found : \u{feff}LastName"),
        (
            "LastName,Account.Erp_Key__c\nA,1\n",
            "InvalidBatch : Field name not found : Account.Erp_Key__c",
        ),
        ("LastName,lastname\nA,B\n", "InvalidBatch : Duplicate field name found : lastname"),
        ("LastName\n", "InvalidBatch : Records not found"),
        (
            "LastName\nBy\"ron\n",
            "InvalidBatch : Failed to parse CSV. Found unescaped quote. A value with quote should be within a quote",
        ),
        (
            "LastName\n\"Byron\n",
            "InvalidBatch : Failed to parse CSV. EOF reached before closing an opened quote",
        ),
    ] {
        assert_eq!(client.insert("Contact", file), [message]);
    }
    let many = format!("LastName\n{}", "x\n".repeat(10_001));
    assert!(client.insert("Contact", many)[0].contains("Exceeded number of records : 10001"));
    let large = format!("LastName\n{}", "x".repeat(10_000_000));
    assert_eq!(
        client.insert("Contact", large),
        ["InvalidBatch : Failed to read request. Exceeded max size limit of 10000000"]
    );
    assert_eq!(
        client.query("Contact", "SELECT Id FROM Contact"),
        "Records not found for this query"
    );
}

#[test]
fn a_refused_file_leaves_no_new_fields_behind() {
    let mut client = Client::new();
    client.insert("Contact", "LastName,New__c,Nonsense\nA,B,C\n");
    let told = client.files("query", "Contact", "SELECT New__c FROM Contact").unwrap_err();
    assert!(told.contains("No such column 'New__c' on entity 'Contact'"), "{told}");
    // More than an object may have: not even the first of them is made.
    let many: Vec<String> = (0..801).map(|n| format!("F{n}__c")).collect();
    client.insert("Contact", format!("LastName,{}\nA{}\n", many.join(","), ",x".repeat(801)));
    let told = client.files("query", "Contact", "SELECT F0__c FROM Contact").unwrap_err();
    assert!(told.contains("No such column 'F0__c' on entity 'Contact'"), "{told}");
    assert_eq!(client.insert("Contact", "LastName,New__c\nA,B\n").len(), 1);
}

#[test]
fn texts_that_differ_behind_a_nul_are_two() {
    let mut client = Client::new();
    client.load(
        "upsert",
        "Account",
        "<externalIdFieldName>Key__c</externalIdFieldName>",
        "Name,Key__c\none,k\0a\ntwo,k\0b\n",
    );
    let rows = client.query("Account", "SELECT Name FROM Account ORDER BY Name");
    assert_eq!(rows, "\"Name\"\n\"one\"\n\"two\"\n");
}

#[test]
fn an_empty_text_in_a_list_is_a_field_without_a_value() {
    let mut client = Client::new();
    client.insert("Account", "Name,Site\na,\nb,x\n");
    for (condition, name) in
        [("IN ('')", "a"), ("= ''", "a"), ("NOT IN ('')", "b"), ("IN ('x')", "b")]
    {
        let rows =
            client.query("Account", &format!("SELECT Name FROM Account WHERE Site {condition}"));
        assert_eq!(rows, format!("\"Name\"\n\"{name}\"\n"), "{condition}");
    }
}

#[test]
fn bytes_that_are_no_text_move_no_cell() {
    let mut client = Client::new();
    let lines = client.insert("Account", &b"Name,Site\nA\xff,\xfe\xfd\nB,ok\n"[..]);
    assert_eq!(lines.len(), 2);
    let rows = client.query("Account", "SELECT Name, Site FROM Account");
    assert_eq!(rows, "\"Name\",\"Site\"\n\"A\u{fffd}\",\"\u{fffd}\u{fffd}\"\n\"B\",\"ok\"\n");
}
