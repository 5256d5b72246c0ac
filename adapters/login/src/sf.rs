//! Orgs that the vendor's command, `sf`, is logged in to. It renews its sessions by itself, and is
//! asked by its own commands: its files are its own affair.

use std::env;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sfbulk::{Error, ErrorKind, Session};
use zeroize::Zeroizing;

/// What runs it.
const SF: &str = if cfg!(windows) { "sf.cmd" } else { "sf" };

/// How long it may take. It has to start, and perhaps to renew a session; one that waits longer waits
/// for a person or a network that is not there.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of what it prints is read, in bytes; an org is told in a few kilobytes.
const PRINTED: u64 = 1 << 20;

/// What stands in place of a token since version 2.136.8.
const REDACTED: &str = "[REDACTED]";

/// What to do if it tells no token.
const UNTOLD: &str = "update sf, or set SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL";

/// A session of the org that `sf` knows by this alias or user name. Waits for `sf`, which takes a
/// second or two each time; it has to be on the `PATH`.
///
/// ```no_run
/// let session = sfbulk_login::sf_session("my-sandbox")?;
/// // let org = sfbulk_ureq::Client::new(|| sfbulk_login::sf_session("my-sandbox"));
/// # Ok::<(), sfbulk::Error>(())
/// ```
///
/// From an async program, run it where waiting is allowed: `blocking::unblock`, say, or tokio's
/// `spawn_blocking`.
///
/// Fails with [`ErrorKind::Usage`] if there is no `sf`, or it knows no such org, and with
/// [`ErrorKind::Login`] if it tells no session, or has not ended within a minute.
pub fn sf_session(org: &str) -> Result<Session, Error> {
    if org.is_empty() || org.starts_with('-') {
        return Err(Error::new(ErrorKind::Usage, format!("{org:?} is no name of an org")));
    }
    let shown: Shown = ask(&["org", "display"], org)?;
    let token = match shown.access_token {
        Some(token) if !token.starts_with(REDACTED) => token,
        _ => {
            ask::<Token>(&["org", "auth", "show-access-token"], org)
                .map_err(|error| error.advise(UNTOLD))? // it knows the org, but not the command
                .access_token
        }
    };
    if token.starts_with(REDACTED) {
        let message = format!("sf does not tell the access token of {org:?}");
        return Err(Error::new(ErrorKind::Login, message).advise(UNTOLD));
    }
    Session::new(&shown.instance_url, token)
}

/// The org that `sf` uses if none is named, for somebody in this folder: `SF_TARGET_ORG`, else
/// `target-org` in the `.sf/config.json` of the project, which is the nearest folder with an
/// `sfdx-project.json`, this one or above it; else in the home folder's, else `defaultusername` in
/// its `.sfdx/sfdx-config.json`.
pub fn default_org(folder: &Path) -> Option<String> {
    let named = env::var("SF_TARGET_ORG").ok().filter(|name| !name.is_empty());
    let home: Option<PathBuf> =
        ["HOME", "USERPROFILE"].into_iter().find_map(env::var_os).map(PathBuf::from);
    named
        .or_else(|| target_org(folder.ancestors().find(|folder| is_project(folder))?))
        .or_else(|| home.as_deref().and_then(target_org))
        .or_else(|| setting(&home?.join(".sfdx/sfdx-config.json"), "defaultusername"))
}

fn is_project(folder: &Path) -> bool {
    folder.join("sfdx-project.json").exists()
}

fn target_org(folder: &Path) -> Option<String> {
    setting(&folder.join(".sf/config.json"), "target-org")
}

fn setting(file: &Path, name: &str) -> Option<String> {
    let settings: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    settings.get(name)?.as_str().filter(|value| !value.is_empty()).map(str::to_owned)
}

/// What `sf … --json` prints.
#[derive(Deserialize)]
struct Printed<T> {
    result: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    instance_url: String,
    access_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    access_token: String,
}

/// What it prints when it fails.
#[derive(Deserialize)]
struct Failed {
    message: String,
}

fn ask<T: DeserializeOwned>(words: &[&str], org: &str) -> Result<T, Error> {
    let asked = format!("sf {} -o {org}", words.join(" "));
    let mut command = Command::new(SF);
    command.args(words).args(["-o", org, "--json"]).env("NO_COLOR", "1").env("FORCE_COLOR", "0");
    let output = run(&mut command, PATIENCE).map_err(|error| no_command(&asked, &error))?;
    let printed = Zeroizing::new(output.stdout);
    if output.status.success() {
        let read = serde_json::from_slice::<Printed<T>>(json(&printed));
        return read.map(|printed| printed.result).map_err(|_| {
            let message = format!("what {asked:?} prints cannot be understood");
            Error::new(ErrorKind::Login, message).advise("update sf")
        });
    }
    // It says what is wrong in JSON, and in words on the other channel if it cannot.
    let why = serde_json::from_slice::<Failed>(json(&printed)).map(|failed| failed.message);
    let why = why.unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into_owned());
    let why: String = without_secrets(why.trim()).chars().take(500).collect();
    Err(Error::new(ErrorKind::Usage, format!("{asked:?} failed: {why}"))
        .advise("sf org list names the orgs it knows, and sf org login web adds one"))
}

/// Runs it to its end, but not for ever.
fn run(command: &mut Command, patience: Duration) -> io::Result<Output> {
    let end = Instant::now() + patience;
    let left = || end.saturating_duration_since(Instant::now());
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (told(child.stdout.take()), told(child.stderr.take()));
    if let (Ok(stdout), Ok(stderr)) = (stdout.recv_timeout(left()), stderr.recv_timeout(left())) {
        return Ok(Output { status: child.wait()?, stdout, stderr });
    }
    child.kill()?;
    child.wait()?;
    Err(io::ErrorKind::TimedOut.into())
}

/// What comes out of a pipe, once it is closed.
fn told(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        // One that breaks off has told what it had to tell; nobody listens after the end.
        pipe.map(|pipe| pipe.take(PRINTED).read_to_end(&mut text));
        send.send(text).ok();
    });
    receive
}

/// The JSON in what was printed: Node and plug-ins may warn before it.
fn json(printed: &[u8]) -> &[u8] {
    let line = printed.windows(2).position(|two| two == b"\n{").map_or(0, |end| end + 1);
    if printed.starts_with(b"{") { printed } else { &printed[line..] }
}

/// A text without what follows a `!`: the secret half of a session id.
fn without_secrets(text: &str) -> String {
    let mut secret = false;
    text.chars()
        .filter(|&c| {
            let hidden = secret && (c.is_ascii_alphanumeric() || "._-".contains(c));
            secret = hidden || c == '!';
            !hidden
        })
        .collect()
}

fn no_command(asked: &str, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::TimedOut {
        let message = format!("{asked:?} has not ended within {} s", PATIENCE.as_secs());
        return Error::new(ErrorKind::Login, message)
            .advise("run it by hand: it may be waiting for you, or for the network");
    }
    let message = format!("{asked:?} cannot be run: {error}");
    Error::new(ErrorKind::Usage, message)
        .advise("install the Salesforce CLI, or set SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended() {
        let begun = Instant::now();
        let error = run(Command::new("sleep").arg("600"), Duration::from_millis(50)).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(60), "it was not waited for");
        let told = no_command("sf org display", &error);
        assert_eq!(told.kind(), ErrorKind::Login);
        assert!(told.to_string().contains("run it by hand"), "{told}");
        let output = run(Command::new("echo").arg("x"), PATIENCE).unwrap();
        assert!(output.status.success() && output.stdout == b"x\n");
    }
}
