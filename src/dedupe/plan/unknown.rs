//! Fields that a policy names and the instance does not have.
//!
//! For: a slip of the pen in a rule must not cost a value. Never: corrects one; the nearest name is
//! only shown.

use std::fmt;

use crate::dedupe::did_you_mean::nearest_of;
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::field_rule::{FieldRule, OPT_OUTS};
use crate::dedupe::policy::Policy;
use crate::dedupe::skip_rule::Condition;
use crate::dedupe::winner::WinnerRule;

/// A field that a policy names and the instance does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField {
    /// The key of the configuration that names it.
    pub place: String,
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
        let rules = || self.field_rules();
        let named = rules().map(|(place, field, _)| (place, field));
        let named = named.filter(|(_, field)| !OPT_OUTS.contains(&field.as_str()));
        let others = rules().filter_map(|(place, _, rule)| match rule {
            FieldRule::By { field, .. } => Some((place, field)),
            _ => None,
        });
        let orders = self.winner_orders().flat_map(|(place, order)| {
            order.0.iter().filter_map(move |rule| match rule {
                WinnerRule::Max(field) => Some((place.clone(), field)),
                _ => None,
            })
        });
        let at = |place: &str| {
            let place = place.to_owned();
            move |field| (place.clone(), field)
        };
        let conditions = self.skip_rules.when.iter().flat_map(Condition::fields);
        let named = named.chain(others);
        let named = named.chain(self.bundles.0.values().flatten().map(at("bundles")));
        let named = named.chain(orders);
        let named = named.chain(self.key.fields.iter().map(at("match.key")));
        let named = named.chain(self.skip.differs.iter().map(at("skip.differs")));
        let named = named.chain(conditions.map(at("skip.when")));
        let unknown =
            named.filter(|(_, field)| *field != "id" && !facts.fields.contains_key(*field));
        unknown
            .map(|(place, field)| UnknownField {
                place,
                field: field.clone(),
                nearest: nearest_of(field, facts.fields.keys().map(String::as_str))
                    .map(str::to_owned),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::dedupe::{
        Cause, CauseRules, FieldFacts, FieldRule, Policy, WinnerOrder, WinnerRule,
    };

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
        policy.skip.differs.push("fone".to_owned());
        policy.skip_rules.when.push("leadScor > 5".parse().unwrap());
        let import = CauseRules {
            winner: Some(WinnerOrder(vec![WinnerRule::Max("scorelead".to_owned())])),
            fields: [("PHONE".to_owned(), FieldRule::Newest)].into(),
        };
        policy.causes.insert(Cause::Import, import);
        let found: Vec<String> =
            policy.unknown_fields(&facts).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "`fields` names `Phone`, and this instance has no such field; did you mean `phone`?",
                "`cause.import.fields` names `PHONE`, and this instance has no such field; did you mean `phone`?",
                "`fields` names `leadscores`, and this instance has no such field; did you mean `leadScore`?",
                "`bundles` names `emails`, and this instance has no such field; did you mean `email`?",
                "`winner.order` names `leedScore`, and this instance has no such field; did you mean `leadScore`?",
                "`cause.import.winner.order` names `scorelead`, and this instance has no such field",
                "`match.key` names `emial`, and this instance has no such field; did you mean `email`?",
                "`match.key` names `somethingElse`, and this instance has no such field",
                "`skip.differs` names `fone`, and this instance has no such field; did you mean `phone`?",
                "`skip.when` names `leadScor`, and this instance has no such field; did you mean `leadScore`?",
            ]
        );
    }
}
