//! Takes the next groups of a plan into the run: everything about them is read, kept, and then the
//! winners get the values that must outlive their merges.
//!
//! What takes long (memberships, custom objects) is read first. The last look, the backup and the
//! write then follow at once, so that nothing typed in between is overwritten or missing from the
//! ledger.

use std::collections::BTreeMap;

use super::backup::backup;
use super::context::{Merge, MergeClient};
use super::custom_objects::GroupRows;
use super::error::Error;
use super::fresh::Fresh;
use super::leads::members;
use super::look::Look;
use super::memberships::{Rows, not_shown};
use super::report::Outcome;
use super::rows::Moved;
use super::run::{Run, STOPPED};
use super::skip_lists::of_rows;
use super::verdict::Verdict;
use super::work::Work;
use super::write::record::Record;
use crate::cancel::unless_stopped;
use crate::dedupe::{PlannedGroup, Policy, Reason, why_rows_stay};
use crate::lead::{Lead, LeadId};
use crate::ledger::Purpose;
use crate::marketo::UntilStopped;

/// Groups with everything about them that takes long to read.
pub(super) struct Batch<'p> {
    groups: Vec<&'p PlannedGroup>,
    memberships: BTreeMap<LeadId, (Rows, Rows)>,
    rows: BTreeMap<LeadId, GroupRows>,
}

/// What became of groups that were to be written to.
#[derive(Default)]
pub(super) struct TakenIn<'p> {
    /// Written to since that look, and to be verified by a later one.
    pub(super) written: Vec<Work<'p>>,
    /// The look showed keys that are not held yet.
    pub(super) again: Vec<Work<'p>>,
    /// Left alone, and why.
    pub(super) left: Vec<(Work<'p>, Verdict)>,
}

/// How often a write is tried whose look becomes too old before it can leave.
const TRIES: usize = 20;

impl<M: MergeClient> Merge<'_, M> {
    /// Reads where the leads of a batch are members. None where the run is to stop.
    pub(super) async fn read_what_takes_long<'p>(
        &mut self,
        groups: Vec<&'p PlannedGroup>,
        run: &mut Run<'p, '_>,
    ) -> Result<Option<Batch<'p>>, Error> {
        let stop = self.stop.clone();
        let policy = &run.confirmed.plan().policy;
        let finding = Box::pin(self.rows_now(&groups, policy));
        let Some(rows) = unless_stopped(&stop, finding).await? else { return Ok(None) };
        let mut standing = Vec::new();
        for group in groups {
            let found = rows.get(&group.winner);
            match found.and_then(|found| why_rows_stay(&found.rows, &group.losers)) {
                Some(why) if !group.overrules(Reason::CustomObjects) => {
                    run.leave(&Work::new(group, Vec::new()), Verdict::skipped(why));
                }
                _ => standing.push(group),
            }
        }
        let of_run = run.confirmed.plan().groups.iter().map(|group| group.losers.len() + 1).sum();
        let ids: Vec<LeadId> = standing.iter().flat_map(|group| members(group)).collect();
        let reading = self.memberships.of(self.marketo, &ids, of_run);
        let memberships = match unless_stopped(&stop, reading).await {
            Ok(Some(memberships)) => memberships,
            Ok(None) => return Ok(None),
            Err(error) => {
                let why = not_shown(error)?;
                for group in standing.drain(..) {
                    run.leave(&Work::new(group, Vec::new()), Verdict::skipped(why.clone()));
                }
                BTreeMap::new()
            }
        };
        let rules = &run.confirmed.plan().policy.skip_rules;
        let on_a_list = |id| of_rows(rules, id, memberships.get(&id).map(|(lists, _)| lists)?);
        let (mut groups, mut listed) = (Vec::new(), Vec::new());
        for group in standing {
            match members(group).find_map(on_a_list) {
                Some(why) => listed.push((group, why)),
                None => groups.push(group),
            }
        }
        for (group, why) in listed {
            run.leave(&Work::new(group, Vec::new()), Verdict::skipped(why));
        }
        Ok(Some(Batch { groups, memberships, rows }))
    }

    /// The rows of custom objects on the leads of these groups by now.
    async fn rows_now(
        &mut self,
        groups: &[&PlannedGroup],
        policy: &Policy,
    ) -> Result<BTreeMap<LeadId, GroupRows>, Error> {
        let mut live = BTreeMap::new();
        if self.custom_objects.asks_by_values(self.marketo).await? {
            let ids: Vec<LeadId> = groups.iter().flat_map(|group| members(group)).collect();
            live = self.read_twice_if_missing(&ids).await?.leads;
        }
        self.rows_on(groups, &live, policy).await
    }

    /// Takes a batch into the run: to be written to, or to be looked at just before its merge, as
    /// many of it as can be merged next.
    pub(super) fn receive<'p>(batch: Batch<'p>, run: &mut Run<'p, '_>) {
        let Batch { groups, mut memberships, mut rows } = batch;
        for group in groups {
            let mut work = Work::new(group, run.confirmed.steps(group.winner));
            work.memberships =
                members(group).filter_map(|id| Some((id, memberships.remove(&id)?))).collect();
            let GroupRows { moves, on_winner, .. } = rows.remove(&group.winner).unwrap_or_default();
            (work.rows, work.rows_of_winner) = (moves, on_winner);
            if group.changes.is_empty() && work.rows.is_empty() {
                run.ready.push_back(work);
            } else {
                run.to_write.push(work);
            }
        }
    }

    /// Checks groups by a look, backs them up and writes to their winners. Where the look becomes
    /// too old before the write can leave, they are looked at again.
    pub(super) async fn take_in<'p>(
        &mut self,
        groups: Vec<Work<'p>>,
        look: &Look,
        run: &mut Run<'p, '_>,
    ) -> Result<TakenIn<'p>, Error> {
        let mut taken = TakenIn::default();
        let mut standing = groups;
        let mut look = look.clone();
        for _ in 0..TRIES {
            standing = self.check(standing, &look, run, &mut taken).await?;
            // Before the write, during which the process may die.
            for (work, verdict) in std::mem::take(&mut taken.left) {
                run.leave(&work, verdict);
            }
            self.keep_left_alone(run)?;
            if standing.is_empty() {
                return Ok(taken);
            }
            let Some(rest) = self.prepare(standing, &look, run, &mut taken).await? else {
                return Ok(taken);
            };
            standing = rest;
            let ids: Vec<LeadId> = standing.iter().flat_map(|work| members(work.group)).collect();
            match self.read_unless_stopped(&ids).await? {
                Some(again) => look = again,
                None => break,
            }
        }
        taken.left.extend(standing.into_iter().map(|work| (work, Verdict::skipped(STOPPED))));
        Ok(taken)
    }

    /// Those of the groups that are what the plan looked at, backed up as they are.
    async fn check<'p>(
        &mut self,
        groups: Vec<Work<'p>>,
        look: &Look,
        run: &Run<'p, '_>,
        taken: &mut TakenIn<'p>,
    ) -> Result<Vec<Work<'p>>, Error> {
        let plan = run.confirmed.plan();
        let missing: Vec<LeadId> = groups.iter().flat_map(|work| members(work.group)).collect();
        let missing: Vec<LeadId> =
            missing.into_iter().filter(|id| !look.leads.contains_key(id)).collect();
        let again =
            if missing.is_empty() { None } else { self.read_unless_stopped(&missing).await? };
        let live = |id: LeadId| {
            Some((id, look.leads.get(&id).or_else(|| again.as_ref()?.leads.get(&id))?.clone()))
        };
        let (mut standing, mut backups) = (Vec::new(), Vec::new());
        for mut work in groups {
            let leads: BTreeMap<LeadId, Lead> = members(work.group).filter_map(live).collect();
            let verdict = match self.first_look(&mut work, &leads, run)? {
                Some(verdict) => Some(verdict),
                None => self.is_as_planned(&work, &leads, run).err().map(Verdict::skipped),
            };
            if let Some(verdict) = verdict {
                taken.left.push((work, verdict));
                continue;
            }
            self.holds.keys.learn(leads.values());
            if !self.holds.covers(leads.values()) {
                work.too_old += 1;
                taken.again.push(work);
                continue;
            }
            let changed = leads.values().filter(|lead| work.live.get(&lead.id) != Some(*lead));
            backups.extend(changed.map(|lead| backup(work.group, lead.clone(), &work.memberships)));
            work.live = leads;
            standing.push(work);
        }
        self.back_up(&plan.id, &backups)?;
        Ok(standing)
    }

    /// Writes to the winners. Gives the groups back whose look became too old meanwhile; none are
    /// left to try where that did not happen.
    async fn prepare<'p>(
        &mut self,
        groups: Vec<Work<'p>>,
        look: &Look,
        run: &mut Run<'p, '_>,
        taken: &mut TakenIn<'p>,
    ) -> Result<Option<Vec<Work<'p>>>, Error> {
        let record = |work: &Work<'p>| Record {
            lead: work.group.winner,
            changes: work.group.changes.clone(),
        };
        // A group comes here again where its rows did not find their turn.
        let is_to_write = |work: &&Work<'p>| !work.written && !work.group.changes.is_empty();
        let records: Vec<Record> = groups.iter().filter(is_to_write).map(record).collect();
        let gate = Fresh::new(look.at, self.clock, UntilStopped::at_once(self.stop.clone()));
        for work in &groups {
            run.written.add(work.group);
        }
        let plan = &run.confirmed.plan().id;
        let written = self.write(&gate, plan, Purpose::Prepare, records).await?;
        let (mut too_old, mut with_values) = (Vec::new(), Vec::new());
        for mut work in groups {
            let asked = is_to_write(&&work);
            if asked && written.withheld && !written.sent.contains(&work.group.winner) {
                too_old.push(work);
                continue;
            }
            work.written |= asked;
            match written.refused.get(&work.group.winner) {
                None => {
                    if asked {
                        run.count_write(false, self.stop_after_errors);
                    }
                    with_values.push(work);
                }
                Some(refused) => {
                    work.written = refused.may_hold_some;
                    run.count_write(refused.counts, self.stop_after_errors);
                    // That the record to keep is gone says so by itself.
                    let own = refused.marketo.clone().filter(|_| !refused.counts);
                    if let Some(said) =
                        own.filter(|said| !matches!(said.code.as_str(), "1004" | "1013"))
                    {
                        self.remember_refusal(plan, &work, said)?;
                    }
                    let verdict = Verdict {
                        outcome: Outcome::Failed,
                        why: refused.why.clone(),
                        not_written: Vec::new(),
                        marketo: refused.marketo.clone(),
                    };
                    taken.left.push((work, verdict));
                }
            }
        }
        self.move_rows_of(with_values, &gate, run, taken, &mut too_old).await?;
        Ok((!too_old.is_empty()).then_some(too_old))
    }

    /// Links rows of custom objects to the winners, which have their values by now.
    async fn move_rows_of<'p>(
        &mut self,
        mut groups: Vec<Work<'p>>,
        gate: &Fresh,
        run: &mut Run<'p, '_>,
        taken: &mut TakenIn<'p>,
        too_old: &mut Vec<Work<'p>>,
    ) -> Result<(), Error> {
        let plan = &run.confirmed.plan().id;
        let mut moved = self.move_rows(gate, plan, &mut groups).await?;
        for work in groups {
            match moved.remove(&work.group.winner) {
                Some(Moved::Failed { why, counts }) => {
                    run.count_write(counts, self.stop_after_errors);
                    let stopped = why == STOPPED;
                    let outcome = if stopped { Outcome::Skipped } else { Outcome::Failed };
                    let verdict = Verdict { outcome, ..Verdict::skipped(why) };
                    taken.left.push((work, verdict));
                }
                Some(Moved::TooOld) => too_old.push(work),
                Some(Moved::AsPlanned) | None => taken.written.push(work),
            }
        }
        Ok(())
    }
}
