//! What can be made to go wrong, by name.
//!
//! A fault counts requests and never looks at a clock, and [`Chaos`](Fault::Chaos) draws from a
//! seed, so the same conversation goes wrong in the same way every time.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// Something that goes wrong, to be armed with [`Org::fault`](crate::Org::fault): once, but for
/// [`Quota`](Self::Quota), [`LateChunks`](Self::LateChunks), [`Slow`](Self::Slow) and
/// [`Chaos`](Self::Chaos), which stay.
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
    /// A request is read whole but never carried out; the connection is dropped without an answer.
    DropRequest { call: Call, nth: u32 },
    /// The connection is dropped in the middle of a batch, which is never added.
    CutUpload { batch: u32 },
    /// The connection is dropped without an answer, and so many seconds later the batch is added
    /// after all, if its job still takes one: something on the way had kept it.
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
    /// A chunk of a split query fails with this `exceptionCode`.
    FailChunk { chunk: u32, code: String },
    /// A query fails where this chunk would have been added; the chunks before it are run.
    FailSplit { chunk: u32 },
    /// The chunks of a split query are added so many seconds apart.
    LateChunks { seconds: u32 },
    /// A list of batches has its last batch twice.
    ListTwice { list: u32 },
    /// A list of batches lacks its last batch.
    MissingFromList { list: u32 },
    /// This batch and all after it are refused with `ExceededQuota`.
    Quota { batch: u32 },
    /// Every answer takes so long; see [`Org::delay`](crate::Org::delay).
    Slow { milliseconds: u32 },
    /// One request in sixteen goes wrong by chance, in one of the ways above that a client can make
    /// good by itself; no batch fails, and the session stays.
    Chaos { seed: u64 },
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
    /// A login, by whatever flow.
    Login,
    /// Whatever it is.
    Any,
}

impl Call {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Create, "create"),
        (Self::Batch, "batch"),
        (Self::Close, "close"),
        (Self::Abort, "abort"),
        (Self::Poll, "poll"),
        (Self::Result, "result"),
        (Self::Login, "login"),
        (Self::Any, "any"),
    ];
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

/// How a fault is written, what it does, and how its arguments are read.
struct Form(&'static str, &'static str, &'static str, fn(&mut Arguments<'_>) -> Option<Fault>);

const FORMS: [Form; 24] = [
    Form("lose-answer", ":N", "batch N is added, the answer never comes", |a| {
        Some(Fault::LoseAnswer { batch: a.nth()? })
    }),
    Form("lose-create", "", "a job is created, the answer never comes", |_| {
        Some(Fault::LoseCreate)
    }),
    Form("lose-close", "", "a job is closed, the answer never comes", |_| Some(Fault::LoseClose)),
    Form("lose-abort", "", "a job is aborted, the answer never comes", |_| Some(Fault::LoseAbort)),
    Form("drop-request", ":CALL:N", "read, never carried out, not answered", |a| {
        Some(Fault::DropRequest { call: a.call()?, nth: a.nth()? })
    }),
    Form("cut-upload", ":N", "the connection drops in the middle of batch N", |a| {
        Some(Fault::CutUpload { batch: a.nth()? })
    }),
    Form("late", ":N:SECONDS", "batch N is not answered, and added so much later", |a| {
        Some(Fault::Late { batch: a.nth()?, seconds: a.number()? })
    }),
    Form("gateway", ":N", "batch N is added, a 504 page is the answer", |a| {
        Some(Fault::Gateway { batch: a.nth()? })
    }),
    Form("status", ":CALL:N:STATUS[:RETRY-AFTER]", "a page with this status, nothing done", |a| {
        let (call, nth, status) = (a.call()?, a.nth()?, a.number()?);
        let retry_after = if a.is_empty() { None } else { Some(a.number()?) };
        (400..600).contains(&status).then_some(Fault::Status { call, nth, status, retry_after })
    }),
    Form("refuse", ":CALL:N:CODE", "an error of the service, nothing done", |a| {
        Some(Fault::Refuse { call: a.call()?, nth: a.nth()?, code: a.word()? })
    }),
    Form("expire-session", ":N", "the session ends before request N", |a| {
        Some(Fault::ExpireSession { request: a.nth()? })
    }),
    Form("cut-result", ":N:BYTES", "result N breaks off after so many bytes", |a| {
        Some(Fault::CutResult { result: a.nth()?, bytes: a.number()? })
    }),
    Form("short-result", ":N", "result N lacks its last row", |a| {
        Some(Fault::ShortResult { result: a.nth()? })
    }),
    Form("fail-batch", ":N[:CODE]", "batch N fails, InternalServerError or CODE", |a| {
        Some(Fault::FailBatch { batch: a.nth()?, code: a.code()? })
    }),
    Form("half-fail-batch", ":N", "batch N, of a load, fails after half its rows", |a| {
        Some(Fault::HalfFailBatch { batch: a.nth()? })
    }),
    Form("lock-failure", ":N", "every second row of batch N, of a load, is locked", |a| {
        Some(Fault::LockFailure { batch: a.nth()? })
    }),
    Form("fail-chunk", ":N[:CODE]", "chunk N fails, InternalServerError or CODE", |a| {
        Some(Fault::FailChunk { chunk: a.nth()?, code: a.code()? })
    }),
    Form("fail-split", ":N", "a query fails where chunk N would have been added", |a| {
        Some(Fault::FailSplit { chunk: a.nth()? })
    }),
    Form("late-chunks", ":SECONDS", "chunks are added so far apart", |a| {
        Some(Fault::LateChunks { seconds: a.number()? })
    }),
    Form("list-twice", ":N", "list N of batches has the last one twice", |a| {
        Some(Fault::ListTwice { list: a.nth()? })
    }),
    Form("missing-from-list", ":N", "list N of batches lacks the last one", |a| {
        Some(Fault::MissingFromList { list: a.nth()? })
    }),
    Form("quota", ":N", "batch N and all later ones exceed the quota", |a| {
        Some(Fault::Quota { batch: a.nth()? })
    }),
    Form("slow", ":MILLISECONDS", "every answer takes so long", |a| {
        Some(Fault::Slow { milliseconds: a.number()? })
    }),
    Form("chaos", ":SEED", "one request in sixteen goes wrong by chance", |a| {
        Some(Fault::Chaos { seed: a.number()? })
    }),
];

/// What follows the name of a fault, to be read one by one.
struct Arguments<'a>(std::iter::Peekable<std::str::Split<'a, char>>);

impl Arguments<'_> {
    fn is_empty(&mut self) -> bool {
        self.0.peek().is_none()
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    /// A count of requests.
    fn nth(&mut self) -> Option<u32> {
        self.number().filter(|n| *n > 0)
    }

    fn call(&mut self) -> Option<Call> {
        let text = self.0.next()?;
        Call::NAMES.iter().find(|(_, name)| *name == text).map(|(call, _)| *call)
    }

    /// What something fails with.
    fn code(&mut self) -> Option<String> {
        if self.is_empty() { Some("InternalServerError".into()) } else { self.word() }
    }

    /// A plain word, as codes are.
    fn word(&mut self) -> Option<String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let word = self.0.next().filter(|word| !word.is_empty() && word.bytes().all(plain));
        word.map(str::to_owned)
    }
}

impl Fault {
    /// All faults as the command takes them, a line for each.
    pub fn help() -> String {
        let mut help = String::new();
        for Form(name, arguments, line, _) in &FORMS {
            let _ = writeln!(help, "  {:<36}{line}", format!("{name}{arguments}"));
        }
        let calls = Call::NAMES.map(|(_, name)| name).join(", ");
        let _ = write!(
            help,
            "N counts from 1, as requests reach the org: --serial sends batches in the order of their rows. \
             CALL is one of {calls}."
        );
        help
    }

    /// Which requests it counts, and how many of them come until it is its turn; `None` if it is
    /// not about single requests.
    pub(crate) fn turn(&self) -> Option<(Counted, u32)> {
        Some(match self {
            Self::LoseAnswer { batch }
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
            Self::DropRequest { call, nth }
            | Self::Status { call, nth, .. }
            | Self::Refuse { call, nth, .. } => (Counted::Calls(*call), *nth),
            Self::ExpireSession { request } => (Counted::Calls(Call::Any), *request),
            Self::CutResult { result, .. } | Self::ShortResult { result } => {
                (Counted::Calls(Call::Result), *result)
            }
            Self::ListTwice { list } | Self::MissingFromList { list } => (Counted::Lists, *list),
            Self::FailChunk { chunk, .. } | Self::FailSplit { chunk } => (Counted::Chunks, *chunk),
            Self::LateChunks { .. } | Self::Slow { .. } | Self::Chaos { .. } => return None,
        })
    }
}

/// What a fault counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Calls(Call),
    /// Lists of batches, which are polls among others.
    Lists,
    /// Chunks, which nobody requests.
    Chunks,
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let Some(Form(_, form, _, read)) = FORMS.iter().find(|form| form.0 == name) else {
            let names = FORMS.map(|form| form.0).join(", ");
            let shown: String = name.chars().take(40).collect();
            return Err(UnknownFault(format!("no fault is named {shown:?}; there are {names}")));
        };
        let mut arguments = Arguments(parts.peekable());
        let fault = read(&mut arguments).filter(|_| arguments.is_empty());
        fault.ok_or_else(|| UnknownFault(format!("this fault is written {name}{form}")))
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
            Self::DropRequest { call, nth } => write!(f, "drop-request:{call}:{nth}"),
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
            Self::FailChunk { chunk, code } => write!(f, "fail-chunk:{chunk}:{code}"),
            Self::FailSplit { chunk } => write!(f, "fail-split:{chunk}"),
            Self::LateChunks { seconds } => write!(f, "late-chunks:{seconds}"),
            Self::ListTwice { list } => write!(f, "list-twice:{list}"),
            Self::MissingFromList { list } => write!(f, "missing-from-list:{list}"),
            Self::Quota { batch } => write!(f, "quota:{batch}"),
            Self::Slow { milliseconds } => write!(f, "slow:{milliseconds}"),
            Self::Chaos { seed } => write!(f, "chaos:{seed}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        for Form(name, arguments, ..) in &FORMS {
            let arguments = arguments.replace(['[', ']'], "");
            let arguments = arguments.replace("STATUS", "503").replace("RETRY-AFTER", "30");
            let arguments = arguments.replace("CALL", "poll").replace("CODE", "Timeout");
            let arguments = arguments.replace("SEED", "7");
            let text = arguments.replace("MILLISECONDS", "5").replace("SECONDS", "90");
            let text = format!("{name}{}", text.replace("BYTES", "100").replace(":N", ":2"));
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
