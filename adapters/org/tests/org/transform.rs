//! Transformation specs: foreign CSV becomes records.

use std::time::Duration;

use sfbulk_org::{Config, Limits};

use crate::client::{CSV, Client, JSON};

const HEAD: &str = "Salesforce Field,Csv Header,Value,Hint\n";

impl Client {
    /// Loads a foreign file by a spec, in an insert job: the lines of the result, or the state
    /// message.
    fn transformed(&mut self, object: &str, spec: &str, file: &str) -> Vec<String> {
        let job = self.job("insert", object, "");
        let answer = self.post(&format!("job/{job}/spec"), CSV, format!("{HEAD}{spec}"));
        assert_eq!((answer.status, answer.body.as_str()), (201, ""));
        let batch = self.add(&job, file.to_owned());
        self.wait(60);
        let info = self.batch(&job, &batch);
        if info.element("state") == "Failed" {
            return vec![info.element("stateMessage").to_owned()];
        }
        let result = self.get(&format!("job/{job}/batch/{batch}/result"));
        result.body.lines().skip(1).map(str::to_owned).collect()
    }
}

#[test]
fn a_foreign_file_becomes_records() {
    let mut client = Client::new();
    let spec = "\
        Name,Contact person,,\n\
        Title,Position,Clerk,\n\
        LeadSource,,Web,\n\
        Birthdate,Born,,dd.MM.yyyy\n\
        DoNotCall,Opt out,,^(yes|y)$\n\
        Seen__c,Note,,\n";
    let file = "Opt out,Contact person,Unknown,Position,Born,Note\r\n\
        yes,Ada Byron,x,Countess,10.12.1815,#N/A\r\n\
        no,\"Hopper, Grace\",y,,9.12.06,\"a\nb\"\r\n";
    let told = client.transformed("Contact", spec, file);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|line| line.ends_with(",\"true\",\"true\",\"\"")), "{told:?}");
    assert_eq!(
        client.query(
            "Contact",
            "SELECT FirstName, LastName, Title, LeadSource, Birthdate, DoNotCall, Seen__c FROM Contact"
        ),
        "\"FirstName\",\"LastName\",\"Title\",\"LeadSource\",\"Birthdate\",\"DoNotCall\",\"Seen__c\"\n\
         \"Ada\",\"Byron\",\"Countess\",\"Web\",\"1815-12-10\",\"true\",\"\"\n\
         \"Grace\",\"Hopper\",\"Clerk\",\"Web\",\"0006-12-09\",\"false\",\"a\nb\"\n"
    );
}

#[test]
fn moments_are_read_by_their_pattern_and_else_as_they_are() {
    let mut client = Client::new();
    let spec = "Subject,What,,\nReminderDateTime,When,,d/M/yyyy HH:mm\n";
    let file = "What,When\na,1/2/2026 09:05\nb,2026-02-01T10:00:00Z\nc,soon\n";
    let told = client.transformed("Task", spec, file);
    assert!(told[2].contains("INVALID_TYPE_ON_FIELD_IN_RECORD"), "{told:?}");
    assert_eq!(
        client.query("Task", "SELECT Subject, ReminderDateTime FROM Task"),
        "\"Subject\",\"ReminderDateTime\"\n\"a\",\"2026-02-01T09:05:00.000Z\"\n\"b\",\"2026-02-01T10:00:00.000Z\"\n"
    );
}

#[test]
fn a_file_that_does_not_fit_the_spec_fails_as_a_whole_a_row_by_itself() {
    let mut client = Client::new();
    let lacks = client.transformed("Account", "Name,Firm,,\n", "Company\nA\n");
    assert_eq!(lacks, ["InvalidBatch : Field name not found : Firm"]);
    let unknown = client.transformed("Account", "Firm,Firm,,\n", "Firm\nA\n");
    assert_eq!(unknown, ["InvalidBatch : Field name not found : Firm"]);
    let ragged = client.transformed("Account", "Name,Firm,,\n", "Firm,Town\nA,Oslo\nB\n");
    assert!(ragged[0].contains("\"true\"") && ragged[1].contains("INVALID_FIELD"), "{ragged:?}");
    for (spec, hint) in [
        ("Name,Firm,,\nBirthdate,Born,,dd MMM yyyy\n", "dd MMM yyyy"),
        ("Name,Firm,,\nDoNotCall,Born,,(yes\n", "(yes"),
    ] {
        let told = client.transformed("Contact", spec, "Firm,Born\nA,x\n");
        assert!(told[0].starts_with(&format!("InvalidBatch : Invalid hint {hint}")), "{told:?}");
    }
}

#[test]
fn records_are_made_no_larger_than_a_batch_may_be() {
    let limits = Limits { characters: 200, ..Limits::default() };
    let mut client = Client::with(Config::new().latency(Duration::ZERO).limits(limits));
    let spec = "Name,Firm,,\nSite,Firm,,\nPhone,Firm,,\n";
    let file = |length: usize| format!("Firm\n{}\n", "x".repeat(length));
    assert_eq!(client.transformed("Account", spec, &file(60)).len(), 1);
    let told = client.transformed("Account", spec, &file(70));
    assert_eq!(told, ["InvalidBatch : Failed to transform. Exceeded max size limit of 200"]);
    let twice = client.job("insert", "Account", "");
    let spec = format!("{HEAD}Name,Firm,,\nname,Town,,\n");
    let refusal = client.post(&format!("job/{twice}/spec"), CSV, spec).refusal();
    assert!(refusal.ends_with("Duplicate field name found : name"), "{refusal}");
}

#[test]
fn a_spec_comes_before_the_first_batch_of_a_load_of_csv() {
    let mut client = Client::new();
    let spec = format!("{HEAD}Name,Firm,,\n");
    let job = client.job("insert", "Account", "");
    let path = format!("job/{job}/spec");
    assert_eq!(
        client.post(&path, JSON, spec.clone()).element("exceptionCode"),
        "UnsupportedContentType"
    );
    let long = format!("{HEAD}Name,{},,\n", "x".repeat(8_192));
    assert_eq!(client.post(&path, CSV, long).element("exceptionCode"), "ClientInputError");
    assert_eq!(client.post(&path, CSV, "Name\n").element("exceptionCode"), "ClientInputError");
    assert_eq!(client.post(&path, CSV, spec.clone()).status, 201);
    assert_eq!(client.post(&path, CSV, spec.clone()).status, 201, "again, in its place");
    client.add(&job, "Firm\nA\n");
    let refusal = client.post(&path, CSV, spec.clone()).refusal();
    assert!(refusal.starts_with("400 InvalidJobState: A transformation spec must"), "{refusal}");
    let query = client.job("query", "Account", "");
    let refusal = client.post(&format!("job/{query}/spec"), CSV, spec).refusal();
    assert!(refusal.starts_with("400 InvalidJob: A transformation spec is for"), "{refusal}");
}
