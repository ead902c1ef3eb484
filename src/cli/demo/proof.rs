//! What is known of the demo's people, counted in the sandbox past the API, before the merge and
//! after it.

use std::collections::{BTreeMap, BTreeSet};

use mkto_sandbox::Sandbox;
use serde_json::Value;

use super::people::is_raced;

/// Fields that a merge has no say in, and those that differ from lead to lead by nature.
const NOT_COUNTED: &[&str] =
    &["id", "email", "createdAt", "updatedAt", "isLead", "leadPartitionId"];

/// What is known, by person.
pub(super) struct Known {
    people: BTreeMap<String, Person>,
}

#[derive(Default)]
struct Person {
    leads: usize,
    fields: BTreeSet<String>,
    lists: BTreeSet<u64>,
    programs: BTreeSet<u64>,
    opted_out: bool,
}

impl Known {
    /// Counts now.
    pub(super) fn of(sandbox: &Sandbox) -> Self {
        let mut people: BTreeMap<String, Person> = BTreeMap::new();
        for lead in sandbox.leads() {
            let email = lead.fields.get("email");
            if !is_raced(email) {
                continue;
            }
            let key = email.and_then(Value::as_str).unwrap_or_default().to_lowercase();
            let person = people.entry(key).or_default();
            person.leads += 1;
            person.opted_out |= lead.fields.get("unsubscribed") == Some(&Value::Bool(true));
            let has_value = |(name, value): (&String, &Value)| {
                let counts = !NOT_COUNTED.contains(&name.as_str()) && *value != Value::Bool(false);
                counts.then(|| name.clone())
            };
            person.fields.extend(lead.fields.iter().filter_map(has_value));
            person.lists.extend(&lead.lists);
            person.programs.extend(lead.programs.keys());
        }
        Self { people }
    }

    /// What came of it all, in words; or what was lost.
    pub(super) fn compared_with(&self, after: &Self) -> Result<String, String> {
        let nobody = Person::default();
        let (mut lost, mut kept) = (Vec::new(), [0_usize; 4]);
        for (email, before) in &self.people {
            let now = after.people.get(email).unwrap_or(&nobody);
            if now.leads != 1 {
                lost.push(format!("{email} is {} records", now.leads));
            }
            lost.extend(
                before.fields.difference(&now.fields).map(|field| format!("{field} of {email}")),
            );
            lost.extend(
                before.lists.difference(&now.lists).map(|list| format!("list {list} of {email}")),
            );
            lost.extend(
                before
                    .programs
                    .difference(&now.programs)
                    .map(|program| format!("program {program} of {email}")),
            );
            if before.opted_out && !now.opted_out {
                lost.push(format!("the opt-out of {email}"));
            }
            let counts = [
                before.fields.len(),
                before.lists.len(),
                before.programs.len(),
                usize::from(before.opted_out),
            ];
            for (sum, count) in kept.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        if !lost.is_empty() {
            return Err(lost.join("; "));
        }
        let [fields, lists, programs, opt_outs] = kept;
        Ok(format!(
            "Counted in Marketo itself: {} people are {} records again. All {fields} filled fields, {lists} list and \
             {programs} program memberships and {opt_outs} opt-outs that any of their records had are on the record that \
             stayed. Nothing was lost.",
            self.people.len(),
            after.people.len(),
        ))
    }
}
