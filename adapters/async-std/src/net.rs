//! Sockets, timers and a lock: the only file that names async-std. A port to another runtime's sockets
//! (smol's are the same but for the paths) changes this file and the manifest.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_std::future::timeout;
use async_std::net::TcpStream;
pub(crate) use async_std::sync::Mutex;
use async_std::task::sleep;

use futures_io::{AsyncRead, AsyncWrite};

/// What HTTP is spoken over: a socket, or a TLS session on one.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Opens a socket to the first of the host's addresses that answers.
pub(crate) async fn connect(host: &str, port: u16) -> io::Result<Box<dyn Wire>> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// What a future gives, unless it takes longer than this.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(limit, future).await.ok()
}

/// Ready after some time, counted from when it was first polled.
pub(crate) struct Timer(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Timer {
    pub(crate) fn after(wait: Duration) -> Self {
        Self(Box::pin(sleep(wait)))
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
