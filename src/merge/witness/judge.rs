//! What the rows of Marketo's log say of a merge. Pure.
//!
//! For: who stayed and who went is compared with our own account, and so are the user and the call
//! that a row names. How an instance spells those two is documented nowhere: equal ids of the call
//! mean ours, and a name that differs means another merge only where this instance has named ours.
//! Until then it is a note. Never: an alarm about a spelling.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::lead::LeadId;
use crate::ledger::Unwitnessed;
use crate::marketo::MergeRecord;
use crate::merge::leads::{end_of, leads_of};

/// What Marketo's log says of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// It names the merge, with the records that went and the one that stayed.
    Seen,
    /// No row of it is there yet.
    NotSeen,
    /// It tells of another merge than ours.
    Contradicts,
}

impl Witness {
    /// The word of JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::NotSeen => "not_seen",
            Self::Contradicts => "contradicts",
        }
    }
}

/// What the rows say that tell of a merge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessRecord {
    /// When, to the second.
    pub at: Option<DateTime<Utc>>,
    /// The record that stayed, by the log.
    pub winner: Option<LeadId>,
    /// The records that went, by the log.
    pub losers: Vec<LeadId>,
    /// Who made it, where the log says so.
    pub user: Option<String>,
    /// Marketo's id of the call, where the log says so.
    pub request_id: Option<String>,
    /// What contradicts our own account, in words.
    pub why: Option<String>,
    /// What it names otherwise than we do, and is no sign of another merge; in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether it names our user.
    #[serde(default, skip_serializing_if = "is_false")]
    pub same_user: bool,
    /// Whether it names our call.
    #[serde(default, skip_serializing_if = "is_false")]
    pub same_request: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// By which names this instance's log has called what was ours. Another name is a sign of another
/// merge only where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Our users, in small letters.
    users: BTreeSet<String>,
    /// Whether it names calls by the ids that their answers have.
    requests: bool,
}

impl Known {
    /// What these rows show of it.
    pub(super) fn of(merges: &[Unwitnessed], records: &[MergeRecord]) -> Self {
        let ours: BTreeSet<&String> =
            merges.iter().filter_map(|merge| merge.request_id.as_ref()).collect();
        let users = records.iter().filter(|row| is_our_user(row));
        let is_our_call =
            |row: &MergeRecord| row.request_id.as_ref().is_some_and(|id| ours.contains(id));
        Self {
            users: users
                .filter_map(|row| row.user.as_ref())
                .map(|user| user.to_lowercase())
                .collect(),
            requests: records.iter().any(is_our_call),
        }
    }

    /// The same with what was shown before.
    #[must_use]
    pub(super) fn and(mut self, users: &[String], requests: bool) -> Self {
        self.users.extend(users.iter().map(|user| user.to_lowercase()));
        self.requests |= requests;
        self
    }
}

fn is_our_user(row: &MergeRecord) -> bool {
    row.user.is_some() && !row.by_another_user
}

fn is_our_call(merge: &Unwitnessed, row: &MergeRecord) -> bool {
    merge.request_id.is_some() && row.request_id == merge.request_id
}

/// What these rows say of a merge. `into` tells where survivors went since, and
/// `known` how this instance names ours.
pub(super) fn judge(
    merge: &Unwitnessed,
    records: &[MergeRecord],
    into: &BTreeMap<LeadId, LeadId>,
    known: &Known,
) -> (Witness, WitnessRecord) {
    let concerns = |record: &&MergeRecord| {
        !record.losers.is_empty()
            && (is_our_call(merge, record)
                || record.losers.iter().any(|lead| merge.gone.contains(lead)))
    };
    let rows: Vec<&MergeRecord> = records.iter().filter(concerns).collect();
    let Some(first) = rows.first() else { return (Witness::NotSeen, WitnessRecord::default()) };
    let is_of_our_call = |row: &MergeRecord| is_our_call(merge, row);
    let mut said = WitnessRecord {
        at: first.at,
        winner: Some(first.then.unwrap_or(first.winner)),
        losers: leads_of(rows.iter().flat_map(|row| row.losers.iter().copied())),
        user: first_of(&rows, is_our_user, |row| row.user.clone()),
        request_id: first_of(&rows, is_of_our_call, |row| row.request_id.clone()),
        why: rows.iter().find_map(|row| contradiction(merge, row, into, known)),
        note: None,
        same_user: rows.iter().any(|row| is_our_user(row)),
        same_request: rows.iter().any(|row| is_of_our_call(row)),
    };
    if said.why.is_some() {
        return (Witness::Contradicts, said);
    }
    said.note = rows.iter().find_map(|row| note(merge, row, known));
    let named: BTreeSet<&LeadId> = said.losers.iter().collect();
    let is_whole = merge.gone.iter().all(|lead| named.contains(lead));
    (if is_whole { Witness::Seen } else { Witness::NotSeen }, said)
}

/// What a row says, best one of ours.
fn first_of<T>(
    rows: &[&MergeRecord],
    is_ours: impl Fn(&MergeRecord) -> bool,
    says: impl Fn(&MergeRecord) -> Option<T>,
) -> Option<T> {
    let of_ours = rows.iter().filter(|row| is_ours(row)).find_map(|row| says(row));
    of_ours.or_else(|| rows.iter().find_map(|row| says(row)))
}

/// What a row says otherwise than our own account of the merge, in words.
fn contradiction(
    merge: &Unwitnessed,
    row: &MergeRecord,
    into: &BTreeMap<LeadId, LeadId>,
    known: &Known,
) -> Option<String> {
    let winner = row.then.unwrap_or(row.winner);
    let lives_in = |lead: LeadId| row.then.is_none() && end_of(merge.survivor, into) == Some(lead);
    if winner != merge.survivor && !lives_in(winner) {
        return Some(format!(
            "Marketo's log says that lead {winner} stayed, not lead {}",
            merge.survivor
        ));
    }
    let is_ours = |lead: &LeadId| *lead != merge.survivor && merge.leads.contains(lead);
    let strangers: Vec<String> =
        row.losers.iter().filter(|lead| !is_ours(lead)).map(ToString::to_string).collect();
    if !strangers.is_empty() {
        return Some(format!(
            "Marketo's log says that it took lead {} too, which was no part of it",
            strangers.join(", ")
        ));
    }
    if let Some(user) = other_user(merge, row, known).filter(|_| !known.users.is_empty()) {
        return Some(format!("Marketo's log says that another user made it: {user}"));
    }
    let (ours, theirs) = other_call(merge, row).filter(|_| known.requests)?;
    Some(format!("Marketo's log says that it was made by the call {theirs}, not by {ours}"))
}

/// The user that a row names, where it is not known for one of ours. Our own call is ours, whoever
/// made it.
fn other_user<'r>(merge: &Unwitnessed, row: &'r MergeRecord, known: &Known) -> Option<&'r str> {
    let user = row.user.as_deref().filter(|_| row.by_another_user)?;
    (!is_our_call(merge, row) && !known.users.contains(&user.to_lowercase())).then_some(user)
}

/// Our id of the call and the one that a row names, where they differ.
fn other_call<'r>(merge: &'r Unwitnessed, row: &'r MergeRecord) -> Option<(&'r str, &'r str)> {
    let ids = (merge.request_id.as_deref()?, row.request_id.as_deref()?);
    (ids.0 != ids.1).then_some(ids)
}

/// What a row names otherwise than we do, where nothing shows how this instance names ours.
fn note(merge: &Unwitnessed, row: &MergeRecord, known: &Known) -> Option<String> {
    let user = other_user(merge, row, known)
        .map(|user| format!("the user {user}, where Marketo's token names this program otherwise"));
    let call = other_call(merge, row)
        .map(|(ours, theirs)| format!("the call {theirs}, where Marketo's answer named {ours}"));
    let named: Vec<String> = user.into_iter().chain(call).collect();
    (!named.is_empty()).then(|| {
        format!(
            "Marketo's log names {}; it has not named ours in the same way yet, so that this may \
             be another spelling of the same",
            named.join(", and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    const OURS: &str = "a1#1";

    fn merge() -> Unwitnessed {
        // The journal alone makes ids of calls; the judgement does not look at it.
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "example").unwrap();
        ledger.save_plan("p", "2026-11-29T01:00:00Z", "{}").unwrap();
        let new = crate::ledger::NewCall {
            kind: crate::ledger::CallKind::Write,
            key: String::new(),
            leads: Vec::new(),
            purpose: crate::ledger::Purpose::default(),
            values: Vec::new(),
        };
        let calls = ledger.plan_calls("p", &[new], "2026-11-29T01:00:00Z").unwrap();
        Unwitnessed {
            call: calls[0],
            plan: "p".to_owned(),
            key: "ada@example.com".to_owned(),
            survivor: 1,
            gone: vec![2, 3],
            leads: vec![1, 2, 3],
            left_at: "2026-11-29T01:00:00Z".parse().unwrap(),
            request_id: Some(OURS.to_owned()),
        }
    }

    fn row(losers: &[LeadId]) -> MergeRecord {
        MergeRecord {
            winner: 1,
            then: Some(1),
            losers: losers.to_vec(),
            at: None,
            request_id: None,
            user: None,
            method: None,
            source: None,
            by_another_user: false,
        }
    }

    fn said(rows: &[MergeRecord], into: &[(LeadId, LeadId)]) -> (Witness, Option<String>) {
        let into = into.iter().copied().collect();
        let known = Known::default().and(&["api@example.com".to_owned()], true);
        let (witness, record) = judge(&merge(), rows, &into, &known);
        assert_eq!(record.note, None, "where it is known how ours are named");
        (witness, record.why)
    }

    fn of_user(user: &str, request_id: Option<&str>) -> MergeRecord {
        MergeRecord {
            user: Some(user.to_owned()),
            by_another_user: !user.eq_ignore_ascii_case("api@example.com"),
            request_id: request_id.map(str::to_owned),
            ..row(&[2, 3])
        }
    }

    #[test]
    fn another_spelling_is_noted_until_the_instance_has_named_ours() {
        let judged = |row: &MergeRecord, known: &Known| {
            let (witness, record) =
                judge(&merge(), std::slice::from_ref(row), &BTreeMap::new(), known);
            (witness, record.note.unwrap_or_default(), record.why.unwrap_or_default())
        };
        let named = |users: &[&str], requests| {
            let users: Vec<String> = users.iter().map(|user| (*user).to_owned()).collect();
            Known::default().and(&users, requests)
        };
        let (spelled, other_form) =
            (of_user("API User", None), of_user("api@example.com", Some("x")));
        // What was seen of the other attribute says nothing of this one.
        for (row, known, words) in [
            (&spelled, named(&[], true), "names the user API User"),
            (&other_form, named(&["api@example.com"], false), "names the call x"),
            (&of_user("API User", Some("x")), named(&[], false), "API User, where"),
        ] {
            let (witness, note, why) = judged(row, &known);
            assert_eq!((witness, why.as_str()), (Witness::Seen, ""), "{words}");
            assert!(note.contains(words), "{note}");
        }
        for (row, known, words) in [
            (&spelled, named(&["API@example.com"], false), "another user made it: API User"),
            (&other_form, named(&[], true), "by the call x, not by a1#1"),
        ] {
            let (witness, note, why) = judged(row, &known);
            assert_eq!((witness, note.as_str()), (Witness::Contradicts, ""), "{words}");
            assert!(why.contains(words), "{why}");
        }
        // The user of an earlier run was ours, too.
        let (witness, note, _) = judged(&spelled, &named(&["api@example.com", "api user"], true));
        assert_eq!((witness, note.as_str()), (Witness::Seen, ""));
    }

    #[test]
    fn equal_ids_of_the_call_mean_ours_whatever_user_is_named() {
        let ours = of_user("API User", Some(OURS));
        assert_eq!(said(std::slice::from_ref(&ours), &[]), (Witness::Seen, None));
        let (_, record) =
            judge(&merge(), std::slice::from_ref(&ours), &BTreeMap::new(), &Known::default());
        assert!(record.same_request && !record.same_user && record.note.is_none(), "{record:?}");
        // Who stayed and who went counts all the same.
        let other_winner = MergeRecord { then: Some(9), ..ours };
        assert_eq!(said(&[other_winner], &[]).0, Witness::Contradicts);
    }

    #[test]
    fn rows_show_how_the_instance_names_ours() {
        let rows = [of_user("API@example.com", Some(OURS)), of_user("somebody", Some("x"))];
        let known = Known::default().and(&["api@example.com".to_owned()], true);
        assert_eq!(Known::of(&[merge()], &rows), known);
        assert_eq!(Known::of(&[merge()], &rows[1..]), Known::default());
        assert_eq!(Known::of(&[merge()], &[row(&[2])]), Known::default());
    }

    #[test]
    fn a_row_that_names_what_we_did_is_a_witness_with_or_without_the_optional_attributes() {
        let whole = MergeRecord { request_id: Some(OURS.to_owned()), ..row(&[2, 3]) };
        assert_eq!(said(&[whole], &[]), (Witness::Seen, None));
        assert_eq!(said(&[row(&[2, 3])], &[]), (Witness::Seen, None));
        // One row a record.
        assert_eq!(said(&[row(&[2]), row(&[3])], &[]), (Witness::Seen, None));
        assert_eq!(said(&[row(&[2])], &[]), (Witness::NotSeen, None), "one is missing");
        assert_eq!(said(&[], &[]), (Witness::NotSeen, None));
        assert_eq!(said(&[row(&[8])], &[]), (Witness::NotSeen, None), "another merge");
        // Without the record of then, the survivor may have gone on since.
        let moved = MergeRecord { winner: 9, then: None, ..row(&[2, 3]) };
        assert_eq!(said(&[moved], &[(1, 9)]), (Witness::Seen, None));
    }

    #[test]
    fn another_winner_loser_user_or_call_contradicts() {
        let cases = [
            (MergeRecord { then: Some(9), ..row(&[2, 3]) }, "lead 9 stayed, not lead 1"),
            (MergeRecord { winner: 9, then: None, ..row(&[2, 3]) }, "lead 9 stayed, not lead 1"),
            (row(&[2, 3, 8]), "took lead 8 too"),
            (MergeRecord { request_id: Some(OURS.to_owned()), ..row(&[7]) }, "took lead 7 too"),
            (
                MergeRecord {
                    by_another_user: true,
                    user: Some("x@example.com".to_owned()),
                    ..row(&[2])
                },
                "another user made it: x@example.com",
            ),
            (MergeRecord { request_id: Some("b2#2".to_owned()), ..row(&[3]) }, "by the call b2#2"),
        ];
        for (row, words) in cases {
            let (witness, why) = said(&[row], &[]);
            assert_eq!(witness, Witness::Contradicts, "{words}");
            assert!(why.as_deref().unwrap_or_default().contains(words), "{why:?}");
        }
    }
}
