//! Values that test people are given, by the type of the field, and the fields that serve a test.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Domain;
use crate::dedupe::{FieldFacts, OPT_OUTS};

/// Two values of a field's type that differ; none of a type for which there are none.
pub(super) fn two_values(
    data_type: &str,
    length: Option<u32>,
    domain: &Domain,
) -> Option<[Value; 2]> {
    let texts = |a: &str, b: &str| {
        let length = length.map_or(usize::MAX, |length| length as usize);
        let fit = |text: &str| json!(text.chars().take(length).collect::<String>());
        let (a, b) = (fit(a), fit(b));
        (a != b).then_some([a, b])
    };
    match data_type {
        "string" | "text" | "textarea" => texts("1 of a test", "2 of a test"),
        "phone" => texts("+1 555 0100", "+1 555 0101"),
        "url" => texts(&format!("https://a.{domain}"), &format!("https://b.{domain}")),
        "email" => texts(&format!("a@{domain}"), &format!("b@{domain}")),
        "integer" | "score" => Some([json!(1), json!(2)]),
        "float" | "currency" | "percent" => Some([json!(1.5), json!(2.5)]),
        "boolean" => Some([json!(false), json!(true)]),
        "date" => Some([json!("2001-02-03"), json!("2002-03-04")]),
        "datetime" => Some([json!("2001-02-03T04:05:06Z"), json!("2002-03-04T05:06:07Z")]),
        _ => None,
    }
}

/// Text fields that are asked for before any other: standard ones that steer nothing.
const TEXTS: [&str; 4] = ["title", "department", "middleName", "salutation"];

/// The fields that the measuring itself can use, the best first: texts, scores, booleans.
#[derive(Debug, Default)]
pub(super) struct Serving {
    pub(super) texts: Vec<String>,
    pub(super) scores: Vec<String>,
    pub(super) booleans: Vec<String>,
}

impl Serving {
    /// The fields of an instance that can be written and say nothing of who a person is.
    pub(super) fn of(facts: &FieldFacts) -> Self {
        let of_type = |data_type: &'static str| {
            let fits = move |field: &&String| {
                facts.fields.get(*field).is_some_and(|fact| fact.data_type == data_type)
                    && facts.is_writeable(field)
                    && !facts.is_own(field)
            };
            facts.fields.keys().filter(fits).cloned()
        };
        let mut booleans: Vec<String> =
            of_type("boolean").filter(|field| field != "unsubscribed").collect();
        // What says nothing of consent before what does, and what every instance has last: of the
        // standard ones some are never unset.
        booleans.sort_by_key(|field| {
            (OPT_OUTS.contains(&field.as_str()), facts.is_of_consent(field), field.clone())
        });
        booleans.truncate(5);
        let mut scores: Vec<String> = of_type("score").collect();
        scores.sort_by_key(|field| (field != "leadScore", field.clone()));
        scores.truncate(3);
        let is_text = |field: &&str| of_type("string").any(|text| text == **field);
        let texts = TEXTS.iter().copied().filter(is_text).map(str::to_owned).collect();
        Self { texts, scores, booleans }
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<String> {
        self.texts.iter().chain(&self.scores).chain(&self.booleans).cloned().collect()
    }
}
