//! Makes a plan: from the groups that the cache knows, by reading every member live with every
//! readable field.
//!
//! Never: plans from cached values; they only say which leads to read.

use std::collections::{BTreeMap, BTreeSet};

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::kept_plan::row_of;
use super::lasting::LastingWords;
use super::leads::members;
use super::memberships::hidden;
use super::own_writes::OwnWrites;
use super::planning::{Candidate, Planned, Planning};
use super::skip_lists::SkipLists;
use super::sums::Sums;
use crate::cancel::unless_stopped;
use crate::dedupe::{
    Choice, Decisions, LeftOut, Objection, Plan, PlanHeader, PlannedGroup, Policy, Reason, Risk,
    plan_candidate, plan_decided,
};
use crate::lead::{Lead, LeadId};
use crate::marketo::BATCH;

/// Why nothing of a plan may be merged at all.
enum Hidden {
    NotLookedAt,
    LookedAt(Option<String>),
}

/// A plan that is being made.
struct Draft {
    lists: SkipLists,
    words: LastingWords,
    written: OwnWrites,
    /// The leads of the groups so far: no lead is merged twice.
    taken: BTreeSet<LeadId>,
    /// How many groups it has.
    count: usize,
    /// How many of them count towards the limit: those that merge as they stand, where it is not
    /// for people to decide about, and none that somebody holds since an earlier plan: whoever asks
    /// for the first groups asks for those that there is something to decide about.
    counted: usize,
    passed_over: usize,
    /// Why nothing of it may be merged at all, once that was looked at.
    hidden: Hidden,
    groups: Vec<PlannedGroup>,
    left_out: Vec<LeftOut>,
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
        let risks = Risk::ALL.to_vec();
        Ok(self.plan_of_risks(candidates, policy, instance, limit, risks).await?.0)
    }

    /// The same of the groups of these risks alone, and how many were passed over for theirs.
    pub async fn plan_of_risks(
        &mut self,
        candidates: &[Candidate],
        policy: Policy,
        instance: String,
        limit: usize,
        risks: Vec<Risk>,
    ) -> Result<(Plan, usize), Error> {
        let policy = self.with_names_found(policy).await?;
        let planning = Planning {
            policy,
            instance,
            limit,
            for_review: false,
            risks,
            name: None,
            decided: false,
        };
        self.plan_to_carry_out(candidates, planning).await
    }

    /// The same of merges that people decided about before, and that are made again elsewhere: what
    /// takes a person's decision is decided.
    pub async fn plan_again_as_decided(
        &mut self,
        candidates: &[Candidate],
        policy: Policy,
        instance: String,
    ) -> Result<Plan, Error> {
        let planning = Planning {
            policy: self.with_names_found(policy).await?,
            instance,
            limit: usize::MAX,
            for_review: false,
            risks: Risk::ALL.to_vec(),
            name: None,
            decided: true,
        };
        Ok(self.plan_to_carry_out(candidates, planning).await?.0)
    }

    async fn plan_to_carry_out(
        &mut self,
        candidates: &[Candidate],
        planning: Planning,
    ) -> Result<(Plan, usize), Error> {
        let planned = self.make_plan(candidates, &planning).await?;
        let Planning { policy, instance, .. } = planning;
        let Planned { id, made_at, groups, left_out, passed_over, .. } = planned;
        let plan = Plan::new(instance, made_at, policy, groups, left_out);
        Ok((Plan { id: id.unwrap_or_default(), ..plan }, passed_over))
    }

    /// Plans the candidates in their order, and keeps the plan in the ledger. One that is cut short
    /// is not kept: it would be a part of what was asked for that looks like all of it.
    pub async fn make_plan(
        &mut self,
        candidates: &[Candidate],
        planning: &Planning,
    ) -> Result<Planned, Error> {
        let policy = self.with_names_found(planning.policy.clone()).await?;
        let planning = &Planning { policy, ..planning.clone() };
        let asked = candidates.iter().take(planning.limit).map(|one| one.leads.len()).sum();
        self.ledger.begin_draft()?;
        let mut draft = Draft {
            lists: SkipLists::new(&planning.policy.skip_rules, asked),
            words: LastingWords::of(self.ledger)?,
            written: OwnWrites::by_earlier_runs(self.ledger)?,
            taken: BTreeSet::new(),
            count: 0,
            counted: 0,
            passed_over: 0,
            hidden: Hidden::NotLookedAt,
            groups: Vec::new(),
            left_out: Vec::new(),
        };
        let mut rest = candidates;
        let mut cut_short = false;
        while !rest.is_empty() && draft.counted < planning.limit && !cut_short {
            // No more are read than can still be planned, so that `--limit 1` is one look at two
            // leads.
            let (now, later) = rest.split_at(take(rest, planning.limit - draft.counted));
            rest = later;
            cut_short = self.stop.is_cancelled()
                || self.plan_batch(now, planning, &mut draft).await?.is_none();
        }
        let made_at = (self.now)();
        let mut id = None;
        if cut_short {
            self.ledger.begin_draft()?;
            (draft.groups, draft.left_out) = (Vec::new(), Vec::new());
        } else if draft.count > 0 {
            let header = PlanHeader {
                form: PlanHeader::FORM,
                instance: planning.instance.clone(),
                made_at,
                by: self.by.clone(),
                policy: planning.policy.clone(),
                facts: self.facts.clone(),
            };
            let header = serde_json::to_string(&header).map_err(|error| not_written(&error))?;
            let (name, at) = (planning.name.as_deref(), made_at.to_rfc3339());
            id = Some(self.ledger.keep_draft(&header, name, &at)?.plan);
        }
        let Draft { passed_over, groups, left_out, .. } = draft;
        Ok(Planned { id, made_at, passed_over, cut_short, groups, left_out })
    }

    /// Plans some candidates; none where the run is to stop.
    async fn plan_batch(
        &mut self,
        now: &[Candidate],
        planning: &Planning,
        draft: &mut Draft,
    ) -> Result<Option<()>, Error> {
        let stop = self.stop.clone();
        let Some(live) = unless_stopped(&stop, self.read_candidates(now)).await? else {
            return Ok(None);
        };
        self.holds.keys.learn(live.values());
        let ids: Vec<LeadId> = live.keys().copied().collect();
        let reading = draft.lists.why(self.marketo, &ids);
        let Some(on_lists) = unless_stopped(&stop, reading).await? else { return Ok(None) };
        let mut planned = Vec::new();
        for candidate in now {
            if let Some(why) = candidate.leads.iter().find_map(|lead| on_lists.get(lead)) {
                self.leave(candidate.left_alone(why), planning, draft)?;
                continue;
            }
            match self.plan_one(candidate, &live, planning, draft) {
                Ok(group) => planned.push(group),
                Err(reason) => self.leave(reason, planning, draft)?,
            }
        }
        let all: Vec<&PlannedGroup> = planned.iter().collect();
        let sums = self.see_sums(&all, Some(&live), &planning.policy, &mut draft.written).await?;
        let mut again = Vec::new();
        for group in planned {
            match self.without_held_sums(group, &sums, now, &live, planning, draft) {
                Ok(group) => again.push(group),
                Err(reason) => self.leave(reason, planning, draft)?,
            }
        }
        let all: Vec<&PlannedGroup> = again.iter().collect();
        let finding = Box::pin(self.rows_on(&all, &live, &planning.policy));
        let Some(mut rows) = unless_stopped(&stop, finding).await? else { return Ok(None) };
        for mut group in again {
            if let Some(found) = rows.remove(&group.winner) {
                group.take_rows(found.rows);
            }
            if !planning.risks.contains(&group.risk) {
                draft.passed_over += 1;
                continue;
            }
            if draft.counted == planning.limit {
                break;
            }
            match self.refused(&group, planning, draft).await? {
                Some(reason) => self.leave(left_alone(group, &reason), planning, draft)?,
                None => self.take_into(group, &live, planning, draft)?,
            }
        }
        Ok(Some(()))
    }

    /// Why a planned group is no part of the plan all the same.
    async fn refused(
        &mut self,
        group: &PlannedGroup,
        planning: &Planning,
        draft: &mut Draft,
    ) -> Result<Option<String>, Error> {
        // What a flag lets in is in the plan, for a person to decide about.
        if !planning.for_review && !group.merges() && group.let_in.is_none() {
            let custom_objects = |objection: &&Objection| objection.reason == Reason::CustomObjects;
            let objects = group.objections.iter().find(custom_objects);
            let why = objects.map(|objection| objection.words.clone());
            return Ok(Some(why.unwrap_or_else(|| {
                let why = group.warnings.first().cloned().unwrap_or_default();
                format!("{why}; `mkto-audit plan create` makes a plan in which a person decides")
            })));
        }
        if group.leads().any(|id| draft.taken.contains(&id)) {
            return Ok(Some("one of its leads is in another group of this plan".to_owned()));
        }
        if matches!(draft.hidden, Hidden::NotLookedAt) && !self.carries_out {
            draft.hidden = Hidden::LookedAt(self.why_hidden(group.winner).await?);
        }
        Ok(match &draft.hidden {
            Hidden::NotLookedAt => None,
            Hidden::LookedAt(why) => why.clone(),
        })
    }

    fn take_into(
        &mut self,
        group: PlannedGroup,
        live: &BTreeMap<LeadId, Lead>,
        planning: &Planning,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let members = group.leads().filter_map(|id| live.get(&id)).cloned().collect();
        let members = draft.written.as_before(members, &self.facts);
        let (row, body) = row_of(&group, &members, &planning.policy, &self.facts)
            .map_err(|error| not_written(&error))?;
        self.ledger.draft_group(&row, &body)?;
        draft.taken.extend(group.leads());
        let is_held = draft.words.said(&group.key, &members.iter().collect::<Vec<_>>()).is_held();
        draft.count += 1;
        draft.counted += usize::from(!is_held && (planning.for_review || group.merges()));
        if planning.for_review {
            return Ok(());
        }
        if group.merges() {
            draft.groups.push(group);
        } else {
            let why = group.warnings.first().cloned().unwrap_or_default();
            let how = "to merge it, decide in this plan: `mkto-audit plan decide PLAN --email ADDRESS --merge --by NAME`";
            draft.left_out.push(left_alone(group, &format!("{why}; {how}")));
        }
        Ok(())
    }

    fn leave(
        &mut self,
        left: LeftOut,
        planning: &Planning,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let ids = serde_json::to_string(&left.leads).map_err(|error| not_written(&error))?;
        self.ledger.draft_left(left.key.as_str(), &ids, &left.reason)?;
        if !planning.for_review || draft.count == 0 {
            draft.left_out.push(left);
        }
        Ok(())
    }

    /// Nothing is merged whose lists and programs cannot be read. Why that is so.
    async fn why_hidden(&self, winner: LeadId) -> Result<Option<String>, Error> {
        let hidden = unless_stopped(&self.stop, hidden(self.marketo, winner)).await?;
        Ok(hidden.flatten())
    }

    /// The group as it is to be planned where its winner holds a sum already; or why it is left
    /// alone.
    fn without_held_sums(
        &self,
        group: PlannedGroup,
        sums: &Sums,
        candidates: &[Candidate],
        live: &BTreeMap<LeadId, Lead>,
        planning: &Planning,
        draft: &Draft,
    ) -> Result<PlannedGroup, LeftOut> {
        if let Some(why) = sums.unknown.get(&group.winner) {
            return Err(left_alone(group, why));
        }
        let candidate = candidates.iter().find(|candidate| candidate.key == group.key);
        match candidate.filter(|_| sums.held.contains(&group.winner)) {
            Some(candidate) => self.plan_one(candidate, live, planning, draft),
            None => Ok(group),
        }
    }

    fn plan_one(
        &self,
        candidate: &Candidate,
        live: &BTreeMap<LeadId, Lead>,
        planning: &Planning,
        draft: &Draft,
    ) -> Result<PlannedGroup, LeftOut> {
        let (key, known, policy) = (&candidate.key, candidate.known, &planning.policy);
        if let Some(reason) = self.facts.why_unsafe(policy) {
            return Err(candidate.left_alone(&reason));
        }
        let members: Vec<Lead> =
            candidate.leads.iter().filter_map(|id| live.get(id)).cloned().collect();
        let members = draft.written.as_before(members, &self.facts);
        let has_key = |lead: &&Lead| policy.key.key_of(lead).as_ref() == Some(key);
        let with_key: Vec<&Lead> = members.iter().filter(has_key).collect();
        let said = draft.words.said(key, &with_key);
        let has_red = planning.risks.contains(&Risk::Red);
        if let Some(reason) = said.why_left(planning.for_review, has_red) {
            return Err(candidate.left_alone(&reason));
        }
        let mut group = if planning.for_review {
            let nothing = Decisions::default();
            plan_decided(key, &members, known, policy, &self.facts, &nothing)?
        } else {
            plan_candidate(key, &members, known, policy, &self.facts)?
        };
        if !said.look_again.is_empty() {
            group.object(Objection::said_before(&said.look_again.join("; ")));
        }
        if !planning.decided || group.merges() || !said.look_again.is_empty() {
            return Ok(group);
        }
        let merge = Decisions { choice: Some(Choice::Merge), ..Decisions::default() };
        plan_decided(key, &members, known, policy, &self.facts, &merge)
    }

    async fn read_candidates(
        &self,
        candidates: &[Candidate],
    ) -> Result<BTreeMap<LeadId, Lead>, Error> {
        let ids: Vec<LeadId> =
            candidates.iter().flat_map(|candidate| &candidate.leads).copied().collect();
        Ok(self.read_twice_if_missing(&ids).await?.leads)
    }
}

fn not_written(error: &serde_json::Error) -> Error {
    Error::UnusablePlan { id: "that was made".to_owned(), what: error.to_string() }
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
