//! Whether the files that SQLite has open are still the ones at their path.
//!
//! A file of leases that was deleted or put back from a copy goes on working for processes that
//! have it open. They share nothing with those that open it later, and a key would have two owners.

use std::path::Path;

/// The file and those that SQLite keeps beside it, by the ends of their names.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// The files that were there, by their numbers in the file system.
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
