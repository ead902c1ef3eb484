//! Makes a plan: from the groups that the cache knows, by reading every member live with every
//! readable field.
//!
//! Never: plans from cached values; they only say which leads to read.

use std::collections::BTreeMap;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::leads::members;
use super::memberships::hidden;
use super::own_writes::OwnWrites;
use super::sums::Sums;
use crate::cancel::unless_stopped;
use crate::dedupe::{Key, Known, LeftOut, Plan, PlannedGroup, Policy, plan_candidate};
use crate::lead::{Lead, LeadId};
use crate::marketo::BATCH;

/// A group as the cache knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What its leads have in common.
    pub key: Key,
    /// The leads.
    pub leads: Vec<LeadId>,
    /// What else is known of it.
    pub known: Known,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Plans the candidates in their order until `limit` groups can be merged, and keeps the plan
    /// in the ledger. A plan of nothing is not kept: there would be nothing to carry out.
    pub async fn plan(
        &mut self,
        candidates: &[Candidate],
        policy: Policy,
        instance: String,
        limit: usize,
    ) -> Result<Plan, Error> {
        let (mut groups, mut left_out) = (Vec::new(), Vec::new());
        let mut written = OwnWrites::by_earlier_runs(self.ledger)?;
        let mut rest = candidates;
        while !rest.is_empty() && groups.len() < limit && !self.stop.is_cancelled() {
            // No more are read than can still be planned, so that `--limit 1` is one look at two
            // leads.
            let (now, later) = rest.split_at(take(rest, limit - groups.len()));
            rest = later;
            let Some(live) = unless_stopped(&self.stop, self.read_candidates(now)).await? else {
                break;
            };
            self.holds.keys.learn(live.values());
            let mut planned = Vec::new();
            for candidate in now {
                match self.plan_one(candidate, &live, &policy, &written) {
                    Ok(group) => planned.push(group),
                    Err(reason) => left_out.push(reason),
                }
            }
            let all: Vec<&PlannedGroup> = planned.iter().collect();
            let sums = self.see_sums(&all, Some(&live), &policy, &mut written).await?;
            let mut again = Vec::new();
            for group in planned {
                match self.without_held_sums(group, &sums, now, &live, &policy, &written) {
                    Ok(group) => again.push(group),
                    Err(reason) => left_out.push(reason),
                }
            }
            let planned = again;
            let stop = self.stop.clone();
            let Some(rows) = unless_stopped(&stop, self.rows_in_the_way(&planned, &live)).await?
            else {
                break;
            };
            for group in planned {
                match rows.get(&group.winner) {
                    Some(reason) => left_out.push(left_alone(group, reason)),
                    None => groups.push(group),
                }
            }
        }
        if !self.carries_out {
            self.leave_what_cannot_be_kept(&mut groups, &mut left_out).await?;
        }
        let plan = Plan::new(instance, (self.now)(), policy, groups, left_out);
        if plan.groups.is_empty() {
            return Ok(plan);
        }
        let body = serde_json::to_string(&plan).map_err(|error| Error::UnusablePlan {
            id: plan.id.clone(),
            what: error.to_string(),
        })?;
        self.ledger.save_plan(&plan.id, &plan.made_at.to_rfc3339(), &body)?;
        Ok(plan)
    }

    /// Nothing is merged whose lists and programs cannot be read: all of it is left alone, with the
    /// reason.
    async fn leave_what_cannot_be_kept(
        &self,
        groups: &mut Vec<PlannedGroup>,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<(), Error> {
        let Some(winner) = groups.first().map(|group| group.winner) else { return Ok(()) };
        let Some(hidden) = unless_stopped(&self.stop, hidden(self.marketo, winner)).await? else {
            return Ok(());
        };
        if let Some(reason) = hidden {
            left_out.extend(groups.drain(..).map(|group| left_alone(group, &reason)));
        }
        Ok(())
    }

    /// The group as it is to be planned where its winner holds a sum already; or why it is left
    /// alone.
    fn without_held_sums(
        &self,
        group: PlannedGroup,
        sums: &Sums,
        candidates: &[Candidate],
        live: &BTreeMap<LeadId, Lead>,
        policy: &Policy,
        written: &OwnWrites,
    ) -> Result<PlannedGroup, LeftOut> {
        if let Some(why) = sums.unknown.get(&group.winner) {
            return Err(left_alone(group, why));
        }
        let candidate = candidates.iter().find(|candidate| candidate.key == group.key);
        match candidate.filter(|_| sums.held.contains(&group.winner)) {
            Some(candidate) => self.plan_one(candidate, live, policy, written),
            None => Ok(group),
        }
    }

    /// For each of these groups that custom objects keep out, by its winner, the reason.
    async fn rows_in_the_way(
        &mut self,
        groups: &[PlannedGroup],
        live: &BTreeMap<LeadId, Lead>,
    ) -> Result<BTreeMap<LeadId, String>, Error> {
        let groups: Vec<&PlannedGroup> = groups.iter().collect();
        Ok(self.custom_objects.in_the_way(self.marketo, &groups, live).await?)
    }

    fn plan_one(
        &self,
        candidate: &Candidate,
        live: &BTreeMap<LeadId, Lead>,
        policy: &Policy,
        written: &OwnWrites,
    ) -> Result<PlannedGroup, LeftOut> {
        if let Some(reason) = self.facts.why_unsafe(policy) {
            let mut leads = candidate.leads.clone();
            leads.sort_unstable();
            return Err(LeftOut { key: candidate.key.clone(), leads, reason });
        }
        let members = candidate.leads.iter().filter_map(|id| live.get(id)).cloned().collect();
        let members = written.as_before(members, &self.facts);
        plan_candidate(&candidate.key, &members, candidate.known, policy, &self.facts)
    }

    async fn read_candidates(
        &self,
        candidates: &[Candidate],
    ) -> Result<BTreeMap<LeadId, Lead>, Error> {
        let ids: Vec<LeadId> =
            candidates.iter().flat_map(|candidate| &candidate.leads).copied().collect();
        Ok(self.read_twice_if_missing(&ids).await?.leads)
    }

    /// A plan of the ledger, as it was when somebody looked at it, or an error.
    pub fn plan_of(
        ledger: &crate::ledger::Ledger,
        id: &str,
        instance: &str,
    ) -> Result<Plan, Error> {
        let unusable = |what: String| Error::UnusablePlan { id: id.to_owned(), what };
        let body = ledger.plan(id)?.ok_or_else(|| Error::NoSuchPlan { id: id.to_owned() })?;
        let plan: Plan =
            serde_json::from_str(&body).map_err(|error| unusable(error.to_string()))?;
        if !plan.is_intact() {
            return Err(unusable(
                "another version of this program made it, or its content was changed since"
                    .to_owned(),
            ));
        }
        if plan.instance != instance {
            return Err(unusable(format!("it is for {}, not for {instance}", plan.instance)));
        }
        Ok(plan)
    }
}

fn left_alone(group: PlannedGroup, reason: &str) -> LeftOut {
    let mut leads: Vec<LeadId> = members(&group).collect();
    leads.sort_unstable();
    LeftOut { key: group.key, leads, reason: reason.to_owned() }
}

/// How many candidates to read at once: what fits a call, and at least one.
fn take(candidates: &[Candidate], wanted: usize) -> usize {
    let mut leads = 0;
    let fitting = candidates.iter().take(wanted).take_while(|candidate| {
        leads += candidate.leads.len();
        leads <= BATCH
    });
    fitting.count().max(1)
}
