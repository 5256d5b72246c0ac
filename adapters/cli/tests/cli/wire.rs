//! A server that speaks just enough of the Bulk API to play a script.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use sfbulk::rows::Records;

/// What happens. Batches are meant by the number of the batch in the input, told by the order in
/// which they arrive; so a script for more than one wants `--serial`.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) batches: BTreeMap<usize, Fate>,
    /// The files of a query's result.
    pub(crate) files: Vec<String>,
    /// What the server says is in them, if it is not the truth.
    pub(crate) promised: Option<usize>,
    /// So many transfers of files break in the middle.
    pub(crate) cuts: usize,
    /// What is left of the day's batches; `None` if it does not tell.
    pub(crate) batches_left: Option<u64>,
    /// The session is good for so many requests.
    pub(crate) session_lasts: Option<usize>,
    pub(crate) refuses_jobs: bool,
    /// What is wrong with rows that hold the word `bad`.
    pub(crate) row_error: Option<&'static str>,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Completed after so many looks at it.
    After(u32),
    Failed(&'static str),
    NotProcessed,
    /// The answer to its arrival takes a while.
    Slow,
    /// The server takes it, and the answer is lost.
    AnswerLost,
}

#[derive(Debug, Default)]
struct Play {
    script: Script,
    operation: String,
    aborted: bool,
    batches: Vec<(Fate, Vec<Vec<u8>>)>,
    /// What was sent as each batch.
    requests: Vec<Vec<u8>>,
    ids: u64,
    /// `METHOD path` of each request, without the part that all have.
    log: Vec<String>,
    bodies: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) url: String,
    play: Arc<Mutex<Play>>,
}

pub(crate) const JOB: &str = "7505g00000Ab1CdAAJ";
pub(crate) const REQUIRED: &str =
    "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --";
/// Long enough for a signal to arrive first.
const SLOW: Duration = Duration::from_millis(500);
const BASE: &str = "/services/async/66.0/job";
const XMLNS: &str = "xmlns=\"http://www.force.com/2009/06/asyncapi/dataload\"";

impl Wire {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let play = Arc::new(Mutex::new(Play { script, ..Play::default() }));
        let shared = Arc::clone(&play);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let play = Arc::clone(&shared);
                thread::spawn(move || converse(&stream, &play));
            }
        });
        Self { url, play }
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.play().log.clone()
    }

    /// How many requests there were whose line begins so.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// The bodies that were sent, control documents and batches.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.play().bodies.clone()
    }
}

fn converse(stream: &TcpStream, play: &Mutex<Play>) {
    let mut reader = BufReader::new(stream);
    while let Some((line, body)) = request(&mut reader) {
        let mut answer = play.lock().unwrap().answer(&line, body);
        let length = answer.body.len();
        if answer.cut {
            answer.body.truncate(length / 2);
        }
        if answer.slow {
            thread::sleep(SLOW);
        }
        if answer.status == 0 {
            return; // the answer is lost
        }
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {length}\r\n\r\n",
            answer.status, answer.media
        );
        let mut stream = stream;
        let sent = stream.write_all(&[head.as_bytes(), &answer.body].concat());
        if sent.is_err() || answer.cut {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(n) = line.strip_prefix("content-length: ") {
            length = n.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first.trim_end().trim_end_matches(" HTTP/1.1").replace(BASE, ""), body))
}

struct Answer {
    status: u16,
    media: &'static str,
    body: Vec<u8>,
    cut: bool,
    slow: bool,
}

fn xml(status: u16, body: String) -> Answer {
    Answer { status, media: "application/xml", body: body.into(), cut: false, slow: false }
}

fn csv(body: impl Into<Vec<u8>>) -> Answer {
    Answer {
        status: 200,
        media: "text/csv; charset=UTF-8",
        body: body.into(),
        cut: false,
        slow: false,
    }
}

fn error(code: &str, message: &str) -> Answer {
    xml(
        400,
        format!(
            "<error {XMLNS}><exceptionCode>{code}</exceptionCode>\
             <exceptionMessage>{message}</exceptionMessage></error>"
        ),
    )
}

impl Play {
    /// What is left of the day's allowances. It is not in the log: every load asks once.
    fn allowances(&self) -> Answer {
        let Some(batches) = self.script.batches_left else {
            return error("NOT_FOUND", "no such resource");
        };
        let body = format!("{{\"DailyBulkApiBatches\":{{\"Max\":15000,\"Remaining\":{batches}}}}}");
        Answer { media: "application/json", ..xml(200, body) }
    }

    fn answer(&mut self, line: &str, body: Vec<u8>) -> Answer {
        if line.starts_with("GET /services/data/") {
            return self.allowances();
        }
        self.log.push(line.to_owned());
        self.bodies.push(String::from_utf8_lossy(&body).into_owned());
        if self.script.session_lasts.is_some_and(|most| self.log.len() > most) {
            return error("InvalidSessionId", "Invalid session id");
        }
        let (method, path) = line.split_once(' ').unwrap();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (method, &parts[..]) {
            ("POST", []) if self.script.refuses_jobs => {
                error("InvalidEntity", "no object\u{1b}[31m\nof this name")
            }
            ("POST", []) => {
                let text = String::from_utf8(body).unwrap();
                let (_, rest) = text.split_once("<operation>").unwrap();
                rest.split_once('<').unwrap().0.clone_into(&mut self.operation);
                job("Open", 201)
            }
            ("POST", [_]) => {
                self.aborted |= body.windows(7).any(|window| window == b"Aborted");
                job(if self.aborted { "Aborted" } else { "Closed" }, 200)
            }
            ("POST", [_, "batch"]) => self.take(&body),
            ("GET", [_, "batch"]) => {
                let batches: String = (0..self.batches.len()).map(|n| self.batch(n)).collect();
                xml(200, format!("<batchInfoList {XMLNS}>{batches}</batchInfoList>"))
            }
            ("GET", [_, _, batch, "result"]) if self.operation.starts_with("query") => {
                assert_eq!(*batch, batch_id(0));
                let file = |n| format!("<result>7525g0000000{n:03}</result>");
                let files: String = (0..self.script.files.len()).map(file).collect();
                xml(200, format!("<result-list {XMLNS}>{files}</result-list>"))
            }
            ("GET", [_]) => job("Closed", 200),
            ("GET", [_, _, batch, "request"]) => {
                let n = (0..self.batches.len()).find(|n| batch_id(*n) == *batch).unwrap();
                csv(self.requests[n].clone())
            }
            ("GET", [_, _, batch, "result"]) => {
                let n = (0..self.batches.len()).find(|n| batch_id(*n) == *batch).unwrap();
                self.results(n)
            }
            ("GET", [_, _, _, "result", file]) => {
                let n: usize = file[12..].parse().unwrap();
                let cut = self.script.cuts > 0;
                self.script.cuts = self.script.cuts.saturating_sub(1);
                Answer { cut, ..csv(self.script.files[n].clone()) }
            }
            _ => panic!("unexpected request {line}"),
        }
    }

    fn take(&mut self, body: &[u8]) -> Answer {
        let n = self.batches.len();
        let fate = self.script.batches.get(&n).copied().unwrap_or(Fate::After(0));
        self.requests.push(body.to_vec());
        self.batches.push((fate, if self.is_query() { Vec::new() } else { records(body) }));
        if matches!(fate, Fate::AnswerLost) {
            return xml(0, String::new());
        }
        let info = self.batch(n).replacen("<batchInfo>", &format!("<batchInfo {XMLNS}>"), 1);
        Answer { slow: matches!(fate, Fate::Slow), ..xml(201, info) }
    }

    fn is_query(&self) -> bool {
        self.operation.starts_with("query")
    }

    /// Looks at a batch.
    fn batch(&mut self, n: usize) -> String {
        let rows = match &self.script {
            _ if !self.is_query() => self.batches[n].1.len(),
            Script { promised: Some(rows), .. } => *rows,
            Script { files, .. } => files.iter().map(|f| records(f.as_bytes()).len()).sum(),
        };
        let (state, rows, message) = match &mut self.batches[n].0 {
            Fate::After(0) | Fate::Slow | Fate::AnswerLost => ("Completed", rows, ""),
            Fate::After(looks) => {
                *looks -= 1;
                ("InProgress", 0, "")
            }
            Fate::Failed(why) => ("Failed", 0, *why),
            Fate::NotProcessed => ("NotProcessed", 0, ""),
        };
        let id = batch_id(n);
        let mut text =
            format!("<batchInfo><id>{id}</id><jobId>{JOB}</jobId><state>{state}</state>");
        if !message.is_empty() {
            write!(text, "<stateMessage>{message}</stateMessage>").unwrap();
        }
        text + &format!("<numberRecordsProcessed>{rows}</numberRecordsProcessed></batchInfo>")
    }

    fn results(&mut self, n: usize) -> Answer {
        let mut text = "\"Id\",\"Success\",\"Created\",\"Error\"\n".to_owned();
        for record in &self.batches[n].1 {
            let has = |word: &[u8]| record.windows(word.len()).any(|window| window == word);
            if has(b"bad") {
                let error = self.script.row_error.unwrap_or(REQUIRED).replace('"', "\"\"");
                writeln!(text, "\"\",\"false\",\"false\",\"{error}\"").unwrap();
            } else {
                let created = self.operation == "insert" || has(b"new");
                writeln!(text, "\"{}\",\"true\",\"{created}\",\"\"", record_id(self.ids)).unwrap();
                self.ids += 1;
            }
        }
        csv(text)
    }
}

fn job(state: &str, status: u16) -> Answer {
    xml(status, format!("<jobInfo {XMLNS}><id>{JOB}</id><state>{state}</state></jobInfo>"))
}

fn batch_id(n: usize) -> String {
    format!("7515g00000{n:05}AAJ")
}

/// The id of the n-th record that was taken, counted from 0.
pub(crate) fn record_id(n: u64) -> String {
    format!("0015g00000{n:05}AAA")
}

/// The records of a CSV text, without its header.
pub(crate) fn records(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut records, mut found) = (Records::new(), Vec::new());
    records.push(text);
    records.end();
    while let Some(record) = records.next().unwrap() {
        found.push(record.to_vec());
    }
    if !found.is_empty() {
        found.remove(0);
    }
    found
}
