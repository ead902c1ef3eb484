//! Settles calls by looks, and sees to it that each survivor is as predicted (laws 4 and 5).
//!
//! A call is settled in the ledger only after its survivor was compared, field by field, and what
//! the merge took was written again and read back; what could not be put right is kept there as an
//! open finding. Never: sends a merge, or takes back what somebody else wrote.

use std::time::Duration;

use tokio::time::Instant;

use super::compare::{Compared, compare};
use super::context::{Merge, MergeClient};
use super::contradicted::contradiction;
use super::error::Error;
use super::look::Look;
use super::proof::proof_of;
use super::report::{Difference, Fate, Stopped, Surprise, Watch};
use super::rows::Done;
use super::run::Run;
use super::settle::{Conclusion, Finding, Log, Made, Pending, Settled};
use crate::dedupe::FieldFacts;
use crate::lead::LeadId;
use crate::ledger::{self, FindingKind, State};

/// Between two looks at calls that may still be under way: early ones, since most end soon, then
/// rarer.
const LOOKS_S: [u64; 6] = [1, 5, 15, 40, 60, 60];

/// Why it is not known who merged leads that are gone.
const UNNAMED: &str = "its leads are gone, and Marketo's log names no merge of them by this program; look them up in Marketo's activity log";

impl<M: MergeClient> Merge<'_, M> {
    /// Settles what one look can settle, and ends the groups that are done.
    pub(super) async fn settle_round(
        &mut self,
        look: &Look,
        looked_at: Instant,
        run: &mut Run<'_, '_>,
    ) -> Result<(), Error> {
        self.looked_at = Some(look.at);
        if run.pending.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut run.pending);
        let mut settled = Vec::new();
        let went =
            self.settle_once(&mut pending, look, looked_at, &mut settled, &mut *run.watch).await;
        run.pending = pending;
        self.hand_over(settled, run);
        went
    }

    /// Looks until every call is settled, or the run is to stop.
    pub(super) async fn settle_rest(&mut self, run: &mut Run<'_, '_>) -> Result<(), Error> {
        let mut pending = std::mem::take(&mut run.pending);
        let mut settled = Vec::new();
        let went = self.settle_all(&mut pending, &mut settled, &mut *run.watch).await;
        self.hand_over(settled, run);
        went
    }

    fn hand_over<'p>(&mut self, settled: Vec<Settled<'p>>, run: &mut Run<'p, '_>) {
        if let Some(alarm) = self.not_shown_alarm.take() {
            run.stopped.get_or_insert(Stopped::Alarm(alarm));
        }
        for settled in settled {
            if let Some(survivor) = settled.finding.survivor() {
                run.late.saw(survivor, settled.finding.gone());
                run.unwitnessed += 1;
            }
            if settled.is_unexpected() {
                run.ramp.met_trouble();
            }
            let winner = settled.pending.group.winner;
            if let Some(work) = run.ready.iter_mut().find(|work| work.group.winner == winner) {
                work.under_way = None;
                if !settled.is_as_asked() || settled.alarm().is_some() {
                    work.steps.clear();
                }
                work.settled.push(settled);
            } else if let Some(mut work) = run.sent.remove(&winner) {
                work.under_way = None;
                work.settled.push(settled);
                run.end_sent(&work, &self.not_shown);
            }
        }
        let over = |work: &super::work::Work<'_>| work.steps.is_empty() && work.under_way.is_none();
        while let Some(place) = run.ready.iter().position(over) {
            if let Some(work) = run.ready.remove(place) {
                run.end_sent(&work, &self.not_shown);
            }
        }
    }

    /// The same for calls of any run: looks, with pauses that grow, until all are settled.
    pub(super) async fn settle_all<'p>(
        &mut self,
        pending: &mut Vec<Pending<'p>>,
        settled: &mut Vec<Settled<'p>>,
        watch: &mut dyn Watch,
    ) -> Result<(), Error> {
        let mut pauses = LOOKS_S.into_iter().map(Duration::from_secs);
        let mut looked_after_stop = false;
        while !pending.is_empty() {
            let looked_at = Instant::now();
            let ids: Vec<LeadId> = pending.iter().flat_map(Pending::leads).collect();
            let Some(look) = self.look(&ids).await? else { return Ok(()) };
            self.settle_once(pending, &look, looked_at, settled, watch).await?;
            if pending.is_empty() || self.wait(pending, pauses.next(), watch).await {
                continue;
            }
            // What Marketo accepted and one look missed is known after a second one.
            if looked_after_stop || !pending.iter().any(Pending::needs_one_more_look) {
                return Ok(());
            }
            looked_after_stop = true;
        }
        Ok(())
    }

    /// Waits for the next look; false where the run is to stop.
    async fn wait(
        &self,
        open: &[Pending<'_>],
        pause: Option<Duration>,
        watch: &mut dyn Watch,
    ) -> bool {
        watch.waiting(open.len());
        let pause = self.clock.wall(pause.unwrap_or(Duration::from_secs(60)));
        let over = open.iter().map(|pending| pending.over_at).max().unwrap_or_else(Instant::now);
        let next = Instant::now() + pause;
        // A call that must be over is looked at then, and not up to a minute later.
        let next = if over > Instant::now() { next.min(over) } else { next };
        tokio::select! {
            () = tokio::time::sleep_until(next) => true,
            () = self.stop.cancelled() => false,
        }
    }

    async fn settle_once<'p>(
        &mut self,
        pending: &mut Vec<Pending<'p>>,
        look: &Look,
        looked_at: Instant,
        settled: &mut Vec<Settled<'p>>,
        watch: &mut dyn Watch,
    ) -> Result<(), Error> {
        let (mut found, mut open, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
        for mut one in std::mem::take(pending) {
            match one.conclude(&look.leads, looked_at >= one.over_at) {
                Conclusion::Found(finding) => found.push((one, finding)),
                Conclusion::LookAgain if self.is_suspicious(&one, look) => doubtful.push(one),
                Conclusion::LookAgain | Conclusion::UnderWay => open.push(one),
                Conclusion::AskLog => {
                    one.asks_log = true;
                    doubtful.push(one);
                }
                Conclusion::NotShown(why) => found.extend(self.not_shown(one, why)),
            }
        }
        if !doubtful.is_empty() {
            self.ask_log(&mut doubtful).await?;
            let again = Instant::now();
            let ids: Vec<LeadId> = doubtful.iter().flat_map(Pending::leads).collect();
            let second = self.look(&ids).await?;
            for mut one in doubtful {
                let conclusion = match &second {
                    Some(second) => one.conclude(&second.leads, again >= one.over_at),
                    None => Conclusion::UnderWay,
                };
                match conclusion {
                    Conclusion::Found(finding) => found.push((one, finding)),
                    Conclusion::NotShown(why) => found.extend(self.not_shown(one, why)),
                    Conclusion::AskLog if again >= one.log_until => {
                        found.extend(self.not_shown(one, UNNAMED.to_owned()));
                    }
                    Conclusion::AskLog | Conclusion::LookAgain | Conclusion::UnderWay => {
                        open.push(one);
                    }
                }
            }
        }
        *pending = open;
        let (found, left) = self.see_to_survivors(found).await?;
        pending.extend(left);
        let (found, left) = self.see_to_programs(found).await?;
        pending.extend(left);
        let (mut found, left) = self.see_to_rows(found).await?;
        pending.extend(left);
        // What is open is kept before its call is closed: killed in between, the next run settles
        // the call again.
        self.keep_lost(&found)?;
        for found in &found {
            self.keep_proof(found)?;
            self.ledger.record(found.pending.call, &found.finding.event(), &self.at())?;
            if let Some(survivor) = found.finding.survivor() {
                watch.merged(survivor, found.finding.gone());
            }
        }
        // That was the last look at them: whoever waits for these keys finds the survivor.
        let winners: Vec<LeadId> = found.iter().map(|one| one.pending.group.winner).collect();
        self.holds.known(winners.iter().copied());
        self.holds.release(winners).await;
        self.rows_to_see.extend(found.iter().filter_map(Done::of));
        settled.append(&mut found);
        Ok(())
    }

    /// A survivor that is not as predicted is looked at again at once, before more is merged.
    fn is_suspicious(&self, pending: &Pending<'_>, look: &Look) -> bool {
        let Some(winner) = look.leads.get(&pending.group.winner) else { return true };
        !compare(pending, winner, &self.facts).is_as_predicted()
    }

    /// Asks Marketo's log about calls that only it can settle.
    async fn ask_log(&mut self, doubtful: &mut [Pending<'_>]) -> Result<(), Error> {
        let leads: Vec<LeadId> =
            doubtful.iter().filter(|pending| pending.asks_log).flat_map(Pending::leads).collect();
        let Some(since) = doubtful.iter().map(|pending| pending.left.0).min() else {
            return Ok(());
        };
        if leads.is_empty() {
            return Ok(());
        }
        // The log has whole seconds, and clocks differ.
        let since = since - chrono::TimeDelta::minutes(5);
        let log = match self.marketo.merges_since(since, &leads).await {
            Ok(records) => Log::Shows(records),
            Err(error @ crate::marketo::Error::Permission { .. }) => Log::Mute(format!(
                "Marketo's log, which would tell who merged them, cannot be read: {error}"
            )),
            Err(error) => return Err(error.into()),
        };
        for pending in doubtful {
            pending.log = log.clone();
        }
        Ok(())
    }

    /// Who merged the leads of a call cannot be shown. The call stays open, and the next run asks
    /// again; one of long ago is given up, and a person must look.
    fn not_shown<'p>(
        &mut self,
        pending: Pending<'p>,
        why: String,
    ) -> Option<(Pending<'p>, Finding)> {
        tracing::warn!(
            call = %pending.call,
            winner = pending.group.winner,
            "it cannot be shown who merged the leads of a call"
        );
        if pending.made == Made::LongAgo {
            return Some((pending, Finding::Contradicted(why)));
        }
        if pending.state == State::Accepted {
            let winner = pending.group.winner;
            self.not_shown_alarm =
                Some(format!("Marketo accepted the merge into lead {winner}, but {why}"));
        }
        self.not_shown.insert(pending.group.winner, why);
        None
    }

    /// Compares survivors with what was predicted, and writes again what a merge took. Gives the
    /// calls back that the run has no time to finish.
    async fn see_to_survivors<'p>(
        &mut self,
        found: Vec<(Pending<'p>, Finding)>,
    ) -> Result<(Vec<Settled<'p>>, Vec<Pending<'p>>), Error> {
        let (mut settled, mut to_mend) = (Vec::new(), Vec::new());
        for (pending, finding) in found {
            let Some(survivor) = finding.survivor() else {
                let (surprises, rows) = (Vec::new(), Vec::new());
                settled.push(Settled { pending, finding, surprises, rows });
                continue;
            };
            let Compared { taken, changed } = compare(&pending, survivor, &self.facts);
            let surprises =
                changed.into_iter().map(|difference| surprise(difference, Fate::Changed));
            let (surprises, rows) = (surprises.collect(), Vec::new());
            let one = Settled { pending, finding, surprises, rows };
            if taken.is_empty() { settled.push(one) } else { to_mend.push((one, taken)) }
        }
        if to_mend.is_empty() {
            return Ok((settled, Vec::new()));
        }
        let (mended, left) = self.mend(to_mend).await?;
        settled.extend(mended);
        Ok((settled, left))
    }

    /// What the merge did to each field of its survivor, for the certificate of the run.
    fn keep_proof(&mut self, settled: &Settled<'_>) -> Result<(), Error> {
        let Some(survivor) = settled.finding.survivor() else { return Ok(()) };
        let mut proof = proof_of(&settled.pending, survivor, &settled.surprises, &self.facts);
        proof.rows.clone_from(&settled.rows);
        // Names, numbers and values of JSON always have a JSON form.
        let body = serde_json::to_string(&proof).unwrap_or_default();
        Ok(self.ledger.keep_proof(settled.pending.call, &body, &self.at())?)
    }

    /// What could not be put right stays open in the ledger, each by its lead and field; and so
    /// does a call that fits no outcome.
    fn keep_lost(&mut self, found: &[Settled<'_>]) -> Result<(), Error> {
        for settled in found {
            let lost = settled
                .lost()
                .filter(|difference| !difference.name.starts_with("program "))
                .map(|difference| ledger::Finding {
                    key: settled.pending.group.key.as_str().to_owned(),
                    lead: difference.lead,
                    field: difference.name.clone(),
                    kind: kind_of(&difference.name, &self.facts),
                    wanted: difference.wanted.clone(),
                    found: difference.found.clone(),
                });
            let findings: Vec<ledger::Finding> =
                lost.chain(contradiction(settled, &self.at())).collect();
            if !findings.is_empty() {
                self.ledger.open_findings_with(settled.pending.plan, &findings, &self.at())?;
            }
        }
        Ok(())
    }
}

fn surprise(difference: Difference, fate: Fate) -> Surprise {
    Surprise { difference, fate }
}

pub(super) fn kind_of(field: &str, facts: &FieldFacts) -> FindingKind {
    if facts.is_opt_out(field) { FindingKind::Consent } else { FindingKind::Value }
}
