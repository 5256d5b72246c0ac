//! The model server behind a socket, for executors that need one.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::{Session, Time};

use crate::server::Server;

/// A model server on a loopback port. Its time goes faster than ours, and an answer that is lost is
/// a connection that ends.
#[derive(Clone, Debug)]
pub struct Socket {
    address: SocketAddr,
    server: Arc<Mutex<Server>>,
}

impl Socket {
    /// Serves this model until the process ends; its clock goes `speed` times as fast as ours.
    pub fn serve(server: Server, speed: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = Self { address, server: Arc::new(Mutex::new(server)) };
        let (start, desk) = (Instant::now(), socket.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, socket) = (stream.unwrap(), desk.clone());
                thread::spawn(move || socket.converse(&stream, || start.elapsed() * speed));
            }
        });
        socket
    }

    /// A session that is good until it expires.
    pub fn session(&self) -> Session {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        Session::new(&format!("http://{}", self.address), server.token()).unwrap()
    }

    /// Answers the requests of one connection, until one gets no answer, or not all of it.
    fn converse(&self, stream: &TcpStream, clock: impl Fn() -> Duration) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = receive(&mut reader)? {
            let now = Time::since_start(clock());
            let answer = self.server.lock().unwrap().handle(now, &request);
            let Ok(answer) = answer else { break };
            let whole = answer.headers()["content-length"] == answer.body().len().to_string();
            send(stream, &answer)?;
            if !whole {
                break;
            }
        }
        Ok(())
    }
}

/// The next request; `None` when the client has hung up.
fn receive(from: &mut impl BufRead) -> io::Result<Option<Request<Bytes>>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let mut request = Request::builder().method(method).uri(path);
    let mut length = 0;
    loop {
        let mut header = String::new();
        from.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
        request = request.header(name, value);
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some(request.body(body.into()).unwrap()))
}

/// Sends an answer as it is.
pub(crate) fn send(mut to: &TcpStream, answer: &Response<Bytes>) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(answer.body());
    to.write_all(&text)
}
