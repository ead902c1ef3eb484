//! The records of a write: the calls that they take, whether a lead has their values, and why it
//! does not. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dedupe::{FieldChange, FieldFacts};
use crate::lead::{Lead, LeadId};
use crate::ledger::{CallKind, CallLead, CallValue, NewCall, Purpose, Role};
use crate::marketo::{self, BATCH, BODY_BYTES};
use crate::merge::report::Said;

/// What stays free of a body for what surrounds the records.
const ENVELOPE_BYTES: usize = 10_000;

/// Why a group ends whose write was not waited for.
pub(super) const LEFT: &str = "the run was stopped before it was clear whether the record to keep was written to; run it again";

/// A lead to be written to.
#[derive(Debug, Clone)]
pub(in crate::merge) struct Record {
    /// The lead.
    pub(in crate::merge) lead: LeadId,
    /// What it gets.
    pub(in crate::merge) changes: Vec<FieldChange>,
}

/// Why a lead does not have its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::merge) struct Refused {
    pub(in crate::merge) why: String,
    /// Marketo's own words, where it said something.
    pub(in crate::merge) marketo: Option<Said>,
    /// Whether it may hold some of them all the same, and nothing is under way any more.
    pub(in crate::merge) may_hold_some: bool,
    /// Whether it counts among the failures that stop a run: a refusal for the record's own sake
    /// does not.
    pub(in crate::merge) counts: bool,
}

impl Refused {
    pub(super) fn ours(why: &str) -> Self {
        let is_over = why != LEFT;
        Self { why: why.to_owned(), marketo: None, may_hold_some: is_over, counts: is_over }
    }
}

/// The call that these records take, for the ledger.
pub(super) fn new_call(purpose: Purpose, records: &[Record]) -> NewCall {
    let values = records.iter().flat_map(|record| {
        record.changes.iter().map(|change| CallValue {
            lead: record.lead,
            field: change.name.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
        })
    });
    NewCall {
        kind: CallKind::Write,
        key: String::new(),
        leads: records
            .iter()
            .map(|record| CallLead { id: record.lead, role: Role::Winner })
            .collect(),
        purpose,
        values: values.collect(),
    }
}

pub(super) fn because(leads: &[LeadId], why: &str) -> BTreeMap<LeadId, Refused> {
    leads.iter().map(|lead| (*lead, Refused::ours(why))).collect()
}

/// Whether a lead has the values that a record would write.
pub(super) fn has(lead: &Lead, record: &Record, facts: &FieldFacts) -> bool {
    record.changes.iter().all(|change| {
        let held = lead.value(&change.name).unwrap_or(&Value::Null);
        facts.holds(&change.name, held, &change.after)
    })
}

/// Whether a lead has none of the values that a record would write: each field holds what it held
/// before. Any other value may be what the instance made of the write.
pub(super) fn has_none(lead: &Lead, record: &Record, facts: &FieldFacts) -> bool {
    record.changes.iter().all(|change| {
        let held = lead.value(&change.name).unwrap_or(&Value::Null);
        facts.holds(&change.name, held, &change.before)
    })
}

pub(super) fn leads_that(
    refused: &BTreeMap<LeadId, Refused>,
    is_so: impl Fn(&Refused) -> bool,
) -> Vec<LeadId> {
    refused.iter().filter(|(_, refused)| is_so(refused)).map(|(lead, _)| *lead).collect()
}

/// Calls of at most 300 records and a body that Marketo takes.
pub(super) fn split(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut calls: Vec<Vec<Record>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let size = serde_json::to_string(&input(&record)).map_or(0, |text| text.len() + 1);
        let full = bytes + size > BODY_BYTES - ENVELOPE_BYTES;
        if let Some(call) = calls.last_mut().filter(|call| call.len() < BATCH && !full) {
            call.push(record);
            bytes += size;
        } else {
            calls.push(vec![record]);
            bytes = size;
        }
    }
    calls
}

pub(super) fn input(record: &Record) -> Map<String, Value> {
    let id = ("id".to_owned(), Value::from(record.lead));
    let values = record.changes.iter().map(|change| (change.name.clone(), change.after.clone()));
    std::iter::once(id).chain(values).collect()
}

pub(super) fn refusal(result: Option<&marketo::RecordResult>) -> Refused {
    let Some(result) = result else {
        return Refused::ours("Marketo's answer to the write says nothing of the record to keep");
    };
    let reasons: Vec<String> =
        result.reasons.iter().map(|reason| format!("{} {}", reason.code, reason.message)).collect();
    let said = result.reasons.first().map(|reason| Said {
        code: reason.code.clone(),
        message: reason.message.clone(),
        request_id: result.request_id.clone(),
    });
    let why = format!(
        "Marketo refused to write the values of the record to keep: {}",
        reasons.join("; ")
    );
    let counts = !result.reasons.iter().all(|reason| marketo::is_of_a_record(&reason.code));
    Refused { why, marketo: said, may_hold_some: false, counts }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lead_was_not_written_to_only_where_it_holds_what_it_held_before() {
        let change =
            |before, after| FieldChange { name: "phone".into(), before, after, from: None };
        let record = Record { lead: 1, changes: vec![change(json!("1"), json!("7"))] };
        // The instance made +7 of the 7 that was written.
        for (held, is_none) in [("1", true), ("7", false), ("+7", false)] {
            let lead = Lead::new(1).with("phone", held);
            assert_eq!(has_none(&lead, &record, &FieldFacts::default()), is_none, "{held}");
        }
    }
}
