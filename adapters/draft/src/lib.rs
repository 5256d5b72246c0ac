//! The files that both front doors write, each whole whenever it has its name, and those they read.
//!
//! - [`Draft`]: a file that has its name only once it is whole (guarantee G4): a query's rows.
//! - [`Kept`]: a small file that is replaced as a whole, again and again, and belongs to one process
//!   at a time (guarantees G24, G25).
//! - [`Folder`]: files to be loaded, and nothing outside it; a [`FileSource`] packs them.
//! - [`Start`]: a run about to start, new or resumed, and the [`CheckpointFile`] that it keeps.
//!
//! Neither adapter may know the other, nor the core know files: so this is a crate of its own. It
//! blocks.
//!
//! ```
//! use std::io::Write;
//! use sfbulk_draft::{Draft, Kept};
//!
//! # let folder = tempfile::tempdir()?;
//! # let name = folder.path().join("accounts.csv");
//! let draft = Draft::create(&name)?;
//! draft.file().write_all(b"\"Id\"\n")?;
//! assert!(!name.exists());
//! draft.publish()?;
//! assert_eq!(std::fs::read(&name)?, b"\"Id\"\n");
//!
//! # let name = folder.path().join("run.checkpoint");
//! let mut kept = Kept::create(&name)?;
//! kept.save(b"one batch is sent")?;
//! drop(kept); // or the process was killed
//! let (mut kept, last) = Kept::open(&name)?;
//! assert_eq!(last, b"one batch is sent");
//! kept.save(b"two batches are sent")?;
//! kept.remove()?;
//! assert!(!name.exists());
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod disk;
mod draft;
mod files;
mod folder;
mod kept;
mod start;

pub use draft::Draft;
pub use files::FileSource;
pub use folder::Folder;
pub use kept::Kept;
pub use start::{CheckpointFile, Start};
