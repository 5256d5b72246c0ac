//! Rows a second on one core, through `handle` and over a socket: `cargo bench -p sfbulk-org`.

#[allow(dead_code)] // the tests use more of it
#[path = "../tests/org/client.rs"]
mod client;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sfbulk_org::{Config, Org, Server};

use client::{BASE, CSV, Client, JSON};

const BATCHES: usize = 100;
const ROWS: usize = 10_000;
const FIELDS: [&str; 7] =
    ["Name", "Site", "Phone", "Industry", "AnnualRevenue", "NumberOfEmployees", "Erp_Key__c"];

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || Config::new().latency(Duration::ZERO);
    measure("memory", Client::with(config()));
    measure("file", Client::of(Org::open_with(folder.path().join("org.db"), config()).unwrap()));
    json("memory", Client::with(config()));
    socket(&sfbulk_org::serve(Org::in_memory_with(config()).unwrap(), 0).unwrap());
}

fn values(i: usize) -> [String; 7] {
    let (name, site, phone) = (format!("Account {i}"), format!("Room {i}"), format!("+49 30 {i}"));
    [name, site, phone, "Retail".into(), format!("{i}.5"), i.to_string(), format!("K-{i}")]
}

fn csv() -> String {
    let mut file = FIELDS.join(",") + "\n";
    for i in 0..ROWS {
        writeln!(file, "{}", values(i).join(",")).unwrap();
    }
    file
}

fn measure(name: &str, mut client: Client) {
    let file = csv();
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

fn json(name: &str, mut client: Client) {
    let records: Vec<String> = (0..ROWS)
        .map(|i| {
            let pairs = FIELDS.iter().zip(values(i));
            let members: Vec<String> = pairs.map(|(f, v)| format!("\"{f}\":\"{v}\"")).collect();
            format!("{{{}}}", members.join(","))
        })
        .collect();
    let file = format!("[{}]", records.join(","));
    let start = Instant::now();
    let create = r#"{"operation":"insert","object":"Account","contentType":"JSON"}"#;
    let job = client.post("job", JSON, create).member("id").to_owned();
    for _ in 0..BATCHES {
        assert_eq!(client.post(&format!("job/{job}/batch"), JSON, file.clone()).status, 201);
    }
    let list = client.get(&format!("job/{job}/batch")).body;
    assert_eq!(list.matches("\"state\":\"Completed\"").count(), BATCHES);
    report(name, "insert of JSON", start);
}

fn socket(server: &Server) {
    let file = csv();
    let mut line = BufReader::new(TcpStream::connect(server.addr()).unwrap());
    let mut ask = |start: &str, kind: &str, body: &str| {
        let (session, length) = (server.session(), body.len());
        let head = format!(
            "{start} HTTP/1.1\r\nHost: x\r\nX-SFDC-Session: {session}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        );
        line.get_mut().write_all((head + body).as_bytes()).unwrap();
        hear(&mut line)
    };
    let start = Instant::now();
    let create = r#"{"operation":"insert","object":"Account","contentType":"CSV"}"#;
    ask(&format!("POST {BASE}/job"), JSON, create);
    let job = format!("{BASE}/job/750000000000001");
    for _ in 0..BATCHES {
        ask(&format!("POST {job}/batch"), CSV, &file);
    }
    let list = ask(&format!("GET {job}/batch"), CSV, "");
    assert_eq!(list.matches("<state>Completed</state>").count(), BATCHES);
    report("socket", "insert", start);
}

fn hear(line: &mut BufReader<TcpStream>) -> String {
    let mut length = 0;
    loop {
        let mut header = String::new();
        line.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    line.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn report(name: &str, what: &str, start: Instant) {
    let rate = f64::from(u32::try_from(BATCHES * ROWS).unwrap()) / start.elapsed().as_secs_f64();
    println!("{name}: {what}: {rate:.0} rows/s");
}
