//! A file for a query's rows, written by threads of a pool: a disk may keep its writer waiting, and
//! no task of the application should wait with it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use blocking::{Task, unblock};
use sfbulk::Syntax;
use sfbulk::rows::{Rows, Text};
use sfbulk_draft::Draft;

/// Creates the draft of a file.
pub(crate) async fn create(name: &Path) -> io::Result<Draft> {
    let name = name.to_owned();
    unblock(move || Draft::create(&name)).await
}

/// Gives the file its name.
pub(crate) async fn publish(draft: Draft) -> io::Result<()> {
    unblock(move || draft.publish()).await
}

/// Writes pages, one at a time: while one is on its way to the disk, the next one comes.
///
/// It has a handle of its own to the file, and the draft stays with whoever waits: so dropping both
/// removes the file at once, even if a thread is still writing into it.
pub(crate) struct Writer(Task<io::Result<(File, Text)>>);

impl Writer {
    pub(crate) fn new(draft: &Draft, syntax: Syntax) -> io::Result<Self> {
        let file = draft.file().try_clone()?;
        Ok(Self(unblock(move || Ok((file, Text::new(syntax))))))
    }

    /// Begins to write a page, once the one before is written.
    pub(crate) async fn write(&mut self, rows: Rows) -> io::Result<()> {
        let (mut file, mut text) = (&mut self.0).await?;
        self.0 = unblock(move || {
            text.pieces(&rows).into_iter().try_for_each(|piece| file.write_all(piece))?;
            Ok((file, text))
        });
        Ok(())
    }

    /// Writes what is left when there are no more pages, and brings all to the disk. That takes
    /// longest, so it is done here, while dropping still removes the draft.
    pub(crate) async fn end(self, columns: Option<Vec<&str>>) -> io::Result<()> {
        let (mut file, text) = self.0.await?;
        let end = text.end(columns);
        unblock(move || file.write_all(end.as_bytes()).and_then(|()| file.sync_all())).await
    }
}
