//! Where batches come from.

use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::info::Syntax;
use crate::rows::batch::{Batch, Limits};
use crate::rows::pack::RowCutter;

/// Gives the rows of a load, one batch at a time, from the first to the last.
pub trait Source {
    /// The next batch; `None` if there are no more rows.
    fn batch(&mut self) -> Result<Option<Batch>, Error>;
}

/// The batches of rows that an iterator gives.
pub struct RowSource<I: Iterator> {
    rows: I,
    cutter: RowCutter<I::Item>,
}

impl<I: Iterator<Item: Serialize>> RowSource<I> {
    /// Batches of CSV. Nothing is taken from `rows` before it is needed.
    pub fn new(rows: I, limits: Limits) -> Self {
        Self::with_syntax(Syntax::Csv, rows, limits)
    }

    /// Batches of another syntax.
    pub fn with_syntax(syntax: Syntax, rows: I, limits: Limits) -> Self {
        Self { rows, cutter: RowCutter::with_syntax(syntax, limits) }
    }
}

impl<I: Iterator<Item: Serialize>> Source for RowSource<I> {
    fn batch(&mut self) -> Result<Option<Batch>, Error> {
        for row in self.rows.by_ref() {
            if let Some(batch) = self.cutter.push(&row)? {
                return Ok(Some(batch));
            }
        }
        self.cutter.finish()
    }
}

impl<I: Iterator> fmt::Debug for RowSource<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowSource").finish_non_exhaustive()
    }
}
