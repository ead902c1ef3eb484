//! Links rows to the records that stay before their merges, and reads them back.
//!
//! Never: leaves a row on a loser that could move, or lets a group go on whose rows were not seen
//! on the record that stays.

use std::collections::{BTreeMap, BTreeSet};

use super::link::{LAG, Linked, Place, folded};
use crate::dedupe::{LeadRows, PlannedGroup, Policy, Reason, why_rows_stay};
use crate::lead::{Lead, LeadId};
use crate::ledger::{LinkedRow, NewRows, RowPurpose};
use crate::marketo::{BATCH, SendGate};
use crate::merge::context::{Merge, MergeClient};
use crate::merge::custom_objects::{GroupRows, RowMove};
use crate::merge::error::Error;
use crate::merge::run::STOPPED;
use crate::merge::work::Work;

/// How often rows are looked for on the record that stays: a read can lag behind a write.
const READS: u32 = 3;

/// What became of the rows of a group.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::merge) enum Moved {
    /// It has none, or all that can move were seen on the record that stays.
    AsPlanned,
    /// The look that they rest on had become too old: the group is looked at again.
    TooOld,
    /// It is left alone, for this reason. Whether it counts among the failures that stop a run.
    Failed { why: String, counts: bool },
}

/// By winner.
type Failures = BTreeMap<LeadId, (String, bool)>;

impl<M: MergeClient> Merge<'_, M> {
    /// The rows on the leads of each group, by its winner, as a policy lets them move. `live` are
    /// the leads, where rows are linked by their values.
    pub(in crate::merge) async fn rows_on(
        &mut self,
        groups: &[&PlannedGroup],
        live: &BTreeMap<LeadId, Lead>,
        policy: &Policy,
    ) -> Result<BTreeMap<LeadId, GroupRows>, Error> {
        let mut found = self.custom_objects.find(self.marketo, groups, live).await?;
        if policy.leave_rows {
            found.values_mut().for_each(leave);
        }
        Ok(found)
    }

    /// Links the rows of groups to the records that stay, as far as it is not done yet, and reads
    /// them back. Gives what became of each, by the winner.
    pub(in crate::merge) async fn move_rows(
        &mut self,
        gate: &impl SendGate,
        plan: &str,
        groups: &mut [Work<'_>],
    ) -> Result<BTreeMap<LeadId, Moved>, Error> {
        let mut failures = Failures::new();
        let mut too_old = BTreeSet::new();
        for mut rows in calls_of(groups) {
            if too_old.is_empty() {
                self.leave_relinked(&mut rows, groups, &mut failures, &mut too_old).await?;
            }
            let winners: BTreeSet<LeadId> = rows.rows.iter().map(|row| row.winner).collect();
            if !too_old.is_empty() {
                too_old.extend(winners);
                continue;
            }
            if rows.rows.is_empty() {
                continue;
            }
            let linked = self.link_rows(gate, plan, &rows).await?;
            if let Linked::Withheld = linked {
                too_old.extend(winners);
                continue;
            }
            for work in groups.iter_mut().filter(|work| winners.contains(&work.group.winner)) {
                work.has_moved_rows = true;
                if let Linked::Done(refused) = &linked {
                    keep_as_moved(work, &rows, refused);
                }
            }
            match linked {
                Linked::Done(refused) => {
                    for row in &rows.rows {
                        if let Some(why) = refused.get(&row.guid) {
                            let why = not_linked(&rows.object, row, why);
                            failures.entry(row.winner).or_insert((why, false));
                        }
                    }
                }
                Linked::Refused(why) => {
                    for row in &rows.rows {
                        let why = not_linked(&rows.object, row, &why);
                        failures.entry(row.winner).or_insert((why, true));
                    }
                }
                Linked::Open => {
                    for row in &rows.rows {
                        failures.entry(row.winner).or_insert((STOPPED.to_owned(), false));
                    }
                }
                Linked::Withheld => {}
            }
        }
        self.read_rows_back(groups, &mut failures, &mut too_old).await?;
        let moved = groups.iter().map(|work| {
            let winner = work.group.winner;
            let moved = match failures.remove(&winner) {
                Some((why, counts)) => Moved::Failed { why, counts },
                None if too_old.contains(&winner) => Moved::TooOld,
                None => Moved::AsPlanned,
            };
            (winner, moved)
        });
        Ok(moved.collect())
    }

    /// Looks at the rows of a call just before it leaves. What somebody has linked to another lead
    /// since it was found is not taken from there: nothing more of its group is moved, and the
    /// group is left alone.
    async fn leave_relinked(
        &mut self,
        rows: &mut NewRows,
        groups: &mut [Work<'_>],
        failures: &mut Failures,
        too_old: &mut BTreeSet<LeadId>,
    ) -> Result<(), Error> {
        let guids: Vec<String> = rows.rows.iter().map(|row| row.guid.clone()).collect();
        let Some(places) = self.places(&rows.object, &rows.field, &guids).await? else {
            too_old.extend(rows.rows.iter().map(|row| row.winner));
            return Ok(());
        };
        let mut there = BTreeSet::new();
        for row in &rows.rows {
            let why = match places.get(&folded(&row.guid)) {
                Some(Place::On(Some(lead))) if *lead == row.was => continue,
                // It needs no move, and where it was not moved by this program it is not given
                // back.
                Some(Place::On(Some(lead))) if *lead == row.becomes => {
                    there.insert(row.guid.clone());
                    continue;
                }
                Some(Place::On(Some(lead))) => format!("it is linked to lead {lead} by now"),
                Some(Place::On(None)) => "it is linked to no lead by now".to_owned(),
                Some(Place::Unreadable(why)) => why.clone(),
                Some(Place::Gone) | None => "it is not there any more".to_owned(),
            };
            let why = not_linked(&rows.object, row, &why);
            failures.entry(row.winner).or_insert((why, false));
        }
        rows.rows.retain(|row| !failures.contains_key(&row.winner) && !there.contains(&row.guid));
        for work in groups {
            work.rows.retain(|row| row.object != rows.object || !there.contains(&row.guid));
        }
        Ok(())
    }

    /// Looks for the rows of groups on the records that stay. What is not there is looked for
    /// again; what came to a loser meanwhile is moved under the next look.
    async fn read_rows_back(
        &mut self,
        groups: &mut [Work<'_>],
        failures: &mut Failures,
        too_old: &mut BTreeSet<LeadId>,
    ) -> Result<(), Error> {
        let mut open: Vec<&mut Work<'_>> = groups
            .iter_mut()
            .filter(|work| work.has_moved_rows && !work.rows_read_back)
            .filter(|work| {
                let winner = work.group.winner;
                !failures.contains_key(&winner) && !too_old.contains(&winner)
            })
            .collect();
        for read in 0..READS {
            if open.is_empty() {
                return Ok(());
            }
            if read > 0 {
                self.clock.sleep(LAG).await;
            }
            let planned: Vec<&PlannedGroup> = open.iter().map(|work| work.group).collect();
            let objects: BTreeSet<String> =
                open.iter().flat_map(|work| objects_of(work)).map(str::to_owned).collect();
            let nothing = BTreeMap::new();
            let is_asked = |object: &str| objects.contains(object);
            let finding = self.custom_objects.find_of(self.marketo, &planned, &nothing, is_asked);
            let mut found = finding.await?;
            open.retain_mut(|work| {
                let winner = work.group.winner;
                let now = found.remove(&winner).unwrap_or_default();
                match judge(work, &now) {
                    Judged::Seen => {
                        work.rows_read_back = true;
                        false
                    }
                    Judged::More => {
                        // They move under a look of their own.
                        work.moved_rows.append(&mut work.rows);
                        work.rows = now.moves;
                        too_old.insert(winner);
                        false
                    }
                    Judged::NotYet if read + 1 < READS => true,
                    Judged::NotYet => {
                        let why = format!(
                            "not_written: Marketo answered that it linked rows of custom objects to lead {winner}, and reading them back shows otherwise; nothing was merged"
                        );
                        failures.insert(winner, (why, false));
                        false
                    }
                    Judged::Wrong(why) => {
                        failures.insert(winner, (why, false));
                        false
                    }
                }
            });
        }
        Ok(())
    }
}

/// Rows that Marketo has linked are not sent again where another call of their group is.
fn keep_as_moved(work: &mut Work<'_>, call: &NewRows, refused: &BTreeMap<String, String>) {
    let is_done = |row: &RowMove| {
        let is_it = |sent: &LinkedRow| sent.guid == row.guid && !refused.contains_key(&sent.guid);
        row.object == call.object && call.rows.iter().any(is_it)
    };
    let (done, rest) = std::mem::take(&mut work.rows).into_iter().partition(is_done);
    work.rows = rest;
    work.moved_rows.extend::<Vec<RowMove>>(done);
}

/// The objects of the rows of a group, moved or not.
fn objects_of<'w>(work: &'w Work<'_>) -> impl Iterator<Item = &'w str> {
    work.moved_rows.iter().chain(&work.rows).map(|row| row.object.as_str())
}

/// What a read says of the rows of a group that were moved.
enum Judged {
    /// They are on the record that stays, and no row that can move is on a loser.
    Seen,
    /// Others came to a loser meanwhile.
    More,
    /// Some are not there, or not yet.
    NotYet,
    /// The group must be left alone.
    Wrong(String),
}

fn judge(work: &Work<'_>, now: &GroupRows) -> Judged {
    let moved: BTreeSet<(String, String)> = work
        .moved_rows
        .iter()
        .chain(&work.rows)
        .map(|row| (row.object.clone(), folded(&row.guid)))
        .collect();
    let there: BTreeSet<(String, String)> =
        now.on_winner.iter().map(|(object, guid)| (object.clone(), folded(guid))).collect();
    let objects: BTreeSet<&str> = objects_of(work).collect();
    let former = work.rows_of_winner.iter().filter(|(object, _)| objects.contains(object.as_str()));
    let lost = former.filter(|(object, guid)| !there.contains(&(object.clone(), folded(guid))));
    let lost: Vec<&str> = lost.map(|(object, _)| object.as_str()).collect();
    if let Some(object) = lost.first() {
        let rows =
            if lost.len() == 1 { "a row".to_owned() } else { format!("{} rows", lost.len()) };
        return Judged::Wrong(format!(
            "{rows} of the custom object `{object}` that lead {} had before is not on it any more: another row may have taken its place, or somebody moved it; look at them in Marketo",
            work.group.winner
        ));
    }
    // The same once more where this read lags.
    let came: Vec<&RowMove> = now
        .moves
        .iter()
        .filter(|row| !moved.contains(&(row.object.clone(), folded(&row.guid))))
        .collect();
    if !moved.is_subset(&there) {
        return Judged::NotYet;
    }
    if let Some(why) = why_rows_stay(&now.rows, &work.group.losers)
        && !work.group.overrules(Reason::CustomObjects)
    {
        return Judged::Wrong(why);
    }
    if came.is_empty() { Judged::Seen } else { Judged::More }
}

/// The calls that link the rows of groups, at most as many rows a call as Marketo takes.
fn calls_of(groups: &[Work<'_>]) -> Vec<NewRows> {
    let mut by_object: BTreeMap<(&str, &str), Vec<LinkedRow>> = BTreeMap::new();
    for work in groups.iter().filter(|work| !work.rows_read_back) {
        for row in &work.rows {
            let winner = work.group.winner;
            let linked =
                LinkedRow { guid: row.guid.clone(), winner, was: row.from, becomes: winner };
            by_object.entry((&row.object, &row.field)).or_default().push(linked);
        }
    }
    let mut calls = Vec::new();
    for ((object, field), rows) in by_object {
        calls.extend(rows.chunks(BATCH).map(|rows| NewRows {
            object: object.to_owned(),
            field: field.to_owned(),
            purpose: RowPurpose::Move,
            rows: rows.to_vec(),
        }));
    }
    calls
}

fn not_linked(object: &str, row: &LinkedRow, why: &str) -> String {
    format!(
        "a row of the custom object `{object}` ({}) could not be linked from lead {} to lead {}: {why}; nothing was merged",
        row.guid, row.was, row.becomes
    )
}

/// Rows that could move are not to.
pub(super) fn leave(found: &mut GroupRows) {
    found.moves.clear();
    for rows in found.rows.iter_mut().filter(|rows| rows.stays.is_none()) {
        let LeadRows { object, lead, count, .. } = rows;
        let on = lead.map(|lead| format!(" on lead {lead}")).unwrap_or_default();
        let row = if *count == 1 { "row" } else { "rows" };
        rows.stays = Some(format!(
            "{count} {row} of the custom object `{object}`{on} would be left behind, since `merge.custom_objects` is \"leave\": link them to the record to keep in Marketo first"
        ));
    }
}
