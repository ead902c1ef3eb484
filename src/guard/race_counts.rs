//! The counts of guards in shadow mode, kept between runs: writes, and those that overlapped on a
//! key, by day and API user.
//!
//! A small JSON file in the data folder. Several guards add to it under a lock, so that none of
//! them loses another's counts; it is written beside itself and renamed, so that it is never half a
//! file. It holds nothing of a person.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// The layout that this program writes.
const SCHEMA: &str = "mkto-audit/guard-tally/1";

/// Why the tally could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaceCountsError {
    /// The file or its folder cannot be used.
    #[error("the guard's tally {} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is none of this program's, or of a later version.
    #[error("{} is no tally of this version of the guard; move it away to begin a new one", path.display())]
    Senseless {
        /// The file.
        path: PathBuf,
    },
}

/// Counts of one API user on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls that write people.
    pub calls: u64,
    /// Records in them.
    pub records: u64,
    /// Records whose key was being written by a call that had not been answered yet.
    pub raced: u64,
    /// Those of the calls whose records were not looked at, as the body was too large; earlier
    /// versions did not count them.
    #[serde(default)]
    pub unseen: u64,
}

/// Counts by day, in UTC, and API user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaceCounts {
    schema: String,
    /// When it was begun.
    pub since: DateTime<Utc>,
    /// When it was last added to.
    pub until: DateTime<Utc>,
    /// By day, then by API user.
    pub days: BTreeMap<NaiveDate, BTreeMap<String, Counts>>,
}

impl RaceCounts {
    /// One that begins now.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { schema: SCHEMA.to_owned(), since: now, until: now, days: BTreeMap::new() }
    }

    /// Counts calls of a user.
    pub fn count(&mut self, now: DateTime<Utc>, user: &str, counts: Counts) {
        let users = self.days.entry(now.date_naive()).or_default();
        users.entry(user.to_owned()).or_default().add(counts);
        self.until = now;
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// All days together, by API user.
    pub fn by_user(&self) -> BTreeMap<&str, Counts> {
        let mut sums: BTreeMap<&str, Counts> = BTreeMap::new();
        for (user, counts) in self.days.values().flatten() {
            sums.entry(user).or_default().add(*counts);
        }
        sums
    }

    /// Adds another one to it.
    pub fn add(&mut self, other: &Self) {
        for (day, users) in &other.days {
            for (user, counts) in users {
                self.days.entry(*day).or_default().entry(user.clone()).or_default().add(*counts);
            }
        }
        self.since = self.since.min(other.since);
        self.until = self.until.max(other.until);
    }

    /// Reads the file; none where there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, RaceCountsError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RaceCountsError::File { path: path.to_owned(), source }),
        };
        let tally: Option<Self> = serde_json::from_slice(&text).ok();
        let tally = tally.filter(|tally| tally.schema == SCHEMA);
        tally.map(Some).ok_or_else(|| RaceCountsError::Senseless { path: path.to_owned() })
    }

    /// Adds it to the file, which is made where there is none.
    pub fn add_to(&self, path: &Path) -> Result<(), RaceCountsError> {
        let refuse = |source| RaceCountsError::File { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(refuse)?;
        let lock = File::create(path.with_extension("lock")).map_err(refuse)?;
        lock.lock().map_err(refuse)?;
        let mut sum = Self::read(path)?.unwrap_or_else(|| Self::new(self.since));
        sum.add(self);
        // Readable by its owner alone, as temporary files are.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(refuse)?;
        serde_json::to_writer_pretty(&mut file, &sum).map_err(|error| refuse(error.into()))?;
        file.persist(path).map_err(|error| refuse(error.error))?;
        Ok(())
    }
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.records += other.records;
        self.raced += other.raced;
        self.unseen += other.unseen;
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::{Counts, RaceCounts, RaceCountsError};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const UNSEEN: Counts = Counts { calls: 1, records: 0, raced: 0, unseen: 1 };

    #[test]
    fn what_several_runs_saw_is_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("tally.json");
        assert_eq!(RaceCounts::read(&path).unwrap(), None);
        for hour in ["2026-03-01T23:00:00Z", "2026-03-02T01:00:00Z"] {
            let mut tally = RaceCounts::new(at(hour));
            let looked_at = Counts { calls: 1, records: 3, raced: 1, unseen: 0 };
            tally.count(at(hour), "crm@api.example.com", looked_at);
            tally.count(at(hour), "crm@api.example.com", UNSEEN);
            tally.add_to(&path).unwrap();
        }
        let tally = RaceCounts::read(&path).unwrap().unwrap();
        assert_eq!(
            (tally.since, tally.until),
            (at("2026-03-01T23:00:00Z"), at("2026-03-02T01:00:00Z"))
        );
        assert_eq!(tally.days.len(), 2);
        assert_eq!(
            tally.by_user()["crm@api.example.com"],
            Counts { calls: 4, records: 6, raced: 2, unseen: 2 }
        );
    }

    #[test]
    fn a_tally_of_an_earlier_version_is_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally.json");
        let earlier = r#"{"schema": "mkto-audit/guard-tally/1", "since": "2026-03-01T23:00:00Z", "until": "2026-03-01T23:00:00Z",
            "days": {"2026-03-01": {"crm": {"calls": 2, "records": 3, "raced": 1}}}}"#;
        std::fs::write(&path, earlier).unwrap();
        let mut tally = RaceCounts::new(at("2026-03-02T01:00:00Z"));
        tally.count(at("2026-03-02T01:00:00Z"), "crm", UNSEEN);
        tally.add_to(&path).unwrap();
        let sum = RaceCounts::read(&path).unwrap().unwrap();
        assert_eq!(sum.by_user()["crm"], Counts { calls: 3, records: 3, raced: 1, unseen: 1 });
    }

    #[test]
    fn a_file_that_is_no_tally_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally.json");
        std::fs::write(&path, "{\"schema\": \"another\"}").unwrap();
        let added = RaceCounts::new(at("2026-03-01T00:00:00Z")).add_to(&path);
        assert!(matches!(added, Err(RaceCountsError::Senseless { .. })), "{added:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"schema\": \"another\"}");
    }
}
