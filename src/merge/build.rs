//! Makes a plan: from the groups that the cache knows, by reading every member live with every readable field.
//!
//! Never: plans from cached values; they only say which leads to read.

use std::collections::BTreeMap;

use super::written::Written;
use super::{Error, Merge};
use crate::dedupe::{Key, LeftOut, Plan, PlannedGroup, Policy, plan_group};
use crate::lead::{Lead, LeadId};
use crate::marketo::{BATCH, MergeLeads, ReadLeads, SyncLeads};
use crate::stop::unless_stopped;

/// A group as the cache knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What its leads have in common.
    pub key: Key,
    /// The leads.
    pub leads: Vec<LeadId>,
}

impl<M: ReadLeads + SyncLeads + MergeLeads> Merge<'_, M> {
    /// Plans the candidates in their order until `limit` groups can be merged, and keeps the plan in the ledger.
    pub async fn plan(
        &mut self,
        candidates: &[Candidate],
        policy: Policy,
        instance: String,
        limit: usize,
    ) -> Result<Plan, Error> {
        let (mut groups, mut left_out) = (Vec::new(), Vec::new());
        let written = Written::by_earlier_runs(self.ledger)?;
        let mut rest = candidates;
        while !rest.is_empty() && groups.len() < limit && !self.stop.is_cancelled() {
            // No more are read than can still be planned, so that `--limit 1` is one look at two leads.
            let (now, later) = rest.split_at(take(rest, limit - groups.len()));
            rest = later;
            let Some(live) = unless_stopped(&self.stop, self.read_candidates(now)).await? else { break };
            for candidate in now {
                match self.plan_one(candidate, &live, &policy, &written) {
                    Ok(group) => groups.push(group),
                    Err(reason) => left_out.push(reason),
                }
            }
        }
        let plan = Plan::new(instance, (self.now)(), policy, groups, left_out);
        let body = serde_json::to_string(&plan)
            .map_err(|error| Error::UnusablePlan { id: plan.id.clone(), what: error.to_string() })?;
        self.ledger.save_plan(&plan.id, &plan.made_at.to_rfc3339(), &body)?;
        Ok(plan)
    }

    fn plan_one(
        &self,
        candidate: &Candidate,
        live: &BTreeMap<LeadId, Lead>,
        policy: &Policy,
        written: &Written,
    ) -> Result<PlannedGroup, LeftOut> {
        let members = candidate.leads.iter().filter_map(|id| live.get(id)).cloned().collect();
        plan_group(&candidate.key, &written.as_before(members, &policy.key), policy, &self.facts)
    }

    async fn read_candidates(&self, candidates: &[Candidate]) -> Result<BTreeMap<LeadId, Lead>, Error> {
        let ids: Vec<LeadId> = candidates.iter().flat_map(|candidate| &candidate.leads).copied().collect();
        self.read(&ids).await
    }

    /// The leads of calls that were sent, to see what became of them; none where the run is to stop and has no time left.
    pub(super) async fn look(&self, ids: &[LeadId]) -> Result<Option<BTreeMap<LeadId, Lead>>, Error> {
        let out_of_time = async {
            self.stop.cancelled().await;
            tokio::time::sleep(self.grace()).await;
        };
        tokio::select! {
            biased;
            live = self.read(ids) => live.map(Some),
            () = out_of_time => Ok(None),
        }
    }

    /// The leads that still have these ids, with every readable field.
    pub(super) async fn read(&self, ids: &[LeadId]) -> Result<BTreeMap<LeadId, Lead>, Error> {
        let mut live = BTreeMap::new();
        for ids in ids.chunks(BATCH) {
            let leads = self.marketo.leads_by_id(ids, &self.fields).await?;
            live.extend(leads.into_iter().map(|lead| (lead.id, lead)));
        }
        Ok(live)
    }

    /// A plan of the ledger, as it was when somebody looked at it, or an error.
    pub fn plan_of(ledger: &crate::ledger::Ledger, id: &str, instance: &str) -> Result<Plan, Error> {
        let unusable = |what: String| Error::UnusablePlan { id: id.to_owned(), what };
        let body = ledger.plan(id)?.ok_or_else(|| Error::NoSuchPlan { id: id.to_owned() })?;
        let plan: Plan = serde_json::from_str(&body).map_err(|error| unusable(error.to_string()))?;
        if !plan.is_intact() {
            return Err(unusable("its content does not match its id".to_owned()));
        }
        if plan.instance != instance {
            return Err(unusable(format!("it is for {}, not for {instance}", plan.instance)));
        }
        Ok(plan)
    }
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
