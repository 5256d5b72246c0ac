use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A folder of files to be loaded, and nothing outside it.
///
/// Neither it nor anything below it is left: a path is refused that is absolute, has dots or leads
/// through a link, wherever that leads, and also if a link takes a folder's place meanwhile.
#[derive(Debug)]
pub struct Folder {
    name: PathBuf,
    /// Kept open: whatever then gets its name, this is the folder.
    #[cfg(unix)]
    root: File,
}

impl Folder {
    /// Fails with [`NotADirectory`](io::ErrorKind::NotADirectory) if it is none. The folder itself may
    /// be named by a link.
    pub fn open(name: &Path) -> io::Result<Self> {
        let name = name.to_owned();
        if !fs::metadata(&name)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        #[cfg(unix)]
        return Ok(Self { root: File::open(&name)?, name });
        #[cfg(not(unix))]
        Ok(Self { name })
    }

    /// Opens a file to be read, and tells its length. The path has forward slashes on every system.
    ///
    /// Fails with [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no plain file, is not below
    /// the folder, or is reached by a link.
    pub fn file(&self, path: &str) -> io::Result<(File, u64)> {
        if !path.split('/').all(is_plain) {
            return Err(invalid("the path is not one within the folder"));
        }
        let file = self.open_below(path)?;
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(invalid("not a plain file"));
        }
        Ok((file, data.len()))
    }

    /// The paths of all files below, sorted, so that they are the same each time. Hidden ones are
    /// among them.
    ///
    /// Fails with [`InvalidInput`](io::ErrorKind::InvalidInput) if there is a link, or something else
    /// that is neither a plain file nor a folder, and if a name is not UTF-8: nothing is left out in
    /// silence.
    pub fn paths(&self) -> io::Result<Vec<String>> {
        let (mut paths, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.name.join(&folder))? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_str().ok_or_else(|| {
                    invalid(&format!("the name {} is not UTF-8", entry.path().display()))
                })?;
                let path =
                    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                match entry.file_type()? {
                    kind if kind.is_dir() => folders.push(path),
                    kind if kind.is_file() => paths.push(path),
                    _ => return Err(invalid(&format!("{path} is a link or no plain file"))),
                }
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// Goes down folder by folder, so that none of them can be a link.
    #[cfg(unix)]
    fn open_below(&self, path: &str) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        use rustix::io::Errno;
        let open = |from: &File, name: &str, flags: OFlags| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | flags;
            match openat(from, name, flags, Mode::empty()) {
                Ok(file) => Ok(File::from(file)),
                Err(Errno::LOOP | Errno::MLINK) => Err(invalid("a link, and none is followed")),
                Err(Errno::NOTDIR) => Err(invalid("it leads through a link, or through no folder")),
                Err(error) => Err(error.into()),
            }
        };
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut within: Option<File> = None;
        for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
            within = Some(open(within.as_ref().unwrap_or(&self.root), folder, OFlags::DIRECTORY)?);
        }
        // A pipe without a writer must not keep anybody waiting; to a file the flag says nothing.
        open(within.as_ref().unwrap_or(&self.root), name, OFlags::NONBLOCK)
    }

    /// Elsewhere std cannot open within a folder: each part is looked at first.
    #[cfg(not(unix))]
    fn open_below(&self, path: &str) -> io::Result<File> {
        let mut below = self.name.clone();
        for part in path.split('/') {
            below.push(part);
            if fs::symlink_metadata(&below)?.is_symlink() {
                return Err(invalid("it leads through a link, and none is followed"));
            }
        }
        File::open(below)
    }
}

/// Whether this is a name and nothing else, on this system.
fn is_plain(part: &str) -> bool {
    let mut parts = Path::new(part).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == part)
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn folder(files: &[&str]) -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        for file in files {
            let path = place.path().join("files").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        fs::write(place.path().join("secret"), "secret").unwrap();
        let folder = Folder::open(&place.path().join("files")).unwrap();
        (place, folder)
    }

    fn refused(folder: &Folder, path: &str) -> io::ErrorKind {
        folder.file(path).unwrap_err().kind()
    }

    #[test]
    fn every_file_below_is_found_and_opened() {
        let (_place, folder) = folder(&["b", "a/z/é", "a/b", ".hidden", "a b"]);
        let paths = folder.paths().unwrap();
        assert_eq!(paths, [".hidden", "a b", "a/b", "a/z/é", "b"]);
        for path in paths {
            let (mut file, length) = folder.file(&path).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!((&text, length), (&path, path.len() as u64));
        }
    }

    #[test]
    fn no_path_leads_out() {
        let (place, folder) = folder(&["a/b"]);
        let absolute = place.path().join("secret");
        for path in ["", ".", "..", "../secret", "a/../../secret", "/", "a//b", "a/", "./a/b"] {
            assert_eq!(refused(&folder, path), io::ErrorKind::InvalidInput, "{path}");
        }
        assert_eq!(refused(&folder, absolute.to_str().unwrap()), io::ErrorKind::InvalidInput);
        assert_eq!(refused(&folder, "a"), io::ErrorKind::InvalidInput);
        assert_eq!(refused(&folder, "c"), io::ErrorKind::NotFound);
        let error = Folder::open(&absolute).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed_and_no_pipe_waited_for() {
        use std::os::unix::fs::symlink;
        let (place, folder) = folder(&["a/b"]);
        let files = place.path().join("files");
        symlink("../secret", files.join("out")).unwrap();
        symlink("..", files.join("up")).unwrap();
        symlink("a/b", files.join("within")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, files.join("pipe"), 0o600.into()).unwrap();
        for path in ["out", "up/secret", "up/files/a/b", "within", "pipe"] {
            assert_eq!(refused(&folder, path), io::ErrorKind::InvalidInput, "{path}");
        }
        assert_eq!(folder.paths().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        // A folder that is moved away and replaced by a link is still the one that was opened.
        fs::rename(&files, place.path().join("moved")).unwrap();
        symlink(".", &files).unwrap();
        assert!(folder.file("a/b").is_ok() && folder.file("secret").is_err());
    }
}
