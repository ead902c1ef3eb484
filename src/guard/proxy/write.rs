//! How a call is written: as its caller asked, or, in strict mode, looked up first and then written
//! by `createOnly` or by `updateOnly` with the id, and answered as if it had been what was asked
//! for.
//!
//! `createOnly` narrows the window towards writers that do not come through here, and `updateOnly`
//! by id cannot insert at all. What becomes of a record that somebody else was quicker with is
//! decided by looking again.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::Value;

use super::answer::skipped;
use super::board::{Company, Unit};
use super::call::{Answered, Order, Refusal, Said};
use super::caller::Caller;
use super::incoming::{Action, Shape, key_of, raw};
use super::look::Found;
use super::route::Verb;
use super::work::{TRIES, has_code};
use super::{Mode, OnDuplicates, Proxy};
use crate::guard::lease::Leases;
use crate::lead::Lead;
use crate::marketo::{Kind, SYNC_LIMIT, Slot};

/// How often somebody else may have been quicker before a write is left to Marketo to decide.
const OVERTAKEN: u32 = 2;

/// How the records of a call are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// As the caller asked.
    AsAsked,
    /// By `createOnly`: nobody had the key.
    Create,
    /// By `updateOnly` with the id of the lead that has the key.
    Update,
}

impl<L: Leases> Proxy<L> {
    /// Writes units that agree and whose rights are held.
    pub(super) async fn write(self: &Arc<Self>, mut units: Vec<Unit>, slot: Slot) {
        let Some(caller) = first_caller(&units) else { return };
        if self.settings.mode == Mode::Strict
            && matches!(caller.envelope.action, Action::CreateOrUpdate | Action::CreateOnly)
        {
            for unit in &mut units {
                show_key(&mut unit.shape, &caller.envelope.lookup);
            }
        }
        let may_rewrite = self.settings.mode == Mode::Strict
            && caller.envelope.verb == Verb::Sync
            && caller.envelope.action == Action::CreateOrUpdate
            && caller.envelope.lookup != "id";
        let (mut rewritable, as_asked): (Vec<Unit>, Vec<Unit>) = units
            .into_iter()
            .partition(|unit| may_rewrite && is_rewritable(unit, &caller.envelope.lookup));
        if rewritable.is_empty() {
            return self.send_all(as_asked, How::AsAsked, Some(slot)).await;
        }
        match self.look_up_units(&caller, &mut rewritable, &BTreeSet::new(), Some(slot)).await {
            Ok(found) => self.by_what_was_found(&caller, &found, rewritable, as_asked).await,
            Err(refusal) if &*refusal.code == "603" => {
                self.reading_denied(&caller.user, &caller.headers);
                self.send_all(rewritable.into_iter().chain(as_asked).collect(), How::AsAsked, None)
                    .await;
            }
            // Nothing was written, so that whatever Marketo said can be passed on as it is.
            Err(refusal) => {
                self.refused(rewritable.into_iter().chain(as_asked).collect(), &refusal).await;
            }
        }
    }

    async fn look_up_units(
        &self,
        caller: &Caller,
        units: &mut [Unit],
        fields: &BTreeSet<&str>,
        slot: Option<Slot>,
    ) -> Result<Found, Refusal> {
        let keys: BTreeSet<String> =
            units.iter().filter_map(Unit::key).map(str::to_owned).collect();
        let keys = keys.iter().map(String::as_str).collect();
        let look = self.look_up(caller, &caller.envelope.lookup, &keys, fields, slot);
        self.keeping(units, look).await
    }

    async fn by_what_was_found(
        self: &Arc<Self>,
        caller: &Caller,
        found: &Found,
        units: Vec<Unit>,
        mut as_asked: Vec<Unit>,
    ) {
        let lookup = &caller.envelope.lookup;
        let (mut creates, mut updates, mut several) = (Vec::new(), Vec::new(), Vec::new());
        for mut unit in units {
            let key = unit.key().unwrap_or_default();
            match found.of(key) {
                _ if found.differs_in_case(key) => as_asked.push(unit),
                // Marketo sees a lead where the look-up sees none, again and again: it is asked as
                // the caller asked it.
                [] if unit.items.iter().any(|item| item.tries >= OVERTAKEN) => as_asked.push(unit),
                [] => creates.push(unit),
                // Only Marketo knows whether the lead is in the partition that was named; with a
                // match it inserts nothing.
                [_] if caller.envelope.in_partition => as_asked.push(unit),
                [lead] => {
                    unit.shape = unit.shape.addressed(lookup, "id", raw(&lead.id));
                    updates.push(unit);
                }
                _ => several.push(unit),
            }
        }
        let several = async {
            if several.is_empty() {
                return;
            }
            match self.settings.on_duplicates {
                OnDuplicates::Error => self.several(several, found).await,
                OnDuplicates::Winner => self.write_to_winners(caller, several).await,
            }
        };
        futures::join!(
            self.send_all(creates, How::Create, None),
            self.send_all(updates, How::Update, None),
            self.send_all(as_asked, How::AsAsked, None),
            several,
        );
    }

    /// Several leads have the key: what Marketo says then.
    async fn several(self: &Arc<Self>, units: Vec<Unit>, found: &Found) {
        self.several_have_it(&units);
        let row = skipped("1007", "Multiple lead match lookup criteria");
        let said = Answered {
            request_id: found.request_id.clone().unwrap_or_else(|| self.request_id().into()),
            rows: vec![row; units.len()],
            warnings: Arc::new([]),
            next: None,
            sent_at: tokio::time::Instant::now(),
            date: None,
        };
        self.answered(units, said).await;
    }

    /// Writes to the lead of each group that a merge would keep.
    pub(super) async fn write_to_winners(self: &Arc<Self>, caller: &Caller, mut units: Vec<Unit>) {
        let lookup = &caller.envelope.lookup;
        let fields = match self.keeping(&mut units, self.winner_fields(caller)).await {
            Ok(fields) => fields,
            Err(refusal) => return self.refused(units, &refusal).await,
        };
        let fields = fields.iter().map(String::as_str).collect();
        let found = match self.look_up_units(caller, &mut units, &fields, None).await {
            Ok(found) => found,
            Err(refusal) => return self.refused(units, &refusal).await,
        };
        let (mut updates, mut rest) = (Vec::new(), Vec::new());
        for mut unit in units {
            let winner = self.settings.winner.winner(found.of(unit.key().unwrap_or_default()));
            if let Some(Lead { id, .. }) = winner {
                unit.shape = unit.shape.addressed(lookup, "id", raw(id));
                updates.push(unit);
            } else {
                rest.push(unit);
            }
        }
        // They are gone by now: looked at anew.
        self.again(rest, Company::Anybody).await;
        self.send_all(updates, How::Update, None).await;
    }

    async fn send_all(self: &Arc<Self>, units: Vec<Unit>, how: How, slot: Option<Slot>) {
        match first_caller(&units) {
            Some(caller) => Box::pin(self.send(caller, units, how, slot)).await,
            None => {
                if let Some(slot) = slot {
                    slot.unused();
                }
            }
        }
    }

    async fn send(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        mut units: Vec<Unit>,
        how: How,
        slot: Option<Slot>,
    ) {
        let envelope = &caller.envelope;
        let shapes = units.iter().map(|unit| &unit.shape);
        let body = match how {
            How::AsAsked => envelope.body(shapes),
            How::Create => envelope.rewritten("createOnly", &envelope.lookup, shapes),
            How::Update => envelope.rewritten("updateOnly", "id", shapes),
        };
        for item in units.iter_mut().flat_map(|unit| &mut unit.items) {
            item.tries += 1;
        }
        let order = Order {
            user: &caller.user,
            headers: &caller.headers,
            kind: Kind::Write,
            method: envelope.method.clone(),
            target: envelope.target.clone(),
            content_type: None,
            body: Bytes::from(body),
            limit: SYNC_LIMIT,
        };
        match self.call(&order, &mut units, slot).await {
            Said::Rows(said) if said.rows.len() == units.len() => {
                self.rows(&caller, units, how, said).await;
            }
            // Without a row for each record nobody knows which of them were written.
            Said::Rows(said) => self.settle(&caller, units, how, said.sent_at).await,
            Said::Refused(refusal) => self.refused(units, &refusal).await,
            Said::Unclear { what, sent_at } => {
                tracing::warn!(user = %caller.user, what, records = units.len(), "an outcome is unclear, and is settled by looking");
                self.settle(&caller, units, how, sent_at).await;
            }
            // Nothing was sent, so that it is no try.
            Said::RightsLost => {
                for item in units.iter_mut().flat_map(|unit| &mut unit.items) {
                    item.tries -= 1;
                }
                self.again(units, Company::Anybody).await;
            }
        }
    }

    /// A row for each unit: most are the answer; some ask for another look.
    async fn rows(self: &Arc<Self>, caller: &Caller, units: Vec<Unit>, how: How, said: Answered) {
        let (mut answered, mut rows) = (Vec::new(), Vec::new());
        let (mut again, mut several) = (Vec::new(), Vec::new());
        let to_winner = self.settings.on_duplicates == OnDuplicates::Winner
            && caller.envelope.verb == Verb::Sync
            && matches!(caller.envelope.action, Action::CreateOrUpdate | Action::UpdateOnly);
        for (unit, row) in units.into_iter().zip(said.rows) {
            // Somebody else was quicker, or the lead is gone: what was asked for is still to be
            // done.
            let overtaken = how != How::AsAsked && has_code(&row, &["1004", "1005", "1007"]);
            if overtaken && may_try_again(&unit) {
                again.push(unit);
            } else if to_winner
                && how == How::AsAsked
                && has_code(&row, &["1007"])
                && unit.key().is_some()
                // Several leads that only Marketo sees have no winner, however often they are
                // looked for.
                && may_try_again(&unit)
            {
                several.push(unit);
            } else {
                if has_code(&row, &["1007"]) {
                    self.several_have_it([&unit]);
                }
                answered.push(unit);
                rows.push(row);
            }
        }
        self.again(again, Company::Anybody).await;
        self.answered(answered, Answered { rows, ..said }).await;
        if !several.is_empty() {
            Box::pin(self.write_to_winners(caller, several)).await;
        }
    }
}

/// Whether a record can be looked up and written in other words.
fn is_rewritable(unit: &Unit, lookup: &str) -> bool {
    matches!(unit.shape, Shape::Fields(_))
        && unit.key().is_some()
        && unit.shape.has(lookup)
        && !unit.shape.has("id")
}

/// Takes away what nobody sees of a key: blanks and marks without width around it would hide the
/// lead from the next look-up, and from the next writer who leaves them out.
fn show_key(shape: &mut Shape, lookup: &str) {
    let Some(value @ Value::String(_)) = shape.value(lookup) else { return };
    let text = value.as_str().map(str::to_lowercase);
    if let Some(key) = key_of(lookup, &value).filter(|key| Some(key.to_lowercase()) != text) {
        shape.set(lookup, &raw(&key));
    }
}

/// Whether the records of a unit have not been sent too often.
pub(super) fn may_try_again(unit: &Unit) -> bool {
    unit.items.iter().all(|item| item.tries < TRIES)
}

fn first_caller(units: &[Unit]) -> Option<Arc<Caller>> {
    units.first()?.items.first().map(|item| Arc::clone(&item.caller))
}
