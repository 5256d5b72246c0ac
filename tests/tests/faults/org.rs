//! The org that is loaded, and what is in it afterwards.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sfbulk::{Job, Offline, Session, Spec};
use sfbulk_org::{Config, Org, Server, serve};
use sfbulk_tests::desk::Desk;
use sfbulk_tests::offline::batches;
use tempfile::TempDir;

/// All there is, in the order in which it came.
pub(crate) const SOQL: &str = "SELECT Id, Name FROM Account ORDER BY Id";

/// How long after the end something may still be on its way: the longest delay that is armed.
const LATE: Duration = Duration::from_millis(1_100);

/// A served org that is kept in a folder, where its clients have room too.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) server: Arc<Server>,
    /// What it holds, as CSV.
    pub(crate) csv: String,
}

/// Names that tell rows apart. Their cells are such that a server may write them in other ways.
pub(crate) fn names(rows: usize) -> Vec<String> {
    (0..rows).map(|row| format!("row {row:06}, \"so\"")).collect()
}

/// Rows as CSV: their names, and a city that many of them share.
pub(crate) fn rows(rows: usize) -> String {
    let record = |name: String| format!("\"{}\",Oslo\r\n", name.replace('"', "\"\""));
    format!("Name,BillingCity\r\n{}", names(rows).into_iter().map(record).collect::<String>())
}

impl Stage {
    /// With so many rows in the org.
    pub(crate) fn new(rows: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let names: Vec<String> = (0..rows).map(|row| format!("{row:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.is_empty() {
            run(folder.path(), Spec::insert("Account"), &names);
        }
        let csv = run(folder.path(), Spec::query(SOQL), &[]);
        let server = Arc::new(serve(open(folder.path()), 0).unwrap());
        Self { folder, server, csv }
    }

    /// Where a query's rows go.
    pub(crate) fn output(&self) -> PathBuf {
        self.folder.path().join("out.csv")
    }

    /// The ids of the rows of each name, once nothing is on its way any more.
    pub(crate) fn landed(self) -> BTreeMap<String, Vec<String>> {
        thread::sleep(LATE);
        let mut line = TcpStream::connect(self.server.addr()).unwrap();
        line.write_all(
            b"GET /services/async/66.0/job HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
        let _ = line.read_to_end(&mut Vec::new()); // whatever it says: time has passed
        drop(self.server);
        let csv = run(self.folder.path(), Spec::query(SOQL), &[]);
        let mut landed = BTreeMap::<String, Vec<String>>::new();
        for record in csv::Reader::from_reader(csv.as_bytes()).records() {
            let record = record.unwrap();
            landed.entry(record[1].to_owned()).or_default().push(record[0].to_owned());
        }
        landed
    }
}

fn open(folder: &Path) -> Org {
    let config = Config::new().latency(Duration::from_millis(5)).result_rows(15);
    Org::open_with(folder.join("org.db"), config).unwrap()
}

/// Runs a job against the org of a folder, without wires that could break; gives the rows of a query.
fn run(folder: &Path, spec: Spec, names: &[&str]) -> String {
    let org = open(folder);
    let token = org.session().to_owned();
    let login = move || Session::new("http://127.0.0.1", token.clone()).unwrap();
    let mut desk = Desk::new(batches("Name", names, 10_000), login);
    let mut job = Job::new(spec).unwrap();
    Offline::new(org).run(&mut job, &mut desk).unwrap();
    desk.csv
}
