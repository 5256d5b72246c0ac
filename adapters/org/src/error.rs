//! What can go wrong for the one who runs the org. What goes wrong for a client is an answer.

use std::fmt;

/// The practice org cannot work: its file cannot be opened or read, or a setting is not possible.
#[derive(Debug)]
pub struct OrgError {
    what: String,
    source: Option<rusqlite::Error>,
}

impl OrgError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    pub(crate) fn schema(line: usize, text: &str) -> Self {
        Self::new(format!("schema, line {line}: not understood: {}", text.trim()))
    }
}

impl From<rusqlite::Error> for OrgError {
    fn from(source: rusqlite::Error) -> Self {
        let busy = source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy);
        let what = if busy {
            "another process uses this practice org; wait for it to end, or serve the org and use \
             its address"
        } else {
            "the practice org's database"
        };
        Self { what: what.into(), source: Some(source) }
    }
}

impl fmt::Display for OrgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for OrgError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
