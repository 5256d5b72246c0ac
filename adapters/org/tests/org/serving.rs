//! The org on a real socket, talked to byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use sfbulk_org::{Call, Config, Fault, Org, Server, serve};

fn server() -> Server {
    let config = Config::new().latency(Duration::ZERO).max_body(100_000);
    serve(Org::in_memory_with(config).unwrap(), 0).unwrap()
}

/// A connection that is kept alive.
struct Line(BufReader<TcpStream>);

impl Line {
    fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The status and the body of the next answer.
    fn hear(&mut self) -> (u16, String) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    fn ask(&mut self, server: &Server, start: &str, media_type: &str, body: &str) -> (u16, String) {
        let (session, length) = (server.session(), body.len());
        self.say(&format!(
            "{start} HTTP/1.1\r\nHost: x\r\nX-SFDC-SESSION: {session}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        self.hear()
    }
}

const JOB: &str = r#"{"operation":"insert","object":"Account","contentType":"CSV"}"#;

#[test]
fn one_connection_carries_a_whole_load() {
    let server = server();
    assert_eq!(server.url(), format!("http://127.0.0.1:{}", server.addr().port()));
    let mut line = Line::to(&server);
    let (status, body) =
        line.ask(&server, "POST /services/async/66.0/job", "application/json", JOB);
    assert_eq!((status, body.contains("750000000000001AAA")), (201, true));
    let session = server.session();
    let start = "POST /services/async/66.0/job/750000000000001AAA/batch HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n";
    line.say(&format!("{start}X-SFDC-Session: {session}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nName\n\r\n2\r\nA\n\r\n0\r\n\r\n"));
    assert_eq!(line.hear().0, 201);
    line.say(&format!(
        "{start}X-SFDC-Session: {session}\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n"
    ));
    assert_eq!(line.hear().0, 100);
    line.say("Name\nB\n");
    assert_eq!(line.hear().0, 201);
    let path = "GET /services/async/66.0/job/750000000000001AAA/batch/751000000000002AAA/result";
    let (status, body) = line.ask(&server, path, "", "");
    assert_eq!(
        (status, body.lines().nth(1)),
        (200, Some("\"001000000000002AAA\",\"true\",\"true\",\"\""))
    );
}

#[test]
fn a_body_that_is_too_large_is_drained_and_refused() {
    let server = server();
    let mut line = Line::to(&server);
    let large = "x".repeat(3_000_000);
    let (status, body) = line.ask(&server, "POST /services/async/66.0/job", "text/csv", &large);
    assert_eq!((status, body.contains("100000 bytes")), (413, true));
    let (status, _) = line.ask(&server, "POST /services/async/66.0/job", "application/json", JOB);
    assert_eq!(status, 201, "the connection is still good");
}

#[test]
fn a_client_that_asks_first_need_not_send_what_is_too_large() {
    let server = server();
    let mut line = Line::to(&server);
    line.say("POST /services/async/66.0/job HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n");
    assert_eq!(line.hear().0, 413);
}

#[test]
fn nonsense_ends_the_connection_and_not_the_server() {
    let server = server();
    for nonsense in
        ["\r\n\r\nhello\r\n\r\n", &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000))]
    {
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        let _ = stream.write_all(nonsense.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let half = TcpStream::connect(server.addr()).unwrap();
    (&half)
        .write_all(b"POST /services/async/66.0/job HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
        .unwrap();
    drop(half);
    let mut line = Line::to(&server);
    assert_eq!(line.ask(&server, "POST /services/async/66.0/job", "application/json", JOB).0, 201);
}

#[test]
fn many_clients_at_once() {
    let server = server();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut line = Line::to(&server);
                for _ in 0..20 {
                    assert_eq!(
                        line.ask(&server, "POST /services/async/66.0/job", "application/json", JOB)
                            .0,
                        201
                    );
                }
            });
        }
    });
    let mut line = Line::to(&server);
    let (_, body) = line.ask(&server, "POST /services/async/66.0/job", "application/json", JOB);
    assert!(body.contains("75000000000002bAAA"), "the 161st: {body}");
}

#[test]
fn a_server_that_was_shut_down_is_gone() {
    let server = server();
    let mut idle = Line::to(&server);
    idle.ask(&server, "POST /services/async/66.0/job", "application/json", JOB);
    let address = server.addr();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.wait());
        server.shutdown();
        waiting.join().unwrap();
    });
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(idle.0.read(&mut [0]).unwrap(), 0, "idle connections are closed");
    let expired = server.expire_session();
    assert!(expired.contains("!PRACTICE"));
}

/// Says all, then reads until the connection ends.
fn exchange(server: &Server, start: &str, media_type: &str, body: &str) -> String {
    let mut line = Line::to(server);
    let (session, length) = (server.session(), body.len());
    let head = format!(
        "{start} HTTP/1.1\r\nHost: x\r\nX-SFDC-Session: {session}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    line.say(&(head + body));
    let mut said = Vec::new();
    let _ = line.0.read_to_end(&mut said); // it may be reset
    String::from_utf8(said).unwrap()
}

#[test]
fn faults_look_on_the_socket_as_they_are_named() {
    let server = server();
    let job = "/services/async/66.0/job";
    assert!(exchange(&server, &format!("POST {job}"), "application/json", JOB).contains(" 201 "));
    let job = format!("{job}/750000000000001");
    let add = |body: &str| exchange(&server, &format!("POST {job}/batch"), "text/csv", body);
    let batches = || {
        let list = exchange(&server, &format!("GET {job}/batch"), "text/csv", "");
        list.matches("<batchInfo>").count()
    };
    server.fault(Fault::LoseAnswer { batch: 1 });
    assert_eq!((add("Name\nA\nB\n"), batches()), (String::new(), 1));
    server.fault(Fault::DropRequest { call: Call::Batch, nth: 1 });
    assert_eq!((add("Name\nA\n"), batches()), (String::new(), 1));
    server.fault(Fault::CutUpload { batch: 1 });
    assert_eq!((add(&format!("Name\n{}\n", "x".repeat(90_000))), batches()), (String::new(), 1));
    server.fault(Fault::Gateway { batch: 1 });
    let gateway = add("Name\nA\n");
    assert!(gateway.starts_with("HTTP/1.1 504 ") && batches() == 2, "{gateway}");
    let result = || exchange(&server, &format!("GET {job}/batch/751000000000001/result"), "", "");
    let whole = result();
    server.fault(Fault::CutResult { result: 1, bytes: 40 });
    let cut = result();
    let (head, body) = cut.split_once("\r\n\r\n").unwrap();
    let (whole_head, whole_body) = whole.split_once("\r\n\r\n").unwrap();
    let length = |head: &str| {
        head.lines().find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned))
    };
    assert_eq!((length(head), body), (length(whole_head), &whole_body[..40]));
    assert_eq!(length(head), Some(whole_body.len().to_string()));
}

#[test]
fn a_late_batch_comes_when_its_connection_is_long_gone() {
    let server = server();
    let job = "/services/async/66.0/job";
    exchange(&server, &format!("POST {job}"), "application/json", JOB);
    let job = format!("{job}/750000000000001");
    let batches = || {
        let list = exchange(&server, &format!("GET {job}/batch"), "text/csv", "");
        list.matches("<batchInfo>").count()
    };
    server.fault(Fault::Late { batch: 1, seconds: 1 });
    let start = std::time::Instant::now();
    assert_eq!(exchange(&server, &format!("POST {job}/batch"), "text/csv", "Name\nA\n"), "");
    let before = batches();
    assert!(before == 0 || start.elapsed() > Duration::from_secs(1));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(batches(), 1);
}

#[test]
fn a_slow_org_takes_its_time() {
    let server = server();
    server.fault(Fault::Slow { milliseconds: 300 });
    let start = std::time::Instant::now();
    exchange(&server, "GET /services/async/66.0/job/x", "", "");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn there_are_only_so_many_connections() {
    let server = server();
    let mut lines: Vec<Line> = (0..128).map(|_| Line::to(&server)).collect();
    let ask = |line: &mut Line| line.ask(&server, "GET /services/async/66.0/job/x", "", "").0;
    for line in &mut lines {
        assert_eq!(ask(line), 400);
    }
    let mut one_more = Line::to(&server);
    assert_eq!(one_more.0.read_to_end(&mut Vec::new()).unwrap_or_default(), 0, "closed");
    drop(lines.pop());
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let mut line = Line::to(&server);
        line.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut heard = String::new();
        let _ = line.0.read_to_string(&mut heard);
        if heard.contains(" 404 ") {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the place was not given back");
}

#[test]
fn who_is_silent_or_drips_is_not_waited_for() {
    let config = Config::new().silence(Duration::from_millis(300));
    let server = serve(Org::in_memory_with(config).unwrap(), 0).unwrap();
    let post =
        "POST /services/async/66.0/job HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc";
    for start in ["", "GET / HTT", post] {
        let mut line = Line::to(&server);
        line.say(start);
        let begun = std::time::Instant::now();
        assert_eq!(line.0.read_to_end(&mut Vec::new()).unwrap_or_default(), 0, "{start}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{start}");
    }
    let mut line = Line::to(&server);
    let begun = std::time::Instant::now();
    let head = "GET / HTTP/1.1\r\nHost: x\r\n".bytes().chain("X: y\r\n".bytes().cycle());
    for byte in head {
        if line.0.get_mut().write_all(&[byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(begun.elapsed() < Duration::from_secs(5), "a head that drips has an end");
    }
}

#[test]
fn heads_have_a_bound() {
    let server = server();
    let many = "X: y\r\n".repeat(1_000);
    let large = format!("X: {}\r\n", "y".repeat(1_000_000));
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000));
    for head in [
        format!("GET / HTTP/1.1\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\n{large}\r\n"),
        format!("{long}\r\n"),
    ] {
        let mut line = Line::to(&server);
        let _ = line.0.get_mut().write_all(head.as_bytes());
        let mut said = Vec::new();
        let _ = line.0.read_to_end(&mut said); // it may be reset while the head is still coming
        let said = String::from_utf8(said).unwrap();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    assert_eq!(Line::to(&server).ask(&server, "GET /services/async/66.0/job/x", "", "").0, 400);
}

#[test]
fn a_client_that_reads_nothing_is_not_waited_for() {
    let silence = Duration::from_millis(200);
    let config = Config::new().latency(Duration::ZERO).silence(silence);
    let server = serve(Org::in_memory_with(config).unwrap(), 0).unwrap();
    let mut line = Line::to(&server);
    line.ask(&server, "POST /services/async/66.0/job", "application/json", JOB);
    let batch = "/services/async/66.0/job/750000000000001AAA/batch";
    // More than the buffers of a socket hold.
    let sent = "Name\n".to_owned() + &"x\n".repeat(15_000_000);
    let (status, told) = line.ask(&server, &format!("POST {batch}"), "text/csv", &sent);
    assert_eq!(status, 201, "{told}");

    let session = server.session();
    line.say(&format!(
        "GET {batch}/751000000000001AAA/request HTTP/1.1\r\nHost: x\r\nX-SFDC-Session: {session}\r\n\r\n"
    ));
    std::thread::sleep(5 * silence);
    let mut got = Vec::new();
    let _ = line.0.read_to_end(&mut got); // the end, or a reset
    assert!(got.len() < sent.len(), "{} bytes came after all", got.len());
}
