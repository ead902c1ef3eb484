//! What a run found out about Marketo's side and must not forget: losses that are open, merges that
//! Marketo refuses, fields that it does not take.
//!
//! Never: closes a finding by itself; who saw that it is right again says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::backup::json;
use super::{Error, Ledger};
use crate::lead::LeadId;

/// The ledger's number of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingId(i64);

impl FindingId {
    /// The number by which a person names it.
    pub fn number(self) -> u64 {
        self.0.cast_unsigned()
    }
}

impl From<u32> for FindingId {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// A person's no: an opt-out, or an address that is known to bounce.
    Consent,
    /// A value of a field.
    Value,
    /// A program's status or success.
    Program,
    /// What became of a merge: Marketo shows something that fits no outcome.
    Merge,
    /// The value before a write whose merge was not made, and which could not be set back.
    NotSetBack,
}

/// What the query below calls a finding that is in a table of its own.
const NOT_SET_BACK: &str = "not_set_back";

/// How the reason begins with which a person has closed a finding.
const ACKNOWLEDGED: &str = "acknowledged: ";

impl FindingKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            // What sets it apart is in a table of its own.
            Self::Value | Self::NotSetBack => "value",
            Self::Program => "program",
            // The format has no word for it: it is the value of no field.
            Self::Merge => Self::Value.as_str(),
        }
    }

    fn parse(word: &str, field: &str) -> Option<Self> {
        if word == NOT_SET_BACK {
            return Some(Self::NotSetBack);
        }
        if word == Self::Merge.as_str() && field.is_empty() {
            return Some(Self::Merge);
        }
        [Self::Consent, Self::Value, Self::Program].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A value that a survivor should hold and does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The group's key.
    pub key: String,
    /// The survivor.
    pub lead: LeadId,
    /// The field, by its REST API name; of a program its name; empty where what became of a merge
    /// is open.
    pub field: String,
    /// What was lost.
    pub kind: FindingKind,
    /// What it should hold.
    pub wanted: Value,
    /// What it holds.
    pub found: Value,
}

/// A merge that Marketo refused for the group's own sake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The group's key.
    pub key: String,
    /// Of the group's leads as they were when it was refused.
    pub digest: String,
    /// Marketo's code.
    pub code: String,
    /// Marketo's words.
    pub message: String,
    /// Marketo's id of the call.
    pub request_id: Option<String>,
    /// When, RFC 3339.
    pub at: String,
}

impl Ledger {
    /// Keeps losses, all or none; on disk when it returns. A loss that is open already is not kept
    /// twice.
    pub fn open_findings_with(
        &mut self,
        plan: &str,
        findings: &[Finding],
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| findings.iter().try_for_each(|finding| insert(db, plan, finding, at)))
    }

    /// The losses that nobody has put right, with their plans, the oldest first.
    pub fn open_findings(&self) -> Result<Vec<(FindingId, String, Finding)>, Error> {
        type Row = (i64, String, String, i64, String, String, String, String);
        let rows: Vec<Row> = self.read(|db| {
            db.prepare(
                "SELECT id, plan, key, lead, field,
                     CASE WHEN id IN (SELECT finding FROM not_set_back) THEN 'not_set_back' ELSE kind END,
                     wanted, found
                 FROM finding WHERE id NOT IN (SELECT finding FROM finding_end) ORDER BY id",
            )?
            .query_map([], |row| row.try_into())?
            .collect()
        })?;
        rows.into_iter()
            .map(|(id, plan, key, lead, field, kind, wanted, found)| {
                let damaged =
                    |what: String| Error::Damaged { what: format!("finding {id}: {what}") };
                let value = |text: &str| {
                    serde_json::from_str::<Value>(text).map_err(|error| damaged(error.to_string()))
                };
                let kind = FindingKind::parse(&kind, &field)
                    .ok_or_else(|| damaged(format!("kind {kind}")))?;
                let finding = Finding {
                    kind,
                    key,
                    lead: lead.cast_unsigned(),
                    field,
                    wanted: value(&wanted)?,
                    found: value(&found)?,
                };
                Ok((FindingId(id), plan, finding))
            })
            .collect()
    }

    /// Closes a loss, and says how it came right, or why it may stay.
    pub fn close_finding(&mut self, finding: FindingId, how: &str, at: &str) -> Result<(), Error> {
        self.write(|db| close(db, finding, how, at))
    }

    /// Closes a loss that a person has settled, or that nobody can put right, with the reason.
    pub fn acknowledge_finding(
        &mut self,
        finding: FindingId,
        reason: &str,
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| close(db, finding, &format!("{ACKNOWLEDGED}{reason}"), at))
    }

    /// Whether a person has acknowledged that this value could not be set back, since the last
    /// write of the plan that prepared a merge of the lead.
    pub fn is_acknowledged(&self, plan: &str, finding: &Finding) -> Result<bool, Error> {
        let written_at = self.prepared_at(plan, finding.lead)?;
        let (wanted, found) = (json(&finding.wanted)?, json(&finding.found)?);
        let opened_at: Vec<String> = self.read(|db| {
            db.prepare_cached(
                "SELECT finding.at FROM finding
                 JOIN not_set_back ON not_set_back.finding = finding.id
                 JOIN finding_end ON finding_end.finding = finding.id
                 WHERE plan = ?1 AND lead = ?2 AND field = ?3 AND wanted = ?4 AND found = ?5
                     AND substr(how, 1, length(?6)) = ?6",
            )?
            .query_map(
                params![
                    plan,
                    finding.lead.cast_signed(),
                    finding.field,
                    wanted,
                    found,
                    ACKNOWLEDGED
                ],
                |row| row.get(0),
            )?
            .collect()
        })?;
        let opened_at = opened_at.iter().filter_map(|at| at.parse::<DateTime<Utc>>().ok()).max();
        Ok(opened_at
            .is_some_and(|opened_at| written_at.is_none_or(|written_at| opened_at >= written_at)))
    }

    /// Closes a loss whose record is gone, and keeps it open on the record that has its values now,
    /// in one step.
    pub fn carry_finding_over(
        &mut self,
        finding: FindingId,
        plan: &str,
        moved: &Finding,
        how: &str,
        at: &str,
    ) -> Result<(), Error> {
        self.write(|db| {
            close(db, finding, how, at)?;
            insert(db, plan, moved, at)
        })
    }

    /// When a loss was found.
    pub fn finding_opened_at(&self, finding: FindingId) -> Result<Option<DateTime<Utc>>, Error> {
        let at: Option<String> = self.read(|db| {
            db.query_row("SELECT at FROM finding WHERE id = ?1", [finding.0], |row| row.get(0))
                .optional()
        })?;
        Ok(at.and_then(|at| at.parse().ok()))
    }

    /// Keeps that Marketo refused a group's merge.
    pub fn remember_refusal(&mut self, plan: &str, refusal: &Refusal) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO refusal (plan, key, digest, code, message, request_id, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    plan,
                    refusal.key,
                    refusal.digest,
                    refusal.code,
                    refusal.message,
                    refusal.request_id,
                    refusal.at
                ],
            )?;
            Ok(())
        })
    }

    /// The last refusal of each group, by its key.
    pub fn refusals(&self) -> Result<BTreeMap<String, Refusal>, Error> {
        self.read(|db| {
            db.prepare(
                "SELECT key, digest, code, message, request_id, at FROM refusal ORDER BY seq",
            )?
            .query_map([], |row| {
                let refusal = Refusal {
                    key: row.get(0)?,
                    digest: row.get(1)?,
                    code: row.get(2)?,
                    message: row.get(3)?,
                    request_id: row.get(4)?,
                    at: row.get(5)?,
                };
                Ok((refusal.key.clone(), refusal))
            })?
            .collect()
        })
    }

    /// Keeps that Marketo answered `updated` and the field kept its value.
    pub fn remember_not_taken(&mut self, field: &str, lead: LeadId, at: &str) -> Result<(), Error> {
        self.write(|db| {
            db.execute(
                "INSERT INTO not_taken (field, lead, at) VALUES (?1, ?2, ?3)",
                params![field, lead.cast_signed(), at],
            )?;
            Ok(())
        })
    }

    /// The fields of which that was seen since this time, RFC 3339.
    pub fn not_taken_since(&self, since: &str) -> Result<BTreeSet<String>, Error> {
        self.read(|db| {
            db.prepare("SELECT DISTINCT field FROM not_taken WHERE at >= ?1")?
                .query_map([since], |row| row.get(0))?
                .collect()
        })
    }
}

/// Keeps a loss, unless it is open already. A value that could not be set back is not one that a
/// merge lost.
fn insert(db: &Connection, plan: &str, finding: &Finding, at: &str) -> Result<(), Error> {
    let inserted = db
        .prepare_cached(
            "INSERT INTO finding (plan, key, lead, field, kind, wanted, found, at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE NOT EXISTS (
             SELECT 1 FROM finding WHERE lead = ?3 AND field = ?4 AND kind = ?5 AND wanted = ?6
                 AND (id IN (SELECT finding FROM not_set_back)) = ?9
                 AND id NOT IN (SELECT finding FROM finding_end))",
        )?
        .execute(params![
            plan,
            finding.key,
            finding.lead.cast_signed(),
            finding.field,
            finding.kind.as_str(),
            json(&finding.wanted)?,
            json(&finding.found)?,
            at,
            finding.kind == FindingKind::NotSetBack,
        ])?;
    if inserted > 0 && finding.kind == FindingKind::NotSetBack {
        db.execute("INSERT INTO not_set_back (finding) VALUES (?1)", [db.last_insert_rowid()])?;
    }
    Ok(())
}

fn close(db: &Connection, finding: FindingId, how: &str, at: &str) -> Result<(), Error> {
    db.execute(
        "INSERT OR IGNORE INTO finding_end (finding, how, at) VALUES (?1, ?2, ?3)",
        params![finding.0, how, at],
    )?;
    Ok(())
}
