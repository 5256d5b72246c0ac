//! A server that speaks the wire and does no more than it must, so that the client is what is
//! measured: it counts the records of a batch, makes up their ids, and answers queries with one
//! file.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const JOB: &str = "7500000000000010AA";
const FILE: &str = "752000000000001";

/// What the server keeps: how many records each batch had.
#[derive(Default)]
pub(crate) struct State {
    batches: Mutex<Vec<u64>>,
    result_rows: u64,
    result: Vec<u8>,
    /// Connections accepted, to see that they are kept alive.
    pub(crate) connections: AtomicU64,
}

impl State {
    /// All records of all batches.
    pub(crate) fn records(&self) -> u64 {
        self.batches.lock().unwrap().iter().sum()
    }

    pub(crate) fn forget(&self) {
        self.batches.lock().unwrap().clear();
    }
}

/// Serves on a free port until the process ends. `result` is the file that queries get.
pub(crate) fn start(result: Vec<u8>, result_rows: u64) -> (SocketAddr, Arc<State>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(State { result_rows, result, ..State::default() });
    let shared = Arc::clone(&state);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let state = Arc::clone(&shared);
            state.connections.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || connection(&stream.unwrap(), &state).ok());
        }
    });
    (address, state)
}

fn connection(stream: &TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut body = Vec::new();
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (method, path) = {
            let mut words = line.split_whitespace();
            let method = words.next().unwrap_or_default().to_owned();
            (method, words.next().unwrap_or_default().to_owned())
        };
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        answer(stream, state, &method, &path, &body)?;
    }
}

fn answer(
    stream: &TcpStream,
    state: &State,
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<()> {
    let parts: Vec<&str> = path.split('/').skip(4).collect();
    match (method, parts.as_slice()) {
        ("POST", ["job"]) => document(stream, 201, &job("Open")),
        ("POST", ["job", _]) => document(stream, 200, &job("Closed")),
        ("POST", ["job", _, "batch"]) => {
            let query = body.starts_with(b"SELECT");
            let records = if query { state.result_rows } else { records_in(body) };
            let mut batches = state.batches.lock().unwrap();
            batches.push(records);
            let text = batch(batches.len() - 1, records, "Queued");
            drop(batches);
            document(stream, 201, &text)
        }
        ("GET", ["job", _, "batch"]) => {
            let batches = state.batches.lock().unwrap();
            let each = |(n, records): (usize, &u64)| batch(n, *records, "Completed");
            let list: String = batches.iter().enumerate().map(each).collect();
            drop(batches);
            document(stream, 200, &format!("<batchInfoList>{list}</batchInfoList>"))
        }
        ("GET", ["job", _, "batch", id, "result"]) => {
            if state.result.is_empty() {
                let number: usize = id[3..15].parse().unwrap_or(0);
                let records = state.batches.lock().unwrap()[number];
                let mut text = Vec::from(&b"\"Id\",\"Success\",\"Created\",\"Error\"\n"[..]);
                for row in 0..records {
                    let key = number as u64 * 10_000 + row;
                    writeln!(text, "\"001{key:012}AAA\",\"true\",\"true\",\"\"")?;
                }
                send(stream, 200, "text/csv", &text)
            } else {
                let list = format!("<result-list><result>{FILE}</result></result-list>");
                document(stream, 200, &list)
            }
        }
        ("GET", ["job", _, "batch", _, "result", _]) => {
            send(stream, 200, "text/csv", &state.result)
        }
        _ => document(stream, 404, "<error><exceptionCode>InvalidUrl</exceptionCode></error>"),
    }
}

fn records_in(body: &[u8]) -> u64 {
    let mut reader = csv::Reader::from_reader(body);
    let mut record = csv::ByteRecord::new();
    let mut records = 0;
    while reader.read_byte_record(&mut record).is_ok_and(|more| more) {
        records += 1;
    }
    records
}

fn job(state: &str) -> String {
    format!("<jobInfo><id>{JOB}</id><state>{state}</state></jobInfo>")
}

fn batch(number: usize, records: u64, state: &str) -> String {
    format!(
        "<batchInfo><id>751{number:012}AAA</id><jobId>{JOB}</jobId><state>{state}</state>\
         <numberRecordsProcessed>{records}</numberRecordsProcessed></batchInfo>"
    )
}

fn document(stream: &TcpStream, status: u16, body: &str) -> io::Result<()> {
    send(stream, status, "application/xml", body.as_bytes())
}

fn send(mut stream: &TcpStream, status: u16, media: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} OK\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}
