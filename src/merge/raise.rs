//! Sees to the program statuses of survivors, and keeps open what could not be kept.
//!
//! Leans on [`super::programs`], which knows how a status is raised. Never: lowers one.

use serde_json::{Map, Value, json};

use super::memberships::Rows;
use super::programs::{Raised, Survivor, Unkept, raise};
use super::report::{Difference, Fate, Surprise};
use super::settle::Settled;
use super::{Error, Merge, MergeClient};
use crate::lead::LeadId;
use crate::ledger::{self, Finding, FindingId, FindingKind};
use crate::marketo::UntilStopped;

impl<M: MergeClient> Merge<'_, M> {
    /// Raises survivors to the statuses that any of their leads had. What could not be kept is added to
    /// their surprises and stays open in the ledger.
    pub(super) async fn see_to_programs(&mut self, settled: &mut [Settled<'_>]) -> Result<(), Error> {
        let mut before: Vec<(usize, LeadId, Vec<Rows>)> = Vec::new();
        for (place, one) in settled.iter().enumerate() {
            let Some(survivor) = one.finding.survivor() else { continue };
            let mut rows = Vec::new();
            for id in one.finding.gone().iter().copied().chain([survivor.id]) {
                let kept = self.ledger.backups_of(id)?.into_iter().rev();
                rows.extend(kept.filter_map(|backup| backup.programs).take(1));
            }
            before.push((place, survivor.id, rows));
        }
        let survivors: Vec<Survivor<'_>> = before
            .iter()
            .map(|(_, lead, rows)| Survivor { lead: *lead, before: rows.iter().collect() })
            .collect();
        let raised = self.raise(&survivors).await?;
        for unkept in &raised.unkept {
            let Some((place, _, _)) = before.iter().find(|(_, lead, _)| *lead == unkept.lead) else {
                continue;
            };
            let Some(one) = settled.get_mut(*place) else { continue };
            let finding = finding(one.pending.group.key.as_str(), unkept);
            self.ledger.open_findings_with(one.pending.plan, &[finding], &self.at())?;
            one.surprises.push(Surprise { difference: difference(unkept), fate: Fate::Lost });
        }
        match raised.failed {
            Some(error) if error.stops_the_run() => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn raise(&self, survivors: &[Survivor<'_>]) -> Result<Raised, Error> {
        let permit = UntilStopped::after(self.stop.clone(), self.grace());
        let raising = raise(self.marketo, &permit, &self.clock, survivors);
        Ok(self.within_grace(raising).await.unwrap_or_default())
    }

    /// Raises once more what an earlier run could not, and closes what is there by now.
    pub(super) async fn review_programs(
        &mut self,
        findings: Vec<(FindingId, String, Finding)>,
    ) -> Result<(), Error> {
        for (id, _, finding) in findings {
            let Some(row) = finding.wanted.as_object().cloned() else { continue };
            // Beside a membership without a status the wanted one is looked for.
            let program = row.get("id").cloned().unwrap_or_default();
            let (wanted, behind) = (vec![row], vec![Map::from_iter([("id".to_owned(), program)])]);
            let survivor = Survivor { lead: finding.lead, before: vec![&wanted, &behind] };
            let raised = self.raise(&[survivor]).await?;
            if raised.unkept.is_empty() && raised.failed.is_none() && !self.stop.is_cancelled() {
                self.ledger.close_finding(id, "the program shows the status", &self.at())?;
            }
        }
        Ok(())
    }
}

fn difference(unkept: &Unkept) -> Difference {
    let name = if unkept.name.is_empty() { unkept.program.to_string() } else { unkept.name.clone() };
    let success = if unkept.success { " (success)" } else { "" };
    Difference {
        lead: unkept.lead,
        name: format!("program {name}"),
        wanted: Value::from(format!("{}{success}", unkept.wanted)),
        found: unkept.held.clone().map_or(Value::Null, Value::from),
    }
}

fn finding(key: &str, unkept: &Unkept) -> ledger::Finding {
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
