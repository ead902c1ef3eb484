//! Opt-outs that come while a merge runs: the person says no on a record that is about to go.
//!
//! The last look cannot see them, and since March 2026 a merge lets the winner's `false` beat a
//! loser's `true`. Marketo's log of changes moves to the survivor with the merge, so it tells. It
//! is read on from where the last reading ended, which misses no row that comes late: once for so
//! many merges, and once more a while after the last one, since the log lags. Never: sets an
//! opt-out that the log does not name, or one that somebody took back since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::context::{Merge, MergeClient};
use super::error::Error;
use super::fresh::Fresh;
use super::leads::leads_of;
use super::look::Look;
use super::report::{Difference, Fate, Surprise, Unwatched};
use super::run::Run;
use super::settled::kind_of;
use super::write::record::Record;
use crate::cancel::unless_stopped;
use crate::dedupe::FieldChange;
use crate::lead::LeadId;
use crate::ledger;
use crate::marketo::{self, Since, UntilStopped};

pub(super) mod consent;
mod said;

use consent::{CLOCKS, watched};
use said::{Groups, said_no};

/// How long the log of changes may lag behind a change that came while a call ran.
const LAG: Duration = Duration::from_secs(10);

/// How many merges one reading of the log serves at least, so that it stays cheap.
const MERGES: usize = 250;

/// What became of late opt-outs.
#[derive(Default)]
struct Written {
    /// What was found of each survivor.
    told: Vec<(LeadId, Surprise)>,
    /// How many could not be set.
    lost: usize,
    /// The survivors that are to be tried again.
    put_off: BTreeSet<LeadId>,
}

impl<M: MergeClient> Merge<'_, M> {
    /// Writes opt-outs to survivors that came while their merges ran. The caller notes that it was
    /// done: the same note says that the memberships were looked for.
    pub(super) async fn see_late_consent(
        &mut self,
        run: &mut Run<'_, '_>,
        at_the_end: bool,
    ) -> Result<(), Error> {
        // The log lags: the last reading comes after the last merge, even if one came soon before.
        let due = if at_the_end { run.late.has_merges() } else { run.late.merges >= MERGES };
        if !due || run.late.fields.is_empty() || run.late.unreadable.is_some() {
            return Ok(());
        }
        if at_the_end {
            tokio::select! {
                () = self.clock.sleep(LAG) => {}
                () = self.stop.cancelled() => {}
            }
        }
        let reading = self.marketo.consent_changes_since(run.late.from.clone(), &run.late.fields);
        let (changes, next) = match self.within_grace(reading).await {
            None => return Ok(()),
            Some(Ok(read)) => read,
            Some(Err(error @ marketo::Error::Permission { .. })) => {
                run.late.unreadable = Some(error.to_string());
                return Ok(());
            }
            Some(Err(error)) => return Err(error.into()),
        };
        run.late.from = Since::Token(next);
        run.late.merges = 0;
        let of_plan = changes.into_iter().filter(|change| run.late.of_plan.contains(&change.lead));
        run.late.changes.extend(of_plan);
        let said = run.late.unseen();
        let plan = run.confirmed.plan().id.clone();
        let Written { told, lost, put_off } =
            self.write_late(&said, &plan, &run.late.groups).await?;
        run.late.put_off = put_off;
        for (survivor, surprise) in told {
            run.late.held.insert((survivor, surprise.difference.name.clone()));
            run.add_surprise(survivor, surprise);
        }
        if lost > 0 {
            run.stop_for_late_consent(lost);
        }
        Ok(())
    }

    /// The same for the merges of earlier runs that were killed before they looked. Gives why it
    /// could not be done, where the log cannot be read. The caller notes that it was done.
    pub(super) async fn see_late_consent_of_earlier_runs(
        &mut self,
    ) -> Result<Option<Unwatched>, Error> {
        let (merges, fields) = (self.ledger.unwatched_merges()?, watched(&self.facts));
        if merges.is_empty() || fields.is_empty() {
            return Ok(None);
        }
        // They may have been settled only just now.
        tokio::select! {
            () = self.clock.sleep(LAG) => {}
            () = self.stop.cancelled() => return Ok(None),
        }
        let first = merges.iter().filter_map(|merge| merge.left_at).min().unwrap_or_else(self.now);
        let since = Since::Time(first - CLOCKS);
        let reading =
            unless_stopped(&self.stop, self.marketo.consent_changes_since(since, &fields));
        let changes = match reading.await {
            Ok(None) => return Ok(None),
            Ok(Some((changes, _))) => changes,
            Err(error @ marketo::Error::Permission { .. }) => {
                return Ok(Some(Unwatched::Unreadable(error.to_string())));
            }
            Err(error) => return Err(error.into()),
        };
        let mut by_plan: BTreeMap<String, Groups> = BTreeMap::new();
        for merge in merges {
            let groups = by_plan.entry(merge.plan).or_default();
            let leads = merge.gone.into_iter().chain([merge.survivor]);
            groups.extend(leads.map(|lead| (lead, (merge.survivor, merge.key.clone()))));
        }
        let mut put_off = BTreeSet::new();
        for (plan, groups) in by_plan {
            let written = self.write_late(&said_no(&changes, &groups), &plan, &groups).await?;
            put_off.extend(written.put_off);
        }
        Ok(Unwatched::of(put_off))
    }

    /// Looks for the leads that said no, and gives what was said by the lead that is there now: the
    /// log may name one that a merge took away since. None where the run is to stop.
    async fn where_they_are(
        &self,
        said: &BTreeMap<LeadId, BTreeSet<String>>,
        groups: &Groups,
    ) -> Result<Option<(Look, BTreeMap<LeadId, BTreeSet<String>>)>, Error> {
        let into = self.ledger.merged_into()?;
        let possible = |lead: LeadId| {
            let winner = groups.get(&lead).map(|(winner, _)| *winner);
            let merged = std::iter::successors(into.get(&lead), |lead| into.get(lead));
            // No chain is longer than there are merges.
            let last = merged.take(into.len()).last().copied();
            [Some(lead), winner, last].into_iter().flatten()
        };
        let ids = leads_of(said.keys().copied().flat_map(possible));
        let Some(mut look) = self.look(&ids).await? else { return Ok(None) };
        let missing: Vec<LeadId> =
            ids.into_iter().filter(|id| !look.leads.contains_key(id)).collect();
        if !missing.is_empty() {
            let Some(again) = self.look(&missing).await? else { return Ok(None) };
            look.leads.extend(again.leads);
        }
        let mut there: BTreeMap<LeadId, BTreeSet<String>> = BTreeMap::new();
        for (lead, fields) in said {
            match possible(*lead).find(|id| look.leads.contains_key(id)) {
                Some(id) => there.entry(id).or_default().extend(fields.iter().cloned()),
                None => {
                    tracing::warn!(
                        lead,
                        ?fields,
                        "opted out while its merge ran, and its survivor is gone"
                    );
                }
            }
        }
        Ok(Some((look, there)))
    }

    /// Sets opt-outs on the survivors that lack them, and reads them back.
    async fn write_late(
        &mut self,
        said: &BTreeMap<LeadId, BTreeSet<String>>,
        plan: &str,
        groups: &Groups,
    ) -> Result<Written, Error> {
        if said.is_empty() {
            return Ok(Written::default());
        }
        let Some((look, said)) = self.where_they_are(said, groups).await? else {
            return Ok(Written::default());
        };
        let ids: Vec<LeadId> = said.keys().copied().collect();
        let missing = |look: &Look, lead: &LeadId, fields: &BTreeSet<String>| -> Vec<FieldChange> {
            let Some(survivor) = look.leads.get(lead) else { return Vec::new() };
            let unset = fields.iter().filter(|field| !survivor.flag(field));
            unset
                .map(|field| FieldChange {
                    name: field.clone(),
                    before: survivor.value(field).cloned().unwrap_or(Value::Null),
                    after: Value::Bool(true),
                    from: None,
                })
                .collect()
        };
        let unset = |look: &Look| -> Vec<Record> {
            said.iter()
                .map(|(lead, fields)| Record { lead: *lead, changes: missing(look, lead, fields) })
                .filter(|record| !record.changes.is_empty())
                .collect()
        };
        let records = unset(&look);
        if records.is_empty() {
            return Ok(Written::default());
        }
        let put_off = |records: Vec<Record>| {
            let put_off = records.into_iter().map(|record| record.lead).collect();
            Ok(Written { put_off, ..Written::default() })
        };
        self.holds.keys.learn(look.leads.values());
        // Others are writing them, or the run is to stop: nothing is lost, and it is tried again.
        let Some(aside) = self.hold_leads(&ids).await? else { return put_off(records) };
        // Nobody else writes them from here on.
        let Some(look) = self.look(&ids).await? else { return put_off(records) };
        let records = unset(&look);
        let stop = UntilStopped::after(self.stop.clone(), self.grace());
        let gate = Fresh::new(look.at, self.clock, stop);
        let purpose = crate::ledger::Purpose::Mend;
        let result = self.write(&gate, plan, purpose, records.clone()).await?;
        let Some(look) = self.look(&ids).await? else { return put_off(records) };
        self.holds.release(aside).await;
        let (mut told, mut lost, mut put_off) = (Vec::new(), Vec::new(), BTreeSet::new());
        for record in records {
            // The look became too old before the write could leave.
            if result.withheld && !result.sent.contains(&record.lead) {
                put_off.insert(record.lead);
                continue;
            }
            for change in record.changes {
                let found = look.leads.get(&record.lead).and_then(|lead| lead.value(&change.name));
                let is_set =
                    look.leads.get(&record.lead).is_some_and(|lead| lead.flag(&change.name));
                let difference = Difference {
                    lead: record.lead,
                    name: change.name,
                    wanted: change.after,
                    found: found.cloned().unwrap_or(Value::Null),
                };
                let fate = if is_set { Fate::Mended } else { Fate::Lost };
                if let (false, Some((_, key))) = (is_set, groups.get(&record.lead)) {
                    lost.push(ledger::Finding {
                        key: key.clone(),
                        lead: record.lead,
                        field: difference.name.clone(),
                        kind: kind_of(&difference.name, &self.facts),
                        wanted: difference.wanted.clone(),
                        found: difference.found.clone(),
                    });
                }
                told.push((record.lead, Surprise { difference, fate }));
            }
        }
        if !lost.is_empty() {
            self.ledger.open_findings_with(plan, &lost, &self.at())?;
        }
        Ok(Written { told, lost: lost.len(), put_off })
    }
}
