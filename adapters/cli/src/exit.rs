//! How the command ends: a number for scripts, a line for people.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use sfbulk::{Error, ErrorKind, Plain};

/// The exit codes, as the help promises them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Finished, and every row is good.
    Good = 0,
    /// The operation failed.
    Failed = 1,
    /// Something is wrong with what was asked or given; nothing was sent.
    NothingSent = 2,
    /// Finished, but not every row was loaded.
    RowsFailed = 3,
    /// Left before its end, as was asked for; it can be resumed.
    Unfinished = 4,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why the command cannot do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    /// The rows nobody else has, and where they are now.
    pub(crate) kept: Option<(u64, PathBuf)>,
}

impl Failure {
    /// What was asked cannot be, and nothing was sent.
    pub(crate) fn nothing_sent(message: impl Into<String>) -> Self {
        Self { exit: Exit::NothingSent, message: message.into(), kept: None }
    }

    /// What was asked cannot be done, although nothing is wrong with it.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into(), kept: None }
    }

    /// The rows are in this file now.
    pub(crate) fn keeps(self, rows: u64, path: PathBuf) -> Self {
        Self { kept: Some((rows, path)), ..self }
    }

    /// Puts the file it is about before the message.
    pub(crate) fn of_file(self, name: &str) -> Self {
        Self { message: format!("{name}: {}", self.message), ..self }
    }
}

impl From<Error> for Failure {
    /// For errors from before the first request.
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Usage | ErrorKind::Input | ErrorKind::Local => Exit::NothingSent,
            _ => Exit::Failed,
        };
        Self { exit, message: error.to_string(), kept: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(&self.message))
    }
}

/// An I/O error in words; those that people meet every day without the system's number.
pub(crate) fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "this is a folder".into(),
        std::io::ErrorKind::NotADirectory => "a part of this path is no folder".into(),
        std::io::ErrorKind::StorageFull => "the disk is full".into(),
        _ => error.to_string(),
    }
}
