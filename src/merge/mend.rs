//! Writes again what merges took from their survivors, and reads it back.
//!
//! Never: takes back what somebody else wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Compared, compare, to_write};
use super::context::{Merge, MergeClient};
use super::error::Error;
use super::fresh::Fresh;
use super::report::{Difference, Fate, Surprise};
use super::settle::{Finding, Pending, Settled};
use super::write::record::Record;
use crate::lead::LeadId;
use crate::ledger::Purpose;
use crate::marketo::UntilStopped;

/// How often what a merge took is written again where the look becomes too old meanwhile.
const TRIES: usize = 10;

impl<M: MergeClient> Merge<'_, M> {
    /// Writes again what merges took from their survivors, reads it back, and says what became of
    /// each.
    pub(super) async fn mend<'p>(
        &mut self,
        to_mend: Vec<(Settled<'p>, Vec<Difference>)>,
    ) -> Result<(Vec<Settled<'p>>, Vec<Pending<'p>>), Error> {
        let pendings = |to_mend: Vec<(Settled<'p>, Vec<Difference>)>| {
            to_mend.into_iter().map(|(settled, _)| settled.pending).collect::<Vec<_>>()
        };
        let ids: Vec<LeadId> = to_mend
            .iter()
            .filter_map(|(settled, _)| Some(settled.finding.survivor()?.id))
            .collect();
        let survivors = to_mend.iter().filter_map(|(settled, _)| settled.finding.survivor());
        self.holds.keys.learn(survivors);
        let mut aside = Vec::new();
        let mut written: BTreeSet<(LeadId, String)> = BTreeSet::new();
        for _ in 0..TRIES {
            // A call of an earlier run is mended without any keys held yet.
            let Some(taken) = self.hold_leads(&ids).await? else {
                return Ok((Vec::new(), pendings(to_mend)));
            };
            aside.extend(taken);
            let Some(look) = self.look(&ids).await? else {
                return Ok((Vec::new(), pendings(to_mend)));
            };
            self.holds.keys.learn(look.leads.values());
            if !self.holds.covers(look.leads.values()) {
                continue;
            }
            let mut by_plan: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
            for (settled, taken) in &to_mend {
                let Some(survivor) =
                    settled.finding.survivor().and_then(|lead| look.leads.get(&lead.id))
                else {
                    continue;
                };
                let still: Vec<Difference> = compare(&settled.pending, survivor, &self.facts).taken;
                let writeable = still.into_iter().filter(|one| {
                    self.facts.is_writeable(&one.name)
                        && taken.iter().any(|then| then.name == one.name)
                });
                let changes = to_write(&writeable.collect::<Vec<_>>());
                if !changes.is_empty() {
                    written.extend(changes.iter().map(|change| (survivor.id, change.name.clone())));
                    let record = Record { lead: survivor.id, changes };
                    by_plan.entry(settled.pending.plan).or_default().push(record);
                }
            }
            let mut withheld = false;
            let stop = UntilStopped::after(self.stop.clone(), self.grace());
            let gate = Fresh::new(look.at, self.clock, stop);
            for (plan, records) in by_plan {
                withheld |= self.write(&gate, plan, Purpose::Mend, records).await?.withheld;
            }
            if !withheld {
                break;
            }
            if self.stop.is_cancelled() {
                return Ok((Vec::new(), pendings(to_mend)));
            }
        }
        let Some(look) = self.look(&ids).await? else { return Ok((Vec::new(), pendings(to_mend))) };
        self.holds.release(aside).await;
        let mut settled = Vec::new();
        for (mut one, taken) in to_mend {
            let Some(survivor) =
                one.finding.survivor().and_then(|lead| look.leads.get(&lead.id)).cloned()
            else {
                settled.push(one);
                continue;
            };
            let Compared { taken: still, changed } = compare(&one.pending, &survivor, &self.facts);
            for difference in taken {
                let is_written = written.contains(&(survivor.id, difference.name.clone()));
                let is_it = |other: &&Difference| other.name == difference.name;
                let (found, fate) = match (still.iter().find(is_it), changed.iter().find(is_it)) {
                    (Some(lost), _) => (lost.clone(), Fate::Lost),
                    // What is there in place of the value after it was written again, a campaign's
                    // answer for one, is a loss; what somebody typed before stays.
                    (None, Some(other)) => {
                        (other.clone(), if is_written { Fate::Lost } else { Fate::Changed })
                    }
                    (None, None) => (difference, Fate::Mended),
                };
                one.surprises.push(surprise(found, fate));
            }
            if let Finding::Merged { survivor: held, .. } | Finding::Partly { survivor: held, .. } =
                &mut one.finding
            {
                *held = survivor;
            }
            settled.push(one);
        }
        Ok((settled, Vec::new()))
    }
}

fn surprise(difference: Difference, fate: Fate) -> Surprise {
    Surprise { difference, fate }
}
