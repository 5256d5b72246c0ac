//! The journal of a run: what it takes to go on with it, should it be cut off.
//!
//! There is one file for each run that is not over, in `$XDG_STATE_HOME/sfbulk`, or else in
//! `~/.local/state/sfbulk`, for its owner only. It is on the disk before anything is sent, and goes
//! when the run is over. It holds what was asked for and the machine's checkpoint, but no record
//! and no session. What came from a pipe is kept beside it, since nobody else has it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{env, process};

use serde::{Deserialize, Serialize};
use sfbulk_draft::Kept;
use sfbulk_ureq::{Checkpoint, Error, ErrorKind, JobId};

use crate::exit::{Failure, in_words};
use crate::load::Plan;
use crate::org::Target;
use crate::output;
use crate::progress::complain;

/// The version written. Another one is refused: a guess could load rows twice.
const VERSION: u32 = 1;

/// The largest journal that is looked into. No larger one is ever kept.
const LARGEST: u64 = 64 << 20;

/// How a journal's name ends, and that of the input kept beside it.
const ENDING: &str = "json";
const INPUT: &str = "csv";

/// How the name of a journal's lock ends.
const LOCK: &str = "lock";

/// What a journal holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    version: u32,
    /// In seconds since 1970.
    begun: u64,
    pub(crate) org: Target,
    pub(crate) task: Task,
    pub(crate) checkpoint: Checkpoint,
}

/// What the machine does not know of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Load(Box<Plan>),
    Query {
        /// The file for the rows.
        output: PathBuf,
    },
}

impl Entry {
    pub(crate) fn new(org: Target, task: Task, checkpoint: Checkpoint) -> Self {
        Self { version: VERSION, begun: since_1970().as_secs(), org, task, checkpoint }
    }

    /// The job that names the result files, and by which people name the run.
    pub(crate) fn job(&self) -> Option<JobId> {
        self.checkpoint.jobs().next()
    }

    /// How long ago the run began.
    pub(crate) fn age(&self) -> Duration {
        since_1970().saturating_sub(Duration::from_secs(self.begun))
    }

    fn read(content: &[u8]) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(content).map_err(|error| error.to_string())?;
        match entry.version {
            VERSION => Ok(entry),
            other => Err(format!("it is of version {other}, not {VERSION}")),
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The journal of this process's run. Dropping it keeps it, if the run was about to start.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Nothing once the run is over.
    kept: Option<Kept>,
    /// Nothing before the run is about to start, and when it is over.
    entry: Option<Entry>,
}

impl Journal {
    /// Takes a name; there is no file yet.
    pub(crate) fn begin() -> Result<Self, Failure> {
        let folder = folder()?;
        let name = format!("{:013}-{}.{ENDING}", since_1970().as_millis(), process::id());
        let path = folder.join(name);
        let taken = output::private_folder(&folder)
            .and_then(|()| remove_left_over(&folder))
            .and_then(|()| Kept::create(&path));
        let kept = taken.map_err(|error| unusable(&folder, &in_words(&error)))?;
        Ok(Self { path, kept: Some(kept), entry: None })
    }

    /// A new file for what comes from a pipe.
    pub(crate) fn spool(&self) -> io::Result<(File, PathBuf)> {
        let path = self.path.with_extension(INPUT);
        Ok((output::create_new(&path)?, path))
    }

    /// Whether nothing of the run can have been sent yet.
    pub(crate) fn is_new(&self) -> bool {
        self.entry.is_none()
    }

    /// The run is about to start: from now on it can be resumed. One that goes on began before.
    pub(crate) fn store(&mut self, mut entry: Entry) -> Result<(), Failure> {
        entry.begun = self.entry.as_ref().map_or(entry.begun, |before| before.begun);
        let before = self.entry.replace(entry);
        self.write().map_err(|error| {
            self.entry = before; // it needs what came from a pipe, if there is one
            unusable(&self.path, &in_words(&error))
        })
    }

    /// Keeps the machine's checkpoint; it is on the disk when this returns.
    pub(crate) fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        if let Some(entry) = &mut self.entry {
            entry.checkpoint.clone_from(checkpoint);
        }
        self.write().map_err(|error| {
            let (path, why) = (self.path.display(), in_words(&error));
            Error::new(ErrorKind::Local, format!("the journal {path} cannot be written: {why}"))
                .advise("no more rows are sent; mend that, and sfbulk resume goes on")
        })
    }

    fn write(&mut self) -> io::Result<()> {
        let (Some(kept), Some(entry)) = (&mut self.kept, &self.entry) else { return Ok(()) };
        kept.save(&serde_json::to_vec(entry)?)
    }

    /// The run is over: nobody needs this any more.
    pub(crate) fn over(mut self) {
        self.entry = None; // what came from a pipe goes when this is dropped
        let removed = self.kept.take().map_or(Ok(()), Kept::remove);
        if let Err(error) = removed {
            let (path, why) = (self.path.display(), in_words(&error));
            complain(&format_args!("the run is over, but its journal {path} stays: {why}"));
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.entry.is_none() {
            output::remove(&self.path.with_extension(INPUT)).ok(); // a later run will try again
        }
    }
}

/// A run that is not over, as its journal tells.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) path: PathBuf,
    pub(crate) entry: Entry,
}

/// What comes of taking up a run.
#[derive(Debug)]
pub(crate) enum Taken {
    Here(Box<(Journal, Entry)>),
    /// The process that runs it is still there.
    Running,
    /// It came to its end just now.
    Over,
}

impl Run {
    /// All there are on this machine, the newest first.
    pub(crate) fn all() -> Result<Vec<Self>, Failure> {
        let folder = folder()?;
        let mut paths = match files(&folder, ENDING) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            paths => paths.map_err(|error| unusable(&folder, &in_words(&error)))?,
        };
        paths.sort(); // names begin with the time
        Ok(paths.into_iter().rev().filter_map(Self::read).collect())
    }

    /// What is no journal is told, and left out.
    fn read(path: PathBuf) -> Option<Self> {
        let mut content = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(LARGEST).read_to_end(&mut content));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None, // it is over just now
            Err(error) => left_out(&path, &in_words(&error)),
            Ok(_) => match Entry::read(&content) {
                Ok(entry) => Some(Self { path, entry }),
                Err(why) => left_out(&path, &why),
            },
        }
    }

    /// Whether this is the run people mean by a job's id, or the beginning of it. An id may have
    /// been told with 15 characters or with 18.
    pub(crate) fn is_meant_by(&self, job: &str) -> bool {
        let is_meant = |id: &str| id.starts_with(job) || job.starts_with(id);
        self.entry.checkpoint.jobs().any(|id| is_meant(id.as_str()))
    }

    /// Takes it up.
    pub(crate) fn take(&self) -> Result<Taken, Failure> {
        let failure = |why: &str| Failure::failed(format!("{}: {why}", self.path.display()));
        match Kept::open(&self.path) {
            Ok((kept, content)) => {
                let entry = Entry::read(&content).map_err(|why| failure(&why))?;
                let (path, kept) = (self.path.clone(), Some(kept));
                let journal = Journal { path, kept, entry: Some(entry.clone()) };
                Ok(Taken::Here(Box::new((journal, entry))))
            }
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(Taken::Running),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Taken::Over),
            Err(error) => Err(failure(&in_words(&error))),
        }
    }
}

fn left_out(path: &Path, why: &str) -> Option<Run> {
    complain(&format_args!("{} is not a journal of this sfbulk: {why}", path.display()));
    None
}

fn unusable(path: &Path, why: &str) -> Failure {
    Failure::nothing_sent(format!(
        "{}: no journal can be kept here: {why}; XDG_STATE_HOME names another place",
        path.display()
    ))
}

fn folder() -> Result<PathBuf, Failure> {
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(env::home_dir()?.join(".local/state")));
    state.map(|state| state.join("sfbulk")).ok_or_else(|| {
        Failure::nothing_sent("no journal can be kept: set HOME, or XDG_STATE_HOME to a folder")
    })
}

fn files(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    paths
        .filter(|path| {
            path.as_ref().is_ok_and(|path| path.extension().is_some_and(|end| end == ending))
        })
        .collect()
}

/// Removes what killed processes left of runs that never began, or were just over: locks, and what
/// came from a pipe.
fn remove_left_over(folder: &Path) -> io::Result<()> {
    for lock in files(folder, LOCK)? {
        // If there is no journal, and nobody is about to write one, its name can be had. Where there
        // is one, not even a moment is the lock taken from who may want to go on with it.
        let journal = lock.with_extension("");
        if !journal.exists()
            && let Ok(_taken) = Kept::create(&journal)
        {
            output::remove(&journal.with_extension(INPUT))?;
            output::remove(&lock.with_extension("partial"))?;
        }
    }
    Ok(())
}
