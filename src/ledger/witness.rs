//! What was seen of merges after they were settled: Marketo's own record of them, and what their
//! survivors are members of; and by whom the extra records were made that plans merge.
//!
//! For: a certificate names a second witness, also one that came late. Each look is a record of its
//! own. Never: changes what an earlier look showed; knows what is in a body.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::params;
use sha2::{Digest as _, Sha256};

use super::backup::hex;
use super::past::time;
use super::{CallId, Error, Ledger, RunId};
use crate::lead::LeadId;

mod says;

/// What a look is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WitnessKind {
    /// Marketo's own record of the merges.
    Log,
    /// The lists and programs of the survivors.
    Members,
    /// Rows of custom objects that hang on the leads that are gone.
    Rows,
}

impl WitnessKind {
    /// The word for it in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Members => "members",
            Self::Rows => "rows",
        }
    }
}

/// What a look showed of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The ledger's number of the call.
    pub call: u64,
    /// A word for it.
    pub verdict: String,
    /// JSON; none where it was erased.
    pub body: Option<String>,
    /// The SHA-256 of the body.
    pub sha256: String,
}

/// A look, and what it showed of the merges of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessLook {
    /// What it was at.
    pub kind: String,
    /// When, RFC 3339.
    pub at: String,
    /// By call.
    pub seen: Vec<Seen>,
}

/// A merge that was made, and that no look has brought to an end yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwitnessed {
    /// Its call.
    pub call: CallId,
    /// Its plan.
    pub plan: String,
    /// The key of its group.
    pub key: String,
    /// The lead that stayed.
    pub survivor: LeadId,
    /// The leads that are gone.
    pub gone: Vec<LeadId>,
    /// Every lead of the call.
    pub leads: Vec<LeadId>,
    /// When its call was about to leave.
    pub left_at: DateTime<Utc>,
    /// Marketo's id of the call.
    pub request_id: Option<String>,
}

/// An extra record that a plan merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraRecord {
    /// The record.
    pub lead: LeadId,
    /// The word of its group's cause.
    pub cause: String,
    /// The login of the API user that made it; none where there is none, or nobody knows.
    pub login: Option<String>,
}

/// The verdicts after which nothing more is looked for.
const FINAL: &str = "('seen', 'contradicts', 'carried', 'not_known', 'survivor_gone')";

/// The SHA-256 of a body.
pub fn sha256_of(body: &str) -> String {
    sha256_of_bytes(body.as_bytes())
}

/// The SHA-256 of a file.
pub fn sha256_of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

impl Ledger {
    /// Keeps what a look showed of calls: a verdict and a body, as JSON.
    pub fn keep_witness(
        &mut self,
        kind: WitnessKind,
        seen: &[(CallId, &'static str, String)],
        at: &str,
    ) -> Result<(), Error> {
        if seen.is_empty() {
            return Ok(());
        }
        self.write(|db| {
            db.execute(
                "INSERT INTO witness_look (kind, at) VALUES (?1, ?2)",
                params![kind.as_str(), at],
            )?;
            let look = db.last_insert_rowid();
            let mut insert = db.prepare_cached(
                "INSERT INTO witness (look, call, verdict, body, sha256) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for (call, verdict, body) in seen {
                insert.execute(params![look, call.0, verdict, body, sha256_of(body)])?;
            }
            Ok(())
        })
    }

    /// The calls of which some look of this kind came to this verdict.
    pub fn witnessed_as(&self, kind: WitnessKind, verdict: &str) -> Result<Vec<CallId>, Error> {
        self.read(|db| {
            db.prepare(
                "SELECT DISTINCT call FROM witness JOIN witness_look ON witness_look.id = look
                 WHERE kind = ?1 AND verdict = ?2 ORDER BY call",
            )?
            .query_map(params![kind.as_str(), verdict], |row| row.get(0).map(CallId))?
            .collect()
        })
    }

    /// The looks at merges of a run, the oldest first.
    pub fn witness_of(&self, run: RunId) -> Result<Vec<WitnessLook>, Error> {
        type Row = (i64, String, String, Seen);
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(
                "WITH bounded AS (
                     SELECT id, after_call, lead(after_call, 1, 9223372036854775807) OVER (ORDER BY id) AS last_call
                     FROM run)
                 SELECT witness_look.id, witness_look.kind, at, call, verdict, body, sha256
                 FROM bounded JOIN witness ON call > after_call AND call <= last_call
                 JOIN witness_look ON witness_look.id = look
                 WHERE bounded.id = ?1 ORDER BY look, call",
            )?
            .query_map([run.0], |row| {
                let call: i64 = row.get(3)?;
                let seen = Seen {
                    call: call.cast_unsigned(),
                    verdict: row.get(4)?,
                    body: row.get(5)?,
                    sha256: row.get(6)?,
                };
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, seen))
            })?
            .collect()
        })?;
        let mut looks: BTreeMap<i64, WitnessLook> = BTreeMap::new();
        for (id, kind, at, seen) in rows {
            let look = looks.entry(id).or_insert(WitnessLook { kind, at, seen: Vec::new() });
            look.seen.push(seen);
        }
        Ok(looks.into_values().collect())
    }

    /// The merges that no look of this kind has brought to an end: of a run, or of all; those that
    /// left since a time, where one is given.
    pub fn unwitnessed(
        &self,
        kind: WitnessKind,
        run: Option<RunId>,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<Unwitnessed>, Error> {
        type Row = (i64, String, String, i64, String, String, String, Option<String>);
        // A merge is verified after it left.
        let since_at = since.map(|since| since.to_rfc3339_opts(SecondsFormat::Millis, true));
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(&format!(
                "WITH bounded AS (
                     SELECT id, after_call, lead(after_call, 1, 9223372036854775807) OVER (ORDER BY id) AS last_call
                     FROM run)
                 SELECT call.id, call.plan, call.key, verified.survivor, verified.merged,
                     (SELECT json_group_array(lead) FROM call_lead WHERE call_lead.call = call.id),
                     coalesce((SELECT at FROM journal WHERE journal.call = call.id AND event = 'started'), verified.at),
                     (SELECT request_id FROM journal WHERE journal.call = call.id AND request_id IS NOT NULL
                      ORDER BY seq DESC LIMIT 1)
                 FROM call
                 JOIN journal AS verified ON verified.call = call.id AND verified.event = 'verified'
                     AND verified.survivor IS NOT NULL
                 WHERE call.kind = 'merge' AND (?3 IS NULL OR verified.at >= ?3)
                     AND (?2 IS NULL OR EXISTS (
                         SELECT 1 FROM bounded WHERE bounded.id = ?2 AND call.id > after_call AND call.id <= last_call))
                     AND NOT EXISTS (
                         SELECT 1 FROM witness JOIN witness_look ON witness_look.id = look
                         WHERE witness.call = call.id AND witness_look.kind = ?1 AND verdict IN {FINAL})
                 ORDER BY call.id"
            ))?
            .query_map(params![kind.as_str(), run.map(|run| run.0), since_at], |row| row.try_into())?
            .collect()
        })?;
        let ids = |text: &str| {
            serde_json::from_str(text)
                .map_err(|error| Error::Damaged { what: format!("a verified merge: {error}") })
        };
        let mut merges = Vec::new();
        for (call, plan, key, survivor, gone, leads, left_at, request_id) in rows {
            let merge = Unwitnessed {
                call: CallId(call),
                plan,
                key,
                survivor: survivor.cast_unsigned(),
                gone: ids(&gone)?,
                leads: ids(&leads)?,
                left_at: time(&left_at, || format!("call {call}"))?,
                request_id,
            };
            if since.is_none_or(|since| merge.left_at >= since) {
                merges.push(merge);
            }
        }
        Ok(merges)
    }

    /// Keeps who made the extra records of a plan; what was kept before stays.
    pub fn keep_extra(&mut self, plan: &str, records: &[ExtraRecord]) -> Result<(), Error> {
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT INTO extra_record (plan, lead, cause, login) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
            )?;
            for record in records {
                let lead = record.lead.cast_signed();
                insert.execute(params![plan, lead, record.cause, record.login])?;
            }
            Ok(())
        })
    }

    /// The extra records of a plan, by id.
    pub fn extra_of(&self, plan: &str) -> Result<Vec<ExtraRecord>, Error> {
        self.read(|db| {
            db.prepare("SELECT lead, cause, login FROM extra_record WHERE plan = ?1 ORDER BY lead")?
                .query_map([plan], |row| {
                    let lead: i64 = row.get(0)?;
                    Ok(ExtraRecord {
                        lead: lead.cast_unsigned(),
                        cause: row.get(1)?,
                        login: row.get(2)?,
                    })
                })?
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::Lead;
    use crate::ledger::{
        Backup, CallKind, CallLead, Erase, Event, NewCall, NewRun, Purpose, Role, RunKind,
    };

    const AT: &str = "2026-11-29T01:11:00.000Z";

    /// A ledger with a run that has merged 2 into 1.
    fn merged(folder: &tempfile::TempDir) -> (Ledger, RunId, CallId) {
        let mut ledger = Ledger::open(&folder.path().join("ledger.db"), "example").unwrap();
        ledger.save_plan("p", AT, "{}").unwrap();
        let run = NewRun { kind: RunKind::Merge, plan: Some("p"), digest: None, by: None };
        let run = ledger.begin_run(&run, AT).unwrap();
        let backup = |id, role| Backup {
            key: "ada@example.com".to_owned(),
            role,
            lead: Lead::new(id).with("email", "ada@example.com"),
            lists: Some(vec![]),
            programs: Some(vec![]),
        };
        let backups = [backup(1, Role::Winner), backup(2, Role::Loser)];
        ledger.back_up("p", &backups, AT).unwrap();
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
        let call = ledger.begin("p", &call, AT).unwrap().call();
        ledger.record(call, &Event::Accepted { request_id: Some("a#1".into()) }, AT).unwrap();
        (ledger, run, call)
    }

    fn settle(ledger: &mut Ledger, call: CallId) {
        let seen = Event::Verified { survivor: Some(1), merged: vec![2] };
        ledger.record(call, &seen, AT).unwrap();
    }

    #[test]
    fn a_merge_is_looked_for_once_it_is_settled_and_until_a_look_brings_it_to_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, run, call) = merged(&folder);
        let open = |ledger: &Ledger| ledger.unwitnessed(WitnessKind::Log, Some(run), None).unwrap();
        assert_eq!(open(&ledger), [], "it is not settled");
        settle(&mut ledger, call);
        let merge = &open(&ledger)[0];
        assert_eq!((merge.survivor, &merge.gone, &merge.leads), (1, &vec![2], &vec![1, 2]));
        assert_eq!(merge.request_id.as_deref(), Some("a#1"));
        let since = |at: &str| {
            let since = Some(at.parse().unwrap());
            ledger.unwitnessed(WitnessKind::Log, None, since).unwrap().len()
        };
        assert_eq!((since("2026-11-29T01:11:00Z"), since("2026-11-29T01:11:01Z")), (1, 0));

        let seen = |verdict| [(call, verdict, "{}".to_owned())];
        ledger.keep_witness(WitnessKind::Log, &seen("not_seen"), AT).unwrap();
        ledger.keep_witness(WitnessKind::Members, &seen("carried"), AT).unwrap();
        assert_eq!(open(&ledger).len(), 1, "another kind of look ends nothing");
        ledger.keep_witness(WitnessKind::Log, &seen("seen"), AT).unwrap();
        assert_eq!(open(&ledger), []);
        let words: Vec<String> = ledger
            .witness_of(run)
            .unwrap()
            .into_iter()
            .flat_map(|look| look.seen)
            .map(|seen| seen.verdict)
            .collect();
        assert_eq!(words, ["not_seen", "carried", "seen"], "each look is kept");
        let body = r#"{"same":true,"user":"a"}"#.to_owned();
        ledger.keep_witness(WitnessKind::Log, &[(call, "seen", body)], AT).unwrap();
        let says = |kind, flag| ledger.witness_says(kind, "$.user", flag).unwrap();
        assert_eq!(says(WitnessKind::Log, "$.same"), ["a"]);
        assert_eq!(says(WitnessKind::Log, "$.other"), [] as [&str; 0]);
        assert_eq!(says(WitnessKind::Members, "$.same"), [] as [&str; 0]);
        for sql in [
            "UPDATE witness SET verdict = 'seen'",
            "DELETE FROM witness",
            "UPDATE witness_look SET at = ''",
            "DELETE FROM witness_look",
            "DELETE FROM extra_record",
        ] {
            ledger.keep_extra("p", &[extra(2)]).unwrap();
            let refused = ledger.db.execute(sql, []).unwrap_err().to_string();
            assert!(refused.contains("append-only"), "{sql}: {refused}");
        }
    }

    fn extra(lead: LeadId) -> ExtraRecord {
        ExtraRecord { lead, cause: "race".to_owned(), login: Some("shop".to_owned()) }
    }

    #[test]
    fn who_made_an_extra_record_is_kept_as_it_was_said_first() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, ..) = merged(&folder);
        ledger.keep_extra("p", &[extra(2)]).unwrap();
        let other = ExtraRecord { login: None, ..extra(2) };
        ledger.keep_extra("p", &[other, extra(3)]).unwrap();
        assert_eq!(ledger.extra_of("p").unwrap(), [extra(2), extra(3)]);
        assert_eq!(ledger.extra_of("q").unwrap(), []);
    }

    #[test]
    fn what_an_erased_person_was_a_member_of_goes_and_its_digest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, run, call) = merged(&folder);
        settle(&mut ledger, call);
        let body = r#"{"before":{}}"#.to_owned();
        ledger.keep_witness(WitnessKind::Members, &[(call, "carried", body.clone())], AT).unwrap();
        ledger.keep_witness(WitnessKind::Log, &[(call, "seen", "{}".to_owned())], AT).unwrap();
        ledger.erase(&Erase::Person("ada@example.com".to_owned()), None, AT).unwrap();
        let looks = ledger.witness_of(run).unwrap();
        let seen: Vec<&Seen> = looks.iter().flat_map(|look| &look.seen).collect();
        assert_eq!((&seen[0].body, &seen[0].sha256), (&None, &sha256_of(&body)));
        assert_eq!(seen[1].body.as_deref(), Some("{}"), "ids and times stay");
        assert!(ledger.db.execute("UPDATE witness SET body = NULL", []).is_err());
    }
}
