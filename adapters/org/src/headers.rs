//! What the headers of a job's creation say of the job. They are kept with it; an ingest job has no
//! use for [`chunks::HEADER`], nor a query for [`LINES`].
//!
//! `Sforce-Disable-Batch-Retry` and `Sforce-Call-Options` change nothing here: the org never
//! retries a batch by itself, and looks at no client's name.

use std::borrow::Cow;

use http::header::HeaderMap;

use crate::answer::Refusal;
use crate::chunks::{self, Chunking};
use crate::jobs::Operation;
use crate::schema::Object;
use crate::wanted::brief;

/// The header that says how line ends within values are stored.
pub(crate) const LINES: &str = "sforce-line-ending";
const KEPT: [&str; 4] =
    [chunks::HEADER, LINES, "sforce-disable-batch-retry", "sforce-call-options"];

/// The headers to be kept with a new job, by their names in lower case.
pub(crate) fn kept(
    headers: &HeaderMap,
    operation: Operation,
    object: Option<&Object>,
) -> Result<Vec<(&'static str, String)>, Refusal> {
    let mut kept = Vec::new();
    for name in KEPT {
        let Some(value) = headers.get(name) else { continue };
        let value = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
        if name == chunks::HEADER && operation.is_query() {
            let chunking = Chunking::read(&value).and_then(|chunking| {
                let Some((chunking, object)) = chunking.as_ref().zip(object) else { return Ok(()) };
                chunking.check(object)
            });
            chunking.map_err(|why| {
                Refusal::bad("InvalidJob", format!("Invalid PK chunking: {}", brief(&why)))
            })?;
        }
        kept.push((name, value));
    }
    Ok(kept)
}

/// How the line ends within text values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnding {
    Lf,
    CrLf,
}

impl LineEnding {
    /// What the header asks for; nothing, if it says neither.
    pub(crate) fn read(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "LF" => Some(Self::Lf),
            "CRLF" => Some(Self::CrLf),
            _ => None,
        }
    }

    /// Gives a value these line ends.
    pub(crate) fn apply(self, text: &mut Cow<'_, str>) {
        if !text.contains('\n') {
            return;
        }
        let lines = text.replace("\r\n", "\n");
        *text = match self {
            Self::Lf => lines,
            Self::CrLf => lines.replace('\n', "\r\n"),
        }
        .into();
    }
}
