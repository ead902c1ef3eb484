//! A file that is there whole or not at all, and that its owner alone can read.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a file beside its place, and then renames it there, so that nobody ever sees half of it;
/// where writing fails, whatever stood there before still stands. Readable by its owner alone: it
/// is full of people's data.
///
/// A path that is no regular file (`/dev/stdout`, a named pipe) cannot be replaced; it is written
/// to.
pub fn write_beside(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let mut out = BufWriter::new(File::options().write(true).open(path)?);
        write(&mut out)?;
        return out.flush();
    }
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    // Renaming over a symbolic link would replace the link, not what it points to.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&place);
    if !folder.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "its folder does not exist"));
    }
    // The name of the file beside it would only puzzle whoever reads the error.
    let mut beside = tempfile::Builder::new()
        .prefix(".mkto-audit-")
        .tempfile_in(folder)
        .map_err(|error| io::Error::from(error.kind()))?;
    let mut out = BufWriter::new(beside.as_file_mut());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    beside.as_file().sync_all()?;
    beside.persist(&place).map_err(|error| error.error)?;
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
