//! Rows of custom objects that went with a lost lead go back to the lead that is made in its place.
//!
//! The ledger knows each of them by Marketo's own id: those that were moved before the merge, and
//! those that came late and were moved after it. Each call is in the ledger before it leaves, and
//! one of an earlier run is settled by looking before anything is sent (law 4).
//!
//! Never: takes a row from a lead to which somebody else has linked it since, or one that somebody
//! has changed since.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::find::Loss;
use super::report::Missing;
use super::steps::{GRACE, Said};
use super::{Error, Restore, RestoreClient};
use crate::lead::LeadId;
use crate::ledger::{Event, LinkedRow, NewRows, RowPurpose, RowThatLeft, State};
use crate::marketo::{self, BATCH, CustomObjectType, InFlight, ROWS_LIMIT};
use crate::merge::custom_objects::{fixed_by, said};
use crate::merge::rows::{GUID, LAG, Linked, Place, RowCalls, folded};

mod judge;

use judge::{Found, Judged, found_of, judge, told};

/// How often rows are looked for on the new lead: a read can lag behind a write.
const READS: u32 = 3;

/// What becomes of the rows that went with a lost lead.
#[derive(Debug, Default)]
pub(super) struct RowsWanted {
    /// They are to be linked to the new lead.
    back: Vec<RowBack>,
    /// How many of each object hang on it already.
    there: BTreeMap<String, usize>,
    /// They stay where they are.
    pub(super) missing: Vec<Missing>,
}

impl RowsWanted {
    /// How many rows of each object the new lead has, or would get.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = self.there.clone();
        for row in &self.back {
            *counts.entry(row.left.object.clone()).or_default() += 1;
        }
        counts
    }
}

/// A row that is to be linked to the new lead, and where it is.
#[derive(Debug, Clone)]
struct RowBack {
    left: RowThatLeft,
    from: LeadId,
}

/// Rows by their GUIDs, and the keys that the new lead's own rows have.
type Looked = (BTreeMap<String, Found>, BTreeSet<Vec<String>>);

impl<M: RestoreClient> Restore<'_, M> {
    /// What becomes of the rows that went with a lost lead. `new`: the lead in its place, where
    /// there is one. No call is made where none went.
    pub(super) async fn rows_wanted(
        &self,
        loss: &Loss,
        new: Option<LeadId>,
    ) -> Result<RowsWanted, Error> {
        let mut wanted = RowsWanted::default();
        let mut by_object: BTreeMap<(String, String), Vec<RowThatLeft>> = BTreeMap::new();
        for row in self.ledger.rows_that_left(loss.merged.loser)? {
            by_object.entry((row.object.clone(), row.field.clone())).or_default().push(row);
        }
        if by_object.is_empty() {
            return Ok(wanted);
        }
        let in_doubt: BTreeSet<String> = self
            .ledger
            .open_restoring_rows()?
            .into_iter()
            .flat_map(|(_, rows)| rows.rows)
            .map(|row| folded(&row.guid))
            .collect();
        let types = readable(self.marketo.lead_custom_objects().await)?;
        for ((object, field), rows) in by_object {
            let of = types.as_ref().map_err(Clone::clone).and_then(|types| {
                let of = types.iter().find(|of| of.name == object && of.link_field == field);
                of.ok_or_else(|| "Marketo shows no such custom object any more".to_owned())
            });
            let looked = match of {
                Ok(of) => self.look_at_object(of, &rows, new).await?,
                Err(why) => Err(why),
            };
            let (found, taken) = match looked {
                Ok(looked) => looked,
                Err(why) => {
                    wanted.missing.extend(told(&object, &[(&rows, why)]));
                    continue;
                }
            };
            let mut stay: BTreeMap<String, Vec<RowThatLeft>> = BTreeMap::new();
            for left in rows {
                let judged = if in_doubt.contains(&folded(&left.guid)) {
                    let why = "a call of an earlier run may still be linking it; run the same command again";
                    Judged::Stays(why.to_owned())
                } else {
                    judge(&left, found.get(&folded(&left.guid)), loss, new, &taken)
                };
                match judged {
                    Judged::Back(from) => wanted.back.push(RowBack { left, from }),
                    Judged::There => *wanted.there.entry(object.clone()).or_default() += 1,
                    Judged::Stays(why) => stay.entry(why).or_default().push(left),
                }
            }
            let stay: Vec<(&Vec<RowThatLeft>, String)> =
                stay.iter().map(|(why, rows)| (rows, why.clone())).collect();
            wanted.missing.extend(told(&object, &stay));
        }
        Ok(wanted)
    }

    /// The rows of an object as they are now, and the keys that the new lead's own rows have; or
    /// why none of them can be linked to another lead.
    async fn look_at_object(
        &self,
        of: &CustomObjectType,
        rows: &[RowThatLeft],
        new: Option<LeadId>,
    ) -> Result<Result<Looked, String>, Error> {
        let fields = match readable(self.marketo.object_fields(&of.name).await)? {
            Ok(fields) => fields,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(why) = fixed_by(of, fields.get(&of.link_field).copied()) {
            return Ok(Err(why));
        }
        let key: Vec<String> =
            of.dedupe_fields.iter().filter(|field| **field != of.link_field).cloned().collect();
        let mut asked = vec![of.link_field.clone(), "updatedAt".to_owned()];
        asked.extend(key.iter().cloned());
        let read = |row: &Map<String, Value>| found_of(row, &of.link_field, &key);
        let mut found = BTreeMap::new();
        // A row is gone when two reads miss it.
        for _ in 0..2 {
            let missing: Vec<String> = rows
                .iter()
                .map(|row| row.guid.clone())
                .filter(|guid| !found.contains_key(&folded(guid)))
                .collect();
            for chunk in missing.chunks(BATCH) {
                let reading = self.marketo.custom_objects(&of.name, GUID, chunk, &asked);
                match readable(reading.await)? {
                    Ok(rows) => found.extend(
                        rows.iter()
                            .filter_map(|row| Some((folded(row.get(GUID)?.as_str()?), read(row)))),
                    ),
                    Err(why) => return Ok(Err(why)),
                }
            }
        }
        let mut taken = BTreeSet::new();
        if let Some(new) = new.filter(|_| of.dedupe_fields.contains(&of.link_field)) {
            let id = [new.to_string()];
            let reading = self.marketo.custom_objects(&of.name, &of.link_field, &id, &asked);
            match readable(reading.await)? {
                Ok(rows) => taken.extend(rows.iter().map(|row| read(row).key)),
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok((found, taken)))
    }

    /// Links rows to the new lead, and looks for them there. Gives how many of each object are, and
    /// what is not, with the reason.
    pub(super) async fn link_rows_to(
        &mut self,
        loss: &Loss,
        new: LeadId,
        wanted: &RowsWanted,
    ) -> Result<(BTreeMap<String, usize>, Vec<Missing>), Error> {
        let mut said = Said::new();
        for (plan, rows) in calls_of(loss, new, &wanted.back) {
            let gate = self.gate();
            let linked = self.row_calls().link(&gate, &plan, &rows).await?;
            let all = rows.rows.iter().map(|row| folded(&row.guid));
            match linked {
                Linked::Done(refused) => {
                    said.extend(refused.into_iter().map(|(guid, why)| (folded(&guid), why)));
                }
                Linked::Refused(why) => said.extend(all.map(|guid| (guid, why.clone()))),
                Linked::Withheld | Linked::Open => {
                    let why = "the run was stopped before it was clear; run the same command again";
                    said.extend(all.map(|guid| (guid, why.to_owned())));
                }
            }
        }
        let mut there = wanted.counts();
        let mut missing: BTreeMap<(String, String), Vec<RowThatLeft>> = BTreeMap::new();
        for row in self.not_on(new, &wanted.back).await? {
            if let Some(count) = there.get_mut(&row.left.object) {
                *count -= 1;
            }
            let why = said.get(&folded(&row.left.guid)).cloned();
            let why = why.unwrap_or_else(|| "Marketo did not take it".to_owned());
            missing.entry((row.left.object.clone(), why)).or_default().push(row.left);
        }
        there.retain(|_, count| *count > 0);
        let missing = missing
            .into_iter()
            .flat_map(|((object, why), rows)| told(&object, &[(&rows, why)]))
            .collect();
        Ok((there, missing))
    }

    /// Those of the rows that no look shows on the new lead.
    async fn not_on(&mut self, new: LeadId, rows: &[RowBack]) -> Result<Vec<RowBack>, Error> {
        let mut open: Vec<RowBack> = rows.to_vec();
        for read in 0..READS {
            if open.is_empty() {
                break;
            }
            if read > 0 {
                self.settings.clock.sleep(LAG).await;
            }
            let mut by_object: BTreeMap<(String, String), Vec<RowBack>> = BTreeMap::new();
            for row in open.drain(..) {
                let of = (row.left.object.clone(), row.left.field.clone());
                by_object.entry(of).or_default().push(row);
            }
            for ((object, field), rows) in by_object {
                let guids: Vec<String> = rows.iter().map(|row| row.left.guid.clone()).collect();
                let places = self.row_calls().places(&object, &field, &guids).await?;
                let is_there = |row: &RowBack| {
                    let place = places.as_ref().and_then(|of| of.get(&folded(&row.left.guid)));
                    place == Some(&Place::On(Some(new)))
                };
                open.extend(rows.into_iter().filter(|row| !is_there(row)));
            }
        }
        Ok(open)
    }

    /// Finds out what became of calls that link rows and that earlier runs left open.
    pub(super) async fn settle_row_calls(&mut self) -> Result<(), Error> {
        for (call, rows) in self.ledger.open_restoring_rows()? {
            let at = self.at();
            match call.state {
                State::Planned => {
                    let why = "its run ended before".to_owned();
                    self.ledger.record(call.id, &Event::Skipped { why }, &at)?;
                }
                State::Refused => {
                    let why = "Marketo refused it".to_owned();
                    self.ledger.record(call.id, &Event::NotDone { why }, &at)?;
                }
                State::Accepted => {
                    let done = Event::Verified { survivor: None, merged: Vec::new() };
                    self.ledger.record(call.id, &done, &at)?;
                }
                state => {
                    if state == State::Started {
                        let what = "the run ended before an answer came".to_owned();
                        let unknown = Event::Unknown { request_id: None, what };
                        self.ledger.record(call.id, &unknown, &at)?;
                    }
                    // It left before this run opened the ledger; how long before, nobody can say.
                    let clock = self.settings.clock;
                    let over = InFlight::begun_at(self.opened_at, ROWS_LIMIT, clock).over_at();
                    self.row_calls().look_at(call.id, &rows, over).await?;
                }
            }
        }
        Ok(())
    }

    fn row_calls(&mut self) -> RowCalls<'_, M> {
        RowCalls {
            marketo: self.marketo,
            ledger: self.ledger,
            holds: &mut self.holds,
            clock: self.settings.clock,
            now: self.settings.now,
            stop: self.settings.stop.clone(),
            grace: self.settings.clock.wall(GRACE),
        }
    }
}

/// What Marketo said, or why it cannot be read; an error that would befall any call ends the run.
fn readable<T>(read: marketo::Result<T>) -> Result<Result<T, String>, Error> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(error @ marketo::Error::Permission { .. }) => {
            let permission = error.permission().unwrap_or("for custom objects");
            Ok(Err(format!("{}; give its role the permission {permission}", said(&error))))
        }
        Err(error) if error.stops_the_run() => Err(error.into()),
        Err(error) => Ok(Err(format!("they cannot be read ({})", said(&error)))),
    }
}

/// The calls that link rows to the new lead, by their plans.
fn calls_of(loss: &Loss, new: LeadId, rows: &[RowBack]) -> Vec<(String, NewRows)> {
    let mut by_object: BTreeMap<(&str, &str, &str), Vec<LinkedRow>> = BTreeMap::new();
    for RowBack { left, from } in rows {
        let row = LinkedRow {
            guid: left.guid.clone(),
            winner: loss.merged.winner,
            was: *from,
            becomes: new,
        };
        by_object.entry((&left.plan, &left.object, &left.field)).or_default().push(row);
    }
    let mut calls = Vec::new();
    for ((plan, object, field), rows) in by_object {
        calls.extend(rows.chunks(BATCH).map(|rows| {
            let (object, field) = (object.to_owned(), field.to_owned());
            let rows = rows.to_vec();
            (plan.to_owned(), NewRows { object, field, purpose: RowPurpose::Restore, rows })
        }));
    }
    calls
}
