//! The runs that were begun: what each did, when, and by whom.
//!
//! For: a run has a number and a beginning before it sends anything, so that a kill does not lose
//! it. What it did is told from the calls and ends that came after its beginning and before the
//! next one's. Never: says of a merge that it happened which no look at Marketo has shown.

use std::fmt;

use chrono::{DateTime, Utc};
use rusqlite::{Row, Transaction, params};

use super::bounds::BOUNDS;
use super::left_alone::{self, LeftAlone, STANDING};
use super::past::{GroupEnd, time};
use super::{Error, Ledger};
use crate::lead::LeadId;

/// The ledger's number of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub(super) i64);

impl RunId {
    /// The number by which a person names it.
    pub fn number(self) -> u64 {
        self.0.cast_unsigned()
    }
}

impl From<u32> for RunId {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// It carries a plan out.
    Merge,
    /// It makes lost leads anew.
    Restore,
}

impl RunKind {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Restore => "restore",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Merge, Self::Restore].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A run that is about to begin.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    /// What it does.
    pub kind: RunKind,
    /// The plan that it carries out.
    pub plan: Option<&'a str>,
    /// The digest of the plan with all that is decided about it, as it is carried out.
    pub digest: Option<&'a str>,
    /// Who runs it, where that is known.
    pub by: Option<&'a str>,
}

/// A run, and what it came to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// Its number.
    pub id: RunId,
    /// What it does.
    pub kind: RunKind,
    /// The plan that it carries out.
    pub plan: Option<String>,
    /// The digest of the plan with all that was decided about it, as it was carried out; none of a
    /// run of an older version.
    pub digest: Option<String>,
    /// Who ran it; none where nobody knows.
    pub by: Option<String>,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it ended; none of one that was killed, or is under way.
    pub ended_at: Option<DateTime<Utc>>,
    /// Groups that are merged.
    pub merged: u64,
    /// Leads that are gone.
    pub removed: u64,
    /// Lost leads that are there anew.
    pub restored: u64,
    /// Groups, or lost leads, that it left alone.
    pub skipped: u64,
    /// Whether it kept which groups it left alone: runs of older versions did not.
    pub left_alone_known: bool,
    /// Those whose records to keep were written to, and that were not merged.
    pub prepared: u64,
    /// Those that failed, or of which nobody knows.
    pub failed: u64,
    /// Whether it came to everything that it was to do.
    pub complete: bool,
}

/// A merge that a look at Marketo has shown, as the map of merges needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedLead {
    /// The lead that is gone.
    pub loser: LeadId,
    /// The lead that stayed then.
    pub winner: LeadId,
    /// The ledger's number of the call that took it.
    pub call: u64,
    /// The key of their group.
    pub key: String,
    /// The plan that it was part of.
    pub plan: String,
    /// The run that sent it; none where nothing tells.
    pub run: Option<RunId>,
    /// Who ran it.
    pub by: Option<String>,
    /// When its call left.
    pub at: DateTime<Utc>,
    /// Marketo's id of the call.
    pub request_id: Option<String>,
    /// When the loser was created, as Marketo wrote it.
    pub loser_created_at: Option<String>,
    /// The same of the winner.
    pub winner_created_at: Option<String>,
}

impl Ledger {
    /// Writes down that a run begins, before anything of it is sent; on disk when it returns.
    pub fn begin_run(&mut self, run: &NewRun<'_>, at: &str) -> Result<RunId, Error> {
        self.write(|db| begin(db, run, at))
    }

    /// The same, with the groups that it leaves alone from the beginning.
    pub fn begin_run_without(
        &mut self,
        run: &NewRun<'_>,
        left_alone: &[LeftAlone],
        at: &str,
    ) -> Result<RunId, Error> {
        self.write(|db| {
            let id = begin(db, run, at)?;
            left_alone::insert(db, id, left_alone, at)?;
            Ok(id)
        })
    }

    /// The runs, the newest first.
    pub fn runs(&self) -> Result<Vec<PastRun>, Error> {
        let rows: Vec<RunRow> = self.read(|db| {
            db.prepare(&format!(
                "{BOUNDS}
                 SELECT bounded.id, kind, bounded.plan, digest, by, begun_at, run_end.at, run_end.complete,
                     (SELECT count(*) FROM run_group WHERE run = run_end.seq AND outcome = 'merged'),
                     (SELECT count(*) FROM run_group WHERE run = run_end.seq AND outcome = 'skipped'),
                     (SELECT count(*) FROM run_group WHERE run = run_end.seq AND outcome IN ('failed', 'unknown')),
                     (SELECT count(DISTINCT key) FROM call JOIN journal ON journal.call = call.id
                      WHERE call.id > after_call AND call.id <= last_call AND call.kind = 'merge'
                          AND event = 'verified' AND survivor IS NOT NULL),
                     (SELECT coalesce(sum(json_array_length(merged)), 0) FROM call
                      JOIN journal ON journal.call = call.id
                      WHERE call.id > after_call AND call.id <= last_call AND call.kind = 'merge'
                          AND event = 'verified' AND survivor IS NOT NULL),
                     restore_end.at, restore_end.complete, restore_end.restored, restore_end.skipped,
                     restore_end.failed,
                     (SELECT count(DISTINCT lost) FROM restored
                      WHERE restored.run = bounded.id AND new IS NOT NULL),
                     CASE WHEN bounded.id > (SELECT run FROM left_alone_since)
                          THEN (SELECT count(*) FROM {STANDING}) END,
                     (SELECT count(*) FROM run_group WHERE run = run_end.seq AND outcome = 'prepared')
                 FROM bounded
                 LEFT JOIN run_end ON bounded.kind = 'merge' AND run_end.seq > after_end AND run_end.seq <= last_end
                 LEFT JOIN restore_end ON restore_end.run = bounded.id
                 ORDER BY bounded.id DESC"
            ))?
            .query_map([], run_row)?
            .collect()
        })?;
        let mut runs: Vec<PastRun> = rows.into_iter().map(past_run).collect::<Result<_, _>>()?;
        // Of one that was killed only the journal tells.
        for run in runs.iter_mut().filter(|run| run.ended_at.is_none() && run.plan.is_some()) {
            run.prepared = self.prepared_of(run.id)?;
        }
        Ok(runs)
    }

    /// The run with this number.
    pub fn run(&self, id: RunId) -> Result<Option<PastRun>, Error> {
        Ok(self.runs()?.into_iter().find(|run| run.id == id))
    }

    /// How the groups of a run ended that it came to; none of a run that was killed.
    pub fn ends_of_run(&self, id: RunId) -> Result<Vec<GroupEnd>, Error> {
        self.read(|db| {
            db.prepare(&format!(
                "{BOUNDS}
                 SELECT winner, outcome, reason FROM bounded
                 JOIN run_end ON run_end.seq > after_end AND run_end.seq <= last_end
                 JOIN run_group ON run_group.run = run_end.seq
                 WHERE bounded.id = ?1 ORDER BY winner"
            ))?
            .query_map([id.0], |row| {
                let winner: i64 = row.get(0)?;
                Ok(GroupEnd {
                    winner: winner.cast_unsigned(),
                    outcome: row.get(1)?,
                    reason: row.get(2)?,
                })
            })?
            .collect()
        })
    }

    /// Every lead that a merge of this program took, as a look at Marketo has shown, in the order
    /// in which that was seen.
    pub fn merged_leads(&self) -> Result<Vec<MergedLead>, Error> {
        type Found = (MergedRow, Option<String>, Option<String>);
        let rows: Vec<Found> = self.read(|db| {
            db.prepare(&format!(
                "{BOUNDS}
                 SELECT gone.value, seen.survivor, call.id, call.key, call.plan, bounded.id, bounded.by,
                     coalesce((SELECT at FROM journal WHERE journal.call = call.id AND event = 'started'), seen.at),
                     (SELECT request_id FROM journal WHERE journal.call = call.id AND request_id IS NOT NULL
                      ORDER BY seq DESC LIMIT 1),
                     (SELECT json_extract(fields, '$.createdAt') FROM backup
                      WHERE backup.lead = gone.value AND backup.plan = call.plan ORDER BY seq DESC LIMIT 1),
                     (SELECT json_extract(fields, '$.createdAt') FROM backup
                      WHERE backup.lead = seen.survivor AND backup.plan = call.plan ORDER BY seq DESC LIMIT 1)
                 FROM call
                 JOIN journal AS seen ON seen.call = call.id AND seen.event = 'verified' AND seen.survivor IS NOT NULL
                 JOIN json_each(seen.merged) AS gone
                 LEFT JOIN bounded ON call.id > after_call AND call.id <= last_call
                 WHERE call.kind = 'merge' ORDER BY seen.seq, gone.key"
            ))?
            .query_map([], |row| {
                let merged = MergedRow {
                    loser: row.get(0)?,
                    winner: row.get(1)?,
                    call: row.get(2)?,
                    key: row.get(3)?,
                    plan: row.get(4)?,
                    run: row.get(5)?,
                    by: row.get(6)?,
                    at: row.get(7)?,
                    request_id: row.get(8)?,
                };
                Ok((merged, row.get(9)?, row.get(10)?))
            })?
            .collect()
        })?;
        rows.into_iter()
            .map(|(row, loser_created_at, winner_created_at)| {
                let at = time(&row.at, || format!("a merge of plan {}", row.plan))?;
                Ok(MergedLead {
                    loser: row.loser.cast_unsigned(),
                    winner: row.winner.cast_unsigned(),
                    call: row.call.cast_unsigned(),
                    key: row.key,
                    plan: row.plan,
                    run: row.run.map(RunId),
                    by: row.by,
                    at,
                    request_id: row.request_id,
                    loser_created_at,
                    winner_created_at,
                })
            })
            .collect()
    }
}

fn begin(db: &Transaction<'_>, run: &NewRun<'_>, at: &str) -> Result<RunId, Error> {
    db.execute(
        "INSERT INTO run (kind, plan, digest, by, begun_at, after_call, after_end)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT coalesce(max(id), 0) FROM call),
             (SELECT coalesce(max(seq), 0) FROM run_end))",
        params![run.kind.as_str(), run.plan, run.digest, run.by, at],
    )?;
    Ok(RunId(db.last_insert_rowid()))
}

/// A row of [`Ledger::merged_leads`].
struct MergedRow {
    loser: i64,
    winner: i64,
    call: i64,
    key: String,
    plan: String,
    run: Option<i64>,
    by: Option<String>,
    at: String,
    request_id: Option<String>,
}

/// A row of [`Ledger::runs`].
struct RunRow {
    id: i64,
    kind: String,
    plan: Option<String>,
    digest: Option<String>,
    by: Option<String>,
    begun_at: String,
    ended: Option<(String, bool)>,
    /// Groups by how they ended: merged, skipped, failed.
    ended_so: [i64; 3],
    /// Groups of which a merge was seen.
    seen: i64,
    removed: i64,
    /// The end of a run that makes leads anew, with how many were restored, skipped, failed.
    restore_ended: Option<(String, bool)>,
    restore_ended_so: [Option<i64>; 3],
    /// Leads that are known to be there anew.
    restored: i64,
    /// Groups that it kept as left alone; none of a run that did not keep them.
    left_alone: Option<i64>,
    /// Groups whose records to keep were written to, and that were not merged.
    prepared: i64,
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let end = |at, complete| -> rusqlite::Result<Option<(String, bool)>> {
        let (at, complete): (Option<String>, Option<bool>) = (row.get(at)?, row.get(complete)?);
        Ok(at.zip(complete))
    };
    Ok(RunRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        plan: row.get(2)?,
        digest: row.get(3)?,
        by: row.get(4)?,
        begun_at: row.get(5)?,
        ended: end(6, 7)?,
        ended_so: [row.get(8)?, row.get(9)?, row.get(10)?],
        seen: row.get(11)?,
        removed: row.get(12)?,
        restore_ended: end(13, 14)?,
        restore_ended_so: [row.get(15)?, row.get(16)?, row.get(17)?],
        restored: row.get(18)?,
        left_alone: row.get(19)?,
        prepared: row.get(20)?,
    })
}

fn past_run(row: RunRow) -> Result<PastRun, Error> {
    let of_run = || format!("run {}", row.id);
    let kind = RunKind::parse(&row.kind)
        .ok_or_else(|| Error::Damaged { what: format!("{}: kind {}", of_run(), row.kind) })?;
    let begun_at = time(&row.begun_at, of_run)?;
    let ended = row.ended.as_ref().or(row.restore_ended.as_ref());
    let ended_at = ended.map(|(at, _)| time(at, of_run)).transpose()?;
    let complete = ended.is_some_and(|(_, complete)| *complete);
    let [mut merged, mut skipped, mut failed] = row.ended_so.map(i64::unsigned_abs);
    // Also those that the plan itself left alone, and of a run that was killed.
    if let (RunKind::Merge, Some(left_alone)) = (kind, row.left_alone) {
        skipped = left_alone.unsigned_abs();
    }
    let mut restored = row.restored.unsigned_abs();
    if let [Some(ended_restored), Some(ended_skipped), Some(ended_failed)] = row.restore_ended_so {
        restored = ended_restored.unsigned_abs();
        (skipped, failed) = (ended_skipped.unsigned_abs(), ended_failed.unsigned_abs());
    }
    // Of a run that was killed only the journal tells.
    if ended_at.is_none() {
        merged = row.seen.unsigned_abs();
    }
    Ok(PastRun {
        id: RunId(row.id),
        kind,
        plan: row.plan,
        digest: row.digest,
        by: row.by,
        begun_at,
        ended_at,
        merged,
        removed: row.removed.unsigned_abs(),
        restored,
        skipped,
        left_alone_known: row.left_alone.is_some(),
        prepared: row.prepared.unsigned_abs(),
        failed,
        complete,
    })
}
