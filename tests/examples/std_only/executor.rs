//! A fifth executor, by hand: one request after the other, over a plain socket, with nothing but
//! the standard library below it, to show that nothing is hidden. It speaks no TLS, so it is good
//! for a practice org on this machine.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use sfbulk::{Error, Failure, Host, Job, Reply, Summary, Time, Turn};

/// The longest silence borne.
const SILENCE: Duration = Duration::from_secs(120);

/// Drives a job to its end.
pub(crate) fn run(job: &mut Job, host: &mut impl Host) -> Result<Summary, Error> {
    let start = Instant::now();
    let now = || Time::since_start(start.elapsed());
    loop {
        match job.turn(now(), host) {
            Some(Turn::Send(call)) => match exchange(&call.request) {
                Ok(answer) => {
                    let (pages, reply) = call.expect.take_in(answer);
                    for page in pages {
                        job.deliver(call.tag, page, host);
                    }
                    job.reply(call.tag, now(), reply);
                }
                Err(failure) => job.reply(call.tag, now(), Reply::Failed(failure)),
            },
            Some(Turn::Wait(Some((moment, _)))) => thread::sleep(moment.saturating_since(now())),
            Some(Turn::Wait(None)) => unreachable!("no call is under way here while it is polled"),
            Some(Turn::Done(result)) => return result,
            None => {}
        }
    }
}

/// Sends one request on a connection of its own, and reads the whole answer.
fn exchange(request: &Request<Bytes>) -> Result<Response<Bytes>, Failure> {
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    if request.uri().scheme_str() != Some("http") {
        return Err(Failure::unconnected("this executor speaks no TLS"));
    }
    let mut socket = TcpStream::connect(authority).map_err(Failure::unconnected)?;
    socket.set_read_timeout(Some(SILENCE)).map_err(Failure::unconnected)?;
    socket.set_write_timeout(Some(SILENCE)).map_err(Failure::unconnected)?;
    send(&mut socket, authority, request).map_err(Failure::unanswered)?;
    receive(BufReader::new(socket)).map_err(Failure::unanswered)
}

fn send(socket: &mut TcpStream, authority: &str, request: &Request<Bytes>) -> io::Result<()> {
    let (method, path, length) = (request.method(), request.uri().path(), request.body().len());
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {authority}\r\nContent-Length: {length}\r\n")
            .into_bytes();
    for (name, value) in request.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    socket.write_all(&[&head[..], b"\r\n"].concat())?;
    socket.write_all(request.body())
}

/// A head, and then everything until the connection ends: HTTP/1.0 has no chunks. How long the body
/// must be stands in the head; the machine compares.
fn receive(mut from: impl BufRead) -> io::Result<Response<Bytes>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "this is no answer");
    let mut line = || {
        let mut line = String::new();
        from.by_ref().take(64 << 10).read_line(&mut line)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(bad)
    };
    let status = line()?.split(' ').nth(1).map(str::to_owned).ok_or_else(bad)?;
    let mut response = Response::builder().status(&*status);
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(bad)?;
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(bad());
        }
        response = response.header(name, value.trim());
    }
    let mut body = Vec::new();
    from.read_to_end(&mut body)?;
    response.body(body.into()).map_err(|_| bad())
}
