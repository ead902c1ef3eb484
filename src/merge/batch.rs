//! Carries a confirmed plan out, batch by batch.
//!
//! A batch is as many groups as one look can read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::call::{Ready, STOPPED, Sent};
use super::ending::ending;
use super::memberships::Rows;
use super::recheck::members;
use super::report::{GroupReport, Outcome, Report, Stopped, Watch};
use super::settle::{Pending, Settled};
use super::slices::batches;
use super::write::Record;
use super::written::Written;
use super::{Confirmed, Error, Merge};
use crate::dedupe::{Plan, PlannedGroup};
use crate::lead::{Lead, LeadId};
use crate::ledger::{Backup, CallId, CallKind, CallLead, NewCall, Role};
use crate::marketo::{MergeLeads, ReadLeads, SyncLeads};
use crate::stop::unless_stopped;

/// How old a re-check may be when a write or a merge leaves.
pub(super) const RECHECK_AGE: Duration = Duration::from_secs(60);

/// What a run carries from batch to batch.
pub(super) struct Run<'p, 'w> {
    pub(super) confirmed: &'p Confirmed,
    written: Written,
    /// How the groups that the run came to ended, by the plan's winner.
    endings: BTreeMap<LeadId, GroupReport>,
    /// Why the rest of a group was left after its first calls were made, by the plan's winner.
    pub(super) cut_short: BTreeMap<LeadId, String>,
    failures_in_a_row: usize,
    stopped: Option<Stopped>,
    pub(super) watch: &'w mut dyn Watch,
}

/// The last look at the leads of a batch.
pub(super) struct Checked {
    /// When it began.
    pub(super) at: Instant,
    /// The leads as they were, and as the ledger has them.
    pub(super) live: BTreeMap<LeadId, Lead>,
}

/// The calls of a batch, all of them in the ledger.
struct Calls<'p> {
    writes: Vec<(CallId, Vec<Record>)>,
    ready: Vec<Ready<'p>>,
}

impl Run<'_, '_> {
    fn end(&mut self, group: &PlannedGroup, report: GroupReport) {
        self.watch.group(&report);
        self.endings.insert(group.winner, report);
    }

    /// Ends groups that have a reason, and gives the others.
    fn without<'g>(
        &mut self,
        groups: Vec<&'g PlannedGroup>,
        outcome: Outcome,
        reasons: &BTreeMap<LeadId, String>,
    ) -> Vec<&'g PlannedGroup> {
        let mut standing = Vec::new();
        for group in groups {
            match reasons.get(&group.winner) {
                Some(reason) => self.end(group, GroupReport::ended(group, outcome, Some(reason.clone()))),
                None => standing.push(group),
            }
        }
        standing
    }
}

impl<M: ReadLeads + SyncLeads + MergeLeads> Merge<'_, M> {
    /// Merges what the plan says, as it says it, or leaves it alone. Always gives a report, however it ended.
    pub async fn carry_out(&mut self, confirmed: Confirmed, watch: &mut dyn Watch) -> Report {
        let mut run = Run {
            confirmed: &confirmed,
            written: Written::default(),
            endings: BTreeMap::new(),
            cut_short: BTreeMap::new(),
            failures_in_a_row: 0,
            stopped: None,
            watch,
        };
        if let Err(error) = self.run(&mut run).await {
            run.stopped = Some(Stopped::Failed(error));
        }
        let Run { endings, stopped, .. } = run;
        let plan = confirmed.plan();
        let left_out = plan.left_out.iter().map(GroupReport::left_out);
        let ended = plan.groups.iter().filter_map(|group| endings.get(&group.winner).cloned());
        let mut groups: Vec<GroupReport> = ended.chain(left_out).collect();
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        Report { groups, stopped }
    }

    async fn run(&mut self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        run.written = Written::by_earlier_runs(self.ledger)?;
        let confirmed = run.confirmed;
        let earlier = self.ledger.merged_into()?;
        let mut to_do = Vec::new();
        for group in &confirmed.plan().groups {
            if group.losers.iter().all(|loser| earlier.contains_key(loser)) {
                let reason = Some("merged by an earlier run".to_owned());
                run.end(group, GroupReport::ended(group, Outcome::Merged, reason));
            } else {
                to_do.push(group);
            }
        }
        for groups in batches(to_do) {
            if run.stopped.is_some() {
                break;
            }
            if self.stop.is_cancelled() {
                break;
            }
            self.batch(groups, run).await?;
        }
        // Also where the plan itself was cut short, and has nothing to carry out.
        if run.stopped.is_none() && self.stop.is_cancelled() {
            run.stopped = Some(Stopped::Interrupted);
        }
        Ok(())
    }

    async fn batch<'p>(&mut self, groups: Vec<&'p PlannedGroup>, run: &mut Run<'p, '_>) -> Result<(), Error> {
        let confirmed = run.confirmed;
        let plan = confirmed.plan();
        let stop = self.stop.clone();
        let Some((checked, groups, memberships)) =
            unless_stopped(&stop, Box::pin(self.prepare(groups, run))).await?
        else {
            return Ok(());
        };
        if groups.is_empty() {
            return Ok(());
        }
        let Checked { at: mut checked_at, live } = checked;
        let leads: Vec<_> = groups.iter().flat_map(|group| members(group).map(|id| (*group, id))).collect();
        self.back_up(&leads, &live, memberships, plan)?;
        let Calls { writes, ready } = self.plan_calls(&groups, run)?;
        for (call, records) in writes {
            if self.stop.is_cancelled() {
                self.skip(&[call], STOPPED)?;
                continue;
            }
            let result = self.write(&self.permit(), call, &records).await?;
            if result.waited {
                checked_at = Instant::now().checked_sub(RECHECK_AGE).unwrap_or(checked_at);
            }
            self.drop_groups(&ready, Outcome::Failed, &result.refused, run)?;
        }
        self.merge_and_settle(&ready, Checked { at: checked_at, live }, run).await
    }

    /// All reading that comes before a batch is written to: the groups live, and where their leads are members.
    async fn prepare<'p>(
        &mut self,
        groups: Vec<&'p PlannedGroup>,
        run: &mut Run<'p, '_>,
    ) -> Result<(Checked, Vec<&'p PlannedGroup>, BTreeMap<LeadId, (Rows, Rows)>), Error> {
        let mut at = Instant::now();
        let (mut live, mut groups) = self.check(groups, run).await?;
        if groups.is_empty() {
            return Ok((Checked { at, live }, groups, BTreeMap::new()));
        }
        let of_run = run.confirmed.plan().groups.iter().map(|group| group.losers.len() + 1).sum();
        let ids: Vec<LeadId> = groups.iter().flat_map(|group| members(group)).collect();
        let memberships = self.memberships.of(self.marketo, &ids, of_run).await?;
        // Reading them can take minutes, and what is written next rests on the check as much as the merge does.
        if at.elapsed() >= self.clock.wall(RECHECK_AGE) {
            at = Instant::now();
            (live, groups) = self.check(groups, run).await?;
        }
        Ok((Checked { at, live }, groups, memberships))
    }

    /// Reads the groups live; gives the leads, and the groups that may be merged now. The others end.
    async fn check<'p>(
        &mut self,
        groups: Vec<&'p PlannedGroup>,
        run: &mut Run<'p, '_>,
    ) -> Result<(BTreeMap<LeadId, Lead>, Vec<&'p PlannedGroup>), Error> {
        let (live, changed) = self.recheck(&groups, &run.confirmed.plan().policy, &run.written).await?;
        let groups = run.without(groups, Outcome::Skipped, &changed);
        let rows = self.custom_object_rows(&groups, &live).await?;
        let groups = run.without(groups, Outcome::Skipped, &rows);
        Ok((live, groups))
    }

    /// Law 3: the whole leads go into the ledger before anything of them is changed.
    fn back_up(
        &mut self,
        leads: &[(&PlannedGroup, LeadId)],
        live: &BTreeMap<LeadId, Lead>,
        mut memberships: BTreeMap<LeadId, (Rows, Rows)>,
        plan: &Plan,
    ) -> Result<(), Error> {
        let mut backups = Vec::new();
        for (group, id) in leads {
            let (lists, programs) = memberships.remove(id).unzip();
            let role = if *id == group.winner { Role::Winner } else { Role::Loser };
            let Some(lead) = live.get(id).cloned() else { continue };
            backups.push(Backup { key: group.key.as_str().to_owned(), role, lead, lists, programs });
        }
        Ok(self.ledger.back_up(&plan.id, &backups, &self.at())?)
    }

    /// Backs losers up again that changed since the last look in fields that the plan does not lean on: a merge destroys
    /// what they are now, not what they were then.
    pub(super) async fn back_up_changed(
        &mut self,
        groups: &[&PlannedGroup],
        before: &BTreeMap<LeadId, Lead>,
        live: &BTreeMap<LeadId, Lead>,
        plan: &Plan,
    ) -> Result<(), Error> {
        let losers = groups.iter().flat_map(|group| group.losers.iter().map(|id| (*group, *id)));
        let changed: Vec<_> =
            losers.filter(|(_, id)| live.contains_key(id) && live.get(id) != before.get(id)).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let of_run = plan.groups.iter().map(|group| group.losers.len() + 1).sum();
        let ids: Vec<LeadId> = changed.iter().map(|(_, id)| *id).collect();
        let memberships = self.memberships.of(self.marketo, &ids, of_run).await?;
        self.back_up(&changed, live, memberships, plan)
    }

    /// Writes every call of the batch down, in one step, before the first of them leaves.
    fn plan_calls<'p>(
        &mut self,
        groups: &[&'p PlannedGroup],
        run: &mut Run<'p, '_>,
    ) -> Result<Calls<'p>, Error> {
        let plan = run.confirmed.plan();
        let mut records = Vec::new();
        for group in groups.iter().filter(|group| !group.changes.is_empty()) {
            run.written.add(group);
            records.push(Record { lead: group.winner, changes: group.changes.clone() });
        }
        let (mut calls, records): (Vec<NewCall>, Vec<_>) = Self::write_calls(records).into_iter().unzip();
        let steps: Vec<_> = groups.iter().map(|group| run.confirmed.steps(group.winner)).collect();
        for (group, steps) in groups.iter().zip(&steps) {
            calls.extend(steps.iter().map(|step| merge_call(group, step.losers())));
        }
        // The ledger numbers the calls in this order: writes first, then merges, group by group.
        let mut ids = self.ledger.plan_calls(&plan.id, &calls, &self.at())?.into_iter();
        let writes = records.into_iter().map_while(|records| Some((ids.next()?, records))).collect();
        let ready = groups.iter().zip(steps).map(|(group, steps)| {
            let steps = steps.into_iter().map_while(|step| Some((ids.next()?, step))).collect();
            Ready { plan: &plan.id, group, steps }
        });
        Ok(Calls { writes, ready: ready.collect() })
    }

    /// Ends groups whose calls are planned already.
    fn drop_groups(
        &mut self,
        ready: &[Ready<'_>],
        outcome: Outcome,
        reasons: &BTreeMap<LeadId, String>,
        run: &mut Run<'_, '_>,
    ) -> Result<(), Error> {
        for ready in ready {
            if let Some(reason) = reasons.get(&ready.group.winner) {
                let calls: Vec<_> = ready.steps.iter().map(|(call, _)| *call).collect();
                self.skip(&calls, reason)?;
                run.failures_in_a_row += usize::from(outcome == Outcome::Failed);
                run.end(ready.group, GroupReport::ended(ready.group, outcome, Some(reason.clone())));
            }
        }
        Ok(())
    }

    async fn merge_and_settle<'p>(
        &mut self,
        ready: &[Ready<'p>],
        checked: Checked,
        run: &mut Run<'p, '_>,
    ) -> Result<(), Error> {
        let (mut pending, mut settled, mut sent) = (Vec::new(), Vec::new(), BTreeSet::new());
        let merged = self.merge_all(ready, checked, &mut pending, &mut settled, &mut sent, run).await;
        // Even after a failure: what was sent before it is looked at, if it still can be.
        let looked = self.settle(pending, &mut settled, &mut *run.watch).await;
        for ready in ready {
            if run.endings.contains_key(&ready.group.winner) {
                continue;
            }
            if sent.contains(&ready.group.winner) {
                let cut_short = run.cut_short.get(&ready.group.winner);
                let report = ending(ready, &settled, cut_short.map(String::as_str));
                run.end(ready.group, report);
            } else if merged.is_ok() {
                let calls: Vec<_> = ready.steps.iter().map(|(call, _)| *call).collect();
                self.skip(&calls, STOPPED)?;
            }
        }
        if let Some(alarm) = settled.iter().find_map(Settled::alarm) {
            run.stopped = Some(Stopped::Alarm(alarm));
        }
        merged.and(looked)
    }

    async fn merge_all<'p>(
        &mut self,
        ready: &[Ready<'p>],
        mut checked: Checked,
        pending: &mut Vec<Pending<'p>>,
        settled: &mut Vec<Settled<'p>>,
        sent: &mut BTreeSet<LeadId>,
        run: &mut Run<'p, '_>,
    ) -> Result<(), Error> {
        let plan = run.confirmed.plan();
        for (place, next) in ready.iter().enumerate() {
            if self.stop.is_cancelled() || settled.iter().any(|settled| settled.alarm().is_some()) {
                break;
            }
            if checked.at.elapsed() >= self.clock.wall(RECHECK_AGE) {
                let at = Instant::now();
                let rest: Vec<&Ready<'p>> = ready
                    .iter()
                    .skip(place)
                    .filter(|ready| !run.endings.contains_key(&ready.group.winner))
                    .collect();
                let groups: Vec<&PlannedGroup> = rest.iter().map(|ready| ready.group).collect();
                let stop = self.stop.clone();
                let recheck = self.recheck(&groups, &plan.policy, &run.written);
                let Some((live, changed)) = unless_stopped(&stop, recheck).await? else { break };
                self.drop_groups(ready, Outcome::Skipped, &changed, run)?;
                let backups = self.back_up_changed(&groups, &checked.live, &live, plan);
                let Some(()) = unless_stopped(&stop, backups).await? else { break };
                checked = Checked { at, live };
            }
            if run.endings.contains_key(&next.group.winner) {
                continue;
            }
            if run.failures_in_a_row >= self.stop_after_errors {
                run.stopped = Some(Stopped::Errors(run.failures_in_a_row));
                break;
            }
            sent.insert(next.group.winner);
            match self.send(next, &checked, pending, settled, run).await? {
                Sent::Accepted => run.failures_in_a_row = 0,
                Sent::Otherwise => run.failures_in_a_row += 1,
                // Its calls are written off already.
                Sent::Nothing => {
                    sent.remove(&next.group.winner);
                    run.end(
                        next.group,
                        GroupReport::ended(next.group, Outcome::Skipped, Some(STOPPED.to_owned())),
                    );
                }
            }
        }
        Ok(())
    }
}

fn merge_call(group: &PlannedGroup, losers: &[LeadId]) -> NewCall {
    let winner = CallLead { id: group.winner, role: Role::Winner };
    let losers = losers.iter().map(|id| CallLead { id: *id, role: Role::Loser });
    NewCall {
        kind: CallKind::Merge,
        key: group.key.as_str().to_owned(),
        leads: std::iter::once(winner).chain(losers).collect(),
    }
}
