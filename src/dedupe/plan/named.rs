//! Groups that are merged only when somebody names them: large ones, and those that were made on
//! purpose.
//!
//! Never: part of the re-check. A plan holds such a group only where it was named, and leads that
//! come later are no part of the planned group.

use super::decide::{members, plan_group};
use super::model::{LeftOut, PlannedGroup};
use super::objection::{Known, Objection};
use crate::dedupe::facts::FieldFacts;
use crate::dedupe::key::Key;
use crate::dedupe::policy::Policy;
use crate::lead::{Lead, LeadId};

/// Decides what is to be done with a group, as [`plan_group`] does, by the rules of its cause, and
/// leaves it alone where it would have to be named.
pub fn plan_candidate(
    key: &Key,
    leads: &[Lead],
    known: Known,
    policy: &Policy,
    facts: &FieldFacts,
) -> Result<PlannedGroup, LeftOut> {
    let policy = &policy.for_cause(known.cause);
    let members = members(key, leads, policy);
    // Before the rules of fields are tried, so that a report, which does not know all fields, gives
    // the same reason.
    if members.len() > 1
        && let Some(objection) = Objection::to(&members, known, policy)
    {
        let leads: Vec<LeadId> = members.iter().map(|lead| lead.id).collect();
        return Err(LeftOut { key: key.clone(), leads, reason: objection.words });
    }
    let group = plan_group(key, leads, policy, facts)?;
    Ok(PlannedGroup { cause: known.cause, ..group })
}

#[cfg(test)]
mod tests {
    use super::{Known, plan_candidate};
    use crate::dedupe::{Cause, FieldFacts, Key, Policy};
    use crate::lead::Lead;

    fn reason(size: u64, known: Known, policy: &Policy) -> Option<String> {
        let leads: Vec<Lead> =
            (1..=size).map(|id| Lead::new(id).with("email", "ada@example.com")).collect();
        let key = Key::of("ada@example.com").unwrap();
        let facts = FieldFacts::of_writeable(["email"]);
        plan_candidate(&key, &leads, known, policy, &facts).err().map(|left_out| left_out.reason)
    }

    #[test]
    fn a_large_group_is_merged_when_it_is_named_or_the_limit_is_higher() {
        let (plain, unnamed) = (Policy::default(), Known::default());
        assert_eq!(reason(10, unnamed, &plain), None);
        let why = reason(11, unnamed, &plain).unwrap();
        assert!(
            ["11 records", "--email", "`skip.above`"].iter().all(|words| why.contains(words)),
            "{why}"
        );
        assert_eq!(reason(11, Known { named: true, ..unnamed }, &plain), None);
        let mut higher = plain;
        higher.skip.above = 11;
        assert_eq!(reason(11, unnamed, &higher), None);
    }

    #[test]
    fn a_group_that_was_made_on_purpose_is_merged_when_it_or_its_cause_is_named() {
        let plain = Policy::default();
        let deliberate = Known { cause: Some(Cause::CreateDuplicate), named: false };
        let why = reason(2, deliberate, &plain).unwrap();
        assert!(why.contains("--cause create_duplicate") && why.contains("--email"), "{why}");
        assert_eq!(reason(2, Known { named: true, ..deliberate }, &plain), None);
        let asked = Policy { include_deliberate: true, ..plain };
        assert_eq!(reason(2, deliberate, &asked), None);
        assert!(reason(11, deliberate, &asked).is_some(), "its size is another matter");
        for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::CreateDuplicate) {
            assert_eq!(
                reason(2, Known { cause: Some(cause), named: false }, &Policy::default()),
                None
            );
        }
    }
}
