//! What the guards of an instance have claimed of its limits, in SQL, within the transaction of a
//! round.

use std::time::Duration;

use tokio_postgres::{Client, Error, Statement, Transaction};

use super::round::millis;
use crate::guard::lease::leaving::owner_of_rest;
use crate::guard::lease::share::{Claim, shared};
use crate::guard::lease::{Ask, LeaseKey, Leaving, Shared};
use crate::marketo::Share;

/// The statements, prepared once for a connection.
pub(super) struct Claims {
    over: Statement,
    others: Statement,
    renew: Statement,
    leave: Statement,
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
            leave: client
                .prepare("DELETE FROM mkto_audit_leases.share WHERE instance = $1 AND owner = $2")
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
        let time = Duration::from_millis(now.unsigned_abs());
        let told = shared(owner, time, ask, others.iter().map(|(owner, claim)| (*owner, claim)));
        let claim =
            Row { owner, share: told.claim, wants: ask.wants, ends_at: now + millis(ask.lasts) };
        self.write(db, &ask.instance, claim).await?;
        Ok(told)
    }

    /// The owner's claim goes, and what still counts of it stays as rows that nobody renews.
    pub(super) async fn leave(
        &self,
        db: &Transaction<'_>,
        owner: i64,
        now: i64,
        leaving: &Leaving,
    ) -> Result<(), Error> {
        db.execute(&self.leave, &[&leaving.instance.as_bytes().as_slice(), &owner]).await?;
        for (number, (share, lasts)) in leaving.rests.iter().enumerate() {
            let owner = owner_of_rest(owner, number);
            let rest = Row {
                owner,
                share: *share,
                wants: Share::default(),
                ends_at: now + millis(*lasts),
            };
            self.write(db, &leaving.instance, rest).await?;
        }
        Ok(())
    }

    async fn write(
        &self,
        db: &Transaction<'_>,
        instance: &LeaseKey,
        row: Row,
    ) -> Result<(), Error> {
        let column = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (calls, at_once) = (column(row.share.calls), column(row.share.at_once));
        let (wants_calls, wants_at_once) = (column(row.wants.calls), column(row.wants.at_once));
        let instance = instance.as_bytes().as_slice();
        db.execute(
            &self.renew,
            &[&instance, &row.owner, &calls, &at_once, &wants_calls, &wants_at_once, &row.ends_at],
        )
        .await?;
        Ok(())
    }
}

/// A row to be written.
struct Row {
    owner: i64,
    share: Share,
    wants: Share,
    ends_at: i64,
}

/// A guard's claim, of the columns after its owner.
fn claim(row: &tokio_postgres::Row) -> Claim {
    let number = |column| usize::try_from(row.get::<_, i64>(column)).unwrap_or_default();
    let part = |calls, at_once| Share { calls: number(calls), at_once: number(at_once) };
    let ends_at = Duration::from_millis(row.get::<_, i64>(5).unsigned_abs());
    Claim { share: part(1, 2), wants: part(3, 4), ends_at }
}
