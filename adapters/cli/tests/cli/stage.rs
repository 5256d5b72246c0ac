//! A folder, an environment, and the binary run in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::wire::{Script, Wire};

pub(crate) const SESSION: &str = "00D5g000007Org1!AQ4AQsecret";

/// A folder to run in, and a server to talk to.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: TempDir,
    /// Where journals are kept.
    state: TempDir,
    pub(crate) wire: Wire,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran =
            Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!format!("{ran:?}").contains("secret"), "a secret was printed: {ran:?}");
        ran
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(Script::default())
    }

    pub(crate) fn with(script: Script) -> Self {
        let new = || TempDir::new().unwrap();
        Self { folder: new(), state: new(), wire: Wire::start(script) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), content).unwrap();
        self
    }

    /// The binary, in the folder, with the server's session.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sfbulk"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY"];
        for name in ["SFBULK_ORG", "SF_INSTANCE_URL", "SF_TARGET_ORG"].iter().chain(&proxies) {
            command.env_remove(name);
        }
        command.env("XDG_STATE_HOME", self.state.path()).env("HOME", self.state.path());
        command.env("SF_ACCESS_TOKEN", SESSION).env("SF_ORG_INSTANCE_URL", &self.wire.url);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    pub(crate) fn run_with_stdin(&self, args: &[&str], input: &str) -> Ran {
        let mut child = self.spawn(self.command(args).stdin(Stdio::piped()));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    #[allow(clippy::unused_self)] // a stage runs things
    pub(crate) fn spawn(&self, command: &mut Command) -> Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The journals of runs that are not over.
    pub(crate) fn journals(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state.path().join("sfbulk")).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
    }

    /// Where journals are kept.
    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path: &Path = &self.path(name);
        fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}; {:?}", self.names()))
    }
}
