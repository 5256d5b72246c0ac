//! Where rows come from: CSV that is read, or values that a stream gives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_io::AsyncRead;
use serde::Serialize;
use sfbulk::rows::{Batch, Cutter, Limits, RowCutter};
use sfbulk::{Error, ErrorKind, Syntax};

/// Gives the rows of a load, one batch at a time, from the first to the last.
pub(crate) trait Source: Send {
    /// The next batch; `None` if there are no more rows.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch>, Error>>;
}

/// The source of a query: it has no rows to give.
pub(crate) struct Nothing;

impl Source for Nothing {
    fn poll_batch(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Option<Batch>, Error>> {
        Poll::Ready(Ok(None))
    }
}

/// The batches of a CSV text.
pub(crate) struct Csv<R> {
    reader: Pin<Box<R>>,
    cutter: Cutter,
    ended: bool,
}

impl<R: AsyncRead> Csv<R> {
    pub(crate) fn new(reader: R, cutter: Cutter) -> Self {
        Self { reader: Box::pin(reader), cutter, ended: false }
    }
}

impl<R: AsyncRead + Send> Source for Csv<R> {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch>, Error>> {
        loop {
            if let Some(batch) = self.cutter.next()? {
                return Poll::Ready(Ok(Some(batch)));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            match ready!(self.reader.as_mut().poll_read(cx, self.cutter.space())) {
                Ok(0) => {
                    self.ended = true;
                    self.cutter.end();
                }
                Ok(n) => self.cutter.filled(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("the input cannot be read: {error}");
                    return Poll::Ready(Err(Error::new(ErrorKind::Local, message)));
                }
            }
        }
    }
}

/// The batches of rows that a stream gives.
pub(crate) struct Values<S: Stream> {
    /// `None` once it has ended: not every stream may be asked again then.
    rows: Option<Pin<Box<S>>>,
    cutter: RowCutter<S::Item>,
}

impl<S: Stream<Item: Serialize>> Values<S> {
    pub(crate) fn new(syntax: Syntax, rows: S, limits: Limits) -> Self {
        Self { rows: Some(Box::pin(rows)), cutter: RowCutter::with_syntax(syntax, limits) }
    }
}

impl<S: Stream<Item: Serialize + Send> + Send> Source for Values<S> {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch>, Error>> {
        while let Some(rows) = &mut self.rows {
            match ready!(rows.as_mut().poll_next(cx)) {
                None => self.rows = None,
                Some(row) => {
                    if let Some(batch) = self.cutter.push(&row)? {
                        return Poll::Ready(Ok(Some(batch)));
                    }
                }
            }
        }
        Poll::Ready(self.cutter.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::poll_fn;

    use futures_lite::future::block_on;
    use futures_lite::stream;

    use super::*;

    #[test]
    fn a_stream_that_has_ended_is_not_asked_again() {
        let rows = stream::unfold(0, async |n: u32| {
            (n < 3).then(|| (BTreeMap::from([("Name", n.to_string())]), n + 1))
        });
        let mut source = Values::new(Syntax::Csv, rows, Limits::default());
        let mut next = || block_on(poll_fn(|cx| source.poll_batch(cx))).unwrap();
        assert_eq!(next().unwrap().rows, 0..3);
        assert!(next().is_none() && next().is_none());
    }
}
