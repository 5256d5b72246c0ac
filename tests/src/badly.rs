//! A server that misbehaves, over real sockets on loopback.
//!
//! It is the [model of the service](crate::server) with HTTP before it, and answers well, but for
//! one request: to that one it plays a script, act by act. What it plays once it never plays again,
//! so a client that asks a second time is served well.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Response};
use sfbulk::{Session, Time};

use crate::script::Kind;
use crate::server::Server;
use crate::socket::send;

/// How long any single wait of this server may take; a client that waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that the server does. A play that does not end with [`Fin`](Act::Fin),
/// [`Reset`](Act::Reset) or [`Silence`](Act::Silence) leaves the connection to the requests after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reads the request to its end and carries it out. A play without this and `ReadHead` begins
    /// as soon as a connection is made.
    Read,
    /// Reads the head of the request and leaves its body on the way.
    ReadHead,
    /// Sends a text, in which `|` stands for the end of a line and a name in braces for a part of
    /// the true answer, such as `{body}`: `part` below knows them all.
    Say(&'static str),
    /// Sends a text one byte at a time.
    Drip(&'static str),
    /// Sends a text over and over, as many times as told or until nobody takes it any more.
    Pour(&'static str, usize),
    /// Ends the connection in good order.
    Fin,
    /// Breaks the connection off.
    Reset,
    /// Says nothing until the client hangs up.
    Silence,
}

/// The server. Everything about it can be asked before, during and after [`serve`](Self::serve).
#[derive(Debug)]
pub struct BadServer {
    listener: TcpListener,
    /// A second server, to which nobody should ever be led.
    elsewhere: TcpListener,
    model: Mutex<Server>,
    start: Instant,
    at: Kind,
    play: Mutex<Option<&'static [Act]>>,
    played: (Mutex<bool>, Condvar),
    arrived: Mutex<BTreeMap<Kind, usize>>,
    waited_for: AtomicBool,
    closing: AtomicBool,
}

impl BadServer {
    /// A server that plays this to the first request of this kind.
    pub fn new(model: Server, at: Kind, play: &'static [Act]) -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            listener: bind(),
            elsewhere: bind(),
            model: Mutex::new(model),
            start: Instant::now(),
            at,
            play: Mutex::new(Some(play)),
            played: (Mutex::new(false), Condvar::new()),
            arrived: Mutex::default(),
            waited_for: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    /// Serves while `client` runs, and until the last connection is closed.
    pub fn serve<T>(&self, client: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Ok((stream, _)) = self.listener.accept() {
                    if self.closing.load(Ordering::SeqCst) {
                        break;
                    }
                    scope.spawn(|| self.connection(stream).ok()); // the peer may do as it likes
                }
            });
            let _wake = Closing(self); // also if the client panics
            client()
        })
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// A session of the model, for a client that reaches it at this address.
    pub fn session_at(&self, instance: &str) -> Session {
        Session::new(instance, self.model().token()).unwrap()
    }

    /// Waits until the play is over, down to its last byte or to the end of the connection.
    pub fn wait_for_the_end_of_the_play(&self) {
        let over = self.played.0.lock().unwrap();
        let wait = self.played.1.wait_timeout_while(over, PATIENCE, |over| !*over);
        assert!(*wait.unwrap().0, "the play was never over");
    }

    /// How many requests of a kind have arrived, at least with their heads.
    pub fn arrived(&self, kind: Kind) -> usize {
        self.arrived.lock().unwrap().get(&kind).copied().unwrap_or_default()
    }

    /// How often each record was written.
    pub fn written(&self) -> BTreeMap<String, usize> {
        self.model().finish()
    }

    /// Whether a client bore its silence longer than any should.
    pub fn was_waited_for(&self) -> bool {
        self.waited_for.load(Ordering::SeqCst)
    }

    /// Whether anybody came to the second server.
    pub fn was_followed_elsewhere(&self) -> bool {
        self.elsewhere.set_nonblocking(true).unwrap();
        self.elsewhere.accept().is_ok()
    }

    fn model(&self) -> std::sync::MutexGuard<'_, Server> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the service when it is dropped.
struct Closing<'a>(&'a BadServer);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::SeqCst);
        TcpStream::connect(self.0.address()).ok(); // wakes the thread that accepts
    }
}

/// Connections.
impl BadServer {
    fn connection(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        if let Some(play) = self.take_play(None) {
            return self.play(stream, play, None).map(|_| ());
        }
        loop {
            let head = read_head(&mut stream)?;
            let kind = Kind::of(&head);
            *self.arrived.lock().unwrap().entry(kind).or_default() += 1;
            if let Some(play) = self.take_play(Some(kind)) {
                match self.play(stream, play, Some(head))? {
                    Some(goes_on) => stream = goes_on,
                    None => return Ok(()),
                }
            } else {
                let response = self.carry_out(&mut stream, head)?;
                stream.read_exact(&mut [0])?;
                send(&stream, &response)?;
            }
        }
    }

    /// The play, if it is its turn: at this request, or before any.
    fn take_play(&self, kind: Option<Kind>) -> Option<&'static [Act]> {
        let mut play = self.play.lock().unwrap();
        let after_a_head = matches!(play.as_ref()?[0], Act::Read | Act::ReadHead);
        let turn = if after_a_head { kind == Some(self.at) } else { kind.is_none() };
        if turn { play.take() } else { None }
    }

    /// Plays, and gives the connection back if it goes on.
    fn play(
        &self,
        mut stream: TcpStream,
        play: &[Act],
        head: Option<Request<Bytes>>,
    ) -> io::Result<Option<TcpStream>> {
        let acted = self.act(&mut stream, play, head);
        let open = if play.ends_with(&[Act::Reset]) {
            stream.peek(&mut [0]).ok(); // what is never read makes the kernel send a reset
            drop(stream);
            None
        } else {
            Some(stream)
        };
        *self.played.0.lock().unwrap() = true;
        self.played.1.notify_all();
        acted?;
        let Some(mut stream) = open else { return Ok(None) };
        if matches!(play.last(), Some(Act::Fin | Act::Silence)) {
            let hung_up = io::copy(&mut stream, &mut io::sink());
            let waits = |e: &io::Error| e.kind() == io::ErrorKind::WouldBlock; // a read timed out
            self.waited_for.fetch_or(hung_up.as_ref().is_err_and(waits), Ordering::SeqCst);
            return hung_up.map(|_| None);
        }
        stream.read_exact(&mut [0])?;
        Ok(Some(stream))
    }

    fn act(
        &self,
        stream: &mut TcpStream,
        play: &[Act],
        mut head: Option<Request<Bytes>>,
    ) -> io::Result<()> {
        let mut truth = Bytes::new();
        for act in play {
            match *act {
                Act::Read => {
                    let head = head.take().expect("a play reads one request");
                    truth = self.carry_out(stream, head)?.into_body();
                }
                Act::Say(text) => stream.write_all(&self.fill(text, &truth))?,
                Act::Drip(text) => {
                    for byte in self.fill(text, &truth) {
                        stream.write_all(&[byte])?;
                        thread::sleep(Duration::from_micros(100));
                    }
                }
                Act::Pour(text, times) => {
                    let text = self.fill(text, &truth);
                    for piece in vec![&text[..]; times].chunks(PIECE) {
                        stream.write_all(&piece.concat())?;
                    }
                }
                Act::Fin => stream.shutdown(Shutdown::Write)?,
                Act::ReadHead | Act::Reset | Act::Silence => {}
            }
        }
        Ok(())
    }

    /// Reads the body of a request and has the model answer. The last byte is only looked at.
    fn carry_out(
        &self,
        stream: &mut TcpStream,
        head: Request<Bytes>,
    ) -> io::Result<Response<Bytes>> {
        let length = head.headers().get("content-length");
        let length = length.map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        let mut rest = vec![0; 1 + length]; // the head's last byte comes first
        stream.read_exact(&mut rest[..length])?;
        if stream.peek(&mut rest[length..])? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let request = head.map(|_| Bytes::from(rest).slice(1..));
        Ok(self
            .model()
            .handle(Time::since_start(self.start.elapsed()), &request)
            .expect("the model was told of no failure"))
    }

    /// A text of a script, with line ends and the parts of the true answer in their places.
    fn fill(&self, text: &str, truth: &Bytes) -> Vec<u8> {
        let text = text.replace('|', "\r\n");
        let mut filled = Vec::new();
        for (n, piece) in text.split(['{', '}']).enumerate() {
            let is_name = n % 2 == 1;
            filled.extend(if is_name { self.part(piece, truth) } else { piece.into() });
        }
        filled
    }

    fn part(&self, name: &str, truth: &Bytes) -> Vec<u8> {
        let length = truth.len();
        match name {
            "ok" => b"HTTP/1.1 200 OK".to_vec(),
            "body" => truth.to_vec(),
            "first half" => truth[..length / 2].to_vec(),
            "chunk" => [format!("{length:x}\r\n").as_bytes(), truth, b"\r\n"].concat(),
            "length" => length.to_string().into_bytes(),
            "length in hex" => format!("{length:x}").into_bytes(),
            "longer" => (length + 10).to_string().into_bytes(),
            "half of length" => (length / 2).to_string().into_bytes(),
            "gzip" => gzip(truth),
            "half of gzip" => {
                let gzip = gzip(truth);
                gzip[..gzip.len() / 2].to_vec()
            }
            "gzip without trailer" => {
                let gzip = gzip(truth);
                gzip[..gzip.len() - GZIP_TRAILER].to_vec()
            }
            "elsewhere" => self.elsewhere.local_addr().unwrap().to_string().into_bytes(),
            other => panic!("no part of an answer is called {other:?}"),
        }
    }
}

/// How many times a text that is sent over and over goes out at once.
const PIECE: usize = 1000;

/// Length and checksum at the end of a gzip stream, in bytes.
const GZIP_TRAILER: usize = 8;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(plain).unwrap();
    gzip.finish().unwrap()
}

/// Reads the head of a request, but for its last byte. A connection that is closed while something
/// in it is unread is reset, so a script that wants this leaves the last byte of a request unread.
fn read_head(stream: &mut TcpStream) -> io::Result<Request<Bytes>> {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r") {
        stream.read_exact(&mut byte)?;
        text.extend_from_slice(&byte);
    }
    let bad = || io::Error::from(io::ErrorKind::InvalidData); // a client that speaks TLS, say
    let text = String::from_utf8(text).map_err(|_| bad())?;
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let (method, rest) = line.split_once(' ').ok_or_else(bad)?;
    let (path, _version) = rest.split_once(' ').ok_or_else(bad)?;
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    request.body(Bytes::new()).map_err(|_| bad())
}
