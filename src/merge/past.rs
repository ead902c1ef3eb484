//! What became of a kept plan, told from the ledger alone. Pure but for the ledger.
//!
//! Never: asks Marketo. What a killed run sent and nobody has looked at since is said to be
//! unknown.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::consent::Confirmed;
use super::context::{Merge, MergeClient};
use super::error::Error;
use super::report::{GroupReport, Outcome, Report};
use super::run::Run;
use super::tally::Tally;
use crate::dedupe::{Plan, PlannedGroup};
use crate::lead::LeadId;
use crate::ledger::{GroupEnd, Ledger, LeftAlone, NewRun, PastMerge, PlanRuns, RunId, RunKind};

/// How far a kept plan was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanState {
    /// No run of it was begun.
    New,
    /// A run was begun and did not come to every group; the last thing of it was written down then.
    Begun(DateTime<Utc>),
    /// A run came to every group, and ended then.
    CarriedOut(DateTime<Utc>),
}

impl PlanState {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Begun(_) => "begun",
            Self::CarriedOut(_) => "carried_out",
        }
    }

    /// When something was last done of it.
    pub fn at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::New => None,
            Self::Begun(at) | Self::CarriedOut(at) => Some(at),
        }
    }
}

/// What became of a plan as a whole.
#[derive(Debug, Clone)]
pub struct PlanPast {
    /// How far it was carried out.
    pub state: PlanState,
    /// Its groups, those that it leaves alone too.
    pub tally: Tally,
}

impl PlanPast {
    /// How many groups ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.tally.count(outcome)
    }

    /// Whether every group of the plan is merged, so that another run would do nothing.
    pub fn is_all_merged(&self) -> bool {
        self.count(Outcome::Merged) == self.tally.planned
    }
}

/// What the runs of a plan came to, to be told of one group after the other.
#[derive(Debug)]
pub struct PastRuns {
    runs: PlanRuns,
    /// The places of the merges by the key of their group.
    by_key: BTreeMap<String, Vec<usize>>,
}

impl PastRuns {
    /// What the ledger knows of the plan with this id.
    pub fn of(ledger: &Ledger, plan: &str) -> Result<Self, Error> {
        Ok(Self::new(ledger.runs_of(plan)?))
    }

    fn new(runs: PlanRuns) -> Self {
        let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, merge) in runs.merges.iter().enumerate() {
            by_key.entry(merge.key.clone()).or_default().push(place);
        }
        Self { runs, by_key }
    }

    /// What became of a group of the plan.
    pub fn report(&self, group: &PlannedGroup) -> GroupReport {
        let places = self.by_key.get(group.key.as_str()).into_iter().flatten();
        let merges: Vec<&PastMerge> =
            places.filter_map(|place| self.runs.merges.get(*place)).collect();
        ended(group, &merges, &self.runs)
    }

    /// What became of the plan, once all its groups are counted.
    pub fn past(&self, tally: Tally) -> PlanPast {
        let all_merged = tally.count(Outcome::Merged) == tally.planned;
        let none_left = tally.count(Outcome::WouldMerge) == 0;
        let state = match self.runs.last_at {
            None => PlanState::New,
            // A run takes up no more groups than it is allowed to.
            Some(at) if (self.runs.complete && none_left) || all_merged => {
                PlanState::CarriedOut(at)
            }
            Some(at) => PlanState::Begun(at),
        };
        PlanPast { state, tally }
    }
}

fn ended(group: &PlannedGroup, merges: &[&PastMerge], runs: &PlanRuns) -> GroupReport {
    let gone: BTreeSet<LeadId> = merges.iter().flat_map(|merge| &merge.merged).copied().collect();
    let end = runs.ends.get(&group.winner);
    let outcome = end.and_then(|end| Outcome::parse(&end.outcome));
    let reason = end.and_then(|end| end.reason.clone());
    // The CRM's precedence can let a loser survive in the place of the plan's record to keep.
    let survivor = merges.last().map_or(group.winner, |merge| merge.survivor);
    let leads = || std::iter::once(group.winner).chain(group.losers.iter().copied());
    let losers: Vec<LeadId> = leads().filter(|id| *id != survivor).collect();
    let (outcome, reason) = match outcome {
        _ if losers.iter().all(|loser| gone.contains(loser)) => (Outcome::Merged, reason),
        _ if runs.open.contains(group.key.as_str()) => {
            let why = "a merge was sent, and the run ended before it was clear what came of it; the next run looks first";
            (Outcome::Unknown, Some(why.to_owned()))
        }
        // Merged may it be by another plan.
        Some(outcome) => (outcome, reason),
        None if gone.is_empty() => return GroupReport::planned(group),
        None => {
            let why = format!(
                "{} of {} records are merged, and the run ended before the rest",
                gone.len(),
                losers.len()
            );
            (Outcome::Failed, Some(why))
        }
    };
    GroupReport {
        winner: Some(survivor),
        losers: if survivor == group.winner { group.losers.clone() } else { losers },
        merged: gone.into_iter().collect(),
        ..GroupReport::ended(group, outcome, reason)
    }
}

impl<M: MergeClient> Merge<'_, M> {
    /// Writes down that a run of a plan begins; none where there is nothing to carry out.
    pub(super) fn begin_run(&mut self, confirmed: &Confirmed) -> Result<Option<RunId>, Error> {
        let plan = confirmed.plan();
        if plan.groups.is_empty() {
            return Ok(None);
        }
        // Without decisions it is the plan's own.
        let of_plan = self.ledger.plan_head(&plan.id)?.map(|head| head.digest);
        let digest = confirmed.digest().map(str::to_owned).or(of_plan);
        let by = self.by.clone();
        let run = NewRun {
            kind: RunKind::Merge,
            plan: Some(&plan.id),
            digest: digest.as_deref(),
            by: by.as_deref(),
        };
        let left_out = plan.left_out.iter().map(GroupReport::left_out);
        let left_alone: Vec<LeftAlone> =
            left_out.filter_map(|report| report.left_alone(None)).collect();
        Ok(Some(self.ledger.begin_run_without(&run, &left_alone, &self.at())?))
    }

    /// Keeps the groups that a run left alone since the last time, so that a kill does not lose
    /// them.
    pub(super) fn keep_left_alone(&mut self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        let untold = run.take_untold();
        let Some(id) = run.id else { return Ok(()) };
        Ok(self.ledger.keep_left_alone(id, &untold, &self.at())?)
    }

    /// Adds to the groups that were not merged what was written to their records to keep, by the
    /// journal.
    pub(super) fn tell_written(&self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        let Some(id) = run.id else { return Ok(()) };
        for written in self.ledger.written_not_merged(id)? {
            let ending = run.endings.get_mut(&written.lead);
            if let Some(report) = ending.filter(|report| report.merged.is_empty()) {
                report.written = Some(written);
            }
        }
        Ok(())
    }

    /// Keeps how a run ended, so that the plan can say so later.
    pub(super) fn keep_run_end(&mut self, plan: &Plan, report: &Report) -> Result<(), Error> {
        let of_plan = |group: &PlannedGroup| {
            let is_it = |report: &&GroupReport| {
                report.key == group.key.as_str()
                    && report
                        .winner
                        .is_some_and(|id| id == group.winner || group.losers.contains(&id))
            };
            let report = report.groups.iter().find(is_it)?;
            let outcome = report.outcome.as_str().to_owned();
            Some(GroupEnd { winner: group.winner, outcome, reason: report.reason.clone() })
        };
        let ends: Vec<GroupEnd> = plan.groups.iter().filter_map(of_plan).collect();
        let complete = report.stopped.is_none() && ends.len() == plan.groups.len();
        Ok(self.ledger.keep_run_end(&plan.id, complete, &ends, &self.at())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::{FieldFacts, Key, Policy, plan_group};
    use crate::lead::Lead;

    fn plan() -> Plan {
        let group = |email: &str, ids: [LeadId; 3]| {
            let leads = ids.map(|id| Lead::new(id).with("email", email));
            let facts = FieldFacts::of_writeable(["email"]);
            plan_group(&Key::of(email).unwrap(), &leads, &Policy::default(), &facts).unwrap()
        };
        let groups = vec![group("ada@example.com", [1, 2, 3]), group("bob@example.com", [4, 5, 6])];
        Plan::new(
            "x".into(),
            "2026-11-29T01:00:00Z".parse().unwrap(),
            Policy::default(),
            groups,
            vec![],
        )
    }

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-29T{time}Z").parse().unwrap()
    }

    fn merged(key: &str, survivor: LeadId, gone: &[LeadId]) -> PastMerge {
        let at = at("01:11:00");
        PastMerge { plan: "p".into(), key: key.into(), survivor, merged: gone.to_vec(), at }
    }

    fn told(runs: &PlanRuns) -> (PlanState, Vec<GroupReport>) {
        let runs = PastRuns::new(runs.clone());
        let groups: Vec<GroupReport> =
            plan().groups.iter().map(|group| runs.report(group)).collect();
        (runs.past(Tally::of(&groups)).state, groups)
    }

    fn outcomes(runs: &PlanRuns) -> (PlanState, Vec<Outcome>) {
        let (state, groups) = told(runs);
        (state, groups.iter().map(|group| group.outcome).collect())
    }

    #[test]
    fn a_plan_says_how_far_it_was_carried_out() {
        use Outcome::{Failed, Merged, Skipped, Unknown, WouldMerge};
        let end = |winner, outcome: &str| {
            (winner, GroupEnd { winner, outcome: outcome.into(), reason: Some("why".into()) })
        };
        let ada = merged("ada@example.com", 1, &[2, 3]);
        assert_eq!(outcomes(&PlanRuns::default()), (PlanState::New, vec![WouldMerge, WouldMerge]));

        let killed = PlanRuns {
            last_at: Some(at("01:12:00")),
            merges: vec![ada.clone()],
            ..PlanRuns::default()
        };
        let begun = PlanState::Begun(at("01:12:00"));
        assert_eq!(outcomes(&killed), (begun, vec![Merged, WouldMerge]));

        let half = PlanRuns { merges: vec![merged("ada@example.com", 1, &[2])], ..killed.clone() };
        assert_eq!(outcomes(&half), (begun, vec![Failed, WouldMerge]));

        let open = PlanRuns { open: ["bob@example.com".to_owned()].into(), ..killed.clone() };
        assert_eq!(outcomes(&open), (begun, vec![Merged, Unknown]));

        let ends = [end(1, "merged"), end(4, "skipped")].into();
        let done = PlanRuns { ends, complete: true, ..killed.clone() };
        let carried_out = PlanState::CarriedOut(at("01:12:00"));
        assert_eq!(outcomes(&done), (carried_out, vec![Merged, Skipped]));

        let bob = merged("bob@example.com", 4, &[5, 6]);
        let both = PlanRuns { merges: vec![ada.clone(), bob], ..killed.clone() };
        assert_eq!(outcomes(&both), (carried_out, vec![Merged, Merged]), "nothing is left of it");

        // The CRM let another lead survive.
        let other = PlanRuns { merges: vec![ada, merged("bob@example.com", 5, &[4, 6])], ..killed };
        let (_, groups) = told(&other);
        assert_eq!((groups[1].outcome, groups[1].winner), (Merged, Some(5)));
        assert_eq!(groups[1].losers, [4, 6]);
    }
}
