//! One chunk of keys, round by round, until each of its lines has a result.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::read_back::Written;
use super::rights::Rights;
use super::{Ended, Guard, LineResult, Status};
use crate::dedupe::Key;
use crate::guard::Error;
use crate::guard::coalesce::{KeyRule, KeyWork, Write};
use crate::guard::decide::{Decision, decide};
use crate::guard::lease::Leases;
use crate::guard::slice::slices;
use crate::lead::{Lead, LeadId};
use crate::marketo::{
    self, BATCH, InFlight, ReadLeads, RecordResult, RecordStatus, SyncAction, SyncLeads,
    SyncRequest,
};

/// How often a key is written before it is said that its outcome stays open.
const TRIES: u32 = 6;

/// A chunk under way.
struct Chunk<'a> {
    rule: &'a KeyRule,
    open: Vec<KeyWork>,
    results: Vec<LineResult>,
    /// What is to be read back.
    written: Written,
}

/// A key's write that is to leave in a call.
struct Sending {
    /// Its place among the open keys.
    place: usize,
    record: Map<String, Value>,
}

/// Whether the look-up of a round still holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LookUp {
    Fresh,
    /// A call took its time, or the run is to stop: look again before anything else leaves.
    Stale,
}

impl<M: ReadLeads + SyncLeads, L: Leases> Guard<'_, M, L> {
    /// Brings every line of these keys to a result; also where the run has to stop.
    pub(super) async fn chunk(&self, open: Vec<KeyWork>) -> (Vec<LineResult>, Ended) {
        let mut chunk =
            Chunk { rule: &self.rule, open, results: Vec::new(), written: Written::new() };
        let mut ended = loop {
            chunk.open.retain(|work| !work.writes.is_empty());
            if chunk.open.is_empty() {
                break Ended::Complete;
            }
            if self.settings.stop.is_cancelled() {
                break Ended::Interrupted;
            }
            if let Err(error) = self.round(&mut chunk).await {
                break Ended::Failed(error);
            }
        };
        let written = std::mem::take(&mut chunk.written);
        if let (Ended::Complete, Err(error)) =
            (&ended, self.read_back(written, &mut chunk.results).await)
        {
            ended = Ended::Failed(error.into());
        }
        let why = match &ended {
            Ended::Failed(error) => {
                format!("the run stopped before this line was written: {error}")
            }
            Ended::Complete | Ended::Interrupted => {
                "the run was stopped before this line was written".to_owned()
            }
        };
        chunk.give_up_all(&why);
        (chunk.results, ended)
    }

    /// Brings those of the open keys forward that nobody else is writing.
    async fn round(&self, chunk: &mut Chunk<'_>) -> Result<(), Error> {
        let mut rights = self.take_rights(&chunk.open).await?;
        let done = self.look_up_and_write(chunk, &mut rights).await;
        rights.give_all_back().await;
        done
    }

    /// Looks the keys up, and writes what that asks for.
    async fn look_up_and_write(
        &self,
        chunk: &mut Chunk<'_>,
        rights: &mut Rights<'_, L>,
    ) -> Result<(), Error> {
        let found = tokio::select! {
            biased;
            // Nothing of this round is under way yet.
            () = self.settings.stop.cancelled() => return Ok(()),
            found = rights.keeping(self.look_up(chunk, rights)) => found?,
        };
        let (mut creates, mut updates) = (Vec::new(), Vec::new());
        for place in 0..chunk.open.len() {
            let Some(work) = chunk.open.get(place).filter(|work| rights.has(&work.key)) else {
                continue;
            };
            let Some(write) = work.writes.front() else { continue };
            let leads = found.get(&work.key).map(Vec::as_slice).unwrap_or_default();
            let id = match decide(&write.fields, leads) {
                Decision::Several(ids) => {
                    chunk.finish(place, Status::Skipped, None, Some(&several(&ids)));
                    continue;
                }
                Decision::Unchanged(id) => {
                    let status = write.done_as(Status::Unchanged);
                    chunk.finish(place, status, Some(id), None);
                    continue;
                }
                Decision::Create => None,
                Decision::Update(id) => Some(id),
            };
            if self.settings.dry_run {
                let would = if id.is_some() { Status::WouldUpdate } else { Status::WouldCreate };
                chunk.finish(place, would, id, None);
            } else if write.tries >= TRIES {
                let reason = write.given_up();
                chunk.finish(place, Status::Failed, id, Some(&reason));
            } else {
                let mut record = write.fields.clone();
                match id {
                    Some(id) => record.insert("id".to_owned(), Value::from(id)),
                    None => record.insert(self.rule.field.clone(), Value::from(work.key.as_str())),
                };
                if id.is_some() { &mut updates } else { &mut creates }
                    .push(Sending { place, record });
            }
        }
        if self.send_all(chunk, rights, SyncAction::CreateOnly, creates).await? == LookUp::Fresh {
            self.send_all(chunk, rights, SyncAction::UpdateOnly, updates).await?;
        }
        Ok(())
    }

    async fn look_up(
        &self,
        chunk: &Chunk<'_>,
        rights: &Rights<'_, L>,
    ) -> Result<BTreeMap<Key, Vec<Lead>>, Error> {
        let lookup_field = &self.rule.field;
        let works: Vec<&KeyWork> = chunk.open.iter().filter(|work| rights.has(&work.key)).collect();
        let writes = works.iter().filter_map(|work| work.writes.front());
        let mut fields: Vec<String> =
            writes.flat_map(|write| write.fields.keys().cloned()).collect();
        fields.extend(["id".to_owned(), lookup_field.clone()]);
        fields.sort_unstable();
        fields.dedup();
        let mut found: BTreeMap<Key, Vec<Lead>> = BTreeMap::new();
        for keys in works.chunks(BATCH) {
            let values: Vec<String> =
                keys.iter().map(|work| work.key.as_str().to_owned()).collect();
            for lead in self.marketo.leads_by(lookup_field, &values, &fields).await? {
                if let Some(key) = lead.value(lookup_field).and_then(|value| self.rule.key(value)) {
                    found.entry(key).or_default().push(lead);
                }
            }
        }
        Ok(found)
    }

    async fn send_all(
        &self,
        chunk: &mut Chunk<'_>,
        rights: &mut Rights<'_, L>,
        action: SyncAction,
        sendings: Vec<Sending>,
    ) -> Result<LookUp, Error> {
        let (places, records): (Vec<usize>, Vec<Map<String, Value>>) =
            sendings.into_iter().map(|sending| (sending.place, sending.record)).unzip();
        for slice in slices(&records) {
            if self.settings.stop.is_cancelled() {
                return Ok(LookUp::Stale);
            }
            let input: Vec<_> = records.get(slice.clone()).unwrap_or_default().to_vec();
            let places = places.get(slice).unwrap_or_default();
            if self.send(chunk, rights, action, places, input).await? == LookUp::Stale {
                return Ok(LookUp::Stale);
            }
        }
        Ok(LookUp::Fresh)
    }

    /// One call: it leaves, and its outcome is applied; only then its keys are others'.
    async fn send(
        &self,
        chunk: &mut Chunk<'_>,
        rights: &mut Rights<'_, L>,
        action: SyncAction,
        places: &[usize],
        input: Vec<Map<String, Value>>,
    ) -> Result<LookUp, Error> {
        let creates = action == SyncAction::CreateOnly;
        let request = SyncRequest {
            action,
            lookup_field: if creates { self.rule.field.clone() } else { "id".to_owned() },
            partition: self.settings.partition.clone().filter(|_| creates),
            input,
        };
        let keys: BTreeSet<Key> =
            places.iter().filter_map(|place| Some(chunk.open.get(*place)?.key.clone())).collect();
        let answer =
            rights.keeping(self.marketo.sync_leads_with(&rights.gate(&keys), &request)).await;
        let mut look_up = LookUp::Fresh;
        let mut failed = None;
        match answer {
            Ok(rows) => {
                for (place, row) in places.iter().zip(&rows) {
                    chunk.answered(*place, row);
                }
            }
            Err(marketo::Error::Unclear { in_flight, what, .. }) => {
                chunk.unclear(places, creates, &what);
                look_up = LookUp::Stale;
                // Stopped while waiting: the leases last until the call is over, and whoever wants
                // the keys waits in this run's place.
                if !rights.keeping(self.outwait(*in_flight)).await {
                    rights.leave_to_end(&keys);
                    return Ok(look_up);
                }
            }
            // Nothing was sent, and somebody else may have written meanwhile.
            Err(marketo::Error::Withheld { why, .. }) => {
                chunk.withheld(places, &why);
                look_up = LookUp::Stale;
            }
            Err(marketo::Error::Refused { code, message, .. }) => {
                for place in places {
                    chunk.refused(*place, &format!("Marketo refused the call: {code} {message}"));
                }
            }
            Err(error) => failed = Some(error),
        }
        rights.give_back(&keys).await;
        failed.map_or(Ok(look_up), |error| Err(error.into()))
    }

    /// Law 4: nothing of a call's keys leaves before it cannot write any more. False where the run
    /// is to stop first.
    async fn outwait(&self, in_flight: InFlight) -> bool {
        self.watch.waiting(in_flight.over_at().saturating_duration_since(Instant::now()));
        tokio::select! {
            () = in_flight.over() => true,
            () = self.settings.stop.cancelled() => false,
        }
    }
}

impl Write {
    /// Why it is not tried any more, and what that means for the lead.
    fn given_up(&self) -> String {
        let said = self.last_word.as_deref().unwrap_or_default();
        if self.may_have_written {
            format!(
                "tried {TRIES} times, and its outcome stays open ({said}); look the lead up, then run it again"
            )
        } else {
            format!("tried {TRIES} times, and nothing was written ({said}); run it again")
        }
    }

    /// What a look-up that found everything in place says of a write, given what may have been done
    /// before.
    fn done_as(&self, otherwise: Status) -> Status {
        match (self.may_have_created, self.may_have_written) {
            (true, _) => Status::Created,
            (false, true) => Status::Updated,
            (false, false) => otherwise,
        }
    }
}

impl Chunk<'_> {
    /// What Marketo said of a record; where it leaves the outcome open the key stays, for the next
    /// round.
    fn answered(&mut self, place: usize, row: &RecordResult) {
        let reasons: Vec<String> = row
            .reasons
            .iter()
            .map(|reason| format!("{} {}", reason.code, reason.message))
            .collect();
        let reasons = reasons.join(", ");
        let Some(write) = self.front_mut(place) else { return };
        write.tries += 1;
        match row.status {
            RecordStatus::Created => self.finish(place, Status::Created, row.id, None),
            RecordStatus::Updated => {
                let status = if write.may_have_created { Status::Created } else { Status::Updated };
                self.finish(place, status, row.id, None);
            }
            // Somebody else was first; the lead is gone meanwhile; it became several: look again.
            RecordStatus::Skipped
                if ["1004", "1005", "1007"].iter().any(|code| row.has_code(code)) =>
            {
                write.last_word = Some(reasons);
            }
            RecordStatus::Skipped => self.refused(place, &format!("Marketo refused it: {reasons}")),
        }
    }

    fn withheld(&mut self, places: &[usize], why: &str) {
        for place in places {
            if let Some(write) = self.front_mut(*place) {
                write.tries += 1;
                write.last_word = Some(why.to_owned());
            }
        }
    }

    fn unclear(&mut self, places: &[usize], creates: bool, what: &str) {
        for place in places {
            if let Some(write) = self.front_mut(*place) {
                write.tries += 1;
                write.may_have_created |= creates;
                write.may_have_written = true;
                write.last_word = Some(what.to_owned());
            }
        }
    }

    /// A write that stood for several lines is tried again line by line; another one has failed.
    fn refused(&mut self, place: usize, reason: &str) {
        let rule = self.rule;
        let Some(work) = self.open.get_mut(place) else { return };
        match work.writes.front().and_then(|write| write.line_by_line(rule)) {
            Some(lines) => work.writes = lines,
            None => self.finish(place, Status::Failed, None, Some(reason)),
        }
    }

    fn front_mut(&mut self, place: usize) -> Option<&mut Write> {
        self.open.get_mut(place)?.writes.front_mut()
    }

    /// Gives the lines of a key's write their result. Only what was done takes earlier lines in.
    fn finish(&mut self, place: usize, status: Status, id: Option<LeadId>, reason: Option<&str>) {
        let Some(work) = self.open.get_mut(place) else { return };
        let Some(write) = work.writes.pop_front() else { return };
        let last = write.last_line();
        if let (Status::Created | Status::Updated, Some(id)) = (status, id) {
            self.written.insert(id, (last, write.fields.clone()));
        }
        for record in &write.lines {
            let taken_in = status.is_done() && record.line != last;
            let (status, reason) = if taken_in {
                (
                    Status::Coalesced,
                    Some(format!("with line {last}, which has the same key and comes later")),
                )
            } else {
                (status, reason.map(str::to_owned))
            };
            self.results.push(LineResult {
                line: record.line,
                key: Some(work.key.to_string()),
                status,
                id,
                reason,
            });
        }
    }

    fn give_up_all(&mut self, why: &str) {
        for place in 0..self.open.len() {
            while let Some(write) = self.front_mut(place) {
                if write.may_have_written {
                    let reason = format!(
                        "{why}; whether an earlier call wrote it is not known, run it again"
                    );
                    self.finish(place, Status::Failed, None, Some(&reason));
                } else {
                    self.finish(place, Status::Skipped, None, Some(why));
                }
            }
        }
    }
}

fn several(ids: &[LeadId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!(
        "leads {} have this key, and which is meant cannot be known; merge them first",
        ids.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::Write;

    #[test]
    fn what_never_left_is_not_said_to_be_open() {
        let mut write =
            Write { last_word: Some("1005 Lead already exists".to_owned()), ..Write::default() };
        assert!(write.given_up().contains("nothing was written (1005"), "{}", write.given_up());
        write.may_have_written = true;
        assert!(write.given_up().contains("its outcome stays open"), "{}", write.given_up());
    }
}
