//! An unclear outcome is not a failure (law 4).
//!
//! A call whose answer was lost may be running still, for as long as Marketo lets it run. Until then its keys stay
//! leased, and nothing else is sent with them. A look-up can end the wait early in one case alone: the key has one lead,
//! which holds what the call wrote and was born of it; then the call is done. That it was is certain where nobody had the
//! key right before the call, or where the lead is younger than the call by Marketo's clock. Whatever else a look-up shows
//! may change as long as the call may be running, so all other records are looked at when it cannot be running any more,
//! and what was not written is written then. Callers whose patience ends before are told 604.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Proxy;
use super::board::{Company, Unit};
use super::call::{Answered, Refusal};
use super::caller::Caller;
use super::incoming::Action;
use super::look::Found;
use super::write::{How, may_try_again};
use crate::guard::decide::holds;
use crate::guard::lease::Leases;
use crate::lead::Lead;
use crate::marketo::SYNC_LIMIT;

/// When it is looked whether the records were created, in Marketo's time since the call left.
const EARLY_LOOKS: [Duration; 3] = [Duration::from_secs(4), Duration::from_secs(15), Duration::from_secs(45)];

/// What a look-up says of a record.
enum Seen {
    /// Marketo's row for it, as the lost answer will have had it.
    Done(Value),
    /// It was not written, or that cannot be told from it: to be written once nothing is running any more.
    NotDone,
}

impl<L: Leases> Proxy<L> {
    /// Finds out what became of the records of a call that left at `sent_at`, and writes what was not written.
    pub(super) async fn settle(
        self: &Arc<Self>,
        caller: &Caller,
        units: Vec<Unit>,
        how: How,
        sent_at: Instant,
    ) {
        self.metrics.unclear(units.len());
        // What has no key cannot be looked for, and protects nothing while it waits.
        let deliberate = caller.envelope.action == Action::CreateDuplicate;
        let (mut units, nameless): (Vec<Unit>, Vec<Unit>) =
            units.into_iter().partition(|unit| unit.key().is_some() || !unit.leases.is_empty());
        self.leave_open(nameless).await;
        let clock = self.settings.clock;
        if how != How::Update && !deliberate && caller.envelope.action != Action::UpdateOnly {
            for since in EARLY_LOOKS {
                if units.is_empty() {
                    return;
                }
                clock.sleep_since(sent_at, since).await;
                if let Ok(found) = self.look_for(caller, &units).await {
                    units = self.born(units, &found, how, sent_at).await;
                }
            }
        }
        tokio::time::sleep_until(sent_at + self.over_after(SYNC_LIMIT)).await;
        if units.is_empty() {
            return;
        }
        // A second duplicate made on purpose would look like the first, and what is looked up by nothing is inserted each
        // time: neither is sent again on a guess.
        let has_key = |unit: &Unit| unit.record().is_some_and(|record| record.key.is_some());
        let (units, unknowable): (Vec<Unit>, Vec<Unit>) =
            units.into_iter().partition(|unit| has_key(unit) && !deliberate);
        self.leave_open(unknowable).await;
        if units.is_empty() {
            return;
        }
        match self.look_for(caller, &units).await {
            Ok(found) => self.whatever_is_there(caller, units, &found, how, sent_at).await,
            Err(refusal) => {
                tracing::warn!(user = %caller.user, code = %refusal.code, "what became of a write cannot be looked up with its caller's token");
                self.leave_open(units).await;
            }
        }
    }

    async fn look_for(&self, caller: &Caller, units: &[Unit]) -> Result<Found, Refusal> {
        let keys: BTreeSet<&str> = units.iter().filter_map(Unit::key).collect();
        let written: BTreeSet<String> =
            units.iter().flat_map(|unit| unit.shape.values()).map(|(name, _)| name).collect();
        let fields: BTreeSet<&str> = written.iter().map(String::as_str).chain(["createdAt"]).collect();
        let field = &caller.envelope.lookup;
        match self.look_up(caller, field, &keys, &fields, None).await {
            // A field that cannot be read was not written either, or cannot be compared.
            Err(refusal) if matches!(&*refusal.code, "1003" | "1006") => {
                self.look_up(caller, field, &keys, &BTreeSet::from(["createdAt"]), None).await
            }
            found => found,
        }
    }

    /// Answers those that were certainly born of the call, and gives the others back.
    async fn born(
        self: &Arc<Self>,
        units: Vec<Unit>,
        found: &Found,
        how: How,
        sent_at: Instant,
    ) -> Vec<Unit> {
        let is_born = |unit: &Unit| match found.of(unit.key().unwrap_or_default()) {
            [lead]
                if holds_all(lead, unit)
                    && (how == How::Create || is_surely_younger(lead, found, sent_at)) =>
            {
                Seen::Done(json!({"id": lead.id, "status": "created"}))
            }
            _ => Seen::NotDone,
        };
        self.answer_seen(units, found, is_born).await
    }

    /// The call is over: what is there is what it did.
    async fn whatever_is_there(
        self: &Arc<Self>,
        caller: &Caller,
        units: Vec<Unit>,
        found: &Found,
        how: How,
        sent_at: Instant,
    ) {
        let asked = caller.envelope.action;
        let seen = |unit: &Unit| match found.of(unit.key().unwrap_or_default()) {
            [lead] if holds_all(lead, unit) => {
                let created = match how {
                    How::Create => true,
                    How::Update => false,
                    How::AsAsked if asked == Action::UpdateOnly => false,
                    // To the second; what is at stake is one word of the answer.
                    How::AsAsked => may_be_younger(lead, found, sent_at),
                };
                // A lead that was there before is not what `createOnly` made: Marketo says so when it is asked again.
                if asked == Action::CreateOnly && !created {
                    return Seen::NotDone;
                }
                Seen::Done(json!({"id": lead.id, "status": if created { "created" } else { "updated" }}))
            }
            _ => Seen::NotDone,
        };
        let rest = self.answer_seen(units, found, seen).await;
        let (again, spent): (Vec<Unit>, Vec<Unit>) = rest.into_iter().partition(may_try_again);
        // Whoever is in such a call twice may be the cause of it: then each caller's records leave apart.
        let twice = |unit: &Unit| unit.items.iter().any(|item| item.tries > 1);
        let (twice, once): (Vec<Unit>, Vec<Unit>) = again.into_iter().partition(twice);
        self.again(once, Company::OwnRecord).await;
        self.again(twice, Company::OwnCaller).await;
        self.leave_open(spent).await;
    }

    async fn answer_seen(
        self: &Arc<Self>,
        units: Vec<Unit>,
        found: &Found,
        seen: impl Fn(&Unit) -> Seen,
    ) -> Vec<Unit> {
        let (mut done, mut rows, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for unit in units {
            match seen(&unit) {
                Seen::Done(row) => {
                    done.push(unit);
                    rows.push(row);
                }
                Seen::NotDone => rest.push(unit),
            }
        }
        let said = Answered {
            request_id: found.request_id.clone().unwrap_or_else(|| self.request_id().into()),
            rows,
            warnings: Arc::new([]),
            next: None,
            sent_at: Instant::now(),
            date: None,
        };
        self.answered(done, said).await;
        rest
    }
}

/// Whether a lead was created after the call left, by Marketo's own clock, whatever part of a second its time leaves out.
fn is_surely_younger(lead: &Lead, found: &Found, sent_at: Instant) -> bool {
    lead.created_at()
        .zip(found.marketos_time(sent_at))
        .is_some_and(|(created, (_, latest))| created >= latest)
}

/// Whether a lead may have been created after the call left.
fn may_be_younger(lead: &Lead, found: &Found, sent_at: Instant) -> bool {
    let rest = chrono::Duration::seconds(1);
    lead.created_at()
        .zip(found.marketos_time(sent_at))
        .is_some_and(|(created, (earliest, _))| created + rest >= earliest)
}

/// Whether a lead holds what a record wrote, beside what it was addressed by.
fn holds_all(lead: &Lead, unit: &Unit) -> bool {
    let lookup = unit.items.first().map(|item| item.caller.envelope.lookup.as_str());
    let addresses = |name: &str| name == "id" || Some(name) == lookup;
    unit.shape
        .values()
        .iter()
        .filter(|(name, _)| !addresses(name))
        .all(|(name, wanted)| holds(lead, name, wanted))
}
