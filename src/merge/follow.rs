//! Follows survivors with open findings that are gone: a loss is looked for where its record went.
//!
//! A survivor can be merged once more, by a later run or by anybody. The ledger tells of our own
//! merges, Marketo's log of all others. Never: closes a finding because its record is gone, or
//! writes over a value of another record.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::end_of;
use super::leads::leads_of;
use crate::cancel::unless_stopped;
use crate::lead::{Lead, LeadId};
use crate::ledger::{Finding, FindingId, FindingKind};
use crate::marketo::{self, MergeRecord};

/// How many merges in a row of one record are followed in one run.
const STEPS: usize = 8;

impl<M: MergeClient> Merge<'_, M> {
    /// Carries open findings over from leads that are gone to the leads that they were merged into.
    pub(super) async fn follow_survivors(&mut self) -> Result<(), Error> {
        let open = self.ledger.open_findings()?;
        if open.is_empty() {
            return Ok(());
        }
        let leads = leads_of(open.iter().map(|(_, _, finding)| finding.lead));
        let Some(look) = self.look_twice_if_missing(&leads).await? else { return Ok(()) };
        let gone: Vec<_> = open
            .into_iter()
            .filter(|(_, _, finding)| !look.leads.contains_key(&finding.lead))
            .collect();
        let survivors = self.survivors_of(&gone).await?;
        for (id, plan, finding) in gone {
            if let Some(now) = survivors.get(&finding.lead) {
                self.carry_over(id, &plan, finding, now)?;
            }
        }
        Ok(())
    }

    /// For each of these leads the living lead that it was merged into at last. None where nobody
    /// knows, or where that lead was deleted.
    async fn survivors_of(
        &self,
        gone: &[(FindingId, String, Finding)],
    ) -> Result<BTreeMap<LeadId, Lead>, Error> {
        let leads = leads_of(gone.iter().map(|(_, _, finding)| finding.lead));
        let mut since: Option<DateTime<Utc>> = None;
        for (id, _, _) in gone {
            let opened_at = self.ledger.finding_opened_at(*id)?;
            since = since.into_iter().chain(opened_at).min();
        }
        let mut into = self.ledger.merged_into()?;
        let mut alive = BTreeMap::new();
        for _ in 0..STEPS {
            let ends: BTreeMap<LeadId, LeadId> =
                leads.iter().map(|lead| (*lead, end_of(*lead, &into).unwrap_or(*lead))).collect();
            let Some(look) = self.look_twice_if_missing(&leads_of(ends.values().copied())).await?
            else {
                return Ok(BTreeMap::new());
            };
            alive = ends
                .iter()
                .filter_map(|(lead, end)| Some((*lead, look.leads.get(end)?.clone())))
                .collect();
            let lost = leads_of(ends.into_values().filter(|end| !look.leads.contains_key(end)));
            let known = into.len();
            for record in self.merges_of(&lost, since).await? {
                let losers = record.losers.iter().filter(|loser| lost.contains(loser));
                into.extend(
                    losers
                        .filter(|loser| **loser != record.winner)
                        .map(|loser| (*loser, record.winner)),
                );
            }
            if into.len() == known {
                break;
            }
        }
        Ok(alive)
    }

    /// What Marketo's log says of leads since the first of their findings; nothing where it cannot
    /// be read.
    async fn merges_of(
        &self,
        leads: &[LeadId],
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<MergeRecord>, Error> {
        let Some(since) = since.filter(|_| !leads.is_empty()) else { return Ok(Vec::new()) };
        // Clocks differ.
        let reading = self.marketo.merges_since(since - TimeDelta::minutes(5), leads);
        match unless_stopped(&self.stop, reading).await {
            Ok(records) => Ok(records.unwrap_or_default()),
            // The finding stays open, and a person can say what became of its record.
            Err(marketo::Error::Permission { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// A finding of a lead that is gone is one of the lead that has its values now. Where that has
    /// a value of its own in place of a lost one, only a person can say which is right.
    fn carry_over(
        &mut self,
        id: FindingId,
        plan: &str,
        finding: Finding,
        now: &Lead,
    ) -> Result<(), Error> {
        let held = now.value(&finding.field).cloned().unwrap_or(Value::Null);
        let how = format!("lead {} was merged into lead {}", finding.lead, now.id);
        let is_right = self.facts.holds(&finding.field, &held, &finding.wanted);
        let is_blank = self.facts.holds(&finding.field, &held, &Value::Null);
        let nothing_is_lost = self.facts.holds(&finding.field, &finding.wanted, &Value::Null);
        let moved = Finding { lead: now.id, ..finding };
        match moved.kind {
            // Whether it is explained is looked for elsewhere.
            FindingKind::Merge => {}
            FindingKind::Program => {
                self.ledger.carry_finding_over(id, plan, &moved, &how, &self.at())?;
            }
            // A value too many is no loss to be looked for elsewhere.
            FindingKind::NotSetBack if nothing_is_lost => {
                self.ledger.close_finding(id, &how, &self.at())?;
            }
            FindingKind::Consent | FindingKind::Value | FindingKind::NotSetBack if is_right => {
                let how = format!("{how}, which holds the wanted value");
                self.ledger.close_finding(id, &how, &self.at())?;
            }
            FindingKind::Value | FindingKind::NotSetBack if !is_blank => {}
            // This lead was not written to, so that nothing is given back to it: it gets the lost
            // value.
            FindingKind::NotSetBack => {
                let moved = Finding { kind: FindingKind::Value, found: held, ..moved };
                self.ledger.carry_finding_over(id, plan, &moved, &how, &self.at())?;
            }
            FindingKind::Consent | FindingKind::Value => {
                let moved = Finding { found: held, ..moved };
                self.ledger.carry_finding_over(id, plan, &moved, &how, &self.at())?;
            }
        }
        Ok(())
    }
}
