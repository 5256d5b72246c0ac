//! Rows a second through `handle`, on one core: `cargo bench -p sfbulk-org`.

#[allow(dead_code)] // the tests use more of it
#[path = "../tests/org/client.rs"]
mod client;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sfbulk_org::{Config, Org};

use client::Client;

const BATCHES: usize = 100;
const ROWS: usize = 10_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || Config::new().latency(Duration::ZERO);
    measure("memory", Client::with(config()));
    measure("file", Client::of(Org::open_with(folder.path().join("org.db"), config()).unwrap()));
}

fn measure(name: &str, mut client: Client) {
    let mut file =
        "Name,Site,Phone,Industry,AnnualRevenue,NumberOfEmployees,Erp_Key__c\n".to_owned();
    for i in 0..ROWS {
        writeln!(file, "Account {i},Room {i},+49 30 {i},Retail,{i}.5,{i},K-{i}").unwrap();
    }
    let start = Instant::now();
    let job = client.job("insert", "Account", "");
    for _ in 0..BATCHES {
        client.add(&job, file.clone());
    }
    assert!(client.states(&job).iter().all(|state| state == "Completed"));
    report(name, "insert", start);
    let start = Instant::now();
    let job = client.job("query", "Account", "");
    let batch = client.add(
        &job,
        "SELECT Id, Name, AnnualRevenue, CreatedDate FROM Account WHERE NumberOfEmployees >= 0",
    );
    let list = client.get(&format!("job/{job}/batch/{batch}/result"));
    let mut bytes = 0;
    for id in list.elements("result") {
        bytes += client.get(&format!("job/{job}/batch/{batch}/result/{id}")).body.len();
    }
    report(name, &format!("query ({} MB)", bytes / 1_000_000), start);
}

fn report(name: &str, what: &str, start: Instant) {
    let rate = f64::from(u32::try_from(BATCHES * ROWS).unwrap()) / start.elapsed().as_secs_f64();
    println!("{name}: {what}: {rate:.0} rows/s");
}
