//! What decides over a field: what is configured, else what the law of opt-outs or the kind of the
//! field says.
//!
//! For: one place that knows the defaults. Never: applies a rule.

use std::collections::BTreeMap;

use crate::dedupe::consent::companion::Companion;
use crate::dedupe::consent::sense::Sense;
use crate::dedupe::consent::{companion_of, sense_of};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::field_rule::{FieldRule, OPT_OUTS};
use crate::dedupe::policy::Policy;

/// What decides over each field of a group.
pub(super) type Rulings<'l> = BTreeMap<&'l str, Ruling<'l>>;

/// What decides over a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling<'a> {
    /// A rule. A firm one is configured, or an opt-out's: where it cannot be carried out, the group
    /// is left alone.
    Rule {
        /// The rule.
        rule: &'a FieldRule,
        /// Whether it is more than a default.
        firm: bool,
    },
    /// The field comes from the lead whose value this consent field keeps.
    With(&'a str),
    /// The field comes from the lead that the whole bundle comes from.
    Bundle {
        /// The bundle's name.
        name: &'a str,
        /// Whether it is configured.
        firm: bool,
    },
}

impl Policy {
    /// What decides over a field of this instance.
    ///
    /// A score keeps the highest value by default: a fresh record's 0 says only that nobody has
    /// scored it yet, and to add up counts what both records were given for one act twice.
    pub(super) fn ruling<'a>(&'a self, field: &'a str, facts: &'a FieldFacts) -> Ruling<'a> {
        let by_default = |rule: &'static FieldRule| Ruling::Rule { rule, firm: false };
        let configured = self.fields.0.get(field);
        // Law 5: of a custom opt-out a rule is heard only where it says that the field is none.
        let is_custom_opt_out = sense_of(field, facts) == Some(Sense::OptOut);
        if is_custom_opt_out && configured.is_some_and(|rule| *rule != FieldRule::Ignore) {
            return Ruling::Rule { rule: &FieldRule::AnyTrue, firm: true };
        }
        if OPT_OUTS.contains(&field) || configured.is_some() {
            return Ruling::Rule { rule: self.fields.of(field), firm: true };
        }
        if let Some(name) = self.bundles.of(field) {
            return Ruling::Bundle { name, firm: true };
        }
        match sense_of(field, facts) {
            Some(Sense::OptOut) => return Ruling::Rule { rule: &FieldRule::AnyTrue, firm: true },
            Some(Sense::Consent | Sense::Unclear) => return by_default(&FieldRule::Winner),
            None => {}
        }
        if let Some(Companion::Of(flag)) = companion_of(field, facts) {
            let left_alone = matches!(
                self.ruling(flag, facts),
                Ruling::Rule { rule: FieldRule::Ignore | FieldRule::KeepBlank, .. }
                    | Ruling::With(_)
            );
            return if left_alone { by_default(&FieldRule::Winner) } else { Ruling::With(flag) };
        }
        if let Some(name) =
            facts.address_of(field).filter(|name| !self.bundles.0.contains_key(*name))
        {
            return Ruling::Bundle { name, firm: false };
        }
        if facts.data_type(field) == "score" {
            return by_default(&FieldRule::Max);
        }
        by_default(&FieldRule::Winner)
    }

    /// What the plan does about a consent field whose sense needs a person: nothing, where it is
    /// configured.
    pub(super) fn asks_a_person(&self, field: &str, facts: &FieldFacts) -> bool {
        let configured = self.fields.0.contains_key(field) || self.bundles.of(field).is_some();
        !configured && matches!(sense_of(field, facts), Some(Sense::Consent | Sense::Unclear))
    }
}

impl Ruling<'_> {
    /// As the output names it.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Rule { rule, .. } => rule.to_string(),
            Self::With(flag) => format!("with {flag}"),
            Self::Bundle { name, .. } => format!("bundle {name}"),
        }
    }
}
