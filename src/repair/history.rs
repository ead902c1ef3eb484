//! What a run did with each of its groups: the leads before it, the values that were planned, what
//! was dropped.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::dedupe::{Dropped, FieldChange, PlannedGroup};
use crate::lead::LeadId;
use crate::ledger::{
    KeptBackup, Ledger, MergedLead, PastLeftAlone, PastRun, Role, WrittenNotMerged,
};
use crate::merge::{Error, planned_groups};

/// A group in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupHistory {
    /// What its leads had in common.
    pub key: String,
    /// The word of the contract; `unknown` where the run was killed before the group's end.
    pub outcome: String,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// The lead that stayed, or was to stay.
    pub winner: Option<LeadId>,
    /// The leads that are gone.
    pub removed: Vec<LeadId>,
    /// All its leads, as the run took it up.
    pub leads: Vec<LeadId>,
    /// When the run decided to leave it alone, where it did and that was kept.
    pub left_alone_at: Option<DateTime<Utc>>,
    /// What was written to the lead that was to stay, where its merge was not made.
    pub written: Option<Written>,
    /// When its first merge left.
    pub merged_at: Option<DateTime<Utc>>,
    /// Marketo's ids of the merges.
    pub request_ids: Vec<String>,
    /// The ledger's numbers of the merges.
    #[serde(skip)]
    pub calls: Vec<u64>,
    /// The leads as they were before, by id.
    pub before: Vec<KeptLead>,
    /// What was planned; none where the plan cannot be read any more.
    #[serde(flatten)]
    pub planned: Planned,
}

/// What a plan said of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Planned {
    /// The values that the winner got before the merge.
    pub fields: Vec<FieldChange>,
    /// The values that the merge destroyed.
    pub dropped: Vec<Dropped>,
}

/// What was written for a merge that was not made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// The lead that was written to, or may have been.
    pub lead: LeadId,
    /// Whether a look has shown that nothing more of it is to be given back.
    pub settled: bool,
    /// The values.
    pub fields: Vec<WrittenField>,
}

/// A value that was written for a merge that was not made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenField {
    /// The field's REST API name.
    pub name: String,
    /// What it held; null also where that was erased.
    pub before: Value,
    /// What was written.
    pub after: Value,
    /// Whether the former value was written again.
    pub given_back: bool,
}

/// A lead before its merge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptLead {
    /// The lead.
    pub id: LeadId,
    /// `winner` or `loser`.
    pub role: &'static str,
    /// Whether its values were erased since.
    pub erased: bool,
    /// Its values.
    pub fields: BTreeMap<String, Value>,
    /// Its static lists; `None` where they were not read.
    pub lists: Option<Vec<Map<String, Value>>>,
    /// Its programs; `None` where they were not read.
    pub programs: Option<Vec<Map<String, Value>>>,
}

/// The groups of a run, by key. With an address only those in which a lead had it.
pub fn history_of(
    ledger: &Ledger,
    run: &PastRun,
    email: Option<&str>,
) -> Result<Vec<GroupHistory>, Error> {
    let Some(plan) = &run.plan else { return Ok(Vec::new()) };
    let of_run = |merged: &MergedLead| merged.run == Some(run.id);
    let merged: Vec<MergedLead> = ledger.merged_leads()?.into_iter().filter(of_run).collect();
    let ends = ledger.ends_of_run(run.id)?;
    let left_alone = ledger.left_alone_of(run.id)?.unwrap_or_default();
    let written = ledger.written_not_merged(run.id)?;
    let winners: Vec<LeadId> = ends
        .iter()
        .map(|end| end.winner)
        .chain(merged.iter().map(|merged| merged.winner))
        .chain(written.iter().map(|written| written.lead))
        .collect();
    // A plan of another version tells nothing of its groups; the calls and the backups still do.
    let planned = planned_groups(ledger, plan, &winners)?;
    let mut before = before(ledger, plan)?;
    let mut groups: BTreeMap<String, GroupHistory> = BTreeMap::new();
    let by_winner: BTreeMap<LeadId, &PlannedGroup> =
        planned.iter().map(|group| (group.winner, group)).collect();
    for end in ends {
        let Some(group) = by_winner.get(&end.winner) else { continue };
        let entry = groups.entry(group.key.as_str().to_owned()).or_insert_with(|| empty(group));
        (entry.outcome, entry.reason) = (end.outcome, end.reason);
    }
    add_left_alone(&mut groups, left_alone);
    for one in merged {
        let of_key = |group: &&&PlannedGroup| group.key.as_str() == one.key;
        let entry = groups.entry(one.key.clone()).or_insert_with(|| {
            let planned = by_winner.values().find(of_key);
            planned.map_or_else(|| unplanned(&one.key), |group| empty(group))
        });
        entry.winner = Some(one.winner);
        entry.removed.push(one.loser);
        entry.merged_at = Some(entry.merged_at.map_or(one.at, |at| at.min(one.at)));
        if let Some(id) = one.request_id.filter(|id| !entry.request_ids.contains(id)) {
            entry.request_ids.push(id);
        }
        if !entry.calls.contains(&one.call) {
            entry.calls.push(one.call);
        }
    }
    for one in written {
        let key = by_winner.get(&one.lead).map(|group| group.key.as_str().to_owned());
        let backed_up = || before.iter().find(|(_, leads)| leads.contains_key(&one.lead));
        let key = key.or_else(|| backed_up().map(|(key, _)| key.clone()));
        let entry = groups.entry(key.unwrap_or_default());
        let entry = entry.or_insert_with_key(|key| match by_winner.get(&one.lead) {
            Some(group) => empty(group),
            None => GroupHistory { winner: Some(one.lead), ..unplanned(key) },
        });
        let stays = one.stays();
        entry.written = Some(written_of(one));
        if stays && entry.outcome == UNKNOWN && entry.removed.is_empty() {
            PREPARED.clone_into(&mut entry.outcome);
        }
    }
    for (key, group) in &mut groups {
        group.before = before.remove(key).unwrap_or_default().into_values().collect();
        group.removed.sort_unstable();
        if group.leads.is_empty() {
            let known = group.before.iter().map(|lead| lead.id);
            let leads: BTreeSet<LeadId> =
                known.chain(group.winner).chain(group.removed.iter().copied()).collect();
            group.leads = leads.into_iter().collect();
        }
        if group.outcome == UNKNOWN && is_all_gone(group) {
            "merged".clone_into(&mut group.outcome);
        }
    }
    let has_email = |group: &GroupHistory| {
        email.is_none_or(|email| {
            let is_it = |held: &str| held.trim().eq_ignore_ascii_case(email.trim());
            let held = |lead: &KeptLead| lead.fields.get("email")?.as_str().map(is_it);
            is_it(&group.key) || group.before.iter().any(|lead| held(lead) == Some(true))
        })
    };
    Ok(groups.into_values().filter(has_email).collect())
}

/// How a group ended that its run did not come to the end of.
const UNKNOWN: &str = "unknown";

/// How a group ended whose record to keep was written to, and that was not merged.
const PREPARED: &str = "prepared";

/// How a group ended that was left alone.
const SKIPPED: &str = "skipped";

fn is_all_gone(group: &GroupHistory) -> bool {
    let losers = group.before.iter().filter(|lead| Some(lead.id) != group.winner);
    let gone: BTreeSet<LeadId> = group.removed.iter().copied().collect();
    !gone.is_empty() && losers.map(|lead| lead.id).all(|id| gone.contains(&id))
}

/// Those that the run left alone, also the ones that it was not to merge.
fn add_left_alone(groups: &mut BTreeMap<String, GroupHistory>, left_alone: Vec<PastLeftAlone>) {
    for PastLeftAlone { group, at } in left_alone {
        let entry = groups.entry(group.key).or_insert_with_key(|key| unplanned(key));
        SKIPPED.clone_into(&mut entry.outcome);
        entry.reason = group.reason;
        entry.winner = group.winner;
        entry.leads = group.leads;
        entry.left_alone_at = Some(at);
    }
}

fn written_of(one: WrittenNotMerged) -> Written {
    let field = |value: crate::ledger::WrittenValue| WrittenField {
        name: value.name,
        before: value.before,
        after: value.after,
        given_back: value.given_back,
    };
    Written {
        lead: one.lead,
        settled: one.looked,
        fields: one.values.into_iter().map(field).collect(),
    }
}

fn empty(group: &PlannedGroup) -> GroupHistory {
    let planned = Planned { fields: group.changes.clone(), dropped: group.dropped.clone() };
    let mut leads: Vec<LeadId> = group.leads().collect();
    leads.sort_unstable();
    GroupHistory { winner: Some(group.winner), leads, planned, ..unplanned(group.key.as_str()) }
}

fn unplanned(key: &str) -> GroupHistory {
    GroupHistory {
        key: key.to_owned(),
        outcome: UNKNOWN.to_owned(),
        reason: None,
        winner: None,
        removed: Vec::new(),
        leads: Vec::new(),
        left_alone_at: None,
        written: None,
        merged_at: None,
        request_ids: Vec::new(),
        calls: Vec::new(),
        before: Vec::new(),
        planned: Planned::default(),
    }
}

/// The first backup of each lead under a plan, by key: a later one may hold what the program wrote
/// for the merge.
fn before(
    ledger: &Ledger,
    plan: &str,
) -> Result<BTreeMap<String, BTreeMap<LeadId, KeptLead>>, Error> {
    let mut before: BTreeMap<String, BTreeMap<LeadId, KeptLead>> = BTreeMap::new();
    let mut failed = None;
    ledger.each_backup(|backup| {
        match backup {
            Ok(backup) if backup.plan == plan => {
                let of_key = before.entry(backup.key.clone()).or_default();
                of_key.entry(backup.lead.id).or_insert_with(|| kept_lead(backup));
            }
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
        std::ops::ControlFlow::Continue(())
    })?;
    failed.map_or(Ok(before), |error| Err(error.into()))
}

fn kept_lead(backup: KeptBackup) -> KeptLead {
    KeptLead {
        id: backup.lead.id,
        role: match backup.role {
            Role::Winner => "winner",
            Role::Loser => "loser",
        },
        erased: backup.erased,
        fields: backup.lead.fields,
        lists: backup.lists,
        programs: backup.programs,
    }
}
