//! What is to be done about a lost lead, decided from its backup and from what is there now. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::find::{Loss, Rows};
use super::live::{Live, id_of};
use super::membership::{MemberRows, membership, named, not_to_be_lowered};
use super::report::{FormerValue, Missing, Named, ValueOf, WinnerReport};
use super::words;
use crate::dedupe::{FieldChange, FieldFacts, differs_by_nature};
use crate::lead::{Crm, Lead, LeadId};
use crate::merge::member_fields::of_member;

/// Where a lead stands in the CRM is the CRM's.
const OF_THE_CRM: [&str; 5] =
    ["sfdcId", "sfdcType", "sfdcLeadId", "sfdcContactId", "sfdcAccountId"];

/// What every record has of itself, and nobody would miss.
const SET_BY_MARKETO: [&str; 4] = ["isLead", "isAnonymous", "mktoIsPartner", "mktoIsCustomer"];

/// What a lost lead gets.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wanted {
    /// The values that are sent, in the order of their names.
    pub(super) fields: Vec<ValueOf>,
    pub(super) partition: Option<u64>,
    pub(super) lists: Vec<Named>,
    /// Each with the fields of the member.
    pub(super) programs: Vec<(Named, Map<String, Value>)>,
    pub(super) missing: Vec<Missing>,
}

/// What becomes of the lead that took the lost one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct WinnerWanted {
    pub(super) report: WinnerReport,
    /// Those of the programs in which it was a member and is none now: nothing is to be ended.
    pub(super) put_back: BTreeSet<u64>,
    pub(super) missing: Vec<Missing>,
}

/// What the lead gets that is made anew. `with_status` of a membership is its own.
pub(super) fn wanted(
    lead: &Lead,
    lists: Option<&Rows>,
    programs: Option<&Rows>,
    facts: &FieldFacts,
) -> Wanted {
    let mut wanted = Wanted { partition: lead.partition_id(), ..Wanted::default() };
    let mut unwriteable = Vec::new();
    for (name, value) in &lead.fields {
        // A new record reads false by itself.
        let says_nothing = facts.holds(name, value, &Value::Null);
        if differs_by_nature(name)
            || name == "leadPartitionId"
            || OF_THE_CRM.contains(&name.as_str())
            || says_nothing
        {
            continue;
        }
        if facts.is_writeable(name) {
            wanted.fields.push(ValueOf { name: name.clone(), value: value.clone() });
        } else {
            unwriteable.push(name.clone());
        }
    }
    wanted.missing.extend(words::never());
    if lead.crm() != Crm::None {
        let why = "it can come back in the CRM alone, from its recycle bin";
        wanted.missing.push(Missing::new("CRM record", why));
    }
    unwriteable.retain(|name| !SET_BY_MARKETO.contains(&name.as_str()));
    if !unwriteable.is_empty() {
        let why = "Marketo lets no caller write them";
        wanted.missing.push(Missing::new(unwriteable.join(", "), why));
    }
    match lists {
        Some(rows) => wanted.lists.extend(rows.iter().filter_map(named)),
        None => wanted.missing.push(Missing::new("static lists", "the backup did not read them")),
    }
    match programs {
        Some(rows) => wanted.programs.extend(rows.iter().filter_map(membership)),
        None => wanted.missing.push(Missing::new("programs", "the backup did not read them")),
    }
    if !wanted.programs.is_empty() {
        let what = "membership and success dates, stream and cadence";
        wanted.missing.push(Missing::new(what, "a membership is made anew"));
    }
    if programs.is_some_and(|rows| rows.iter().any(|row| !of_member(row).1)) {
        let why =
            "the backup does not hold them: an older version took it, or Marketo did not show them";
        wanted.missing.push(Missing::new("fields of program members", why));
    }
    wanted
}

/// What the lead that took the lost one gets back, and what it leaves.
pub(super) fn winner_wanted(
    loss: &Loss,
    live: &Live,
    facts: &FieldFacts,
    lower_status: bool,
) -> WinnerWanted {
    let id = loss.merged.winner;
    let of_winner = format!("former values and memberships of record {id}");
    let mut wanted = WinnerWanted::default();
    wanted.report.id = id;
    let (Some(gone), Some(winner)) = (&loss.backup, &loss.winner) else {
        wanted.missing.push(Missing::new(of_winner, "they are not in the ledger"));
        return wanted;
    };
    let Some(now) = live.lead.as_ref().filter(|lead| lead.id == id) else {
        let why = format!("it went into record {} since, or is gone", loss.survivor);
        wanted.missing.push(Missing::new(of_winner, why));
        return wanted;
    };
    former_values(&mut wanted, loss, (&gone.lead, &winner.lead), now, facts);
    let of_others = |rows: fn(&crate::ledger::Backup) -> Option<&Rows>| -> BTreeSet<u64> {
        loss.others.iter().filter_map(rows).flatten().filter_map(id_of).collect()
    };
    if let (Some(lists), Some(own)) = (&gone.lists, &winner.lists) {
        let kept: BTreeSet<u64> = own.iter().filter_map(id_of).collect();
        let others = of_others(|backup| backup.lists.as_ref());
        let on: BTreeSet<u64> = live.lists.iter().filter_map(id_of).collect();
        let got = lists.iter().filter_map(named).filter(|list| {
            on.contains(&list.id) && !kept.contains(&list.id) && !others.contains(&list.id)
        });
        wanted.report.lists_left.extend(got);
    }
    if let (Some(programs), Some(own)) = (&gone.programs, &winner.programs) {
        let others = of_others(|backup| backup.programs.as_ref());
        for row in programs {
            let Some(id) = id_of(row).filter(|id| !others.contains(id)) else { continue };
            let rows = MemberRows {
                gone: row,
                own: row_of(own, id),
                now: row_of(&live.programs, id),
                went_on: loss.earlier.is_some(),
            };
            former_status(&mut wanted, &rows, lower_status);
        }
    }
    wanted
}

/// Whether a status goes back, at the price of the membership that is there now.
fn former_status(wanted: &mut WinnerWanted, rows: &MemberRows<'_>, lower_status: bool) {
    let Some((program, _)) = membership(rows.gone) else { return };
    let id = wanted.report.id;
    let then = rows.own.and_then(membership).map(|(then, _)| then);
    let now = rows.now.and_then(membership).map(|(now, _)| now);
    let is_as_before = match (&then, &now) {
        (None, None) => true,
        (Some(then), Some(now)) => then.status == now.status,
        _ => false,
    };
    if is_as_before {
        return;
    }
    let back = Named { status: then.and_then(|then| then.status), ..program };
    // An earlier run may have ended it, and been cut short before it made it anew.
    let may_be_ours = rows.went_on;
    if now.is_none() && (may_be_ours || lower_status) && back.status.is_some() {
        wanted.put_back.insert(back.id);
        wanted.report.programs_left.push(back);
    } else if !lower_status {
        wanted.missing.push(stays(id, &back, now.is_none()));
    } else if let Some(why) = not_to_be_lowered(rows) {
        let what = format!("program {} of record {id}", in_words(&back));
        wanted.missing.push(Missing::new(what, why));
    } else {
        wanted.report.programs_left.push(back);
    }
}

fn stays(id: LeadId, program: &Named, is_out: bool) -> Missing {
    let what = format!("program {} of record {id}", in_words(program));
    if is_out {
        let why =
            "it was a member before the merge and is none now; --lower-status makes it one again";
        return Missing::new(what, why);
    }
    let to = program.status.as_ref().map_or_else(
        || "it stays a member".to_owned(),
        |status| format!("it does not go back to {status}"),
    );
    let why = format!(
        "{to}: Marketo only raises a status; --lower-status takes it out and puts it back, at the price of its dates, success and stream"
    );
    Missing::new(what, why)
}

fn row_of(rows: &Rows, program: u64) -> Option<&Map<String, Value>> {
    rows.iter().find(|row| id_of(row) == Some(program))
}

/// A list or program as it is told.
pub(super) fn in_words(named: &Named) -> String {
    if named.name.is_empty() { named.id.to_string() } else { format!("\"{}\"", named.name) }
}

/// The values that the merge, or the write before it, gave to the winner, and that it still holds.
fn former_values(
    wanted: &mut WinnerWanted,
    loss: &Loss,
    (gone, winner): (&Lead, &Lead),
    now: &Lead,
    facts: &FieldFacts,
) {
    let id = loss.merged.winner;
    let null = Value::Null;
    let changes: BTreeMap<&str, &FieldChange> =
        loss.changes.iter().map(|change| (change.name.as_str(), change)).collect();
    let names: BTreeSet<&str> =
        gone.fields.keys().map(String::as_str).chain(changes.keys().copied()).collect();
    let mut nos = BTreeSet::new();
    let mut back: Vec<FormerValue> = Vec::new();
    for name in names {
        if differs_by_nature(name) || name == "leadPartitionId" {
            continue;
        }
        let change = changes.get(name);
        let before = change
            .map_or_else(|| winner.value(name), |change| Some(&change.before))
            .unwrap_or(&null);
        let held = now.value(name).unwrap_or(&null);
        if facts.holds(name, held, before) {
            continue;
        }
        let is_planned = change.is_some_and(|change| facts.holds(name, held, &change.after));
        // A blank of the lost lead's, too, where the plan took it from there.
        let is_taken = is_planned && change.is_some_and(|change| change.from == Some(gone.id));
        let is_lost_ones =
            is_taken || gone.value(name).is_some_and(|value| facts.holds(name, held, value));
        let of_another = loss.others.iter().any(|other| {
            other.lead.value(name).is_some_and(|value| facts.holds(name, held, value))
        });
        // What neither gave, somebody else wrote since.
        let is_made = is_planned && change.is_some_and(|change| change.from.is_none());
        if !is_lost_ones && !is_made {
            continue;
        }
        let made_of_several = is_made && !loss.others.is_empty();
        if of_another || made_of_several {
            let why = "other records that went into it, and are still lost, have a part in it";
            wanted.missing.push(Missing::new(format!("`{name}` of record {id}"), why));
        } else if facts.takes_back_a_no(name, held, before) {
            nos.insert(name.to_owned());
        } else if !facts.is_writeable(name) {
            let why = "Marketo lets no caller write it";
            wanted.missing.push(Missing::new(format!("`{name}` of record {id}"), why));
        } else {
            back.push(FormerValue {
                name: name.to_owned(),
                before: held.clone(),
                after: before.clone(),
            });
        }
    }
    // The reason of a no stays with it.
    back.retain(|value| {
        let flag = facts.flag_explained_by(&value.name);
        let explains_a_no = flag.is_some_and(|flag| nos.contains(flag));
        if explains_a_no {
            nos.insert(value.name.clone());
        }
        !explains_a_no
    });
    wanted.report.fields = back;
    wanted.missing.extend(nos.into_iter().map(|name| {
        let why = "it may be a person's no, which is never taken back; set it in Marketo if you know better";
        Missing::new(format!("`{name}` of record {id}"), why)
    }));
}

#[cfg(test)]
mod tests;
