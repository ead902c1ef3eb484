//! What the fields of an instance say of consent, by their words.

use std::collections::BTreeMap;

use super::companion::{Companion, companions_of, is_companion};
use super::sense::{Sense, in_words};
use crate::dedupe::field_fact::FieldFact;
use crate::dedupe::field_rule::OPT_OUTS;
use crate::dedupe::words::words;

/// What the fields of an instance say of consent. Reading it off their words takes time, so it is
/// done once for an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::dedupe) struct ConsentFields {
    /// What each custom consent field says where it is true.
    senses: BTreeMap<String, Sense>,
    /// The fields that tell when, why or how, each with the consent field that it belongs to.
    companions: BTreeMap<String, Companion>,
}

impl ConsentFields {
    pub(in crate::dedupe) fn of(facts: &BTreeMap<String, FieldFact>) -> Self {
        let fields = facts.iter();
        let senses = fields
            .filter_map(|(field, fact)| Some((field.clone(), read_sense(field, fact)?)))
            .collect();
        Self { companions: companions_of(facts, &senses), senses }
    }

    pub(in crate::dedupe) fn sense_of(&self, field: &str) -> Option<Sense> {
        self.senses.get(field).copied()
    }

    pub(in crate::dedupe) fn companion_of(&self, field: &str) -> Option<&Companion> {
        self.companions.get(field)
    }

    /// All companions, by field.
    pub(super) fn companions(&self) -> impl Iterator<Item = (&String, &Companion)> {
        self.companions.iter()
    }
}

fn read_sense(field: &str, fact: &FieldFact) -> Option<Sense> {
    if OPT_OUTS.contains(&field) || is_companion(field, fact) {
        return None;
    }
    let by_words = in_words(&words(field)).or_else(|| in_words(&words(&fact.label)))?;
    Some(if fact.data_type == "boolean" { by_words } else { Sense::Unclear })
}
