//! The rows of the tables: loaded and saved within a transaction that nobody else is in.
//!
//! All other guards wait while a batch lasts. So statements that need no answer of one another
//! leave together, in their order, and a batch takes three round trips however many callers are in
//! it.

use std::collections::BTreeMap;

use futures::future::{try_join_all, try_join3, try_join4};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row as Found, Statement, Transaction};

use crate::leases::api::Terms;
use crate::leases::backend::{Batch, BatchResult};
use crate::leases::changes::{self, Changes, millis, number, span};
use crate::leases::key::LeaseKey;
use crate::leases::rate_share::ClaimRow;
use crate::leases::state::{QUIET, Row, State, Time};

/// The advisory lock that every batch takes; the number is `mkaG`.
pub(super) const LOCK: i64 = 0x6d6b_6147;

/// The statements of a batch, prepared once for a connection.
pub(super) struct Statements {
    /// The server's identity; empty where it is not known.
    identity: String,
    lock: Statement,
    store: Statement,
    identify: Statement,
    over: Statement,
    keys: Statement,
    claims: Statement,
    save: Statement,
    save_keys: Statement,
    remove_keys: Statement,
    save_claim: Statement,
    remove_claim: Statement,
    tell: Statement,
}

const STORE: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, identity, quiet_until, last, saves \
    FROM mkto_audit_leases.store";

const KEYS: &str = "SELECT key, generation, ends_at, waiting FROM mkto_audit_leases.key_state WHERE key = ANY ($1)";

const CLAIMS: &str = "SELECT owner, calls, at_once, wants_calls, wants_at_once, ends_at \
    FROM mkto_audit_leases.share WHERE instance = $1";

const SAVE_KEYS: &str = "INSERT INTO mkto_audit_leases.key_state SELECT * FROM unnest($1, $2, $3, $4, $5) \
    ON CONFLICT (key) DO UPDATE SET generation = excluded.generation, ends_at = excluded.ends_at, \
    waiting = excluded.waiting, over_at = excluded.over_at";

const SAVE_CLAIM: &str = "INSERT INTO mkto_audit_leases.share VALUES ($1, $2, $3, $4, $5, $6, $7) \
    ON CONFLICT (instance, owner) DO UPDATE SET calls = excluded.calls, at_once = excluded.at_once, \
    wants_calls = excluded.wants_calls, wants_at_once = excluded.wants_at_once, ends_at = excluded.ends_at";

impl Statements {
    pub(super) async fn prepare(client: &Client, identity: String) -> Result<Self, Error> {
        let (keys, numbers) = (Type::BYTEA_ARRAY, Type::INT8_ARRAY);
        let row = [keys.clone(), numbers.clone(), numbers.clone(), keys.clone(), numbers];
        let gone = "DELETE FROM mkto_audit_leases.key_state WHERE key = ANY ($1)";
        let claim_gone = "DELETE FROM mkto_audit_leases.share WHERE instance = $1 AND owner = $2";
        let save = "UPDATE mkto_audit_leases.store SET quiet_until = $1, last = $2, saves = $3";
        let over = "DELETE FROM mkto_audit_leases.key_state WHERE over_at <= $1";
        let another = "UPDATE mkto_audit_leases.store SET identity = $1, quiet_until = $2";
        Ok(Self {
            identity,
            lock: client.prepare("SELECT pg_advisory_xact_lock($1)").await?,
            store: client.prepare(STORE).await?,
            identify: client.prepare(another).await?,
            over: client.prepare(over).await?,
            keys: client.prepare_typed(KEYS, std::slice::from_ref(&keys)).await?,
            claims: client.prepare(CLAIMS).await?,
            save: client.prepare(save).await?,
            save_keys: client.prepare_typed(SAVE_KEYS, &row).await?,
            remove_keys: client.prepare_typed(gone, &[keys]).await?,
            save_claim: client.prepare(SAVE_CLAIM).await?,
            remove_claim: client.prepare(claim_gone).await?,
            tell: client.prepare("SELECT pg_notify('mkto_audit_leases', '')").await?,
        })
    }

    pub(super) async fn carry_out(
        &self,
        db: &Transaction<'_>,
        guard: i64,
        batch: &Batch,
        terms: Terms,
    ) -> Result<BatchResult, Error> {
        db.execute(&self.lock, &[&LOCK]).await?;
        // The clock is read after the lock is there, since waiting for it takes time.
        let store = db.query_one(&self.store, &[]).await?;
        let now: i64 = store.get(0);
        let time = Time { now: span(now), clock: now.unsigned_abs() };
        self.carry_out_at(db, guard, time, &store, batch, terms).await
    }

    /// The same, where it is known that nobody else is in the tables, and what time it is.
    async fn carry_out_at(
        &self,
        db: &Transaction<'_>,
        guard: i64,
        time: Time,
        store: &Found,
        batch: &Batch,
        terms: Terms,
    ) -> Result<BatchResult, Error> {
        let state = self.load(db, millis(time.now), store, batch).await?;
        let (result, changes) = changes::carry_out(state, guard, time, batch, terms);
        if let Some(changes) = changes {
            self.save(db, &changes).await?;
        }
        if result.wakes {
            db.execute(&self.tell, &[]).await?;
        }
        Ok(result)
    }

    /// The rows that the batch concerns.
    async fn load(
        &self,
        db: &Transaction<'_>,
        now: i64,
        store: &Found,
        batch: &Batch,
    ) -> Result<State, Error> {
        let quiet_until = self.identify(db, now, store).await?;
        let wanted = batch.keys();
        let wanted: Vec<&[u8]> = wanted.iter().map(|key| key.as_bytes().as_slice()).collect();
        let instance = batch.instance();
        let rows = async { db.query(&self.keys, &[&wanted]).await };
        let claims = async {
            match &instance {
                Some(instance) => db.query(&self.claims, &[&instance.as_bytes().as_slice()]).await,
                None => Ok(Vec::new()),
            }
        };
        let over = async { db.execute(&self.over, &[&now]).await };
        let (_, rows, claims) = try_join3(over, rows, claims).await?;
        let claims = instance.into_iter().flat_map(|instance| {
            claims.iter().map(move |row| ((instance, row.get(0)), claim(row)))
        });
        Ok(State {
            rows: rows.iter().filter_map(row).collect(),
            claims: claims.collect::<BTreeMap<_, _>>(),
            last: store.get::<_, i64>(3).unsigned_abs(),
            saves: store.get::<_, i64>(4).unsigned_abs(),
            quiet_until: span(quiet_until),
        })
    }

    /// Starts a quiet time where the tables are those of another server or of another history:
    /// their latest leases may be missing. Gives the end of the quiet time.
    async fn identify(&self, db: &Transaction<'_>, now: i64, store: &Found) -> Result<i64, Error> {
        let (known, quiet_until): (&str, i64) = (store.get(1), store.get(2));
        if self.identity.is_empty() || self.identity == known {
            return Ok(quiet_until);
        }
        let is_new = known.is_empty();
        let quiet_until = if is_new { quiet_until } else { quiet_until.max(now + millis(QUIET)) };
        if !is_new {
            tracing::error!(
                quiet_s = QUIET.as_secs(),
                "the lease store is another server than before, or was restored; nothing is written until every call that left before is over"
            );
        }
        db.execute(&self.identify, &[&self.identity, &quiet_until]).await?;
        Ok(quiet_until)
    }

    async fn save(&self, db: &Transaction<'_>, changes: &Changes) -> Result<(), Error> {
        let store = [millis(changes.quiet_until), number(changes.last), number(changes.saves)];
        let [quiet_until, last, saves] = &store;
        let store = async { db.execute(&self.save, &[quiet_until, last, saves]).await };
        let rows = self.save_rows(db, &changes.rows);
        let gone = async {
            if changes.rows_gone.is_empty() {
                return Ok(0);
            }
            let keys = changes.rows_gone.iter().map(|key| key.as_bytes().as_slice());
            db.execute(&self.remove_keys, &[&keys.collect::<Vec<_>>()]).await
        };
        let claims = async {
            let writes = changes.claims.iter().map(|(key, row)| self.save_claim(db, *key, *row));
            try_join_all(writes).await?;
            let gone = changes.claims_gone.iter().map(|(instance, guard)| async move {
                db.execute(&self.remove_claim, &[&instance.as_bytes().as_slice(), guard]).await
            });
            try_join_all(gone).await
        };
        try_join4(store, rows, gone, claims).await.map(drop)
    }

    async fn save_rows(&self, db: &Transaction<'_>, rows: &[(LeaseKey, Row)]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let columns = rows.iter().map(|(key, row)| {
            let (generation, ends_at, waiting, over_at) = row.columns();
            (key.as_bytes().as_slice(), generation, ends_at, waiting, over_at)
        });
        let (keys, generations, ends_at, waiting, over_at): (
            Vec<_>,
            Vec<_>,
            Vec<_>,
            Vec<_>,
            Vec<_>,
        ) = columns.collect();
        db.execute(&self.save_keys, &[&keys, &generations, &ends_at, &waiting, &over_at])
            .await
            .map(drop)
    }

    async fn save_claim(
        &self,
        db: &Transaction<'_>,
        (instance, guard): (LeaseKey, i64),
        row: ClaimRow,
    ) -> Result<u64, Error> {
        let instance = instance.as_bytes().as_slice();
        let [calls, at_once, wants_calls, wants_at_once, ends_at] = row.columns();
        db.execute(
            &self.save_claim,
            &[&instance, &guard, &calls, &at_once, &wants_calls, &wants_at_once, &ends_at],
        )
        .await
    }
}

/// A key and its row; the table holds no key of another length.
fn row(found: &Found) -> Option<(LeaseKey, Row)> {
    let key = <[u8; 32]>::try_from(found.get::<_, &[u8]>(0)).ok()?;
    let row = Row::of_columns(found.get(1), found.get(2), found.get(3));
    Some((LeaseKey::from_bytes(key), row))
}

/// A guard's claim, of the columns after its owner.
fn claim(found: &Found) -> ClaimRow {
    ClaimRow::of_columns([1, 2, 3, 4, 5].map(|column| found.get(column)))
}

#[cfg(test)]
mod tests;
