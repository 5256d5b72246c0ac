//! One request over the wire, and an honest account of how it ended.
//!
//! Connections are opened with a time-out, through the proxy if there is one, and kept for the next
//! request.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use blocking::unblock;
use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use sfbulk::login::{Login, LoginStep};
use sfbulk::{Call, Error, Failure, Page, Reply, Session};

use crate::connection::{Connection, Unanswered};
use crate::net::{self, Timer, within};
use crate::proxy::Proxy;
use crate::tls::Tls;

/// Name resolution is quick and a handshake takes a few round trips; more is a dead host.
const CONNECT: Duration = Duration::from_secs(30);

/// The longest silence borne, in either direction. The service may think for a while before it
/// answers a large batch.
const SILENCE: Duration = Duration::from_secs(120);

/// Connections that idled longer are not used again: the server may just be hanging up, and a
/// request lost that way is a request whose outcome nobody knows.
const IDLE: Duration = Duration::from_secs(10);

/// Idle connections kept; as many as a run usually has calls under way.
const KEPT: usize = 16;

/// What the client calls itself.
pub(crate) const AGENT: &str = concat!("sfbulk/", env!("CARGO_PKG_VERSION"));

/// Opens connections and keeps them. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Shared>);

struct Shared {
    settings: Settings,
    proxy: Option<Proxy>,
    idle: Mutex<Vec<Idle>>,
}

/// Whom to trust, and how long to wait.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) tls: Tls,
    /// For a connection to be made: name, route, proxy and TLS.
    pub(crate) connect: Duration,
    pub(crate) silence: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tls: Tls::default(), connect: CONNECT, silence: SILENCE }
    }
}

struct Idle {
    to: Target,
    connection: Connection,
    since: Instant,
}

/// Where a call lays down a page; it goes on once the page was taken.
#[derive(Clone, Default)]
pub(crate) struct Tray(Arc<Mutex<Option<Page>>>);

impl Tray {
    pub(crate) fn take(&self) -> Option<Page> {
        self.place().take()
    }

    /// Nobody is woken by taking: whoever takes polls the call again when it wants the next page.
    async fn lay(&self, page: Page) {
        *self.place() = Some(page);
        poll_fn(|_| if self.place().is_some() { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    fn place(&self) -> MutexGuard<'_, Option<Page>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport {
    pub(crate) fn new(settings: Settings) -> Self {
        let proxy = Proxy::from_vars(|name| std::env::var(name).ok());
        Self(Arc::new(Shared { settings, proxy, idle: Mutex::default() }))
    }

    pub(crate) fn settings(&self) -> Settings {
        self.0.settings.clone()
    }

    /// Performs a call; the pages of its answer are laid on `tray`.
    pub(crate) async fn perform(self, call: Call, tray: Tray) -> Reply {
        self.receive(call, &tray).await.unwrap_or_else(Reply::Failed)
    }

    /// Gets a session from a login, another one than that which has expired, and waits where the
    /// login wants to.
    pub(crate) async fn log_in(
        &self,
        login: &mut Login,
        expired: Option<&Session>,
    ) -> Result<Session, Error> {
        login.begin(expired);
        loop {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            match login.poll(since_1970) {
                LoginStep::Send(call) => {
                    login.reply(self.clone().perform(call, Tray::default()).await);
                }
                LoginStep::Wait(time) => {
                    let mut timer = Timer::after(time);
                    poll_fn(|cx| timer.poll(cx)).await;
                }
                LoginStep::Done(result) => return result,
            }
        }
    }

    async fn receive(&self, call: Call, tray: &Tray) -> Result<Reply, Failure> {
        let Some(to) = Target::of(call.request.uri()) else {
            return Err(Failure::unconnected("the address has no host"));
        };
        let call = if call.packs() { unblock(|| call.packed()).await } else { call };
        let (answer, mut connection) =
            self.send(addressed(call.request.map(Full::new)), &to).await?;
        let (head, mut body) = answer.into_parts();
        let mut intake = call.expect.open(head);
        while let Some(piece) = connection.piece(&mut body).await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(why) => return Ok(intake.broke_off(why)),
            };
            let mut page = intake.push(&piece)?;
            while let Some(whole) = page {
                tray.lay(whole).await;
                page = intake.more()?;
            }
        }
        if connection.is_open().await {
            self.keep(connection, to);
        }
        let (page, reply) = intake.finish();
        if let Some(page) = page {
            tray.lay(page).await;
        }
        Ok(reply)
    }

    /// Sends a request, and waits for the head of its answer. It is sent again only if it was
    /// handed back untouched by a connection that had ended while idle.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        to: &Target,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        loop {
            let (mut connection, reused) = match self.reuse(to).await {
                Some(connection) => (connection, true),
                None => (self.connect(to).await.map_err(Failure::unconnected)?, false),
            };
            match connection.send(request).await {
                Ok(answer) => return Ok((answer, connection)),
                Err(Unanswered { unsent: Some(unsent), .. }) if reused => request = unsent,
                Err(Unanswered { unsent: Some(_), why }) => return Err(Failure::unconnected(why)),
                Err(Unanswered { unsent: None, why }) => return Err(Failure::unanswered(why)),
            }
        }
    }

    async fn connect(&self, to: &Target) -> Result<Connection, String> {
        let limit = self.0.settings.connect;
        let late = || Err(format!("{to} took longer than {} s", limit.as_secs_f32()));
        within(limit, self.open(to)).await.unwrap_or_else(late)
    }

    async fn open(&self, to: &Target) -> Result<Connection, String> {
        let proxy = self.0.proxy.as_ref().filter(|proxy| proxy.serves(&to.host));
        let first = proxy.map_or(to, |proxy| &proxy.at);
        let mut wire =
            net::connect(first.name(), first.port).await.map_err(|e| format!("{first}: {e}"))?;
        let secure = async |wire, target: &Target| {
            let session = self.0.settings.tls.session(wire, target.name()).await;
            session.map_err(|e| format!("no TLS session with {target}: {e}"))
        };
        if let Some(proxy) = proxy {
            if proxy.at.tls {
                wire = secure(wire, &proxy.at).await?;
            }
            proxy.tunnel(&mut *wire, to).await?;
        }
        if to.tls {
            wire = secure(wire, to).await?;
        }
        Connection::over(wire, self.0.settings.silence).await
    }

    /// An idle connection that is still open.
    async fn reuse(&self, to: &Target) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|idle| idle.since.elapsed() < IDLE);
                let at = idle.iter().rposition(|idle| idle.to == *to)?;
                idle.remove(at).connection
            };
            if connection.is_open().await {
                return Some(connection);
            }
        }
    }

    /// Takes back a connection that is [open](Connection::is_open).
    fn keep(&self, connection: Connection, to: Target) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { to, connection, since: Instant::now() });
        let surplus = idle.len().saturating_sub(KEPT);
        idle.drain(..surplus);
    }
}

/// What HTTP wants to be said of the address: the host in a header, the rest in the first line.
fn addressed(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let uri = std::mem::take(request.uri_mut());
    let host = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    let headers = request.headers_mut();
    headers.extend(host.map(|host| (HOST, host)));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let path = uri.into_parts().path_and_query;
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    request
}

/// Where a connection leads.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    /// As in an address: an IPv6 number has its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Target {
    /// Where an http or https address leads.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let (tls, port) = match uri.scheme_str()? {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_owned();
        Some(Self { tls, host, port: uri.port_u16().unwrap_or(port) })
    }

    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host as resolvers and certificates know it.
    pub(crate) fn name(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use futures_lite::future::block_on;

    use super::*;

    /// Reads one request and answers it.
    fn answer(stream: &mut TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    }

    /// Sends a request, reads its answer, and gives the connection back; how many are kept then.
    fn ask(transport: &Transport, to: &Target) -> usize {
        block_on(async {
            let request = Request::get(format!("{to}/x")).body(Full::default()).unwrap();
            let (mut answer, mut connection) =
                transport.send(addressed(request), to).await.unwrap();
            let body = answer.body_mut();
            while let Some(piece) = connection.piece(body).await {
                assert_eq!(piece.unwrap(), "ok");
            }
            if connection.is_open().await {
                transport.keep(connection, to.clone());
            }
            transport.0.idle.lock().unwrap().len()
        })
    }

    #[test]
    fn an_idle_connection_that_the_server_closed_is_not_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            answer(&mut first);
            answer(&mut first);
            thread::sleep(Duration::from_millis(50)); // until it is idle
            drop(first);
            let (mut second, _) = listener.accept().unwrap();
            answer(&mut second);
        });
        let to = Target::of(&address.parse().unwrap()).unwrap();
        let transport = Transport::new(Settings::default());
        assert_eq!(ask(&transport, &to), 1);
        assert_eq!(ask(&transport, &to), 1, "over the same connection");
        thread::sleep(Duration::from_millis(200)); // the server hangs up
        ask(&transport, &to);
        server.join().expect("a second connection");
    }

    #[test]
    fn no_more_idle_connections_are_kept_than_a_run_needs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let to = Target::of(&address.parse().unwrap()).unwrap();
        let transport = Transport::new(Settings::default());
        for _ in 0..KEPT + 4 {
            let connection = block_on(transport.connect(&to)).ok().unwrap();
            transport.keep(connection, to.clone());
        }
        assert_eq!(transport.0.idle.lock().unwrap().len(), KEPT);
    }
}
