//! What can be made to go wrong, by name.
//!
//! A fault counts requests and never looks at a clock or at chance, so the same conversation goes
//! wrong in the same way every time.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// Something that goes wrong once, to be armed with [`Org::fault`](crate::Org::fault).
///
/// Numbers count from 1 and from the moment the fault is armed: with `LoseAnswer { batch: 2 }` the
/// second request that adds a batch is carried out, and its answer never comes. If several faults
/// are meant for one request, the first that was armed is played, the others at the next request of
/// their kind: `Status` with 500 armed three times is three 500s in a row.
///
/// [`FromStr`] reads the form of the command, `lose-answer:2`; [`Fault::help`] lists them all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the numbers are told by the variants")]
pub enum Fault {
    /// A batch is added and the answer never comes.
    LoseAnswer { batch: u32 },
    /// The next job is created and the answer never comes.
    LoseCreate,
    /// The next job is closed and the answer never comes.
    LoseClose,
    /// The next job is aborted and the answer never comes.
    LoseAbort,
    /// A batch is read whole but never added; the connection is dropped without an answer.
    DropRequest { batch: u32 },
    /// The connection is dropped in the middle of a batch, which is never added.
    CutUpload { batch: u32 },
    /// A batch is added so many seconds after it came, without an answer: the client has given up
    /// by then.
    Late { batch: u32, seconds: u32 },
    /// A batch is added, and then a gateway answers 504 with a page.
    Gateway { batch: u32 },
    /// A request is not carried out; a gateway answers this status with a page, and a `Retry-After`
    /// in seconds if there is one.
    Status { call: Call, nth: u32, status: u16, retry_after: Option<u32> },
    /// A request is not carried out; the service itself refuses it with an `exceptionCode`.
    Refuse { call: Call, nth: u32, code: String },
    /// The session ends just before this request, whatever it asks.
    ExpireSession { request: u32 },
    /// Of the body of a result only so many bytes arrive, of all that were announced.
    CutResult { result: u32, bytes: usize },
    /// A result is well-formed, but lacks its last row.
    ShortResult { result: u32 },
    /// A batch fails as a whole with this `exceptionCode` before any of its rows is written.
    FailBatch { batch: u32, code: String },
    /// A batch fails after the first half of its rows was written.
    HalfFailBatch { batch: u32 },
    /// Every second row of a batch fails with `UNABLE_TO_LOCK_ROW`, beginning with the first.
    LockFailure { batch: u32 },
    /// A list of batches has its last batch twice.
    ListTwice { list: u32 },
    /// A list of batches lacks its last batch.
    MissingFromList { list: u32 },
    /// This batch and all after it are refused with `ExceededQuota`.
    Quota { batch: u32 },
    /// Every answer takes so long; see [`Org::delay`](crate::Org::delay).
    Slow { milliseconds: u32 },
}

/// A kind of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The creation of a job.
    Create,
    /// The addition of a batch.
    Batch,
    /// The closing of a job.
    Close,
    /// The abortion of a job.
    Abort,
    /// A look at a job, a batch, all batches, or the list of a query's result files.
    Poll,
    /// The rows of a result.
    Result,
    /// Whatever it is.
    Any,
}

impl Call {
    const NAMES: [(Self, &'static str); 7] = [
        (Self::Create, "create"),
        (Self::Batch, "batch"),
        (Self::Close, "close"),
        (Self::Abort, "abort"),
        (Self::Poll, "poll"),
        (Self::Result, "result"),
        (Self::Any, "any"),
    ];

    fn read(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, name)| *name == text).map(|(call, _)| *call)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES.iter().find(|(call, _)| call == self).map_or("", |(_, name)| name))
    }
}

/// A fault that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownFault {}

/// How a fault is written and what it does.
struct Form {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    read: fn(&[&str]) -> Option<Fault>,
}

const fn form(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    read: fn(&[&str]) -> Option<Fault>,
) -> Form {
    Form { name, arguments, help, read }
}

/// A count of requests.
fn n(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n| *n > 0)
}

/// A plain word, as codes are.
fn word(text: &str) -> Option<String> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| text.to_owned())
}

const FORMS: [Form; 20] = [
    form("lose-answer", ":N", "batch N is added, the answer never comes", |a| match a {
        [batch] => Some(Fault::LoseAnswer { batch: n(batch)? }),
        _ => None,
    }),
    form("lose-create", "", "a job is created, the answer never comes", |a| {
        a.is_empty().then_some(Fault::LoseCreate)
    }),
    form("lose-close", "", "a job is closed, the answer never comes", |a| {
        a.is_empty().then_some(Fault::LoseClose)
    }),
    form("lose-abort", "", "a job is aborted, the answer never comes", |a| {
        a.is_empty().then_some(Fault::LoseAbort)
    }),
    form("drop-request", ":N", "batch N is read, never added, not answered", |a| match a {
        [batch] => Some(Fault::DropRequest { batch: n(batch)? }),
        _ => None,
    }),
    form("cut-upload", ":N", "the connection drops in the middle of batch N", |a| match a {
        [batch] => Some(Fault::CutUpload { batch: n(batch)? }),
        _ => None,
    }),
    form("late", ":N:SECONDS", "batch N is added so much later, not answered", |a| match a {
        [batch, seconds] => Some(Fault::Late { batch: n(batch)?, seconds: seconds.parse().ok()? }),
        _ => None,
    }),
    form("gateway", ":N", "batch N is added, a 504 page is the answer", |a| match a {
        [batch] => Some(Fault::Gateway { batch: n(batch)? }),
        _ => None,
    }),
    form(
        "status",
        ":CALL:N:STATUS[:RETRY-AFTER]",
        "a page with this status, nothing done",
        read_status,
    ),
    form("refuse", ":CALL:N:CODE", "an error of the service, nothing done", |a| match a {
        [call, nth, code] => {
            Some(Fault::Refuse { call: Call::read(call)?, nth: n(nth)?, code: word(code)? })
        }
        _ => None,
    }),
    form("expire-session", ":N", "the session ends before request N", |a| match a {
        [request] => Some(Fault::ExpireSession { request: n(request)? }),
        _ => None,
    }),
    form("cut-result", ":N:BYTES", "result N breaks off after so many bytes", |a| match a {
        [result, bytes] => {
            Some(Fault::CutResult { result: n(result)?, bytes: bytes.parse().ok()? })
        }
        _ => None,
    }),
    form("short-result", ":N", "result N lacks its last row", |a| match a {
        [result] => Some(Fault::ShortResult { result: n(result)? }),
        _ => None,
    }),
    form("fail-batch", ":N[:CODE]", "batch N fails, InternalServerError or CODE", |a| match a {
        [batch] => Some(Fault::FailBatch { batch: n(batch)?, code: "InternalServerError".into() }),
        [batch, code] => Some(Fault::FailBatch { batch: n(batch)?, code: word(code)? }),
        _ => None,
    }),
    form("half-fail-batch", ":N", "batch N fails after half of its rows", |a| match a {
        [batch] => Some(Fault::HalfFailBatch { batch: n(batch)? }),
        _ => None,
    }),
    form("lock-failure", ":N", "every second row of batch N is locked", |a| match a {
        [batch] => Some(Fault::LockFailure { batch: n(batch)? }),
        _ => None,
    }),
    form("list-twice", ":N", "list N of batches has the last one twice", |a| match a {
        [list] => Some(Fault::ListTwice { list: n(list)? }),
        _ => None,
    }),
    form("missing-from-list", ":N", "list N of batches lacks the last one", |a| match a {
        [list] => Some(Fault::MissingFromList { list: n(list)? }),
        _ => None,
    }),
    form("quota", ":N", "batch N and all later ones exceed the quota", |a| match a {
        [batch] => Some(Fault::Quota { batch: n(batch)? }),
        _ => None,
    }),
    form("slow", ":MILLISECONDS", "every answer takes so long", |a| match a {
        [milliseconds] => Some(Fault::Slow { milliseconds: milliseconds.parse().ok()? }),
        _ => None,
    }),
];

fn read_status(arguments: &[&str]) -> Option<Fault> {
    let (call, nth, status, retry_after) = match arguments {
        [call, nth, status] => (call, nth, status, None),
        [call, nth, status, retry_after] => (call, nth, status, Some(retry_after.parse().ok()?)),
        _ => return None,
    };
    let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
    Some(Fault::Status { call: Call::read(call)?, nth: n(nth)?, status, retry_after })
}

impl Fault {
    /// All faults as the command takes them, a line for each.
    pub fn help() -> String {
        let mut help = String::new();
        for Form { name, arguments, help: line, .. } in &FORMS {
            let _ = writeln!(help, "  {:<36}{line}", format!("{name}{arguments}"));
        }
        let calls = Call::NAMES.map(|(_, name)| name).join(", ");
        let _ = write!(help, "N counts from 1. CALL is one of {calls}.");
        help
    }

    /// Which requests it counts, and how many of them come until it is its turn; `None` if it is
    /// not about single requests.
    pub(crate) fn turn(&self) -> Option<(Counted, u32)> {
        Some(match self {
            Self::LoseAnswer { batch }
            | Self::DropRequest { batch }
            | Self::CutUpload { batch }
            | Self::Late { batch, .. }
            | Self::Gateway { batch }
            | Self::FailBatch { batch, .. }
            | Self::HalfFailBatch { batch }
            | Self::LockFailure { batch }
            | Self::Quota { batch } => (Counted::Calls(Call::Batch), *batch),
            Self::LoseCreate => (Counted::Calls(Call::Create), 1),
            Self::LoseClose => (Counted::Calls(Call::Close), 1),
            Self::LoseAbort => (Counted::Calls(Call::Abort), 1),
            Self::Status { call, nth, .. } | Self::Refuse { call, nth, .. } => {
                (Counted::Calls(*call), *nth)
            }
            Self::ExpireSession { request } => (Counted::Calls(Call::Any), *request),
            Self::CutResult { result, .. } | Self::ShortResult { result } => {
                (Counted::Calls(Call::Result), *result)
            }
            Self::ListTwice { list } | Self::MissingFromList { list } => (Counted::Lists, *list),
            Self::Slow { .. } => return None,
        })
    }
}

/// What a fault counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Calls(Call),
    /// Lists of batches, which are polls among others.
    Lists,
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let Some(form) = FORMS.iter().find(|form| form.name == name) else {
            let names = FORMS.map(|form| form.name).join(", ");
            let shown: String = name.chars().take(40).collect();
            return Err(UnknownFault(format!("no fault is named {shown:?}; there are {names}")));
        };
        let arguments: Vec<&str> = parts.collect();
        (form.read)(&arguments)
            .ok_or_else(|| UnknownFault(format!("this fault is written {name}{}", form.arguments)))
    }
}

impl fmt::Display for Fault {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoseAnswer { batch } => write!(f, "lose-answer:{batch}"),
            Self::LoseCreate => f.write_str("lose-create"),
            Self::LoseClose => f.write_str("lose-close"),
            Self::LoseAbort => f.write_str("lose-abort"),
            Self::DropRequest { batch } => write!(f, "drop-request:{batch}"),
            Self::CutUpload { batch } => write!(f, "cut-upload:{batch}"),
            Self::Late { batch, seconds } => write!(f, "late:{batch}:{seconds}"),
            Self::Gateway { batch } => write!(f, "gateway:{batch}"),
            Self::Status { call, nth, status, retry_after } => {
                write!(f, "status:{call}:{nth}:{status}")?;
                retry_after.map_or(Ok(()), |seconds| write!(f, ":{seconds}"))
            }
            Self::Refuse { call, nth, code } => write!(f, "refuse:{call}:{nth}:{code}"),
            Self::ExpireSession { request } => write!(f, "expire-session:{request}"),
            Self::CutResult { result, bytes } => write!(f, "cut-result:{result}:{bytes}"),
            Self::ShortResult { result } => write!(f, "short-result:{result}"),
            Self::FailBatch { batch, code } => write!(f, "fail-batch:{batch}:{code}"),
            Self::HalfFailBatch { batch } => write!(f, "half-fail-batch:{batch}"),
            Self::LockFailure { batch } => write!(f, "lock-failure:{batch}"),
            Self::ListTwice { list } => write!(f, "list-twice:{list}"),
            Self::MissingFromList { list } => write!(f, "missing-from-list:{list}"),
            Self::Quota { batch } => write!(f, "quota:{batch}"),
            Self::Slow { milliseconds } => write!(f, "slow:{milliseconds}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        for form in &FORMS {
            let arguments = form.arguments.replace(['[', ']'], "");
            let arguments = arguments.replace("STATUS", "503").replace("RETRY-AFTER", "30");
            let arguments = arguments.replace("CALL", "poll").replace("CODE", "Timeout");
            let text = arguments.replace("MILLISECONDS", "5").replace("SECONDS", "90");
            let text = format!("{}{}", form.name, text.replace("BYTES", "100").replace(":N", ":2"));
            let fault: Fault = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(fault.to_string(), text);
        }
        assert_eq!("lose-answer:2".parse(), Ok(Fault::LoseAnswer { batch: 2 }));
        let status = Fault::Status { call: Call::Any, nth: 1, status: 429, retry_after: None };
        assert_eq!("status:any:1:429".parse(), Ok(status));
    }

    #[test]
    fn what_is_no_fault_is_told_how_to_be_one() {
        let told = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
        assert!(told("lose").starts_with("no fault is named \"lose\"; there are lose-answer, "));
        for bad in ["late", "late:1", "late:0:1", "late:1:x", "late:1:2:3"] {
            assert_eq!(told(bad), "this fault is written late:N:SECONDS");
        }
        for bad in ["status:any:1:200", "status:all:1:500", "refuse:any:1:a b", "lose-create:1"] {
            assert!(told(bad).starts_with("this fault is written "), "{bad}");
        }
    }
}
