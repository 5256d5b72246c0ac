//! Options of a load that the org has to understand: each taken by the practice org, and each refused
//! when it is wrong.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sfbulk_org::{Org, Server, serve};

use crate::stage::{Ran, Stage};

const PACKED: &str = "content-encoding: gzip";

fn practice(stage: &Stage, args: &[&str]) -> Ran {
    stage.run(&[args, &["--org", "practice"]].concat())
}

/// The lines of a query's result without their header, as they came.
fn query(stage: &Stage, soql: &str) -> String {
    let ran = practice(stage, &["query", soql]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out.split_once('\n').unwrap().1.to_owned()
}

fn refused(stage: &Stage, args: &[&str], why: &str) {
    let ran = practice(stage, args);
    assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
    assert!(ran.err.contains(why), "{args:?}: {ran:?}");
    assert!(!stage.path(".sfbulk").exists(), "{args:?}: something was sent");
}

#[test]
fn a_foreign_file_is_loaded_by_a_transformation_spec() {
    let stage = Stage::new();
    let head = "Salesforce Field,Csv Header,Value,Hint\n";
    let rules = "Name,Contact person,,\nLeadSource,,Web,\nBirthdate,Born on,,dd.MM.yyyy\n";
    stage.file("map.csv", format!("{head}{rules}"));
    stage.file("theirs.csv", "Born on, Contact person ,Contact person\n10.12.1815,x,Ada Byron\n");
    let load = ["insert", "Contact", "theirs.csv", "--transformation"];
    stage.file("bad.csv", "Field,Header\nName,Firm\n");
    refused(&stage, &[&load[..], &["bad.csv"]].concat(), "bad.csv: the transformation spec");
    refused(&stage, &[&load[..], &["none.csv"]].concat(), "none.csv: the transformation spec");
    stage.file("long.csv", format!("{head}{}", "é".repeat(40_000)));
    refused(&stage, &[&load[..], &["long.csv"]].concat(), "long.csv: the transformation spec");
    refused(&stage, &[&load[..], &["map.csv", "--format", "json"]].concat(), "loads of CSV");
    let ran = practice(&stage, &[&load[..], &["map.csv"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rows = query(&stage, "SELECT FirstName, LastName, LeadSource, Birthdate FROM Contact");
    assert_eq!(rows, "\"Ada\",\"Byron\",\"Web\",\"1815-12-10\"\n");
}

#[test]
fn an_assignment_rule_is_one_of_leads_and_cases() {
    let stage = Stage::new();
    stage.file("in.csv", "LastName,Company\nByron,Engines\n");
    let load = |object, id| ["insert", object, "in.csv", "--assignment-rule", id];
    refused(&stage, &load("Lead", "01Q00000000000"), "invalid value '01Q00000000000'");
    refused(&stage, &load("Account", "01Q000000000001"), "of Case and Lead");
    let ran = practice(&stage, &load("Lead", "01Q000000000001"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(query(&stage, "SELECT LastName FROM Lead"), "\"Byron\"\n");
}

#[test]
fn line_ends_within_values_are_stored_as_asked() {
    let stage = Stage::new();
    stage.file("in.csv", "Name,Description\nA,\"one\ntwo\"\n");
    let load = |how| ["insert", "Account", "in.csv", "--line-ending", how];
    refused(&stage, &load("cr"), "lf or crlf");
    for how in ["crlf", "lf"] {
        let ran = practice(&stage, &load(how));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let rows = query(&stage, "SELECT Description FROM Account");
    assert_eq!(rows, "\"one\r\ntwo\"\n\"one\ntwo\"\n");
}

/// A line to an org that keeps what goes through it.
struct Tap {
    org: Server,
    url: String,
    heard: Arc<Mutex<[Vec<u8>; 2]>>,
}

impl Tap {
    fn new() -> Self {
        let org = serve(Org::in_memory().unwrap(), 0).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<[Vec<u8>; 2]>>::default();
        let (to, keeps) = (org.url().replace("http://", ""), heard.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&to).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                for (side, (mut from, mut to)) in [(client, server), back].into_iter().enumerate() {
                    let keeps = keeps.clone();
                    thread::spawn(move || {
                        let mut buffer = [0; 4096];
                        while let Ok(read @ 1..) = from.read(&mut buffer) {
                            keeps.lock().unwrap()[side].extend_from_slice(&buffer[..read]);
                            to.write_all(&buffer[..read]).ok();
                        }
                        to.shutdown(Shutdown::Write).ok();
                    });
                }
            }
        });
        Self { org, url, heard }
    }

    /// What a run prints, and what was sent and answered meanwhile.
    fn run(&self, stage: &Stage, args: &[&str]) -> (String, [String; 2]) {
        let mut command = stage.command(args);
        command.env("SF_ORG_INSTANCE_URL", &self.url).env("SF_ACCESS_TOKEN", self.org.session());
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        (ran.out, heard.map(text))
    }
}

#[test]
fn bodies_are_packed_both_ways() {
    let (stage, tap) = (Stage::new(), Tap::new());
    let row = |n: usize| format!("Company {n:04} of many\n");
    stage.file("in.csv", format!("Name\n{}", (0..600).map(row).collect::<String>()));
    let load = |packs| ["insert", "Account", "in.csv", "--gzip", packs];
    refused(&stage, &load("yes"), "on or off");
    let soql = "SELECT Name FROM Account ORDER BY Name";
    let [plain, packed] = ["off", "on"].map(|packs| {
        let (_, [sent, _]) = tap.run(&stage, &load(packs));
        assert_eq!(sent.contains(PACKED), packs == "on", "{sent}");
        assert_eq!(sent.contains("company 0300 of many"), packs == "off", "{sent}");
        assert_eq!(sent.len() < 10_000, packs == "on", "{sent}");
        let (rows, [_, answered]) = tap.run(&stage, &["query", soql, "--gzip", packs]);
        assert_eq!(answered.contains(PACKED), packs == "on", "{answered}");
        rows
    });
    assert_eq!((plain.lines().count(), packed.lines().count()), (1 + 600, 1 + 2 * 600));
    let doubled = plain.lines().skip(1).flat_map(|line| [line; 2]);
    assert!(packed.lines().skip(1).eq(doubled), "{packed}");
}
