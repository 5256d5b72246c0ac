//! What both kinds of file ask of the disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A name in the same folder, with this at its end.
pub(crate) fn beside(name: &Path, suffix: &str) -> PathBuf {
    let mut beside = name.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// Fails if the name is a folder's or can only be one.
pub(crate) fn refuse_folder(name: &Path) -> io::Result<()> {
    let folder_like = name.to_string_lossy().ends_with(std::path::is_separator);
    if folder_like || name.file_name().is_none() || name.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(())
}

/// Creates a file for its owner only (mode 0600). Fails if the name is taken, be it by a link.
pub(crate) fn new_file(name: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(name)
}

pub(crate) fn remove_if_there(name: &Path) -> io::Result<()> {
    match fs::remove_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Brings the names in the file's folder to the disk, so that a power cut does not undo them.
#[cfg(unix)]
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_file: &Path) -> io::Result<()> {
    Ok(())
}

/// The names in a folder, for tests.
#[cfg(test)]
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
