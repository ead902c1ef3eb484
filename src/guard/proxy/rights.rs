//! The rights to the keys of a call: taken where they are free, waited for where another guard has
//! them, and kept for as long as a record that has got its right stands in line for its turn.
//!
//! A line may be longer than a right lasts that nobody speaks for. A record whose right ran out
//! meanwhile would not be written, since every call renews its rights right before it leaves; but
//! its turn would be another guard's, and the call that it was to leave with would be put together
//! again. So its right is renewed until a call takes it along. A right that is lost all the same is
//! asked for anew, before the turn comes; and one that nobody waits for any more is given back at
//! once, since other guards may be waiting for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Proxy;
use super::board::{Item, Unit};
use super::call::Refusal;
use super::caller::Caller;
use crate::guard::lease::{Lease, LeaseError, LeaseKey, Leases};

impl<L: Leases> Proxy<L> {
    /// Takes the rights to the keys that are free, and sends the others to wait for theirs.
    pub(super) async fn take_rights(
        self: &Arc<Self>,
        mut units: Vec<Unit>,
    ) -> Result<Vec<Unit>, (Vec<Unit>, Refusal)> {
        let wanted: BTreeSet<LeaseKey> =
            units.iter().filter(|unit| unit.leases.is_empty()).flat_map(Unit::keys).collect();
        if wanted.is_empty() {
            return Ok(units);
        }
        let mut taken: BTreeMap<LeaseKey, Lease> = match self.leases.try_acquire(&wanted).await {
            Ok(leases) => leases.into_iter().map(|lease| (lease.key(), lease)).collect(),
            Err(error) => return Err((units, self.no_leases(&error))),
        };
        let mut ready = Vec::with_capacity(units.len());
        let mut back = Vec::new();
        for mut unit in units.drain(..) {
            if !unit.leases.is_empty() {
                ready.push(unit);
                continue;
            }
            let got: Vec<Lease> = unit.keys().filter_map(|key| taken.remove(&key)).collect();
            if got.len() == unit.keys().count() {
                unit.leases = got;
                ready.push(unit);
            } else {
                back.extend(got);
                self.wait_for_rights(unit);
            }
        }
        self.give_back(back).await;
        Ok(ready)
    }

    /// Gives rights to the next in line.
    pub(super) async fn give_back(&self, mut leases: Vec<Lease>) {
        leases.sort_unstable();
        if leases.is_empty() {
            return;
        }
        if let Err(error) = self.leases.release(leases).await {
            tracing::warn!(%error, "rights to keys end by themselves");
        }
    }

    /// Another guard is writing the key: the first record waits for the right, the others behind
    /// it.
    fn wait_for_rights(self: &Arc<Self>, unit: Unit) {
        let mut items = unit.items.into_iter();
        let first = items.next();
        self.put_back(items);
        let Some(item) = first else { return };
        let proxy = Arc::clone(self);
        self.tasks.spawn(async move { proxy.stand_in_line(item).await });
    }

    /// Waits for the rights of a record, and keeps them until a call takes it along.
    async fn stand_in_line(self: &Arc<Self>, mut item: Item) {
        let caller = Arc::clone(&item.caller);
        loop {
            match self.leases.acquire(&item.record.leases).await {
                Ok(leases) => item.leases = leases,
                Err(error) => {
                    let refusal = self.no_leases(&error);
                    return self.refuse(vec![Unit::of(item)], &refusal).await;
                }
            }
            let kept: Vec<Lease> = item.leases.iter().map(Lease::named_again).collect();
            let number = item.number();
            let taken_along = item.waits_with_rights();
            self.put_back([item]);
            if taken_along.run_until_cancelled(self.keep(&caller, &kept)).await.is_none() {
                return;
            }
            let withdrawn = self.board().withdraw(&caller.user, number);
            let Some(mut back) = withdrawn else { return };
            if caller.has_gone() {
                return self.give_up(vec![back]).await;
            }
            tracing::debug!(user = %caller.user, "a right that was waited for is lost, and is asked for anew");
            self.give_back(std::mem::take(&mut back.leases)).await;
            item = back;
        }
    }

    /// Keeps rights until they are lost, or their caller has gone.
    async fn keep(&self, caller: &Caller, leases: &[Lease]) {
        loop {
            tokio::time::sleep(self.settings.unsent / 3).await;
            if caller.has_gone() {
                return;
            }
            // A store that is away for a moment may be back before the rights have ended.
            if let Err(LeaseError::Lost { .. }) =
                self.leases.renew(leases, self.settings.unsent).await
            {
                return;
            }
        }
    }
}
