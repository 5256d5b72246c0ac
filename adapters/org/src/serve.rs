//! The org on a loopback port, for any client that speaks HTTP.
//!
//! HTTP is hyper's work, on async-std's reactor; the org's own work (SQLite) is done on threads that
//! may block, one request at a time. The port is bound on 127.0.0.1 and nowhere else: what is served
//! is for practice and has no secret worth the name.
//!
//! Faults are played here as they look on a socket: a lost answer is a connection that closes
//! without one, a body that is cut closes it after the last byte that is sent, and an upload is cut
//! when its first piece has come.
//!
//! A body beyond the org's limit is read to its end, up to a point, before it is refused: a client
//! that is still writing when the connection closes would see a broken pipe instead of the 413.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_std::channel::{Receiver, Sender, bounded};
use async_std::future::timeout;
use async_std::io::{Read, Write};
use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use sfbulk::Time;

use crate::documents::Wire;
use crate::fault::Fault;
use crate::gzip;
use crate::org::Org;

/// A request's head: room for the longest session ids, not for nonsense.
const HEAD: usize = 64 * 1024;
/// How much of a body that is too large is read and thrown away.
const DRAIN: usize = 1024 * 1024 * 1024;
/// How long a body may take, however steadily it drips: twice the time the service gives a download.
const BODY: Duration = Duration::from_secs(40 * 60);
/// Connections at once; the next is closed as it comes. More than any client opens, and few enough
/// that their buffers stay small.
const CONNECTIONS: usize = 128;
/// How much room an announced body gets before it comes: a whole batch.
const BELIEVED: usize = 10 * 1024 * 1024;
/// How much of a body that will be cut goes out at once.
const PIECE: usize = 16 * 1024;
/// How long `shutdown` waits for answers that are on their way.
const GRACE: Duration = Duration::from_secs(10);

/// Serves an org on 127.0.0.1; port 0 takes a free one. The org's time begins now.
pub fn serve(org: Org, port: u16) -> io::Result<Server> {
    let listener = task::block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
    let address = listener.local_addr()?;
    let (max_body, silence) = (org.config.max_body, org.config.silence);
    let (start, open) = (Instant::now(), AtomicUsize::new(0));
    let desk = Arc::new(Desk { org: Mutex::new(org), start, max_body, silence, open });
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

    /// Arms a fault; see [`Org::fault`].
    pub fn fault(&self, fault: Fault) {
        self.desk.org().fault(fault);
    }

    /// What a job was created with; see [`Org::header`].
    pub fn header(&self, job: &str, name: &str) -> Option<String> {
        self.desk.org().header(job, name)
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
    silence: Duration,
    /// How many connections there are.
    open: AtomicUsize,
}

impl Desk {
    /// A thread that panicked in the org has left no half-done work: its transaction is rolled back.
    fn org(&self) -> MutexGuard<'_, Org> {
        self.org.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the org on a thread that may wait for it: somebody else's query can take its time.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut Org) -> T + Send + 'static,
    ) -> T {
        let desk = Arc::clone(self);
        task::spawn_blocking(move || question(&mut desk.org())).await
    }
}

/// A place among the connections, given back when dropped.
struct Place(Arc<Desk>);

impl Place {
    fn take(desk: &Arc<Desk>) -> Option<Self> {
        let place = Self(Arc::clone(desk));
        (desk.open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes connections until told to stop. `working` is held by all that still work.
async fn accept(listener: TcpListener, desk: Arc<Desk>, stop: Receiver<()>, working: Sender<()>) {
    while let Some(accepted) = unless(&stop, listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let Some(place) = Place::take(&desk) else { continue };
                let (desk, stop, working) = (Arc::clone(&desk), stop.clone(), working.clone());
                task::spawn(async move {
                    converse(stream, desk, stop).await;
                    drop((place, working));
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
    let silence = desk.silence;
    let service = service_fn(move |request| respond(Arc::clone(&desk), request));
    let io = Io { stream, scratch: vec![0; HEAD].into(), silence, stalled: None };
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD).timer(Timer).header_read_timeout(silence);
    let connection = http.serve_connection(io, service);
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

/// The connection is to be closed without an answer: by a fault, or because the client broke off.
#[derive(Debug)]
struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer")
    }
}

impl std::error::Error for Unanswered {}

async fn respond(
    desk: Arc<Desk>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Unanswered> {
    let (head, mut body) = request.into_parts();
    let (head, cut) = match head.method {
        Method::POST => {
            desk.ask(|org| {
                let cut = org.cuts_upload(&head);
                (head, cut)
            })
            .await
        }
        _ => (head, false), // nothing is uploaded
    };
    if cut {
        let _ = timeout(desk.silence, body.frame()).await;
        return Err(Unanswered);
    }
    let waits = head.headers.contains_key(EXPECT);
    let most = desk.max_body;
    let body = match timeout(BODY, collect(body, &desk, waits)).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => return Ok(gzip::too_large(most).response(Wire::Xml).map(Reply::whole)),
        _ => return Err(Unanswered),
    };
    let request = Request::from_parts(head, body);
    let now = Time::since_start(desk.start.elapsed());
    let (delay, delivered) = desk.ask(move |org| (org.delay(), org.deliver(now, request))).await;
    task::sleep(delay).await;
    delivered.map(reply).map_err(|_| Unanswered)
}

/// A response as it goes out; one that announces more than it has is cut.
fn reply(response: Response<Bytes>) -> Response<Reply> {
    let announced = response.headers().get(CONTENT_LENGTH).and_then(|n| n.to_str().ok());
    let announced = announced.and_then(|n| n.parse::<usize>().ok());
    let cut = announced.is_some_and(|n| n > response.body().len());
    response.map(|body| Reply { cut: cut.then_some(false), ..Reply::whole(body) })
}

/// The body of an answer.
#[derive(Debug)]
struct Reply {
    body: Bytes,
    /// If it breaks off at its end: whether the connection was given the time to send it.
    cut: Option<bool>,
}

impl Reply {
    fn whole(body: Bytes) -> Self {
        Self { body, cut: None }
    }
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = Unanswered;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unanswered>>> {
        if !self.body.is_empty() {
            // A cut body goes out in pieces that are sent before the next is asked for.
            let size =
                if self.cut.is_some() { PIECE.min(self.body.len()) } else { self.body.len() };
            return Poll::Ready(Some(Ok(Frame::data(self.body.split_to(size)))));
        }
        match self.cut {
            None => Poll::Ready(None),
            Some(true) => Poll::Ready(Some(Err(Unanswered))),
            Some(false) => {
                self.cut = Some(true);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.cut.is_some() {
            return SizeHint::default();
        }
        SizeHint::with_exact(u64::try_from(self.body.len()).unwrap_or(u64::MAX))
    }
}

/// The whole body, or `None` if it is too large. It is an error if it breaks off or does not go on.
async fn collect(
    mut body: Incoming,
    desk: &Desk,
    waits: bool,
) -> Result<Option<Bytes>, Unanswered> {
    let most = desk.max_body;
    let told = body.size_hint().upper().and_then(|size| usize::try_from(size).ok());
    // A client that asked before sending need not send what will be refused.
    if waits && told.is_some_and(|size| size > most) {
        return Ok(None);
    }
    // What was announced is believed up to a point only: many may announce and send nothing.
    let mut whole = BytesMut::with_capacity(told.unwrap_or(0).min(most).min(BELIEVED));
    let mut size = 0;
    while let Some(frame) = timeout(desk.silence, body.frame()).await.map_err(|_| Unanswered)? {
        let Ok(data) = frame.map_err(|_| Unanswered)?.into_data() else { continue };
        size += data.len();
        if size > DRAIN.max(most) {
            return Ok(None);
        }
        if size <= most {
            whole.extend_from_slice(&data);
        } else {
            whole = BytesMut::new();
        }
    }
    Ok((size <= most).then(|| whole.freeze()))
}

/// async-std's clock for hyper, which ends heads that take too long.
#[derive(Debug)]
struct Timer;

impl hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Sleep(Box::pin(task::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}

struct Sleep(Pin<Box<dyn Future<Output = ()> + Send + Sync>>);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl hyper::rt::Sleep for Sleep {}

/// async-std's stream as hyper reads and writes it. Bytes pass through a buffer of our own, which
/// costs a copy and no `unsafe`.
struct Io {
    stream: TcpStream,
    scratch: Box<[u8]>,
    /// How long a client may read nothing of what it asked for,
    silence: Duration,
    /// and the clock that runs while it does.
    stalled: Option<Sleep>,
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
        if let written @ Poll::Ready(_) = Pin::new(&mut self.stream).poll_write(cx, bytes) {
            self.stalled = None;
            return written;
        }
        let silence = self.silence;
        let clock = self.stalled.get_or_insert_with(|| Sleep(Box::pin(task::sleep(silence))));
        Pin::new(clock).poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
