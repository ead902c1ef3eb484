//! What earlier runs lost, or could not set back, and nobody has put right: it begins the next run.
//!
//! Each open finding is looked at, where its record went if that is gone: right by now, it is
//! closed; else it is written once more and read back. What is still wrong is named, and no run
//! that has such a thing open ends well. Never: closes a finding that it did not see right; a
//! person can, who says why.

use std::collections::BTreeMap;

use serde_json::Value;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::leads_of;
use super::look::Look;
use super::write::record::Record;
use crate::dedupe::FieldChange;
use crate::lead::{Lead, LeadId};
use crate::ledger::{Finding, FindingId, FindingKind, Ledger, Purpose};

/// Closes a finding that a person has settled, or that nobody can put right any more. The ledger
/// keeps the reason. Gives the finding; an error where none is open under this number.
pub fn acknowledge(
    ledger: &mut Ledger,
    id: FindingId,
    reason: &str,
    at: &str,
) -> Result<Finding, Error> {
    let open = ledger.open_findings()?;
    let (_, _, finding) =
        open.into_iter().find(|(open, _, _)| *open == id).ok_or(Error::NoSuchFinding { id })?;
    ledger.acknowledge_finding(id, reason, at)?;
    Ok(finding)
}

impl<M: MergeClient> Merge<'_, M> {
    /// Looks after every open finding; gives those that are still open.
    pub(super) async fn review_findings(&mut self) -> Result<Vec<(FindingId, Finding)>, Error> {
        self.follow_survivors().await?;
        let open = self.ledger.open_findings()?;
        let (of_programs, of_fields): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(_, _, finding)| finding.kind == FindingKind::Program);
        let (of_merges, of_fields): (Vec<_>, Vec<_>) =
            of_fields.into_iter().partition(|(_, _, finding)| finding.kind == FindingKind::Merge);
        self.review_programs(of_programs).await?;
        self.review_contradictions(of_merges).await?;
        let ids = leads_of(of_fields.iter().map(|(_, _, finding)| finding.lead));
        if !ids.is_empty() {
            let asks = |merge: &mut Self, look: &Look| Ok(merge.to_mend(&of_fields, look));
            if let Some(look) = self.look_and_write(&ids, Purpose::Mend, asks).await? {
                self.close_what_is_right(&of_fields, &look.leads)?;
            }
        }
        self.still_open()
    }

    /// What is to be written for findings that a look does not show right, by plan.
    fn to_mend(
        &self,
        findings: &[(FindingId, String, Finding)],
        look: &Look,
    ) -> BTreeMap<String, Vec<Record>> {
        let mut by_plan: BTreeMap<String, BTreeMap<LeadId, Record>> = BTreeMap::new();
        for (_, plan, finding) in findings {
            let Some(lead) = look.leads.get(&finding.lead) else { continue };
            // What could not be set back is tried again where the rest of its write is.
            let is_mendable = finding.kind != FindingKind::NotSetBack
                && self.facts.is_writeable(&finding.field)
                && self.is_as_it_was_found(finding, lead);
            if !is_mendable || self.is_right(finding, lead) {
                continue;
            }
            let records = by_plan.entry(plan.clone()).or_default();
            let record = records
                .entry(lead.id)
                .or_insert_with(|| Record { lead: lead.id, changes: Vec::new() });
            record.changes.push(FieldChange {
                name: finding.field.clone(),
                before: lead.value(&finding.field).cloned().unwrap_or(Value::Null),
                after: finding.wanted.clone(),
                from: None,
            });
        }
        by_plan.into_iter().map(|(plan, records)| (plan, records.into_values().collect())).collect()
    }

    /// The findings that nobody has put right.
    pub fn still_open(&self) -> Result<Vec<(FindingId, Finding)>, Error> {
        Ok(self.ledger.open_findings()?.into_iter().map(|(id, _, finding)| (id, finding)).collect())
    }

    fn close_what_is_right(
        &mut self,
        findings: &[(FindingId, String, Finding)],
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<(), Error> {
        for (id, _, finding) in findings {
            let Some(lead) = live.get(&finding.lead) else { continue };
            if self.is_right(finding, lead) {
                self.ledger.close_finding(*id, "a look showed the wanted value", &self.at())?;
            } else if finding.kind == FindingKind::NotSetBack
                && !self.is_as_it_was_found(finding, lead)
            {
                self.ledger.close_finding(
                    *id,
                    "somebody has given the field a value since",
                    &self.at(),
                )?;
            }
        }
        Ok(())
    }

    fn is_right(&self, finding: &Finding, lead: &Lead) -> bool {
        let held = lead.value(&finding.field).unwrap_or(&Value::Null);
        self.facts.holds(&finding.field, held, &finding.wanted)
    }

    /// A value that somebody has changed since is not overwritten; an opt-out is set whatever was
    /// there.
    fn is_as_it_was_found(&self, finding: &Finding, lead: &Lead) -> bool {
        let held = lead.value(&finding.field).unwrap_or(&Value::Null);
        finding.kind == FindingKind::Consent
            || self.facts.holds(&finding.field, held, &finding.found)
    }
}
