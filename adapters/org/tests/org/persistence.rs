//! An org in a file goes on where it stopped.

use sfbulk_org::{Config, Org};

use crate::client::Client;

#[test]
fn records_jobs_fields_and_time_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org.db");
    let mut client = Client::of(Org::open(&path).unwrap());
    client.insert("Invoice__c", "Total__c\n17\n18\n");
    client.load("hardDelete", "Invoice__c", "", "Id\na00000000000002AAA\n");
    let job = client.job("insert", "Account", "");
    let batch = client.add(&job, "Name\nA\n");
    drop(client);

    let mut client = Client::of(Org::open(&path).unwrap());
    assert_eq!(
        client.query("Invoice__c", "SELECT Total__c FROM Invoice__c"),
        "\"Total__c\"\n\"17\"\n"
    );
    assert_eq!(
        client.batch(&job, &batch).element("state"),
        "Completed",
        "what was queued was done"
    );
    let request = client.get(&format!("job/{job}/batch/{batch}/request"));
    assert_eq!(request.body, "Name\nA\n");
    let lines = client.insert("Invoice__c", "Total__c\n19\n");
    assert!(lines[0].starts_with("\"a00000000000003AAA\""), "{lines:?}");
    let created = client.get(&format!("job/{job}")).element("createdDate").to_owned();
    let later = client.create("insert", "Account", "").element("createdDate").to_owned();
    assert!(created < later, "{created} {later}");
}

#[test]
fn a_file_of_an_older_version_learns_the_new_objects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org.db");
    drop(Org::open(&path).unwrap());
    let older = rusqlite::Connection::open(&path).unwrap();
    older
        .execute_batch(
            "DROP TABLE r_Campaign; ALTER TABLE r_Account DROP COLUMN RecordTypeId;
             DELETE FROM r_Pricebook2; DELETE FROM _meta WHERE key = 'seeded';",
        )
        .unwrap();
    drop(older);
    let mut client = Client::of(Org::open(&path).unwrap());
    assert!(client.insert("Campaign", "Name\nFair\n")[0].contains("\"701000000000001AAA\""));
    let rows = client.query("Account", "SELECT RecordType.Name FROM Account");
    assert_eq!(rows, "Records not found for this query");
    let rows = client.query("Pricebook2", "SELECT Name FROM Pricebook2");
    assert_eq!(rows, "\"Name\"\n\"Standard Price Book\"\n");
}

#[test]
fn what_was_there_from_the_start_stays_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org.db");
    let mut client = Client::of(Org::open(&path).unwrap());
    client.load("hardDelete", "Folder", "", "Id\n00l000000000001AAA\n");
    drop(client);
    let mut client = Client::of(Org::open(&path).unwrap());
    let rows = client.query("Folder", "SELECT Id FROM Folder");
    assert_eq!(rows, "Records not found for this query");
}

#[test]
fn a_file_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org.db");
    let _org = Org::open(&path).unwrap();
    assert!(Org::open(&path).unwrap_err().to_string().contains("another process uses"));
}

#[test]
fn what_is_no_database_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("org.db");
    std::fs::write(&path, "Name\nthis is a CSV file, and a long one\n".repeat(100)).unwrap();
    assert!(Org::open(&path).is_err());
    assert!(Org::open(folder.path().join("no/such/folder/org.db")).is_err());
}

#[test]
fn a_session_that_might_be_real_is_refused() {
    let real = "00D5g000007Org1!AQ4AQ.abc";
    let error = Org::in_memory_with(Config::new().session(real)).unwrap_err().to_string();
    assert!(error.contains("practice") && !error.contains("AQ4AQ"), "{error}");
    let config = Config::new().session("00D000000000009EAA!PRACTICE.mine");
    assert!(Org::in_memory_with(config).is_ok());
}
