//! What became of merge calls, by looking (law 4), and whether the survivors hold what they must (law 5).
//!
//! For: calls just made, and calls that a killed run left open; the same look settles both. Never: concludes that a call
//! was not done before it must be over, or sends it again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::write::Record;
use super::written::same;
use super::{Error, Merge, Watch};
use crate::dedupe::{FieldChange, OPT_OUTS, PlannedGroup, deviations};
use crate::lead::{Crm, Lead, LeadId};
use crate::ledger::{CallId, Event, State};
use crate::marketo::{MergeLeads, ReadLeads, SyncLeads, UntilStopped};

/// Between two looks at calls that may still be under way: early ones, since most end soon, then rarer.
const LOOKS: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(40), Duration::from_secs(60)];

/// A merge call to be settled.
#[derive(Debug, Clone)]
pub(super) struct Pending<'p> {
    pub(super) call: CallId,
    pub(super) plan: &'p str,
    pub(super) group: &'p PlannedGroup,
    pub(super) losers: Vec<LeadId>,
    /// What the journal says of it: accepted, refused or unknown.
    pub(super) state: State,
    /// From when on it cannot be under way any more.
    pub(super) over_at: Instant,
}

/// A settled merge call.
#[derive(Debug)]
pub(super) struct Settled<'p> {
    pub(super) pending: Pending<'p>,
    pub(super) finding: Finding,
    /// The ruled fields that the survivor does not hold, though they were written again.
    pub(super) lost: Vec<String>,
}

impl Settled<'_> {
    /// Why no more may be merged before a person has looked.
    pub(super) fn alarm(&self) -> Option<String> {
        if let Finding::Contradicted(what) = &self.finding {
            return Some(what.clone());
        }
        let opt_out = self.lost.iter().find(|field| OPT_OUTS.contains(&field.as_str()))?;
        let survivor = self.finding.survivor()?.id;
        Some(format!(
            "`{opt_out}` of lead {survivor} is not set after the merge, and setting it again did not help; set it by hand before anything is mailed"
        ))
    }
}

/// What a look showed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// All leads of the call are gone but this one.
    Merged { survivor: Lead, gone: Vec<LeadId> },
    /// The winner and some losers are still there.
    Partly { survivor: Lead, gone: Vec<LeadId> },
    /// Nothing was done.
    NotDone(String),
    /// It fits no outcome.
    Contradicted(String),
}

impl Finding {
    pub(super) fn survivor(&self) -> Option<&Lead> {
        match self {
            Self::Merged { survivor, .. } | Self::Partly { survivor, .. } => Some(survivor),
            Self::NotDone(_) | Self::Contradicted(_) => None,
        }
    }

    pub(super) fn gone(&self) -> &[LeadId] {
        match self {
            Self::Merged { gone, .. } | Self::Partly { gone, .. } => gone,
            Self::NotDone(_) | Self::Contradicted(_) => &[],
        }
    }

    fn event(&self) -> Event {
        match self {
            Self::Merged { survivor, gone } | Self::Partly { survivor, gone } => {
                Event::Verified { survivor: Some(survivor.id), merged: gone.clone() }
            }
            Self::NotDone(why) => Event::NotDone { why: why.clone() },
            Self::Contradicted(what) => Event::Contradicted { what: what.clone() },
        }
    }
}

impl<M: ReadLeads + SyncLeads + MergeLeads> Merge<'_, M> {
    /// Looks until every call is settled, and adds each to `settled` once the ledger has it. A stop leaves the rest
    /// open, in the ledger too.
    pub(super) async fn settle<'p>(
        &mut self,
        mut open: Vec<Pending<'p>>,
        settled: &mut Vec<Settled<'p>>,
        watch: &mut dyn Watch,
    ) -> Result<(), Error> {
        let mut looks = LOOKS.into_iter();
        while !open.is_empty() {
            // Before the reading, so that what is read was so after the call was over.
            let looked_at = Instant::now();
            let ids: Vec<LeadId> = open.iter().flat_map(leads).collect();
            let Some(live) = self.look(&ids).await? else { return Ok(()) };
            let (mut found, mut waiting) = (Vec::new(), Vec::new());
            for pending in open {
                match conclude(&pending, &live, looked_at >= pending.over_at) {
                    Some(finding) => found.push(Settled { pending, finding, lost: Vec::new() }),
                    None => waiting.push(pending),
                }
            }
            if !self.keep_values(&mut found).await? {
                return Ok(());
            }
            for found in found {
                self.ledger.record(found.pending.call, &found.finding.event(), &self.at())?;
                if let Some(survivor) = found.finding.survivor() {
                    watch.merged(survivor, found.finding.gone());
                }
                settled.push(found);
            }
            open = waiting;
            if open.is_empty() || !self.wait(&open, looks.next(), watch).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits for the next look; false where the run is to stop.
    async fn wait(&self, open: &[Pending<'_>], pause: Option<Duration>, watch: &mut dyn Watch) -> bool {
        watch.waiting(open.len());
        let over = open.iter().map(|pending| pending.over_at).max().unwrap_or_else(Instant::now);
        let next = pause.map(|pause| Instant::now() + self.clock.wall(pause));
        tokio::select! {
            () = tokio::time::sleep_until(next.map_or(over, |next| next.min(over))) => true,
            () = self.stop.cancelled() => false,
        }
    }

    /// What a survivor holds otherwise than planned, as far as the merge can have done it: it is empty, a value of one of
    /// the merged leads, or their numbers added up. Anything else somebody wrote since, maybe long ago where an earlier
    /// run was killed, and it stays.
    fn taken_by_merge(&self, pending: &Pending<'_>, survivor: &Lead) -> Result<Vec<FieldChange>, Error> {
        let mut changes = deviations(pending.group, survivor);
        if changes.is_empty() {
            return Ok(changes);
        }
        let backups = leads(pending).map(|id| Ok((id, self.ledger.backups_of(id)?)));
        let backups: Vec<_> = backups.collect::<Result<_, Error>>()?;
        changes.retain(|FieldChange { name, before: held, after: wanted, .. }| {
            let mut values =
                backups.iter().flat_map(|(_, kept)| kept).filter_map(|kept| kept.lead.value(name));
            let added: f64 = backups
                .iter()
                .filter(|(id, _)| pending.losers.contains(id))
                .filter_map(|(_, kept)| kept.last()?.lead.value(name)?.as_f64())
                .sum();
            let sum = wanted.as_f64().map(|wanted| Value::from(wanted + added));
            is_unset(held) || values.any(|value| same(held, value)) || sum.is_some_and(|sum| same(held, &sum))
        });
        Ok(changes)
    }

    /// Writes again what survivors do not hold as planned, and looks once more. False where the run is to stop before that
    /// is done.
    async fn keep_values(&mut self, found: &mut [Settled<'_>]) -> Result<bool, Error> {
        let mut by_plan: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
        for found in found.iter() {
            let Some(lead) = found.finding.survivor() else { continue };
            let changes = self.taken_by_merge(&found.pending, lead)?;
            if !changes.is_empty() {
                let record = Record { lead: lead.id, changes };
                by_plan.entry(found.pending.plan).or_default().push(record);
            }
        }
        if by_plan.is_empty() {
            return Ok(true);
        }
        let permit = UntilStopped::after(self.stop.clone(), self.grace());
        let written: Vec<LeadId> = by_plan.values().flatten().map(|record| record.lead).collect();
        for (plan, records) in by_plan {
            for (call, records) in Self::write_calls(records) {
                for id in self.ledger.plan_calls(plan, &[call], &self.at())? {
                    if self.write(&permit, id, &records).await?.withheld {
                        return Ok(false);
                    }
                }
            }
        }
        let Some(live) = self.look(&written).await? else { return Ok(false) };
        for found in found {
            let Some(survivor) = found.finding.survivor().and_then(|lead| live.get(&lead.id)).cloned() else {
                continue;
            };
            let lost = self.taken_by_merge(&found.pending, &survivor)?;
            found.lost = lost.into_iter().map(|change| change.name).collect();
            if let Finding::Merged { survivor: held, .. } | Finding::Partly { survivor: held, .. } =
                &mut found.finding
            {
                *held = survivor;
            }
        }
        Ok(true)
    }
}

/// Marketo shows an unset boolean as false.
fn is_unset(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false))
        || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn leads(pending: &Pending<'_>) -> impl Iterator<Item = LeadId> {
    std::iter::once(pending.group.winner).chain(pending.losers.iter().copied())
}

/// What the leads that are there say of a call; `None` while it may still be under way.
fn conclude(pending: &Pending<'_>, live: &BTreeMap<LeadId, Lead>, is_over: bool) -> Option<Finding> {
    let winner = live.get(&pending.group.winner);
    let here: Vec<&Lead> = pending.losers.iter().filter_map(|id| live.get(id)).collect();
    let gone_but = |survivor: LeadId| -> Vec<LeadId> {
        leads(pending).filter(|id| *id != survivor && !live.contains_key(id)).collect()
    };
    let finding = match (winner, here.as_slice()) {
        (Some(winner), []) => {
            return Some(Finding::Merged { survivor: winner.clone(), gone: gone_but(winner.id) });
        }
        (None, [survivor]) if outranks(pending, survivor) => {
            return Some(Finding::Merged { survivor: (*survivor).clone(), gone: gone_but(survivor.id) });
        }
        (Some(winner), here) if here.len() < pending.losers.len() => {
            Finding::Partly { survivor: winner.clone(), gone: gone_but(winner.id) }
        }
        (Some(_), _) if pending.state == State::Accepted => Finding::Contradicted(format!(
            "Marketo accepted the merge into lead {}, but all its leads are still there",
            pending.group.winner
        )),
        (Some(_), _) => Finding::NotDone("all its leads are still there".to_owned()),
        (None, []) => Finding::Contradicted(format!(
            "lead {} and all the leads that were to be merged into it are gone; look for them in Marketo's activity log, their backups are in the ledger",
            pending.group.winner
        )),
        (None, here) if pending.state == State::Refused && here.len() == pending.losers.len() => {
            Finding::NotDone(format!("lead {} is gone, and none was merged into it", pending.group.winner))
        }
        (None, _) => Finding::Contradicted(format!(
            "lead {} is gone, and no single lead stands in its place",
            pending.group.winner
        )),
    };
    is_over.then_some(finding)
}

/// Whether a loser that is there alone can have taken the winner's place: in the CRM's precedence, or since all else
/// of the call is gone. A refused call merged nothing, so then the winner was removed by somebody else.
fn outranks(pending: &Pending<'_>, survivor: &Lead) -> bool {
    match pending.state {
        State::Accepted => true,
        State::Unknown => pending.losers.len() > 1 || survivor.crm() > Crm::None,
        _ => false,
    }
}
