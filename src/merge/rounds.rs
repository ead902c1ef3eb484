//! Carries a confirmed plan out.
//!
//! A run goes in rounds. Each round is one look that serves three ends: it settles the calls that
//! were sent since the last look, it verifies the groups that come next, and it is the last look at
//! a new batch before its winners are written to. Then merges leave, as many as the ramp allows and
//! only while the look is fresh:
//!
//! ```text
//! hold ─▶ look ─▶ settle ─▶ take in (back up, write, link rows)
//!      ─▶ verify (read back, back up) ─▶ send ─▶ hold …
//! ```
//!
//! Each step returns what became of its groups; this loop alone decides what comes next. Never:
//! sends a merge that its round did not verify.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::batches::next_batch;
use super::consent::Confirmed;
use super::context::{Merge, MergeClient};
use super::error::Error;
use super::hold::{BUSY, Holds, Taken};
use super::late::consent::LateConsent;
use super::leads::leads_of;
use super::look::Look;
use super::outcome::in_words;
use super::own_writes::OwnWrites;
use super::report::{GroupReport, Outcome, Report, Stopped, Watch};
use super::run::Run;
use super::settle::Pending;
use super::verdict::Verdict;
use super::work::Work;
use crate::dedupe::PlannedGroup;
use crate::lead::LeadId;
use crate::marketo::BATCH;

/// So many groups may wait for their keys before their winners are written to; then no more are
/// taken in.
const WAITING: usize = 20;

/// Between two looks where the run waits for Marketo: early ones, since most waits end soon.
const PAUSES_S: [u64; 5] = [1, 4, 15, 40, 60];

impl<M: MergeClient> Merge<'_, M> {
    /// Merges what the plan says, as it says it, or leaves it alone. Always gives a report, however
    /// it ended.
    pub async fn carry_out(&mut self, confirmed: Confirmed, watch: &mut dyn Watch) -> Report {
        let begun = match self.begin_run(&confirmed) {
            Ok(begun) => begun,
            Err(error) => {
                return Report { stopped: Some(Stopped::Failed(error)), ..Report::default() };
            }
        };
        let late = LateConsent::new((self.now)(), &self.facts, confirmed.plan());
        let mut run = Run::new(&confirmed, late, watch);
        (run.id, run.begun_at) = (begun, Some((self.now)()));
        let went = self.rounds(&mut run).await;
        // Also after a failure: what was sent before it is looked at, if it still can be.
        let finished = self.finish(&mut run).await;
        self.holds.end().await;
        let told = self.keep_left_alone(&mut run);
        if let Err(error) = went.and(finished).and(told) {
            run.stopped = Some(Stopped::Failed(error));
        } else if run.stopped.is_none() && self.stop.is_cancelled() {
            // Also where the plan itself was cut short, and has nothing to carry out.
            run.stopped = Some(Stopped::Interrupted);
        }
        let kept = self.tell_written(&mut run);
        let Run { endings, stopped, late, .. } = run;
        let plan = confirmed.plan();
        let left_out = plan.left_out.iter().map(GroupReport::left_out);
        let ended = plan.groups.iter().filter_map(|group| endings.get(&group.winner).cloned());
        let mut groups: Vec<GroupReport> = ended.chain(left_out).collect();
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        let late_rows = std::mem::take(&mut self.late_rows);
        let mut report =
            Report { groups, stopped, unwatched: late.unwatched(), late_rows, run: begun };
        let nothing = plan.groups.is_empty();
        let kept =
            kept.and_then(|()| if nothing { Ok(()) } else { self.keep_run_end(plan, &report) });
        if let Err(error) = kept {
            report.stopped.get_or_insert(Stopped::Failed(error));
        }
        report
    }

    async fn rounds(&mut self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        if self.is_braked(run).await? {
            return Ok(());
        }
        self.holds.ready().await?;
        run.written = OwnWrites::of_run(self.ledger, &run.confirmed.plan().id)?;
        run.refused = self.ledger.refusals()?;
        let confirmed = run.confirmed;
        let groups: Vec<&PlannedGroup> = confirmed.plan().groups.iter().collect();
        let sums = self.see_sums(&groups, None, &confirmed.plan().policy, &mut run.written).await?;
        let mut rest = VecDeque::new();
        for group in groups {
            match sums.unknown.get(&group.winner) {
                Some(why) => {
                    run.leave(&Work::new(group, Vec::new()), Verdict::skipped(why.clone()));
                }
                None => rest.push_back(group),
            }
        }
        self.keep_left_alone(run)?;
        while run.stopped.is_none() && !self.stop.is_cancelled() && !self.is_braked(run).await? {
            let waiting = run.ready.iter().filter(|work| work.waits_for_a_look()).count();
            let batch = if waiting <= run.ramp.size() && run.to_write.len() <= WAITING {
                // The groups that fill the ramp up may come from the batch itself.
                let largest =
                    rest.front().map_or(0, |group: &&PlannedGroup| group.losers.len() + 1);
                next_batch(&mut rest, run.asked_for() + run.left_of_ramp() * largest)
            } else {
                Vec::new()
            };
            // Groups whose last call cannot be settled in this run wait for nothing any more.
            let left = !batch.is_empty() || !run.to_write.is_empty();
            if !left && (waiting == 0 && run.pending.is_empty() || run.ready.is_empty()) {
                return Ok(());
            }
            self.describe_again_when_old().await?;
            self.see_late_consent(run, false).await?;
            self.see_witness(run, false).await?;
            Box::pin(self.see_rows_of_settled()).await?;
            if run.stopped.is_some() {
                return Ok(());
            }
            self.give_back_all(run).await?;
            self.round(batch, run).await?;
            let sent = self.send_verified(run).await?;
            // What is under way keeps its keys.
            self.holds.release_all().await;
            run.idle = if sent > 0 { 0 } else { run.idle + 1 };
            if run.idle > 1 && !self.pause(run).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether a brake ends the run.
    async fn is_braked(&mut self, run: &mut Run<'_, '_>) -> Result<bool, Error> {
        let brake = self.brake().await?;
        let is_braked = brake.is_some();
        run.stopped = run.stopped.take().or(brake.map(Stopped::Braked));
        Ok(is_braked)
    }

    /// One look, and all that rests on it but the sending.
    async fn round<'p>(
        &mut self,
        batch: Vec<&'p PlannedGroup>,
        run: &mut Run<'p, '_>,
    ) -> Result<(), Error> {
        if !batch.is_empty()
            && let Some(batch) = self.read_what_takes_long(batch, run).await?
        {
            Self::receive(batch, run);
        }
        // Before the look: what it shows is what nobody else is changing.
        self.hold_next(run).await?;
        self.keep_left_alone(run)?;
        if !self.see_rows_again(run).await? {
            return Ok(());
        }
        let pending = run.pending.iter().flat_map(Pending::leads);
        let mut ids = leads_of(run.held_leads().chain(pending));
        ids.extend(self.not_seen_yet(ids.len(), run));
        let looked_at = Instant::now();
        let Some(look) = self.look(&ids).await? else { return Ok(()) };
        self.holds.keys.learn(look.leads.values());
        self.settle_round(&look, looked_at, run).await?;
        if run.stopped.is_some() {
            return Ok(());
        }
        let (held, waiting) =
            std::mem::take(&mut run.to_write).into_iter().partition(|work: &Work<'_>| work.held);
        run.to_write = waiting;
        let taken_in = self.take_in(held, &look, run).await?;
        for (work, verdict) in taken_in.left {
            run.leave(&work, verdict);
        }
        self.keep_left_alone(run)?;
        run.to_write.extend(taken_in.again);
        let written = taken_in.written;
        let went = self.verify_next(&look, run).await;
        // What was written after the look cannot be read back from it.
        run.ready.extend(written);
        self.keep_left_alone(run)?;
        went
    }

    /// Takes the keys of the groups that come next. Those whose keys others have wait, and others
    /// take their places; one that has waited for too long is left alone.
    async fn hold_next(&mut self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        let spec = &run.confirmed.plan().policy.key;
        let of = |holds: &Holds, work: &Work<'_>| {
            holds.keys.of_group(work.group, work.leads_left(), spec)
        };
        let wanted = run.to_write.iter().map(|work| of(&self.holds, work)).collect();
        let mut taken = self.holds.take(wanted).await?;
        let (waits, others): (Vec<_>, Vec<_>) = run
            .ready
            .iter()
            .filter(|work| work.waits_for_a_look())
            .map(|work| of(&self.holds, work))
            .partition(|wanted| self.holds.waits(wanted.owner));
        let mut candidates = waits.into_iter().chain(others).take(run.ramp.size() + WAITING);
        let mut room = run.ramp.size();
        while room > 0 {
            let wanted: Vec<_> = candidates.by_ref().take(room).collect();
            if wanted.is_empty() {
                break;
            }
            let one = self.holds.take(wanted).await?;
            room -= one.values().filter(|how| **how == Taken::Held).count();
            taken.extend(one);
        }
        for mut work in std::mem::take(&mut run.to_write) {
            match taken.get(&work.group.winner) {
                Some(Taken::TooLong) => run.leave(&work, Verdict::skipped(BUSY)),
                how => {
                    work.held = how == Some(&Taken::Held);
                    run.to_write.push(work);
                }
            }
        }
        for mut work in std::mem::take(&mut run.ready) {
            match taken.get(&work.group.winner) {
                Some(Taken::TooLong) => self.end_alone(work, Verdict::skipped(BUSY), run),
                how => {
                    work.held = how == Some(&Taken::Held);
                    run.ready.push_back(work);
                }
            }
        }
        Ok(())
    }

    /// Leads of later groups that no look has seen yet. Others might write to them by their values,
    /// and these are unknown. As many as the look has room for.
    fn not_seen_yet(&self, asked: usize, run: &Run<'_, '_>) -> Vec<LeadId> {
        let mut room = asked.next_multiple_of(BATCH) - asked;
        let mut ids = Vec::new();
        for work in run.ready.iter().filter(|work| work.waits_for_a_look() && !work.held) {
            let leads: Vec<LeadId> = work.leads_left().collect();
            if self.holds.keys.knows(leads.iter().copied()) {
                continue;
            }
            if leads.len() > room {
                break;
            }
            room -= leads.len();
            ids.extend(leads);
        }
        ids
    }

    /// Ends a group. A part of it may be merged already; nothing more is.
    pub(super) fn end_alone<'p>(
        &self,
        mut work: Work<'p>,
        verdict: Verdict,
        run: &mut Run<'p, '_>,
    ) {
        if work.has_merged() {
            work.cut_short = Some(verdict.why);
            work.steps.clear();
            run.end_sent(&work, &self.not_shown);
        } else {
            run.failures_in_a_row += usize::from(verdict.outcome == Outcome::Failed);
            run.leave(&work, verdict);
        }
    }

    async fn verify_next(&mut self, look: &Look, run: &mut Run<'_, '_>) -> Result<(), Error> {
        let mut seen = run.ramp.size();
        let mut ready = std::mem::take(&mut run.ready);
        while let Some(mut work) = ready.pop_front() {
            if seen == 0
                || !work.held
                || !work.rows_seen
                || !work.waits_for_a_look()
                || !look.asked_for(work.leads_left())
            {
                run.ready.push_back(work);
                continue;
            }
            seen -= 1;
            match self.verify(&mut work, look, run).await? {
                None => run.ready.push_back(work),
                Some(verdict) => self.end_alone(work, verdict, run),
            }
        }
        Ok(())
    }

    /// Waits a little for Marketo; false where the run is to stop.
    async fn pause(&self, run: &mut Run<'_, '_>) -> bool {
        let pause = PAUSES_S
            .get(run.idle.saturating_sub(2))
            .or(PAUSES_S.last())
            .copied()
            .unwrap_or_default();
        let pause = Duration::from_secs(pause);
        if !run.pending.is_empty() {
            run.watch.waiting(run.pending.len());
        }
        tokio::select! {
            () = self.clock.sleep(pause) => true,
            () = self.holds.granted() => true,
            () = self.stop.cancelled() => false,
        }
    }

    /// Settles what was sent, sees to late opt-outs, and gives winners that were not merged their
    /// values back.
    async fn finish(&mut self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        self.settle_rest(run).await?;
        for work in std::mem::take(&mut run.ready) {
            if work.is_begun() {
                run.end_sent(&work, &self.not_shown);
            } else {
                if work.written {
                    run.to_give_back.push(work.group);
                }
                if work.has_moved_rows {
                    run.rows_to_give_back.insert(work.group.winner);
                }
            }
        }
        for work in std::mem::take(&mut run.to_write) {
            if work.has_moved_rows {
                run.rows_to_give_back.insert(work.group.winner);
            }
            if work.written {
                run.to_give_back.push(work.group);
            }
        }
        for (_, work) in std::mem::take(&mut run.sent) {
            run.end_sent(&work, &self.not_shown);
        }
        // Where one of these fails, the others are done all the same.
        let carried = self.see_carried().await.map(|told| {
            for (survivor, surprise) in told {
                let what = in_words(&surprise);
                run.add_surprise(survivor, surprise);
                run.stopped.get_or_insert(Stopped::Alarm(what));
            }
        });
        let late = self.see_late_consent(run, true).await;
        // After the pause in which the log catches up.
        let seen = match self.see_witness(run, true).await {
            // The next run looks, once the brake is off.
            Ok(()) if matches!(run.stopped, Some(Stopped::Braked(_))) => Ok(()),
            Ok(()) => self.see_members(run.begun_at).await,
            Err(error) => Err(error),
        };
        let seen = seen.and(Box::pin(self.see_late_rows(run.begun_at)).await);
        let given_back = self.give_back_all(run).await;
        let looked_after = carried.and(late);
        let is_done = run.late.has_merges() && run.late.is_done();
        if looked_after.is_ok() && is_done && !self.stop.is_cancelled() {
            self.ledger.late_consent_seen(&self.at())?;
        }
        looked_after.and(given_back).and(seen)
    }

    pub(super) async fn give_back_all(&mut self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        let plan = run.confirmed.plan();
        let winners = std::mem::take(&mut run.rows_to_give_back);
        let mut rows_back = self.give_rows_back(&plan.id, &winners).await?;
        for group in plan.groups.iter().filter(|group| winners.contains(&group.winner)) {
            let left = self.rows_left(&plan.id, group.winner)?;
            let back = rows_back.remove(&group.winner).unwrap_or_default();
            run.tell_rows_back(group, back, left);
        }
        let groups = std::mem::take(&mut run.to_give_back);
        let told = self.give_back(&plan.id, &groups).await;
        let nothing = BTreeMap::new();
        for group in groups {
            run.tell_given_back(group, told.as_ref().unwrap_or(&nothing).get(&group.winner));
        }
        self.keep_left_alone(run)?;
        told.map(drop)
    }
}
