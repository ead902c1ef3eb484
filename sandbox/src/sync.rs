//! Sync Leads, Push Lead and Submit Form: look up, take a while, write.
//!
//! **The race is here, and real.** Each call looks its keys up when it arrives, and writes what it
//! then decided after the race window and whatever else delays it, without looking again: nothing
//! in Marketo keeps two inserts of one email apart, and a call whose answer was lost still writes
//! what it decided long ago.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::answer::{Answer, Refused, refused};
use super::clock::now;
use super::instance::Shared;
use super::meddle;
use super::request::{Request, take_time};
use super::values;
use super::world::log::Call;
use super::world::{Membership, World};

pub(super) mod commit;
pub(super) mod decide;

use commit::commit;
use decide::{Action, Decision, Order, decide, order};

/// How long Marketo lets a write of leads run.
const LIMIT: Duration = Duration::from_secs(90);

/// Sync Leads.
pub(super) async fn leads(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let body = request.json()?;
    let order = order(&shared.world(), &body)?;
    let input = Request::input(&body, "Leads not specified")?;
    let results = write(shared, request, &order, input).await;
    Ok(Answer::Rows(results))
}

/// Push Lead: an upsert that also puts the lead into a program.
pub(super) async fn push(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let body = request.json()?;
    let name = body.get("programName").and_then(Value::as_str).unwrap_or_default();
    let program =
        shared.world().programs.iter().find(|(_, program)| program.name == name).map(|(id, _)| *id);
    let program = program.ok_or_else(|| refused("1013", format!("Program '{name}' not found")))?;
    let newest_of_many = shared.options.knobs.is("push_multi", "newest");
    let order = Order { method: "pushLead", newest_of_many, ..order(&shared.world(), &body)? };
    let input = Request::input(&body, "Leads not specified")?;
    let results = write(shared, request, &order, input).await;
    let mut world = shared.world();
    for id in results.iter().filter_map(|row| row.get("id")?.as_u64()) {
        join(&mut world, program, id);
    }
    Ok(Answer::Rows(results))
}

/// Submit Form: one lead; of several matches the one that was updated last.
pub(super) async fn submit_form(shared: &Shared, request: &Request) -> Result<Answer, Refused> {
    let body = request.json()?;
    if body.get("formId").is_none() {
        return Err(refused("1002", "Missing parameter 'formId'"));
    }
    let fields: Vec<Value> = Request::input(&body, "Leads not specified")?
        .iter()
        .take(1)
        .map(|row| row.get("leadFormFields").cloned().unwrap_or_default())
        .collect();
    let order = Order {
        method: "submitForm",
        newest_of_many: true,
        ..order(&shared.world(), &Map::new())?
    };
    Ok(Answer::Rows(write(shared, request, &order, &fields).await))
}

async fn write(shared: &Shared, request: &Request, order: &Order, input: &[Value]) -> Vec<Value> {
    let decisions: Vec<Decision> = {
        let world = shared.world();
        input.iter().map(|record| decide(&shared.options.knobs, &world, order, record)).collect()
    };
    shared.let_go().await;
    // However long it is made to take: Marketo ends a call at its own limit, which passes as fast
    // as its clock.
    let most = shared.options.knobs.wall(LIMIT);
    take_time((request.delay + shared.options.race_window).min(most)).await;
    meddle::during(shared, request, &touched(&decisions));
    let call = Call {
        method: order.method,
        user: request.user.as_str().into(),
        request_id: request.call_id.as_str().into(),
    };
    let looks_again = |key: &str, seen: &BTreeSet<String>| {
        (order.action == Action::CreateOnly
            && shared.options.knobs.is("create_only_races", "false"))
            || (shared.options.knobs.is("batch_dupes", "sequential") && seen.contains(key))
    };
    let mut world = shared.world_for(request);
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(input.len());
    for (decision, record) in decisions.into_iter().zip(input) {
        let key =
            record.get(order.lookup.1.name).map(values::shown).unwrap_or_default().to_lowercase();
        let again = looks_again(&key, &seen);
        let decision =
            if again { decide(&shared.options.knobs, &world, order, record) } else { decision };
        seen.insert(key);
        results.push(commit(&mut world, &shared.options.knobs, order, &call, decision));
    }
    results
}

/// The leads that the look-up found.
fn touched(decisions: &[Decision]) -> Vec<u64> {
    let found = |decision: &Decision| match decision {
        Decision::Update(id, _) => Some(*id),
        Decision::Insert(_) | Decision::Skip(_) => None,
    };
    decisions.iter().filter_map(found).collect()
}

fn join(world: &mut World, program: u64, lead: u64) {
    let Some(program) = world.programs.get_mut(&program) else { return };
    let status = program.statuses.first().cloned().unwrap_or_default();
    program.members.entry(lead).or_insert_with(|| Membership::new(status, now(), false));
}
