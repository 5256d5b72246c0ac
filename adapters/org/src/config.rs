//! The knobs of a practice org.

use std::time::Duration;

use crate::error::OrgError;
use crate::ids;
use crate::login::Logins;

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
    pub(crate) session: String,
    pub(crate) max_body: usize,
    pub(crate) epoch: Duration,
    pub(crate) silence: Duration,
    pub(crate) limits: Limits,
    pub(crate) permissions: Permissions,
    pub(crate) logins: Logins,
}

impl Config {
    /// The defaults, named at each setting.
    pub fn new() -> Self {
        Self {
            latency: Duration::from_millis(50),
            result_rows: 250_000,
            session: format!("{}!PRACTICE.1", ids::long("00D", 1)),
            max_body: 64 * 1024 * 1024,
            epoch: Duration::from_secs(1_767_225_600),
            silence: Duration::from_secs(60),
            limits: Limits::default(),
            permissions: Permissions::default(),
            logins: Logins::default(),
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
    /// and 1 at least. A file also ends at [`Limits::result_bytes`].
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

    /// How long a served org waits for a request's head (and for the next request on an idle
    /// connection), and for the next piece of a body, before it closes the connection. 60 s.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// What the org and its users may use up. As the service has it.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What the practice user may do. Everything.
    #[must_use]
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = permissions;
        self
    }

    /// How logins go. Each that is asked for rightly is granted.
    #[must_use]
    pub fn logins(mut self, logins: Logins) -> Self {
        self.logins = logins;
        self
    }

    /// What time it is at the caller's origin, as time since 1970 (UTC): 2026-01-01T00:00:00Z. An org
    /// from a file that has got further goes on where it stopped.
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

/// The limits of an org, to be lowered in tests. The defaults are the service's ("Bulk API and Bulk
/// API 2.0 Limits and Allocations") unless something else is said.
///
/// ```
/// # use sfbulk_org::{Config, Limits};
/// let config = Config::new().limits(Limits { daily_batches: 2, ..Limits::default() });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records in a batch, a header not counted. 10,000: more, and the batch fails.
    pub records: usize,
    /// Bytes in a batch, unpacked. 10,000,000: the safe reading of "10 MB"; more, and the batch
    /// fails.
    pub bytes: usize,
    /// Characters in a batch, in UTF-16 units as a Java server counts. 10,000,000; more, and the
    /// batch fails.
    pub characters: usize,
    /// Characters in a record. 400,000: more, and the batch fails.
    pub record: usize,
    /// Characters in a value. 131,072, which is the longest text a field can hold; more, and the
    /// batch fails.
    pub value: usize,
    /// Fields in a record. 5,000: more, and the batch fails.
    pub columns: usize,
    /// Bytes of the records and files in a zip file, unpacked. 20,000,000; more, and the batch fails.
    /// (The zip file itself is held to `bytes`.)
    pub unpacked: usize,
    /// Files in a zip file, the one with the records included and folders not. 1,000; more, and the
    /// batch fails.
    pub files: usize,
    /// Batches added within 24 hours, by all jobs together. 15,000: the next is refused with
    /// `ExceededQuota`.
    pub daily_batches: u64,
    /// Requests within 24 hours, counted by the hour while the org is in memory. 100,000, the
    /// smallest allocation of a paid edition: the next is refused with `REQUEST_LIMIT_EXCEEDED`.
    pub daily_requests: u64,
    /// How long a job takes batches after it was created. 24 hours: later ones are refused with
    /// `InvalidJobState`.
    pub job_open: Duration,
    /// How long jobs are kept after their youngest batch was added. 7 days: then `InvalidJob`.
    pub retention: Duration,
    /// Bytes after which a result file ends and the next begins. 200 MB, a fifth of the service's
    /// gigabyte: files are made in memory.
    pub result_bytes: usize,
    /// Files in the result of one query that may be full by their bytes. 15: a result that does not
    /// fit into them fails. Files that end by [`Config::result_rows`] are not counted: that setting
    /// is for having many.
    pub result_files: u64,
    /// Custom objects. 3,000: one more than any edition has is refused as unknown.
    pub custom_objects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 10_000,
            bytes: 10_000_000,
            characters: 10_000_000,
            record: 400_000,
            value: 131_072,
            columns: 5_000,
            unpacked: 20_000_000,
            files: 1_000,
            daily_batches: 15_000,
            daily_requests: 100_000,
            job_open: Duration::from_secs(24 * 3_600),
            retention: Duration::from_secs(7 * 24 * 3_600),
            result_bytes: 200_000_000,
            result_files: 15,
            custom_objects: 3_000,
        }
    }
}

/// What the practice user may do; all of it, to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// "API Enabled". Without it the user is refused: `InvalidUser`, on REST
    /// `API_DISABLED_FOR_ORG`.
    pub api: bool,
    /// The org has the Bulk API. Without it every bulk request is refused with `FeatureNotEnabled`.
    pub bulk_api: bool,
    /// "Bulk API Hard Delete", which is off by default in a real org. Without it no hardDelete job
    /// can be created: `FeatureNotEnabled`.
    pub hard_delete: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { api: true, bulk_api: true, hard_delete: true }
    }
}
