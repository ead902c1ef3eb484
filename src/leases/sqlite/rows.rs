//! The rows of a file of leases: loaded and saved within a transaction that nobody else is in.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, params};

use crate::boot_clock::Moment;
use crate::leases::backend::Batch;
use crate::leases::changes::{Changes, millis, number, span};
use crate::leases::key::LeaseKey;
use crate::leases::rate_share::ClaimRow;
use crate::leases::state::{QUIET, Row, State};

/// The rows that the batch concerns.
pub(super) fn load(db: &Connection, moment: &Moment, batch: &Batch) -> Result<State> {
    let quiet_until = start_over(db, moment)?;
    db.prepare_cached("DELETE FROM key_state WHERE over_at <= ?1")?.execute([moment.millis])?;
    let (last, saves) = db
        .prepare_cached("SELECT last, saves FROM number")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .map(|(last, saves): (i64, i64)| (last.unsigned_abs(), saves.unsigned_abs()))?;
    let mut rows = BTreeMap::new();
    let mut of_key =
        db.prepare_cached("SELECT generation, ends_at, waiting FROM key_state WHERE key = ?1")?;
    for key in batch.keys() {
        let row = of_key.query_row([key.as_bytes()], |row| {
            Ok(Row::of_columns(row.get(0)?, row.get(1)?, row.get_ref(2)?.as_blob()?))
        });
        if let Some(row) = row.optional()? {
            rows.insert(key, row);
        }
    }
    let claims = batch.instance().map(|instance| claims(db, instance)).transpose()?;
    Ok(State { rows, claims: claims.unwrap_or_default(), last, saves, quiet_until })
}

fn claims(db: &Connection, instance: LeaseKey) -> Result<BTreeMap<(LeaseKey, i64), ClaimRow>> {
    let mut of_instance = db.prepare_cached(
        "SELECT owner, calls, at_once, wants_calls, wants_at_once, ends_at FROM share WHERE instance = ?1",
    )?;
    let claims = of_instance.query_map([instance.as_bytes()], |row| {
        let columns = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
        Ok(((instance, row.get(0)?), ClaimRow::of_columns(columns)))
    });
    claims?.collect()
}

pub(super) fn save(db: &Connection, changes: &Changes) -> Result<()> {
    db.prepare_cached("UPDATE number SET last = ?1, saves = ?2")?
        .execute([number(changes.last), number(changes.saves)])?;
    db.prepare_cached("UPDATE machine SET quiet_until = ?1 WHERE quiet_until < ?1")?
        .execute([millis(changes.quiet_until)])?;
    let mut write =
        db.prepare_cached("INSERT OR REPLACE INTO key_state VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (key, row) in &changes.rows {
        let (generation, ends_at, waiting, over_at) = row.columns();
        write.execute(params![key.as_bytes(), generation, ends_at, waiting, over_at])?;
    }
    let mut remove = db.prepare_cached("DELETE FROM key_state WHERE key = ?1")?;
    for key in &changes.rows_gone {
        remove.execute([key.as_bytes()])?;
    }
    let mut write =
        db.prepare_cached("INSERT OR REPLACE INTO share VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for ((instance, guard), row) in &changes.claims {
        let [calls, at_once, more_calls, more_at_once, ends_at] = row.columns();
        let key = instance.as_bytes();
        write.execute(params![key, guard, calls, at_once, more_calls, more_at_once, ends_at])?;
    }
    let mut remove = db.prepare_cached("DELETE FROM share WHERE instance = ?1 AND owner = ?2")?;
    for (instance, guard) in &changes.claims_gone {
        remove.execute(params![instance.as_bytes(), guard])?;
    }
    Ok(())
}

/// Removes all rows where the machine was started anew: their times mean nothing, and the owners of
/// the leases are gone. Their calls are over when the machine has been up for [`QUIET`]. Gives the
/// end of the quiet time.
fn start_over(db: &Connection, moment: &Moment) -> Result<Duration> {
    let known: Option<(String, i64)> = db
        .prepare_cached("SELECT boot, quiet_until FROM machine")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match known {
        Some((boot, quiet_until)) if boot == moment.boot => Ok(span(quiet_until)),
        Some(_) => {
            let start = "UPDATE machine SET boot = ?1, quiet_until = ?2";
            db.execute(start, params![moment.boot, millis(QUIET)])?;
            db.execute_batch("DELETE FROM key_state; DELETE FROM share")?;
            Ok(QUIET)
        }
        None => {
            db.execute("INSERT INTO machine VALUES (?1, 0)", [&moment.boot])?;
            Ok(Duration::ZERO)
        }
    }
}

/// Grants nothing until every call that left before is over.
pub(super) fn keep_quiet(db: &Connection, moment: &Moment) -> Result<()> {
    start_over(db, moment)?;
    let until = moment.millis.saturating_add(millis(QUIET));
    db.execute("UPDATE machine SET quiet_until = max(quiet_until, ?1)", [until])?;
    Ok(())
}

#[cfg(test)]
mod tests;
