//! What earlier runs lost, or could not set back, and nobody has put right: it begins the next run.
//!
//! Each open finding is looked at: right by now, it is closed; else it is written once more and read
//! back. What is still wrong is named, and no run that has such a thing open ends well. Never: closes a
//! finding that it did not see right.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fresh::Fresh;
use super::write::Record;
use super::{Error, Merge, MergeClient};
use crate::dedupe::FieldChange;
use crate::lead::{Lead, LeadId};
use crate::ledger::{Finding, FindingId, FindingKind, Purpose};
use crate::marketo::UntilStopped;

impl<M: MergeClient> Merge<'_, M> {
    /// Looks after every open finding; gives those that are still open.
    pub(super) async fn review_findings(&mut self) -> Result<Vec<Finding>, Error> {
        let open = self.ledger.open_findings()?;
        let (of_programs, of_fields): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|(_, _, finding)| finding.kind == FindingKind::Program);
        let (of_merges, of_fields): (Vec<_>, Vec<_>) =
            of_fields.into_iter().partition(|(_, _, finding)| finding.kind == FindingKind::Merge);
        self.review_programs(of_programs).await?;
        self.review_contradictions(of_merges).await?;
        if of_fields.is_empty() {
            return self.still_open();
        }
        let ids: Vec<LeadId> = super::work::leads_of(of_fields.iter().map(|(_, _, finding)| finding.lead));
        let Some(look) = self.look(&ids).await? else { return self.still_open() };
        let wrong = self.close_what_is_right(of_fields, &look.leads)?;
        let mut records: BTreeMap<&str, BTreeMap<LeadId, Record>> = BTreeMap::new();
        for (_, plan, finding) in &wrong {
            let Some(lead) = look.leads.get(&finding.lead) else { continue };
            if !self.facts.is_writeable(&finding.field)
                || !self.is_as_it_was_found(finding, lead)
                || self.takes_an_opt_out_back(finding)
            {
                continue;
            }
            let record = records
                .entry(plan)
                .or_default()
                .entry(lead.id)
                .or_insert_with(|| Record { lead: lead.id, changes: Vec::new() });
            record.changes.push(FieldChange {
                name: finding.field.clone(),
                before: lead.value(&finding.field).cloned().unwrap_or(Value::Null),
                after: finding.wanted.clone(),
                from: None,
            });
        }
        if records.is_empty() {
            return self.still_open();
        }
        let permit = Fresh::new(look.at, self.clock, UntilStopped::at_once(self.stop.clone()));
        for (plan, records) in records {
            self.write(&permit, plan, Purpose::Mend, records.into_values().collect()).await?;
        }
        let Some(look) = self.look(&ids).await? else { return self.still_open() };
        self.close_what_is_right(wrong, &look.leads)?;
        self.still_open()
    }

    /// The findings that nobody has put right.
    pub fn still_open(&self) -> Result<Vec<Finding>, Error> {
        Ok(self.ledger.open_findings()?.into_iter().map(|(_, _, finding)| finding).collect())
    }

    fn close_what_is_right(
        &mut self,
        findings: Vec<(FindingId, String, Finding)>,
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<Vec<(FindingId, String, Finding)>, Error> {
        let mut wrong = Vec::new();
        for (id, plan, finding) in findings {
            let right = live.get(&finding.lead).is_some_and(|lead| {
                let held = lead.value(&finding.field).unwrap_or(&Value::Null);
                self.facts.holds(&finding.field, held, &finding.wanted)
            });
            if right {
                self.ledger.close_finding(id, "a look showed the wanted value", &self.at())?;
            } else {
                wrong.push((id, plan, finding));
            }
        }
        Ok(wrong)
    }

    /// Whoever said no since may mean it: an opt-out too many is a person's to take back (law 5).
    fn takes_an_opt_out_back(&self, finding: &Finding) -> bool {
        self.facts.is_opt_out(&finding.field) && finding.wanted != Value::Bool(true)
    }

    /// A value that somebody has changed since is not overwritten; an opt-out is set whatever was there.
    fn is_as_it_was_found(&self, finding: &Finding, lead: &Lead) -> bool {
        let held = lead.value(&finding.field).unwrap_or(&Value::Null);
        finding.kind == FindingKind::Consent || self.facts.holds(&finding.field, held, &finding.found)
    }
}
