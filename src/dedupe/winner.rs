//! Which lead of a group stays.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::did_you_mean::did_you_mean;
use super::value::{self, completeness, filled};
use crate::lead::{Crm, Lead, LeadId};

mod ids;

pub use ids::NamedIds;

/// One way to prefer a lead over another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum WinnerRule {
    /// A Salesforce contact.
    CrmContact,
    /// A Salesforce lead or contact.
    CrmLead,
    /// The one created first.
    Oldest,
    /// The one created last.
    Newest,
    /// The one with the lowest id.
    LowestId,
    /// The one with the most fields filled.
    MostComplete,
    /// The one changed last.
    LastUpdated,
    /// The one with the greatest value of a field.
    Max(String),
    /// The one that an external system of record names, by a file of ids.
    Ids(NamedIds),
}

/// The rules, the weightiest first; a tie goes to the next, and at last to the lowest id, so that
/// the order is total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WinnerOrder(pub Vec<WinnerRule>);

impl Default for WinnerOrder {
    fn default() -> Self {
        Self(vec![
            WinnerRule::CrmContact,
            WinnerRule::CrmLead,
            WinnerRule::Oldest,
            WinnerRule::LowestId,
        ])
    }
}

impl WinnerOrder {
    /// The lead that stays; none of no leads.
    ///
    /// The CRM's precedence comes before every rule: in a merge Marketo lets a Salesforce contact
    /// survive before a Salesforce lead, and that before a lead of its own, whatever winner it is
    /// given (documented by Adobe).
    pub fn winner<'a>(&self, leads: &'a [Lead]) -> Option<&'a Lead> {
        leads.iter().min_by(|a, b| self.compare(a, b))
    }

    /// The better lead is the lesser.
    pub fn compare(&self, a: &Lead, b: &Lead) -> Ordering {
        // Of two leads that are the same in the CRM its rules tell none from the other.
        let is_of_crm =
            |rule: &&WinnerRule| matches!(rule, WinnerRule::CrmContact | WinnerRule::CrmLead);
        b.crm().cmp(&a.crm()).then_with(|| {
            let others = self.0.iter().filter(|rule| !is_of_crm(rule));
            let mut by_rules = others.map(|rule| rule.compare(a, b));
            by_rules.find(|ordering| ordering.is_ne()).unwrap_or_else(|| a.id.cmp(&b.id))
        })
    }

    /// The same order with these ids for every rule `ids`.
    #[must_use]
    pub fn with_ids(&self, ids: &NamedIds) -> Self {
        let with = |rule: &WinnerRule| match rule {
            WinnerRule::Ids(_) => WinnerRule::Ids(ids.clone()),
            other => other.clone(),
        };
        Self(self.0.iter().map(with).collect())
    }

    /// Whether the rule `ids` is one of it.
    pub fn asks_for_ids(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule, WinnerRule::Ids(_)))
    }

    /// Those of the leads that the file of ids names.
    pub fn named_among(&self, leads: &[Lead]) -> BTreeSet<LeadId> {
        let named = self.0.iter().filter_map(|rule| match rule {
            WinnerRule::Ids(ids) => Some(ids.among(leads)),
            _ => None,
        });
        named.flatten().collect()
    }

    /// Why this lead of them is the winner, in words: what told it from the last of its rivals.
    pub(super) fn why(&self, winner: &Lead, leads: &[Lead]) -> String {
        let mut rivals: Vec<&Lead> = leads.iter().filter(|lead| lead.id != winner.id).collect();
        let all = rivals.len();
        rivals.retain(|lead| lead.crm() == winner.crm());
        let mut why = match winner.crm() {
            crm if rivals.len() < all => {
                format!("it is the CRM's {}, which survives any merge", crm.label())
            }
            _ => "its id is the lowest".to_owned(),
        };
        for rule in &self.0 {
            let before = rivals.len();
            rivals.retain(|rival| rule.compare(winner, rival).is_eq());
            if rivals.len() < before {
                why = rule.in_words(winner);
            }
        }
        if !rivals.is_empty() {
            "its id is the lowest".clone_into(&mut why);
        }
        let named = self.named_among(leads);
        match named.first().filter(|_| !named.contains(&winner.id)) {
            Some(other) if rivals.len() < all => {
                format!("{why}; lead {other}, which `winner.ids_file` names, cannot stay beside it")
            }
            _ => why,
        }
    }

    /// The fields whose change could change the winner; of `most_complete` that is any, which a
    /// digest cannot hold.
    pub fn deciding_fields(&self) -> Vec<String> {
        let mut fields =
            ["createdAt", "sfdcType", "sfdcLeadId", "sfdcContactId"].map(str::to_owned).to_vec();
        for rule in &self.0 {
            match rule {
                WinnerRule::Max(field) => fields.push(field.clone()),
                WinnerRule::LastUpdated => fields.push("updatedAt".to_owned()),
                WinnerRule::CrmContact
                | WinnerRule::CrmLead
                | WinnerRule::Oldest
                | WinnerRule::Newest
                | WinnerRule::LowestId
                | WinnerRule::MostComplete
                | WinnerRule::Ids(_) => {}
            }
        }
        fields.sort();
        fields.dedup();
        fields
    }
}

impl WinnerRule {
    fn compare(&self, a: &Lead, b: &Lead) -> Ordering {
        match self {
            Self::CrmContact => (b.crm() == Crm::Contact).cmp(&(a.crm() == Crm::Contact)),
            Self::CrmLead => (b.crm() > Crm::None).cmp(&(a.crm() > Crm::None)),
            // A lead without a creation time comes last, either way.
            Self::Oldest => {
                let age = |lead: &Lead| {
                    let created = lead.created_at();
                    (created.is_none(), created)
                };
                age(a).cmp(&age(b))
            }
            Self::Newest => b.created_at().cmp(&a.created_at()),
            Self::LowestId => a.id.cmp(&b.id),
            Self::MostComplete => completeness(b).cmp(&completeness(a)),
            Self::LastUpdated => b.updated_at().cmp(&a.updated_at()),
            Self::Max(field) => match (filled(a, field), filled(b, field)) {
                (Some(a), Some(b)) => value::compare(b, a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
            Self::Ids(ids) => ids.has(b.id).cmp(&ids.has(a.id)),
        }
    }

    fn in_words(&self, winner: &Lead) -> String {
        let day = |time: Option<DateTime<Utc>>| {
            time.map(|time| time.format(", on %Y-%m-%d").to_string()).unwrap_or_default()
        };
        match self {
            Self::CrmContact | Self::CrmLead => format!("it is the CRM's {}", winner.crm().label()),
            Self::Oldest => format!("it was created first{}", day(winner.created_at())),
            Self::Newest => format!("it was created last{}", day(winner.created_at())),
            Self::LowestId => "its id is the lowest".to_owned(),
            Self::MostComplete => {
                format!("it has the most fields filled, {}", completeness(winner))
            }
            // Without the day, which moves when the plan itself writes to the winner.
            Self::LastUpdated => "it was updated last".to_owned(),
            Self::Max(field) => format!("its `{field}` is the highest"),
            Self::Ids(_) => "`winner.ids_file` names it".to_owned(),
        }
    }
}

const NAMES: &[(&str, WinnerRule)] = &[
    ("crm_contact", WinnerRule::CrmContact),
    ("crm_lead", WinnerRule::CrmLead),
    ("oldest", WinnerRule::Oldest),
    ("newest", WinnerRule::Newest),
    ("lowest_id", WinnerRule::LowestId),
    ("most_complete", WinnerRule::MostComplete),
    ("last_updated", WinnerRule::LastUpdated),
    ("ids", WinnerRule::Ids(NamedIds::NONE)),
];

/// A word that is no winner rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no winner rule `{word}`{hint}; there are crm_contact, crm_lead, oldest, newest, lowest_id, most_complete, last_updated, ids and max:FIELD",
    word = .0,
    hint = did_you_mean(.0, NAMES.iter().map(|(name, _)| *name))
)]
pub struct UnknownWinnerRule(String);

impl FromStr for WinnerRule {
    type Err = UnknownWinnerRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(field) =
            text.strip_prefix("max:").map(str::trim).filter(|field| !field.is_empty())
        {
            return Ok(Self::Max(field.to_owned()));
        }
        NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, rule)| rule.clone())
            .ok_or_else(|| UnknownWinnerRule(text.to_owned()))
    }
}

impl fmt::Display for WinnerRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max(field) => return write!(f, "max:{field}"),
            Self::Ids(_) => return f.write_str("ids"),
            _ => {}
        }
        NAMES.iter().filter(|(_, rule)| rule == self).try_for_each(|(name, _)| f.write_str(name))
    }
}

impl From<WinnerRule> for String {
    fn from(rule: WinnerRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for WinnerRule {
    type Error = UnknownWinnerRule;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::{NamedIds, WinnerOrder, WinnerRule};
    use crate::lead::Lead;

    fn lead(id: u64, created: &str) -> Lead {
        Lead::new(id).with("createdAt", created).with("email", "ada@example.com")
    }

    fn winner(order: &[&str], leads: &[Lead]) -> u64 {
        WinnerOrder(order.iter().map(|rule| rule.parse().unwrap()).collect())
            .winner(leads)
            .unwrap()
            .id
    }

    #[test]
    fn by_default_a_contact_beats_a_crm_lead_which_beats_the_oldest() {
        let oldest = lead(3, "2020-01-01T00:00:00Z");
        let crm_lead = lead(2, "2021-01-01T00:00:00Z").with("sfdcLeadId", "00Q1");
        let contact = lead(1, "2022-01-01T00:00:00Z").with("sfdcContactId", "0031");
        let order = WinnerOrder::default();
        let leads = [oldest, crm_lead, contact];
        assert_eq!(order.winner(&leads).unwrap().id, 1);
        assert_eq!(order.winner(&leads[..2]).unwrap().id, 2);
    }

    #[test]
    fn each_rule_prefers_what_it_says() {
        let a = lead(1, "2020-01-01T00:00:00Z")
            .with("leadScore", 5)
            .with("updatedAt", "2020-01-02T00:00:00Z");
        let b = lead(2, "2021-01-01T00:00:00Z")
            .with("leadScore", 40)
            .with("updatedAt", "2023-01-02T00:00:00Z")
            .with("phone", "1");
        let leads = [b, a];
        for (rule, expected) in [
            ("oldest", 1),
            ("newest", 2),
            ("lowest_id", 1),
            ("most_complete", 2),
            ("last_updated", 2),
            ("max:leadScore", 2),
            ("max:noSuchField", 1),
        ] {
            assert_eq!(winner(&[rule], &leads), expected, "{rule}");
        }
    }

    #[test]
    fn a_named_lead_wins_among_those_of_its_rank_in_the_crm() {
        let leads = [lead(1, "2020-01-01T00:00:00Z"), lead(2, "2021-01-01T00:00:00Z")];
        let order = |ids: &[u64]| {
            let order = WinnerOrder(vec!["ids".parse().unwrap(), WinnerRule::Oldest]);
            order.with_ids(&NamedIds::of(ids.iter().copied().collect()))
        };
        let named = order(&[2, 77]);
        let winner = named.winner(&leads).unwrap();
        assert_eq!(
            (winner.id, named.why(winner, &leads).as_str()),
            (2, "`winner.ids_file` names it")
        );
        assert_eq!(order(&[77]).winner(&leads).unwrap().id, 1, "it names none of these");
        let [a, b] = leads;
        let leads = [a.with("sfdcLeadId", "00Q1"), b];
        let winner = named.winner(&leads).unwrap();
        assert_eq!(winner.id, 1);
        assert_eq!(
            named.why(winner, &leads),
            "it is the CRM's lead, which survives any merge; lead 2, which `winner.ids_file` names, cannot stay \
             beside it"
        );
    }

    #[test]
    fn a_lead_without_a_creation_time_is_never_the_oldest() {
        assert_eq!(winner(&["oldest"], &[Lead::new(1), lead(2, "2020-01-01T00:00:00Z")]), 2);
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in ["crm_contact", "lowest_id", "ids", "max:leadScore"] {
            assert_eq!(text.parse::<WinnerRule>().unwrap().to_string(), text);
        }
        assert!("max:".parse::<WinnerRule>().is_err());
        assert!("smallest".parse::<WinnerRule>().is_err());
    }
}
