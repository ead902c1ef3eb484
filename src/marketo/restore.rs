//! Making lost leads good: one call each, and what Marketo says of its one record.

use hyper::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::call::{Body, Call};
use super::envelope::RawReason;
use super::read::{number, text};
use super::{
    Client, Error, Reason, RecordResult, RestoreLeads, RestoreOrder, Result, STATUS_LIMIT,
    SendGate, StatusResult, SyncAction, SyncLeads as _, SyncRequest,
};
use crate::lead::LeadId;

impl RestoreLeads for Client {
    async fn make_lead_with(
        &self,
        gate: &impl SendGate,
        _order: &impl RestoreOrder,
        values: &Map<String, Value>,
    ) -> Result<RecordResult> {
        // Nothing is looked up, but the call takes a field to look up by all the same.
        let request = SyncRequest::new(SyncAction::CreateDuplicate, "email", vec![values.clone()]);
        let mut results = self.sync_leads_with(gate, &request).await?;
        // The call has checked that there is a row for each record.
        results.pop().ok_or_else(|| Error::Setup { what: "no record was sent".to_owned() })
    }

    async fn set_on_list_with(
        &self,
        gate: &impl SendGate,
        _order: &impl RestoreOrder,
        list: u64,
        lead: LeadId,
        on: bool,
    ) -> Result<StatusResult> {
        let path = format!("/rest/v1/lists/{list}/leads.json");
        let call = Call::post(path, Body::Empty, STATUS_LIMIT).with("id", lead.to_string());
        let call = if on { call } else { Call { method: Method::DELETE, ..call } };
        self.one(gate, call, lead, &["added", "removed"]).await
    }

    async fn leave_program_with(
        &self,
        gate: &impl SendGate,
        _order: &impl RestoreOrder,
        program: u64,
        lead: LeadId,
    ) -> Result<StatusResult> {
        let path = format!("/rest/v1/programs/{program}/members/delete.json");
        let call = posted(path, &json!({"input": [{"leadId": lead}]}))?;
        self.one(gate, call, lead, &["deleted"]).await
    }

    async fn set_member_fields_with(
        &self,
        gate: &impl SendGate,
        _order: &impl RestoreOrder,
        program: u64,
        lead: LeadId,
        fields: &Map<String, Value>,
    ) -> Result<StatusResult> {
        let path = format!("/rest/v1/programs/{program}/members.json");
        let mut record = fields.clone();
        record.insert("leadId".to_owned(), json!(lead));
        let call = posted(path, &json!({"input": [record]}))?;
        self.one(gate, call, lead, &["updated", "created"]).await
    }

    async fn move_to_partition_with(
        &self,
        gate: &impl SendGate,
        _order: &impl RestoreOrder,
        lead: LeadId,
        partition: &str,
    ) -> Result<StatusResult> {
        let body = json!({"input": [{"id": lead, "partitionName": partition}]});
        let call = posted("/rest/v1/leads/partitions.json".to_owned(), &body)?;
        self.one(gate, call, lead, &["updated"]).await
    }

    async fn partitions(&self) -> Result<Vec<(u64, String)>> {
        let call = Call::get("/rest/v1/leads/partitions.json").needing_result();
        self.call(call).await?.read(|row| Some((number(row.get("id")?)?, text(row, "name"))))
    }
}

impl Client {
    /// Makes a call about one lead, and gives what became of it.
    async fn one(
        &self,
        gate: &impl SendGate,
        call: Call,
        lead: LeadId,
        done: &[&str],
    ) -> Result<StatusResult> {
        let mut answer = self.call_with(gate, call).await?;
        let row = |row: &Value| {
            let named = row.get("leadId").or_else(|| row.get("id")).and_then(number);
            let status = row.get("status").and_then(Value::as_str)?;
            let set = match status {
                "skipped" => false,
                status if done.contains(&status) => true,
                _ => return None,
            };
            named.is_none_or(|named| named == lead).then(|| StatusResult {
                lead,
                set,
                reasons: reasons(row),
            })
        };
        let mut rows = answer.read(row).unwrap_or_default();
        match (rows.pop(), rows.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(answer.unclear(format!("the answer does not say what became of lead {lead}"))),
        }
    }
}

/// Adobe's definitions name the reasons `reason`, its answers `reasons`.
pub(super) fn reasons(row: &Value) -> Vec<Reason> {
    let given = row.get("reasons").or_else(|| row.get("reason"));
    let raw: Vec<RawReason> =
        given.and_then(|given| serde_json::from_value(given.clone()).ok()).unwrap_or_default();
    raw.iter().map(Reason::from).collect()
}

fn posted(path: String, body: &impl Serialize) -> Result<Call> {
    let body = serde_json::to_vec(body).map_err(|error| Error::Setup {
        what: format!("the record cannot be written as JSON: {error}"),
    })?;
    Ok(Call::post(path, Body::Json(body), STATUS_LIMIT))
}
