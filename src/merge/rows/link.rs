//! The call that links rows to other leads: its intent in the ledger, the call itself, and what
//! came of it (laws 3 and 4). Never: decides which rows go where.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lead::LeadId;
use crate::ledger::{CallId, Event, Ledger, LinkedRow, NewRows, RowEnd, RowPurpose};
use crate::marketo::{
    self, BATCH, Clock, LinkRows, Outcome, ROWS_LIMIT, ReadCustomObjects, Reason, RowLink, SendGate,
};
use crate::merge::context::{Merge, MergeClient};
use crate::merge::custom_objects::said;
use crate::merge::error::Error;
use crate::merge::hold::Holds;
use crate::merge::write::{in_flight, refused_event, request_id};

/// The field that every row has.
pub(in crate::merge) const GUID: &str = "marketoGUID";

/// Between two looks at rows of a call that may still be under way.
const LOOK: Duration = Duration::from_secs(20);

/// Between a call and looking for its rows once more: what is read can lag.
pub(in crate::merge) const LAG: Duration = Duration::from_secs(5);

/// What a call that was lost did not do.
const LOST: &str = "the call was lost, and did not reach it";

/// What came of one call that links rows.
pub(in crate::merge) enum Linked {
    /// Marketo did it, but for these rows, by their GUIDs, each with the reason.
    Done(BTreeMap<String, String>),
    /// It did not leave: what it rests on had become too old, or the run is to stop.
    Withheld,
    /// Marketo refused it as a whole.
    Refused(String),
    /// The run is to stop, and what became of it is not known. The ledger keeps it open.
    Open,
}

/// Where a row is by a look.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::merge) enum Place {
    On(Option<LeadId>),
    /// It is not there any more.
    Gone,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// Rows by their GUIDs, as they compare.
pub(in crate::merge) type Places = BTreeMap<String, Place>;

pub(in crate::merge) fn folded(guid: &str) -> String {
    guid.to_lowercase()
}

/// What such a call takes, whoever makes it: a merge, or a restore.
pub(in crate::merge) struct RowCalls<'a, M> {
    pub(in crate::merge) marketo: &'a M,
    pub(in crate::merge) ledger: &'a mut Ledger,
    pub(in crate::merge) holds: &'a mut Holds,
    pub(in crate::merge) clock: Clock,
    pub(in crate::merge) now: fn() -> DateTime<Utc>,
    pub(in crate::merge) stop: CancellationToken,
    /// How long looking may still take once the run is to stop.
    pub(in crate::merge) grace: Duration,
}

impl<M: MergeClient> Merge<'_, M> {
    fn row_calls(&mut self) -> RowCalls<'_, M> {
        let (grace, stop) = (self.grace(), self.stop.clone());
        RowCalls {
            marketo: self.marketo,
            ledger: self.ledger,
            holds: &mut self.holds,
            clock: self.clock,
            now: self.now,
            stop,
            grace,
        }
    }

    /// Links rows, at most as many as a call takes, and says what became of each.
    pub(super) async fn link_rows(
        &mut self,
        gate: &impl SendGate,
        plan: &str,
        rows: &NewRows,
    ) -> Result<Linked, Error> {
        // Its state is large, and would be part of every run's.
        let mut calls = self.row_calls();
        Box::pin(calls.link(gate, plan, rows)).await
    }

    /// Looks at a call of an earlier run until it is seen to be done, or must be over.
    pub(in crate::merge) async fn look_at_rows(
        &mut self,
        call: CallId,
        rows: &NewRows,
        over_at: Instant,
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        let mut calls = self.row_calls();
        Box::pin(calls.look_at(call, rows, over_at)).await
    }

    /// Where rows of an object are.
    pub(super) async fn places(
        &mut self,
        object: &str,
        field: &str,
        guids: &[String],
    ) -> Result<Option<Places>, Error> {
        let mut calls = self.row_calls();
        Box::pin(calls.places(object, field, guids)).await
    }
}

impl<M: ReadCustomObjects + LinkRows> RowCalls<'_, M> {
    /// Links rows, at most as many as a call takes, and says what became of each.
    pub(in crate::merge) async fn link(
        &mut self,
        gate: &impl SendGate,
        plan: &str,
        rows: &NewRows,
    ) -> Result<Linked, Error> {
        let links: Vec<RowLink> = rows
            .rows
            .iter()
            .map(|row| RowLink { guid: row.guid.clone(), lead: row.becomes })
            .collect();
        let call = self.ledger.begin_rows(plan, rows, &self.at())?;
        // The keys of these are held, and with them those of their groups.
        let leads: BTreeSet<LeadId> = rows.rows.iter().map(|row| row.becomes).collect();
        let gate = self.holds.keys_of_call(leads.iter().copied(), ROWS_LIMIT).gate(gate);
        self.holds.begun(leads.iter().copied());
        let answer = self.marketo.link_rows_with(&gate, &rows.object, &rows.field, &links).await;
        let unclear = answer.as_ref().is_err_and(|error| error.outcome() == Outcome::Unclear);
        if !unclear {
            self.holds.known(leads.iter().copied());
        }
        let error = match answer {
            Ok(results) => {
                let refused: BTreeMap<String, String> = results
                    .into_iter()
                    .filter(|result| !result.linked)
                    .map(|result| (result.guid, in_words(&result.reasons)))
                    .collect();
                self.not_moved(call, &refused)?;
                self.ledger.record(call, &Event::Accepted { request_id: None }, &self.at())?;
                self.ledger.record(call, &done(), &self.at())?;
                return Ok(Linked::Done(refused));
            }
            Err(error) => error,
        };
        if unclear {
            let over_at = in_flight(&error, ROWS_LIMIT, self.clock).over_at();
            let event = Event::Unknown { request_id: request_id(&error), what: error.to_string() };
            self.ledger.record(call, &event, &self.at())?;
            let Some(refused) = self.look_at(call, rows, over_at).await? else {
                return Ok(Linked::Open);
            };
            self.holds.known(leads);
            return Ok(Linked::Done(refused));
        }
        self.ledger.record(call, &refused_event(&error), &self.at())?;
        self.ledger.record(call, &Event::NotDone { why: error.to_string() }, &self.at())?;
        if let marketo::Error::Withheld { .. } = error {
            return Ok(Linked::Withheld);
        }
        // Without the permission for rows the groups that have none are merged all the same.
        if error.stops_the_run() && !matches!(error, marketo::Error::Permission { .. }) {
            return Err(error.into());
        }
        let permission = error
            .permission()
            .map(|permission| format!("; give its role the permission {permission}"))
            .unwrap_or_default();
        Ok(Linked::Refused(format!("{}{permission}", said(&error))))
    }

    /// Looks until an unclear call is seen to be done, or must be over, then says which rows it did
    /// not link. None where the run is to stop: the call stays open, and the next run looks.
    pub(in crate::merge) async fn look_at(
        &mut self,
        call: CallId,
        rows: &NewRows,
        over_at: Instant,
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        tracing::info!(%call, "rows have no clear outcome; looking until the call must be over");
        loop {
            let looked_at = Instant::now();
            let guids: Vec<String> = rows.rows.iter().map(|row| row.guid.clone()).collect();
            let Some(places) = self.places(&rows.object, &rows.field, &guids).await? else {
                return Ok(None);
            };
            let place = |row: &LinkedRow| places.get(&folded(&row.guid));
            let missing =
                rows.rows.iter().filter(|row| place(row) != Some(&Place::On(Some(row.becomes))));
            let missing: Vec<&LinkedRow> = missing.collect();
            // A row that is linked back may have hung there all the time: that shows nothing.
            let shows = !matches!(rows.purpose, RowPurpose::GiveBack | RowPurpose::Follow);
            if missing.is_empty() && shows || looked_at >= over_at {
                let is_unreadable =
                    |row: &&&LinkedRow| matches!(place(row), None | Some(Place::Unreadable(_)));
                // What cannot be looked at may have been done.
                if missing.iter().any(|row| is_unreadable(&row)) {
                    return Ok(None);
                }
                let refused: BTreeMap<String, String> =
                    missing.iter().map(|row| (row.guid.clone(), LOST.to_owned())).collect();
                let as_before = |row: &LinkedRow| place(row) == Some(&Place::On(Some(row.was)));
                let event = if rows.rows.iter().all(as_before) {
                    Event::NotDone { why: "every row hangs where it hung before".to_owned() }
                } else {
                    done()
                };
                self.not_moved(call, &refused)?;
                self.ledger.record(call, &event, &self.at())?;
                return Ok(Some(refused));
            }
            let next = Instant::now() + self.clock.wall(LOOK);
            tokio::select! {
                () = tokio::time::sleep_until(next.min(over_at)) => {}
                () = self.stop.cancelled() => return Ok(None),
            }
        }
    }

    /// Marketo did not move these rows: nothing of them is to be given back.
    fn not_moved(&mut self, call: CallId, refused: &BTreeMap<String, String>) -> Result<(), Error> {
        for (guid, why) in refused {
            let guid = std::slice::from_ref(guid);
            self.ledger.end_rows(call, guid, (RowEnd::NotMoved, why), &self.at())?;
        }
        Ok(())
    }

    /// Where rows of an object are. A row is gone when two reads miss it. None where the run is to
    /// stop and has no time left.
    pub(in crate::merge) async fn places(
        &mut self,
        object: &str,
        field: &str,
        guids: &[String],
    ) -> Result<Option<Places>, Error> {
        let mut places = Places::new();
        for _ in 0..2 {
            let missing: Vec<String> =
                guids.iter().filter(|guid| !places.contains_key(&folded(guid))).cloned().collect();
            for chunk in missing.chunks(BATCH) {
                let fields = [field.to_owned()];
                let reading = self.marketo.custom_objects(object, GUID, chunk, &fields);
                let Some(read) = self.within_grace(reading).await else { return Ok(None) };
                match read {
                    Ok(rows) => places.extend(rows.iter().filter_map(|row| {
                        let guid = row.get(GUID).and_then(Value::as_str)?;
                        let lead = row.get(field).and_then(lead_of);
                        Some((folded(guid), Place::On(lead)))
                    })),
                    Err(error) if error.stops_the_run() => return Err(error.into()),
                    Err(error) => {
                        let why = format!("it cannot be read ({})", said(&error));
                        let unreadable =
                            |guid: &String| (folded(guid), Place::Unreadable(why.clone()));
                        places.extend(chunk.iter().map(unreadable));
                    }
                }
            }
        }
        for guid in guids {
            places.entry(folded(guid)).or_insert(Place::Gone);
        }
        Ok(Some(places))
    }

    /// Reads until it is done, or until the run is to stop and has no time left.
    async fn within_grace<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
        in_time(&self.stop, self.grace, reading).await
    }

    /// The time for the ledger.
    fn at(&self) -> String {
        (self.now)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// Reads until it is done, or until the run is to stop and has no time left.
pub(super) async fn in_time<T>(
    stop: &CancellationToken,
    grace: Duration,
    reading: impl Future<Output = T>,
) -> Option<T> {
    let out_of_time = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        read = reading => Some(read),
        () = out_of_time => None,
    }
}

/// The lead that a link names, as a number or as text.
pub(in crate::merge) fn lead_of(value: &Value) -> Option<LeadId> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    }
}

fn in_words(reasons: &[Reason]) -> String {
    let told: Vec<String> =
        reasons.iter().map(|reason| format!("{} {}", reason.code, reason.message)).collect();
    format!("Marketo refused it: {}", told.join("; "))
}

fn done() -> Event {
    Event::Verified { survivor: None, merged: Vec::new() }
}
