//! What was done under the plans that are kept: which there are, how their runs ended, and who was
//! merged into whom.
//!
//! Never: says that a merge happened which no look at Marketo has shown.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, params};

use super::{Error, Ledger};
use crate::lead::LeadId;

/// A kept plan, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPlan {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// How a group ended in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEnd {
    /// The record to keep, as the plan has it.
    pub winner: LeadId,
    /// The word of the contract for it.
    pub outcome: String,
    /// Why, where there is something to say.
    pub reason: Option<String>,
}

/// What the runs of one plan came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanRuns {
    /// When something was last written down of it; none where no run of it was begun.
    pub last_at: Option<DateTime<Utc>>,
    /// Whether its last run came to every group, and nothing of it was begun since.
    pub complete: bool,
    /// The latest end of each group that a run came to, by the plan's record to keep.
    pub ends: BTreeMap<LeadId, GroupEnd>,
    /// The merges that a look at Marketo has shown, in order.
    pub merges: Vec<PastMerge>,
    /// The keys of groups of which a merge was begun and is not settled.
    pub open: BTreeSet<String>,
}

/// A merge that a look at Marketo has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMerge {
    /// The plan that it was part of.
    pub plan: String,
    /// The key of its group.
    pub key: String,
    /// The lead that stayed.
    pub survivor: LeadId,
    /// The leads that are gone.
    pub merged: Vec<LeadId>,
    /// When its call left; for one of which that is not known, when it was seen to be done.
    pub at: DateTime<Utc>,
}

/// The merges that were seen, with the plan and the key of their calls.
const MERGES: &str = "SELECT call.plan, call.key, seen.survivor, seen.merged,
        coalesce((SELECT at FROM journal WHERE journal.call = call.id AND event = 'started'), seen.at)
    FROM call JOIN journal AS seen ON seen.call = call.id
    WHERE call.kind = 'merge' AND seen.event = 'verified' AND seen.survivor IS NOT NULL";

impl Ledger {
    /// The kept plans, the newest first.
    pub fn kept_plans(&self) -> Result<Vec<KeptPlan>, Error> {
        let rows: Vec<(String, String)> = self.read(|db| {
            db.prepare("SELECT id, made_at FROM plan")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let plans = rows.into_iter().map(|(id, made_at)| {
            let made_at = time(&made_at, || format!("plan {id}"))?;
            Ok(KeptPlan { id, made_at })
        });
        let mut plans = plans.collect::<Result<Vec<_>, Error>>()?;
        plans.sort_by(|a, b| b.made_at.cmp(&a.made_at).then_with(|| a.id.cmp(&b.id)));
        Ok(plans)
    }

    /// Keeps how a run of a plan ended. `complete`: it came to every group. `at` is RFC 3339.
    pub fn keep_run_end(
        &mut self,
        plan: &str,
        complete: bool,
        groups: &[GroupEnd],
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO run_end (plan, at, complete) VALUES (?1, ?2, ?3)",
                params![plan, at, complete],
            )?;
            let run = db.last_insert_rowid();
            let mut insert = db.prepare_cached(
                "INSERT INTO run_group (run, winner, outcome, reason) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for GroupEnd { winner, outcome, reason } in groups {
                insert.execute(params![run, winner.cast_signed(), outcome, reason])?;
            }
            Ok(())
        })
    }

    /// What was done of a plan.
    pub fn runs_of(&self, plan: &str) -> Result<PlanRuns, Error> {
        let (last_call, last_merge): (Option<String>, Option<String>) = self.read(|db| {
            db.query_row(
                "SELECT max(at), max(iif(kind = 'merge' AND event = 'started', at, NULL))
                 FROM journal JOIN call ON call.id = journal.call WHERE plan = ?1",
                [plan],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })?;
        let last_end: Option<(String, bool)> = self.read(|db| {
            db.query_row(
                "SELECT at, complete FROM run_end WHERE plan = ?1 ORDER BY seq DESC LIMIT 1",
                [plan],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
        })?;
        let of_plan = |text: String| time(&text, || format!("the journal of plan {plan}"));
        let last_call = last_call.map(of_plan).transpose()?;
        let last_merge = last_merge.map(of_plan).transpose()?;
        let last_end =
            last_end.map(|(at, complete)| Ok::<_, Error>((of_plan(at)?, complete))).transpose()?;
        // What an earlier run left open may be settled later: that begins nothing.
        let complete = last_end
            .is_some_and(|(at, complete)| complete && last_merge.is_none_or(|merge| merge <= at));
        Ok(PlanRuns {
            last_at: last_end.map(|(at, _)| at).max(last_call),
            complete,
            ends: self.group_ends(plan)?,
            merges: self
                .past_merges(&format!("{MERGES} AND call.plan = ?1 ORDER BY seen.seq"), plan)?,
            open: self.keys_of_open_merges(plan)?,
        })
    }

    /// The merges of groups in which a lead had an email for which this holds, the oldest first.
    pub fn merges_of_email(
        &self,
        is_asked_for: impl Fn(&str) -> bool,
    ) -> Result<Vec<PastMerge>, Error> {
        let held: Vec<(String, Option<String>)> = self.read(|db| {
            db.prepare("SELECT DISTINCT key, json_extract(fields, '$.email') FROM backup")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let asked = |(_, email): &(_, Option<String>)| email.as_deref().is_some_and(&is_asked_for);
        let keys: BTreeSet<String> = held.into_iter().filter(asked).map(|(key, _)| key).collect();
        let mut merges = Vec::new();
        for key in keys {
            merges.extend(
                self.past_merges(&format!("{MERGES} AND call.key = ?1 ORDER BY seen.seq"), &key)?,
            );
        }
        merges.sort_by_key(|merge| merge.at);
        Ok(merges)
    }

    /// The last things that were written down of any run: where it is the same, nothing that is told
    /// of runs has changed. Erasing what runs left alone changes words alone, and only for the next
    /// reader.
    pub fn stamp_of_runs(&self) -> Result<[i64; 3], Error> {
        self.read(|db| {
            db.query_row(
                "SELECT coalesce((SELECT max(seq) FROM journal), 0), coalesce((SELECT max(seq) FROM run_end), 0),
                     coalesce((SELECT max(seq) FROM left_alone), 0)",
                [],
                |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]),
            )
        })
    }

    fn group_ends(&self, plan: &str) -> Result<BTreeMap<LeadId, GroupEnd>, Error> {
        let ends: Vec<GroupEnd> = self.read(|db| {
            db.prepare(
                "SELECT winner, outcome, reason FROM run_group
                 JOIN run_end ON run_end.seq = run_group.run WHERE plan = ?1 ORDER BY run_end.seq",
            )?
            .query_map([plan], |row| {
                let winner: i64 = row.get(0)?;
                Ok(GroupEnd {
                    winner: winner.cast_unsigned(),
                    outcome: row.get(1)?,
                    reason: row.get(2)?,
                })
            })?
            .collect()
        })?;
        // A later end takes the place of an earlier one.
        Ok(ends.into_iter().map(|end| (end.winner, end)).collect())
    }

    fn keys_of_open_merges(&self, plan: &str) -> Result<BTreeSet<String>, Error> {
        self.read(|db| {
            db.prepare(
                "SELECT key FROM call WHERE plan = ?1 AND kind = 'merge' AND
                     (SELECT event FROM journal WHERE journal.call = call.id ORDER BY seq DESC LIMIT 1)
                         IN ('started', 'accepted', 'refused', 'unknown')",
            )?
            .query_map([plan], |row| row.get(0))?
            .collect()
        })
    }

    fn past_merges(&self, sql: &str, parameter: &str) -> Result<Vec<PastMerge>, Error> {
        type Row = (String, String, i64, String, String);
        let rows: Vec<Row> = self
            .read(|db| db.prepare(sql)?.query_map([parameter], |row| row.try_into())?.collect())?;
        let merges = rows.into_iter().map(|(plan, key, survivor, merged, at)| {
            let merged = serde_json::from_str(&merged)
                .map_err(|error| Error::Damaged { what: format!("a verified merge: {error}") })?;
            let at = time(&at, || format!("a merge of plan {plan}"))?;
            Ok(PastMerge { plan, key, survivor: survivor.cast_unsigned(), merged, at })
        });
        merges.collect()
    }
}

pub(super) fn time(text: &str, of: impl FnOnce() -> String) -> Result<DateTime<Utc>, Error> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|error| Error::Damaged { what: format!("{}: {error}", of()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::Lead;
    use crate::ledger::{Backup, CallKind, CallLead, Event, NewCall, Purpose, Role};

    const AT: &str = "2026-11-29T01:11:00.000Z";

    fn ledger(folder: &tempfile::TempDir) -> Ledger {
        let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "x").unwrap();
        ledger.save_plan("p1", "2026-11-29T01:00:00+00:00", "{}").unwrap();
        ledger
    }

    fn merge(ledger: &mut Ledger, key: &str, winner: LeadId, loser: LeadId) {
        let backup = |id, role| Backup {
            key: key.into(),
            role,
            lead: Lead::new(id).with("email", "Ada@Example.com"),
            lists: None,
            programs: None,
        };
        ledger
            .back_up("p1", &[backup(winner, Role::Winner), backup(loser, Role::Loser)], AT)
            .unwrap();
        let leads = vec![
            CallLead { id: winner, role: Role::Winner },
            CallLead { id: loser, role: Role::Loser },
        ];
        let call = NewCall {
            kind: CallKind::Merge,
            key: key.into(),
            leads,
            purpose: Purpose::default(),
            values: vec![],
        };
        let call = ledger.begin("p1", &call, AT).unwrap().call();
        ledger.record(call, &Event::Accepted { request_id: None }, AT).unwrap();
        let seen = Event::Verified { survivor: Some(winner), merged: vec![loser] };
        ledger.record(call, &seen, "2026-11-29T01:12:00.000Z").unwrap();
    }

    #[test]
    fn what_was_done_of_a_plan_is_known_whether_its_run_ended_or_was_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger(&folder);
        assert_eq!(ledger.runs_of("p1").unwrap(), PlanRuns::default(), "nothing was begun");

        merge(&mut ledger, "ada@example.com", 1, 2);
        let killed = ledger.runs_of("p1").unwrap();
        assert!(!killed.complete && killed.ends.is_empty(), "{killed:?}");
        assert_eq!(killed.merges.len(), 1);
        assert_eq!((killed.merges[0].survivor, &killed.merges[0].merged), (1, &vec![2]));
        assert_eq!(
            killed.merges[0].at.to_rfc3339(),
            "2026-11-29T01:11:00+00:00",
            "when the call left"
        );

        let end =
            |winner, outcome: &str| GroupEnd { winner, outcome: outcome.into(), reason: None };
        ledger
            .keep_run_end(
                "p1",
                false,
                &[end(1, "merged"), end(3, "failed")],
                "2026-11-29T01:13:00.000Z",
            )
            .unwrap();
        ledger
            .keep_run_end(
                "p1",
                true,
                &[end(1, "merged"), end(3, "skipped")],
                "2026-11-29T01:14:00.000Z",
            )
            .unwrap();
        let ended = ledger.runs_of("p1").unwrap();
        assert!(ended.complete);
        assert_eq!(ended.ends[&3].outcome, "skipped", "the later end counts");
        assert_eq!(ended.last_at.unwrap().to_rfc3339(), "2026-11-29T01:14:00+00:00");
    }

    #[test]
    fn who_was_merged_is_found_by_an_email_that_any_of_the_leads_had() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger(&folder);
        merge(&mut ledger, "ada@example.com|acme", 1, 2);
        let found =
            ledger.merges_of_email(|email| email.eq_ignore_ascii_case("ada@example.com")).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].plan.as_str(), found[0].survivor), ("p1", 1));
        assert!(ledger.merges_of_email(|_| false).unwrap().is_empty());
    }

    #[test]
    fn the_newest_plan_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = ledger(&folder);
        ledger.save_plan("p0", "2026-11-29T02:00:00+01:00", "{}").unwrap();
        ledger.save_plan("p2", "2026-11-29T03:00:00+00:00", "{}").unwrap();
        let ids: Vec<String> =
            ledger.kept_plans().unwrap().into_iter().map(|plan| plan.id).collect();
        assert_eq!(ids, ["p2", "p0", "p1"]);
    }
}
