//! Groups that a person wants left alone, whatever else is allowed: the rules of the section `skip`
//! of the config file.
//!
//! For: one place that judges them, for a plan, for its re-check and, as far as the cache knows the
//! leads, for a report. Never: lets a group pass that cannot be judged, or reads a clock or a file;
//! the time and the people of a file are handed in.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::listed::{ReadFile, SharedList};
use crate::lead::{Lead, LeadId};

mod condition;
mod parse;
mod pattern;

use condition::Fields;
pub use condition::{Condition, Unfit};
pub use parse::NoCondition;
pub use pattern::{EmailPattern, NoPattern};

/// Which groups are left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SkipRules {
    /// Lead partitions, by name or id.
    pub partitions: Vec<String>,
    /// The partitions that these are on the instance, by id.
    pub partition_ids: BTreeMap<u64, String>,
    /// Static lists, by name or id.
    pub lists: Vec<String>,
    /// The static lists that these are on the instance, by id.
    pub list_ids: BTreeMap<u64, String>,
    /// Email addresses.
    pub emails: Vec<EmailPattern>,
    /// The do-not-touch file.
    pub file: Option<ReadFile>,
    /// The people in it.
    #[serde(skip)]
    pub in_file: SharedList,
    /// Leads that were changed since this moment.
    pub changed_since: Option<DateTime<Utc>>,
    /// What is true of a lead.
    pub when: Vec<Condition>,
}

impl SkipRules {
    /// Whether there is none, as a plan keeps them.
    pub fn is_empty(&self) -> bool {
        *self == Self { in_file: self.in_file.clone(), ..Self::default() }
    }

    /// Why a group is left alone, naming the rule and the lead, as far as its leads tell without
    /// the instance's fields; none where no rule does.
    pub fn why(&self, members: &[Lead]) -> Option<String> {
        let leads = || members.iter();
        leads()
            .find_map(|lead| self.of_partition(lead))
            .or_else(|| leads().find_map(|lead| self.of_address(lead)))
            .or_else(|| leads().find_map(|lead| self.of_file(lead)))
            .or_else(|| leads().find_map(|lead| self.changed_lately(lead)))
    }

    /// The same with all that the instance knows of its fields.
    pub(super) fn why_by_fields(&self, members: &[Lead], fields: &Fields) -> Option<String> {
        self.why(members).or_else(|| self.by_condition(members, fields))
    }

    /// Why a lead that was changed lately keeps its group out.
    pub(super) fn changed_lately(&self, lead: &Lead) -> Option<String> {
        let since = self.changed_since?;
        match lead.updated_at() {
            Some(at) if at < since => None,
            Some(at) => Some(format!(
                "`skip.changed_within` leaves it alone: lead {} was changed on {}",
                lead.id,
                at.format("%Y-%m-%d at %H:%M UTC")
            )),
            None => Some(format!(
                "`skip.changed_within` leaves it alone: it cannot be judged, since lead {} has no `updatedAt`",
                lead.id
            )),
        }
    }

    fn of_partition(&self, lead: &Lead) -> Option<String> {
        let known = || lead.partition_id().and_then(|id| self.partition_ids.get(&id));
        let partition = lead.partition()?;
        let is_it = |name: &&String| name.trim().eq_ignore_ascii_case(&partition);
        let named = self.partitions.iter().find(is_it).or_else(known)?;
        Some(format!(
            "`skip.partitions` leaves it alone: lead {} is in the partition {named}",
            lead.id
        ))
    }

    /// Why a lead with these lists keeps its group out; each list comes with its id and its name.
    pub fn of_lists(&self, lead: LeadId, mut lists: impl Iterator<Item = u64>) -> Option<String> {
        let name = lists.find_map(|id| self.list_ids.get(&id))?;
        Some(format!("`skip.lists` leaves it alone: lead {lead} is on the static list {name}"))
    }

    fn of_address(&self, lead: &Lead) -> Option<String> {
        let email = lead.email()?;
        let pattern = self.emails.iter().find(|pattern| pattern.matches(email))?;
        Some(format!(
            "`skip.emails` leaves it alone: the address of lead {} fits `{pattern}`",
            lead.id
        ))
    }

    fn of_file(&self, lead: &Lead) -> Option<String> {
        let path = self.file.as_ref().map_or("the file", |file| file.path.as_str());
        let named = self.in_file.names(lead);
        named.then(|| format!("`skip.file` leaves it alone: {path} names lead {}", lead.id))
    }

    /// A condition that holds for any lead, else one that cannot be judged.
    fn by_condition(&self, members: &[Lead], fields: &Fields) -> Option<String> {
        let mut not_judged = None;
        for condition in &self.when {
            for lead in members {
                match condition.holds(lead, fields) {
                    Ok(false) => {}
                    Ok(true) => {
                        return Some(format!(
                            "`skip.when` leaves it alone: `{condition}` is true of lead {}",
                            lead.id
                        ));
                    }
                    Err(why) => {
                        not_judged.get_or_insert_with(|| {
                            format!(
                                "`skip.when` leaves it alone: `{condition}` cannot be judged, since {why}"
                            )
                        });
                    }
                }
            }
        }
        not_judged
    }
}

#[cfg(test)]
mod tests;
