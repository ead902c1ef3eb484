//! Whether the files that SQLite has open are still those that others find at their path. A file of
//! leases that was deleted or put back from a copy goes on working for those who have it open, and
//! shares nothing with those who come later: a key would have two owners.

use std::path::Path;

/// What SQLite keeps beside the file itself, by the ends of the names.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// Which files were there, by the numbers that the file system has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity([Option<(u64, u64)>; FILES.len()]);

impl FileIdentity {
    /// The files of this path at this moment.
    pub(super) fn look(path: &Path) -> Self {
        Self(FILES.map(|end| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            number(Path::new(&name))
        }))
    }

    /// Whether each of these files is still where it was.
    pub(super) fn holds(self, path: &Path) -> bool {
        let now = Self::look(path);
        self.0.iter().zip(now.0).all(|(then, now)| then.is_none() || *then == now)
    }
}

#[cfg(unix)]
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Elsewhere an open file can be neither deleted nor replaced.
#[cfg(not(unix))]
fn number(_path: &Path) -> Option<(u64, u64)> {
    None
}
