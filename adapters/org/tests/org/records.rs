//! What each operation does to records, and the vendor's words when it cannot.

use crate::client::Client;

const ERP: &str = "<externalIdFieldName>Erp_Key__c</externalIdFieldName>";

#[test]
fn insert_answers_row_by_row() {
    let mut client = Client::new();
    let lines = client.insert("Contact", "FirstName,LastName\nAda,Byron\nGrace,\nAlan,Turing\n");
    assert_eq!(
        lines,
        [
            "\"003000000000001AAA\",\"true\",\"true\",\"\"",
            "\"\",\"false\",\"false\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --\"",
            "\"003000000000002AAA\",\"true\",\"true\",\"\"",
        ]
    );
    let rows = client.query("Contact", "SELECT Id, Name, OwnerId, CreatedDate FROM Contact WHERE FirstName = 'ADA'");
    assert_eq!(
        rows,
        "\"Id\",\"Name\",\"OwnerId\",\"CreatedDate\"\n\
         \"003000000000001AAA\",\"Ada Byron\",\"005000000000001AAA\",\"2026-01-01T00:00:30.000Z\"\n"
    );
}
