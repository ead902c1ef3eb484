//! Merge Leads, to the letter, and where the letter is silent the harder way.
//!
//! The winner's values stay unless they are empty; then the **first** loser of the call decides,
//! even with an empty value. Since March 2026 only null is empty in a boolean, so a winner's
//! `false` beats a loser's `true`. A CRM contact survives whatever was asked, then a CRM lead.
//! Scores are added up. Lists and programs are carried over, custom objects are not. Nothing is
//! atomic.

use super::answer::{Answer, Refused, refused};
use super::instance::Shared;
use super::meddle;
use super::options::Fault;
use super::request::{Request, take_time};
use super::world::log::Call;
use super::world::record::{Record, SfdcType};

pub(super) mod fold;
pub(super) mod refusals;
mod values;

use fold::Order;

/// The most losers of a call, since 31 March 2026.
const MOST_LOSERS: usize = 25;

/// Merge Leads.
pub(super) async fn leads(
    shared: &Shared,
    request: &Request,
    winner: &str,
    fault: Option<Fault>,
) -> Answer {
    if !request.has_length {
        return Answer::Raw {
            status: 400,
            content_type: "text/html",
            headers: Vec::new(),
            body: b"<html>400</html>".to_vec(),
        };
    }
    let order = match order(shared, request, winner)
        .and_then(|order| begin(shared, &order).map(|()| order))
    {
        Ok(order) => order,
        Err(refused) => return refused.into(),
    };
    take_time(request.delay + shared.options.knobs.merge_time()).await;
    let touched: Vec<u64> = order.everybody().collect();
    meddle::during(shared, request, &touched);
    let call = Call {
        method: "mergeLead",
        user: request.user.as_str().into(),
        request_id: request.call_id.as_str().into(),
    };
    let mut world = shared.world_for(request);
    let stop_after = (fault == Some(Fault::PartialMerge)).then_some(order.losers.len() / 2);
    let told = shared.options.knobs.is("merge_request_id", "ours").then_some(call);
    let result = fold::carry_out(&mut world, &shared.options.knobs, &order, told, stop_after);
    for id in order.everybody() {
        world.merging.remove(&id);
    }
    match result {
        Ok(()) => Answer::Rows(Vec::new()),
        Err(refused) => refused.into(),
    }
}

fn order(shared: &Shared, request: &Request, winner: &str) -> Result<Order, Refused> {
    let winner =
        winner.parse().map_err(|_no_number| refused("610", "Requested resource not found"))?;
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
            _ => {
                return Err(refused(
                    "1080",
                    "Only one lead may be merged in a call with mergeInCRM",
                ));
            }
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
    if let Some(refused) = shared.refusals().of(order.everybody()) {
        return Err(refused);
    }
    if knobs.is("concurrent_merges", "611")
        && order.everybody().any(|id| world.merging.contains(&id))
    {
        return Err(refused("611", "System error"));
    }
    world.merging.extend(order.everybody());
    Ok(())
}
