//! An unclear outcome is not a failure (law 4).
//!
//! A call whose answer was lost may be running still, for as long as Marketo lets it run. Until
//! then its keys stay leased, and nothing else is sent with them. A look-up can end the wait early
//! in one case alone: the key has one lead, which holds what the call wrote and was born of it;
//! then the call is done. That it was is certain where nobody had the key right before the call, or
//! where the lead is younger than the call by Marketo's clock. Whatever else a look-up shows may
//! change as long as the call may be running, so all other records are looked at when it cannot be
//! running any more, and what was not written is written then. Callers whose patience ends before
//! are told 604.
//!
//! What a look-up cannot tell stays open, and its caller is told 604 too: a key that Marketo cannot
//! be asked for; whether a lead that `createOnly` came upon was its own; whether a form was filled
//! out, or a lead pushed, where its lead was there before. A lead shows its values, and not what
//! happened to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Proxy;
use super::board::{Company, Unit};
use super::call::{Answered, Refusal};
use super::caller::Caller;
use super::incoming::{Action, Envelope};
use super::look::Found;
use super::route::Verb;
use super::write::{How, may_try_again};
use crate::guard::decide::holds;
use crate::guard::lease::Leases;
use crate::lead::Lead;
use crate::marketo::SYNC_LIMIT;

/// When it is looked whether the records were created, in Marketo's time since the call left.
const EARLY_LOOKS: [Duration; 3] =
    [Duration::from_secs(4), Duration::from_secs(15), Duration::from_secs(45)];

/// What a look-up says of a record.
enum Seen {
    /// Marketo's row for it, as the lost answer will have had it.
    Done(Value),
    /// It was not written, or writing it again comes to the same: to be written once nothing is
    /// running any more.
    NotDone,
    /// It cannot tell, and to write it again would not come to the same.
    Unknowable,
}

impl<L: Leases> Proxy<L> {
    /// Finds out what became of the records of a call that left at `sent_at`, and writes what was
    /// not written.
    pub(super) async fn settle(
        self: &Arc<Self>,
        caller: &Caller,
        units: Vec<Unit>,
        how: How,
        sent_at: Instant,
    ) {
        self.metrics.unclear(units.len());
        // What has no right cannot be looked for, and protects nothing while it waits.
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
        // A second duplicate made on purpose would look like the first, what is looked up by
        // nothing is inserted each time, and of a key that Marketo cannot be asked for nobody
        // learns what became: none of them is sent again on a guess.
        let (units, unknowable): (Vec<Unit>, Vec<Unit>) =
            units.into_iter().partition(|unit| unit.key().is_some() && !deliberate);
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
        let fields: BTreeSet<&str> =
            written.iter().map(String::as_str).chain(["createdAt"]).collect();
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
        let over = Over { envelope: &caller.envelope, how, sent_at, found };
        let is_unknowable = |unit: &Unit| matches!(over.seen(unit), Seen::Unknowable);
        let (unknowable, units): (Vec<Unit>, Vec<Unit>) =
            units.into_iter().partition(is_unknowable);
        self.leave_open(unknowable).await;
        let rest = self.answer_seen(units, found, |unit| over.seen(unit)).await;
        let (again, spent): (Vec<Unit>, Vec<Unit>) = rest.into_iter().partition(may_try_again);
        // Whoever is in such a call twice may be the cause of it: then each caller's records leave
        // apart.
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
                Seen::NotDone | Seen::Unknowable => rest.push(unit),
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

/// A call that is over, and what a look-up found after it.
struct Over<'a> {
    envelope: &'a Envelope,
    how: How,
    sent_at: Instant,
    found: &'a Found,
}

impl Over<'_> {
    /// What became of a record.
    fn seen(&self, unit: &Unit) -> Seen {
        let Self { found, sent_at, .. } = *self;
        let key = unit.key().unwrap_or_default();
        match found.of(key) {
            [] if self.comes_to_the_same() || !found.differs_in_case(key) => Seen::NotDone,
            [lead] if holds_all(lead, unit) => {
                let created = match self.how {
                    How::Create => true,
                    How::Update => false,
                    How::AsAsked if self.envelope.action == Action::UpdateOnly => false,
                    // To the second; what is at stake is one word of the answer.
                    How::AsAsked => may_be_younger(lead, found, sent_at),
                };
                if !created && !self.comes_to_the_same() {
                    return self.again_or_never(std::slice::from_ref(lead));
                }
                Seen::Done(
                    json!({"id": lead.id, "status": if created { "created" } else { "updated" }}),
                )
            }
            leads if self.comes_to_the_same() || leads.is_empty() => Seen::NotDone,
            leads => self.again_or_never(leads),
        }
    }

    /// Whether a record that was written twice has come to what one would have that was written
    /// once. `createOnly` is refused the second time, and forms and pushes are events, which start
    /// campaigns.
    fn comes_to_the_same(&self) -> bool {
        self.envelope.verb == Verb::Sync && self.envelope.action != Action::CreateOnly
    }

    /// Of leads that were there before the call, Marketo says so to `createOnly` when it is asked
    /// again.
    fn again_or_never(&self, leads: &[Lead]) -> Seen {
        let is_older = |lead: &Lead| is_surely_older(lead, self.found, self.sent_at);
        if self.envelope.action == Action::CreateOnly && leads.iter().all(is_older) {
            Seen::NotDone
        } else {
            Seen::Unknowable
        }
    }
}

/// Whether a lead was created after the call left, by Marketo's own clock, whatever part of a
/// second its time leaves out.
fn is_surely_younger(lead: &Lead, found: &Found, sent_at: Instant) -> bool {
    lead.created_at()
        .zip(found.marketos_time(sent_at))
        .is_some_and(|(created, (_, latest))| created >= latest)
}

/// Whether a lead may have been created after the call left.
fn may_be_younger(lead: &Lead, found: &Found, sent_at: Instant) -> bool {
    let times = lead.created_at().zip(found.marketos_time(sent_at));
    times.is_some() && !is_surely_older(lead, found, sent_at)
}

/// Whether a lead was there before the call left, whatever part of a second its time leaves out.
fn is_surely_older(lead: &Lead, found: &Found, sent_at: Instant) -> bool {
    let rest = chrono::Duration::seconds(1);
    lead.created_at()
        .zip(found.marketos_time(sent_at))
        .is_some_and(|(created, (earliest, _))| created + rest < earliest)
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
