//! Speed as ratios, in one run against a floor: `cargo bench -p sfbulk-tests --bench ratios`.
//!
//! - *load*: 1,000,000 rows, about 150 MB, through `sfbulk insert` with its result files, against a
//!   client that only blasts bodies split beforehand over four connections.
//! - *query*: a result of 200 MB through `sfbulk query --output`, against curl writing the same
//!   body to a file.
//!
//! Each side runs five times, in turn; the medians, their ratio and the peak memory of the command
//! are printed. Server, floor and command share the machine, so the ratios depend on its cores.

mod server;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const ROWS: usize = 1_000_000;
const RUNS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let command = build();
    load(&command, folder.path());
    query(&command, folder.path());
}

/// The command, built for release.
fn build() -> PathBuf {
    let built =
        Command::new(env!("CARGO")).args(["build", "--release", "-p", "sfbulk-cli"]).status();
    assert!(built.is_ok_and(|status| status.success()), "the command must build");
    let deps = std::env::current_exe().expect("this program's path");
    let release = deps.ancestors().nth(2).expect("target/release");
    release.join("sfbulk")
}

fn load(command: &Path, folder: &Path) {
    let input = folder.join("accounts.csv");
    fs::write(&input, accounts()).expect("room for the input");
    let (address, state) = server::start(Vec::new(), 0);
    let bodies = split(&fs::read(&input).expect("the input"));
    let (mut floor, mut ours, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        state.forget();
        let start = Instant::now();
        blast(address, &bodies);
        floor.push(start.elapsed());
        assert_eq!(state.records(), ROWS as u64);

        state.forget();
        let start = Instant::now();
        let args = ["insert", "Account", "accounts.csv", "--success", "ok.csv", "-q"];
        let (peak, code) = watch(spawn(command, folder, address, &args));
        ours.push(start.elapsed());
        assert_eq!((code, state.records()), (Some(0), ROWS as u64), "every row lands once");
        let lines = memchr::memchr_iter(b'\n', &fs::read(folder.join("ok.csv")).unwrap()).count();
        assert_eq!(lines, ROWS + 1);
        memory = memory.max(peak);
    }
    report("load 1,000,000 rows", "blasting split bodies", floor, ours, memory);
}

fn query(command: &Path, folder: &Path) {
    let mut file = Vec::from(&b"\"Id\",\"Name\",\"Description\"\n"[..]);
    let mut rows = 0;
    while file.len() < 200_000_000 {
        writeln!(
            file,
            "\"001{rows:012}AAA\",\"Northwind & Sons\",\"a description of some length, \
             with commas, and \"\"quotes\"\" {rows}\""
        )
        .expect("memory");
        rows += 1;
    }
    let (address, _) = server::start(file, rows);
    let url = format!("http://{address}/services/async/66.0/job/j/batch/b/result/r");
    let (mut floor, mut ours, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut curl = Command::new("curl");
        curl.current_dir(folder).args(["-s", "-o", "curl.csv", &url]);
        if !curl.status().is_ok_and(|status| status.success()) {
            return println!("query: skipped, there is no curl here");
        }
        floor.push(start.elapsed());

        let start = Instant::now();
        let soql = "SELECT Id, Name, Description FROM Account";
        let args = ["query", soql, "--output", "all.csv", "-q"];
        let (peak, code) = watch(spawn(command, folder, address, &args));
        ours.push(start.elapsed());
        assert_eq!(code, Some(0));
        memory = memory.max(peak);
        let same =
            fs::read(folder.join("all.csv")).unwrap() == fs::read(folder.join("curl.csv")).unwrap();
        assert!(same, "the file is the server's, byte for byte");
    }
    report("query 200 MB", "curl", floor, ours, memory);
}

/// Rows of 150 bytes, a third of their cells quoted.
fn accounts() -> Vec<u8> {
    let mut text = Vec::from(&b"Name,Phone,Industry,Description,BillingCity\n"[..]);
    for row in 0..ROWS {
        writeln!(
            text,
            "Account number {row:07},+1 555 {row:07},\"Retail, wholesale\",\"said \"\"hello\"\" {row} times, \
             and then went on to describe the rest of it\",San Francisco {row:07}"
        )
        .expect("memory");
    }
    text
}

/// Bodies of 10,000 rows, each with the header.
fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let header = lines.next().expect("a header");
    let lines: Vec<&[u8]> = lines.collect();
    lines.chunks(10_000).map(|chunk| [header, &chunk.concat()].concat()).collect()
}

/// The floor: posts the bodies over four connections and reads the answers.
fn blast(address: SocketAddr, bodies: &[Vec<u8>]) {
    let queue = Mutex::new(bodies.iter());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).expect("the server");
                stream.set_nodelay(true).expect("a socket");
                let mut answer = [0; 4096];
                loop {
                    let Some(body) = queue.lock().unwrap().next() else { return };
                    let length = body.len();
                    let head = format!(
                        "POST /services/async/66.0/job/j/batch HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"
                    );
                    stream.write_all(head.as_bytes()).expect("a server that reads");
                    stream.write_all(body).expect("a server that reads");
                    let mut n = 0;
                    while !answer[..n].ends_with(b"</batchInfo>") {
                        n += stream.read(&mut answer[n..]).expect("an answer");
                    }
                    assert!(answer.starts_with(b"HTTP/1.1 201"));
                }
            });
        }
    });
}

fn spawn(command: &Path, folder: &Path, address: SocketAddr, args: &[&str]) -> Child {
    Command::new(command)
        .current_dir(folder)
        .args(args)
        .env("SF_ACCESS_TOKEN", "00D000000000001!BENCH")
        .env("SF_ORG_INSTANCE_URL", format!("http://{address}"))
        .stdout(Stdio::null())
        .spawn()
        .expect("the command starts")
}

/// The peak memory of a process in KiB (0 where it cannot be read) and its exit code.
fn watch(mut child: Child) -> (u64, Option<i32>) {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Some(exit) = child.try_wait().expect("a child") {
            return (peak, exit.code());
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(now.unwrap_or(0));
        thread::sleep(Duration::from_millis(2));
    }
}

fn report(what: &str, peer: &str, floor: Vec<Duration>, ours: Vec<Duration>, memory: u64) {
    let (floor, ours) = (median(floor), median(ours));
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    let memory = memory / 1024;
    println!("{what}: {ours:.2?}; {peer}: {floor:.2?}; ratio {ratio:.2}; peak memory {memory} MiB");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
