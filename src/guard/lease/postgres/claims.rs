//! What the guards of an instance have claimed of its limits, in SQL, within the transaction of a round.

use std::time::Duration;

use tokio_postgres::{Client, Error, Row, Statement, Transaction};

use super::round::millis;
use crate::guard::lease::share::{Claim, shared};
use crate::guard::lease::{Ask, Shared};
use crate::marketo::Share;

/// The statements, prepared once for a connection.
pub(super) struct Claims {
    over: Statement,
    others: Statement,
    renew: Statement,
}

impl Claims {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            over: client.prepare("DELETE FROM mkto_audit_leases.share WHERE ends_at <= $1").await?,
            others: client
                .prepare(
                    "SELECT owner, calls, at_once, wants_calls, wants_at_once, ends_at \
                     FROM mkto_audit_leases.share WHERE instance = $1 AND owner <> $2",
                )
                .await?,
            renew: client
                .prepare(
                    "INSERT INTO mkto_audit_leases.share VALUES ($1, $2, $3, $4, $5, $6, $7) \
                     ON CONFLICT (instance, owner) DO UPDATE SET calls = excluded.calls, \
                     at_once = excluded.at_once, wants_calls = excluded.wants_calls, \
                     wants_at_once = excluded.wants_at_once, ends_at = excluded.ends_at",
                )
                .await?,
        })
    }

    /// Renews the owner's claim, by what those of the others leave.
    pub(super) async fn renew(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        now: i64,
        ask: &Ask,
    ) -> Result<Shared, Error> {
        db.execute(&self.over, &[&now]).await?;
        let instance = ask.instance.as_bytes().as_slice();
        let others = db.query(&self.others, &[&instance, &owner]).await?;
        let others: Vec<(i64, Claim)> = others.iter().map(|row| (row.get(0), claim(row))).collect();
        let told = shared(owner, ask, others.iter().map(|(owner, claim)| (*owner, claim)));
        let column = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (calls, at_once) = (column(told.claim.calls), column(told.claim.at_once));
        let (wants_calls, wants_at_once) = (column(ask.wants.calls), column(ask.wants.at_once));
        let ends_at = now + millis(ask.lasts);
        db.execute(
            &self.renew,
            &[&instance, &owner, &calls, &at_once, &wants_calls, &wants_at_once, &ends_at],
        )
        .await?;
        Ok(told)
    }
}

/// A guard's claim, of the columns after its owner.
fn claim(row: &Row) -> Claim {
    let number = |column| usize::try_from(row.get::<_, i64>(column)).unwrap_or_default();
    let part = |calls, at_once| Share { calls: number(calls), at_once: number(at_once) };
    let ends_at = Duration::from_millis(row.get::<_, i64>(5).unsigned_abs());
    Claim { share: part(1, 2), wants: part(3, 4), ends_at }
}
