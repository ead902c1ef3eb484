//! What was seen of merges after they were settled: Marketo's own record of each, and the lists and
//! programs of the survivors. Pure.
//!
//! For: a second witness, also one that came late. The looks are records of their own that follow
//! the seal, each under the hash before it; what they come to is worked out from them here, so that
//! it can be worked out again by whoever checks. Never: changes what was sealed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CertifiedGroup;
use super::counted::Counted;
use crate::ledger::WitnessLook;
use crate::merge::{MembersRecord, WitnessRecord};

mod rows;

use rows::Late;
pub use rows::{GroupLate, LateTotals};

/// A look at merges of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// `log`, `members` or `rows`.
    pub kind: String,
    /// When.
    pub at: String,
    /// What it showed, by call.
    pub calls: Vec<LookedAt>,
    /// The chain's hash up to here; before the first one comes the seal.
    pub hash: String,
}

/// What a look showed of a merge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookedAt {
    /// The ledger's number of the call.
    pub call: u64,
    /// A word for it.
    pub verdict: String,
    /// The SHA-256 of the body.
    pub sha256: String,
    /// What was seen; null where it was erased since.
    pub body: Option<Value>,
}

/// What the looks came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Afterwards {
    /// Merged groups by what Marketo's own record says of them.
    pub marketo: BTreeMap<String, u64>,
    /// When Marketo's record was last looked for.
    pub marketo_at: Option<String>,
    /// Merged groups by whether their survivors are in all lists and programs of their records.
    pub members: BTreeMap<String, u64>,
    /// When that was last looked at.
    pub members_at: Option<String>,
    /// Static lists, over all groups.
    pub lists: Vec<Counted>,
    /// Programs, over all groups.
    pub programs: Vec<Counted>,
    /// Rows of custom objects that came to merged records late; none where nobody looked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_rows: Option<LateTotals>,
    /// The merged groups, in the order of the certificate.
    pub group: Vec<GroupAfterwards>,
}

/// What the looks came to of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupAfterwards {
    /// Its key.
    pub key: String,
    /// `seen`, `not_seen`, `contradicts`, or `not_looked_for`.
    pub marketo: String,
    /// When Marketo's record of it was last looked for.
    pub marketo_at: Option<String>,
    /// What Marketo's record says.
    pub records: Vec<WitnessRecord>,
    /// `carried`, `not_known`, `survivor_gone`, `missing`, or `not_looked_for`.
    pub members: String,
    /// What the survivor lacks, in words.
    pub missing: Vec<String>,
    /// What of its lists and programs nobody can tell, in words.
    #[serde(default)]
    pub not_known: Vec<String>,
    /// The static lists of its records.
    pub lists: Vec<Counted>,
    /// The programs of its records.
    pub programs: Vec<Counted>,
    /// Rows of custom objects that came to its merged records late; none where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_rows: Option<GroupLate>,
}

/// What nobody has looked for.
const NOT_LOOKED_FOR: &str = "not_looked_for";

/// From the best to the worst.
const MARKETO: [&str; 4] = ["seen", "not_seen", NOT_LOOKED_FOR, "contradicts"];
const MEMBERS: [&str; 5] = ["carried", NOT_KNOWN, SURVIVOR_GONE, NOT_LOOKED_FOR, MISSING];

/// Nobody can tell all of it: a backup was erased, or a list was deleted.
const NOT_KNOWN: &str = "not_known";

/// Marketo has the survivor no more.
const SURVIVOR_GONE: &str = "survivor_gone";

/// Something was not on the survivor.
const MISSING: &str = "missing";

/// The looks as the ledger has them; their hashes are worked out with the chain.
pub(super) fn looks_of(kept: Vec<WitnessLook>) -> Vec<Look> {
    let look = |look: WitnessLook| {
        let calls = look.seen.into_iter().map(|seen| LookedAt {
            call: seen.call,
            verdict: seen.verdict,
            sha256: seen.sha256,
            body: seen.body.and_then(|body| serde_json::from_str(&body).ok()),
        });
        Look { kind: look.kind, at: look.at, calls: calls.collect(), hash: String::new() }
    };
    kept.into_iter().map(look).collect()
}

/// What the looks came to.
pub(super) fn afterwards_of(groups: &[CertifiedGroup], looks: &[Look]) -> Afterwards {
    let last = |kind: &str| looks.iter().rev().find(|look| look.kind == kind);
    let mut all = Afterwards {
        marketo: MARKETO.iter().map(|word| ((*word).to_owned(), 0)).collect(),
        marketo_at: last("log").map(|look| look.at.clone()),
        members: MEMBERS.iter().map(|word| ((*word).to_owned(), 0)).collect(),
        members_at: last("members").map(|look| look.at.clone()),
        ..Afterwards::default()
    };
    let (latest, late) = (Latest::of(looks), Late::of(looks));
    all.late_rows = late.totals(looks);
    let (mut lists, mut programs) = (BTreeMap::new(), BTreeMap::new());
    for group in groups.iter().filter(|group| !group.calls.is_empty()) {
        let late_rows = late.of_calls(&group.calls);
        let of = GroupAfterwards { late_rows, ..latest.of_group(group) };
        *all.marketo.entry(of.marketo.clone()).or_default() += 1;
        *all.members.entry(of.members.clone()).or_default() += 1;
        add_all(&mut lists, &of.lists);
        add_all(&mut programs, &of.programs);
        all.group.push(of);
    }
    all.lists = lists.into_values().collect();
    all.programs = programs.into_values().collect();
    all
}

fn add_all(sums: &mut BTreeMap<u64, Counted>, of_group: &[Counted]) {
    for one in of_group {
        let sum = sums.entry(one.id).or_insert(Counted { id: one.id, ..Counted::default() });
        if sum.name.is_empty() {
            sum.name.clone_from(&one.name);
        }
        sum.before += one.before;
        sum.after += one.after;
        sum.collisions += one.collisions;
        sum.success_before += one.success_before;
        sum.success_after += one.success_after;
        sum.success_collisions += one.success_collisions;
    }
}

/// The last look of each kind at each call. One that could tell less than that something is missing
/// does not take the place of one that saw it.
struct Latest<'a>(BTreeMap<(&'a str, u64), (&'a str, &'a LookedAt)>);

impl<'a> Latest<'a> {
    fn of(looks: &'a [Look]) -> Self {
        let mut latest: BTreeMap<(&str, u64), (&str, &LookedAt)> = BTreeMap::new();
        for look in looks {
            for seen in &look.calls {
                let call = (look.kind.as_str(), seen.call);
                let was_missing =
                    latest.get(&call).is_some_and(|(_, before)| before.verdict == MISSING);
                let tells_less = [NOT_KNOWN, SURVIVOR_GONE].contains(&seen.verdict.as_str());
                if !(was_missing && tells_less) {
                    latest.insert(call, (look.at.as_str(), seen));
                }
            }
        }
        Self(latest)
    }

    /// The looks of a kind at the merges of a group; none in the place of one that was not looked
    /// at.
    fn of_calls(&self, kind: &'a str, calls: &[u64]) -> Vec<Option<(&'a str, &'a LookedAt)>> {
        calls.iter().map(|call| self.0.get(&(kind, *call)).copied()).collect()
    }

    fn of_group(&self, group: &CertifiedGroup) -> GroupAfterwards {
        let logs = self.of_calls("log", &group.calls);
        let members = self.of_calls("members", &group.calls);
        let bodies = |looks: &[Option<(&str, &LookedAt)>]| -> Vec<Value> {
            looks.iter().flatten().filter_map(|(_, seen)| seen.body.clone()).collect()
        };
        let records = bodies(&logs).into_iter().filter_map(|body| {
            let record: WitnessRecord = serde_json::from_value(body).ok()?;
            (!record.losers.is_empty()).then_some(record)
        });
        let held: Vec<MembersRecord> = bodies(&members)
            .into_iter()
            .filter_map(|body| serde_json::from_value(body).ok())
            .collect();
        let joined = joined(held);
        let last = logs.iter().flatten().map(|(at, _)| (*at).to_owned()).max();
        GroupAfterwards {
            key: group.key.clone(),
            marketo: worst(&MARKETO, &logs),
            marketo_at: last,
            records: records.collect(),
            members: worst(&MEMBERS, &members),
            missing: joined.missing().into_iter().collect(),
            not_known: joined.not_known().into_iter().collect(),
            lists: lists(&joined),
            programs: programs(&joined),
            late_rows: None,
        }
    }
}

/// The worst of several verdicts; what nobody has looked at counts as that.
fn worst(order: &[&str], looks: &[Option<(&str, &LookedAt)>]) -> String {
    let rank = |look: &Option<(&str, &LookedAt)>| {
        let word = look.map_or(NOT_LOOKED_FOR, |(_, seen)| seen.verdict.as_str());
        order.iter().position(|known| *known == word).unwrap_or(order.len())
    };
    let worst = looks.iter().map(rank).max().unwrap_or_default();
    order.get(worst).copied().unwrap_or(NOT_LOOKED_FOR).to_owned()
}

/// Several merges of one group: each record before the first one, the survivor after the last one.
fn joined(records: Vec<MembersRecord>) -> MembersRecord {
    let mut all = MembersRecord::default();
    for record in records {
        for (lead, held) in record.before {
            all.before.entry(lead).or_insert(held);
        }
        all.unknown.extend(record.unknown);
        all.gone |= record.gone;
        all.ended.lists.extend(record.ended.lists);
        all.ended.programs.extend(record.ended.programs);
        all.after.lists.extend(record.after.lists);
        all.after.programs.extend(record.after.programs);
    }
    all
}

/// Lists whose members can be compared: nobody can be counted on a deleted one, and a survivor that
/// is gone is on none.
fn lists(record: &MembersRecord) -> Vec<Counted> {
    let all = record.before.values().filter(|_| !record.gone).flat_map(|held| held.lists.keys());
    let ids: BTreeSet<u64> = all.filter(|id| !record.ended.lists.contains(id)).copied().collect();
    let counted = |id: u64| {
        let names = || record.before.values().filter_map(|held| held.lists.get(&id));
        let before = names().count() as u64;
        Counted {
            id,
            name: names().find(|name| !name.is_empty()).cloned().unwrap_or_default(),
            before,
            after: u64::from(record.after.lists.contains_key(&id)),
            collisions: before.saturating_sub(1),
            ..Counted::default()
        }
    };
    ids.into_iter().map(counted).collect()
}

fn programs(record: &MembersRecord) -> Vec<Counted> {
    let all = record.before.values().filter(|_| !record.gone).flat_map(|held| held.programs.keys());
    let ended = &record.ended.programs;
    let ids: BTreeSet<u64> = all.filter(|id| !ended.contains(id)).copied().collect();
    let counted = |id: u64| {
        let members = || record.before.values().filter_map(|held| held.programs.get(&id));
        let before = members().count() as u64;
        let after = record.after.programs.get(&id);
        let success_before = members().filter(|member| member.success).count() as u64;
        let name = members().find(|member| !member.name.is_empty());
        Counted {
            id,
            name: name.map(|member| member.name.clone()).unwrap_or_default(),
            before,
            after: u64::from(after.is_some()),
            collisions: before.saturating_sub(1),
            success_before,
            success_after: u64::from(after.is_some_and(|member| member.success)),
            success_collisions: success_before.saturating_sub(1),
        }
    };
    ids.into_iter().map(counted).collect()
}

#[cfg(test)]
mod tests;
