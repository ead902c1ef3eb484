//! A lead of a group and its birth, as far as that is known: when it came, how, and by whose call.

use chrono::{DateTime, TimeDelta, Utc};

use crate::lead::{Birth, Crm, Lead, LeadId};

/// A lead, with its creation time read once, and its own birth where the activity log told it.
pub(super) struct Member<'a> {
    pub(super) lead: &'a Lead,
    pub(super) birth: Option<&'a Birth>,
    pub(super) at: Option<DateTime<Utc>>,
}

impl<'a> Member<'a> {
    /// A group's members by creation, then by id; those without a creation time last.
    pub(super) fn of_group(leads: &'a [Lead], births: &'a [Birth]) -> Vec<Self> {
        let mut members: Vec<Self> = leads
            .iter()
            .map(|lead| {
                let own =
                    births.iter().find(|birth| birth.lead == lead.id && !birth.of_a_merged_lead());
                Self { lead, birth: own, at: lead.created_at().or(own.map(|birth| birth.at)) }
            })
            .collect();
        members.sort_by_key(|member| (member.at.is_none(), member.at, member.lead.id));
        members
    }

    pub(super) fn id(&self) -> LeadId {
        self.lead.id
    }

    /// When the call that made it arrived.
    pub(super) fn arrived(&self) -> Option<DateTime<Utc>> {
        self.birth?.arrived()
    }

    pub(super) fn request_id(&self) -> Option<&str> {
        self.birth?.request_id.as_deref()
    }

    pub(super) fn api_user(&self) -> Option<&str> {
        self.birth?.api_user.as_deref()
    }

    /// How it came: by its birth, which nobody can edit, else by the field *Original Source Type*.
    pub(super) fn source(&self) -> Option<&str> {
        self.birth.and_then(|birth| birth.source_type.as_deref()).or_else(|| self.lead.source())
    }

    pub(super) fn came_by_api(&self) -> bool {
        // An import by the API is one of a list, and says so.
        self.source_has(&["web service api"]) && !self.came_by_import()
    }

    pub(super) fn came_by_form(&self) -> bool {
        self.source_has(&["web form", "munchkin"])
    }

    pub(super) fn came_by_import(&self) -> bool {
        self.source_has(&["list import", "import to list"])
    }

    pub(super) fn came_by_crm(&self) -> bool {
        self.source_has(&["salesforce", "dynamics", "sfdc"])
    }

    pub(super) fn in_crm(&self) -> bool {
        self.lead.crm() > Crm::None || self.came_by_crm()
    }

    /// Whether the call that made this one arrived when the other was there for sure; `None` where
    /// nobody can tell. That it was not there is told by its birth alone; that it was, by its
    /// creation time too.
    pub(super) fn could_see(&self, other: &Self) -> Option<bool> {
        let arrived = self.arrived()?;
        if other.birth.is_some_and(|birth| arrived < birth.at) {
            return Some(false);
        }
        let there = other.birth.map(|birth| birth.at).or(other.at)?;
        (arrived >= there + TimeDelta::seconds(1)).then_some(true)
    }

    /// One of these that the call which made this one would have found, had it looked for the
    /// address.
    pub(super) fn seen<'m>(&self, earlier: &'m [Self]) -> Option<&'m Self> {
        earlier.iter().rev().find(|member| self.could_see(member) == Some(true))
    }

    fn source_has(&self, words: &[&str]) -> bool {
        self.source().is_some_and(|source| {
            let source = source.to_lowercase();
            words.iter().any(|word| source.contains(word))
        })
    }
}

/// `3 min after lead 17`, the lead before it.
pub(super) fn after(late: &Member<'_>, earlier: &[Member<'_>]) -> String {
    let Some(last) = earlier.last() else { return String::new() };
    match (last.at, late.at) {
        (Some(before), Some(at)) if at == before => {
            format!("in the same second as lead {}", last.id())
        }
        (Some(before), Some(at)) => {
            format!("{} after lead {}", span((at - before).num_seconds()), last.id())
        }
        _ => format!("beside lead {}", last.id()),
    }
}

/// A length of time in the unit that a person would choose.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
