//! What was spent each day of an instance's quota: a file of its own, since several programs write
//! it at once.
//!
//! For: budgets that outlive a run. Each spending is one statement that counts and checks at once,
//! so that two programs cannot both take the last of it. Never: decides what a budget is, or when a
//! day ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDate;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Error;
use super::open::{failed, not_opened};
use crate::sqlite::Kind;

/// A power cut may cost the count of the last calls, and harms nothing else.
const DAILY_USAGE: Kind = Kind {
    // `mkaS`
    application_id: 0x6d6b_6153,
    migrations: &[include_str!("0001_spent.sql")],
    exclusive: false,
    // One program waits for another's statement.
    busy: Duration::from_secs(10),
    pragmas: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
};

/// The open file.
#[derive(Debug)]
pub struct DailyUsage {
    db: Connection,
    path: PathBuf,
}

impl DailyUsage {
    /// Opens the file, making it where there is none; readable by its owner only. Other programs
    /// may have it open too.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let db = DAILY_USAGE.open(path, |_| Ok(())).map_err(|source| not_opened(path, source))?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// Counts a call of that day, unless it would be more than `most`; whether it did.
    pub fn spend_call(&self, day: NaiveDate, most: u64) -> Result<bool, Error> {
        if most == 0 {
            return Ok(false);
        }
        let one_more = "INSERT INTO spent VALUES (?1, 1, 0) ON CONFLICT (day) \
                        DO UPDATE SET calls = calls + 1 WHERE calls < ?2";
        self.change(one_more, params![day.to_string(), number(most)]).map(|changed| changed == 1)
    }

    /// Counts bytes of that day.
    pub fn charge_bytes(&self, day: NaiveDate, bytes: u64) -> Result<(), Error> {
        let more = "INSERT INTO spent VALUES (?1, 0, ?2) ON CONFLICT (day) DO UPDATE SET bytes = bytes + ?2";
        self.change(more, params![day.to_string(), number(bytes)]).map(drop)
    }

    /// Takes a call of that day back.
    pub fn unspend_call(&self, day: NaiveDate) -> Result<(), Error> {
        let back = "UPDATE spent SET calls = calls - 1 WHERE day = ?1 AND calls > 0";
        self.change(back, params![day.to_string()]).map(drop)
    }

    /// The calls and bytes of that day.
    pub fn spent(&self, day: NaiveDate) -> Result<(u64, u64), Error> {
        let query = "SELECT calls, bytes FROM spent WHERE day = ?1";
        let spent = self.db.query_row(query, [day.to_string()], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
        });
        Ok(spent.optional().map_err(|source| failed(&self.path, source))?.unwrap_or_default())
    }

    fn change(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<usize, Error> {
        let changed =
            self.db.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        changed.map_err(|source| failed(&self.path, source))
    }
}

/// What is beyond an i64 is no limit at all.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::DailyUsage;

    #[test]
    fn two_programs_share_a_days_budget_and_the_next_day_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spent.db");
        let (one, other) = (DailyUsage::open(&path).unwrap(), DailyUsage::open(&path).unwrap());
        let day = "2026-03-01".parse().unwrap();
        assert!(one.spend_call(day, 3).unwrap());
        assert!(other.spend_call(day, 3).unwrap());
        assert!(one.spend_call(day, 3).unwrap());
        assert!(!other.spend_call(day, 3).unwrap());
        one.unspend_call(day).unwrap();
        assert!(other.spend_call(day, 3).unwrap());
        other.charge_bytes(day, 70).unwrap();
        one.charge_bytes(day, 30).unwrap();
        drop((one, other));
        let again = DailyUsage::open(&path).unwrap();
        assert_eq!(again.spent(day).unwrap(), (3, 100));
        assert!(!again.spend_call(day, 0).unwrap());
        assert!(again.spend_call(day.succ_opt().unwrap(), 3).unwrap());
        assert!(!again.spend_call("2026-03-09".parse().unwrap(), 0).unwrap());
    }
}
