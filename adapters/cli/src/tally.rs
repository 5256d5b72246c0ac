//! Which errors came, and how often: a million rows mostly fail in one or two ways.

use std::collections::HashMap;

use sfbulk::Plain;
use sfbulk::rows::Outcome;

/// The most kinds told apart; whatever else comes is counted together.
const KINDS: usize = 200;
/// How much of a message without a code is kept as its kind.
const EXCERPT: usize = 100;

/// Counts of errors by kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: Vec<Kind>,
    known: HashMap<String, usize>,
    /// The last message and its kind: neighbours often fail alike.
    last: Option<(Box<str>, usize)>,
}

/// Errors with the same code about the same fields.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Kind {
    /// The server's status code, or the beginning of a message without one.
    pub(crate) code: String,
    pub(crate) fields: Vec<String>,
    pub(crate) count: u64,
    /// The first row that failed so, counted from 1.
    pub(crate) first_row: u64,
}

impl Tally {
    /// Counts a failed row.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let message = outcome.message();
        let kind = match &self.last {
            Some((last, kind)) if **last == *message => *kind,
            _ => self.kind(outcome),
        };
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.count += 1;
        }
        if self.last.as_ref().is_none_or(|(last, _)| **last != *message) {
            self.last = Some((message.into(), kind));
        }
    }

    fn kind(&mut self, outcome: &Outcome) -> usize {
        let (mut code, mut fields) = match outcome.row_error() {
            Some(error) => match error.code {
                Some(code) => (code.to_owned(), error.fields),
                None => (error.message.chars().take(EXCERPT).collect(), Vec::new()),
            },
            None => (String::new(), Vec::new()),
        };
        if self.kinds.len() >= KINDS {
            (code, fields) = ("other errors".into(), Vec::new());
        }
        let key = format!("{code}\n{}", fields.join(","));
        let (kinds, first_row) = (&mut self.kinds, outcome.row + 1);
        *self.known.entry(key).or_insert_with(|| {
            let fields = fields.into_iter().map(str::to_owned).collect();
            kinds.push(Kind { code, fields, count: 0, first_row });
            kinds.len() - 1
        })
    }

    /// The kinds, the most frequent first.
    pub(crate) fn by_count(&self) -> Vec<Kind> {
        let mut kinds = self.kinds.clone();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        kinds
    }
}

impl Kind {
    /// Whether it is the beginning of this message, which has no code.
    pub(crate) fn is_of(&self, message: &str) -> bool {
        !self.code.is_empty() && self.fields.is_empty() && message.starts_with(&self.code)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Plain(&self.code))?;
        if self.fields.is_empty() { Ok(()) } else { write!(f, " [{}]", self.fields.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfbulk::rows::Fate;

    fn failed(row: u64, message: &str) -> Outcome {
        Outcome { row, id: None, fate: Fate::Failed, error: Some(message.into()) }
    }

    #[test]
    fn errors_are_counted_by_code_and_fields() {
        let mut tally = Tally::default();
        tally.add(&failed(3, "TOO_BIG:the first of them:Name --"));
        for row in 4..7 {
            tally.add(&failed(row, "REQUIRED_FIELD_MISSING:Required: [Name]:Name --"));
        }
        tally.add(&failed(8, "TOO_BIG:another text:Name --"));
        tally.add(&failed(9, "no code \u{1b} at all"));
        let said: Vec<String> = tally.by_count().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["REQUIRED_FIELD_MISSING [Name]", "TOO_BIG [Name]", "no code \\u{1b} at all"]
        );
        let first = &tally.by_count()[1];
        assert_eq!((first.count, first.first_row), (2, 4));
    }

    #[test]
    fn kinds_without_end_do_not_fill_the_memory() {
        let mut tally = Tally::default();
        for row in 0..2_000 {
            tally.add(&failed(row, &format!("message number {row}")));
        }
        let kinds = tally.by_count();
        assert_eq!(kinds.len(), KINDS + 1);
        assert_eq!((kinds[0].code.as_str(), kinds[0].count), ("other errors", 1_800));
    }
}
