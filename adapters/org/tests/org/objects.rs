//! The objects of a new org: what each asks of its records, and what it has to begin with.

use crate::client::Client;

fn ok(id: &str) -> String {
    format!("\"{id}\",\"true\",\"true\",\"\"")
}

fn error(text: &str) -> String {
    format!("\"\",\"false\",\"false\",\"{text}\"")
}

#[test]
fn every_object_that_is_loaded_takes_a_record() {
    let mut client = Client::new();
    for (object, file, id) in [
        ("Account", "Name\nFabrikam\n", "001000000000001AAA"),
        ("Contact", "LastName\nByron\n", "003000000000001AAA"),
        ("Lead", "LastName,Company\nKing,x\n", "00Q000000000001EAA"),
        ("Opportunity", "Name,StageName,CloseDate\nBig,New,2026-01-01\n", "006000000000001AAA"),
        ("Case", "Subject\nBroken\n", "500000000000001AAA"),
        ("Task", "Subject\nCall\n", "00T000000000001EAA"),
        ("Event", "Subject,ActivityDateTime\nMeet,2026-01-02T10:00:00Z\n", "00U000000000001EAA"),
        ("Note", "Title,Parent.Id\nN,001000000000001\n", ""),
        ("Note", "Title,Account:Parent.Id\nN,001000000000001\n", "002000000000001AAA"),
        ("Folder", "Name,Type\nMine,Document\n", "00l000000000002AAA"),
        ("Document", "Name,FolderId\nPlan,00l000000000001AAA\n", "015000000000001AAA"),
        ("Campaign", "Name\nFair\n", "701000000000001AAA"),
        (
            "CampaignMember",
            "CampaignId,ContactId\n701000000000001,003000000000001\n",
            "00v000000000001AAA",
        ),
        ("Product2", "Name,IsActive\nSprocket,true\n", "01t000000000001AAA"),
        ("Pricebook2", "Name\nRetail\n", "01s000000000002AAA"),
        (
            "PricebookEntry",
            "Pricebook2Id,Product2Id,UnitPrice\n01s000000000001,01t000000000001,5\n",
            "01u000000000001AAA",
        ),
        (
            "OpportunityLineItem",
            "OpportunityId,PricebookEntryId,Quantity,UnitPrice\n006000000000001,01u000000000001,2,5\n",
            "00k000000000001AAA",
        ),
        (
            "OpportunityContactRole",
            "OpportunityId,ContactId,Role\n006000000000001,003000000000001,Evaluator\n",
            "00K000000000001EAA",
        ),
        ("Contract", "AccountId,ContractTerm\n001000000000001,12\n", "800000000000001AAA"),
        (
            "Order",
            "AccountId,EffectiveDate,Status\n001000000000001,2026-01-01,Draft\n",
            "801000000000001AAA",
        ),
        (
            "OrderItem",
            "OrderId,PricebookEntryId,Quantity\n801000000000001,01u000000000001,1\n",
            "802000000000001AAA",
        ),
        ("Asset", "Name,Contact.Id\nPump,003000000000001\n", "02i000000000001AAA"),
        ("CaseComment", "ParentId,CommentBody\n500000000000001,Look\n", "00a000000000001AAA"),
        ("Group", "Name,Type\nQ,Queue\n", "00G000000000002EAA"),
        ("UserRole", "Name,ParentRole.Name\nCFO,CEO\n", "00E000000000002EAA"),
        (
            "RecordType",
            "Name,DeveloperName,SobjectType\nRetail,Retail,Account\n",
            "012000000000001AAA",
        ),
    ] {
        let lines = client.insert(object, file);
        if id.is_empty() {
            assert!(lines[0].starts_with("InvalidBatch : type is needed"), "{lines:?}");
        } else {
            assert_eq!(lines, [ok(id)], "{object}");
        }
    }
    let rows =
        client.query("RecordType", "SELECT Name FROM RecordType WHERE SobjectType = 'account'");
    assert_eq!(rows, "\"Name\"\n\"Retail\"\n");
    let lines = client.insert("Account", "Name,RecordType.Name\nA,Retail\n");
    assert_eq!(lines, [ok("001000000000002AAA")]);
}

#[test]
fn a_new_org_has_what_loads_refer_to() {
    let mut client = Client::new();
    for (object, field, expected) in [
        ("User", "Profile.Name", "System Administrator"),
        ("User", "UserRole.Name", "CEO"),
        ("Pricebook2", "Name", "Standard Price Book"),
        ("Folder", "Name", "Shared Documents"),
        ("Organization", "Id", "00D000000000001EAA"),
        ("Group", "Type", "Queue"),
    ] {
        let rows = client.query(object, &format!("SELECT {field} FROM {object}"));
        assert_eq!(rows, format!("\"{field}\"\n\"{expected}\"\n"));
    }
}

#[test]
fn a_restricted_picklist_takes_its_values_alone() {
    let mut client = Client::new();
    let lines = client.insert("Event", "Subject,ShowAs\nA,Free\nB,Asleep\nC,\n");
    let bad = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Show Time As: bad value for restricted picklist field: \
               Asleep:ShowAs --";
    assert_eq!(lines, [ok("00U000000000001EAA"), error(bad), ok("00U000000000002EAA")]);
    let rows = client.query("Event", "SELECT ShowAs FROM Event");
    assert_eq!(rows, "\"ShowAs\"\n\"Free\"\n\"Busy\"\n", "with the default");
    let long = "x".repeat(256);
    let lines = client.insert("Account", format!("Name,Industry\nA,Basket Weaving\nB,{long}\n"));
    assert_eq!(lines[0], ok("001000000000001AAA"));
    assert!(lines[1].contains("STRING_TOO_LONG:Industry: data value too large: xxx"), "{lines:?}");
}

#[test]
fn a_unique_name_is_given_once() {
    let mut client = Client::new();
    let file = "Name,Type,DeveloperName\nA,Document,SharedDocuments\nB,Document,b\nC,Document,B\n";
    let lines = client.insert("Folder", file);
    assert!(lines[0].contains("DUPLICATE_VALUE:duplicate value found: DeveloperName duplicates"));
    assert_eq!(lines[1], ok("00l000000000002AAA"));
    assert!(lines[2].contains("record with id: 00l000000000002AAA:DeveloperName --"), "{lines:?}");
}

#[test]
fn a_body_does_not_come_in_a_csv_job() {
    let mut client = Client::new();
    for (object, field) in
        [("Attachment", "Body"), ("Document", "body"), ("ContentVersion", "VersionData")]
    {
        let spelled = if field == "body" { "Body" } else { field };
        let message = format!(
            "InvalidBatch : Binary field {spelled} is only supported for content types ZIP_XML and ZIP_CSV"
        );
        assert_eq!(client.insert(object, format!("Name,{field}\nA,QUJD\n")).len(), 1);
        let file = format!("{field}\nQUJD\n");
        assert_eq!(client.insert(object, file), [message]);
    }
    client.insert("Account", "Name\nA\n");
    let lines = client.insert("Attachment", "Name,ParentId\nA,001000000000001AAA\n");
    assert_eq!(
        lines,
        [error("REQUIRED_FIELD_MISSING:Required fields are missing: [Body]:Body --")]
    );
}

#[test]
fn what_an_object_does_not_take_fails_the_batch() {
    let mut client = Client::new();
    for (operation, object, file, what) in [
        ("delete", "User", "Id\n005000000000001AAA\n", "delete"),
        ("hardDelete", "ContentVersion", "Id\n068000000000001AAA\n", "delete"),
        ("insert", "Profile", "Name\nMine\n", "create"),
        ("insert", "ContentDocument", "Title\nMine\n", "create"),
        ("delete", "Organization", "Id\n00D000000000001EAA\n", "delete"),
    ] {
        let told = client.load(operation, object, "", file);
        let message = format!(
            "InvalidBatch : INVALID_TYPE_FOR_OPERATION: entity type {object} does not support {what}"
        );
        assert_eq!(told, [message]);
    }
    let key = "<externalIdFieldName>Name</externalIdFieldName>";
    let told = client.load("upsert", "Profile", key, "Name\nMine\n");
    assert!(told[0].ends_with("entity type Profile does not support create"), "{told:?}");
    let lines = client.load("update", "Organization", "", "Id,Name\n00D000000000001EAA,Mine\n");
    assert!(lines[0].starts_with("\"00D000000000001EAA\",\"true\""), "{lines:?}");
}
