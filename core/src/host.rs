//! What an application brings to a run.

use crate::call::Page;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, ErrorInfo};
use crate::rows::Batch;
use crate::session::Session;
use crate::step::{Ask, Note, Summary};

/// Where a run's rows come from and go to, and how to log in: what a plain loop needs to perform
/// the steps that are no requests. An error of any of these stops the run.
pub trait Host {
    /// The next batch of rows, beginning with row [`Ask::from`]; `None` if there are no more.
    fn batch(&mut self, ask: Ask) -> Result<Option<Batch>, Error>;
    /// Rows or outcomes. The outcomes of different batches come in any order; see
    /// [`InOrder`](crate::rows::InOrder).
    fn page(&mut self, page: Page) -> Result<(), Error>;
    /// A session; with what the org said of the last one, if it did not accept it.
    fn login(&mut self, expired: Option<&ErrorInfo>) -> Result<Session, Error>;
    /// Something happened that people may want to know.
    fn note(&mut self, _note: Note, _summary: &Summary) -> Result<(), Error> {
        Ok(())
    }
    /// Whether the run is to be [aborted](crate::Job::abort): asked at every turn of the loop. A
    /// loop that waits does not turn, so whoever wants an abort has to wake it.
    fn aborts(&mut self) -> bool {
        false
    }
    /// Whether the run is to be [left](crate::Job::leave), asked in the same way.
    fn leaves(&mut self) -> bool {
        false
    }
    /// The run's [`checkpoint`](crate::Job::checkpoint) is worth storing now. It must be on the disk
    /// when this returns: a job was created, perhaps, whose batches nobody could find without it.
    fn save(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }
}
