//! Sees to the program statuses of survivors, and keeps open what could not be kept.
//!
//! Leans on [`super::programs`], which knows how a status is raised. Never: lowers one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::members;
use super::member_fields::program_of;
use super::memberships::Rows;
use super::programs::status::to_raise;
use super::programs::{Raised, Survivor, Unkept, raise, raise_all};
use super::report::{Difference, Fate, Surprise};
use super::settle::{Pending, Settled};
use crate::lead::LeadId;
use crate::ledger::{self, Finding, FindingId, FindingKind};
use crate::marketo::{self, UntilStopped};

impl<M: MergeClient> Merge<'_, M> {
    /// Raises survivors to the statuses that any of their leads had. What could not be kept is
    /// added to their surprises and stays open in the ledger. Gives the calls back that the run has
    /// no time to finish.
    pub(super) async fn see_to_programs<'p>(
        &mut self,
        mut settled: Vec<Settled<'p>>,
    ) -> Result<(Vec<Settled<'p>>, Vec<Pending<'p>>), Error> {
        let mut before: Vec<(usize, LeadId, Vec<Rows>)> = Vec::new();
        for (place, one) in settled.iter().enumerate() {
            let Some(survivor) = one.finding.survivor() else { continue };
            let mut rows = Vec::new();
            for id in self.merged_so_far(one, survivor.id)? {
                let kept = self.ledger.backups_of(id)?.into_iter().rev();
                rows.extend(kept.filter_map(|backup| backup.programs).take(1));
            }
            before.push((place, survivor.id, rows));
        }
        let survivors: Vec<Survivor<'_>> = before
            .iter()
            .map(|(_, lead, rows)| Survivor { lead: *lead, before: rows.iter().collect() })
            .collect();
        let Some(raised) = self.raise(&survivors).await? else {
            let (unseen, others): (Vec<_>, Vec<_>) =
                settled.into_iter().partition(|one| one.finding.survivor().is_some());
            return Ok((others, unseen.into_iter().map(|one| one.pending).collect()));
        };
        for unkept in &raised.unkept {
            let Some((place, _, _)) = before.iter().find(|(_, lead, _)| *lead == unkept.lead)
            else {
                continue;
            };
            let Some(one) = settled.get_mut(*place) else { continue };
            let finding = finding(one.pending.group.key.as_str(), unkept);
            self.ledger.open_findings_with(one.pending.plan, &[finding], &self.at())?;
            one.surprises.push(Surprise { difference: difference(unkept), fate: Fate::Lost });
        }
        match raised.failed {
            Some(error) if error.stops_the_run() => Err(error.into()),
            _ => Ok((settled, Vec::new())),
        }
    }

    /// Every lead that is in the survivor of a call by now, and the survivor: of a group that takes
    /// several calls the survivor's backup is older than its first one.
    fn merged_so_far(
        &self,
        settled: &Settled<'_>,
        survivor: LeadId,
    ) -> Result<BTreeSet<LeadId>, Error> {
        let group = settled.pending.group;
        let mut leads: BTreeSet<LeadId> =
            settled.finding.gone().iter().copied().chain([survivor]).collect();
        if group.losers.len() > settled.pending.losers.len() {
            let into = self.ledger.merged_into()?;
            leads.extend(members(group).filter(|id| into.get(id) == Some(&survivor)));
        }
        Ok(leads)
    }

    /// None where the run is to stop and has no time left.
    async fn raise(&self, survivors: &[Survivor<'_>]) -> Result<Option<Raised>, Error> {
        let gate = UntilStopped::after(self.stop.clone(), self.grace());
        let raising = raise(self.marketo, &gate, &self.clock, survivors);
        let raised = self.within_grace(raising).await;
        Ok(raised.filter(|raised| !matches!(raised.failed, Some(marketo::Error::Withheld { .. }))))
    }

    /// The same for every survivor, whether its memberships were alike or not.
    pub(super) async fn raise_all(
        &self,
        survivors: &[Survivor<'_>],
    ) -> Result<Option<Raised>, Error> {
        if survivors.is_empty() {
            return Ok(Some(Raised::default()));
        }
        let gate = UntilStopped::after(self.stop.clone(), self.grace());
        let survivors: Vec<&Survivor<'_>> = survivors.iter().collect();
        let raised =
            self.within_grace(raise_all(self.marketo, &gate, &self.clock, &survivors)).await;
        Ok(raised.filter(|raised| !matches!(raised.failed, Some(marketo::Error::Withheld { .. }))))
    }

    /// Raises once more what an earlier run could not, and closes what a look shows to be there by
    /// now.
    pub(super) async fn review_programs(
        &mut self,
        findings: Vec<(FindingId, String, Finding)>,
    ) -> Result<(), Error> {
        for (id, _, finding) in findings {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            let Some(row) = finding.wanted.as_object().cloned() else { continue };
            if self.program_is_right(finding.lead, row).await? {
                self.ledger.close_finding(id, "the program shows the status", &self.at())?;
            }
        }
        Ok(())
    }

    /// Whether a lead is read to be where it should be in a program, after raising it where a
    /// status is known.
    async fn program_is_right(
        &self,
        lead: LeadId,
        wanted: Map<String, Value>,
    ) -> Result<bool, Error> {
        let reading = self.within_grace(self.marketo.program_membership(lead)).await;
        let held = match reading {
            Some(Ok(held)) => held,
            Some(Err(error)) if error.stops_the_run() => return Err(error.into()),
            None | Some(Err(_)) => return Ok(false),
        };
        let program = wanted.get("id").cloned().unwrap_or_default();
        let is_member = held.iter().any(|row| program_of(row) == program_of(&wanted));
        let wanted = vec![wanted];
        if to_raise(&[&wanted], &held).is_empty() {
            return Ok(is_member);
        }
        // Beside a membership without a status the wanted one is looked for.
        let behind = vec![Map::from_iter([("id".to_owned(), program)])];
        let raised = self.raise(&[Survivor { lead, before: vec![&wanted, &behind] }]).await?;
        Ok(raised.is_some_and(|raised| raised.unkept.is_empty() && raised.failed.is_none()))
    }
}

pub(super) fn difference(unkept: &Unkept) -> Difference {
    let name =
        if unkept.name.is_empty() { unkept.program.to_string() } else { unkept.name.clone() };
    let success = if unkept.success { " (success)" } else { "" };
    Difference {
        lead: unkept.lead,
        name: format!("program {name}"),
        wanted: Value::from(format!("{}{success}", unkept.wanted)),
        found: unkept.held.clone().map_or(Value::Null, Value::from),
    }
}

pub(super) fn finding(key: &str, unkept: &Unkept) -> ledger::Finding {
    let Difference { lead, name, found, .. } = difference(unkept);
    let wanted: Map<String, Value> = [
        ("id", json!(unkept.program)),
        ("name", json!(unkept.name)),
        ("progressionStatus", json!(unkept.wanted)),
        ("reachedSuccess", json!(unkept.success)),
    ]
    .into_iter()
    .map(|(member, value)| (member.to_owned(), value))
    .collect();
    Finding {
        key: key.to_owned(),
        lead,
        field: name,
        kind: FindingKind::Program,
        wanted: Value::Object(wanted),
        found,
    }
}
