//! The totals of every complete scan: what was there before, for whoever wants to see what has
//! changed.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Error, Ledger};

/// What a complete scan found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastScan {
    /// The name of the cache: the instance, or what `scan --as` named.
    pub of: String,
    /// When it ended, in whole seconds.
    pub ended_at: DateTime<Utc>,
    /// How it read: `pages`, `bulk`, `refresh` or `file`.
    pub strategy: String,
    /// Records in the cache afterwards.
    pub records: u64,
    /// Groups of duplicates.
    pub groups: u64,
    /// Extra records in them.
    pub excess: u64,
    /// Extra records that could be merged then, as far as the scan knew.
    pub mergeable: u64,
    /// Extra records that are perhaps meant to be there.
    pub perhaps_meant: u64,
    /// By the code of the cause.
    pub by_cause: BTreeMap<String, PastTotals>,
    /// By the login of the API user that made them, empty for none; `None` where the activity log
    /// was not read.
    pub by_user: Option<BTreeMap<String, PastTotals>>,
}

/// Groups, and extra records in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastTotals {
    /// Groups.
    pub groups: u64,
    /// Extra records.
    pub excess: u64,
}

impl Ledger {
    /// Appends what a scan found, synced to disk. What is handed in again under the same id changes
    /// nothing.
    pub fn append_scan(&mut self, id: &str, scan: &PastScan) -> Result<(), Error> {
        let json =
            |value: &BTreeMap<String, PastTotals>| serde_json::to_string(value).map_err(damaged);
        let by_cause = json(&scan.by_cause)?;
        let by_user = scan.by_user.as_ref().map(json).transpose()?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.write(|db| {
            db.execute(
                "INSERT OR IGNORE INTO scan_totals (id, of, ended_at, strategy, records, groups, excess, \
                 mergeable, perhaps_meant, by_cause, by_user) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    id,
                    scan.of,
                    scan.ended_at.to_rfc3339_opts(SecondsFormat::Secs, true),
                    scan.strategy,
                    number(scan.records),
                    number(scan.groups),
                    number(scan.excess),
                    number(scan.mergeable),
                    number(scan.perhaps_meant),
                    by_cause,
                    by_user,
                ],
            )?;
            Ok(())
        })
    }

    /// What the scans of the cache of this name found, the earliest first.
    pub fn past_scans(&self, of: &str) -> Result<Vec<PastScan>, Error> {
        type Stored = (PastScan, String, String, Option<String>);
        let stored: Vec<Stored> = self.read(|db| {
            let mut statement =
                db.prepare("SELECT * FROM scan_totals WHERE of = ?1 ORDER BY seq")?;
            let read = |row: &rusqlite::Row<'_>| {
                let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                let scan = PastScan {
                    of: row.get("of")?,
                    ended_at: DateTime::UNIX_EPOCH,
                    strategy: row.get("strategy")?,
                    records: number("records")?,
                    groups: number("groups")?,
                    excess: number("excess")?,
                    mergeable: number("mergeable")?,
                    perhaps_meant: number("perhaps_meant")?,
                    by_cause: BTreeMap::new(),
                    by_user: None,
                };
                Ok((scan, row.get("ended_at")?, row.get("by_cause")?, row.get("by_user")?))
            };
            statement.query_map([of], read)?.collect()
        })?;
        let parse = |text: &str| serde_json::from_str(text).map_err(damaged);
        let whole = |(scan, ended_at, by_cause, by_user): Stored| {
            Ok(PastScan {
                ended_at: ended_at.parse().map_err(damaged)?,
                by_cause: parse(&by_cause)?,
                by_user: by_user.as_deref().map(parse).transpose()?,
                ..scan
            })
        };
        stored.into_iter().map(whole).collect()
    }
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::Damaged { what: format!("the totals of a scan: {error}") }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, PastScan, PastTotals};

    fn scan(ended_at: &str, excess: u64) -> PastScan {
        PastScan {
            of: "example".to_owned(),
            ended_at: ended_at.parse().unwrap(),
            strategy: "pages".to_owned(),
            records: 100,
            groups: 1,
            excess,
            mergeable: excess,
            perhaps_meant: 0,
            by_cause: [("race".to_owned(), PastTotals { groups: 1, excess })].into(),
            by_user: Some([(String::new(), PastTotals { groups: 1, excess })].into()),
        }
    }

    #[test]
    fn what_a_scan_found_is_kept_once_and_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "example").unwrap();
        let (first, second) = (scan("2026-11-01T00:00:00Z", 9), scan("2026-11-29T00:00:00Z", 7));
        ledger.append_scan("1", &first).unwrap();
        ledger.append_scan("2", &second).unwrap();
        ledger.append_scan("2", &second).unwrap();
        assert_eq!(ledger.past_scans("example").unwrap(), [first.clone(), second.clone()]);
        assert_eq!(ledger.past_scans("another").unwrap(), []);
        let changes = [
            "UPDATE scan_totals SET excess = 0",
            "DELETE FROM scan_totals",
            "REPLACE INTO scan_totals SELECT * FROM scan_totals",
        ];
        for change in changes {
            let refused = ledger.db.execute(change, []).unwrap_err().to_string();
            assert!(refused.contains("append-only"), "{change}: {refused}");
        }
        assert_eq!(ledger.past_scans("example").unwrap(), [first, second]);
    }
}
