//! Why a row cannot be written, and in which column.

use std::fmt::{self, Display};

use serde::ser::Error as _;

/// Why a row cannot be written.
#[derive(Debug)]
pub(super) struct Refused {
    why: String,
    /// What it is about, once that is known: a column by its name, or the row, by nothing.
    about: Option<String>,
}

/// The cell at hand, or the row if there is none, cannot be written.
pub(super) fn refused(why: impl Display) -> Refused {
    Refused::custom(why)
}

impl Refused {
    /// It is about the row, not about the cell at hand.
    pub(super) fn row(why: String) -> Self {
        Self { why, about: Some(String::new()) }
    }

    /// Says which column it is about, unless that is known better.
    pub(super) fn of_column(mut self, name: &str) -> Self {
        self.about.get_or_insert_with(|| name.to_owned());
        self
    }
}

impl serde::ser::Error for Refused {
    fn custom<T: Display>(why: T) -> Self {
        Self { why: why.to_string(), about: None }
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.about.as_deref() {
            None | Some("") => f.write_str(&self.why),
            Some(column) => write!(f, "column {column:?}: {}", self.why),
        }
    }
}

impl std::error::Error for Refused {}
