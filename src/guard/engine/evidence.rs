//! The leads that a look-up found, by match key. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::request::Envelope;
use crate::lead::Lead;
use crate::marketo::{Found, MarketoTime};

#[derive(Debug, Default)]
pub(super) struct Evidence {
    leads: BTreeMap<String, Vec<Lead>>,
    /// The keys by their lower-case form.
    spellings: BTreeMap<String, BTreeSet<String>>,
    pub(super) request_id: Option<Arc<str>>,
    clock: Option<MarketoTime>,
}

/// Whether a lead was created before or after a moment, by Marketo's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Certainly before.
    Older,
    /// Certainly after.
    Younger,
    /// In the same second, as far as that can be told.
    Near,
    /// The lead or Marketo does not say.
    Unknown,
}

impl Evidence {
    /// Sorts the leads that were found for such writes.
    pub(super) fn of(envelope: &Envelope, found: Found) -> Self {
        let field = envelope.lookup.as_str();
        let mut evidence = Self {
            request_id: found.request_id.map(Into::into),
            clock: found.clock,
            ..Self::default()
        };
        for lead in found.leads {
            let key = if field == "id" {
                Some(lead.id.to_string())
            } else {
                lead.value(field).and_then(|value| envelope.key_of(value))
            };
            if let Some(key) = key {
                evidence.spellings.entry(key.to_lowercase()).or_default().insert(key.clone());
                evidence.leads.entry(key).or_default().push(lead);
            }
        }
        evidence
    }

    pub(super) fn leads(&self, key: &str) -> &[Lead] {
        self.leads.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether leads were found whose key differs in case alone. Only Marketo knows whether they
    /// are meant.
    pub(super) fn differs_in_case(&self, key: &str) -> bool {
        let spelled = self.spellings.get(&key.to_lowercase());
        spelled.is_some_and(|spelled| spelled.iter().any(|other| other != key))
    }

    /// Whether a lead was created before or after a moment. Its time has no parts of a second.
    pub(super) fn age(&self, lead: &Lead, then: Instant) -> Age {
        let marketo_time = self.clock.and_then(|clock| clock.at(then));
        match lead.created_at().zip(marketo_time) {
            None => Age::Unknown,
            Some((created, (_, latest))) if created >= latest => Age::Younger,
            Some((created, (earliest, _))) if created + chrono::Duration::seconds(1) < earliest => {
                Age::Older
            }
            Some(_) => Age::Near,
        }
    }
}
