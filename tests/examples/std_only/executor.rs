//! A fifth executor, by hand: one request after the other, each over a socket of its own, with
//! nothing but the standard library below it, to show that nothing is hidden. It speaks no TLS, so
//! it is good for a practice org on this machine.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, response::Parts};
use sfbulk::{Call, Error, ErrorKind, Failure, Host, Job, Page, Reply, Summary, Time, Turn};

/// The service's heads are a kilobyte or two; this bounds their headers, too.
const HEAD: u64 = 16 << 10;

/// Drives a job to its end. `quiet` is the longest silence borne, while connecting as well.
pub(crate) fn run(job: &mut Job, quiet: Duration, host: &mut impl Host) -> Result<Summary, Error> {
    let start = Instant::now();
    let now = || Time::since_start(start.elapsed());
    let foreign = || Error::new(ErrorKind::Usage, "another executor began this job, and waits");
    loop {
        match job.turn(now(), host) {
            Some(Turn::Send(call)) => {
                let tag = call.tag;
                let reply = perform(&call.packed(), quiet, |page| job.deliver(tag, page, host));
                job.reply(tag, now(), reply.unwrap_or_else(Reply::Failed));
            }
            Some(Turn::Wait(Some((until, _)))) => std::thread::sleep(until.saturating_since(now())),
            Some(Turn::Wait(None)) => return Err(foreign()),
            Some(Turn::Done(result)) => return result,
            None => {}
        }
    }
}

fn perform(call: &Call, quiet: Duration, mut deliver: impl FnMut(Page)) -> Result<Reply, Failure> {
    let uri = call.request.uri();
    let (Some("http"), Some(to)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Failure::unconnected("this executor speaks no TLS"));
    };
    let mut from = BufReader::new(connect(to.as_str(), quiet).map_err(Failure::unconnected)?);
    send(from.get_mut(), to.as_str(), &call.request).map_err(Failure::unanswered)?;
    let head = receive_head(&mut from).map_err(Failure::unanswered)?;
    let in_chunks = head.headers.contains_key("transfer-encoding");
    let length = head.headers.get("content-length").and_then(|it| it.to_str().ok()?.parse().ok());
    let length = if [204, 304].contains(&head.status.as_u16()) { Some(0) } else { length };
    let mut body = from.take(length.unwrap_or(u64::MAX));
    let mut intake = call.expect.open(head); // it refuses a length that is no number
    loop {
        match body.read(intake.space()) {
            _ if in_chunks => return Ok(intake.broke_off("HTTP/1.0 knows no chunks")),
            Ok(0) if length.is_some() && body.limit() > 0 => return Ok(intake.broke_off("hung up")),
            Ok(0) => break,
            Ok(n) => {
                let mut page = intake.filled(n)?;
                while let Some(whole) = page {
                    deliver(whole);
                    page = intake.more()?;
                }
            }
            Err(error) => return Ok(intake.broke_off(error)),
        }
    }
    let (page, reply) = intake.finish();
    page.into_iter().for_each(deliver);
    Ok(reply)
}

fn connect(to: &str, quiet: Duration) -> io::Result<TcpStream> {
    let dial = |done: io::Result<_>, at| done.or_else(|_| TcpStream::connect_timeout(&at, quiet));
    let socket = to.to_socket_addrs()?.fold(Err(io::ErrorKind::NotFound.into()), dial)?;
    socket.set_read_timeout(Some(quiet))?;
    socket.set_write_timeout(Some(quiet)).map(|()| socket)
}

fn send(socket: &mut TcpStream, to: &str, request: &Request<Bytes>) -> io::Result<()> {
    let (method, path, length) = (request.method(), request.uri().path(), request.body().len());
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {to}\r\nContent-Length: {length}\r\n");
    let mut head = head.into_bytes();
    for (name, value) in request.headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    socket.write_all(&[&head[..], b"\r\n"].concat())?;
    socket.write_all(request.body())
}

/// A head that is final: one of 1xx only says that another will come.
fn receive_head(from: &mut impl BufRead) -> io::Result<Parts> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "this is no answer");
    let mut lines = from.take(HEAD).lines();
    let mut line = || lines.next().unwrap_or_else(|| Err(bad()));
    loop {
        let code = line()?.strip_prefix("HTTP/1.").and_then(|it| it.get(2..5)?.parse::<u16>().ok());
        let mut response = Response::builder().status(code.ok_or_else(bad)?);
        let mut header = line()?;
        while !header.is_empty() {
            let (name, value) = header.split_once(':').ok_or_else(bad)?;
            response = response.header(name, value.trim());
            header = line()?;
        }
        let (head, ()) = response.body(()).map_err(io::Error::other)?.into_parts();
        if !head.status.is_informational() {
            return Ok(head);
        }
    }
}
