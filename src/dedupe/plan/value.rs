//! Which value a rule keeps, among the leads of a group.

use crate::dedupe::field_rule::{Chosen, FieldRule};
use crate::dedupe::policy::Policy;
use crate::lead::Lead;

/// Chooses among the values of a field; the winner comes first, then the losers in the plan's
/// order. An error is why the rule fits the values not.
pub(super) fn choose(
    rule: &FieldRule,
    field: &str,
    in_order: &[&Lead],
    policy: &Policy,
) -> Result<Chosen, String> {
    let chosen = match (rule, in_order) {
        (FieldRule::NextBest, [winner, losers @ ..]) => {
            let mut losers = losers.to_vec();
            losers.sort_by(|a, b| policy.winner.compare(a, b));
            let by_rank: Vec<&Lead> = std::iter::once(*winner).chain(losers).collect();
            rule.choose(field, &by_rank)
        }
        _ => rule.choose(field, in_order),
    };
    chosen.map_err(|unfit| unfit.to_string())
}
