//! Custom fields by which a person says no, or yes, found by name and label.
//!
//! For: no merge turns a no into a yes in a field that only this instance has. Never: guesses a
//! sense that the words do not say; such a field makes its group a consent conflict where its leads
//! differ.

use super::facts::FieldFacts;
use super::field_rule::OPT_OUTS;
use super::value::is_empty;
use crate::lead::Lead;

pub(super) mod companion;
pub(super) mod fields;
pub(super) mod sense;

use companion::Companion;
use sense::Sense;

/// What the words of a custom field say of consent; none where it is another field, a standard flag
/// or what travels with one.
pub fn sense_of(field: &str, facts: &FieldFacts) -> Option<Sense> {
    facts.consent().sense_of(field)
}

/// Whose reason or date the field tells; none where it is no such field.
pub(super) fn companion_of<'f>(field: &str, facts: &'f FieldFacts) -> Option<&'f Companion> {
    facts.consent().companion_of(field)
}

/// All fields that travel with a consent field of the instance's own, each with that field.
pub fn custom_companions(facts: &FieldFacts) -> Vec<(&str, &str)> {
    let companions = facts.consent().companions();
    companions
        .filter_map(|(field, companion)| match companion {
            Companion::Of(flag) if !OPT_OUTS.contains(&flag.as_str()) => {
                Some((field.as_str(), flag.as_str()))
            }
            Companion::Of(_) | Companion::Unclear => None,
        })
        .collect()
}

/// All custom fields about consent, by name.
pub fn custom_consent(facts: &FieldFacts) -> Vec<(&str, Sense)> {
    facts
        .fields
        .keys()
        .filter_map(|field| Some((field.as_str(), sense_of(field, facts)?)))
        .collect()
}

/// Why the leads' values in a consent field cannot be decided without a person.
pub(super) fn conflict(field: &str, in_order: &[&Lead], facts: &FieldFacts) -> Option<String> {
    let is_boolean = facts.data_type(field) == "boolean";
    let said = |lead: &Lead| {
        let value = lead.value(field).filter(|value| !is_empty(value));
        if is_boolean {
            // An unset boolean reads as false, and neither is a yes.
            return Some(value.map_or_else(String::new, |value| facts.canonical(field, value)));
        }
        value.map(|value| facts.canonical(field, value))
    };
    let said: Vec<String> = in_order.iter().filter_map(|lead| said(lead)).collect();
    let differ = said.windows(2).any(|pair| matches!(pair, [a, b] if a != b));
    differ.then(|| {
        format!(
            "its records differ in `{field}`, which looks like a consent; set a rule for it under [fields], \
             for example `any_true`, `all_true`, `newest` or `ignore`, or make the records alike"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Sense, conflict, sense_of};
    use crate::dedupe::{FieldFact, FieldFacts};
    use crate::lead::Lead;

    fn facts(name: &str, label: &str, data_type: &str) -> FieldFacts {
        let fact = FieldFact {
            label: label.to_owned(),
            data_type: data_type.to_owned(),
            length: None,
            writeable: true,
        };
        FieldFacts { fields: [(name.to_owned(), fact)].into(), ..FieldFacts::default() }
    }

    #[test]
    fn the_words_of_a_field_say_what_its_true_means() {
        for (name, sense) in [
            ("emailOptOut", Some(Sense::OptOut)),
            ("HasOptedOutOfEmail", Some(Sense::OptOut)),
            ("sms_opt_out__c", Some(Sense::OptOut)),
            ("SMSOptOut_c", Some(Sense::OptOut)),
            ("globaloptout", None),
            ("optout", Some(Sense::OptOut)),
            ("doNotTrack", Some(Sense::OptOut)),
            ("donotmail", Some(Sense::OptOut)),
            ("noNewsletter", Some(Sense::OptOut)),
            ("gdprOptOut", Some(Sense::OptOut)),
            ("werbung_widerspruch", Some(Sense::OptOut)),
            ("désabonné", Some(Sense::OptOut)),
            ("bajaEmail", Some(Sense::OptOut)),
            ("gdprConsent", Some(Sense::Consent)),
            ("newsletterOptIn", Some(Sense::Consent)),
            ("consentimiento_email", Some(Sense::Consent)),
            ("gdpr", Some(Sense::Unclear)),
            ("hasNotOptedOut", Some(Sense::Unclear)),
            ("consentWithdrawn", Some(Sense::Unclear)),
            ("unsubscribed", None),
            ("notes", None),
            ("nobleTitle", None),
            ("optional", None),
            ("phone", None),
        ] {
            assert_eq!(sense_of(name, &facts(name, "", "boolean")), sense, "{name}");
        }
        assert_eq!(
            sense_of("c17", &facts("c17", "No calls, please", "boolean")),
            Some(Sense::OptOut)
        );
        assert_eq!(sense_of("optOut", &facts("optOut", "", "date")), Some(Sense::Unclear));
    }

    #[test]
    fn only_differing_statements_are_a_conflict() {
        let found = |data_type: &str, a: Value, b: Value| {
            let (a, b) = (Lead::new(1).with("c", a), Lead::new(2).with("c", b));
            conflict("c", &[&a, &b], &facts("c", "Consent", data_type)).is_some()
        };
        assert!(found("boolean", json!(false), json!(true)));
        assert!(found("boolean", json!(null), json!(true)));
        assert!(!found("boolean", json!(null), json!(false)));
        assert!(!found("boolean", json!(true), json!("true")));
        assert!(found("string", json!("yes"), json!("no")));
        assert!(!found("string", json!("yes"), json!(null)));
    }
}
