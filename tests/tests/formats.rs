//! The same rows in CSV, XML and JSON: they have the same outcomes, and the org holds the same
//! afterwards.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sfbulk::rows::{Decoder, Limits, Moment, Outcome, RowSource, Source};
use sfbulk::{ContentType, Job, Offline, Session, Spec};
use sfbulk_org::{Config, Org};
use sfbulk_tests::desk::Desk;

const FORMATS: [ContentType; 3] = [ContentType::Csv, ContentType::Xml, ContentType::Json];

/// A practice org, and what the rows are sent in.
struct World {
    line: Offline<Org>,
    session: String,
    format: ContentType,
    limits: Limits,
}

impl World {
    fn new(format: ContentType, limits: Limits) -> Self {
        let org = Org::in_memory_with(Config::new()).unwrap();
        let session = org.session().to_owned();
        let mut world = Self { line: Offline::new(org), session, format, limits };
        let account = |name, key| Account { name, key, ..Account::default() };
        world.load(Spec::insert("Account"), [account("Acme", "a1"), account("B & Söhne", "a2")]);
        world
    }

    fn run(&mut self, spec: Spec, mut desk: Desk) -> Desk {
        self.line.run(&mut Job::new(spec).unwrap(), &mut desk).unwrap();
        desk
    }

    fn desk(&self, batches: Vec<sfbulk::rows::Batch>) -> Desk {
        let token = self.session.clone();
        Desk::new(batches, move || Session::new("http://127.0.0.1", token.clone()).unwrap())
    }

    fn load<T: Serialize>(
        &mut self,
        spec: Spec,
        rows: impl IntoIterator<Item = T>,
    ) -> Vec<Outcome> {
        let spec = spec.content_type(self.format.clone()).serial();
        let mut source = RowSource::with_syntax(spec.syntax(), rows.into_iter(), self.limits);
        let batches = std::iter::from_fn(|| source.batch().unwrap()).collect();
        let desk = self.desk(batches);
        self.run(spec, desk).outcomes
    }

    fn query(&mut self, soql: &str) -> String {
        let desk = self.desk(Vec::new());
        self.run(Spec::query(soql), desk).csv
    }
}

/// The rows of a query in a format, decoded.
fn found<T: DeserializeOwned>(world: &mut World, format: &ContentType, soql: &str) -> Vec<T> {
    let desk = world.desk(Vec::new());
    let desk = world.run(Spec::query(soql).content_type(format.clone()), desk);
    let mut decoder = Decoder::new();
    desk.pages.iter().for_each(|page| decoder.push(page));
    std::iter::from_fn(|| decoder.next()).collect::<Result<_, _>>().unwrap()
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Account<'a> {
    name: &'a str,
    #[serde(rename = "Key__c")]
    key: &'a str,
    description: Option<&'a str>,
    annual_revenue: Option<f64>,
    number_of_employees: Option<u32>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Contact {
    id: Option<String>,
    #[serde(rename = "Key__c")]
    key: u8,
    last_name: Option<String>,
    account: Parent,
    description: Option<String>,
    birthdate: Option<&'static str>,
    do_not_call: Option<bool>,
}

/// Found by its key.
#[derive(Clone, Debug, Serialize)]
struct Parent {
    #[serde(rename = "Key__c")]
    key: Option<&'static str>,
}

/// Absent, empty, null, or any text that XML can carry.
fn text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(String::new())),
        1 => Just(Some("#N/A".to_owned())),
        6 => "[a-z \t\n\r\",;<>&'\\]\u{a0}é€😀#/\u{2028}\u{7f}\u{feff}]{1,12}".prop_map(Some),
    ]
}

/// At most one thing is wrong with a row: which of several the org tells of is its own affair.
fn contact() -> impl Strategy<Value = Contact> {
    let good = (
        prop::sample::select(vec![None, Some("1969-12-31"), Some("#N/A"), Some("")]),
        prop::sample::select(vec![None, Some("a1"), Some("a2"), Some("#N/A"), Some("")]),
    );
    let choices = prop_oneof![
        6 => good,
        1 => Just((Some("no date"), None)),
        1 => Just((None, Some("nobody"))),
    ];
    let row = (0..12u8, text(), text(), prop::option::of(any::<bool>()), choices);
    row.prop_map(|(key, last_name, description, do_not_call, (birthdate, parent))| {
        let account = Parent { key: parent };
        Contact { id: None, key, last_name, account, description, birthdate, do_not_call }
    })
}

const CONTACTS: &str =
    "SELECT Id, Key__c, LastName, Description, Birthdate, DoNotCall, Account.Name FROM Contact";

/// The id of no record.
const NOBODY: &str = "003000000999999AAA";

/// Inserts rows, updates the records they have become, and upserts by a key: what became of each row,
/// and what the org holds after each.
fn told(format: ContentType, loads: &[Vec<Contact>; 3]) -> Vec<(Vec<Outcome>, String)> {
    let mut world = World::new(format, Limits { records: 7, ..Limits::default() });
    let [new, changed, keyed] = loads.clone();
    let mut told = Vec::new();
    let inserted = world.load(Spec::insert("Contact"), new);
    told.push((inserted.clone(), world.query(CONTACTS)));
    let id = |outcome: &Outcome| outcome.id.map_or(NOBODY.to_owned(), |id| id.to_string());
    let ids = inserted.iter().map(|outcome| Some(id(outcome)));
    let changed = changed.into_iter().zip(ids).map(|(row, id)| Contact { id, ..row });
    told.push((world.load(Spec::update("Contact"), changed), world.query(CONTACTS)));
    told.push((world.load(Spec::upsert("Contact", "Key__c"), keyed), world.query(CONTACTS)));
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_rows_have_equal_outcomes_in_every_format(
        inserts in prop::collection::vec(contact(), 1..20),
        updates in prop::collection::vec(contact(), 20),
        upserts in prop::collection::vec(contact(), 0..20),
    ) {
        let loads = [inserts, updates, upserts];
        let [csv, xml, json] = FORMATS.map(|format| told(format, &loads));
        prop_assert_eq!(&csv, &xml);
        prop_assert_eq!(&csv, &json);
    }
}

/// A task of a lead, or of a contact.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Task {
    OfLead {
        #[serde(rename = "Subject")]
        subject: &'static str,
        #[serde(rename = "Lead:Who.Email")]
        who: Option<&'static str>,
    },
    OfContact {
        #[serde(rename = "Subject")]
        subject: &'static str,
        #[serde(rename = "Contact:Who")]
        who: Person,
    },
}

#[derive(Clone, Serialize)]
struct Person {
    #[serde(rename = "Email")]
    email: &'static str,
}

#[test]
fn a_parent_of_several_types_is_found_in_every_format() {
    let lead = |subject, who| Task::OfLead { subject, who };
    let contact = |subject, email| Task::OfContact { subject, who: Person { email } };
    let leads = [
        lead("call", Some("lead@example.com")),
        lead("wait", None),
        lead("no", Some("nobody@example.com")),
    ];
    let contacts = [contact("write", "contact@example.com")];
    let told = FORMATS.map(|format| {
        let mut world = World::new(format.clone(), Limits::default());
        let lead = [("LastName", "Hopper"), ("Company", "Navy"), ("Email", "lead@example.com")];
        world.load(Spec::insert("Lead"), [BTreeMap::from(lead)]);
        let contact = [("LastName", "King"), ("Email", "contact@example.com")];
        world.load(Spec::insert("Contact"), [BTreeMap::from(contact)]);
        // A CSV file has one type of a parent; in the other formats each record has its own.
        let files = match format {
            ContentType::Csv => vec![leads.to_vec(), contacts.to_vec()],
            _ => vec![[&leads[..], &contacts].concat()],
        };
        let outcomes = files.into_iter().flat_map(|rows| world.load(Spec::insert("Task"), rows));
        let told = |outcome: Outcome| (outcome.id, outcome.fate, outcome.error);
        let outcomes: Vec<_> = outcomes.map(told).collect();
        (outcomes, world.query("SELECT Subject, Who.Name FROM Task ORDER BY Subject"))
    });
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
    let (outcomes, found) = &told[0];
    let expected =
        "\"Subject\",\"Who.Name\"\n\"call\",\"Hopper\"\n\"wait\",\"\"\n\"write\",\"King\"\n";
    assert_eq!(found, expected);
    assert!(outcomes[2].2.as_ref().is_some_and(|error| error.contains("nobody@example.com")));
}

/// An account as any query gives it back.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    name: String,
    #[serde(rename = "Key__c")]
    key: String,
    description: Option<String>,
    annual_revenue: Option<f64>,
    number_of_employees: Option<u32>,
    created_date: Moment,
}

impl Found {
    /// Whether it says what was inserted. The org has no empty texts: they are null.
    fn is(&self, row: &Account<'_>) -> bool {
        let description = row.description.filter(|text| !["#N/A", ""].contains(text));
        (&*self.name, &*self.key, self.description.as_deref()) == (row.name, row.key, description)
            && (self.annual_revenue, self.number_of_employees)
                == (row.annual_revenue, row.number_of_employees)
    }
}

/// What is awkward to carry, by the row's number.
const AWKWARD: [Option<&str>; 8] = [
    None,
    Some(""),
    Some("#N/A"),
    Some("say \"hi\", <b>&amp;</b> 'x'"),
    Some("two\nlines\r\nand\ta tab"),
    Some(" blanks around "),
    Some("😀 äöü \u{2028}]]>"),
    Some("{\"a\":[1,null]}"),
];

#[test]
fn ten_thousand_awkward_rows_arrive_alike_in_every_format() {
    const ROWS: u32 = 10_000;
    let texts: Vec<[String; 2]> =
        (0..ROWS).map(|n| [format!("row {n:05}"), format!("k{n:05}")]).collect();
    let rows = |n: u32| {
        let [name, key] = &texts[n as usize];
        let description = AWKWARD[n as usize % AWKWARD.len()];
        let annual_revenue = (!n.is_multiple_of(3)).then(|| f64::from(n) / 4.0);
        let number_of_employees = (!n.is_multiple_of(5)).then_some(n);
        Account { name, key, description, annual_revenue, number_of_employees }
    };
    let soql = "SELECT Name, Key__c, Description, AnnualRevenue, NumberOfEmployees, CreatedDate \
                FROM Account WHERE Key__c LIKE 'k%' ORDER BY Name";
    for format in FORMATS {
        let mut world = World::new(format.clone(), Limits::default());
        let outcomes = world.load(Spec::insert("Account"), (0..ROWS).map(rows));
        assert!(outcomes.len() == ROWS as usize && outcomes.iter().all(Outcome::created));
        let sets = FORMATS.map(|format| found::<Found>(&mut world, &format, soql));
        assert!(sets[0] == sets[1] && sets[0] == sets[2], "{format}: the sets differ");
        assert_eq!(sets[0].len(), ROWS as usize);
        for (n, found) in (0..ROWS).zip(&sets[0]) {
            assert!(found.is(&rows(n)), "{format}: {:?} came back as {found:?}", rows(n));
        }
    }
}
