//! The knobs of a practice org.

use std::time::Duration;

use crate::error::OrgError;
use crate::ids;

/// How a practice org behaves. Start from [`Config::new`] and change what matters:
///
/// ```
/// # use std::time::Duration;
/// let config = sfbulk_org::Config::new()
///     .latency(Duration::from_secs(90)) // a busy org
///     .result_rows(1_000); // many result files
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) latency: Duration,
    pub(crate) result_rows: u64,
    pub(crate) result_bytes: usize,
    pub(crate) session: String,
    pub(crate) max_body: usize,
    pub(crate) daily_batches: u64,
    pub(crate) epoch: Duration,
}

impl Config {
    /// The defaults, named at each setting.
    pub fn new() -> Self {
        Self {
            latency: Duration::from_millis(50),
            result_rows: 250_000,
            result_bytes: 200_000_000,
            session: format!("{}!PRACTICE.1", ids::long("00D", 1)),
            max_body: 64 * 1024 * 1024,
            daily_batches: 15_000,
            epoch: Duration::from_secs(1_767_225_600),
        }
    }

    /// How long a batch takes from being added to being done: a third of it `Queued`, the rest
    /// `InProgress`. 50 ms.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// At most so many rows in one file of a query's result; a longer result has several. 250,000,
    /// and 1 at least. A file also ends at 200 MB.
    #[must_use]
    pub fn result_rows(mut self, rows: u64) -> Self {
        self.result_rows = rows.max(1);
        self
    }

    /// The session id clients must send. It must show that it is none of a real org:
    /// `00D…!PRACTICE…`, printable ASCII without blanks.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = session.into();
        self
    }

    /// The largest request body in bytes, packed or unpacked; a larger one is answered 413. 64 MiB:
    /// room to send a batch that is too large for the *service* and see it say so.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How many batches may be added within 24 hours; the next is refused with `ExceededQuota`.
    /// 15,000.
    #[must_use]
    pub fn daily_batches(mut self, batches: u64) -> Self {
        self.daily_batches = batches;
        self
    }

    /// What time it is in a *new* org at the caller's origin, as time since 1970 (UTC):
    /// 2026-01-01T00:00:00Z. An org from a file goes on where it stopped.
    #[must_use]
    pub fn epoch(mut self, since_1970: Duration) -> Self {
        self.epoch = since_1970;
        self
    }

    /// A token of a real org must never be asked for on a plain loopback port.
    pub(crate) fn check(&self) -> Result<(), OrgError> {
        let (org, rest) = self.session.split_once('!').unwrap_or_default();
        let practice = org.starts_with("00D") && rest.starts_with("PRACTICE");
        if practice && self.session.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(());
        }
        Err(OrgError::new("a practice session reads `00D…!PRACTICE…`; this one might be real"))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
