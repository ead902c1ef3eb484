//! Fills that are dangerous by themselves: a blank of the winner gets a value that changes where
//! its mail goes, which record of another system it is tied to, or whether it may be mailed.
//!
//! For: the risk of a group; whoever decides about it is told of each. A fill counts whoever makes
//! it: this program, by a write before the merge, or Marketo, in the merge. Never: changes what a
//! plan does.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::model::PlannedGroup;
use crate::dedupe::consent::sense::Sense;
use crate::dedupe::consent::sense_of;
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::value::is_nothing;
use crate::dedupe::words::words;
use crate::lead::LeadId;

/// What makes a fill dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Danger {
    /// Mail goes to an address that the record did not have.
    Address,
    /// The record is tied to a record of the CRM or of another system.
    OtherSystem,
    /// It is tied to an account, a company or an owner.
    Account,
    /// It counts as one that may be mailed.
    Permission,
}

/// A blank of the winner that would be filled with a value which is dangerous there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DangerousFill {
    /// The field's REST API name.
    pub field: String,
    /// The lead that the value is from; none where it was made of several.
    pub from: Option<LeadId>,
    /// What makes it dangerous.
    pub danger: Danger,
}

/// Every fill of a planned group that is dangerous by itself, by field.
pub fn dangerous_fills(group: &PlannedGroup, facts: &FieldFacts) -> Vec<DangerousFill> {
    let written = group
        .changes
        .iter()
        .filter(|change| is_nothing(&change.before) && !is_nothing(&change.after))
        .map(|change| (&change.name, change.from));
    // What cannot be written and the winner lacks is Marketo's to fill.
    let by_marketo = group
        .at_risk
        .iter()
        .filter(|value| value.lead != group.winner)
        .map(|value| (&value.name, Some(value.lead)));
    let mut known = BTreeSet::new();
    let mut fills: Vec<DangerousFill> = written
        .chain(by_marketo)
        .filter_map(|(field, from)| {
            let danger = danger_of(field, facts).filter(|_| known.insert(field))?;
            Some(DangerousFill { field: field.clone(), from, danger })
        })
        .collect();
    fills.sort_by(|a, b| a.field.cmp(&b.field));
    fills
}

/// The words beside `id` in the name of a field that ties a lead to something.
const ACCOUNTS: &[&str] = &["account", "company", "owner", "organization", "sales person"];
const SYSTEMS: &[&str] = &[
    "sfdc",
    "salesforce",
    "crm",
    "dynamics",
    "veeva",
    "contact",
    "lead",
    "oppty",
    "opportunity",
    "external",
];

/// What says that a person may be mailed, beside the consents.
const PERMISSIONS: &[&str] =
    &["marketable", "marketing status", "subscription status", "consent status", "email status"];

fn danger_of(field: &str, facts: &FieldFacts) -> Option<Danger> {
    if field == "email" {
        return Some(Danger::Address);
    }
    let words = words(field);
    let has = |all: &[&str]| all.iter().any(|word| words.contains(&format!(" {word} ")));
    let is_id = ["id", "guid", "uuid"].iter().any(|end| words.ends_with(&format!(" {end} ")));
    if is_id && has(ACCOUNTS) {
        return Some(Danger::Account);
    }
    if is_id && has(SYSTEMS) {
        return Some(Danger::OtherSystem);
    }
    let is_consent = matches!(sense_of(field, facts), Some(Sense::Consent | Sense::Unclear));
    (is_consent || has(PERMISSIONS)).then_some(Danger::Permission)
}

impl Danger {
    /// What would come of it, in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Address => "its mail would go there from then on",
            Self::OtherSystem => "it would be tied to that record of another system",
            Self::Account => "it would belong to that account, company or owner",
            Self::Permission => "it would count as one that may be mailed",
        }
    }
}

impl DangerousFill {
    /// What would be filled, under the name that people know the field by, and what comes of it.
    pub fn in_words(&self, field: &str) -> String {
        let whose = match self.from {
            Some(lead) => format!("the value of lead {lead}"),
            None => "a value made of several records'".to_owned(),
        };
        let danger = self.danger.in_words();
        format!("{field} of the record to keep is blank and would get {whose}: {danger}")
    }
}

impl fmt::Display for DangerousFill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(&self.field))
    }
}

#[cfg(test)]
mod tests {
    use super::{Danger, dangerous_fills};
    use crate::dedupe::{FieldFact, FieldFacts, Key, KeySpec, Policy, plan_group};
    use crate::lead::Lead;

    fn facts(fields: &[(&str, &str, bool)]) -> FieldFacts {
        let fact = |(name, data_type, writeable): &(&str, &str, bool)| {
            let data_type = (*data_type).to_owned();
            let fact = FieldFact { data_type, writeable: *writeable, ..FieldFact::default() };
            ((*name).to_owned(), fact)
        };
        FieldFacts::new(fields.iter().map(fact).collect())
    }

    fn lead(id: u64) -> Lead {
        Lead::new(id).with("phone", "1").with("createdAt", format!("2026-01-0{id}T00:00:00Z"))
    }

    /// What a merge of an empty record with one that holds a value is warned of.
    fn fills(
        field: &str,
        data_type: &str,
        writeable: bool,
        value: serde_json::Value,
    ) -> Vec<Danger> {
        let facts = facts(&[
            ("phone", "phone", true),
            ("email", "email", true),
            ("unsubscribed", "boolean", true),
            (field, data_type, writeable),
        ]);
        let key = KeySpec::new(vec!["phone".to_owned()], false);
        let mut policy = Policy { key, include_shared: true, ..Policy::default() };
        policy.fields.0.insert(field.to_owned(), "max".parse().unwrap());
        if !writeable {
            policy.fields.0.remove(field);
        }
        let leads = [lead(1), lead(2).with(field, value)];
        let key = policy.key.key_of(&leads[0]).unwrap_or_else(|| Key::of("1").unwrap());
        let group = plan_group(&key, &leads, &policy, &facts).unwrap();
        assert_eq!(group.winner, 1);
        dangerous_fills(&group, &facts).into_iter().map(|fill| fill.danger).collect()
    }

    #[test]
    fn a_fill_is_dangerous_where_it_changes_address_ties_or_permission() {
        for (field, data_type, writeable, value, expected) in [
            ("email", "email", true, "ada@example.com".into(), Some(Danger::Address)),
            ("sfdcAccountId", "string", false, "001".into(), Some(Danger::Account)),
            ("externalCompanyId", "string", true, "7".into(), Some(Danger::Account)),
            ("externalSalesPersonId", "string", true, "7".into(), Some(Danger::Account)),
            ("Account_Owner_ID__c", "string", true, "7".into(), Some(Danger::Account)),
            ("crmContactId", "string", true, "7".into(), Some(Danger::OtherSystem)),
            ("emailOptIn", "boolean", true, true.into(), Some(Danger::Permission)),
            ("emailOptIn", "boolean", true, false.into(), None),
            ("marketingStatus", "string", true, "Marketable".into(), Some(Danger::Permission)),
            ("title", "string", true, "Countess".into(), None),
            ("accountName", "string", true, "Engines".into(), None),
            ("paid", "boolean", true, true.into(), None),
            ("formId", "string", true, "7".into(), None),
        ] {
            let found = fills(field, data_type, writeable, value);
            assert_eq!(found, Vec::from_iter(expected), "{field}");
        }
    }

    #[test]
    fn what_the_winner_holds_is_no_fill() {
        let facts = facts(&[("sfdcAccountId", "string", true), ("unsubscribed", "boolean", true)]);
        let lead = |id: u64, account: &str| {
            Lead::new(id).with("email", "ada@example.com").with("sfdcAccountId", account)
        };
        let mut policy = Policy::default();
        policy.fields.0.insert("sfdcAccountId".to_owned(), "max".parse().unwrap());
        let key = Key::of("ada@example.com").unwrap();
        let leads = [lead(1, "001"), lead(2, "002")];
        let group = plan_group(&key, &leads, &policy, &facts).unwrap();
        assert_eq!(group.changes.len(), 1);
        assert_eq!(dangerous_fills(&group, &facts), []);
        let leads = [lead(1, ""), lead(2, "002")];
        let group = plan_group(&key, &leads, &policy, &facts).unwrap();
        let told: Vec<String> =
            dangerous_fills(&group, &facts).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "sfdcAccountId of the record to keep is blank and would get the value of lead 2: it would belong to \
              that account, company or owner"
            ]
        );
    }
}
