//! Decides by a look-up what to send for a record, and after a call in doubt whether the record was
//! written. Pure: no clock, no I/O.
//!
//! `createOnly` narrows the window towards writers that do not come through the engine, and
//! `updateOnly` by id cannot insert at all.
//!
//! A call in doubt may be running still (law 4). Until it is over, a look-up proves one thing
//! alone: the record is done if its key has one lead, which holds the values of the call and was
//! created by it. All else may change until then.

use tokio::time::Instant;

use super::evidence::{Age, Evidence};
use super::record::RawRecord;
use super::request::{Action, Envelope, Goal, WriteMode};
use crate::lead::{Lead, LeadId, parse_time};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send it as its caller asked: only Marketo can tell what is meant.
    AsAsked,
    /// No lead has the key.
    Create,
    /// This lead has the key.
    Update(LeadId),
    /// This lead has the key, and holds all of the record already.
    Unchanged(LeadId),
    /// Several leads have the key.
    Several(Vec<LeadId>),
}

/// Decides for a record with this key. `is_overtaken`: it was looked up before, and refused each
/// time since somebody else was quicker.
pub(super) fn decide(
    envelope: &Envelope,
    record: &RawRecord,
    key: &str,
    is_overtaken: bool,
    evidence: &Evidence,
) -> Decision {
    match evidence.leads(key) {
        _ if evidence.differs_in_case(key) => Decision::AsAsked,
        // Marketo sees a lead where the look-up sees none, again and again.
        [] if is_overtaken => Decision::AsAsked,
        [] => Decision::Create,
        // The look-up finds the leads of all partitions. Only Marketo knows which of them is in the
        // partition that was named, and whether those of another one count.
        [_, ..] if envelope.in_partition => Decision::AsAsked,
        [lead] if envelope.goal != Goal::Write && holds_all(lead, record, &envelope.lookup) => {
            Decision::Unchanged(lead.id)
        }
        [lead] => Decision::Update(lead.id),
        several => {
            let mut ids: Vec<LeadId> = several.iter().map(|lead| lead.id).collect();
            ids.sort_unstable();
            Decision::Several(ids)
        }
    }
}

/// The finding about a record when a call in doubt is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was written.
    Done { id: LeadId, created: bool },
    /// It was not written, or to write it again has the same effect.
    NotDone,
    /// A look-up cannot tell, and to write it again would have another effect.
    Unknowable,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) mode: WriteMode,
    pub(super) sent_at: Instant,
}

impl Doubt<'_> {
    /// Whether an early look may prove a record done: only where the call may insert.
    pub(super) fn may_be_born(&self) -> bool {
        self.mode != WriteMode::Update
            && !matches!(self.envelope.action, Action::CreateDuplicate | Action::UpdateOnly)
    }

    /// The lead that the record has created for certain; the call may be running still.
    pub(super) fn born(
        &self,
        record: &RawRecord,
        key: &str,
        evidence: &Evidence,
    ) -> Option<LeadId> {
        let [lead] = evidence.leads(key) else { return None };
        // Nobody had the key right before the call, or the lead is younger than the call.
        let is_of_the_call =
            self.mode == WriteMode::Create || evidence.age(lead, self.sent_at) == Age::Younger;
        let is_born =
            self.may_be_born() && is_of_the_call && holds_all(lead, record, &self.envelope.lookup);
        is_born.then_some(lead.id)
    }

    /// The finding about a record; the call is over. Without a key nobody can tell.
    pub(super) fn verdict(
        &self,
        record: &RawRecord,
        key: Option<&str>,
        evidence: &Evidence,
    ) -> Verdict {
        // A second duplicate made on purpose would look like the first.
        let (Some(key), false) = (key, self.envelope.action == Action::CreateDuplicate) else {
            return Verdict::Unknowable;
        };
        let is_idempotent = self.envelope.is_idempotent();
        match evidence.leads(key) {
            [] if is_idempotent || !evidence.differs_in_case(key) => Verdict::NotDone,
            [lead] if holds_all(lead, record, &self.envelope.lookup) => {
                let created = match self.mode {
                    WriteMode::Create => true,
                    WriteMode::Update => false,
                    WriteMode::AsAsked if self.envelope.action == Action::UpdateOnly => false,
                    // To the second; only one word of the answer depends on it.
                    WriteMode::AsAsked => {
                        matches!(evidence.age(lead, self.sent_at), Age::Younger | Age::Near)
                    }
                };
                if !created && !is_idempotent {
                    return self.again_or_never(std::slice::from_ref(lead), evidence);
                }
                Verdict::Done { id: lead.id, created }
            }
            _ if is_idempotent => Verdict::NotDone,
            leads => self.again_or_never(leads, evidence),
        }
    }

    /// Whether `createOnly` may be sent again: Marketo refuses it where all leads were there before
    /// the call.
    fn again_or_never(&self, leads: &[Lead], evidence: &Evidence) -> Verdict {
        let is_older = |lead: &Lead| evidence.age(lead, self.sent_at) == Age::Older;
        let asks_again = self.envelope.action == Action::CreateOnly
            && !leads.is_empty()
            && leads.iter().all(is_older);
        if asks_again { Verdict::NotDone } else { Verdict::Unknowable }
    }
}

/// Whether a lead holds all values of a record, except those that address it.
fn holds_all(lead: &Lead, record: &RawRecord, lookup: &str) -> bool {
    let values = record.values();
    let mut written = values.iter().filter(|(name, _)| *name != "id" && *name != lookup);
    written.all(|(name, wanted)| holds(lead, name, wanted))
}

/// Whether a lead holds a value already, as Marketo would show it after writing. In doubt it does
/// not, and the value is written.
fn holds(lead: &Lead, field: &str, wanted: &serde_json::Value) -> bool {
    let held = lead.value(field).unwrap_or(&serde_json::Value::Null);
    let (held_text, wanted_text) = (text(held), text(wanted));
    if held_text == wanted_text {
        return true;
    }
    // A boolean's null and false look alike, and Marketo tells them apart: only an equal `false`
    // counts.
    match (parse_time(&held_text), parse_time(&wanted_text)) {
        (Some(held), Some(wanted)) => held == wanted,
        _ => false,
    }
}

fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
