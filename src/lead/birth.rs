//! How a lead came to be, as its New Lead activity tells it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{LeadId, request_arrival};

/// One New Lead activity.
///
/// Marketo keeps these for as long as the lead lives. The API attributes are missing on old leads,
/// and not every subscription writes every attribute: whatever is `None` here was not told.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// The lead that carries the activity today.
    pub lead: LeadId,
    /// The id that the lead was born with. Another one than `lead` belonged to a lead that was
    /// merged into it since: a merge moves the loser's activities to the winner, and leaves this id
    /// alone (reported by users).
    pub born_as: LeadId,
    /// When the lead was there, cut to whole seconds: it was born within the second that begins
    /// here.
    pub at: DateTime<Utc>,
    /// The channel: `Web service API`, `Web form fillout`, `List import`, `Salesforce.com`, `New
    /// person`, ….
    pub source_type: Option<String>,
    /// Which call of the API: `syncLead`, ….
    pub api_method: Option<String>,
    /// The login of the API-only user, which names the integration.
    pub api_user: Option<String>,
    /// The id of the call, which carries the time of its arrival.
    pub request_id: Option<String>,
    /// The list that it was imported into.
    pub list: Option<String>,
    /// The form that was filled out.
    pub form: Option<String>,
    /// What it is in Salesforce: `Lead` or `Contact`.
    pub crm_type: Option<String>,
}

/// Prints ids and times alone: the name of a form or a list may name a person.
impl std::fmt::Debug for Birth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Birth")
            .field("lead", &self.lead)
            .field("born_as", &self.born_as)
            .field("at", &self.at)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Birth {
    /// A birth of which nothing but the time is known.
    pub fn new(lead: LeadId, at: DateTime<Utc>) -> Self {
        Self {
            lead,
            born_as: lead,
            at,
            source_type: None,
            api_method: None,
            api_user: None,
            request_id: None,
            list: None,
            form: None,
            crm_type: None,
        }
    }

    /// When the call that made it arrived at Marketo, to the millisecond.
    pub fn arrived(&self) -> Option<DateTime<Utc>> {
        self.request_id.as_deref().and_then(request_arrival)
    }

    /// Whether it is the birth of a lead that was merged away since.
    pub fn of_a_merged_lead(&self) -> bool {
        self.lead != self.born_as
    }
}
