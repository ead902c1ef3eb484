//! Writing and merging: each call leaves once, and what Marketo says of each record is matched by its position.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Body, Call};
use super::envelope::{RawReason, null_as_default};
use super::{
    Accepted, Client, Error, MERGE_LIMIT, MergeLeads, MergeOrder, Permit, Reason, RecordResult, RecordStatus,
    Result, SYNC_LIMIT, SyncAction, SyncLeads, SyncRequest,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncBody<'a> {
    action: SyncAction,
    lookup_field: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_name: Option<&'a str>,
    input: &'a [Map<String, Value>],
}

/// Adobe's definitions name the reasons `reason`, its answers `reasons`.
#[derive(Deserialize)]
struct SyncRow {
    id: Option<Value>,
    status: String,
    #[serde(default, alias = "reason", deserialize_with = "null_as_default")]
    reasons: Vec<RawReason>,
}

impl SyncLeads for Client {
    async fn sync_leads_with(
        &self,
        permit: &impl Permit,
        request: &SyncRequest,
    ) -> Result<Vec<RecordResult>> {
        let body = SyncBody {
            action: request.action,
            lookup_field: &request.lookup_field,
            partition_name: request.partition.as_deref(),
            input: &request.input,
        };
        let body = serde_json::to_vec(&body).map_err(|error| Error::Setup {
            what: format!("the records cannot be written as JSON: {error}"),
        })?;
        let call = Call::post("/rest/v1/leads.json", Body::Json(body), SYNC_LIMIT);
        let mut answer = self.call_with(permit, call).await?;
        let request_id = answer.request_id.clone();
        let rows = answer.read(|row| record_result(row, request_id.as_ref())).unwrap_or_default();
        if rows.len() == request.input.len() {
            return Ok(rows);
        }
        // Without a row for each record nobody knows which of them were written.
        let what =
            format!("the answer does not say what became of each of the {} records", request.input.len());
        Err(answer.unclear(what))
    }
}

impl MergeLeads for Client {
    async fn merge_leads_with(&self, permit: &impl Permit, order: &impl MergeOrder) -> Result<Accepted> {
        let losers: Vec<String> = order.losers().iter().map(ToString::to_string).collect();
        let mut call =
            Call::post(format!("/rest/v1/leads/{}/merge.json", order.winner()), Body::Empty, MERGE_LIMIT)
                .with("leadIds", losers.join(","));
        if order.in_crm() {
            call = call.with("mergeInCRM", "true");
        }
        Ok(Accepted { request_id: self.call_with(permit, call).await?.request_id })
    }
}

fn record_result(row: &Value, request_id: Option<&String>) -> Option<RecordResult> {
    let row: SyncRow = SyncRow::deserialize(row).ok()?;
    let status = match row.status.as_str() {
        "created" => RecordStatus::Created,
        "updated" => RecordStatus::Updated,
        "skipped" => RecordStatus::Skipped,
        _ => return None,
    };
    Some(RecordResult {
        status,
        id: row.id.as_ref().and_then(super::read::number),
        reasons: row.reasons.iter().map(Reason::from).collect(),
        request_id: request_id.cloned(),
    })
}
