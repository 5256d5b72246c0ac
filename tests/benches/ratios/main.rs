//! Speed as ratios, in one run against a floor: `cargo bench -p sfbulk-tests --bench ratios`.
//!
//! - *load*: 1,000,000 rows, about 150 MB, through `sfbulk insert` with its result files, against a
//!   client that only blasts bodies split beforehand over four connections.
//! - *query*: a result of 200 MB through `sfbulk query --output`, against curl writing the same
//!   body to a file.
//!
//! The same load and query run through each executor's front door, in a process of its own, so
//! that the command, ureq and async-std stand side by side.
//!
//! Each side runs five times, in turn; the medians, their ratio to the floor and the peak memory
//! are printed. Server, floor and client share the machine, so the ratios depend on its cores.

mod drive;
mod server;

use std::env;
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

/// What is measured: the command, and the front doors.
const CLIENTS: [&str; 3] = ["command", "ureq", "async-std"];

fn main() {
    if let [_, verb, executor, what, file] = &env::args().collect::<Vec<_>>()[..]
        && verb == "drive"
    {
        return drive::drive(executor, what, file.as_ref());
    }
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
    let (mut floor, mut clients) = (Vec::new(), CLIENTS.map(Measured::of));
    for _ in 0..RUNS {
        state.forget();
        let start = Instant::now();
        blast(address, &bodies);
        floor.push(start.elapsed());
        assert_eq!(state.records(), ROWS as u64);
        for client in &mut clients {
            state.forget();
            let insert = ["insert", "Account", "accounts.csv", "--success", "ok.csv", "-q"];
            client.run(command, folder, address, &insert, ["load", "accounts.csv"]);
            assert_eq!(state.records(), ROWS as u64, "every row lands once");
        }
        let lines = memchr::memchr_iter(b'\n', &fs::read(folder.join("ok.csv")).unwrap()).count();
        assert_eq!(lines, ROWS + 1);
    }
    report("load 1,000,000 rows", "blasting split bodies", floor, clients);
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
    let (mut floor, mut clients) = (Vec::new(), CLIENTS.map(Measured::of));
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut curl = Command::new("curl");
        curl.current_dir(folder).args(["-s", "-o", "curl.csv", &url]);
        if !curl.status().is_ok_and(|status| status.success()) {
            return println!("query: skipped, there is no curl here");
        }
        floor.push(start.elapsed());
        for client in &mut clients {
            let query = ["query", drive::SOQL, "--output", "all.csv", "-q"];
            client.run(command, folder, address, &query, ["query", "all.csv"]);
            let written = fs::read(folder.join("all.csv")).unwrap();
            let same = written == fs::read(folder.join("curl.csv")).unwrap();
            assert!(same, "the file is the server's, byte for byte");
            fs::remove_file(folder.join("all.csv")).unwrap();
        }
    }
    report("query 200 MB", "curl", floor, clients);
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

/// What one client took.
struct Measured {
    client: &'static str,
    times: Vec<Duration>,
    memory: u64,
}

impl Measured {
    fn of(client: &'static str) -> Self {
        Self { client, times: Vec::new(), memory: 0 }
    }

    /// Runs it once: the command with these arguments, or this program again to drive an executor.
    fn run(
        &mut self,
        command: &Path,
        folder: &Path,
        address: SocketAddr,
        command_line: &[&str],
        [what, file]: [&str; 2],
    ) {
        let myself = env::current_exe().expect("this program's path");
        let driven = ["drive", self.client, what, file];
        let (program, args) = match self.client {
            "command" => (command, command_line),
            _ => (myself.as_path(), &driven[..]),
        };
        let start = Instant::now();
        let child = Command::new(program)
            .current_dir(folder)
            .args(args)
            .env("SF_ACCESS_TOKEN", "00D000000000001!BENCH")
            .env("SF_ORG_INSTANCE_URL", format!("http://{address}"))
            .stdout(Stdio::null())
            .spawn()
            .expect("the client starts");
        let (peak, code) = watch(child);
        self.times.push(start.elapsed());
        assert_eq!(code, Some(0));
        self.memory = self.memory.max(peak);
    }
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

fn report(what: &str, peer: &str, floor: Vec<Duration>, clients: [Measured; CLIENTS.len()]) {
    let floor = median(floor);
    println!("{what}; {peer}: {floor:.2?}");
    for Measured { client, times, memory } in clients {
        let time = median(times);
        let (ratio, memory) = (time.as_secs_f64() / floor.as_secs_f64(), memory / 1024);
        println!("  {client}: {time:.2?}; ratio {ratio:.2}; peak memory {memory} MiB");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
