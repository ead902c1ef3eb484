//! What a merge does to the leads: who survives, whose values and memberships it has, what the log
//! tells.

use chrono::Duration;

use super::values;
use crate::answer::{Refused, refused};
use crate::clock::now;
use crate::options::Knobs;
use crate::world::World;
use crate::world::log::{Activity, Call, What};
use crate::world::objects;

/// How much later than it happened a merge can be read from the log where it is late, in Marketo's
/// time.
const LATE: std::time::Duration = std::time::Duration::from_secs(180);

/// What a call asks for.
pub(super) struct Order {
    pub(super) winner: u64,
    pub(super) losers: Vec<u64>,
    pub(super) in_crm: bool,
}

impl Order {
    pub(super) fn everybody(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.winner).chain(self.losers.iter().copied())
    }
}

/// Merges them, one loser after the other, until one cannot be.
pub(super) fn carry_out(
    world: &mut World,
    knobs: &Knobs,
    order: &Order,
    by: Option<Call>,
    stop_after: Option<usize>,
) -> Result<(), Refused> {
    let survivor = survivor(world, knobs, order);
    let others: Vec<u64> = order.everybody().filter(|id| *id != survivor).collect();
    if world.lead(survivor).is_none() {
        return Err(refused("1004", format!("Lead [{survivor}] not found")));
    }
    // With `atomic` nobody goes unless everybody can.
    if knobs.is("merge_partial", "atomic")
        && (stop_after.is_some() || others.iter().any(|id| world.lead(*id).is_none()))
    {
        return Err(refused("611", "System error"));
    }
    let mut merged = Vec::new();
    let mut trouble = None;
    for (place, other) in others.iter().enumerate() {
        if stop_after.is_some_and(|stop| place >= stop) {
            trouble = Some(refused("611", "System error"));
            break;
        }
        let Some(loser) = world.lead(*other).cloned() else {
            trouble = Some(refused("1004", format!("Lead [{other}] not found")));
            break;
        };
        let decides = place == 0 || knobs.is("merge_blanks", "first_nonblank");
        world.note_end(*other, true, now());
        world.change(survivor, now(), |record| {
            values::take_values(record, &loser, knobs, decides);
            if knobs.is("merge_created_at", "oldest") {
                record.created_at = record.created_at.min(loser.created_at);
            }
        });
        values::take_memberships(world, knobs, survivor, *other);
        world.remove(*other, Some(survivor), now());
        objects::left_behind(world, knobs, *other, survivor);
        if knobs.is("merge_emits_delete", "true") {
            world.record(*other, now(), What::DeleteLead);
        }
        merged.push(*other);
    }
    if !merged.is_empty() {
        world.change(survivor, now(), |record| values::empty_fields(record, knobs));
        let (losers, by) = told(world, knobs, merged, by);
        let what = What::MergeLeads {
            losers: losers.into(),
            in_sales: order.in_crm,
            by: by.map(Box::new),
        };
        note(world, knobs, survivor, what);
    }
    trouble.map_or(Ok(()), Err)
}

/// Whom and which call the log names for a merge by the API: what an instance writes there has not
/// been seen. Another user or call is named for all merges but the first: what an instance shows of
/// ours is what tells a stranger from another spelling.
fn told(
    world: &World,
    knobs: &Knobs,
    mut merged: Vec<u64>,
    by: Option<Call>,
) -> (Vec<u64>, Option<Call>) {
    /// No lead has this id.
    const STRANGER: u64 = 987_654_321;
    let Some(call) = by else { return (merged, None) };
    let by = match knobs.text("merge_record") {
        "bare" => None,
        "other_spelling" => Some(Call {
            user: "Merge API User".into(),
            request_id: call.request_id.replace('#', "-").into(),
            ..call
        }),
        "other_user" | "other_call" if !world.log.has_merges_by_calls() => Some(call),
        "other_user" => Some(Call {
            user: "somebody@example.org".into(),
            request_id: "2#18000000000".into(),
            ..call
        }),
        "other_call" => Some(Call { request_id: "1#18000000000".into(), ..call }),
        "other_records" => {
            merged.push(STRANGER);
            Some(call)
        }
        _ => Some(call),
    };
    (merged, by)
}

/// Writes the merge into the log, late or never where a knob says so.
fn note(world: &mut World, knobs: &Knobs, survivor: u64, what: What) {
    match knobs.text("merge_activity") {
        "hidden" => {}
        "late" => {
            let late = knobs.wall(LATE);
            let visible_from = now() + Duration::from_std(late).unwrap_or_default();
            world.log.record_late(Activity { lead: survivor, at: now(), visible_from, what });
        }
        _ => world.record(survivor, now(), what),
    }
}

/// A merge on Marketo's screens: nobody is asked whether it may be.
pub(crate) fn by_hand(world: &mut World, knobs: &Knobs, winner: u64, losers: &[u64]) -> bool {
    let order = Order { winner, losers: losers.to_vec(), in_crm: false };
    let all_live = order.everybody().all(|id| world.lead(id).is_some());
    all_live && carry_out(world, knobs, &order, None, None).is_ok()
}

/// A contact before a lead before nobody, whoever was asked for; of equals the one that was asked
/// for.
fn survivor(world: &World, knobs: &Knobs, order: &Order) -> u64 {
    if knobs.is("crm_rank", "only_with_flag") && !order.in_crm {
        return order.winner;
    }
    let rank =
        |id: u64| world.lead(id).and_then(|record| record.sfdc.as_ref()).map(|(kind, _)| *kind);
    order
        .losers
        .iter()
        .fold(order.winner, |best, id| if rank(*id) > rank(best) { *id } else { best })
}
