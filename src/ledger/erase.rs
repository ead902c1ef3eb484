//! Erases the values of people, by law or by age: the one lawful exception from a ledger to which
//! rows are only added.
//!
//! Ids, times, digests and outcomes stay, with a row that says who erased what and when. The digest
//! is of a whole backup: that of an address alone could be guessed. A key that is a person's
//! address becomes a name drawn by chance, the same in every table. A plan of which something was
//! erased cannot be carried out any more, since it is not what was looked at.
//!
//! Never: erases what an open call, making or finding may still need, nor what is still to be given
//! back; forgets a word in force that outlives its plan; leaves the bytes in the file.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};
use serde_json::{Value, json};

use super::backup::{digest_of, hex};
use super::{Error, Ledger};
use crate::lead::LeadId;

mod left_alone;
mod needed;
mod plan_rows;
mod words;

use plan_rows::Group;
use words::Word;

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erase {
    /// Everything of the person with this address.
    Person(String),
    /// Every backup, and every plan, that is older than this.
    OlderThan(DateTime<Utc>),
}

/// What was erased, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasedValues {
    /// Backups.
    pub backups: usize,
    /// The leads that they are of.
    pub leads: BTreeSet<LeadId>,
    /// Plans of which something is erased, which cannot be carried out any more.
    pub plans: BTreeSet<String>,
    /// Groups that runs left alone, whose key and reason are erased.
    pub left_alone: usize,
}

/// The tables in which values of people are, but the backups themselves.
const TABLES: [&str; 10] = [
    "backup",
    "call",
    "call_value",
    "finding",
    "refusal",
    "run_group",
    "plan",
    "proof",
    "witness",
    left_alone::TABLE,
];

/// A backup that is to be erased.
struct Row {
    seq: i64,
    plan: String,
    key: String,
    lead: i64,
    fields: String,
    lists: Option<String>,
    programs: Option<String>,
}

/// What a plan is to become.
struct PlanRow {
    id: String,
    before: String,
    after: String,
}

impl Ledger {
    /// What would be erased. An error names what is still open of it.
    pub fn would_erase(&self, what: &Erase) -> Result<ErasedValues, Error> {
        let rows = self.rows_to_erase(what)?;
        let keys: BTreeSet<String> = rows.iter().map(|row| row.key.clone()).collect();
        let plans = self.plans_to_erase(what, &keys, &BTreeMap::new())?;
        let leads: BTreeSet<LeadId> = rows.iter().map(|row| row.lead.cast_unsigned()).collect();
        self.refuse_open(&keys, &leads)?;
        let groups = self.groups_to_erase(what, &keys)?;
        let left_alone = self.left_alone_to_erase(what, &keys, &groups)?;
        self.refuse_to_give_back(&groups, &leads)?;
        let words = self.words_to_erase(what, &groups, &leads)?;
        let of_groups = groups.into_iter().map(|group| group.plan);
        let of_groups = of_groups.chain(words.into_iter().map(|word| word.plan));
        Ok(ErasedValues {
            backups: rows.len(),
            leads,
            plans: plans.into_iter().map(|plan| plan.id).chain(of_groups).collect(),
            left_alone: left_alone.len(),
        })
    }

    /// Erases it, all or nothing, and rewrites the file so that no byte of it is left.
    pub fn erase(
        &mut self,
        what: &Erase,
        by: Option<&str>,
        at: &str,
    ) -> Result<ErasedValues, Error> {
        let erased = self.would_erase(what)?;
        if erased.backups == 0 && erased.plans.is_empty() && erased.left_alone == 0 {
            return Ok(erased);
        }
        let rows = self.rows_to_erase(what)?;
        let names: BTreeMap<String, String> =
            rows.iter().map(|row| row.key.clone()).map(|key| (key, by_chance())).collect();
        let keys: BTreeSet<String> = names.keys().cloned().collect();
        let plans = self.plans_to_erase(what, &keys, &names)?;
        let groups = self.groups_to_erase(what, &keys)?;
        let left_alone = self.left_alone_to_erase(what, &keys, &groups)?;
        // Those that no backup has: the same name in each table all the same.
        let mut names = names;
        for key in left_alone.iter().map(|row| &row.key) {
            names.entry(key.clone()).or_insert_with(by_chance);
        }
        let words: Vec<Word> = self.words_to_erase(what, &groups, &erased.leads)?;
        self.db.execute_batch("PRAGMA secure_delete = ON").map_err(|error| self.failed(error))?;
        self.write(|db| {
            let (kind, before) = match what {
                Erase::Person(_) => ("person", None),
                Erase::OlderThan(before) => ("age", Some(before.to_rfc3339())),
            };
            db.execute(
                "INSERT INTO erasure (at, by, what, before) VALUES (?1, ?2, ?3, ?4)",
                params![at, by, kind, before],
            )?;
            let erasure = db.last_insert_rowid();
            let triggers = without_triggers(db)?;
            erase_rows(db, erasure, &rows, &names, before.is_none())?;
            erase_plans(db, erasure, &plans)?;
            plan_rows::erase(db, erasure, &groups, &names)?;
            left_alone::erase(db, &left_alone, &names)?;
            words::erase(db, erasure, &words)?;
            triggers.iter().try_for_each(|sql| db.execute_batch(sql))?;
            Ok(())
        })?;
        // Freed pages are overwritten; the file is made anew without them all the same, and the
        // log, which holds older pages, is emptied.
        self.db
            .execute_batch(
                "PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE);",
            )
            .map_err(|error| self.failed(error))?;
        Ok(erased)
    }

    /// How many backups are older than this and hold values.
    pub fn backups_older_than(&self, before: DateTime<Utc>) -> Result<usize, Error> {
        Ok(self.rows_to_erase(&Erase::OlderThan(before))?.len())
    }

    fn rows_to_erase(&self, what: &Erase) -> Result<Vec<Row>, Error> {
        let all: Vec<(Row, String, Option<String>)> = self.read(|db| {
            db.prepare(
                "SELECT seq, plan, key, lead, fields, lists, programs, taken_at,
                     json_extract(fields, '$.email')
                 FROM backup WHERE seq NOT IN (SELECT backup FROM erased) ORDER BY seq",
            )?
            .query_map([], |row| {
                let backup = Row {
                    seq: row.get(0)?,
                    plan: row.get(1)?,
                    key: row.get(2)?,
                    lead: row.get(3)?,
                    fields: row.get(4)?,
                    lists: row.get(5)?,
                    programs: row.get(6)?,
                };
                Ok((backup, row.get(7)?, row.get(8)?))
            })?
            .collect()
        })?;
        let mut rows = Vec::new();
        for (row, taken_at, email) in all {
            let is_asked = match what {
                Erase::Person(address) => {
                    let is_it = |text: &str| same_address(text, address);
                    is_it(&row.key) || email.as_deref().is_some_and(is_it)
                }
                Erase::OlderThan(before) => {
                    super::past::time(&taken_at, || format!("backup {}", row.seq))? < *before
                }
            };
            if is_asked {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// The plans of which something is to be erased, as they are and as they become.
    fn plans_to_erase(
        &self,
        what: &Erase,
        keys: &BTreeSet<String>,
        names: &BTreeMap<String, String>,
    ) -> Result<Vec<PlanRow>, Error> {
        let all: Vec<(String, String, String)> = self.read(|db| {
            db.prepare("SELECT id, made_at, body FROM plan ORDER BY id")?
                .query_map([], |row| row.try_into())?
                .collect()
        })?;
        let mut plans = Vec::new();
        for (id, made_at, before) in all {
            let Ok(mut body) = serde_json::from_str::<Value>(&before) else { continue };
            let is_old = match what {
                Erase::OlderThan(before) => {
                    super::past::time(&made_at, || format!("plan {id}"))? < *before
                }
                Erase::Person(_) => false,
            };
            let is_persons = |key: &str| {
                keys.contains(key)
                    || matches!(what, Erase::Person(address) if same_address(key, address))
            };
            if erase_groups(&mut body, |key| is_old || is_persons(key), names) {
                plans.push(PlanRow { id, before, after: body.to_string() });
            }
        }
        Ok(plans)
    }

    /// The same of plans whose groups are rows.
    fn groups_to_erase(&self, what: &Erase, keys: &BTreeSet<String>) -> Result<Vec<Group>, Error> {
        let is_asked = |_: &str, made_at: &str, key: &str, addresses: &[String]| match what {
            Erase::OlderThan(before) => {
                made_at.parse::<DateTime<Utc>>().is_ok_and(|at| at < *before)
            }
            Erase::Person(address) => {
                let is_it = |held: &str| same_address(held, address);
                keys.contains(key) || is_it(key) || addresses.iter().any(|held| is_it(held))
            }
        };
        self.read(|db| plan_rows::to_erase(db, is_asked))
    }
}

/// Takes groups out of a plan's body, and leaves the fact that they were there. Whether there were
/// any.
fn erase_groups(
    body: &mut Value,
    is_asked: impl Fn(&str) -> bool,
    names: &BTreeMap<String, String>,
) -> bool {
    let mut gone: Vec<Value> = Vec::new();
    for part in ["groups", "left_out"] {
        let Some(groups) = body.get_mut(part).and_then(Value::as_array_mut) else { continue };
        groups.retain(|group| {
            let key = group.get("key").and_then(Value::as_str).unwrap_or_default();
            let is_erased = group.get("reason").and_then(Value::as_str) == Some(ERASED);
            if is_erased || !is_asked(key) {
                return true;
            }
            let name = names.get(key).cloned().unwrap_or_else(by_chance);
            gone.push(json!({"key": name, "leads": [], "reason": ERASED}));
            false
        });
    }
    let any = !gone.is_empty();
    if let Some(left_out) = body.get_mut("left_out").and_then(Value::as_array_mut) {
        left_out.extend(gone);
    }
    any
}

/// Why a plan has nothing of a group.
const ERASED: &str = "erased";

fn erase_rows(
    db: &Connection,
    erasure: i64,
    rows: &[Row],
    names: &BTreeMap<String, String>,
    is_person: bool,
) -> Result<(), Error> {
    for row in rows {
        let name = names.get(&row.key).map_or(row.key.as_str(), String::as_str);
        let fields: Value = serde_json::from_str(&row.fields).unwrap_or_default();
        // With its id it is the identity of a record, and says nothing of the person.
        let left = json!({"createdAt": fields.get("createdAt").cloned().unwrap_or_default()});
        let sha256 = digest_of(&row.fields, row.lists.as_deref(), row.programs.as_deref());
        db.execute(
            "INSERT INTO erased (backup, erasure, sha256) VALUES (?1, ?2, ?3)",
            params![row.seq, erasure, sha256],
        )?;
        db.execute(
            "UPDATE backup SET fields = ?2, lists = NULL, programs = NULL, key = ?3 WHERE seq = ?1",
            params![row.seq, left.to_string(), name],
        )?;
        // Of a person everything goes; of what is old a later plan keeps its own.
        let of_key = params![row.key, name, is_person, row.plan];
        db.execute(
            "DELETE FROM proof WHERE ?2 = ?2 AND call IN
                 (SELECT id FROM call WHERE key = ?1 AND (?3 OR plan = ?4))",
            of_key,
        )?;
        // What its records were members of; the digest stays, on which certificates rest.
        db.execute(
            "UPDATE witness SET body = NULL WHERE ?2 = ?2
                 AND look IN (SELECT id FROM witness_look WHERE kind = 'members') AND call IN
                 (SELECT id FROM call WHERE key = ?1 AND (?3 OR plan = ?4))",
            of_key,
        )?;
        for sql in [
            "UPDATE call SET key = ?2 WHERE key = ?1 AND (?3 OR plan = ?4)",
            "UPDATE refusal SET key = ?2 WHERE key = ?1 AND (?3 OR plan = ?4)",
            "UPDATE finding SET key = ?2, wanted = 'null', found = 'null'
             WHERE key = ?1 AND (?3 OR plan = ?4)",
        ] {
            db.execute(sql, of_key)?;
        }
        db.execute(
            "UPDATE call_value SET before = 'null', after = 'null'
             WHERE lead = ?1 AND call IN (SELECT id FROM call WHERE plan = ?2)",
            params![row.lead, row.plan],
        )?;
        db.execute(
            "UPDATE run_group SET reason = NULL WHERE winner = ?1
                 AND run IN (SELECT seq FROM run_end WHERE plan = ?2)",
            params![row.lead, row.plan],
        )?;
    }
    Ok(())
}

fn erase_plans(db: &Connection, erasure: i64, plans: &[PlanRow]) -> Result<(), Error> {
    for plan in plans {
        db.execute("UPDATE plan SET body = ?2 WHERE id = ?1", params![plan.id, plan.after])?;
        let sha256 = digest_of(&plan.before, None, None);
        db.execute(
            "INSERT INTO erased_plan (plan, erasure, sha256) VALUES (?1, ?2, ?3)",
            params![plan.id, erasure, sha256],
        )?;
    }
    Ok(())
}

/// Takes the triggers away that refuse changes of these tables, and gives what makes them again.
fn without_triggers(db: &Transaction<'_>) -> Result<Vec<String>, Error> {
    let of_plans = if plan_rows::are_there(db)? { &plan_rows::TABLES[..] } else { &[] };
    let mut made: Vec<String> = Vec::new();
    for table in TABLES.iter().chain(of_plans) {
        let triggers: Vec<(String, String)> = db
            .prepare(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1",
            )?
            .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (name, sql) in triggers {
            db.execute_batch(&format!("DROP TRIGGER {name}"))?;
            made.push(sql);
        }
    }
    Ok(made)
}

fn same_address(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// A name that tells nothing.
fn by_chance() -> String {
    format!("erased-{}", hex(&rand::random::<[u8; 8]>()))
}
