//! One batch, step by step. Each step returns the next thing to do with each unit; the supervisor
//! alone acts on it.
//!
//! ```text
//! prepare: hold => look up => decide => Send | FindWinner | WaitForLeases | Done
//! send:    renew => leave  => rows   => Done | Again | FindWinner | InDoubt
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::calls::{Calls, NotWritten, no_leases};
use super::decide::{Decision, decide};
use super::events::Event;
use super::evidence::Evidence;
use super::outcome::{Outcome, Refused};
use super::record::Endpoint;
use super::request::{Action, Goal, Record, WriteMode};
use super::sender::Sender;
use super::settings::{EngineSettings, OnDuplicates};
use super::settle::{is_skipped, log};
use super::unit::{Sharing, Submitted, Unit};
use crate::dedupe::{WinnerOrder, WinnerRule};
use crate::lead::{AUDIT_FIELDS, LeadId};
use crate::marketo::{InFlight, Meaning, Slot, Written};

/// How often a record is sent, or fails to leave, before it is given up.
const TRIES: u32 = 5;

/// After so many tries in which somebody else was quicker, Marketo itself decides about a write.
const OVERTAKEN: u32 = 2;

/// The next thing to do with a unit.
#[derive(Debug)]
pub(super) enum Next {
    /// Its records have their outcome.
    Done(Outcome),
    /// Its records are sent anew, sharing their call at most so.
    Again(Sharing),
    /// Another guard is writing the key.
    WaitForLeases,
    /// It leaves with the others of this mode.
    Send(WriteMode),
    /// Several leads have the key. The one that a merge would keep is to be found and written.
    FindWinner,
    /// Its call may have been done, or be running still.
    InDoubt(InDoubt),
}

/// A call in doubt, and how often it was looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct InDoubt {
    pub(super) mode: WriteMode,
    pub(super) in_flight: InFlight,
    pub(super) looks: usize,
}

/// The units of a step, each with the next thing to do.
pub(super) type Results<O> = Vec<(Unit<O>, Next)>;

/// Takes the leases of a batch, looks leads up where that is asked for, and decides. Gives the turn
/// back if it was not used.
pub(super) async fn prepare<S: Sender>(
    calls: &Calls<S>,
    units: Vec<Unit<S::Origin>>,
    slot: Slot,
) -> (Results<S::Origin>, Option<Slot>) {
    let (mut units, waiting) = match calls.hold.take(units).await {
        Ok(held) => held,
        Err((units, error)) => return (after_refusal(units, &no_leases(error)), Some(slot)),
    };
    let mut results = all(waiting, |_| Next::WaitForLeases);
    let Some(request) = first_request(&units) else { return (results, Some(slot)) };
    calls.tell(&Event::Batch(units.len()));
    let envelope = &request.envelope;
    let inserts = matches!(envelope.action, Action::CreateOrUpdate | Action::CreateOnly);
    if calls.settings.look_first && inserts {
        for unit in &mut units {
            Record::show_key(&mut unit.raw, envelope);
        }
    }
    let may_rewrite = calls.settings.look_first
        && envelope.endpoint == Endpoint::SyncLeads
        && envelope.action == Action::CreateOrUpdate
        && envelope.lookup != "id";
    let is_rewritable = |unit: &Unit<_>| {
        may_rewrite && unit.key().is_some() && unit.raw.is_addressed_by(&envelope.lookup)
    };
    let (rewritable, as_asked): (Vec<_>, Vec<_>) = units.into_iter().partition(is_rewritable);
    results.extend(all(as_asked, |_| Next::Send(WriteMode::AsAsked)));
    if rewritable.is_empty() {
        return (results, Some(slot));
    }
    let fields = match envelope.goal {
        Goal::Write => BTreeSet::new(),
        Goal::WriteChanges | Goal::Preview => written_fields(&rewritable),
    };
    match calls.look_up(&request, &rewritable, &fields, Some(slot)).await {
        Ok(evidence) => results.extend(
            rewritable
                .into_iter()
                .map(|unit| by_evidence(&calls.settings, &request, unit, &evidence)),
        ),
        Err(Refused::Marketo(refusal))
            if refusal.meaning == Meaning::Denied && envelope.goal == Goal::Write =>
        {
            calls.tell(&Event::ReadingDenied { user: &request.user });
            results.extend(all(rewritable, |_| Next::Send(WriteMode::AsAsked)));
        }
        // Nothing was written, so Marketo's words can be passed on as they are.
        Err(refused) => results.extend(after_refusal(rewritable, &refused)),
    }
    (results, None)
}

fn by_evidence<O>(
    settings: &EngineSettings,
    request: &Submitted<O>,
    mut unit: Unit<O>,
    evidence: &Evidence,
) -> (Unit<O>, Next) {
    let envelope = &request.envelope;
    let key = unit.key().unwrap_or_default();
    let decision = decide(envelope, &unit.raw, key, unit.tries() >= OVERTAKEN, evidence);
    let is_preview = envelope.goal == Goal::Preview;
    let next = match decision {
        Decision::Create | Decision::AsAsked if is_preview => Next::Done(Outcome::WouldCreate),
        Decision::Update(id) if is_preview => Next::Done(Outcome::WouldUpdate(id)),
        Decision::Unchanged(id) => Next::Done(Outcome::Unchanged(id)),
        Decision::AsAsked => Next::Send(WriteMode::AsAsked),
        Decision::Create => Next::Send(WriteMode::Create),
        Decision::Update(id) => {
            unit.raw = unit.raw.addressed_to(&envelope.lookup, id);
            Next::Send(WriteMode::Update)
        }
        Decision::Several(_) if settings.on_duplicates == OnDuplicates::Winner => Next::FindWinner,
        Decision::Several(ids) => {
            Next::Done(Outcome::Several { ids, request_id: evidence.request_id.clone() })
        }
    };
    (unit, next)
}

/// Looks for the lead of each group that a merge would keep.
pub(super) async fn find_winners<S: Sender>(
    calls: &Calls<S>,
    units: Vec<Unit<S::Origin>>,
) -> Results<S::Origin> {
    let Some(request) = first_request(&units) else { return Vec::new() };
    let fields = calls.winner_fields.get_or_try_init(|| async {
        let fields = calls.lead_fields(&request, &units).await?;
        Ok::<_, Refused>(deciding(fields, &calls.settings.winner))
    });
    let evidence = match fields.await {
        Ok(fields) => calls.look_up(&request, &units, fields, None).await,
        Err(refused) => Err(refused),
    };
    let evidence = match evidence {
        Ok(evidence) => evidence,
        Err(refused) => return after_refusal(units, &refused),
    };
    let of_group = |mut unit: Unit<_>| {
        let leads = evidence.leads(unit.key().unwrap_or_default());
        let id: Option<LeadId> = calls.settings.winner.winner(leads).map(|lead| lead.id);
        let next = match id {
            Some(id) => {
                unit.raw = unit.raw.addressed_to(&request.envelope.lookup, id);
                Next::Send(WriteMode::Update)
            }
            // They are gone by now.
            None => Next::Again(Sharing::Anybody),
        };
        (unit, next)
    };
    units.into_iter().map(of_group).collect()
}

/// Those of the instance's fields that decide about the winner.
fn deciding(fields: BTreeSet<String>, order: &WinnerOrder) -> BTreeSet<String> {
    let rules = &order.0;
    let all = rules.contains(&WinnerRule::MostComplete);
    let decides = |name: &str| {
        rules.iter().any(|rule| matches!(rule, WinnerRule::Max(field) if field == name))
    };
    let is_needed = |name: &String| all || AUDIT_FIELDS.contains(&name.as_str()) || decides(name);
    fields.into_iter().filter(is_needed).collect()
}

pub(super) async fn send<S: Sender>(
    calls: &Calls<S>,
    mut units: Vec<Unit<S::Origin>>,
    mode: WriteMode,
    slot: Option<Slot>,
) -> Results<S::Origin> {
    let Some(request) = first_request(&units) else { return Vec::new() };
    for item in units.iter_mut().flat_map(Unit::items_mut) {
        item.tries += 1;
    }
    let in_doubt = |units: Vec<Unit<_>>, in_flight| {
        calls.tell(&Event::InDoubt(units.iter().map(Unit::len).sum()));
        all(units, |_| Next::InDoubt(InDoubt { mode, in_flight, looks: 0 }))
    };
    match calls.write(&request, &units, mode, slot).await {
        Ok(written) if written.rows.len() == units.len() => {
            by_rows(&calls.settings, &request, units, mode, written)
        }
        // Without a row for each record nobody knows which of them were written.
        Ok(written) => in_doubt(units, written.in_flight),
        Err(NotWritten::InDoubt(in_flight)) => in_doubt(units, in_flight),
        Err(NotWritten::Refused(refused)) => after_refusal(units, &refused),
        Err(NotWritten::Withheld) => withheld(units),
    }
}

/// The call did not leave, so this was no try. It is made anew, but not without end.
fn withheld<O>(mut units: Vec<Unit<O>>) -> Results<O> {
    for item in units.iter_mut().flat_map(Unit::items_mut) {
        item.tries -= 1;
        item.withheld += 1;
    }
    all(units, |unit| match unit.items().map(|item| item.withheld).max() {
        _ if unit.items().all(|item| item.request.reply.has_gone()) => Next::Done(Outcome::NotSent),
        Some(TRIES..) => Next::Done(Outcome::Refused(Refused::Withheld)),
        // From now on no other writer that goes can hold it up.
        Some(2..) => Next::Again(Sharing::OwnWriter),
        _ => Next::Again(Sharing::Anybody),
    })
}

fn by_rows<O>(
    settings: &EngineSettings,
    request: &Submitted<O>,
    units: Vec<Unit<O>>,
    mode: WriteMode,
    written: Written,
) -> Results<O> {
    let envelope = &request.envelope;
    let to_winner = settings.on_duplicates == OnDuplicates::Winner
        && envelope.endpoint == Endpoint::SyncLeads
        && matches!(envelope.action, Action::CreateOrUpdate | Action::UpdateOnly)
        && mode == WriteMode::AsAsked;
    let request_id: Arc<str> = written.request_id.unwrap_or_default().into();
    let warnings: Arc<[Value]> = written.warnings.into();
    log(request, &request_id, &units, &written.rows);
    let by_row = |(unit, row): (Unit<O>, Value)| {
        use Meaning::{Exists, NotFound, Partition, SeveralMatch};
        let meaning = Meaning::of_row(&row);
        // Somebody else was quicker, or the lead is gone: the write is still to be done.
        let is_overtaken =
            mode != WriteMode::AsAsked && matches!(meaning, Some(NotFound | Exists | SeveralMatch));
        // Where only Marketo sees the several leads, no look-up finds a winner.
        let has_winner = to_winner && meaning == Some(SeveralMatch) && unit.key().is_some();
        // The other reasons are about the key, and every record of it would get the same.
        let is_of_a_value = is_skipped(&row)
            && !matches!(meaning, Some(NotFound | Exists | SeveralMatch | Partition));
        let next = if is_overtaken && may_try_again(&unit) {
            Next::Again(Sharing::Anybody)
        } else if has_winner && may_try_again(&unit) {
            Next::FindWinner
        } else if is_of_a_value && !unit.others.is_empty() {
            // One of the values is bad: each record goes by itself, so that it fails no other.
            Next::Again(Sharing::OwnRecord)
        } else {
            let (request_id, warnings) = (Arc::clone(&request_id), Arc::clone(&warnings));
            Next::Done(Outcome::Row { row, request_id, warnings, coalesced: false })
        };
        (unit, next)
    };
    units.into_iter().zip(written.rows).map(by_row).collect()
}

/// Nothing was done. If the call was of several writers, each is tried apart, so that one cannot
/// fail another.
pub(super) fn after_refusal<O>(units: Vec<Unit<O>>, refused: &Refused) -> Results<O> {
    let apart = are_of_several_writers(&units) && !refused.is_same_for_all();
    all(units, |_| {
        if apart {
            Next::Again(Sharing::OwnWriter)
        } else {
            Next::Done(Outcome::Refused(refused.clone()))
        }
    })
}

/// The same for each of the units.
pub(super) fn all<O>(units: Vec<Unit<O>>, next: impl Fn(&Unit<O>) -> Next) -> Results<O> {
    let with_next = |unit| {
        let next = next(&unit);
        (unit, next)
    };
    units.into_iter().map(with_next).collect()
}

pub(super) fn written_fields<O>(units: &[Unit<O>]) -> BTreeSet<String> {
    units.iter().flat_map(|unit| unit.raw.values()).map(|(name, _)| name).collect()
}

/// Whether the records of a unit have not been sent too often.
pub(super) fn may_try_again<O>(unit: &Unit<O>) -> bool {
    unit.tries() < TRIES
}

/// The request of the first unit; all units of a call agree with it.
pub(super) fn first_request<O>(units: &[Unit<O>]) -> Option<Arc<Submitted<O>>> {
    units.first().map(|unit| Arc::clone(&unit.first.request))
}

fn are_of_several_writers<O>(units: &[Unit<O>]) -> bool {
    let mut writers = units.iter().flat_map(Unit::items).map(|item| &item.request);
    let Some(first) = writers.next() else { return false };
    writers.any(|writer| !Arc::ptr_eq(writer, first))
}

#[cfg(test)]
mod tests;
