//! A practice org on loopback and accounts for it, for the tests of the front doors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sfbulk::rows::Limits;
use sfbulk::{Error, Session};
use sfbulk_org::{Config, Org, Server, serve};

use crate::built::built;

/// An account to be loaded.
#[derive(Clone, Debug, Serialize)]
pub struct NewAccount {
    /// A name; the org refuses an empty one.
    #[serde(rename = "Name")]
    pub name: String,
}

/// An account that [`SOQL`] finds.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Account {
    #[serde(rename = "Id")]
    pub id: String,
    #[serde(rename = "Name")]
    pub name: String,
    #[serde(rename = "BillingCity")]
    pub city: Option<String>,
}

/// All accounts, in the order of their names.
pub const SOQL: &str = "SELECT Id, Name, BillingCity FROM Account ORDER BY Name";

/// Seven accounts in the order of their names, as CSV.
pub const SEVEN: &str =
    "Name,BillingCity\na,Rome\nb,\"Oslo\"\nc,\n\"d, \"\"e\"\"\",Bern\nf,\ng,\nh,Bonn\n";

/// An org that answers quickly and puts few rows into a file.
pub fn org() -> Arc<Server> {
    let config = Config::new().latency(Duration::from_millis(5)).result_rows(4);
    Arc::new(serve(Org::in_memory_with(config).unwrap(), 0).unwrap())
}

/// The org's session of the moment.
pub fn session(server: &Server) -> Result<Session, Error> {
    Session::new(&server.url(), server.session())
}

/// The command in a folder, with the org's session and nothing else of this machine's.
pub fn command(server: &Server, folder: &Path, args: &[&str]) -> Command {
    static COMMAND: LazyLock<PathBuf> =
        LazyLock::new(|| built("sfbulk-cli", &["--bin", "sfbulk"]).join("sfbulk"));
    let mut command = Command::new(&*COMMAND);
    for name in ["SFBULK_ORG", "SF_INSTANCE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("SF_ORG_INSTANCE_URL", server.url())
        .env("SF_ACCESS_TOKEN", server.session());
    command
}

/// Small batches, so that a few rows are several of them.
pub fn small() -> Limits {
    Limits { records: 3, ..Limits::default() }
}

/// Accounts of these names.
pub fn accounts(names: &[&str]) -> Vec<NewAccount> {
    names.iter().map(|&name| NewAccount { name: name.into() }).collect()
}

/// The names in a folder, in their order.
pub fn names(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|e| name(e.unwrap())).collect();
    names.sort();
    names
}

/// Names that no file can have, in a folder that holds a file named `file`: a folder's, one that can
/// only be a folder's, one in a folder that is not there, and one in what is no folder.
pub fn impossible(folder: &Path) -> [PathBuf; 4] {
    [folder.to_owned(), folder.join("new/"), folder.join("new/file"), folder.join("file/file")]
}
