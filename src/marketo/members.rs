//! The fields that programs keep of their members, beside status and success. All of it may be
//! asked again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::call::Call;
use super::read::{FILTER_LIMIT, members, number, text};
use super::{BATCH, Client, ReadMemberFields, Result};
use crate::lead::LeadId;

impl ReadMemberFields for Client {
    async fn member_fields(&self) -> Result<Vec<String>> {
        let call = Call::get("/rest/v1/programs/members/describe.json").needing_result();
        let described = self.pages(call, |row| Some(writeable(row))).await?;
        Ok(described.concat())
    }

    async fn member_values(
        &self,
        program: u64,
        leads: &[LeadId],
        fields: &[String],
    ) -> Result<BTreeMap<LeadId, Map<String, Value>>> {
        let mut found = BTreeMap::new();
        for chunk in leads.chunks(BATCH) {
            let ids: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            let call = Call::get(format!("/rest/v1/programs/{program}/members.json"))
                .with("filterType", "leadId")
                .with("filterValues", ids.join(","))
                .with("fields", format!("leadId,{}", fields.join(",")))
                .with("batchSize", BATCH.to_string())
                .within(FILTER_LIMIT)
                .needing_result();
            for mut row in self.pages(call, members).await? {
                let Some(lead) = row.get("leadId").and_then(number) else { continue };
                row.retain(|name, _| fields.contains(name));
                found.insert(lead, row);
            }
        }
        Ok(found)
    }
}

/// The fields that a caller may write. The CRM's own come from the CRM again.
fn writeable(row: &Value) -> Vec<String> {
    let is = |field: &Value, what: &str| field.get(what).and_then(Value::as_bool) == Some(true);
    let fields = row.get("fields").and_then(Value::as_array).into_iter().flatten();
    fields
        .filter(|field| is(field, "updateable") && !is(field, "crmManaged"))
        .map(|field| text(field, "name"))
        .filter(|name| !name.is_empty() && !name.contains(','))
        .collect()
}
