//! What happened to a group, in the order of time: which call arrived when, and which lead was
//! there when.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::dedupe::Group;
use crate::lead::{Birth, LeadId};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When: to the millisecond for a call, to the second for a birth.
    pub at: DateTime<Utc>,
    /// What.
    pub what: What,
    /// The lead that it is about, by the id that it was born with.
    pub lead: LeadId,
    /// The lead that it was merged into since, where it was.
    pub merged_into: Option<LeadId>,
    /// The call's id, where the activity log has it.
    pub request_id: Option<String>,
    /// The login of the API user: the integration.
    pub api_user: Option<String>,
    /// Through which channel it came, and by which form or list.
    pub source: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The call that made the lead arrived at Marketo.
    CallArrived,
    /// The lead was there.
    LeadBorn,
}

impl What {
    /// The word of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallArrived => "call_arrived",
            Self::LeadBorn => "lead_born",
        }
    }
}

/// A group's events by time, a cause above its effect, then by id. A lead without a known birth has
/// its creation time.
///
/// A birth is known to the second and a call to the millisecond: within a second the calls stand
/// first. No birth stands above its own call, whatever the clocks of the two said.
pub fn timeline(group: &Group) -> Vec<Event> {
    let mut events: Vec<Event> = group.births.iter().flat_map(of_birth).collect();
    for lead in group.leads.iter().filter(|lead| group.birth_of(lead.id).is_none()) {
        events.extend(lead.created_at().map(|at| Event {
            at,
            what: What::LeadBorn,
            lead: lead.id,
            merged_into: None,
            request_id: None,
            api_user: None,
            source: lead.source().map(str::to_owned),
        }));
    }
    let arrivals: BTreeMap<LeadId, DateTime<Utc>> =
        group.births.iter().filter_map(|birth| Some((birth.born_as, birth.arrived()?))).collect();
    events.sort_by_key(|event| {
        let not_before = arrivals.get(&event.lead).copied().unwrap_or(event.at);
        (event.at.max(not_before).timestamp(), event.what, event.at, event.lead)
    });
    events
}

fn of_birth(birth: &Birth) -> Vec<Event> {
    let born = Event {
        at: birth.at,
        what: What::LeadBorn,
        lead: birth.born_as,
        merged_into: birth.of_a_merged_lead().then_some(birth.lead),
        request_id: birth.request_id.clone(),
        api_user: birth.api_user.clone(),
        source: source(birth),
    };
    let arrived = birth.arrived().map(|at| Event { at, what: What::CallArrived, ..born.clone() });
    arrived.into_iter().chain([born]).collect()
}

fn source(birth: &Birth) -> Option<String> {
    let channel = birth.source_type.as_deref()?;
    let detail = birth.api_method.as_deref().or(birth.form.as_deref()).or(birth.list.as_deref());
    let detail = detail.or(birth.crm_type.as_deref());
    Some(detail.map_or_else(|| channel.to_owned(), |detail| format!("{channel}, {detail}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedupe::Key;
    use crate::lead::Lead;

    /// A birth by the call that arrived then; the request id carries that time in hexadecimal
    /// milliseconds.
    fn birth(lead: LeadId, at: &str, arrived: &str) -> Birth {
        let time =
            |text: &str| format!("2026-11-28T15:34:{text}Z").parse::<DateTime<Utc>>().unwrap();
        let request_id = format!("d63b#{:011x}", time(arrived).timestamp_millis());
        Birth { request_id: Some(request_id), ..Birth::new(lead, time(at)) }
    }

    fn told(births: Vec<Birth>) -> Vec<(What, LeadId)> {
        let leads = births.iter().map(|birth| Lead::new(birth.lead)).collect();
        let group = Group::new(Key::of("ada@example.com").unwrap(), leads).with_births(births);
        timeline(&group).into_iter().map(|event| (event.what, event.lead)).collect()
    }

    #[test]
    fn a_cause_never_stands_below_its_effect() {
        use What::{CallArrived, LeadBorn};
        // In the same second; a second that the call's clock was ahead; one after the other.
        for (births, expected) in [
            (
                vec![birth(1055, "58", "58.381"), birth(1056, "58", "58.102")],
                [(CallArrived, 1056), (CallArrived, 1055), (LeadBorn, 1055), (LeadBorn, 1056)],
            ),
            (
                vec![birth(1, "58", "59.002"), birth(2, "58", "58.990")],
                [(CallArrived, 2), (LeadBorn, 2), (CallArrived, 1), (LeadBorn, 1)],
            ),
            (
                vec![birth(1, "50", "49.500"), birth(2, "58", "58.000")],
                [(CallArrived, 1), (LeadBorn, 1), (CallArrived, 2), (LeadBorn, 2)],
            ),
        ] {
            assert_eq!(told(births), expected);
        }
    }
}
