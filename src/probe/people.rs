//! Makes test people, each with a row in the ledger before the call leaves, and none twice.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Asked, Probe, ProbeClient, Step, Trouble};
use crate::lead::{Crm, Lead, LeadId};
use crate::ledger::{ProbeId, ProbePersonId};
use crate::marketo::{
    self, InFlight, Outcome, RecordResult, RecordStatus, SYNC_LIMIT, SyncAction, SyncRequest,
};

/// Between two looks: a read can lag behind.
pub(super) const LAG: Duration = Duration::from_secs(3);

/// A lead that was made longer ago is found by its address.
const SHOWN_AFTER: Duration = LAG.saturating_mul(12);

/// How often a look is taken again that does not show yet what was written.
const LOOKS: usize = 6;

/// A test person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) id: ProbePersonId,
    pub(super) address: String,
    pub(super) lead: LeadId,
}

/// Whether a lead's address is the one that a person was given. Marketo may keep blanks and
/// capitals, and the spelling is itself a question.
pub(super) fn has_address(lead: &Lead, address: &str) -> bool {
    lead.text("email").is_some_and(|held| held.trim().eq_ignore_ascii_case(address))
}

/// What has become of a test person so that it is left alone; none where it is as it was made.
pub(super) fn why_left(lead: &Lead, address: &str) -> Option<&'static str> {
    if !has_address(lead, address) {
        return Some("somebody gave it another address");
    }
    (lead.crm() > Crm::None).then_some(
        "a campaign or a sync made a record of the CRM of it, which deleting it here would leave there",
    )
}

/// Marketo's words for a record that it skipped.
pub(super) fn refusal(result: &RecordResult) -> String {
    let reasons: Vec<String> =
        result.reasons.iter().map(|reason| format!("{} {}", reason.code, reason.message)).collect();
    let request = result.request_id.as_ref().map(|id| format!(" (request {id})"));
    format!("Marketo refused it: {}{}", reasons.join("; "), request.unwrap_or_default())
}

/// The lead that was made, where one was.
fn made(result: &RecordResult) -> Option<LeadId> {
    result.id.filter(|_| result.status == RecordStatus::Created)
}

impl<M: ProbeClient> Probe<'_, M> {
    /// Writes down so many people that are about to be made, with addresses that nobody has.
    pub(super) fn begin_people(
        &mut self,
        probe: ProbeId,
        asked: &Asked,
        count: usize,
    ) -> Step<Vec<(ProbePersonId, String)>> {
        let address = |_| {
            let word = rand::random::<[u8; 16]>();
            let word = word.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            format!("mkto-audit-probe-{word}@{}", asked.domain)
        };
        let addresses: Vec<String> = (0..count).map(address).collect();
        let ids = self.ledger.begin_people(probe, &addresses, &self.at())?;
        Ok(ids.into_iter().zip(addresses).collect())
    }

    /// Makes people with these values, in one call.
    pub(super) async fn make(
        &mut self,
        probe: ProbeId,
        asked: &Asked,
        values: Vec<Map<String, Value>>,
    ) -> Step<Vec<Person>> {
        let begun = self.begin_people(probe, asked, values.len())?;
        let record = |((_, address), mut values): (&(_, String), Map<String, Value>)| {
            values.insert("email".to_owned(), Value::from(address.clone()));
            values
        };
        let input = begun.iter().zip(values).map(record).collect();
        let request = SyncRequest::new(SyncAction::CreateOnly, "email", input);
        let results = self.marketo.sync_leads_with(&self.gate(), &request).await;
        self.may_show_late();
        let leads = match results {
            Ok(results) => {
                let mut leads = Vec::new();
                for ((person, _), result) in begun.iter().zip(&results) {
                    leads.extend(self.keep_made(*person, result)?);
                }
                // Those that were made are in the journal by now, also beside one that was not.
                if let Some(skipped) = results.iter().find(|result| made(result).is_none()) {
                    let why = refusal(skipped);
                    return Err(Trouble::Here(format!("no test person was made: {why}")));
                }
                if leads.len() < begun.len() {
                    let why = "Marketo's answer does not name every test person".to_owned();
                    return Err(Trouble::Here(why));
                }
                leads
            }
            Err(error) if error.outcome() == Outcome::Unclear => {
                self.look_for_new(&begun, &error).await?
            }
            // Nothing can be measured where nobody can be made.
            Err(error @ marketo::Error::Permission { .. }) => {
                return Err(Trouble::Everywhere(error.into()));
            }
            Err(error) => return Err(error.into()),
        };
        let mut people = Vec::new();
        for ((id, address), lead) in begun.into_iter().zip(leads) {
            // A look may have found it where no answer named it.
            if self.ledger.keep_probe_lead(id, lead, "a look", &self.at())? {
                self.report.made += 1;
            }
            people.push(Person { id, address, lead });
        }
        Ok(people)
    }

    /// Writes down a lead that an answer says was made, before anything else is asked.
    pub(super) fn keep_made(
        &mut self,
        person: ProbePersonId,
        result: &RecordResult,
    ) -> Step<Option<LeadId>> {
        let Some(lead) = made(result) else { return Ok(None) };
        if self.ledger.keep_probe_lead(person, lead, "Marketo's answer", &self.at())? {
            self.report.made += 1;
        }
        Ok(Some(lead))
    }

    /// Somebody may have been made just now, whom a look does not show yet: until it must, an empty
    /// look proves nothing.
    pub(super) fn may_show_late(&mut self) {
        let shown_by = Instant::now() + self.settings.clock.wall(SHOWN_AFTER);
        self.over_at = self.over_at.max(shown_by);
    }

    /// Looks for people whose making had no clear answer, until all are there or none can come.
    async fn look_for_new(
        &mut self,
        begun: &[(ProbePersonId, String)],
        error: &marketo::Error,
    ) -> Step<Vec<LeadId>> {
        let in_flight = self.in_doubt(error, SYNC_LIMIT);
        let addresses: Vec<String> = begun.iter().map(|(_, address)| address.clone()).collect();
        loop {
            let looked_at = Instant::now();
            let found = self.with_addresses(&addresses).await?;
            let leads: Option<Vec<LeadId>> = addresses
                .iter()
                .map(|address| found.iter().find(|lead| has_address(lead, address)))
                .map(|lead| lead.map(|lead| lead.id))
                .collect();
            if let Some(leads) = leads {
                return Ok(leads);
            }
            if looked_at >= in_flight.over_at() {
                return Err(Trouble::Here(format!(
                    "the call that makes the test people was lost, and did not make all: {error}"
                )));
            }
            self.wait_until(in_flight.next_look(looked_at)).await?;
        }
    }

    /// A call whose answer was lost. The people are not taken for gone before it must be over.
    pub(super) fn in_doubt(&mut self, error: &marketo::Error, limit: Duration) -> InFlight {
        let clock = self.settings.clock;
        let in_flight =
            error.in_flight().unwrap_or_else(|| InFlight::begun_at(Instant::now(), limit, clock));
        self.over_at = self.over_at.max(in_flight.over_at());
        in_flight
    }

    pub(super) async fn wait_until(&self, moment: Instant) -> Step<()> {
        tokio::select! {
            biased;
            () = self.settings.stop.cancelled() => Err(Trouble::Stopped),
            () = tokio::time::sleep_until(moment) => Ok(()),
        }
    }

    /// The leads that have one of these addresses.
    pub(super) async fn with_addresses(&self, addresses: &[String]) -> Step<Vec<Lead>> {
        Ok(self.marketo.leads_by("email", addresses, &self.looked_at).await?)
    }

    /// Writes to people by id, one record each; says of each whether Marketo answered that it was
    /// written, or why not.
    pub(super) async fn write(
        &mut self,
        records: Vec<(LeadId, Map<String, Value>)>,
    ) -> Step<Vec<Result<(), String>>> {
        let record = |(lead, mut values): (LeadId, Map<String, Value>)| {
            values.insert("id".to_owned(), Value::from(lead));
            values
        };
        let input: Vec<_> = records.into_iter().map(record).collect();
        let request = SyncRequest::new(SyncAction::UpdateOnly, "id", input);
        let results = match self.marketo.sync_leads_with(&self.gate(), &request).await {
            Ok(results) => results,
            Err(error) => {
                if error.outcome() == Outcome::Unclear {
                    self.in_doubt(&error, SYNC_LIMIT);
                }
                return Err(error.into());
            }
        };
        let said = |result: RecordResult| match result.status {
            RecordStatus::Updated | RecordStatus::Created => Ok(()),
            RecordStatus::Skipped => Err(refusal(&result)),
        };
        Ok(results.into_iter().map(said).collect())
    }

    /// Reads people until they are as `wanted` says, or time is up; then as they are. What is read
    /// can lag behind what was written.
    pub(super) async fn read_until(
        &self,
        people: &[LeadId],
        fields: &[String],
        wanted: impl Fn(&BTreeMap<LeadId, Lead>) -> bool,
    ) -> Step<BTreeMap<LeadId, Lead>> {
        let mut names = fields.to_vec();
        names.extend(["email", "createdAt", "updatedAt"].map(str::to_owned));
        names.sort_unstable();
        names.dedup();
        let mut before = None;
        for look in 0.. {
            let leads = self.marketo.leads_by_id(people, &names).await?;
            let leads: BTreeMap<LeadId, Lead> =
                leads.into_iter().map(|lead| (lead.id, lead)).collect();
            // Once is no proof, nor is it after a while.
            let twice = before.as_ref() == Some(&leads);
            if twice && (wanted(&leads) || look >= LOOKS) || look >= 2 * LOOKS {
                return Ok(leads);
            }
            before = Some(leads);
            self.pause(LAG).await?;
        }
        Ok(BTreeMap::new())
    }
}
