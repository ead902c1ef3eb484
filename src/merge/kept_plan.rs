//! Plans in the ledger: how a planned group is written down there, and how it is read again.
//!
//! Never: reads more of a plan than is asked for, or carries out a plan that is not what it was
//! when it was kept.

use serde_json::Value;

use super::error::Error;
use crate::dedupe::{FieldFacts, Key, LeftOut, Plan, PlanHeader, PlannedGroup, Policy};
use crate::lead::{Lead, LeadId};
use crate::ledger::{GroupBody, GroupRow, Ledger, PlanHead};

/// How many left-out groups are read at once.
const AT_ONCE: usize = 1_000;

/// A group as the ledger keeps it, with its leads.
pub(crate) fn row_of(
    group: &PlannedGroup,
    leads: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<(GroupRow, GroupBody), serde_json::Error> {
    let lost = group.opt_outs_lost(leads, policy, facts) as u64;
    let is_member = |lead: &&Lead| group.leads().any(|id| id == lead.id);
    let leads: Vec<&Lead> = leads.iter().filter(is_member).collect();
    let mut names: Vec<String> = leads
        .iter()
        .map(|lead| {
            let parts = [lead.first_name(), lead.last_name()];
            parts.into_iter().flatten().collect::<Vec<_>>().join(" ").to_lowercase()
        })
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    let row = GroupRow {
        place: 0,
        key: group.key.as_str().to_owned(),
        risk: group.risk.as_str().to_owned(),
        cause: group.cause.map(|cause| cause.as_str().to_owned()),
        domain: group.key.as_str().rsplit_once('@').map(|(_, domain)| domain.to_owned()),
        names: names.join("\n"),
        winner: group.winner,
        losers: group.losers.len() as u64,
        dropped: group.dropped.len() as u64,
        lost,
    };
    let body =
        GroupBody { body: serde_json::to_string(group)?, leads: serde_json::to_string(&leads)? };
    Ok((row, body))
}

/// The plan of a run, with those of its groups that have these records to keep, as the run took
/// them up. None for one of an older version that cannot be read any more.
pub(super) fn plan_of_run(
    ledger: &Ledger,
    id: &str,
    winners: &[LeadId],
) -> Result<Option<Plan>, Error> {
    let Some(head) = ledger.plan_head(id)?.filter(|head| head.plan == id) else {
        return Ok(ledger.plan(id)?.and_then(|body| serde_json::from_str(&body).ok()));
    };
    let bodies = ledger.groups_by_winner(id, winners)?;
    let groups = bodies.iter().map(|body| parsed(&head.plan, body)).collect::<Result<_, _>>()?;
    let header = header_of(&head)?;
    Ok(Some(of_header(&head, header, groups)))
}

/// The groups of a plan that nobody can decide about.
pub(crate) fn left_out_of(ledger: &Ledger, head: &PlanHead) -> Result<Vec<LeftOut>, Error> {
    let mut left_out = Vec::new();
    loop {
        let rows = ledger.left_from(head.number, left_out.len() as u64, AT_ONCE)?;
        if rows.is_empty() {
            return Ok(left_out);
        }
        for row in rows {
            let leads = parsed(&head.plan, &row.leads)?;
            let key = Key::stored(row.key)
                .ok_or_else(|| unusable(&head.plan, "a group of it has no key"))?;
            left_out.push(LeftOut { key, leads, reason: row.reason });
        }
    }
}

/// The head of a plan of this version and instance, by id or name.
pub(crate) fn head_of(ledger: &Ledger, plan: &str, instance: &str) -> Result<PlanHead, Error> {
    let Some(head) = ledger.plan_head(plan)? else {
        return Err(match ledger.plan(plan)? {
            Some(_) => unusable(
                plan,
                "an older version of this program made it. What was done of it is still known, but it cannot be \
                 carried out",
            ),
            None => Error::NoSuchPlan { id: plan.to_owned() },
        });
    };
    let header = header_of(&head)?;
    if header.instance != instance {
        return Err(unusable(
            &head.plan,
            &format!("it is for {}, not for {instance}", header.instance),
        ));
    }
    Ok(head)
}

/// What a plan says of all its groups.
pub(crate) fn header_of(head: &PlanHead) -> Result<PlanHeader, Error> {
    let form = serde_json::from_str::<Value>(&head.header)
        .ok()
        .and_then(|header| header.get("form")?.as_u64());
    if form != Some(u64::from(PlanHeader::FORM)) {
        return Err(unusable(&head.plan, "another version of this program made it"));
    }
    parsed(&head.plan, &head.header)
}

/// A part of a plan, from its JSON.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(plan: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| unusable(plan, &error.to_string()))
}

fn of_header(head: &PlanHead, header: PlanHeader, groups: Vec<PlannedGroup>) -> Plan {
    let PlanHeader { instance, made_at, policy, .. } = header;
    Plan { id: head.plan.clone(), instance, made_at, policy, groups, left_out: Vec::new() }
}

pub(crate) fn unusable(plan: &str, what: &str) -> Error {
    Error::UnusablePlan { id: plan.to_owned(), what: what.to_owned() }
}
