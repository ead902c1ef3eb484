//! Settles what an earlier run left open, by asking Marketo.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::fresh::most;
use super::kept_plan::plan_of_run;
use super::outcome::in_words;
use super::report::{Unwatched, Watch};
use super::rows::{LOOKED_FOR, LateRows};
use super::settle::{Finding, Log, Made, Pending, Settled, done_by};
use super::timing::LOG_LAG;
use super::witness::BY_NEXT_RUN;
use super::write::record::Record;
use crate::dedupe::{FieldChange, Plan};
use crate::lead::LeadId;
use crate::ledger::{self, Call, CallKind, CallValue, Event, State};
use crate::marketo::{InFlight, MARGIN, MERGE_LIMIT, ROWS_LIMIT, SYNC_LIMIT, longest};

/// Marketo's log has long named what a call did that was written down this long ago.
const LONG_OVER: Duration = Duration::from_secs(60 * 60);

/// What an earlier run's open calls came to.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Resumed {
    /// Calls that were settled.
    pub settled: usize,
    /// Leads that turned out to be gone.
    pub removed: usize,
    /// What of their survivors is not as predicted, and what became of it, in words.
    pub told: Vec<String>,
    /// What fits no outcome or was lost: a person must look before more is merged.
    pub alarms: Vec<String>,
    /// Calls that are still open: the run is to stop, or only Marketo's log can tell their outcome
    /// and does not yet.
    pub open: usize,
    /// Records to keep that got their former values back, since their merges were not made.
    pub given_back: usize,
    /// Rows of custom objects that are linked to their leads again, since their merges were not
    /// made.
    pub rows_given_back: usize,
    /// What became of the others, each by the record that was to stay, in words.
    pub rows_kept: Vec<String>,
    /// Records to keep that did not get all of them back, each with the reason, in words.
    pub kept: Vec<String>,
    /// Why it is not known whether opt-outs came while merges of earlier runs ran.
    pub unwatched: Option<Unwatched>,
    /// Rows of custom objects that others wrote for records which the runs of the last day merged.
    pub late_rows: LateRows,
    /// What earlier runs lost and nobody has put right.
    pub findings: Vec<(ledger::FindingId, ledger::Finding)>,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Settles every open call of the ledger. To be done before anything is planned to be carried
    /// out.
    pub async fn settle_open(&mut self, watch: &mut dyn Watch) -> Result<Resumed, Error> {
        self.holds.ready().await?;
        self.resuming = true;
        let resumed = self.settle_earlier(watch).await;
        self.resuming = false;
        self.holds.release_all().await;
        resumed
    }

    async fn settle_earlier(&mut self, watch: &mut dyn Watch) -> Result<Resumed, Error> {
        let open = self.ledger.open_calls()?;
        let mut winners: BTreeMap<&str, Vec<LeadId>> = BTreeMap::new();
        for call in &open {
            winners.entry(&call.plan).or_default().extend(call.winners());
        }
        let mut plans: BTreeMap<&str, Plan> = BTreeMap::new();
        for (plan, winners) in winners {
            plans.extend(plan_of_run(self.ledger, plan, &winners)?.map(|found| (plan, found)));
        }
        let (mut resumed, mut pending) = (Resumed::default(), Vec::new());
        for call in &open {
            let Some(plan) = plans.get(call.plan.as_str()) else {
                return Err(Error::UnusablePlan {
                    id: call.plan.clone(),
                    what: "it is not of this version, and calls of it are open".to_owned(),
                });
            };
            match (call.state, call.what.kind) {
                (State::Planned, _) => {
                    let why = "its run ended before".to_owned();
                    self.ledger.record(call.id, &Event::Skipped { why }, &self.at())?;
                    resumed.settled += 1;
                }
                (_, CallKind::Write) => {
                    let settled = self.settle_write(call, plan).await?;
                    resumed.settled += usize::from(settled);
                }
                (_, CallKind::Rows) => {
                    let settled = self.settle_row_call(call).await?;
                    resumed.settled += usize::from(settled);
                }
                (_, CallKind::Merge) => pending.extend(self.pending(call, plan)?),
            }
        }
        let mut settled: Vec<Settled<'_>> = Vec::new();
        self.settle_all(&mut pending, &mut settled, watch).await?;
        resumed.settled += settled.len();
        resumed.told =
            settled.iter().flat_map(|settled| &settled.surprises).map(in_words).collect();
        resumed.removed = settled.iter().map(|settled| removed(&settled.finding)).sum();
        let not_shown = self.not_shown_alarm.take();
        resumed.alarms = settled.iter().filter_map(Settled::alarm).chain(not_shown).collect();
        resumed.open = open.len() - resumed.settled.min(open.len());
        if !self.stop.is_cancelled() {
            (resumed.given_back, resumed.kept) = self.give_back_earlier().await?;
            (resumed.rows_given_back, resumed.rows_kept) = self.give_earlier_rows_back().await?;
            resumed.unwatched = self.look_after_earlier_merges().await?;
            resumed.alarms.extend(self.see_earlier_witness().await?);
            self.see_members(Some((self.now)() - BY_NEXT_RUN)).await?;
            Box::pin(self.see_late_rows(Some((self.now)() - LOOKED_FOR))).await?;
            resumed.findings = self.review_findings().await?;
        }
        resumed.late_rows = std::mem::take(&mut self.late_rows);
        Ok(resumed)
    }

    /// Looks for the memberships and the late opt-outs of merges after which no run did. Gives why
    /// the opt-outs cannot be looked for, where Marketo's log cannot be read.
    async fn look_after_earlier_merges(&mut self) -> Result<Option<Unwatched>, Error> {
        if self.ledger.unwatched_merges()?.is_empty() {
            return Ok(None);
        }
        // An opt-out is set also where the memberships cannot be seen to.
        let carried = self.see_carried().await;
        let unwatched = self.see_late_consent_of_earlier_runs().await?;
        carried?;
        let is_put_off = matches!(unwatched, Some(Unwatched::PutOff(_)));
        if !is_put_off && !self.stop.is_cancelled() {
            self.ledger.late_consent_seen(&self.at())?;
        }
        Ok(unwatched)
    }

    fn pending<'p>(&mut self, call: &Call, plan: &'p Plan) -> Result<Option<Pending<'p>>, Error> {
        let state = self.made_unknown(call)?;
        let Some(group) = plan.groups.iter().find(|group| group.key.as_str() == call.what.key)
        else {
            return Err(Error::UnusablePlan {
                id: plan.id.clone(),
                what: format!("call {} is of a group that it does not have", call.id),
            });
        };
        let is_old = self.age(call) > LONG_OVER;
        let over_at = self.over_at(call, state, MERGE_LIMIT);
        // Nothing leaves later than its look allows, and a look is older than the intent.
        let from = call.started_at.unwrap_or_else(self.now);
        let to = from
            + TimeDelta::from_std(most(self.clock) + self.clock.wall(2 * MARGIN))
                .unwrap_or_default();
        let losers: Vec<LeadId> = call.losers().collect();
        let mut before = BTreeMap::new();
        for id in std::iter::once(group.winner).chain(losers.iter().copied()) {
            before.extend(self.ledger.backups_of(id)?.pop().map(|backup| (id, backup.lead)));
        }
        Ok(Some(Pending {
            call: call.id,
            plan: &plan.id,
            group,
            rules: group.rules(&plan.policy),
            losers,
            state,
            said: None,
            request_id: call.request_id.clone(),
            over_at,
            left: (from, to),
            done_by: done_by(to, self.clock),
            before,
            missed: std::collections::BTreeSet::new(),
            lingers: false,
            log: Log::Silent,
            asks_log: false,
            log_until: if is_old { over_at } else { over_at + self.clock.wall(LOG_LAG) },
            made: if is_old { Made::LongAgo } else { Made::ByAnEarlierRun },
        }))
    }

    async fn settle_write(&mut self, call: &Call, plan: &Plan) -> Result<bool, Error> {
        let state = self.made_unknown(call)?;
        let changes = |lead| {
            let group = plan.groups.iter().find(|group| group.winner == lead)?;
            Some(Record { lead, changes: group.changes.clone() })
        };
        let records: Vec<Record> = match call.what.values.as_slice() {
            // An older version wrote it down: its values are the plan's.
            [] => call.winners().filter_map(changes).collect(),
            values => call
                .winners()
                .map(|lead| Record { lead, changes: changes_of(lead, values) })
                .collect(),
        };
        match state {
            State::Accepted => {
                self.ledger.record(
                    call.id,
                    &Event::Verified { survivor: None, merged: vec![] },
                    &self.at(),
                )?;
            }
            State::Refused => {
                let why = "Marketo refused it".to_owned();
                self.ledger.record(call.id, &Event::NotDone { why }, &self.at())?;
            }
            _ => {
                let over_at = self.over_at(call, state, SYNC_LIMIT);
                return Ok(!self.look_at_write(call.id, &records, over_at).await?.open);
            }
        }
        Ok(true)
    }

    async fn settle_row_call(&mut self, call: &Call) -> Result<bool, Error> {
        let Some(rows) = self.ledger.rows_of(call.id)? else { return Ok(false) };
        let state = self.made_unknown(call)?;
        let event = match state {
            // What Marketo skipped of it was written down before that.
            State::Accepted => Event::Verified { survivor: None, merged: vec![] },
            State::Refused => Event::NotDone { why: "Marketo refused it".to_owned() },
            _ => {
                let over_at = self.over_at(call, state, ROWS_LIMIT);
                return Ok(self.look_at_rows(call.id, &rows, over_at).await?.is_some());
            }
        };
        self.ledger.record(call.id, &event, &self.at())?;
        Ok(true)
    }

    /// A call that started and has no end: its process died. The journal says so from here on.
    fn made_unknown(&mut self, call: &Call) -> Result<State, Error> {
        if call.state != State::Started {
            return Ok(call.state);
        }
        let what = "the run ended before an answer came".to_owned();
        self.ledger.record(call.id, &Event::Unknown { request_id: None, what }, &self.at())?;
        Ok(State::Unknown)
    }

    /// How long ago an earlier run's call was written down, by the wall clock, which may have been
    /// set since.
    fn age(&self, call: &Call) -> Duration {
        call.started_at.and_then(|at| ((self.now)() - at).to_std().ok()).unwrap_or_default()
    }

    /// From when on an earlier run's call cannot be under way. It left before this run opened the
    /// ledger; how long before, the wall clock alone would have to tell, and a clock that was set
    /// forward would let a merge be sent again that is still under way. What was answered is over,
    /// and only what is read of it may lag.
    fn over_at(&self, call: &Call, state: State, limit: Duration) -> Instant {
        match state {
            State::Refused => Instant::now(),
            State::Accepted if self.age(call) > longest(limit, self.clock) => Instant::now(),
            _ => InFlight::begun_at(self.opened_at, limit, self.clock).over_at(),
        }
    }
}

fn changes_of(lead: LeadId, values: &[CallValue]) -> Vec<FieldChange> {
    values
        .iter()
        .filter(|value| value.lead == lead)
        .map(|value| FieldChange {
            name: value.field.clone(),
            before: value.before.clone(),
            after: value.after.clone(),
            from: None,
        })
        .collect()
}

fn removed(finding: &Finding) -> usize {
    finding.gone().len()
}
