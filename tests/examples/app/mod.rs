//! What the examples do: insert the CSV text from stdin, or print the rows of a query. The org and
//! the session are those of SF_ORG_INSTANCE_URL and SF_ACCESS_TOKEN.

use std::io::{Read, Write, stdin, stdout};

use sfbulk::rows::{Batch, Cutter, InOrder, Limits};
use sfbulk::{Ask, Error, ErrorInfo, ErrorKind, Host, Job, Page, Session, Spec};

/// An application, as a job sees it.
pub(crate) struct App {
    cutter: Cutter,
    input_ended: bool,
    in_order: InOrder,
    header_written: bool,
}

/// The job that the command line asks for, and the application for it.
pub(crate) fn start() -> Result<(Job, App), Error> {
    let usage = || Error::new(ErrorKind::Usage, "give a SELECT, or an object and CSV on stdin");
    let what = std::env::args().nth(1).ok_or_else(usage)?;
    let is_query = what.trim_start().get(..6).is_some_and(|w| w.eq_ignore_ascii_case("select"));
    let spec = if is_query { Spec::query(what) } else { Spec::insert(what) };
    let cutter = Cutter::new(Limits::default());
    let in_order = InOrder::new();
    let app = App { cutter, input_ended: false, in_order, header_written: false };
    Ok((Job::new(spec)?, app))
}

impl Host for App {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(batch) = self.cutter.next()? {
                return Ok(Some(batch));
            }
            if self.input_ended {
                return Ok(None);
            }
            match stdin().read(self.cutter.space()).map_err(local)? {
                0 => {
                    self.input_ended = true;
                    self.cutter.end();
                }
                n => self.cutter.filled(n),
            }
        }
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        let mut out = stdout().lock();
        match page {
            Page::Rows(rows) => {
                if !std::mem::replace(&mut self.header_written, true) {
                    out.write_all(&[&rows.header[..], b"\n"].concat()).map_err(local)?;
                }
                out.write_all(&rows.records).map_err(local)
            }
            Page::Outcomes(outcomes) => {
                self.in_order.add(outcomes);
                for outcome in std::iter::from_fn(|| self.in_order.next()).flatten() {
                    let (row, fate) = (outcome.row + 1, outcome.fate);
                    writeln!(out, "row {row}: {fate:?} {}", outcome.message()).map_err(local)?;
                }
                Ok(())
            }
        }
    }

    fn login(&mut self, _expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        Session::from_vars(|name| std::env::var(name).ok())
    }
}

#[allow(clippy::needless_pass_by_value)] // fits map_err
fn local(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Local, error.to_string())
}
