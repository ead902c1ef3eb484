//! A round in SQL, within a transaction that nobody else is in.
//!
//! Statements that do not wait for one another's answers leave together, in their order: how long a
//! round takes is not to depend on how many callers are in it times how far the server is away,
//! since everybody waits while it lasts.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement, Transaction};

use super::claims::Claims;
use crate::guard::lease::table::{Grant, Results, Round, Ticket};
use crate::guard::lease::{LeaseKey, Terms};

/// The advisory lock that every round takes; the number is `mkaG`.
pub(super) const LOCK: i64 = 0x6d6b_6147;

/// The statements of a round, prepared once for a connection.
pub(super) struct Statements {
    lock: Statement,
    now: Statement,
    leases_over: Statement,
    owners_over: Statement,
    not_held: Statement,
    longer: Statement,
    release: Statement,
    leave: Statement,
    known: Statement,
    alive: Statement,
    places: Statement,
    numbers: Statement,
    enter: Statement,
    turns: Statement,
    keys_of: Statement,
    free: Statement,
    grant: Statement,
    next_end: Statement,
    tell: Statement,
    claims: Claims,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (keys, numbers) = (Type::BYTEA_ARRAY, Type::INT8_ARRAY);
        let typed = |sql: &'static str, types: Vec<Type>| async move {
            client.prepare_typed(sql, &types).await
        };
        Ok(Self {
            lock: client.prepare("SELECT pg_advisory_xact_lock($1)").await?,
            now: client.prepare("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").await?,
            leases_over: client.prepare("DELETE FROM mkto_audit_leases.lease WHERE ends_at <= $1").await?,
            owners_over: client
                .prepare("DELETE FROM mkto_audit_leases.owner WHERE alive_until <= $1")
                .await?,
            not_held: typed(NOT_HELD, vec![keys.clone(), numbers.clone()]).await?,
            longer: typed(
                "UPDATE mkto_audit_leases.lease SET ends_at = greatest(ends_at, $2) WHERE key = ANY ($1)",
                vec![keys.clone(), Type::INT8],
            )
            .await?,
            release: typed(RELEASE, vec![keys.clone(), numbers.clone()]).await?,
            leave: typed(
                "DELETE FROM mkto_audit_leases.place WHERE owner = $1 AND ticket = ANY ($2)",
                vec![Type::INT8, numbers],
            )
            .await?,
            known: client.prepare("SELECT 1 FROM mkto_audit_leases.owner WHERE id = $1").await?,
            alive: client.prepare(ALIVE).await?,
            places: client
                .prepare("SELECT DISTINCT ticket FROM mkto_audit_leases.place WHERE owner = $1")
                .await?,
            numbers: client
                .prepare("SELECT nextval('mkto_audit_leases.number') FROM generate_series(1, $1::bigint)")
                .await?,
            enter: typed(
                "INSERT INTO mkto_audit_leases.place SELECT key, $2, $3 FROM unnest($1) AS wanted (key)",
                vec![keys.clone(), Type::INT8, Type::INT8],
            )
            .await?,
            turns: client.prepare(MY_TURN).await?,
            keys_of: client.prepare(KEYS_OF).await?,
            free: typed(FREE, vec![keys.clone()]).await?,
            grant: typed(GRANT, vec![keys, Type::INT8_ARRAY, Type::INT8]).await?,
            next_end: client.prepare(NEXT_END).await?,
            tell: client.prepare("SELECT pg_notify('mkto_audit_leases', '')").await?,
            claims: Claims::prepare(client).await?,
        })
    }

    /// Does what the round asks for, in the order that [`crate::guard::lease::table`] sets out.
    pub(super) async fn carry_out(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        round: &Round,
        terms: Terms,
    ) -> Result<Results, Error> {
        db.execute(&self.lock, &[&LOCK]).await?;
        // Read after the lock is there, since waiting for it takes time.
        let now = db.query_one(&self.now, &[]).await?.get(0);
        self.carry_out_at(db, owner, now, round, terms).await
    }

    /// The same, where it is known that nobody else is in the tables, and what time it is.
    async fn carry_out_at(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        now: i64,
        round: &Round,
        terms: Terms,
    ) -> Result<Results, Error> {
        let mut freed = db.execute(&self.leases_over, &[&now]).await?;
        freed += db.execute(&self.owners_over, &[&now]).await?;
        // None of them changes who holds what, and none shortens what another made longer.
        let renewals = round.renew.iter().map(|(grants, span)| self.renew(db, now, grants, *span));
        let renewed = try_join_all(renewals).await?;
        if !round.release.is_empty() {
            let (keys, fences) = columns(&round.release);
            freed += db.execute(&self.release, &[&keys, &fences]).await?;
        }
        if !round.leave.is_empty() {
            freed += self.leave(db, owner, round.leave.iter().copied()).await?;
        }
        let gone = self.keep_places(db, owner, now, round, terms).await?;
        let entered = self.enter(db, owner, &round.enter).await?;
        let granted = self.grant_turns(db, owner, now, terms).await?;
        let taken = self.take(db, now, &round.take, terms).await?;
        let end: Option<i64> = db.query_one(&self.next_end, &[&owner]).await?.get(0);
        if freed > 0 {
            db.execute(&self.tell, &[]).await?;
        }
        let look_again = end.map(|end| Duration::from_millis((end - now).unsigned_abs()));
        let shared = match &round.share {
            Some(ask) => Some(self.claims.renew(db, owner, now, ask).await?),
            None => None,
        };
        if let Some(leaving) = &round.left {
            self.claims.leave(db, owner, now, leaving).await?;
        }
        Ok(Results { renewed, entered, granted, gone, taken, look_again, shared })
    }

    async fn renew(
        &self,
        db: &Transaction<'_>,
        now: i64,
        grants: &[Grant],
        span: Duration,
    ) -> Result<Result<(), LeaseKey>, Error> {
        let (keys, fences) = columns(grants);
        if let Some(row) = db.query_opt(&self.not_held, &[&keys, &fences]).await?
            && let Some(lost) = key(row.get(0))
        {
            return Ok(Err(lost));
        }
        db.execute(&self.longer, &[&keys, &(now + millis(span))]).await?;
        Ok(Ok(()))
    }

    async fn leave(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        tickets: impl Iterator<Item = Ticket>,
    ) -> Result<u64, Error> {
        let tickets: Vec<i64> = tickets.map(|ticket| ticket.0).collect();
        db.execute(&self.leave, &[&owner, &tickets]).await
    }

    /// Gives the sign of life, and finds the places that are lost for want of one. What nobody
    /// waits at is removed.
    async fn keep_places(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        now: i64,
        round: &Round,
        terms: Terms,
    ) -> Result<Vec<Ticket>, Error> {
        if round.waiting.is_empty() && round.enter.is_empty() && !round.sweep {
            return Ok(Vec::new());
        }
        let known = db.query_opt(&self.known, &[&owner]).await?.is_some();
        db.execute(&self.alive, &[&owner, &(now + millis(terms.place))]).await?;
        if known && !round.sweep {
            return Ok(Vec::new());
        }
        let kept = db.query(&self.places, &[&owner]).await?;
        let kept: BTreeSet<Ticket> = kept.iter().map(|row| Ticket(row.get(0))).collect();
        self.leave(db, owner, kept.difference(&round.waiting).copied()).await?;
        Ok(round.waiting.difference(&kept).copied().collect())
    }

    /// Puts each of these at the end of its lines, in this order.
    async fn enter(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        callers: &[BTreeSet<LeaseKey>],
    ) -> Result<Vec<Ticket>, Error> {
        let tickets = self.numbers(db, callers.len()).await?;
        let places = callers.iter().zip(&tickets);
        try_join_all(places.map(|(keys, ticket)| self.enter_one(db, owner, keys, *ticket))).await?;
        Ok(tickets.into_iter().map(Ticket).collect())
    }

    async fn enter_one(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        keys: &BTreeSet<LeaseKey>,
        ticket: i64,
    ) -> Result<u64, Error> {
        db.execute(&self.enter, &[&bytes(keys.iter()), &ticket, &owner]).await
    }

    /// The next numbers, the lowest first.
    async fn numbers(&self, db: &Transaction<'_>, count: usize) -> Result<Vec<i64>, Error> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let rows = db.query(&self.numbers, &[&i64::try_from(count).unwrap_or(i64::MAX)]).await?;
        let mut numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn grant_turns(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        now: i64,
        terms: Terms,
    ) -> Result<Vec<(Ticket, Vec<Grant>)>, Error> {
        // No two of these share a key: the later one would have the earlier one before it.
        let turns = db.query(&self.turns, &[&owner]).await?;
        let turns: Vec<Ticket> = turns.iter().map(|row| Ticket(row.get(0))).collect();
        if turns.is_empty() {
            return Ok(Vec::new());
        }
        let keys =
            try_join_all(turns.iter().map(|ticket| self.keys_of(db, owner, *ticket))).await?;
        self.leave(db, owner, turns.iter().copied()).await?;
        let granted = self.grant(db, now, keys, terms).await?;
        Ok(turns.into_iter().zip(granted).collect())
    }

    async fn keys_of(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        ticket: Ticket,
    ) -> Result<Vec<LeaseKey>, Error> {
        let keys = db.query(&self.keys_of, &[&owner, &ticket.0]).await?;
        Ok(keys.iter().filter_map(|row| key(row.get(0))).collect())
    }

    /// Gives each who tries what is free of its keys, the first one first.
    async fn take(
        &self,
        db: &Transaction<'_>,
        now: i64,
        wanted: &[BTreeSet<LeaseKey>],
        terms: Terms,
    ) -> Result<Vec<Vec<Grant>>, Error> {
        let all: BTreeSet<&LeaseKey> = wanted.iter().flatten().collect();
        if all.is_empty() {
            return Ok(wanted.iter().map(|_| Vec::new()).collect());
        }
        let free = db.query(&self.free, &[&bytes(all.into_iter())]).await?;
        let mut free: BTreeSet<LeaseKey> = free.iter().filter_map(|row| key(row.get(0))).collect();
        let takes: Vec<Vec<LeaseKey>> = wanted
            .iter()
            .map(|keys| keys.iter().filter(|key| free.remove(*key)).copied().collect())
            .collect();
        self.grant(db, now, takes, terms).await
    }

    /// Grants each list of keys, in this order; one that is empty takes no number.
    async fn grant(
        &self,
        db: &Transaction<'_>,
        now: i64,
        lists: Vec<Vec<LeaseKey>>,
        terms: Terms,
    ) -> Result<Vec<Vec<Grant>>, Error> {
        let ends_at = now + millis(terms.unsent);
        let count = lists.iter().filter(|keys| !keys.is_empty()).count();
        let mut fences = self.numbers(db, count).await?.into_iter();
        let numbered = |keys: Vec<LeaseKey>| {
            let fence = if keys.is_empty() { None } else { fences.next() };
            keys.into_iter()
                .zip(fence.into_iter().cycle())
                .map(|(key, fence)| Grant { key, fence: fence.unsigned_abs() })
                .collect()
        };
        let lists: Vec<Vec<Grant>> = lists.into_iter().map(numbered).collect();
        let all: Vec<Grant> = lists.iter().flatten().copied().collect();
        if !all.is_empty() {
            let (keys, fences) = columns(&all);
            db.execute(&self.grant, &[&keys, &fences, &ends_at]).await?;
        }
        Ok(lists)
    }
}

/// The first of the wanted rights that is not held any more.
const NOT_HELD: &str = "SELECT wanted.key FROM unnest($1, $2) WITH ORDINALITY AS wanted (key, fence, nth) \
    WHERE NOT EXISTS (SELECT 1 FROM mkto_audit_leases.lease AS held \
    WHERE held.key = wanted.key AND held.fence = wanted.fence) ORDER BY nth LIMIT 1";

/// Gives rights back, each only while it is the one that was granted.
const RELEASE: &str = "DELETE FROM mkto_audit_leases.lease AS held USING unnest($1, $2) AS over (key, fence) \
    WHERE held.key = over.key AND held.fence = over.fence";

/// An owner lives until then.
const ALIVE: &str = "INSERT INTO mkto_audit_leases.owner VALUES ($1, $2) \
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until";

/// The keys of a ticket, in the order in which rounds name them.
const KEYS_OF: &str =
    "SELECT key FROM mkto_audit_leases.place WHERE owner = $1 AND ticket = $2 ORDER BY key";

/// Those of the wanted keys that nobody holds or stands in line for.
const FREE: &str = "SELECT wanted.key FROM unnest($1) AS wanted (key) \
    WHERE NOT EXISTS (SELECT 1 FROM mkto_audit_leases.lease AS held WHERE held.key = wanted.key) \
    AND NOT EXISTS (SELECT 1 FROM mkto_audit_leases.place AS line WHERE line.key = wanted.key) \
    ORDER BY wanted.key";

/// Grants rights that are free.
const GRANT: &str = "INSERT INTO mkto_audit_leases.lease SELECT key, fence, $3 FROM unnest($1, $2) AS granted (key, fence)";

/// When the first of the leases ends that an owner's tickets wait for.
const NEXT_END: &str = "SELECT min(ends_at) FROM mkto_audit_leases.lease \
    WHERE key IN (SELECT key FROM mkto_audit_leases.place WHERE owner = $1)";

/// The places of an owner with nobody before them and no lease in their way, for all keys of their
/// tickets.
const MY_TURN: &str = "SELECT ticket FROM mkto_audit_leases.place AS mine WHERE owner = $1 GROUP BY ticket \
    HAVING NOT bool_or( \
         EXISTS (SELECT 1 FROM mkto_audit_leases.lease AS held WHERE held.key = mine.key) \
      OR EXISTS (SELECT 1 FROM mkto_audit_leases.place AS earlier \
                 WHERE earlier.key = mine.key AND earlier.ticket < mine.ticket) \
    ) ORDER BY ticket";

fn bytes<'k>(keys: impl Iterator<Item = &'k LeaseKey>) -> Vec<&'k [u8]> {
    keys.map(|key| key.as_bytes().as_slice()).collect()
}

fn columns(grants: &[Grant]) -> (Vec<&[u8]>, Vec<i64>) {
    // Numbers come from the sequence, which counts by ones from one.
    let fences =
        grants.iter().map(|grant| i64::try_from(grant.fence).unwrap_or(i64::MAX)).collect();
    (bytes(grants.iter().map(|grant| &grant.key)), fences)
}

/// A key that the store kept; the table holds none of another length.
fn key(bytes: &[u8]) -> Option<LeaseKey> {
    bytes.try_into().ok().map(LeaseKey::from_bytes)
}

pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
