use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::disk::{beside, new_file, refuse_folder, remove_if_there, sync_folder};

/// The largest content, in bytes. A checkpoint has about 200 for each batch, and an org takes
/// 15,000 batches a day: this is for three weeks of them, and a stray file cannot fill the memory.
const LARGEST: usize = 64 << 20;

/// Tries to take a lock whose file goes away at that moment, because its holder is done.
const TRIES: usize = 16;

/// A small file that is replaced as a whole, and belongs to one process at a time.
///
/// Whoever reads it sees the content of one [`save`](Self::save), also after a power cut. Until the
/// first one there is no file. It is locked by `<name>.lock` beside it, and written as
/// `<name>.partial`; a killed process leaves the two behind, which is no obstacle to the next one,
/// since its lock is gone with it. Neither is written through a link.
///
/// Dropping it keeps the file and frees the lock.
#[derive(Debug)]
pub struct Kept {
    name: PathBuf,
    _lock: Lock,
}

impl Kept {
    /// Takes a name for a new file.
    ///
    /// Fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is one, or a link; with
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if somebody has it, and with
    /// [`IsADirectory`](io::ErrorKind::IsADirectory) if the name is a folder's or can only be one.
    /// Also fails where the file system has no locks.
    pub fn create(name: &Path) -> io::Result<Self> {
        let kept = Self::take(name)?;
        match fs::symlink_metadata(name) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(kept),
            Err(error) => Err(error),
        }
    }

    /// Takes the file that is there, and reads it.
    ///
    /// Fails with [`NotFound`](io::ErrorKind::NotFound) if there is none, with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is a link, a device or a pipe, with
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if it cannot have been saved here, and as
    /// [`create`](Self::create) does.
    pub fn open(name: &Path) -> io::Result<(Self, Vec<u8>)> {
        let kept = Self::take(name)?;
        refuse_link(&fs::symlink_metadata(name)?)?;
        let mut content = Vec::new();
        File::open(name)?.take(LARGEST as u64 + 1).read_to_end(&mut content)?;
        refuse_large(&content)?;
        Ok((kept, content))
    }

    fn take(name: &Path) -> io::Result<Self> {
        refuse_folder(name)?;
        Ok(Self { name: name.to_owned(), _lock: Lock::take(beside(name, ".lock"))? })
    }

    /// Replaces the content. It is on the disk when this returns; if this fails, the content is the
    /// new one or still the old one.
    pub fn save(&mut self, content: &[u8]) -> io::Result<()> {
        refuse_large(content)?;
        let partial = beside(&self.name, ".partial");
        remove_if_there(&partial)?;
        let mut file = new_file(&partial)?;
        let saved = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&partial, &self.name));
        if saved.is_err() {
            fs::remove_file(&partial).ok(); // the first error is the one to tell
        }
        saved.and_then(|()| sync_folder(&self.name))
    }

    /// Removes the file: nobody needs it any more.
    pub fn remove(self) -> io::Result<()> {
        remove_if_there(&self.name)?;
        sync_folder(&self.name)
    }
}

fn refuse_large(content: &[u8]) -> io::Result<()> {
    if content.len() <= LARGEST {
        return Ok(());
    }
    let message = format!("more than {LARGEST} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
}

fn refuse_link(named: &Metadata) -> io::Result<()> {
    if named.is_file() {
        return Ok(());
    }
    let message = "a link or no plain file; neither is followed";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// A lock on a file, which goes away with its holder, killed or not. Its name goes too, unless the
/// holder was killed.
#[derive(Debug)]
struct Lock {
    name: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock, if nobody has it. Its file may go away between opening and locking, because
    /// the holder was just done; a lock on a file without a name keeps nobody out, so it is taken
    /// again.
    fn take(name: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        for _ in 0..TRIES {
            if let Ok(named) = fs::symlink_metadata(&name) {
                refuse_link(&named)?;
            }
            let file = options.open(&name)?;
            match file.try_lock() {
                Ok(()) if is_named(&file, &name) => return Ok(Self { name, file }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(busy(&name)),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(busy(&name))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if is_named(&self.file, &self.name) {
            fs::remove_file(&self.name).ok(); // left behind, it keeps nobody out
        }
    }
}

fn busy(lock: &Path) -> io::Error {
    let message = format!("somebody else works with it: {} is locked", lock.display());
    io::Error::new(io::ErrorKind::ResourceBusy, message)
}

/// Whether the name is this file's, and not a link's that leads to it.
#[cfg(unix)]
fn is_named(file: &File, name: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |file: Metadata| (file.dev(), file.ino());
    let named = fs::symlink_metadata(name).map(id);
    file.metadata().map(id).is_ok_and(|file| named.is_ok_and(|named| named == file))
}

/// Elsewhere a file has no number that std can tell.
#[cfg(not(unix))]
fn is_named(_file: &File, name: &Path) -> bool {
    name.exists()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::disk::names;

    fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
        result.unwrap_err().kind()
    }

    #[test]
    fn whoever_reads_it_sees_one_save_or_another_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("run");
        let contents = [vec![b'a'; 100_000], vec![b'b'; 70_000]];
        let mut kept = Kept::create(&name).unwrap();
        assert!(!name.exists());
        kept.save(&contents[0]).unwrap();
        thread::scope(|threads| {
            let reader = threads.spawn(|| {
                let mut seen = [0, 0];
                while seen.contains(&0) {
                    let content = fs::read(&name).unwrap();
                    let which = contents.iter().position(|whole| *whole == content);
                    seen[which.expect("a whole content")] += 1;
                }
            });
            for n in 1.. {
                if reader.is_finished() {
                    break;
                }
                kept.save(&contents[n % 2]).unwrap();
            }
            reader.join().unwrap();
        });
        assert_eq!(names(folder.path()), ["run", "run.lock"]);
    }

    #[test]
    fn it_is_kept_when_dropped_and_gone_when_removed() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("run");
        drop(Kept::create(&name).unwrap());
        assert_eq!(kind(Kept::open(&name)), io::ErrorKind::NotFound);
        assert!(names(folder.path()).is_empty());
        Kept::create(&name).unwrap().save(b"one").unwrap();
        assert_eq!(names(folder.path()), ["run"]);
        assert_eq!(kind(Kept::create(&name)), io::ErrorKind::AlreadyExists);
        let (mut kept, content) = Kept::open(&name).unwrap();
        assert_eq!(content, b"one");
        kept.save(b"two").unwrap();
        drop(kept);
        let (kept, content) = Kept::open(&name).unwrap();
        assert_eq!(content, b"two");
        kept.remove().unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn one_at_a_time_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("run");
        let mut kept = Kept::create(&name).unwrap();
        let error = Kept::create(&name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert!(error.to_string().contains("run.lock is locked"), "{error}");
        kept.save(b"one").unwrap();
        assert_eq!(kind(Kept::open(&name)), io::ErrorKind::ResourceBusy);
        assert_eq!(names(folder.path()), ["run", "run.lock"]);
        drop(kept);
        Kept::open(&name).unwrap();
    }

    /// Many take it and let it go at the same time, so that its lock file comes and goes.
    #[test]
    fn no_two_ever_have_it_while_its_lock_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("run");
        Kept::create(&name).unwrap().save(b"0").unwrap();
        let taken = || loop {
            match Kept::open(&name) {
                Ok(taken) => return taken,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{error}"),
            }
        };
        thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    for _ in 0..50 {
                        let (mut kept, count) = taken();
                        let count: u32 = String::from_utf8(count).unwrap().parse().unwrap();
                        kept.save((count + 1).to_string().as_bytes()).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read(&name).unwrap(), b"200");
    }

    #[test]
    fn what_a_killed_process_left_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("run");
        fs::write(&name, "old").unwrap();
        fs::write(folder.path().join("run.lock"), "").unwrap();
        fs::write(folder.path().join("run.partial"), "a long left-over").unwrap();
        let (mut kept, content) = Kept::open(&name).unwrap();
        assert_eq!(content, b"old");
        kept.save(b"new").unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"new");
        kept.remove().unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_too_large_is_neither_saved_nor_read() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("run");
        let mut kept = Kept::create(&name).unwrap();
        kept.save(b"small").unwrap();
        assert_eq!(kind(kept.save(&vec![0; LARGEST + 1])), io::ErrorKind::FileTooLarge);
        assert_eq!(fs::read(&name).unwrap(), b"small");
        drop(kept);
        File::options().write(true).open(&name).unwrap().set_len(LARGEST as u64 + 1).unwrap();
        assert_eq!(kind(Kept::open(&name)), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn only_a_file_in_a_folder_can_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(kind(Kept::create(folder.path())), io::ErrorKind::IsADirectory);
        assert_eq!(kind(Kept::open(Path::new(""))), io::ErrorKind::IsADirectory);
        assert_eq!(kind(Kept::create(&folder.path().join("no/run"))), io::ErrorKind::NotFound);
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn it_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("run");
        let mut kept = Kept::create(&name).unwrap();
        kept.save(b"one").unwrap();
        for name in [name, folder.path().join("run.lock")] {
            let mode = fs::metadata(&name).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", name.display());
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_written_through() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (name, theirs) = (folder.path().join("run"), folder.path().join("theirs"));
        fs::write(&theirs, "theirs").unwrap();
        symlink("theirs", &name).unwrap();
        assert_eq!(kind(Kept::create(&name)), io::ErrorKind::AlreadyExists);
        assert_eq!(kind(Kept::open(&name)), io::ErrorKind::InvalidInput);
        fs::remove_file(&name).unwrap();
        for to in ["theirs", "nowhere"] {
            symlink(to, folder.path().join("run.lock")).unwrap();
            assert_eq!(kind(Kept::create(&name)), io::ErrorKind::InvalidInput);
            fs::remove_file(folder.path().join("run.lock")).unwrap();
        }
        let mut kept = Kept::create(&name).unwrap();
        for link in ["run", "run.partial"] {
            symlink("theirs", folder.path().join(link)).unwrap();
        }
        kept.save(b"ours").unwrap();
        assert!(!name.is_symlink());
        assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
        drop(kept);
        assert_eq!(names(folder.path()), ["run", "theirs"]);
    }
}
