//! The rows of a file of leases: loaded and saved within a transaction that nobody else is in.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, params};

use crate::boot_clock::Moment;
use crate::leases::backend::Batch;
use crate::leases::changes::{Changes, from_bytes, millis, number, span, to_bytes};
use crate::leases::key::LeaseKey;
use crate::leases::rate_share::ClaimRow;
use crate::leases::state::{QUIET, Row, State};
use crate::marketo::Share;

/// What the batch concerns.
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
            Ok(Row {
                generation: row.get::<_, i64>(0)?.unsigned_abs(),
                ends_at: span(row.get(1)?),
                waiting: from_bytes(&row.get::<_, Vec<u8>>(2)?),
            })
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
        let share = |calls, at_once| {
            let column = |column| row.get(column).map(count);
            Ok::<_, rusqlite::Error>(Share { calls: column(calls)?, at_once: column(at_once)? })
        };
        let claim =
            ClaimRow { share: share(1, 2)?, wants: share(3, 4)?, ends_at: span(row.get(5)?) };
        Ok(((instance, row.get(0)?), claim))
    });
    claims?.collect()
}

/// Writes what a batch has changed.
pub(super) fn save(db: &Connection, changes: &Changes) -> Result<()> {
    db.prepare_cached("UPDATE number SET last = ?1, saves = ?2")?
        .execute([number(changes.last), number(changes.saves)])?;
    db.prepare_cached("UPDATE machine SET quiet_until = ?1 WHERE quiet_until < ?1")?
        .execute([millis(changes.quiet_until)])?;
    let mut write =
        db.prepare_cached("INSERT OR REPLACE INTO key_state VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (key, row) in &changes.rows {
        let (ends_at, over_at) = (millis(row.ends_at), millis(row.over_at()));
        let waiting = to_bytes(&row.waiting);
        write.execute(params![
            key.as_bytes(),
            number(row.generation),
            ends_at,
            waiting,
            over_at
        ])?;
    }
    let mut remove = db.prepare_cached("DELETE FROM key_state WHERE key = ?1")?;
    for key in &changes.rows_gone {
        remove.execute([key.as_bytes()])?;
    }
    let mut write =
        db.prepare_cached("INSERT OR REPLACE INTO share VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for ((instance, guard), ClaimRow { share, wants, ends_at }) in &changes.claims {
        let [calls, at_once] = [share.calls, share.at_once].map(column);
        let [wants_calls, wants_at_once] = [wants.calls, wants.at_once].map(column);
        let (instance, ends_at) = (instance.as_bytes(), millis(*ends_at));
        write.execute(params![
            instance,
            guard,
            calls,
            at_once,
            wants_calls,
            wants_at_once,
            ends_at
        ])?;
    }
    let mut remove = db.prepare_cached("DELETE FROM share WHERE instance = ?1 AND owner = ?2")?;
    for (instance, guard) in &changes.claims_gone {
        remove.execute(params![instance.as_bytes(), guard])?;
    }
    Ok(())
}

/// Where the machine was started anew, times of before mean nothing, and whoever held a lease is
/// gone; its call is over when the machine has been up for [`QUIET`]. Gives the end of the quiet.
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

/// Grants nothing from now on, for as long as a call can run that left before.
pub(super) fn keep_quiet(db: &Connection, moment: &Moment) -> Result<()> {
    start_over(db, moment)?;
    let until = moment.millis.saturating_add(millis(QUIET));
    db.execute("UPDATE machine SET quiet_until = max(quiet_until, ?1)", [until])?;
    Ok(())
}

fn column(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that the store kept, of the limits.
fn count(kept: i64) -> usize {
    usize::try_from(kept).unwrap_or_default()
}

#[cfg(test)]
mod tests;
