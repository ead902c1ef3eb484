//! What is known of the instance's fields, as far as a decision leans on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bundle::addresses;
use super::by_nature::differs_by_nature;
use super::consent::companion::Companion;
use super::consent::fields::ConsentFields;
use super::consent::sense::Sense;
use super::field_fact::FieldFact;
use super::field_rule::OPT_OUTS;
use super::measured::Measured;
use super::policy::Policy;
use super::value::is_empty;

pub(super) mod holds;
mod typed;

/// Without these no merge is safe.
const NEEDED: &[&str] = &["unsubscribed", "leadPartitionId"];

/// Without these nobody can tell whether a record is Salesforce's.
const SALESFORCE_IDS: &[&str] = &["sfdcLeadId", "sfdcContactId"];

/// The fields of leads on one instance. A plan keeps them, so that it can be planned again without
/// Marketo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFacts {
    /// By REST API name.
    pub fields: BTreeMap<String, FieldFact>,
    /// Fields for which this instance answered `updated` without taking the value. Updates of them
    /// are blocked, or they are computed. A blank one may still take its first value.
    pub not_taken: BTreeSet<String>,
    /// What `probe` found out about this instance.
    #[serde(default, skip_serializing_if = "Measured::is_nothing")]
    pub measured: Measured,
    /// What the fields say of consent, found when it is first asked for.
    #[serde(skip)]
    pub(super) consent: OnceLock<ConsentFields>,
    /// The address fields, each with its bundle, likewise.
    #[serde(skip)]
    pub(super) addresses: OnceLock<BTreeMap<String, String>>,
}

impl FieldFacts {
    /// Facts of these fields. None of them was seen to refuse a value.
    pub fn new(fields: BTreeMap<String, FieldFact>) -> Self {
        Self { fields, ..Self::default() }
    }

    pub(super) fn consent(&self) -> &ConsentFields {
        self.consent.get_or_init(|| ConsentFields::of(&self.fields))
    }

    /// The bundle of addresses that the field belongs to.
    pub(super) fn address_of(&self, field: &str) -> Option<&str> {
        self.addresses.get_or_init(|| addresses(&self.fields)).get(field).map(String::as_str)
    }

    /// Whether the field was seen to keep a value like this one against updates. Only a value is
    /// protected, and a boolean always is one.
    pub(super) fn is_blocked(&self, field: &str, held: &Value) -> bool {
        self.not_taken.contains(field) && (!is_empty(held) || self.data_type(field) == "boolean")
    }

    /// The field's data type in small letters; empty where the instance does not show the field.
    pub(super) fn data_type(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", |fact| fact.data_type.as_str())
    }

    /// Whether Sync Leads may write the field.
    pub fn is_writeable(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|fact| fact.writeable)
    }

    /// Whether Marketo computes the field from others, so that no merge keeps or loses it.
    pub(super) fn is_derived(&self, field: &str) -> bool {
        matches!(self.data_type(field), "formula" | "lead_function")
    }

    /// Whether every lead has its own value of the field, or Marketo computes it: no conflict, no
    /// loss, and nothing to choose.
    pub fn is_own(&self, field: &str) -> bool {
        differs_by_nature(field) || self.is_derived(field)
    }

    /// Whether the field says yes or no to being written to, or tells when or why.
    pub fn is_of_consent(&self, field: &str) -> bool {
        self.is_opt_out(field)
            || self.consent().sense_of(field).is_some()
            || self.consent().companion_of(field).is_some()
    }

    /// Whether the field says no to being written to, called or tracked, where it is true.
    pub fn is_opt_out(&self, field: &str) -> bool {
        OPT_OUTS.contains(&field) || self.consent().sense_of(field) == Some(Sense::OptOut)
    }

    /// The consent field whose reason or time this field tells.
    pub fn flag_explained_by(&self, field: &str) -> Option<&str> {
        match self.consent().companion_of(field)? {
            Companion::Of(flag) => Some(flag),
            Companion::Unclear => None,
        }
    }

    /// The fields without which no merge is safe and that the instance does not show: whether
    /// somebody unsubscribed, the partition, and whether the record is Salesforce's.
    pub fn missing_safety_fields(&self) -> Vec<&'static str> {
        [self.missing(NEEDED), self.missing(SALESFORCE_IDS)].concat()
    }

    /// Why nothing may be merged on this instance, in words; none where all is shown that a merge's
    /// safety rests on.
    ///
    /// Adobe does not document that the Salesforce ids are missing where no Salesforce is
    /// connected, and a hidden field is missing in the same way. So a person says that there is
    /// none.
    pub fn why_unsafe(&self, policy: &Policy) -> Option<String> {
        let named = |fields: &[&str]| fields.join(", ");
        let missing = self.missing(NEEDED);
        if !missing.is_empty() {
            return Some(format!(
                "this instance does not show the field {}, without which nobody can tell whether a merge is safe; let the \
                 API user's role see it, then run it again",
                named(&missing)
            ));
        }
        let missing = self.missing(SALESFORCE_IDS);
        (!missing.is_empty() && !policy.no_crm).then(|| {
            format!(
                "this instance does not show the field {}, without which nobody can tell whether a record is \
                 Salesforce's; let the API user's role see it, or, if no Salesforce is connected to this instance, set \
                 `merge.crm = \"none\"`",
                named(&missing)
            )
        })
    }

    /// The other standard opt-outs that the instance does not show: to be told, and no reason to
    /// stop.
    pub fn missing_opt_outs(&self) -> Vec<&'static str> {
        self.missing(&["marketingSuspended", "doNotCall", "blackListed", "emailInvalid"])
    }

    fn missing(&self, fields: &[&'static str]) -> Vec<&'static str> {
        fields.iter().copied().filter(|field| !self.fields.contains_key(*field)).collect()
    }

    /// Facts of plain text fields that may be written, for tests and examples.
    pub fn of_writeable<'a>(fields: impl IntoIterator<Item = &'a str>) -> Self {
        let fact = |field: &str| FieldFact {
            label: field.to_owned(),
            data_type: "string".to_owned(),
            length: None,
            writeable: true,
        };
        let fields = fields.into_iter().map(|field| (field.to_owned(), fact(field))).collect();
        Self::new(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::FieldFacts;
    use crate::dedupe::Policy;

    #[test]
    fn hidden_salesforce_ids_stop_merging_until_a_person_says_that_there_is_no_salesforce() {
        let all = ["unsubscribed", "leadPartitionId", "sfdcLeadId", "sfdcContactId"];
        let without = |hidden: &[&str]| {
            FieldFacts::of_writeable(all.into_iter().filter(|field| !hidden.contains(field)))
        };
        let (plain, no_crm) = (Policy::default(), Policy { no_crm: true, ..Policy::default() });
        assert_eq!(without(&[]).why_unsafe(&plain), None);
        let hidden = without(&["sfdcLeadId", "sfdcContactId"]);
        let why = hidden.why_unsafe(&plain).unwrap();
        assert!(
            why.contains("sfdcLeadId, sfdcContactId") && why.contains("`merge.crm = \"none\"`"),
            "{why}"
        );
        assert_eq!(hidden.why_unsafe(&no_crm), None);
        for field in ["unsubscribed", "leadPartitionId"] {
            let why = without(&[field]).why_unsafe(&no_crm).unwrap();
            assert!(why.contains(field) && !why.contains("merge.crm"), "{why}");
        }
    }
}
