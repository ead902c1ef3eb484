//! Births: which are still to be asked for, what was learnt, and what becomes of them when leads
//! go.

use chrono::SecondsFormat;
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::fields::Fields;
use super::packed::{self, Walk};
use super::row::id_of;
use super::{Cache, Error};
use crate::lead::{Birth, LeadId, parse_time};

impl Cache {
    /// The leads in groups whose birth nobody has asked for yet, by creation as the cache has it,
    /// then by id. Leads without a creation time are left out: nobody could say where to look.
    pub fn leads_without_birth(
        &self,
    ) -> Result<Vec<(LeadId, chrono::DateTime<chrono::Utc>)>, Error> {
        self.read(|db| {
            self.ensure_members()?;
            let Some(created) = Fields::read(db)?.place("createdAt") else { return Ok(Vec::new()) };
            let mut statement = db.prepare(&format!(
                "SELECT lead, body ->> {created} FROM member \
                 WHERE NOT EXISTS (SELECT 1 FROM birth_asked WHERE birth_asked.lead = member.lead)",
            ))?;
            let mut rows = statement.query([])?;
            let mut wanted = Vec::new();
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                let created = row.get_ref(1)?.as_str().ok().and_then(parse_time);
                wanted.extend(created.map(|created| (id.unsigned_abs(), created)));
            }
            wanted.sort_by_key(|(id, created)| (*created, *id));
            Ok(wanted)
        })
    }

    /// Whether anybody was asked for the birth of a lead.
    pub fn has_births(&self) -> Result<bool, Error> {
        self.read(|db| {
            db.query_row("SELECT EXISTS (SELECT 1 FROM birth_asked)", [], |row| row.get(0))
        })
    }

    /// Keeps births, and which leads need not be asked for again: all of it, or nothing.
    pub fn save_births(&mut self, births: &[Birth], asked: &[LeadId]) -> Result<(), Error> {
        self.write(|db| {
            for birth in births {
                put(db, birth)?;
            }
            let mut note = db.prepare_cached("INSERT OR IGNORE INTO birth_asked VALUES (?1)")?;
            for lead in asked {
                note.execute([id_of(*lead)?])?;
            }
            Ok(())
        })
    }

    /// Every birth that is known of leads that were merged away since, by time, then by id.
    pub fn births_of_merged_leads(&self) -> Result<Vec<Birth>, Error> {
        self.read(|db| {
            let mut statement =
                db.prepare("SELECT * FROM birth WHERE lead <> born_as ORDER BY at, born_as, lead")?;
            statement.query_map([], read)?.collect()
        })
    }
}

impl Cache {
    /// The leads that were merged into one whose email this holds for, as far as their births tell:
    /// survivor and loser.
    pub fn merged_into_emails(
        &self,
        is_asked_for: impl Fn(&str) -> bool,
    ) -> Result<Vec<(LeadId, LeadId)>, Error> {
        self.read(|db| {
            let fields = Fields::read(db)?;
            let mut statement = db.prepare(
                "SELECT DISTINCT lead, born_as FROM birth WHERE lead <> born_as ORDER BY lead, born_as",
            )?;
            let mut rows = statement.query([])?;
            let mut merged = Vec::new();
            while let Some(row) = rows.next()? {
                let (survivor, loser): (i64, i64) = (row.get(0)?, row.get(1)?);
                let Some(stored) = packed::get(db, survivor)? else { continue };
                let lead = fields.lead(survivor, &stored.body)?;
                let email = lead.value("email").and_then(Value::as_str);
                if email.is_some_and(&is_asked_for) {
                    merged.push((survivor.unsigned_abs(), loser.unsigned_abs()));
                }
            }
            Ok(merged)
        })
    }
}

/// What is known of a lead's births, by time, then by the id at birth.
pub(super) fn of_lead(db: &Connection, lead: i64) -> rusqlite::Result<Vec<Birth>> {
    let mut statement =
        db.prepare_cached("SELECT * FROM birth WHERE lead = ?1 ORDER BY at, born_as")?;
    statement.query_map([lead], read)?.collect()
}

/// As in Marketo, the births of merged leads go to the lead that stays.
pub(super) fn merged(db: &Connection, winner: LeadId, losers: &[LeadId]) -> rusqlite::Result<()> {
    let mut moved = db.prepare_cached("UPDATE OR REPLACE birth SET lead = ?1 WHERE lead = ?2")?;
    for loser in losers {
        moved.execute(params![id_of(winner)?, id_of(*loser)?])?;
    }
    Ok(())
}

/// What is known of leads that are no longer there goes with them.
pub(super) fn forget_gone(db: &Connection) -> rusqlite::Result<()> {
    let gone = if packed::is_used(db)? { not_packed(db)? } else { Vec::new() };
    for table in ["birth", "birth_asked"] {
        let mut delete = db.prepare(&format!("DELETE FROM {table} WHERE lead = ?1"))?;
        for lead in &gone {
            delete.execute([lead])?;
        }
        if !packed::is_used(db)? {
            db.execute(
                &format!(
                    "DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM lead WHERE lead.id = {table}.lead)"
                ),
                [],
            )?;
        }
    }
    Ok(())
}

/// Leads of which something is known and that are not among the packed ones: both are read side by
/// side, by id.
fn not_packed(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut known =
        db.prepare("SELECT lead FROM birth UNION SELECT lead FROM birth_asked ORDER BY lead")?;
    let mut known = known.query([])?;
    let mut statement = packed::all(db)?;
    let mut leads = Walk::through(&mut statement)?;
    let (mut gone, mut there) = (Vec::new(), i64::MIN);
    while let Some(row) = known.next()? {
        let lead: i64 = row.get(0)?;
        while there < lead {
            there = leads.next()?.map_or(i64::MAX, |line| line.id);
        }
        if there != lead {
            gone.push(lead);
        }
    }
    Ok(gone)
}

fn put(db: &Connection, birth: &Birth) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT OR REPLACE INTO birth VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute(params![
        id_of(birth.lead)?,
        id_of(birth.born_as)?,
        birth.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        birth.source_type,
        birth.api_method,
        birth.api_user,
        birth.request_id,
        birth.list,
        birth.form,
        birth.crm_type,
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Birth> {
    let at: String = row.get(2)?;
    let at = parse_time(&at).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(2, Type::Text, "a birth without a time".into())
    })?;
    Ok(Birth {
        lead: row.get::<_, i64>(0)?.unsigned_abs(),
        born_as: row.get::<_, i64>(1)?.unsigned_abs(),
        at,
        source_type: row.get(3)?,
        api_method: row.get(4)?,
        api_user: row.get(5)?,
        request_id: row.get(6)?,
        list: row.get(7)?,
        form: row.get(8)?,
        crm_type: row.get(9)?,
    })
}
