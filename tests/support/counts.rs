//! What a sandbox holds and what arrived there, counted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::instance::Instance;

/// How many living leads have this email.
pub fn leads_with(instance: &Instance, email: &str) -> usize {
    let has = |lead: &mkto_sandbox::LeadView| {
        lead.fields
            .get("email")
            .and_then(Value::as_str)
            .is_some_and(|held| held.eq_ignore_ascii_case(email))
    };
    instance.sandbox.leads().iter().filter(|lead| has(lead)).count()
}

/// Calls of Sync Leads that arrived.
pub fn writes(instance: &Instance) -> u64 {
    instance.sandbox.calls().get("POST /rest/v1/leads").copied().unwrap_or(0)
}

/// Emails that several living leads have.
pub fn duplicates(instance: &Instance) -> Vec<String> {
    let mut leads: BTreeMap<String, usize> = BTreeMap::new();
    for lead in instance.sandbox.leads() {
        let email =
            lead.fields.get("email").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        *leads.entry(email).or_default() += 1;
    }
    leads.into_iter().filter(|(_, count)| *count > 1).map(|(email, _)| email).collect()
}
