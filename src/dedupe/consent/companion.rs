//! Fields that tell when, why and how a consent was given or withdrawn: companions of a consent
//! field.
//!
//! For: a reason or a date is no statement of its own, and comes from the lead that made the
//! statement. Never: takes a boolean for a companion; a boolean says yes or no by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::sense::{Sense, in_words};
use crate::dedupe::field_fact::FieldFact;
use crate::dedupe::field_rule::OPT_OUTS;
use crate::dedupe::words::words;

/// Whose reason or date a field tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dedupe) enum Companion {
    /// That of this consent field.
    Of(String),
    /// Of which consent field, its words do not say.
    Unclear,
}

/// What such a field tells, as single words.
const TELLS: &[&str] = &[
    // When.
    "date",
    "dates",
    "datetime",
    "time",
    "timestamp",
    "when",
    "day",
    "until",
    "since",
    "expires",
    "expiry",
    "expiration",
    "updated",
    "modified",
    "changed",
    "created",
    "datum",
    "zeitpunkt",
    "uhrzeit",
    "fecha",
    "heure",
    // Why, and in whose words.
    "reason",
    "reasons",
    "cause",
    "comment",
    "comments",
    "note",
    "notes",
    "description",
    "detail",
    "details",
    "grund",
    "raison",
    "motif",
    "motivo",
    "kommentar",
    "commentaire",
    "comentario",
    // By which way, and in which form.
    "source",
    "origin",
    "method",
    "medium",
    "form",
    "page",
    "url",
    "ip",
    "address",
    "user",
    "agent",
    "version",
    "wording",
    "language",
    "quelle",
    "herkunft",
    "origine",
    "origen",
    "fuente",
];

/// Words that tell such a thing at the end of a name alone: `optedOutOn`, `unsubscribedAt`,
/// `optOutBy`.
const TELLS_AT_THE_END: &[&str] =
    &["at", "on", "by", "from", "via", "am", "von", "le", "par", "por"];

/// Words between the others.
const FILLERS: &[&str] = &[
    "of", "for", "the", "last", "first", "latest", "der", "des", "du", "de", "la", "el", "und",
    "and",
];

/// Forms of one word.
const FORMS: &[(&str, &str)] = &[
    ("optout", "opt out"),
    ("optedout", "opt out"),
    ("optin", "opt in"),
    ("optedin", "opt in"),
    ("opted", "opt"),
    ("opts", "opt"),
    ("unsubscribe", "unsubscribed"),
    ("unsubscribes", "unsubscribed"),
    ("consents", "consent"),
    ("consented", "consent"),
    ("permissions", "permission"),
    ("suppress", "suppressed"),
    ("suppression", "suppressed"),
    ("suspend", "suspended"),
    ("blacklist", "black listed"),
    ("blacklisted", "black listed"),
    ("has", ""),
    ("is", ""),
];

/// The companions of consent fields, each with the field that it belongs to, where there is just
/// one.
pub(super) fn companions_of(
    facts: &BTreeMap<String, FieldFact>,
    senses: &BTreeMap<String, Sense>,
) -> BTreeMap<String, Companion> {
    let statements = statements(facts, senses);
    let fields = facts
        .iter()
        .filter(|(field, fact)| fact.data_type != "boolean" && !OPT_OUTS.contains(&field.as_str()));
    let found = fields.filter_map(|(field, fact)| {
        let stems = stems(field, fact);
        let of = stems.iter().find_map(|stem| belongs_to(stem, &statements));
        let is_one = of.is_some() || stems.iter().any(|stem| says_something(stem));
        let companion = of.map_or(Companion::Unclear, |flag| Companion::Of(flag.to_owned()));
        is_one.then(|| (field.clone(), companion))
    });
    found.collect()
}

/// Whether a field that speaks of consent only tells when, why or how. Booleans are never asked.
pub(super) fn is_companion(field: &str, fact: &FieldFact) -> bool {
    fact.data_type != "boolean" && stems(field, fact).iter().any(|stem| says_something(stem))
}

fn says_something(stem: &[String]) -> bool {
    in_words(&format!(" {} ", stem.join(" "))).is_some()
}

/// The words of each consent field, by name and by label.
fn statements<'a>(
    facts: &'a BTreeMap<String, FieldFact>,
    senses: &'a BTreeMap<String, Sense>,
) -> Vec<(&'a str, BTreeSet<Vec<String>>)> {
    let names: BTreeSet<&str> =
        senses.keys().map(String::as_str).chain(OPT_OUTS.iter().copied()).collect();
    let words_of = |field: &str| {
        let label = facts.get(field).map_or("", |fact| fact.label.as_str());
        [field, label].into_iter().map(plain).filter(|words| !words.is_empty()).collect()
    };
    names.into_iter().map(|field| (field, words_of(field))).collect()
}

/// The consent field whose words these are, in their order or another; or the only one that has all
/// of them.
fn belongs_to<'a>(
    stem: &[String],
    statements: &[(&'a str, BTreeSet<Vec<String>>)],
) -> Option<&'a str> {
    let sorted = |words: &[String]| words.iter().cloned().collect::<BTreeSet<String>>();
    let stem_sorted = sorted(stem);
    let by = |fits: &dyn Fn(&[String]) -> bool| -> Vec<&'a str> {
        let fitting = statements.iter().filter(|(_, forms)| forms.iter().any(|words| fits(words)));
        fitting.map(|(field, _)| *field).collect()
    };
    let exact = by(&|words| words == stem);
    let any_order = by(&|words| sorted(words) == stem_sorted);
    if let Some(field) = exact.first().or(any_order.first()) {
        return Some(field);
    }
    if !says_something(stem) {
        return None;
    }
    match by(&|words| sorted(words).is_superset(&stem_sorted)).as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// What the name and the label speak of, without the words that tell when, why or how; of each only
/// where there are such.
fn stems(field: &str, fact: &FieldFact) -> Vec<Vec<String>> {
    [field, fact.label.as_str()].into_iter().filter_map(stem).collect()
}

fn stem(name: &str) -> Option<Vec<String>> {
    let mut words = plain(name);
    let all = words.len();
    while words.last().is_some_and(|last| TELLS_AT_THE_END.contains(&last.as_str())) {
        words.pop();
    }
    words.retain(|word| !TELLS.contains(&word.as_str()));
    if words.len() == all {
        return None;
    }
    (!words.is_empty()).then_some(words)
}

/// The words of a name, each in its plain form, without fillers.
fn plain(name: &str) -> Vec<String> {
    let plain = |word: &str| {
        let form = FORMS.iter().find(|(form, _)| *form == word).map_or(word, |(_, plain)| plain);
        form.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let words = words(name).split_whitespace().flat_map(plain).collect::<Vec<_>>();
    words.into_iter().filter(|word| !FILLERS.contains(&word.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::Companion;
    use crate::dedupe::consent::{companion_of, sense_of};
    use crate::dedupe::{FieldFact, FieldFacts, OPT_OUTS};

    fn facts(fields: &[(&str, &str, &str)]) -> FieldFacts {
        let fact = |(name, label, data_type): &(&str, &str, &str)| {
            let (label, data_type) = ((*label).to_owned(), (*data_type).to_owned());
            (
                (*name).to_owned(),
                FieldFact { label, data_type, writeable: true, ..FieldFact::default() },
            )
        };
        let standard = OPT_OUTS.iter().map(|field| fact(&(field, "", "boolean")));
        FieldFacts::new(fields.iter().map(fact).chain(standard).collect())
    }

    #[test]
    fn a_date_or_a_reason_belongs_to_its_flag_however_it_is_spelled() {
        for (flag, companion, data_type) in [
            ("smsOptOut", "smsOptOutDate", "date"),
            ("smsOptOut", "sms_opt_out_reason", "string"),
            ("sms_opt_out__c", "SMS_Opt_Out_Source__c", "string"),
            ("smsOptOut", "smsOptedOutOn", "datetime"),
            ("smsOptOut", "dateOfSMSOptOut", "date"),
            ("smsOptOut", "smsOptOutIPAddress", "string"),
            ("smsOptOut", "smsOptOutBy", "string"),
            ("smsOptOut", "smsOptOutComments", "textarea"),
            ("HasOptedOutOfEmail", "optedOutOfEmailAt", "datetime"),
            ("emailOptOut", "optOutDateEmail", "date"),
            ("doNotMail", "doNotMailMethod", "string"),
            ("gdprConsent", "gdprConsentVersion", "integer"),
            ("gdprConsent", "gdprConsentLastUpdated", "datetime"),
            ("gdprConsent", "gdprConsentExpiryDate", "date"),
            ("newsletterOptIn", "newsletterOptInSource", "string"),
            ("werbung_widerspruch", "werbung_widerspruch_grund", "string"),
            ("unsubscribed", "unsubscribedReason", "text"),
            ("unsubscribed", "unsubscribeDate", "date"),
            ("marketingSuspended", "marketingSuspendedCause", "text"),
            ("doNotCall", "doNotCallReason", "text"),
            ("blackListed", "blackListedCause", "text"),
            ("blackListed", "blacklistDate", "date"),
            ("emailInvalid", "emailInvalidCause", "text"),
        ] {
            let facts = facts(&[(flag, "", "boolean"), (companion, "", data_type)]);
            assert_eq!(
                companion_of(companion, &facts),
                Some(&Companion::Of(flag.to_owned())),
                "{companion}"
            );
            assert_eq!(sense_of(companion, &facts), None, "{companion}");
        }
        let by_label =
            facts(&[("c1", "SMS Opt-Out", "boolean"), ("c2", "SMS Opt-Out Date", "date")]);
        assert_eq!(companion_of("c2", &by_label), Some(&Companion::Of("c1".to_owned())));
        let only = facts(&[("emailOptOut", "", "boolean"), ("optOutDate", "", "date")]);
        assert_eq!(
            companion_of("optOutDate", &only),
            Some(&Companion::Of("emailOptOut".to_owned()))
        );
        let two = facts(&[
            ("aOptOut", "", "boolean"),
            ("bOptOut", "", "boolean"),
            ("optOutDate", "", "date"),
        ]);
        assert_eq!(
            companion_of("optOutDate", &two),
            Some(&Companion::Unclear),
            "and no guess which"
        );
    }

    #[test]
    fn a_statement_is_no_companion() {
        for (field, data_type) in [
            ("optOutReason", "boolean"),
            ("consentStatus", "string"),
            ("optOut", "date"),
            ("gdprConsent", "string"),
            ("doNotText", "string"),
            ("phone", "phone"),
            ("createdAt", "datetime"),
            ("address", "text"),
        ] {
            assert_eq!(companion_of(field, &facts(&[(field, "", data_type)])), None, "{field}");
        }
    }
}
