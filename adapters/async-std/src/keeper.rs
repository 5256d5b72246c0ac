//! The file of a run's checkpoint, written by threads of a pool.

use std::path::Path;
use std::task::{Context, Poll, ready};

use blocking::{Task, unblock};
use futures_lite::FutureExt;
use sfbulk::{Checkpoint, Error};
use sfbulk_draft::{CheckpointFile, Start};

/// Has a checkpoint kept in a new file.
pub(crate) async fn checkpoint_to(start: Start, name: &Path) -> Result<Start, Error> {
    let name = name.to_owned();
    unblock(move || start.checkpoint_to(&name)).await
}

/// Takes up the run whose checkpoint a file has.
pub(crate) async fn resume_from(start: Start, name: &Path) -> Result<Start, Error> {
    let name = name.to_owned();
    unblock(move || start.resume_from(&name)).await
}

/// What a thread gives back: the file, unless it was removed, and what came of it.
type Done = (Option<CheckpointFile>, Result<(), Error>);

/// Keeps the checkpoint of a run that has a file for it.
pub(crate) struct Keeper {
    /// Not there while a thread has it, and no longer there once it was removed.
    file: Option<CheckpointFile>,
    under_way: Option<Task<Done>>,
}

impl Keeper {
    pub(crate) fn new(file: Option<CheckpointFile>) -> Self {
        Self { file, under_way: None }
    }

    /// Begins to store a checkpoint.
    pub(crate) fn save(&mut self, checkpoint: impl FnOnce() -> Checkpoint) {
        if let Some(mut file) = self.file.take() {
            let checkpoint = checkpoint();
            self.under_way = Some(unblock(move || {
                let saved = file.save(&checkpoint);
                (Some(file), saved)
            }));
        }
    }

    /// Begins to remove the file: its run has ended well.
    pub(crate) fn remove(&mut self) {
        if let Some(file) = self.file.take() {
            self.under_way = Some(unblock(move || (None, file.remove())));
        }
    }

    /// Leaves the file, for whoever resumes the run.
    pub(crate) fn leave(&mut self) {
        self.file = None;
    }

    /// Waits until what was begun is done.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(under_way) = &mut self.under_way else { return Poll::Ready(Ok(())) };
        let (file, result) = ready!(under_way.poll(cx));
        *self = Self::new(file);
        Poll::Ready(result)
    }
}
