//! Orgs that the vendor's command, `sf`, is logged in to. It renews its sessions by itself, and is
//! asked by its own commands: its files are its own affair.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sfbulk::{Error, ErrorKind, Session};
use zeroize::Zeroizing;

/// What runs it.
const SF: &str = if cfg!(windows) { "sf.cmd" } else { "sf" };

/// What stands in place of a token since version 2.136.8.
const REDACTED: &str = "[REDACTED]";

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
/// [`ErrorKind::Login`] if it tells no session.
pub fn sf_session(org: &str) -> Result<Session, Error> {
    if org.is_empty() || org.starts_with('-') {
        return Err(Error::new(ErrorKind::Usage, format!("{org:?} is no name of an org")));
    }
    let shown: Shown = ask(&["org", "display"], org)?;
    let token = match shown.access_token {
        Some(token) if !token.starts_with(REDACTED) => token,
        _ => ask::<Token>(&["org", "auth", "show-access-token"], org)?.access_token,
    };
    if token.starts_with(REDACTED) {
        let message = format!("sf does not tell the access token of {org:?}");
        return Err(Error::new(ErrorKind::Login, message)
            .advise("update sf, or set SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL"));
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
    let output = Command::new(SF)
        .args(words)
        .args(["-o", org, "--json"])
        .env("NO_COLOR", "1")
        .env("FORCE_COLOR", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| no_command(&asked, &error))?;
    let printed = Zeroizing::new(output.stdout);
    if output.status.success() {
        let read = serde_json::from_slice::<Printed<T>>(&printed);
        return read.map(|printed| printed.result).map_err(|_| {
            let message = format!("what {asked:?} prints cannot be understood");
            Error::new(ErrorKind::Login, message).advise("update sf")
        });
    }
    // It says what is wrong in JSON, and in words on the other channel if it cannot.
    let why = serde_json::from_slice::<Failed>(&printed).map(|failed| failed.message);
    let why = why.unwrap_or_else(|_| String::from_utf8_lossy(&output.stderr).into_owned());
    let why: String = why.trim().chars().take(500).collect();
    Err(Error::new(ErrorKind::Usage, format!("{asked:?} failed: {why}"))
        .advise("sf org list names the orgs it knows, and sf org login web adds one"))
}

fn no_command(asked: &str, error: &io::Error) -> Error {
    let message = format!("{asked:?} cannot be run: {error}");
    Error::new(ErrorKind::Usage, message)
        .advise("install the Salesforce CLI, or set SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL")
}
