//! Plans as rows: written once, read a page at a time.
//!
//! For: a plan of a hundred thousand groups is never in memory as a whole. It is put together in
//! temporary tables, which go with the process, and kept in one transaction when it is complete.
//! Never: knows what is in a group; the JSON is its writer's.

use std::ops::ControlFlow;

use rusqlite::{OptionalExtension as _, params};

use super::digest::Digest;
use super::{Error, Ledger};
use crate::lead::LeadId;

/// A group of a plan, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// Its place in the plan, from 0.
    pub place: u64,
    /// What its leads have in common, as stored.
    pub key: String,
    /// The word of its risk.
    pub risk: String,
    /// The word of its cause.
    pub cause: Option<String>,
    /// The domain of its address.
    pub domain: Option<String>,
    /// The names of its leads, for the search.
    pub names: String,
    /// The lead that stays.
    pub winner: LeadId,
    /// How many go.
    pub losers: u64,
    /// How many values are dropped.
    pub dropped: u64,
    /// How many opt-outs are lost: none.
    pub lost: u64,
}

/// What one group is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBody {
    /// The planned group, as JSON.
    pub body: String,
    /// Its leads, as JSON.
    pub leads: String,
}

/// A group that nobody can decide about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftRow {
    /// Its place among these, from 0.
    pub place: u64,
    /// What its leads have in common, as stored.
    pub key: String,
    /// The ids, as JSON.
    pub leads: String,
    /// Why.
    pub reason: String,
}

/// A plan that is kept, without its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHead {
    /// Its number in this ledger.
    pub number: i64,
    /// Its id.
    pub plan: String,
    /// Its digest.
    pub digest: String,
    /// By which people call it.
    pub name: Option<String>,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// Its header, as JSON.
    pub header: String,
}

const DRAFT: &str = "
    DROP TABLE IF EXISTS temp.draft_group;
    DROP TABLE IF EXISTS temp.draft_left;
    CREATE TEMP TABLE draft_group (key TEXT UNIQUE, risk, cause, domain, names, winner, losers, dropped, lost, body,
        leads);
    CREATE TEMP TABLE draft_left (key TEXT, leads, reason);";

/// The order of a plan: the largest groups first, then by key.
const IN_ORDER: &str = "FROM temp.draft_group ORDER BY losers DESC, key";

const LEFT_IN_ORDER: &str = "FROM temp.draft_left ORDER BY key, leads";

impl Ledger {
    /// Begins to put a plan together; an earlier one that was not kept is gone.
    pub fn begin_draft(&mut self) -> Result<(), Error> {
        self.read(|db| db.execute_batch(DRAFT))
    }

    /// Adds a group; its place is found at the end.
    pub fn draft_group(&mut self, row: &GroupRow, body: &GroupBody) -> Result<(), Error> {
        self.read(|db| {
            db.prepare_cached(
                "INSERT INTO temp.draft_group VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                row.key,
                row.risk,
                row.cause,
                row.domain,
                row.names,
                row.winner.cast_signed(),
                row.losers.cast_signed(),
                row.dropped.cast_signed(),
                row.lost.cast_signed(),
                body.body,
                body.leads,
            ])
            .map(drop)
        })
    }

    /// Adds a group that nobody can decide about.
    pub fn draft_left(&mut self, key: &str, leads: &str, reason: &str) -> Result<(), Error> {
        self.read(|db| {
            db.prepare_cached("INSERT INTO temp.draft_left VALUES (?1, ?2, ?3)")?
                .execute(params![key, leads, reason])
                .map(drop)
        })
    }

    /// Keeps what was put together under the digest of all of it, synced to disk. A name that
    /// another plan has is an error, and nothing is kept.
    pub fn keep_draft(
        &mut self,
        header: &str,
        name: Option<&str>,
        made_at: &str,
    ) -> Result<PlanHead, Error> {
        let digest = self.read(|db| {
            digest_of(
                db,
                header,
                &format!("SELECT key, body, leads {IN_ORDER}"),
                &format!("SELECT key, leads, reason {LEFT_IN_ORDER}"),
            )
        })?;
        let plan: String = digest.chars().take(16).collect();
        // Made again at the same moment of the same leads, it is the same plan.
        if let Some(kept) = self.plan_head(&plan)?.filter(|kept| kept.digest == digest) {
            self.read(|db| db.execute_batch(DRAFT))?;
            return Ok(kept);
        }
        if let Some(name) = name
            && self.plan_head(name)?.is_some()
        {
            return Err(Error::NameTaken { name: name.to_owned() });
        }
        let number = self.write(|db| {
            db.execute(
                "INSERT INTO plan (id, made_at, body) VALUES (?1, ?2, ?3)",
                params![plan, made_at, header],
            )?;
            db.execute(
                "INSERT INTO plan_head (plan, digest, name) VALUES (?1, ?2, ?3)",
                params![plan, digest, name],
            )?;
            let number = db.last_insert_rowid();
            db.execute(
                &format!(
                    "INSERT INTO plan_group SELECT ?1, row_number() OVER (ORDER BY losers DESC, key) - 1, key, risk,
                         cause, domain, names, winner, losers, dropped, lost {IN_ORDER}"
                ),
                [number],
            )?;
            db.execute(
                &format!(
                    "INSERT INTO plan_body SELECT ?1, row_number() OVER (ORDER BY losers DESC, key) - 1, body, leads
                     {IN_ORDER}"
                ),
                [number],
            )?;
            db.execute(
                &format!(
                    "INSERT INTO plan_left SELECT ?1, row_number() OVER (ORDER BY key, leads) - 1, key, leads, reason
                     {LEFT_IN_ORDER}"
                ),
                [number],
            )?;
            Ok(number)
        })?;
        self.read(|db| db.execute_batch(DRAFT))?;
        let (name, made_at) = (name.map(str::to_owned), made_at.to_owned());
        Ok(PlanHead { number, plan, digest, name, made_at, header: header.to_owned() })
    }

    /// The plan of this id or name; none where there is none, or an older version made it.
    pub fn plan_head(&self, plan: &str) -> Result<Option<PlanHead>, Error> {
        self.read(|db| {
            db.query_row(
                "SELECT number, plan, digest, name, made_at, body FROM plan_head JOIN plan ON plan.id = plan_head.plan
                 WHERE plan_head.plan = ?1 OR name = ?1 ORDER BY plan_head.plan = ?1 DESC LIMIT 1",
                [plan],
                |row| {
                    Ok(PlanHead {
                        number: row.get(0)?,
                        plan: row.get(1)?,
                        digest: row.get(2)?,
                        name: row.get(3)?,
                        made_at: row.get(4)?,
                        header: row.get(5)?,
                    })
                },
            )
            .optional()
        })
    }

    /// Whether every row of the plan is what it was when it was kept.
    pub fn is_intact(&self, head: &PlanHead) -> Result<bool, Error> {
        let number = head.number;
        let digest = self.read(|db| {
            digest_of(
                db,
                &head.header,
                &format!(
                    "SELECT key, body, leads FROM plan_group JOIN plan_body USING (plan, place) WHERE plan = {number} \
                     ORDER BY place"
                ),
                &format!("SELECT key, leads, reason FROM plan_left WHERE plan = {number} ORDER BY place"),
            )
        })?;
        Ok(digest == head.digest)
    }

    /// Hands every group of a plan over, without what it is made of, in order.
    pub fn each_group(&self, number: i64, mut each: impl FnMut(GroupRow)) -> Result<(), Error> {
        self.read(|db| {
            let mut statement = db.prepare(
                "SELECT place, key, risk, cause, domain, names, winner, losers, dropped, lost FROM plan_group
                 WHERE plan = ?1 ORDER BY place",
            )?;
            let mut rows = statement.query([number])?;
            while let Some(row) = rows.next()? {
                each(group_row(row)?);
            }
            Ok(())
        })
    }

    /// What the group at a place is made of.
    pub fn group_body(&self, number: i64, place: u64) -> Result<Option<GroupBody>, Error> {
        self.read(|db| {
            db.prepare_cached("SELECT body, leads FROM plan_body WHERE plan = ?1 AND place = ?2")?
                .query_row(params![number, place.cast_signed()], |row| {
                    Ok(GroupBody { body: row.get(0)?, leads: row.get(1)? })
                })
                .optional()
        })
    }

    /// What the groups of a plan are made of, from a place on: the place, the planned group and its
    /// leads, each handed over before the next is read, until the closure says to stop.
    pub fn each_body(
        &self,
        number: i64,
        from: u64,
        mut each: impl FnMut(u64, &str, &str) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT place, body, leads FROM plan_body WHERE plan = ?1 AND place >= ?2 ORDER BY place",
            )?;
            let mut rows = statement.query(params![number, from.cast_signed()])?;
            while let Some(row) = rows.next()? {
                let place = row.get::<_, i64>(0)?.cast_unsigned();
                if each(place, row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// How many groups a plan has that can be decided about.
    pub fn count_groups(&self, number: i64) -> Result<u64, Error> {
        self.read(|db| {
            db.query_row("SELECT count(*) FROM plan_group WHERE plan = ?1", [number], |row| {
                row.get::<_, i64>(0).map(i64::unsigned_abs)
            })
        })
    }

    /// How many groups of a plan nobody can decide about.
    pub fn count_left(&self, number: i64) -> Result<u64, Error> {
        self.read(|db| {
            db.query_row("SELECT count(*) FROM plan_left WHERE plan = ?1", [number], |row| {
                row.get::<_, i64>(0).map(i64::unsigned_abs)
            })
        })
    }

    /// Those groups, from a place on.
    pub fn left_from(&self, number: i64, from: u64, count: usize) -> Result<Vec<LeftRow>, Error> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.read(|db| {
            db.prepare_cached(
                "SELECT place, key, leads, reason FROM plan_left WHERE plan = ?1 AND place >= ?2 ORDER BY place LIMIT ?3",
            )?
            .query_map(params![number, from.cast_signed(), count], |row| {
                Ok(LeftRow {
                    place: row.get::<_, i64>(0)?.unsigned_abs(),
                    key: row.get(1)?,
                    leads: row.get(2)?,
                    reason: row.get(3)?,
                })
            })?
            .collect()
        })
    }

    /// The groups of a plan with these records to keep, as its runs took them up, as JSON; an
    /// older version's plan has none.
    pub fn groups_by_winner(&self, plan: &str, winners: &[LeadId]) -> Result<Vec<String>, Error> {
        self.read(|db| {
            let mut carried = db.prepare_cached(
                "SELECT body FROM carried WHERE plan = ?1 AND winner = ?2 ORDER BY seq DESC LIMIT 1",
            )?;
            let mut planned = db.prepare_cached(
                "SELECT body FROM plan_head JOIN plan_group ON plan_group.plan = number
                     JOIN plan_body ON plan_body.plan = number AND plan_body.place = plan_group.place
                 WHERE plan_head.plan = ?1 AND winner = ?2",
            )?;
            let mut bodies = Vec::new();
            for winner in winners {
                let row = params![plan, winner.cast_signed()];
                let body = carried.query_row(row, |row| row.get(0)).optional()?;
                match body {
                    Some(body) => bodies.push(body),
                    None => bodies.extend(planned.query_row(row, |row| row.get(0)).optional()?),
                }
            }
            Ok(bodies)
        })
    }

    /// Keeps groups as a run takes them up, where they are not what the plan has.
    pub fn carry(&mut self, plan: &str, groups: &[(String, LeadId, String)]) -> Result<(), Error> {
        self.write(|db| {
            let mut insert = db.prepare_cached(
                "INSERT INTO carried (plan, key, winner, body) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (key, winner, body) in groups {
                insert.execute(params![plan, key, winner.cast_signed(), body])?;
            }
            Ok(())
        })
    }
}

fn group_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<GroupRow> {
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(GroupRow {
        place: number(0)?,
        key: row.get(1)?,
        risk: row.get(2)?,
        cause: row.get(3)?,
        domain: row.get(4)?,
        names: row.get(5)?,
        winner: number(6)?,
        losers: number(7)?,
        dropped: number(8)?,
        lost: number(9)?,
    })
}

/// The digest of a plan: its header, its groups in order, and what is left out of it.
fn digest_of(
    db: &rusqlite::Connection,
    header: &str,
    groups: &str,
    left: &str,
) -> rusqlite::Result<String> {
    let mut digest = Digest::default();
    digest.add(header);
    for (what, rows) in [("groups", groups), ("left", left)] {
        digest.add(what);
        let mut statement = db.prepare(rows)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..3 {
                digest.add(row.get_ref(column)?.as_str()?);
            }
        }
    }
    Ok(digest.hex())
}

#[cfg(test)]
mod tests;
