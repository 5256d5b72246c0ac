//! One HTTP connection, kept going by whoever waits for its answer.
//!
//! hyper splits a connection in two: a *sender*, through which requests go and answers come, and
//! the connection's own future, which moves the bytes. Usually the latter is spawned; then every
//! piece of an answer costs two changes of task. Here the same task polls both, first the
//! connection, then what waits for it. So nothing is spawned, a dropped call takes its connection
//! with it, and a reader that pauses pauses the socket.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::rt::ReadBufCursor;

use crate::net::{Timer, Wire};

/// The bound of an answer's head; the service's heads are a kilobyte or two.
const HEAD: usize = 64 << 10;

/// How much is read at a time: reading and writing take turns here, and fewer turns are faster.
const BUFFER: usize = 256 << 10;

/// What follows on the longest silence borne before it is an error: an application that was busy
/// with something else all the while finds what arrived in the meantime.
const GRACE: Duration = Duration::from_secs(1);

/// What is sent: one piece, of known length.
type Outgoing = Full<Bytes>;

/// A connection to a server.
pub(crate) struct Connection {
    sender: http1::SendRequest<Outgoing>,
    driver: Driver,
}

/// Moves the connection's bytes. `None` once it has ended: hyper wants it dropped then, or those
/// who wait wait for ever.
struct Driver(Option<Pin<Box<http1::Connection<Io, Outgoing>>>>);

impl Driver {
    /// Moves what can be moved. How the connection ended, those who wait for it are told by hyper.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if self.0.as_mut().is_some_and(|connection| connection.as_mut().poll(cx).is_ready()) {
            self.0 = None;
        }
    }
}

/// A request that got no answer.
pub(crate) struct Unanswered {
    /// The request, if certainly not one byte of it was sent.
    pub(crate) unsent: Option<Request<Outgoing>>,
    pub(crate) why: String,
}

impl Connection {
    /// A connection that bears so long a silence, in either direction.
    pub(crate) async fn over(wire: Box<dyn Wire>, silence: Duration) -> Result<Self, String> {
        let mut builder = http1::Builder::new();
        builder.max_header_size(HEAD).max_buf_size(BUFFER);
        builder.writev(true); // or else bodies are copied before they are sent
        let handshake = builder.handshake(Io::new(wire, silence)).await;
        let (sender, driver) = handshake.map_err(|e| reason(&e))?;
        Ok(Self { sender, driver: Driver(Some(Box::pin(driver))) })
    }

    /// Sends a request, and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answer = poll_fn(|cx| {
            driver.poll(cx);
            answer.as_mut().poll(cx)
        });
        answer.await.map_err(|mut error| Unanswered {
            unsent: error.take_message(),
            why: reason(error.error()),
        })
    }

    /// The next piece of an answer's body; `None` after its proper end.
    pub(crate) async fn piece(&mut self, body: &mut Incoming) -> Option<Result<Bytes, String>> {
        loop {
            let frame = poll_fn(|cx| {
                self.driver.poll(cx);
                Pin::new(&mut *body).poll_frame(cx)
            });
            match frame.await? {
                Ok(frame) => {
                    if let Ok(piece) = frame.into_data() {
                        return Some(Ok(piece));
                    } // or trailers, which nobody asked for
                }
                Err(error) => return Some(Err(reason(&error))),
            }
        }
    }

    /// Whether another request may be sent. This looks at the socket: right after an answer hyper
    /// has yet to notice that it is done, and an idle connection that the server has closed does
    /// not know of it before.
    pub(crate) async fn is_open(&mut self) -> bool {
        poll_fn(|cx| {
            self.driver.poll(cx);
            Poll::Ready(())
        })
        .await;
        self.driver.0.is_some() && self.sender.is_ready()
    }
}

/// hyper's errors keep what matters in their sources.
fn reason(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {}", reason(source)));
    error.to_string() + &source.unwrap_or_default()
}

/// Bytes as hyper reads and writes them. They pass through a buffer of our own, which costs a copy
/// and no `unsafe`.
struct Io {
    wire: Box<dyn Wire>,
    scratch: Box<[u8]>,
    /// Why nothing can be written any more. This is no error yet: a server that has heard enough
    /// answers and hangs up, and its answer is still to be read.
    deaf: Option<io::Error>,
    /// When something last moved, in either direction.
    moved: Instant,
    limit: Duration,
    timer: Timer,
    in_grace: bool,
}

impl Io {
    fn new(wire: Box<dyn Wire>, limit: Duration) -> Self {
        let (scratch, timer) = (vec![0; BUFFER].into(), Timer::after(limit));
        Self { wire, scratch, deaf: None, moved: Instant::now(), limit, timer, in_grace: false }
    }

    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Box<dyn Wire>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.deaf.is_some() {
            return Poll::Pending; // the end of reading ends the request too
        }
        match ready!(write(Pin::new(&mut self.wire), cx)) {
            Err(error) => {
                self.deaf = Some(error);
                cx.waker().wake_by_ref(); // what was read before may not have been all
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    /// Something moved.
    fn moved(&mut self) {
        self.moved = Instant::now();
        self.in_grace = false;
    }

    /// Passes on what came of reading, unless nothing has moved for too long. hyper reads whatever
    /// else it does, so this watches over writing too.
    fn watch<T>(&mut self, cx: &mut Context<'_>, read: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if read.is_ready() {
            self.moved();
            return read;
        }
        loop {
            ready!(self.timer.poll(cx));
            let left = self.limit.saturating_sub(self.moved.elapsed());
            if left.is_zero() && self.in_grace {
                let silent = format!("nothing moved for {} s", self.limit.as_secs_f32());
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, silent)));
            }
            self.in_grace = left.is_zero();
            self.timer = Timer::after(if self.in_grace { GRACE } else { left });
        }
    }
}

impl hyper::rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let io = self.get_mut();
        let room = io.scratch.len().min(buffer.remaining());
        let read = Pin::new(&mut io.wire).poll_read(cx, &mut io.scratch[..room]);
        let read = ready!(io.watch(cx, read))?;
        if read == 0
            && let Some(error) = io.deaf.take()
        {
            return Poll::Ready(Err(error));
        }
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
        let written = ready!(self.write(cx, |wire, cx| wire.poll_write(cx, bytes)));
        self.moved();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.write(cx, |wire, cx| wire.poll_write_vectored(cx, pieces)));
        self.moved();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use hyper::rt::{Read, ReadBuf};

    use super::*;

    /// A server that takes some bytes, answers with a text, and hangs up.
    struct Peer {
        takes: usize,
        answer: &'static [u8],
    }

    impl AsyncRead for Peer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            if self.takes > 0 {
                return Poll::Pending;
            }
            Pin::new(&mut self.answer).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Peer {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = self.takes.min(bytes.len());
            self.takes -= taken;
            Poll::Ready(if taken > 0 { Ok(taken) } else { Err(io::ErrorKind::BrokenPipe.into()) })
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    const LIMIT: Duration = Duration::from_secs(10);
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno";

    /// Sends an upload, and reads the answer.
    fn converse(answer: &'static [u8]) -> Result<(u16, Bytes), String> {
        let upload = Request::post("/").body(Full::new(vec![b'x'; 1 << 20].into())).unwrap();
        block_on(async {
            let peer = Peer { takes: 100_000, answer };
            let mut connection = Connection::over(Box::new(peer), LIMIT).await?;
            let answer = connection.send(upload).await.map_err(|unanswered| {
                assert!(unanswered.unsent.is_none(), "some of it was sent");
                unanswered.why
            })?;
            let (head, mut body) = answer.into_parts();
            let mut whole = Vec::new();
            while let Some(piece) = connection.piece(&mut body).await {
                whole.extend(piece?);
            }
            assert!(!connection.is_open().await);
            Ok((head.status.as_u16(), whole.into()))
        })
    }

    #[test]
    fn what_was_answered_before_the_pipe_broke_counts_if_it_is_whole() {
        assert_eq!(converse(ANSWER).unwrap(), (400, "no".into()));
        for cut in [0, 10, 30, ANSWER.len() - 1] {
            let why = converse(&ANSWER[..cut]).unwrap_err();
            assert!(why.contains("broken pipe"), "{cut}: {why}");
        }
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let long = |length| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(length));
        let why = converse(long(HEAD).leak().as_bytes()).unwrap_err();
        assert!(why.contains("head is too large"), "{why}");
    }

    #[test]
    fn silence_is_an_error_but_not_before_its_time() {
        let limit = Duration::from_millis(20);
        let mut io = Io::new(Box::new(Peer { takes: 1, answer: b"" }), limit);
        let start = Instant::now();
        let mut room = [0; 10];
        let mut buffer = ReadBuf::new(&mut room);
        let read = poll_fn(|cx| Pin::new(&mut io).poll_read(cx, buffer.unfilled()));
        let error = block_on(read).unwrap_err();
        assert_eq!(error.to_string(), "nothing moved for 0.02 s");
        assert!(start.elapsed() >= limit + GRACE);
    }
}
