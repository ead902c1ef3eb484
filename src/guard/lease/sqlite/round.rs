//! A round in SQL, within a transaction that nobody else is in.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::QUIET;
use crate::boot_clock::Moment;
use crate::guard::lease::leaving::owner_of_rest;
use crate::guard::lease::share::{Claim, shared};
use crate::guard::lease::table::{Grant, Results, Round, Ticket};
use crate::guard::lease::{Ask, LeaseKey, Leaving, Shared, Terms};
use crate::marketo::Share;

/// The places of an owner with nobody before them and no lease in their way, for all keys of their
/// tickets.
const MY_TURN: &str = "SELECT ticket FROM place AS mine WHERE owner = ?1 GROUP BY ticket HAVING NOT max(
       EXISTS (SELECT 1 FROM lease WHERE lease.key = mine.key)
    OR EXISTS (SELECT 1 FROM place AS earlier WHERE earlier.key = mine.key AND earlier.ticket < mine.ticket)
  ) ORDER BY ticket";

/// Does what the round asks for, in the order that [`crate::guard::lease::table`] sets out.
pub(super) fn carry_out(
    db: &Connection,
    owner: i64,
    now: &Moment,
    round: &Round,
    terms: Terms,
) -> Result<Results> {
    let quiet_until = start_over(db, now)?;
    let now = now.millis;
    remove_what_is_over(db, now)?;
    let renewed = round
        .renew
        .iter()
        .map(|(grants, span)| renew(db, now, grants, *span))
        .collect::<Result<_>>()?;
    release(db, &round.release)?;
    for ticket in &round.leave {
        leave(db, owner, *ticket)?;
    }
    let gone = keep_places(db, owner, now, round, terms)?;
    let entered = round.enter.iter().map(|keys| enter(db, owner, keys)).collect::<Result<_>>()?;
    let shared = round.share.as_ref().map(|ask| share(db, owner, now, ask)).transpose()?;
    if let Some(leaving) = &round.left {
        leave_limits(db, owner, now, leaving)?;
    }
    if now < quiet_until {
        let look_again = Some(Duration::from_millis((quiet_until - now).unsigned_abs()));
        let taken = round.take.iter().map(|_| Vec::new()).collect();
        return Ok(Results {
            renewed,
            entered,
            gone,
            taken,
            look_again,
            shared,
            ..Results::default()
        });
    }
    let granted = grant_turns(db, owner, now, terms)?;
    let taken = round.take.iter().map(|keys| take(db, now, keys, terms)).collect::<Result<_>>()?;
    let look_again = next_end(db, owner, now)?;
    Ok(Results { renewed, entered, granted, gone, taken, look_again, shared })
}

/// Where the machine was started anew, times of before mean nothing. Whoever held a lease is gone,
/// and the lease lasts from now as long as it ever did, though by [`QUIET`] its call is over before
/// that. Gives the end of the quiet.
fn start_over(db: &Connection, now: &Moment) -> Result<i64> {
    let known: Option<(String, i64)> = db
        .query_row("SELECT boot, quiet_until FROM machine", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match known {
        Some((boot, quiet_until)) if boot == now.boot => Ok(quiet_until),
        Some(_) => {
            let quiet_until = millis(QUIET);
            db.execute(
                "UPDATE machine SET boot = ?1, quiet_until = ?2",
                params![now.boot, quiet_until],
            )?;
            db.execute("UPDATE lease SET ends_at = ?1 + span", [now.millis])?;
            db.execute("DELETE FROM owner", [])?;
            db.execute("DELETE FROM share", [])?;
            Ok(quiet_until)
        }
        None => {
            db.execute("INSERT INTO machine VALUES (?1, 0)", [&now.boot])?;
            Ok(0)
        }
    }
}

/// Grants nothing from now on, for as long as a call can run that left before.
pub(super) fn keep_quiet(db: &Connection, now: &Moment) -> Result<()> {
    start_over(db, now)?;
    db.execute(
        "UPDATE machine SET quiet_until = max(quiet_until, ?1)",
        [now.millis + millis(QUIET)],
    )?;
    Ok(())
}

fn remove_what_is_over(db: &Connection, now: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM lease WHERE ends_at <= ?1")?.execute([now])?;
    db.prepare_cached("DELETE FROM owner WHERE alive_until <= ?1")?.execute([now])?;
    Ok(())
}

fn renew(
    db: &Connection,
    now: i64,
    grants: &[Grant],
    span: Duration,
) -> Result<std::result::Result<(), LeaseKey>> {
    let mut held = db.prepare_cached("SELECT 1 FROM lease WHERE key = ?1 AND fence = ?2")?;
    for grant in grants {
        if !held.exists(params![grant.key.as_bytes(), fence(*grant)])? {
            return Ok(Err(grant.key));
        }
    }
    let mut longer = db.prepare_cached(
        "UPDATE lease SET ends_at = max(ends_at, ?2 + ?3), span = max(span, ?3) WHERE key = ?1",
    )?;
    for grant in grants {
        longer.execute(params![grant.key.as_bytes(), now, millis(span)])?;
    }
    Ok(Ok(()))
}

fn release(db: &Connection, grants: &[Grant]) -> Result<()> {
    let mut over = db.prepare_cached("DELETE FROM lease WHERE key = ?1 AND fence = ?2")?;
    for grant in grants {
        over.execute(params![grant.key.as_bytes(), fence(*grant)])?;
    }
    Ok(())
}

fn leave(db: &Connection, owner: i64, ticket: Ticket) -> Result<()> {
    db.prepare_cached("DELETE FROM place WHERE owner = ?1 AND ticket = ?2")?
        .execute([owner, ticket.0])?;
    Ok(())
}

/// Gives the sign of life, and finds the places that are lost for want of one. What nobody waits at
/// is removed.
fn keep_places(
    db: &Connection,
    owner: i64,
    now: i64,
    round: &Round,
    terms: Terms,
) -> Result<Vec<Ticket>> {
    if round.waiting.is_empty() && round.enter.is_empty() && !round.sweep {
        return Ok(Vec::new());
    }
    let known = db.prepare_cached("SELECT 1 FROM owner WHERE id = ?1")?.exists([owner])?;
    db.prepare_cached(
        "INSERT INTO owner VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until",
    )?
    .execute([owner, now + millis(terms.place)])?;
    if known && !round.sweep {
        return Ok(Vec::new());
    }
    let mut rows = db.prepare_cached("SELECT DISTINCT ticket FROM place WHERE owner = ?1")?;
    let kept: BTreeSet<Ticket> =
        rows.query_map([owner], |row| row.get(0).map(Ticket))?.collect::<Result<_>>()?;
    for ticket in kept.difference(&round.waiting) {
        leave(db, owner, *ticket)?;
    }
    Ok(round.waiting.difference(&kept).copied().collect())
}

fn enter(db: &Connection, owner: i64, keys: &BTreeSet<LeaseKey>) -> Result<Ticket> {
    let ticket = next_number(db)?;
    let mut place =
        db.prepare_cached("INSERT INTO place (key, ticket, owner) VALUES (?1, ?2, ?3)")?;
    for key in keys {
        place.execute(params![key.as_bytes(), ticket, owner])?;
    }
    Ok(Ticket(ticket))
}

fn grant_turns(
    db: &Connection,
    owner: i64,
    now: i64,
    terms: Terms,
) -> Result<Vec<(Ticket, Vec<Grant>)>> {
    // No two of these share a key: the later one would have the earlier one before it.
    let turns: Vec<Ticket> = db
        .prepare_cached(MY_TURN)?
        .query_map([owner], |row| row.get(0).map(Ticket))?
        .collect::<Result<_>>()?;
    let mut keys_of =
        db.prepare_cached("SELECT key FROM place WHERE owner = ?1 AND ticket = ?2 ORDER BY key")?;
    let mut granted = Vec::new();
    for ticket in turns {
        let keys: Vec<LeaseKey> = keys_of
            .query_map([owner, ticket.0], |row| row.get(0).map(LeaseKey::from_bytes))?
            .collect::<Result<_>>()?;
        leave(db, owner, ticket)?;
        granted.push((ticket, grant(db, now, &keys, terms)?));
    }
    Ok(granted)
}

fn take(db: &Connection, now: i64, keys: &BTreeSet<LeaseKey>, terms: Terms) -> Result<Vec<Grant>> {
    let mut free = db.prepare_cached(
        "SELECT NOT EXISTS (SELECT 1 FROM lease WHERE key = ?1) AND NOT EXISTS (SELECT 1 FROM place WHERE key = ?1)",
    )?;
    let mut found = Vec::new();
    for key in keys {
        if free.query_row([key.as_bytes()], |row| row.get(0))? {
            found.push(*key);
        }
    }
    grant(db, now, &found, terms)
}

fn grant(db: &Connection, now: i64, keys: &[LeaseKey], terms: Terms) -> Result<Vec<Grant>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (fence, span) = (next_number(db)?, millis(terms.unsent));
    let mut lease = db.prepare_cached("INSERT INTO lease VALUES (?1, ?2, ?3, ?4)")?;
    for key in keys {
        lease.execute(params![key.as_bytes(), fence, now + span, span])?;
    }
    Ok(keys.iter().map(|key| Grant { key: *key, fence: fence.unsigned_abs() }).collect())
}

fn next_end(db: &Connection, owner: i64, now: i64) -> Result<Option<Duration>> {
    let end: Option<i64> = db
        .prepare_cached(
            "SELECT min(ends_at) FROM lease WHERE key IN (SELECT key FROM place WHERE owner = ?1)",
        )?
        .query_row([owner], |row| row.get(0))?;
    Ok(end.map(|end| Duration::from_millis((end - now).unsigned_abs())))
}

fn next_number(db: &Connection) -> Result<i64> {
    db.prepare_cached("UPDATE number SET last = last + 1 RETURNING last")?
        .query_row([], |row| row.get(0))
}

fn fence(grant: Grant) -> i64 {
    // Numbers come from the table, which counts by ones from zero.
    i64::try_from(grant.fence).unwrap_or(i64::MAX)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Renews the owner's claim, by what those of the others leave.
fn share(db: &Connection, owner: i64, now: i64, ask: &Ask) -> Result<Shared> {
    db.prepare_cached("DELETE FROM share WHERE ends_at <= ?1")?.execute([now])?;
    let instance = ask.instance.as_bytes();
    let mut others = db.prepare_cached(
        "SELECT owner, calls, at_once, wants_calls, wants_at_once, ends_at FROM share WHERE instance = ?1 AND owner <> ?2",
    )?;
    let others = others.query_map(params![instance, owner], |row| {
        let numbers = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let [calls, at_once, wants_calls, wants_at_once] = numbers.map(number);
        let claim = Claim {
            share: Share { calls, at_once },
            wants: Share { calls: wants_calls, at_once: wants_at_once },
            ends_at: Duration::from_millis(row.get::<_, i64>(5)?.unsigned_abs()),
        };
        Ok((row.get(0)?, claim))
    });
    let others: Vec<(i64, Claim)> = others?.collect::<Result<_>>()?;
    let time = Duration::from_millis(now.unsigned_abs());
    let told = shared(owner, time, ask, others.iter().map(|(owner, claim)| (*owner, claim)));
    claim(db, &ask.instance, owner, told.claim, ask.wants, now + millis(ask.lasts))?;
    Ok(told)
}

/// Writes a row of what is claimed.
fn claim(
    db: &Connection,
    instance: &LeaseKey,
    owner: i64,
    share: Share,
    wants: Share,
    ends_at: i64,
) -> Result<()> {
    let column = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let [calls, at_once] = [share.calls, share.at_once].map(column);
    let [wants_calls, wants_at_once] = [wants.calls, wants.at_once].map(column);
    db.prepare_cached("INSERT OR REPLACE INTO share VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            instance.as_bytes(),
            owner,
            calls,
            at_once,
            wants_calls,
            wants_at_once,
            ends_at
        ])?;
    Ok(())
}

/// The owner's claim goes, and what still counts of it stays as rows that nobody renews.
fn leave_limits(db: &Connection, owner: i64, now: i64, leaving: &Leaving) -> Result<()> {
    let instance = &leaving.instance;
    db.prepare_cached("DELETE FROM share WHERE instance = ?1 AND owner = ?2")?
        .execute(params![instance.as_bytes(), owner])?;
    for (number, (share, lasts)) in leaving.rests.iter().enumerate() {
        let rest = owner_of_rest(owner, number);
        claim(db, instance, rest, *share, Share::default(), now + millis(*lasts))?;
    }
    Ok(())
}

/// A number that the store kept, which are those of limits.
fn number(kept: i64) -> usize {
    usize::try_from(kept).unwrap_or_default()
}

#[cfg(test)]
mod tests;
