//! The org on a loopback port, for any client that speaks HTTP.
//!
//! HTTP is hyper's work, on async-std's reactor; the org's own work (SQLite) is done on threads that
//! may block, one request at a time. The port is bound on 127.0.0.1 and nowhere else: what is served
//! is for practice and has no secret worth the name.
//!
//! A body beyond the org's limit is read to its end, up to a point, before it is refused: a client
//! that is still writing when the connection closes would see a broken pipe instead of the 413.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_std::channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::io::{Read, Write};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use bytes::{Bytes, BytesMut};
use http::header::EXPECT;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use sfbulk::Time;

use crate::documents::Wire;
use crate::gzip;
use crate::org::Org;

/// A request's head: room for the longest session ids, not for nonsense.
const HEAD: usize = 64 * 1024;
/// How much of a body that is too large is read and thrown away.
const DRAIN: usize = 1024 * 1024 * 1024;
/// How long a client may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_secs(60);
/// How long `shutdown` waits for answers that are on their way.
const GRACE: Duration = Duration::from_secs(10);

/// Serves an org on 127.0.0.1; port 0 takes a free one. The org's time begins now.
pub fn serve(org: Org, port: u16) -> io::Result<Server> {
    let listener = task::block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
    let address = listener.local_addr()?;
    let max_body = org.config.max_body;
    let desk = Arc::new(Desk { org: Mutex::new(org), start: Instant::now(), max_body });
    let (stop, stopped) = bounded(1);
    let (working, done) = bounded(1);
    task::spawn(accept(listener, Arc::clone(&desk), stopped, working));
    Ok(Server { address, desk, stop: Mutex::new(Some(stop)), done })
}

/// A practice org that is being served. It stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    desk: Arc<Desk>,
    /// Dropping it tells everyone to stop.
    stop: Mutex<Option<Sender<()>>>,
    /// Closed when nobody works any more.
    done: Receiver<()>,
}

impl Server {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The instance's address, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The session id clients must send.
    pub fn session(&self) -> String {
        self.desk.org().session().to_owned()
    }

    /// Ends the session and returns the next one; see [`Org::expire_session`].
    pub fn expire_session(&self) -> String {
        self.desk.org().expire_session().to_owned()
    }

    /// Stops: the port is free afterwards. Answers that are being made are given out before, for up
    /// to ten seconds.
    pub fn shutdown(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = task::block_on(timeout(GRACE, self.done.recv()));
    }

    /// Waits until somebody calls [`Server::shutdown`] (from another thread).
    pub fn wait(&self) {
        let _ = task::block_on(self.done.recv());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The org behind its counter: one request at a time, each at its moment.
#[derive(Debug)]
struct Desk {
    org: Mutex<Org>,
    start: Instant,
    max_body: usize,
}

impl Desk {
    /// A thread that panicked in the org has left no half-done work: its transaction is rolled back.
    fn org(&self) -> MutexGuard<'_, Org> {
        self.org.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let mut org = self.org();
        org.handle(Time::since_start(self.start.elapsed()), request)
    }
}

/// Takes connections until told to stop. `working` is held by all that still work.
async fn accept(listener: TcpListener, desk: Arc<Desk>, stop: Receiver<()>, working: Sender<()>) {
    while let Some(accepted) = unless(&stop, listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let (desk, stop, working) = (Arc::clone(&desk), stop.clone(), working.clone());
                task::spawn(async move {
                    converse(stream, desk, stop).await;
                    drop(working);
                });
            }
            // Out of file descriptors, mostly: it may pass.
            Err(_) => task::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A future, unless the server stops first.
async fn unless<T>(stop: &Receiver<()>, future: impl Future<Output = T>) -> Option<T> {
    let (mut stop, mut future) = (pin!(stop.recv()), pin!(future));
    poll_fn(|cx| match stop.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Serves one connection to its end. When the server stops, an idle one ends at once, a busy one
/// after its answer.
async fn converse(stream: TcpStream, desk: Arc<Desk>, stop: Receiver<()>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(respond(desk, request).await.map(Full::new)) }
    });
    let io = Io { stream, scratch: vec![0; HEAD].into() };
    let connection = http1::Builder::new().max_buf_size(HEAD).serve_connection(io, service);
    let (mut connection, mut stop) = (pin!(connection), pin!(stop.recv()));
    let mut stopping = false;
    // How the conversation ended, and who broke it off, is of no use to anyone here.
    let _ = poll_fn(|cx| {
        if !stopping && stop.as_mut().poll(cx).is_ready() {
            stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await;
}

async fn respond(desk: Arc<Desk>, request: Request<Incoming>) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let waits = head.headers.contains_key(EXPECT);
    match collect(body, desk.max_body, waits).await {
        Some(body) => {
            let request = Request::from_parts(head, body);
            task::spawn_blocking(move || desk.handle(request)).await
        }
        None => gzip::too_large(desk.max_body).response(Wire::Xml),
    }
}

/// The whole body, or `None` if it is too large or breaks off (then nobody reads the answer).
async fn collect(mut body: Incoming, most: usize, waits: bool) -> Option<Bytes> {
    let told = body.size_hint().upper().and_then(|size| usize::try_from(size).ok());
    // A client that asked before sending need not send what will be refused.
    if waits && told.is_some_and(|size| size > most) {
        return None;
    }
    let mut whole = BytesMut::with_capacity(told.unwrap_or(0).min(most));
    let mut size = 0;
    while let Some(frame) = timeout(SILENCE, body.frame()).await.ok()? {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        size += data.len();
        if size > DRAIN.max(most) {
            return None;
        }
        if size <= most {
            whole.extend_from_slice(&data);
        } else {
            whole = BytesMut::new();
        }
    }
    (size <= most).then(|| whole.freeze())
}

/// async-std's stream as hyper reads and writes it. Bytes pass through a buffer of our own, which
/// costs a copy and no `unsafe`.
struct Io {
    stream: TcpStream,
    scratch: Box<[u8]>,
}

impl hyper::rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let io = self.get_mut();
        let room = io.scratch.len().min(buffer.remaining());
        let read = ready!(Pin::new(&mut io.stream).poll_read(cx, &mut io.scratch[..room]))?;
        buffer.put_slice(&io.scratch[..read]);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
