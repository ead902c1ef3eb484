//! What happened to a group, in the order of time: which call arrived when, and which lead was there when.

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

/// A group's events by time; calls before births, then by id. A lead without a known birth has its creation time.
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
    events.sort_by_key(|event| (event.at, event.what, event.lead));
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
