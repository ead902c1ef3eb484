//! Merge Leads, to the letter, and where the letter is silent the harder way.
//!
//! The winner's values stay unless they are empty; then the **first** loser of the call decides, even with an empty value.
//! Since March 2026 only null is empty in a boolean, so a winner's `false` beats a loser's `true`. A CRM contact survives
//! whatever was asked, then a CRM lead. Lists and programs are carried over, custom objects are not. Nothing is atomic.

use serde_json::Value;

use super::activities::log::What;
use super::answer::{Answer, Refused, refused};
use super::options::{Fault, Knobs};
use super::request::{Request, take_time};
use super::schema::{FIELDS, Kind, Owner};
use super::server::{Shared, now};
use super::world::record::SfdcType;
use super::world::{Record, World};

/// The most losers of a call, since 31 March 2026.
const MOST_LOSERS: usize = 25;

/// What a call asks for.
struct Order {
    winner: u64,
    losers: Vec<u64>,
    in_crm: bool,
}

/// Merge Leads.
pub(super) async fn leads(shared: &Shared, request: &Request, winner: &str, fault: Option<Fault>) -> Answer {
    if !request.has_length {
        return Answer::Raw {
            status: 400,
            content_type: "text/html",
            headers: Vec::new(),
            body: b"<html>400</html>".to_vec(),
        };
    }
    let order = match order(shared, request, winner).and_then(|order| begin(shared, &order).map(|()| order)) {
        Ok(order) => order,
        Err(refused) => return refused.into(),
    };
    take_time(request.delay + shared.options.knobs.merge_time()).await;
    let mut world = shared.world();
    let stop_after = (fault == Some(Fault::PartialMerge)).then_some(order.losers.len() / 2);
    let result = carry_out(&mut world, &shared.options.knobs, &order, stop_after);
    for id in order.everybody() {
        world.merging.remove(&id);
    }
    match result {
        Ok(()) => Answer::Rows(Vec::new()),
        Err(refused) => refused.into(),
    }
}

impl Order {
    fn everybody(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.winner).chain(self.losers.iter().copied())
    }
}

fn order(shared: &Shared, request: &Request, winner: &str) -> Result<Order, Refused> {
    let winner = winner.parse().map_err(|_no_number| refused("610", "Requested resource not found"))?;
    let mut given = request.param_list("leadIds");
    given.extend(request.param_list("leadId"));
    let losers: Option<Vec<u64>> = given.iter().map(|id| id.parse().ok()).collect();
    let losers = losers
        .filter(|losers| !losers.is_empty())
        .ok_or_else(|| refused("1003", "Lead ids not specified"))?;
    if losers.len() > MOST_LOSERS {
        return Err(refused(
            "1080",
            format!("Too many lead ids: at most {MOST_LOSERS} may be merged in a call"),
        ));
    }
    let mut once = losers.clone();
    once.sort_unstable();
    once.dedup();
    if once.len() != losers.len() || once.contains(&winner) {
        return Err(refused("1003", "A lead id is given twice"));
    }
    let in_crm = request.param("mergeInCRM") == Some("true");
    if in_crm && losers.len() > 1 {
        match shared.options.knobs.text("crm_many_losers") {
            "allow" => {}
            "1078" => return Err(refused("1078", "Merge in CRM failed")),
            _ => return Err(refused("1080", "Only one lead may be merged in a call with mergeInCRM")),
        }
    }
    Ok(Order { winner, losers, in_crm })
}

/// Checks everybody, and takes them in hand.
fn begin(shared: &Shared, order: &Order) -> Result<(), Refused> {
    let knobs = &shared.options.knobs;
    let mut world = shared.world();
    let missing: Vec<String> =
        order.everybody().filter(|id| world.lead(*id).is_none()).map(|id| id.to_string()).collect();
    if !missing.is_empty() {
        return Err(refused("1004", format!("Lead [{}] not found", missing.join(", "))));
    }
    let records: Vec<&Record> = order.everybody().filter_map(|id| world.lead(id)).collect();
    if records.iter().any(|record| matches!(record.sfdc, Some((SfdcType::PersonAccount, _)))) {
        return Err(refused("712", "Merging Person Accounts is not supported"));
    }
    let first_partition = records.first().map(|record| record.partition);
    let spans = records.iter().any(|record| Some(record.partition) != first_partition);
    if spans && knobs.is("merge_across_partitions", "1010") {
        return Err(refused("1010", "Lead exists in a different partition"));
    }
    if knobs.is("concurrent_merges", "611") && order.everybody().any(|id| world.merging.contains(&id)) {
        return Err(refused("611", "System error"));
    }
    world.merging.extend(order.everybody());
    Ok(())
}

fn carry_out(
    world: &mut World,
    knobs: &Knobs,
    order: &Order,
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
        world.change(survivor, now(), |record| take_values(record, &loser, knobs, decides));
        take_memberships(world, knobs, survivor, *other);
        world.remove(*other, Some(survivor));
        if knobs.is("merge_emits_delete", "true") {
            world.record(*other, now(), What::DeleteLead);
        }
        merged.push(*other);
    }
    if !merged.is_empty() {
        world.record(survivor, now(), What::MergeLeads { losers: merged.into(), in_sales: order.in_crm });
    }
    trouble.map_or(Ok(()), Err)
}

/// A contact before a lead before nobody, whoever was asked for; of equals the one that was asked for.
fn survivor(world: &World, knobs: &Knobs, order: &Order) -> u64 {
    if knobs.is("crm_rank", "only_with_flag") && !order.in_crm {
        return order.winner;
    }
    let rank = |id: u64| world.lead(id).and_then(|record| record.sfdc.as_ref()).map(|(kind, _)| *kind);
    order.losers.iter().fold(order.winner, |best, id| if rank(*id) > rank(best) { *id } else { best })
}

fn take_values(record: &mut Record, loser: &Record, knobs: &Knobs, decides: bool) {
    for (field, number) in FIELDS.iter().zip(0..) {
        // What callers may not write the survivor keeps, even where it is empty; reported by users.
        if field.owner == Owner::Marketo {
            continue;
        }
        let (held, others) = (record.get(number).cloned(), loser.get(number).cloned());
        let taken = match field.kind {
            Kind::Boolean if knobs.is("bool_rule", "legacy_true_wins") => {
                (others == Some(Value::Bool(true))).then_some(Value::Bool(true))
            }
            // Standard booleans are never null, so that the survivor's always stays.
            Kind::Boolean => others.filter(|_| decides && field.custom && held.is_none()),
            Kind::Score if knobs.is("merge_score", "sum") => {
                let number = |value: Option<Value>| value.and_then(|value| value.as_i64()).unwrap_or(0);
                Some(Value::from(number(held) + number(others)))
            }
            _ => others.filter(|_| decides && held.as_ref().is_none_or(is_blank)),
        };
        if let Some(taken) = taken {
            record.set(number, taken);
        }
    }
}

fn take_memberships(world: &mut World, knobs: &Knobs, survivor: u64, loser: u64) {
    for list in world.lists.values_mut() {
        if list.members.remove(&loser) {
            list.members.insert(survivor);
        }
    }
    for program in world.programs.values_mut() {
        let Some(taken) = program.members.remove(&loser) else { continue };
        let statuses = &program.statuses;
        let step = |status: &str| statuses.iter().position(|known| known == status);
        let held = program.members.get(&survivor);
        let higher = held.is_some_and(|held| step(&taken.status) > step(&held.status));
        if held.is_none() || (higher && knobs.is("merge_status", "higher")) {
            program.members.insert(survivor, taken);
        }
    }
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}
