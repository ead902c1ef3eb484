//! The groups that a run left alone, each with the reason.
//!
//! For: what a run printed can be shown afterwards, also of one that was killed. A row is added as
//! the run decides; of several rows of a group in a run the last one counts. Never: counts a group
//! as left alone of which the same run has merged something, or which ended otherwise in it; says
//! anything of a run that is older than the table.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::past::time;
use super::{Error, Ledger, RunId};
use crate::lead::LeadId;

/// A group that a run leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// What its records have in common.
    pub key: String,
    /// The record that the plan was to keep; none where the run was not to merge it.
    pub winner: Option<LeadId>,
    /// Its records.
    pub leads: Vec<LeadId>,
    /// Why, in words; none where it was erased.
    pub reason: Option<String>,
}

/// A group that a run left alone, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastLeftAlone {
    /// The group.
    pub group: LeftAlone,
    /// When the run decided it.
    pub at: DateTime<Utc>,
}

/// The rows that count, of `bounded` runs.
pub(super) const STANDING: &str = "left_alone AS one
    WHERE one.run = bounded.id
        AND NOT EXISTS (
            SELECT 1 FROM left_alone AS later
            WHERE later.run = one.run AND later.key = one.key AND later.seq > one.seq)
        AND NOT EXISTS (
            SELECT 1 FROM run_end JOIN run_group ON run_group.run = run_end.seq
            WHERE run_end.seq > after_end AND run_end.seq <= last_end
                AND run_group.winner = one.winner AND run_group.outcome <> 'skipped')
        AND one.key NOT IN (
            SELECT call.key FROM call JOIN journal ON journal.call = call.id
            WHERE call.id > after_call AND call.id <= last_call AND call.kind = 'merge'
                AND event = 'verified' AND survivor IS NOT NULL)";

impl Ledger {
    /// Keeps groups that a run leaves alone; on disk when it returns. `at` is RFC 3339.
    pub fn keep_left_alone(
        &mut self,
        run: RunId,
        groups: &[LeftAlone],
        at: &str,
    ) -> Result<(), Error> {
        if groups.is_empty() {
            return Ok(());
        }
        self.write(|db| insert(db, run, groups, at))
    }

    /// The groups that a run left alone, by key; none where it is older than what tells.
    pub fn left_alone_of(&self, run: RunId) -> Result<Option<Vec<PastLeftAlone>>, Error> {
        type Row = (String, Option<i64>, String, Option<String>, String);
        if !self.knows_left_alone(run)? {
            return Ok(None);
        }
        let bounds = super::bounds::BOUNDS;
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(&format!(
                "{bounds}
                 SELECT one.key, one.winner, one.leads, one.reason, one.at
                 FROM (SELECT * FROM bounded WHERE id = ?1) AS bounded, {STANDING}
                 ORDER BY one.key, one.seq"
            ))?
            .query_map([run.0], |row| row.try_into())?
            .collect()
        })?;
        let groups = rows.into_iter().map(|(key, winner, leads, reason, at)| {
            let leads = serde_json::from_str(&leads).map_err(|error| Error::Damaged {
                what: format!("a group that run {run} left alone: {error}"),
            })?;
            let at = time(&at, || format!("a group that run {run} left alone"))?;
            let winner = winner.map(i64::cast_unsigned);
            Ok(PastLeftAlone { group: LeftAlone { key, winner, leads, reason }, at })
        });
        groups.collect::<Result<_, Error>>().map(Some)
    }

    /// Whether a run kept which groups it left alone.
    fn knows_left_alone(&self, run: RunId) -> Result<bool, Error> {
        let since: Option<i64> = self.read(|db| {
            db.query_row("SELECT run FROM left_alone_since", [], |row| row.get(0)).optional()
        })?;
        Ok(since.is_some_and(|since| run.0 > since))
    }

    /// How many records a run without an end wrote to for merges that it did not make, and that do
    /// not have all their former values back: but those that it had left alone.
    pub(super) fn prepared_of(&self, run: RunId) -> Result<u64, Error> {
        let left_alone = self.left_alone_of(run)?.unwrap_or_default();
        let is_left = |lead: LeadId| left_alone.iter().any(|left| left.group.winner == Some(lead));
        let written = self.written_not_merged(run)?;
        let prepared = written.iter().filter(|one| one.stays() && !is_left(one.lead));
        Ok(prepared.count() as u64)
    }

    /// What writes to winners came to whose merges were not made, in a run.
    pub fn written_not_merged(&self, run: RunId) -> Result<Vec<WrittenNotMerged>, Error> {
        type Row = (i64, Option<String>, Option<String>, Option<String>, bool, bool);
        let bounds = super::bounds::BOUNDS;
        let sql = include_str!("written_not_merged.sql");
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(&format!("{bounds} {sql}"))?
                .query_map([run.0], |row| {
                    let (lead, field) = (row.get(0)?, row.get(1)?);
                    Ok((lead, field, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
                })?
                .collect()
        })?;
        let mut written: BTreeMap<i64, WrittenNotMerged> = BTreeMap::new();
        for (lead, field, before, after, given_back, looked) in rows {
            let of = written.entry(lead).or_insert_with(|| WrittenNotMerged {
                lead: lead.cast_unsigned(),
                values: Vec::new(),
                looked: true,
            });
            of.looked &= looked;
            let (Some(name), Some(before), Some(after)) = (field, before, after) else { continue };
            let value = |text: &str| {
                serde_json::from_str(text)
                    .map_err(|error| Error::Damaged { what: format!("a written value: {error}") })
            };
            let one =
                WrittenValue { before: value(&before)?, after: value(&after)?, name, given_back };
            // A false that was written so that no other record's true takes its place.
            if one.before == one.after {
                continue;
            }
            match of.values.iter_mut().find(|known| known.name == one.name) {
                // Written again: what it held before the first time is what it is to get back.
                Some(known) => (known.after, known.given_back) = (one.after, one.given_back),
                None => of.values.push(one),
            }
        }
        Ok(written.into_values().collect())
    }
}

/// A record that was written to for a merge that was not made.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenNotMerged {
    /// The record.
    pub lead: LeadId,
    /// What was written, or may have been.
    pub values: Vec<WrittenValue>,
    /// Whether a look has shown that nothing more of it is to be given back.
    pub looked: bool,
}

impl WrittenNotMerged {
    /// Whether it may hold anything that was written to it.
    pub fn stays(&self) -> bool {
        !self.looked || self.values.iter().any(|value| !value.given_back)
    }

    /// What to do about what was not given back, in words.
    pub fn what_next(&self) -> &'static str {
        what_next(self.looked)
    }
}

/// The same by whether a look has shown that nothing more is to be given back.
pub fn what_next(looked: bool) -> &'static str {
    if looked {
        "Values that were not given back stay on the record, such as an opt-out with its reason. To merge the group, run the \
         same plan again (approve it again first if it needs an approval). If the group is not to be merged, set the former \
         value in Marketo where that is right"
    } else {
        "The next `mkto-audit merge --confirm` looks at the record and gives back what it may. To merge the group, run the \
         same plan again (approve it again first if it needs an approval)"
    }
}

/// A value that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenValue {
    /// The field's REST API name.
    pub name: String,
    /// What it held; null too where that was erased.
    pub before: serde_json::Value,
    /// What it got.
    pub after: serde_json::Value,
    /// Whether the former value was written again, and Marketo took it.
    pub given_back: bool,
}

pub(super) fn insert(
    db: &Transaction<'_>,
    run: RunId,
    groups: &[LeftAlone],
    at: &str,
) -> Result<(), Error> {
    let mut insert = db.prepare_cached(
        "INSERT INTO left_alone (run, key, winner, leads, reason, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for LeftAlone { key, winner, leads, reason } in groups {
        let winner = winner.map(u64::cast_signed);
        let leads = super::backup::json(leads)?;
        insert.execute(params![run.0, key, winner, leads, reason, at])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{
        CallKind, CallLead, Erase, Event, GroupEnd, NewCall, NewRun, Purpose, Role, RunKind,
    };

    const AT: &str = "2026-11-29T01:11:00.000Z";

    fn ledger(folder: &tempfile::TempDir) -> (Ledger, RunId) {
        let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "example").unwrap();
        ledger.save_plan("p", AT, "{}").unwrap();
        let run = NewRun { kind: RunKind::Merge, plan: Some("p"), digest: None, by: None };
        let held = [left("held@example.com", None, "Bo holds it")];
        let run = ledger.begin_run_without(&run, &held, AT).unwrap();
        (ledger, run)
    }

    fn left(key: &str, winner: Option<LeadId>, reason: &str) -> LeftAlone {
        let leads = vec![1, 2];
        LeftAlone { key: key.to_owned(), winner, leads, reason: Some(reason.to_owned()) }
    }

    /// Keys and reasons.
    fn told(ledger: &Ledger, run: RunId) -> Vec<(String, Option<String>)> {
        let groups = ledger.left_alone_of(run).unwrap().unwrap().into_iter();
        let told: Vec<_> = groups.map(|left| (left.group.key, left.group.reason)).collect();
        let skipped = ledger.run(run).unwrap().unwrap().skipped;
        assert_eq!(skipped, told.len() as u64, "the number of the run is the same");
        told
    }

    fn pair(key: &str, reason: &str) -> (String, Option<String>) {
        (key.to_owned(), Some(reason.to_owned()))
    }

    #[test]
    fn the_later_reason_of_a_group_stands_and_a_run_without_an_end_keeps_what_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, run) = ledger(&folder);
        let held = pair("held@example.com", "Bo holds it");
        assert_eq!(told(&ledger, run), std::slice::from_ref(&held));
        let moved = |why: &str| [left("ada@example.com", Some(1), why)];
        ledger.keep_left_alone(run, &moved("it moved"), AT).unwrap();
        ledger.keep_left_alone(run, &moved("it moved; given back"), AT).unwrap();
        let ada = pair("ada@example.com", "it moved; given back");
        assert_eq!(told(&ledger, run), [ada, held]);
        // Another run has its own.
        let next = NewRun { kind: RunKind::Merge, plan: Some("p"), digest: None, by: None };
        let next = ledger.begin_run(&next, AT).unwrap();
        assert_eq!(told(&ledger, next), []);
        for sql in [
            "UPDATE left_alone SET reason = ''",
            "DELETE FROM left_alone",
            "UPDATE left_alone_since SET run = 9",
            "DELETE FROM left_alone_since",
        ] {
            let refused = ledger.db.execute(sql, []).unwrap_err().to_string();
            assert!(refused.contains("append-only"), "{sql}: {refused}");
        }
    }

    #[test]
    fn a_group_that_was_merged_or_failed_later_in_the_run_is_not_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, run) = ledger(&folder);
        let two = [
            left("ada@example.com", Some(1), "busy"),
            LeftAlone { leads: vec![3, 4], ..left("bob@example.com", Some(3), "busy") },
        ];
        ledger.keep_left_alone(run, &two, AT).unwrap();
        let call = NewCall {
            kind: CallKind::Merge,
            key: "ada@example.com".to_owned(),
            leads: vec![
                CallLead { id: 1, role: Role::Winner },
                CallLead { id: 2, role: Role::Loser },
            ],
            purpose: Purpose::default(),
            values: vec![],
        };
        let backup = |id, role| crate::ledger::Backup {
            key: "ada@example.com".to_owned(),
            role,
            lead: crate::lead::Lead::new(id),
            lists: None,
            programs: None,
        };
        ledger.back_up("p", &[backup(1, Role::Winner), backup(2, Role::Loser)], AT).unwrap();
        let call = ledger.begin("p", &call, AT).unwrap().call();
        ledger.record(call, &Event::Accepted { request_id: None }, AT).unwrap();
        assert_eq!(told(&ledger, run).len(), 3, "no look has shown it yet");
        let seen = Event::Verified { survivor: Some(1), merged: vec![2] };
        ledger.record(call, &seen, AT).unwrap();
        let keys = |told: Vec<(String, Option<String>)>| -> Vec<String> {
            told.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys(told(&ledger, run)), ["bob@example.com", "held@example.com"]);
        let end = GroupEnd { winner: 3, outcome: "failed".to_owned(), reason: None };
        ledger.keep_run_end("p", true, &[end], AT).unwrap();
        assert_eq!(keys(told(&ledger, run)), ["held@example.com"]);
    }

    #[test]
    fn of_a_run_that_is_older_nobody_knows() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, run) = ledger(&folder);
        assert!(ledger.run(run).unwrap().unwrap().left_alone_known);
        ledger
            .db
            .execute_batch(
                "DROP TRIGGER left_alone_since_stays; UPDATE left_alone_since SET run = 1",
            )
            .unwrap();
        assert_eq!(ledger.left_alone_of(run).unwrap(), None);
        assert!(!ledger.run(run).unwrap().unwrap().left_alone_known);
    }

    #[test]
    fn an_erased_person_has_neither_key_nor_reason_and_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, run) = ledger(&folder);
        let ada = [left("ada@example.com", Some(1), "Ada Lovelace moved")];
        ledger.keep_left_alone(run, &ada, AT).unwrap();
        let what = Erase::Person("Ada@example.com".to_owned());
        assert_eq!(ledger.would_erase(&what).unwrap().left_alone, 1);
        assert_eq!(told(&ledger, run).len(), 2, "it was only asked");
        ledger.erase(&what, None, AT).unwrap();
        let left = told(&ledger, run);
        assert!(left[0].0.starts_with("erased-") && left[0].1.is_none(), "{left:?}");
        assert_eq!(left[1], pair("held@example.com", "Bo holds it"));
        let bytes = std::fs::read(ledger.path()).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!has("Ada Lovelace") && !has("ada@example.com") && has("Bo holds it"));
        assert_eq!(ledger.would_erase(&what).unwrap().left_alone, 0);
        assert!(ledger.db.execute("DELETE FROM left_alone", []).is_err());
        let old = Erase::OlderThan("2026-11-29T01:12:00Z".parse().unwrap());
        assert_eq!(ledger.erase(&old, None, AT).unwrap().left_alone, 1);
        assert!(told(&ledger, run).iter().all(|(_, reason)| reason.is_none()));
    }
}
