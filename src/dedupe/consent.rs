//! Custom fields by which a person says no, or yes, found by name and label.
//!
//! For: no merge turns a no into a yes in a field that only this instance has. Never: guesses a
//! sense that the words do not say; such a field makes its group a consent conflict where its leads
//! differ.

use std::collections::BTreeMap;

mod companion;

use super::field_rule::OPT_OUTS;
use super::plan::{FieldFact, FieldFacts};
use super::value::is_empty;
use crate::lead::Lead;

/// What a consent field says where it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// No: an opt-out.
    OptOut,
    /// Yes: a consent.
    Consent,
    /// The words do not say, or the field holds more than true and false.
    Unclear,
}

impl Sense {
    /// How a merge treats such a field.
    pub fn treatment(self) -> &'static str {
        match self {
            Self::OptOut => "true on any record stays true",
            Self::Consent => {
                "true is a yes; records that differ are left alone until a rule for it is set"
            }
            Self::Unclear => {
                "records with different values are left alone until a rule for it is set"
            }
        }
    }
}

/// Phrases that say no, as words between blanks.
const NO: &[&str] = &[
    "opt out",
    "optout",
    "opted out",
    "optedout",
    "opts out",
    "unsubscribe",
    "unsubscribed",
    "unsubscribes",
    "suppress",
    "suppressed",
    "suppression",
    "suspend",
    "suspended",
    "blacklist",
    "blacklisted",
    "blocklist",
    "black listed",
    "abmelden",
    "abgemeldet",
    "abmeldung",
    "widerspruch",
    "widersprochen",
    "désabonné",
    "desabonné",
    "desabonne",
    "désabonner",
    "désabonnement",
    "desabonnement",
    "désinscrit",
    "desinscrit",
    "baja",
];

/// Words that say no before one of [`CHANNELS`].
const NEGATIONS: &[&str] = &["no", "do not", "donot", "dont", "don t"];

const CHANNELS: &[&str] = &[
    "call",
    "calls",
    "email",
    "emails",
    "mail",
    "mails",
    "contact",
    "track",
    "tracking",
    "sell",
    "share",
    "sms",
    "text",
    "texts",
    "phone",
    "fax",
    "marketing",
    "newsletter",
    "newsletters",
    "mailing",
    "mailings",
    "market",
    "solicit",
    "spam",
    "process",
    "profile",
    "consent",
    "permission",
    "send",
];

/// Phrases that say yes.
const YES: &[&str] = &[
    "opt in",
    "optin",
    "opted in",
    "optedin",
    "consent",
    "consented",
    "consents",
    "permission",
    "permissions",
    "einwilligung",
    "eingewilligt",
    "consentement",
    "consentimiento",
];

/// Phrases that are about consent and do not say which way.
const ABOUT: &[&str] = &["gdpr", "dsgvo", "rgpd"];

/// What the fields of an instance say of consent. Reading it off their words takes time, so it is
/// done once for an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ConsentFields {
    /// What each custom consent field says where it is true.
    senses: BTreeMap<String, Sense>,
    /// The fields that tell when, why or how, each with the consent field that it belongs to.
    companions: BTreeMap<String, Companion>,
}

/// Whose reason or date a field tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Companion {
    /// That of this consent field.
    Of(String),
    /// Of which consent field, its words do not say.
    Unclear,
}

impl ConsentFields {
    pub(super) fn of(facts: &FieldFacts) -> Self {
        let fields = facts.fields.iter();
        let senses = fields
            .filter_map(|(field, fact)| Some((field.clone(), read_sense(field, fact)?)))
            .collect();
        Self { companions: companion::companions_of(facts, &senses), senses }
    }
}

/// What the words of a custom field say of consent; none where it is another field, a standard flag
/// or what travels with one.
pub fn sense_of(field: &str, facts: &FieldFacts) -> Option<Sense> {
    facts.consent().senses.get(field).copied()
}

/// Whose reason or date the field tells; none where it is no such field.
pub(super) fn companion_of<'f>(field: &str, facts: &'f FieldFacts) -> Option<&'f Companion> {
    facts.consent().companions.get(field)
}

/// All fields that travel with a consent field of the instance's own, each with that field.
pub fn custom_companions(facts: &FieldFacts) -> Vec<(&str, &str)> {
    let companions = facts.consent().companions.iter();
    companions
        .filter_map(|(field, companion)| match companion {
            Companion::Of(flag) if !OPT_OUTS.contains(&flag.as_str()) => {
                Some((field.as_str(), flag.as_str()))
            }
            Companion::Of(_) | Companion::Unclear => None,
        })
        .collect()
}

fn read_sense(field: &str, fact: &FieldFact) -> Option<Sense> {
    if OPT_OUTS.contains(&field) || companion::is_companion(field, fact) {
        return None;
    }
    let by_words = in_words(&words(field)).or_else(|| in_words(&words(&fact.label)))?;
    Some(if fact.data_type == "boolean" { by_words } else { Sense::Unclear })
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

fn in_words(text: &str) -> Option<Sense> {
    let has = |phrase: &&str| text.contains(&format!(" {phrase} "));
    let negated = NEGATIONS
        .iter()
        .any(|no| CHANNELS.iter().any(|what| text.contains(&format!(" {no} {what} "))));
    let glued = text.split(' ').any(|word| {
        ["donot", "dont", "no"]
            .iter()
            .any(|no| word.strip_prefix(no).is_some_and(|rest| CHANNELS.contains(&rest)))
    });
    let says_no = NO.iter().any(&has) || negated || glued;
    let says_yes = YES.iter().any(&has);
    // `not opted out` or `consent withdrawn` turns the sense round.
    let turned = ["not", "never", "withdrawn", "revoked", "removed", "lifted"]
        .iter()
        .any(|word| has(word) && !(*word == "not" && negated));
    match (says_no, says_yes) {
        (true, _) | (_, true) if turned => Some(Sense::Unclear),
        (true, _) => Some(Sense::OptOut),
        (false, true) => Some(Sense::Consent),
        (false, false) => ABOUT.iter().any(has).then_some(Sense::Unclear),
    }
}

/// The words of a name in small letters, each between blanks: `emailOptOut__c` → ` email opt out `.
pub(super) fn words(name: &str) -> String {
    let stem = name.strip_suffix("__c").or_else(|| name.strip_suffix("_c")).unwrap_or(name);
    let mut text = String::from(" ");
    let mut before = ' ';
    let mut letters = stem.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_small = letters.peek().is_some_and(|next| next.is_lowercase());
        let begins = letter.is_uppercase()
            && (before.is_lowercase() || (before.is_uppercase() && next_is_small));
        if (begins || !letter.is_alphanumeric()) && !text.ends_with(' ') {
            text.push(' ');
        }
        if letter.is_alphanumeric() {
            text.extend(letter.to_lowercase());
        }
        before = letter;
    }
    text.trim_end().to_owned() + " "
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
