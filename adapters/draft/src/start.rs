use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sfbulk::{Bounds, Checkpoint, Error, ErrorKind, Job, Spec, Syntax};

use crate::kept::Kept;

/// A run about to start: what it is to do, and which file keeps its checkpoint, if one does.
#[derive(Debug)]
pub struct Start {
    /// What it is to do. A run that is resumed does what its checkpoint says.
    pub spec: Spec,
    /// Has it [leave](Job::leave_after) after so long.
    pub leave_after: Option<Duration>,
    /// Has it look at the org's allowances for so many batches [first](Job::preflight).
    pub preflight: Option<u64>,
    file: Option<CheckpointFile>,
    earlier: Option<Checkpoint>,
}

impl Start {
    /// A new run, without a checkpoint.
    pub fn new(spec: Spec) -> Self {
        Self { spec, leave_after: None, preflight: None, file: None, earlier: None }
    }

    /// A new run, whose checkpoint is kept in this file.
    ///
    /// Fails with [`ErrorKind::Usage`] if the name is taken: an unfinished run may need the file.
    pub fn checkpoint_to(self, name: &Path) -> Result<Self, Error> {
        let kept = Kept::create(name).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::new(
                ErrorKind::Usage,
                format!("{} is there already, of a run that has not ended well", name.display()),
            )
            .advise("go on with that run by resume_from, or remove the file to forget it"),
            _ => unusable(name, &error),
        })?;
        let file = CheckpointFile { name: name.to_owned(), kept };
        Ok(Self { file: Some(file), earlier: None, ..self })
    }

    /// The run whose checkpoint this file has. It is kept there on.
    ///
    /// Fails with [`ErrorKind::Usage`] if that run does something else: another operation, object,
    /// external id or format, another query.
    pub fn resume_from(self, name: &Path) -> Result<Self, Error> {
        let (kept, content) = Kept::open(name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::new(ErrorKind::Local, format!("there is no checkpoint {}", name.display()))
                    .advise(
                        "its run has ended well, or it never created a job: only then begin again, \
                         with checkpoint_to",
                    )
            }
            _ => unusable(name, &error),
        })?;
        let earlier: Checkpoint = serde_json::from_slice(&content).map_err(|error| {
            let message = format!("{} is no checkpoint, or is damaged: {error}", name.display());
            Error::new(ErrorKind::Local, message)
        })?;
        if task(earlier.spec()) != task(&self.spec) {
            let (operation, object) = (earlier.spec().operation(), earlier.spec().object());
            let message = format!(
                "{} is the checkpoint of another run, {operation} of {object}: the operation, the \
                 object, the external id, the format, the query, or something else that the job is told \
                 is not the same",
                name.display()
            );
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let file = CheckpointFile { name: name.to_owned(), kept };
        Ok(Self { file: Some(file), earlier: Some(earlier), ..self })
    }

    /// Fails with [`ErrorKind::Usage`] unless a CSV text can be loaded as it is.
    pub fn takes_csv(&self) -> Result<(), Error> {
        if self.spec.syntax() == Syntax::Csv && !self.spec.is_zip() {
            return Ok(());
        }
        let message = "a CSV text can be loaded as it is by a CSV job only";
        Err(Error::new(ErrorKind::Usage, message)
            .advise("leave out the content type, or decode the text and load its rows"))
    }

    /// Fails with [`ErrorKind::Usage`] if rows alone are not what the job takes.
    pub fn takes_rows(&self) -> Result<(), Error> {
        if !self.spec.is_zip() {
            return Ok(());
        }
        let message = "a job of archives takes rows together with the files that they name";
        Err(Error::new(ErrorKind::Usage, message)
            .advise("load them by files, which is told where the files are"))
    }

    /// The machine of the run, and the file of its checkpoint.
    pub fn job(self) -> Result<(Job, Option<CheckpointFile>), Error> {
        let mut job = match self.earlier {
            Some(earlier) => Job::resume(earlier)?,
            None => Job::new(self.spec)?,
        };
        if let Some(wait) = self.leave_after {
            job.leave_after(wait);
        }
        if let Some(batches) = self.preflight {
            job.preflight(batches);
        }
        Ok((job, self.file))
    }
}

/// The file in which a run keeps its checkpoint. Dropping it leaves it for
/// [`Start::resume_from`].
#[derive(Debug)]
pub struct CheckpointFile {
    name: PathBuf,
    kept: Kept,
}

impl CheckpointFile {
    /// Stores a checkpoint in place of the last one. It is on the disk when this returns.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let content = serde_json::to_vec(checkpoint).map_err(io::Error::from);
        content.and_then(|content| self.kept.save(&content)).map_err(|error| {
            let message = format!("{} cannot be stored: {error}", self.name.display());
            Error::new(ErrorKind::Local, message)
                .advise("no more rows are sent; resume_from goes on with what was stored before")
        })
    }

    /// The run has ended well: nobody needs it any more.
    pub fn remove(self) -> Result<(), Error> {
        let Self { name, kept } = self;
        kept.remove().map_err(|error| {
            let message = format!("{} cannot be removed: {error}", name.display());
            Error::new(ErrorKind::Local, message)
                .advise("the run has ended well all the same: remove it by hand")
        })
    }
}

fn unusable(name: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Local, format!("{} can keep no checkpoint: {error}", name.display()))
}

/// What a run is to do, without how: two runs that differ in nothing else may go on for each other.
fn task(spec: &Spec) -> Spec {
    let how = spec.clone().version("").seed(0).record().serial().bounds(Bounds::default());
    how.gzip(true).client("any")
}
