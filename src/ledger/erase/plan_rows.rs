//! Groups of plans that are kept as rows, with the values of all their leads and what was decided
//! about them.
//!
//! A group of which something is erased goes as a whole, with its decisions; that it was there
//! stays among the groups that are left out. A plan that lost a group is not what was looked at,
//! and its digest says so.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use serde_json::Value;

use super::{ERASED, by_chance, digest_of};
use crate::lead::LeadId;
use crate::ledger::Error;

/// Tables with rows about a group, by plan and key. What was said that outlives its plan is seen to
/// apart.
const BY_KEY: [&str; 2] = ["carried", "decision"];

/// Every table of these plans, for the triggers.
pub(super) const TABLES: [&str; 7] = [
    "plan_group",
    "plan_body",
    "plan_left",
    "carried",
    "decision",
    "lasting_word",
    "lasting_word_end",
];

/// A group that is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Its plan.
    pub(super) plan: String,
    /// The plan's number.
    number: i64,
    place: i64,
    pub(super) key: String,
    /// Its leads.
    pub(super) leads: BTreeSet<LeadId>,
    /// Of what it held.
    sha256: String,
    /// Whether it is one that was left out already.
    left_out: bool,
}

/// Whether this ledger has plans as rows.
pub(super) fn are_there(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'plan_head')",
        [],
        |row| row.get(0),
    )
}

/// The groups for which this holds: the plan's id, when it was made, the group's key, and the
/// addresses of its leads.
pub(super) fn to_erase(
    db: &Connection,
    is_asked: impl Fn(&str, &str, &str, &[String]) -> bool,
) -> rusqlite::Result<Vec<Group>> {
    let mut found = Vec::new();
    if !are_there(db)? {
        return Ok(found);
    }
    let mut groups = db.prepare(
        "SELECT plan.id, made_at, number, plan_group.place, key, plan_body.body, leads, winner
         FROM plan_head JOIN plan ON plan.id = plan_head.plan
         JOIN plan_group ON plan_group.plan = number
         JOIN plan_body ON plan_body.plan = number AND plan_body.place = plan_group.place
         ORDER BY number, plan_group.place",
    )?;
    let mut rows = groups.query([])?;
    while let Some(row) = rows.next()? {
        let (plan, made_at, key): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(4)?);
        let (body, leads): (String, String) = (row.get(5)?, row.get(6)?);
        if is_asked(&plan, &made_at, &key, &addresses(&leads)) {
            let sha256 = digest_of(&body, Some(&leads), None);
            let mut leads = ids(&leads);
            leads.insert(row.get::<_, i64>(7)?.cast_unsigned());
            let (number, place) = (row.get(2)?, row.get(3)?);
            found.push(Group { plan, number, place, key, sha256, leads, left_out: false });
        }
    }
    let mut left = db.prepare(
        "SELECT plan.id, made_at, number, place, key, reason
         FROM plan_head JOIN plan ON plan.id = plan_head.plan JOIN plan_left ON plan_left.plan = number
         WHERE reason <> ?1 ORDER BY number, place",
    )?;
    let mut rows = left.query([ERASED])?;
    while let Some(row) = rows.next()? {
        let (plan, made_at, key): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(4)?);
        if is_asked(&plan, &made_at, &key, &[]) {
            let reason: String = row.get(5)?;
            let sha256 = digest_of(&key, Some(&reason), None);
            let (number, place) = (row.get(2)?, row.get(3)?);
            found.push(Group {
                plan,
                number,
                place,
                key,
                sha256,
                leads: BTreeSet::new(),
                left_out: true,
            });
        }
    }
    Ok(found)
}

/// Erases groups. The triggers are away.
pub(super) fn erase(
    db: &Connection,
    erasure: i64,
    groups: &[Group],
    names: &BTreeMap<String, String>,
) -> Result<(), Error> {
    for group in groups {
        let name = names.get(&group.key).cloned().unwrap_or_else(by_chance);
        if group.left_out {
            db.execute(
                "UPDATE plan_left SET key = ?3, leads = '[]', reason = ?4 WHERE plan = ?1 AND place = ?2",
                params![group.number, group.place, name, ERASED],
            )?;
        } else {
            for table in ["plan_body", "plan_group"] {
                db.execute(
                    &format!("DELETE FROM {table} WHERE plan = ?1 AND place = ?2"),
                    params![group.number, group.place],
                )?;
            }
            db.execute(
                "INSERT INTO plan_left (plan, place, key, leads, reason)
                 SELECT ?1, coalesce(max(place) + 1, 0), ?2, '[]', ?3 FROM plan_left WHERE plan = ?1",
                params![group.number, name, ERASED],
            )?;
        }
        // That a word ended counts while the decision is the last: one that a later decision undid
        // must not count again without it.
        db.execute(
            "DELETE FROM lasting_word_end WHERE plan = ?1
                 AND word IN (SELECT seq FROM lasting_word WHERE key = ?2)
                 AND decision < (SELECT max(seq) FROM decision WHERE plan = ?1 AND key = ?2)",
            params![group.plan, group.key],
        )?;
        for table in BY_KEY {
            db.execute(
                &format!("DELETE FROM {table} WHERE plan = ?1 AND key = ?2"),
                params![group.plan, group.key],
            )?;
        }
        db.execute(
            "INSERT OR IGNORE INTO erased_plan (plan, erasure, sha256) VALUES (?1, ?2, ?3)",
            params![group.plan, erasure, group.sha256],
        )?;
    }
    Ok(())
}

/// The ids of leads that are kept as JSON.
pub(super) fn ids(leads: &str) -> BTreeSet<LeadId> {
    let leads: Value = serde_json::from_str(leads).unwrap_or_default();
    leads.as_array().into_iter().flatten().filter_map(|lead| lead.get("id")?.as_u64()).collect()
}

/// The addresses of leads that are kept as JSON.
fn addresses(leads: &str) -> Vec<String> {
    let leads: Value = serde_json::from_str(leads).unwrap_or_default();
    let email = |lead: &Value| lead.pointer("/fields/email")?.as_str().map(str::to_owned);
    leads.as_array().into_iter().flatten().filter_map(email).collect()
}
