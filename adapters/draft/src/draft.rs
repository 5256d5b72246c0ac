use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{beside, new_file, refuse_folder, remove_if_there, sync_folder};

/// A file that is being written, as `<name>.partial` beside the name it is to have.
///
/// Dropping it removes it, unless it was published; a file that has the name stays as it is.
#[derive(Debug)]
pub struct Draft {
    name: PathBuf,
    partial: PathBuf,
    file: File,
    published: bool,
}

impl Draft {
    /// Creates the file, for its owner only (mode 0600), since it will hold people's data. One that
    /// was left over by a run that was killed is replaced.
    ///
    /// Fails with [`IsADirectory`](io::ErrorKind::IsADirectory) if the name is a folder's or can
    /// only be one, with [`InvalidInput`](io::ErrorKind::InvalidInput) if it is that of a device or
    /// a pipe, which cannot be replaced, and with [`ResourceBusy`](io::ErrorKind::ResourceBusy) if
    /// somebody is writing a draft of this name: else the first to be ready would publish the
    /// other's.
    pub fn create(name: &Path) -> io::Result<Self> {
        let name = Self::place(name)?;
        let partial = beside(&name, ".partial");
        remove_left_over(&partial)?;
        let file = new_file(&partial)?;
        file.try_lock().ok(); // where the file system has no locks there is no better answer
        Ok(Self { name, partial, file, published: false })
    }

    /// Where a file of this name is to be: where it leads if it is a link to a file, since links
    /// are written through, never replaced. Fails if no file can have it, as
    /// [`create`](Self::create) does.
    fn place(name: &Path) -> io::Result<PathBuf> {
        refuse_folder(name)?;
        match fs::canonicalize(name) {
            Ok(place) if !place.is_file() => {
                let message = "neither a file nor the name of one to be";
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
            Ok(place) => Ok(place),
            Err(_) => Ok(name.to_owned()),
        }
    }

    /// The file, to be written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file is whole. It is brought to the disk, and gets its name in place of a file that had
    /// it; then the folder is brought to the disk too, so that a power cut does not undo it.
    pub fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.name)?;
        self.published = true;
        sync_folder(&self.name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            fs::remove_file(&self.partial).ok(); // nothing more can be done about it
        }
    }
}

fn remove_left_over(partial: &Path) -> io::Result<()> {
    if let Ok(left_over) = File::open(partial)
        && let Err(TryLockError::WouldBlock) = left_over.try_lock()
    {
        let message = format!("{} is being written by somebody else", partial.display());
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
    }
    remove_if_there(partial)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::disk::names;

    #[test]
    fn a_draft_that_is_dropped_leaves_nothing_but_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("out.csv");
        drop(Draft::create(&name).unwrap());
        assert!(names(folder.path()).is_empty());
        fs::write(&name, "old").unwrap();
        let draft = Draft::create(&name).unwrap();
        draft.file().write_all(b"new").unwrap();
        assert_eq!(names(folder.path()), ["out.csv", "out.csv.partial"]);
        drop(draft);
        assert_eq!(names(folder.path()), ["out.csv"]);
        assert_eq!(fs::read(&name).unwrap(), b"old");
    }

    #[test]
    fn what_a_killed_run_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("out.csv");
        fs::write(folder.path().join("out.csv.partial"), "a long left-over").unwrap();
        let draft = Draft::create(&name).unwrap();
        draft.file().write_all(b"new").unwrap();
        draft.publish().unwrap();
        assert_eq!(
            (names(folder.path()), fs::read(&name).unwrap()),
            (vec!["out.csv".into()], b"new".into())
        );
    }

    #[test]
    fn two_drafts_of_one_name_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("out.csv");
        let first = Draft::create(&name).unwrap();
        first.file().write_all(b"first").unwrap();
        let error = Draft::create(&name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        first.publish().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"first");
        Draft::create(&name).unwrap().publish().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"");
    }

    #[test]
    fn only_a_file_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &Path| Draft::create(name).unwrap_err().kind();
        assert_eq!(refused(folder.path()), io::ErrorKind::IsADirectory);
        assert_eq!(refused(&folder.path().join("new/")), io::ErrorKind::IsADirectory);
        assert_eq!(refused(Path::new("")), io::ErrorKind::IsADirectory);
        assert_eq!(refused(&folder.path().join("new/out.csv")), io::ErrorKind::NotFound);
        assert!(names(folder.path()).is_empty());
        #[cfg(unix)]
        assert_eq!(refused(Path::new("/dev/null")), io::ErrorKind::InvalidInput);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_written_through_and_the_file_is_its_owners_alone() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (name, link) = (folder.path().join("out.csv"), folder.path().join("link"));
        fs::write(&name, "old").unwrap();
        symlink("out.csv", &link).unwrap();
        let draft = Draft::create(&link).unwrap();
        draft.file().write_all(b"new").unwrap();
        draft.publish().unwrap();
        assert_eq!(
            (fs::read(&name).unwrap(), names(folder.path())),
            (b"new".into(), vec!["link".into(), "out.csv".into()])
        );
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&name).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
