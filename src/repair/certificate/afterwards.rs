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

/// A look at merges of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// `log` or `members`.
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
    /// `carried`, `missing`, or `not_looked_for`.
    pub members: String,
    /// What the survivor lacks, in words.
    pub missing: Vec<String>,
    /// The static lists of its records.
    pub lists: Vec<Counted>,
    /// The programs of its records.
    pub programs: Vec<Counted>,
}

/// What nobody has looked for.
const NOT_LOOKED_FOR: &str = "not_looked_for";

/// From the best to the worst.
const MARKETO: [&str; 4] = ["seen", "not_seen", NOT_LOOKED_FOR, "contradicts"];
const MEMBERS: [&str; 3] = ["carried", NOT_LOOKED_FOR, "missing"];

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
    let latest = Latest::of(looks);
    let (mut lists, mut programs) = (BTreeMap::new(), BTreeMap::new());
    for group in groups.iter().filter(|group| !group.calls.is_empty()) {
        let of = latest.of_group(group);
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

/// The last look of each kind at each call.
struct Latest<'a>(BTreeMap<(&'a str, u64), (&'a str, &'a LookedAt)>);

impl<'a> Latest<'a> {
    fn of(looks: &'a [Look]) -> Self {
        let mut latest = BTreeMap::new();
        for look in looks {
            for seen in &look.calls {
                latest.insert((look.kind.as_str(), seen.call), (look.at.as_str(), seen));
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
            lists: lists(&joined),
            programs: programs(&joined),
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
        all.after.lists.extend(record.after.lists);
        all.after.programs.extend(record.after.programs);
    }
    all
}

fn lists(record: &MembersRecord) -> Vec<Counted> {
    let ids: BTreeSet<u64> =
        record.before.values().flat_map(|held| held.lists.keys()).copied().collect();
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
    let ids: BTreeSet<u64> =
        record.before.values().flat_map(|held| held.programs.keys()).copied().collect();
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
mod tests {
    use serde_json::json;

    use super::*;

    fn look(kind: &str, at: &str, calls: &[(u64, &str, Value)]) -> Look {
        let seen = |(call, verdict, body): &(u64, &str, Value)| LookedAt {
            call: *call,
            verdict: (*verdict).to_owned(),
            sha256: String::new(),
            body: Some(body.clone()),
        };
        Look {
            kind: kind.to_owned(),
            at: at.to_owned(),
            calls: calls.iter().map(seen).collect(),
            hash: String::new(),
        }
    }

    fn group(key: &str, calls: &[u64]) -> CertifiedGroup {
        CertifiedGroup {
            key: key.to_owned(),
            outcome: "merged".to_owned(),
            reason: None,
            winner: Some(1),
            removed: vec![2],
            merged_at: None,
            request_ids: vec![],
            calls: calls.to_vec(),
            decided: None,
            decisions: None,
            fields: vec![],
            others: vec![],
            rows: vec![],
            compared: true,
            hash: String::new(),
        }
    }

    #[test]
    fn the_last_look_at_a_merge_counts_and_the_worst_merge_of_a_group() {
        let groups = [group("ada", &[1, 2]), group("bob", &[3]), group("eve", &[4])];
        let none = || json!({"at": null, "winner": null, "losers": [], "user": null, "request_id": null, "why": null});
        let mut looks = vec![look(
            "log",
            "10:00",
            &[(1, "seen", none()), (2, "not_seen", none()), (3, "seen", none())],
        )];
        let words = |looks: &[Look]| -> Vec<String> {
            afterwards_of(&groups, looks).group.into_iter().map(|group| group.marketo).collect()
        };
        assert_eq!(words(&looks), ["not_seen", "seen", "not_looked_for"]);
        looks.push(look("log", "11:00", &[(2, "contradicts", none()), (4, "not_seen", none())]));
        assert_eq!(words(&looks), ["contradicts", "seen", "not_seen"]);
        let all = afterwards_of(&groups, &looks);
        assert_eq!(all.marketo_at.as_deref(), Some("11:00"));
        assert_eq!(all.marketo["contradicts"], 1);
    }

    #[test]
    fn members_that_become_one_are_collisions_and_no_loss() {
        let program = |success: bool| json!({"7": {"name": "Webinar", "success": success}});
        let body = json!({
            "before": {
                "1": {"lists": {}, "programs": program(false)},
                "2": {"lists": {"5": "News"}, "programs": program(true)},
            },
            "unknown": [],
            "after": {"lists": {"5": "News"}, "programs": program(true)},
        });
        let later = json!({
            "before": {
                "1": {"lists": {"5": "News"}, "programs": program(true)},
                "3": {"lists": {"5": "News"}, "programs": program(true)},
            },
            "unknown": [],
            "after": {"lists": {"5": "News"}, "programs": program(true)},
        });
        let looks = [look("members", "10:00", &[(1, "carried", body), (2, "carried", later)])];
        let all = afterwards_of(&[group("ada", &[1, 2])], &looks);
        let webinar = &all.programs[0];
        assert_eq!(
            (webinar.before, webinar.after, webinar.collisions, webinar.lost()),
            (3, 1, 2, 0)
        );
        assert_eq!((webinar.success_before, webinar.success_after), (2, 1));
        let news = &all.lists[0];
        assert_eq!((news.before, news.after, news.collisions), (2, 1, 1));
        assert_eq!(webinar.in_words(), "Webinar: 3 → 1, 2 of them one with another, success 2 → 1");
        assert_eq!(all.members["carried"], 1);
    }

    #[test]
    fn a_membership_that_is_gone_is_lost() {
        let body = json!({
            "before": {"2": {"lists": {"5": "News"}, "programs": {}}},
            "unknown": [],
            "after": {"lists": {}, "programs": {}},
        });
        let looks = [look("members", "10:00", &[(1, "missing", body)])];
        let all = afterwards_of(&[group("ada", &[1])], &looks);
        assert_eq!((all.lists[0].lost(), all.members["missing"]), (1, 1));
        assert_eq!(all.group[0].missing, ["list `News` (5)"]);
    }
}
