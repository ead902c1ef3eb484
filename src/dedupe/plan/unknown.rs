//! Fields that a policy names and the instance does not have.
//!
//! For: a slip of the pen in a rule must not cost a value. Never: corrects one; the nearest name is
//! only shown.

use std::fmt;

use crate::dedupe::facts::FieldFacts;
use crate::dedupe::field_rule::{FieldRule, OPT_OUTS};
use crate::dedupe::policy::Policy;
use crate::dedupe::winner::WinnerRule;

/// A field that a policy names and the instance does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField {
    /// The key of the configuration that names it.
    pub place: &'static str,
    /// The name.
    pub field: String,
    /// The field that it most likely means.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` names `{}`, and this instance has no such field", self.place, self.field)?;
        self.nearest.iter().try_for_each(|nearest| write!(f, "; did you mean `{nearest}`?"))
    }
}

impl Policy {
    /// Every field that the policy names and the instance does not have. The standard opt-outs have
    /// rules without being named, and an instance may hide some.
    pub fn unknown_fields(&self, facts: &FieldFacts) -> Vec<UnknownField> {
        let rules = self.fields.0.keys().filter(|field| !OPT_OUTS.contains(&field.as_str()));
        let order = self.winner.0.iter().filter_map(|rule| match rule {
            WinnerRule::Max(field) => Some(field),
            _ => None,
        });
        let others = self.fields.0.values().filter_map(|rule| match rule {
            FieldRule::By { field, .. } => Some(field),
            _ => None,
        });
        let named = rules.chain(others).map(|field| ("fields", field));
        let bundled = self.bundles.0.values().flatten();
        let named = named.chain(bundled.map(|field| ("bundles", field)));
        let named = named.chain(order.map(|field| ("winner.order", field)));
        let named = named.chain(self.key.fields.iter().map(|field| ("match.key", field)));
        let unknown =
            named.filter(|(_, field)| *field != "id" && !facts.fields.contains_key(*field));
        unknown
            .map(|(place, field)| UnknownField {
                place,
                field: field.clone(),
                nearest: nearest(field, facts),
            })
            .collect()
    }
}

fn nearest(wrong: &str, facts: &FieldFacts) -> Option<String> {
    let small = wrong.to_lowercase();
    let distance = |known: &String| strsim::damerau_levenshtein(&known.to_lowercase(), &small);
    let (distance, known) = facts.fields.keys().map(|known| (distance(known), known)).min()?;
    (distance <= known.chars().count() / 2).then(|| known.clone())
}

#[cfg(test)]
mod tests {
    use crate::dedupe::{FieldFacts, FieldRule, Policy, WinnerRule};

    #[test]
    fn a_slip_of_the_pen_is_found_wherever_it_stands() {
        let facts = FieldFacts::of_writeable(["email", "leadScore", "phone"]);
        assert_eq!(Policy::default().unknown_fields(&facts), []);
        let mut policy = Policy::default();
        policy.fields.0.insert("Phone".to_owned(), FieldRule::Newest);
        policy.fields.0.insert("phone".to_owned(), "by:-leadscores".parse().unwrap());
        policy.bundles.0.insert("a".to_owned(), vec!["phone".to_owned(), "emails".to_owned()]);
        policy.winner.0.push(WinnerRule::Max("leedScore".to_owned()));
        policy.key.fields = vec!["emial".to_owned(), "somethingElse".to_owned()];
        let found: Vec<String> =
            policy.unknown_fields(&facts).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "`fields` names `Phone`, and this instance has no such field; did you mean `phone`?",
                "`fields` names `leadscores`, and this instance has no such field; did you mean `leadScore`?",
                "`bundles` names `emails`, and this instance has no such field; did you mean `email`?",
                "`winner.order` names `leedScore`, and this instance has no such field; did you mean `leadScore`?",
                "`match.key` names `emial`, and this instance has no such field; did you mean `email`?",
                "`match.key` names `somethingElse`, and this instance has no such field",
            ]
        );
    }
}
