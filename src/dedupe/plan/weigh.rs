//! How much there is to decide about a planned group, and why.
//!
//! For: green is what nobody has to look at; red is what is merged only where a person says so. A
//! flag that lets a group into a plan does not make it less red. Never: decides whether the group
//! is merged.

use std::collections::BTreeSet;

use super::fill::dangerous_fills;
use super::model::PlannedGroup;
use super::objection::{self, Known, Objection};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::policy::Policy;
use crate::dedupe::risk::Risk;
use crate::lead::{Crm, Lead};

/// How many fields a warning names.
const NAMED: usize = 5;

/// The risk of a group, and why it is not green, the weightiest first.
pub(super) fn weigh(
    group: &PlannedGroup,
    members: &[Lead],
    policy: &Policy,
    facts: &FieldFacts,
) -> (Risk, Vec<String>) {
    let mut red: Vec<String> =
        group.objections.iter().map(|objection| objection.why.clone()).collect();
    red.extend(group.open_consent.iter().map(|field| {
        format!("its records differ in {}, which looks like a consent", label(field, facts))
    }));
    red.extend(
        dangerous_fills(group, facts).iter().map(|fill| fill.in_words(label(&fill.field, facts))),
    );
    red.extend(let_in(members, policy).filter(|objection| !is_told(group, objection)).map(
        |objection| {
            format!("{}; it is in the plan because somebody asked for such groups", objection.why)
        },
    ));
    let mut amber = Vec::new();
    amber.extend(named_by_a_person(group, members, policy));
    amber.extend(conflicts(group, facts));
    amber.extend(opt_outs(members, facts));
    if members.iter().any(|lead| lead.crm() > Crm::None) && !group.in_crm {
        amber.push("one of its records is in the CRM, and stays".to_owned());
    }
    if !group.at_risk.is_empty() {
        let fields = group.at_risk.iter().map(|risk| risk.name.as_str()).collect();
        amber.push(format!(
            "{} cannot be written: whether the survivor gets it is up to Marketo",
            named(&fields, facts)
        ));
    }
    let risk = match (red.is_empty(), amber.is_empty()) {
        (false, _) => Risk::Red,
        (true, false) => Risk::Amber,
        (true, true) => Risk::Green,
    };
    red.extend(amber);
    (risk, red)
}

/// What would keep the group out of a plan, had no flag let it in.
pub(super) fn let_in(members: &[Lead], policy: &Policy) -> Option<Objection> {
    let strict = Policy {
        include_shared: false,
        merge_in_crm: false,
        across_partitions: false,
        ..policy.clone()
    };
    objection::of_leads(members, &strict).filter(|_| objection::of_leads(members, policy).is_none())
}

/// What would speak against the merge, had nobody named the group or asked for its cause.
fn named_by_a_person(group: &PlannedGroup, members: &[Lead], policy: &Policy) -> Option<String> {
    let strict = Policy { include_deliberate: false, ..policy.clone() };
    let objection = Objection::to(members, Known { cause: group.cause, named: false }, &strict)?;
    (!is_told(group, &objection))
        .then(|| format!("{}; it was asked for when the plan was made", objection.why))
}

fn is_told(group: &PlannedGroup, objection: &Objection) -> bool {
    group.objections.iter().any(|told| told.reason == objection.reason)
}

fn conflicts(group: &PlannedGroup, facts: &FieldFacts) -> Option<String> {
    let fields: BTreeSet<&str> = group.dropped.iter().map(|drop| drop.name.as_str()).collect();
    let many = if fields.len() == 1 { "value differs" } else { "values differ" };
    (!fields.is_empty()).then(|| {
        format!(
            "{} {many}, and a rule decides which stays: {}",
            fields.len(),
            named(&fields, facts)
        )
    })
}

fn opt_outs(members: &[Lead], facts: &FieldFacts) -> Option<String> {
    let fields = members.iter().flat_map(|lead| lead.fields.keys());
    let said: BTreeSet<&str> = fields
        .map(String::as_str)
        .filter(|field| facts.is_opt_out(field))
        .filter(|field| members.iter().any(|lead| lead.flag(field)))
        .collect();
    (!said.is_empty()).then(|| format!("the survivor stays opted out: {}", named(&said, facts)))
}

/// A field as Marketo's screens name it.
fn label<'a>(field: &'a str, facts: &'a FieldFacts) -> &'a str {
    facts
        .fields
        .get(field)
        .map(|fact| fact.label.as_str())
        .filter(|label| !label.is_empty())
        .unwrap_or(field)
}

fn named(fields: &BTreeSet<&str>, facts: &FieldFacts) -> String {
    let mut told: Vec<&str> = fields.iter().take(NAMED).map(|field| label(field, facts)).collect();
    let more = format!("{} more", fields.len().saturating_sub(NAMED));
    if fields.len() > NAMED {
        told.push(&more);
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::dedupe::plan::decide::{plan_decided, plan_group};
    use crate::dedupe::plan::objection::{Known, Reason};
    use crate::dedupe::{Choice, Decisions, FieldFacts, Key, Policy, Risk};
    use crate::lead::Lead;

    /// What lets a pair into a plan, the pair, and what would have kept it out.
    fn pairs() -> Vec<(Policy, Lead, Lead, Reason)> {
        let lead = |id: u64| Lead::new(id).with("email", "ada@example.com");
        let policy = Policy::default;
        vec![
            (
                Policy { across_partitions: true, ..policy() },
                lead(1).with("leadPartitionId", 1),
                lead(2).with("leadPartitionId", 2),
                Reason::Partitions,
            ),
            (
                Policy { include_shared: true, ..policy() },
                lead(1).with("firstName", "Grace"),
                lead(2).with("firstName", "Zoltan"),
                Reason::SeveralPeople,
            ),
            (
                Policy { merge_in_crm: true, ..policy() },
                lead(1).with("sfdcLeadId", "00Q1"),
                lead(2).with("sfdcLeadId", "00Q2"),
                Reason::Crm,
            ),
            (
                Policy { merge_in_crm: true, ..policy() },
                lead(1).with("originalSourceType", "Microsoft Dynamics"),
                lead(2).with("originalSourceType", "Microsoft Dynamics"),
                Reason::Crm,
            ),
        ]
    }

    #[test]
    fn a_flag_lifts_the_block_and_not_the_risk() {
        let facts = FieldFacts::of_writeable(["email", "firstName"]);
        let key = Key::of("ada@example.com").unwrap();
        for (policy, one, other, reason) in pairs() {
            let leads = [one, other];
            assert!(plan_group(&key, &leads, &Policy::default(), &facts).is_err(), "{reason}");
            let group = plan_group(&key, &leads, &policy, &facts).unwrap();
            assert_eq!((group.risk, group.let_in), (Risk::Red, Some(reason)));
            assert!(
                !group.merges() && group.warnings[0].contains("somebody asked"),
                "{:?}",
                group.warnings
            );
            // A person decides, and nothing else.
            let decided = |choice: Option<Choice>| {
                let decided = Decisions { choice, ..Decisions::default() };
                let known = Known::default();
                plan_decided(&key, &leads, known, &policy, &facts, &decided).unwrap().merges()
            };
            assert_eq!((decided(None), decided(Some(Choice::Merge))), (false, true), "{reason}");
        }
    }

    #[test]
    fn a_flag_that_lets_nothing_in_changes_nothing() {
        let facts = FieldFacts::of_writeable(["email", "firstName"]);
        let key = Key::of("ada@example.com").unwrap();
        let lead = |id: u64| Lead::new(id).with("email", "ada@example.com");
        let all = Policy {
            across_partitions: true,
            include_shared: true,
            merge_in_crm: true,
            ..Policy::default()
        };
        let group = plan_group(&key, &[lead(1), lead(2)], &all, &facts).unwrap();
        assert_eq!((group.risk, group.let_in, group.merges()), (Risk::Green, None, true));
    }
}
