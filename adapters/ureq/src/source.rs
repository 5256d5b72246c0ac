//! CSV from anything that can be read.

use std::fmt;
use std::io::{self, Read};

use sfbulk::rows::{Batch, Cutter, Source};
use sfbulk::{Error, ErrorKind};

/// The batches of a CSV text.
pub struct CsvSource<R> {
    reader: R,
    cutter: Cutter,
    ended: bool,
}

impl<R: Read> CsvSource<R> {
    /// Reads from `reader`, which need not be buffered, and cuts with `cutter`.
    pub fn new(reader: R, cutter: Cutter) -> Self {
        Self { reader, cutter, ended: false }
    }

    /// The header's cells; `None` before the first batch was cut.
    pub fn header(&self) -> Option<&[String]> {
        self.cutter.header()
    }
}

impl<R: Read> Source for CsvSource<R> {
    fn batch(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(batch) = self.cutter.next()? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.reader.read(self.cutter.space()) {
                Ok(0) => {
                    self.ended = true;
                    self.cutter.end();
                }
                Ok(n) => self.cutter.filled(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let message = format!("the input cannot be read: {error}");
                    return Err(Error::new(ErrorKind::Local, message));
                }
            }
        }
    }
}

impl<R> fmt::Debug for CsvSource<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvSource").field("cutter", &self.cutter).finish_non_exhaustive()
    }
}
