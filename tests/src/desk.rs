//! A host that has its rows laid out and keeps what it gets.

use std::collections::VecDeque;

use sfbulk::rows::{Batch, InOrder, Outcome, Rows};
use sfbulk::{Ask, Error, ErrorInfo, ErrorKind, Host, Note, Page, Session, Summary};

/// An application that loads these batches, or none, and remembers everything.
pub struct Desk {
    batches: VecDeque<Batch>,
    login: Box<dyn FnMut() -> Session>,
    /// How many sessions it can still get.
    pub logins: u32,
    /// What makes it abort.
    pub aborts_after: fn(&Note) -> bool,
    aborts: bool,
    in_order: InOrder,
    /// What became of the rows, in their order.
    pub outcomes: Vec<Outcome>,
    /// The records of a query's result, under one header, and the pages they came in.
    pub csv: String,
    pub pages: Vec<Rows>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("batches", &self.batches.len()).finish_non_exhaustive()
    }
}

impl Desk {
    /// A desk with batches to load, and a way to log in.
    pub fn new(batches: Vec<Batch>, login: impl FnMut() -> Session + 'static) -> Self {
        Self {
            batches: batches.into(),
            login: Box::new(login),
            logins: u32::MAX,
            aborts_after: |_| false,
            aborts: false,
            in_order: InOrder::new(),
            outcomes: Vec::new(),
            csv: String::new(),
            pages: Vec::new(),
        }
    }
}

impl Host for Desk {
    fn batch(&mut self, _ask: Ask) -> Result<Option<Batch>, Error> {
        Ok(self.batches.pop_front())
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        match page {
            Page::Outcomes(outcomes) => {
                self.in_order.add(outcomes);
                while let Some(page) = self.in_order.next() {
                    self.outcomes.extend(page);
                }
            }
            Page::Rows(rows) => {
                if self.csv.is_empty() {
                    self.csv = String::from_utf8(rows.header.to_vec()).unwrap() + "\n";
                }
                self.csv += std::str::from_utf8(&rows.records).unwrap();
                self.pages.push(rows);
            }
        }
        Ok(())
    }

    fn login(&mut self, _expired: Option<&ErrorInfo>) -> Result<Session, Error> {
        let left = self.logins.checked_sub(1);
        self.logins = left.ok_or_else(|| Error::new(ErrorKind::Login, "the password is wrong"))?;
        Ok((self.login)())
    }

    fn note(&mut self, note: Note, _summary: &Summary) -> Result<(), Error> {
        self.aborts |= (self.aborts_after)(&note);
        Ok(())
    }

    fn aborts(&mut self) -> bool {
        self.aborts
    }
}
