//! The practice org: kept in a file below the current folder, served on this machine only.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use sfbulk_org::{Config, Fault, Org, Server};

use crate::exit::{Exit, Failure, in_words};
use crate::output;

const FOLDER: &str = ".sfbulk";
const FILE: &str = ".sfbulk/practice.db";

/// `sfbulk practice serve`: for any client that speaks the Bulk API.
pub(crate) fn serve(port: u16, faults: Vec<Fault>) -> Result<Exit, Failure> {
    let server = Arc::new(start(Path::new(""), port)?);
    let (url, session) = (server.url(), server.session());
    let armed: Vec<_> = faults.iter().map(|fault| format!("fault    {fault}\n")).collect();
    let armed = armed.concat();
    for fault in faults {
        server.fault(fault);
    }
    let closing = Arc::clone(&server);
    ctrlc::set_handler(move || closing.shutdown())
        .map_err(|error| Failure::nothing_sent(format!("Ctrl-C cannot be watched: {error}")))?;
    let told = writeln!(
        io::stdout(),
        "practice org in ./{FILE}, until Ctrl-C\n\
         address  {url}\n\
         session  {session}\n\
         {armed}\n\
         export SF_ORG_INSTANCE_URL='{url}' SF_ACCESS_TOKEN='{session}'"
    );
    told.and_then(|()| io::stdout().flush()).ok(); // it serves whether or not somebody reads this
    server.wait();
    Ok(Exit::Good)
}

/// Opens the org of a folder, a new one if there is none, and serves it.
pub(crate) fn start(folder: &Path, port: u16) -> Result<Server, Failure> {
    let file = folder.join(FILE);
    let of_file = |failure: Failure| failure.of_file(&file.display().to_string());
    prepare(folder, &file).map_err(|error| of_file(Failure::nothing_sent(in_words(&error))))?;
    let org = Org::open_with(&file, config())
        .map_err(|error| of_file(Failure::nothing_sent(error.to_string())))?;
    sfbulk_org::serve(org, port).map_err(|error| {
        let message = format!("the practice org cannot be served: {}", in_words(&error));
        Failure::nothing_sent(message)
    })
}

/// The files of a query's result are read into memory one at a time: small ones keep it small.
fn config() -> Config {
    // People who practise mean the days they live in.
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Config::new().result_rows(50_000).epoch(today)
}

/// Makes the folder and the file, both for their owner only: people practise with real data.
fn prepare(folder: &Path, file: &Path) -> io::Result<()> {
    output::private_folder(&folder.join(FOLDER))?;
    match output::create_new(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
