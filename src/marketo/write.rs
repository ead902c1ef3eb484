//! Writing and merging: each call leaves once, and what Marketo says of each record is matched by
//! its position.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Body, Call};
use super::envelope::{RawReason, null_as_default};
use super::{
    Accepted, Client, Error, MERGE_LIMIT, MergeLeads, MergeOrder, Reason, RecordResult,
    RecordStatus, Result, STATUS_LIMIT, SYNC_LIMIT, SendGate, SetProgramStatus, StatusResult,
    SyncAction, SyncLeads, SyncRequest,
};
use crate::lead::LeadId;

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
        gate: &impl SendGate,
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
        let mut answer = self.call_with(gate, call).await?;
        let request_id = answer.request_id.clone();
        let rows = answer.read(|row| record_result(row, request_id.as_ref())).unwrap_or_default();
        if rows.len() == request.input.len() {
            return Ok(rows);
        }
        // Without a row for each record nobody knows which of them were written.
        let what = format!(
            "the answer does not say what became of each of the {} records",
            request.input.len()
        );
        Err(answer.unclear(what))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusBody<'a> {
    status_name: &'a str,
    input: Vec<StatusRecord>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusRecord {
    lead_id: LeadId,
}

impl SetProgramStatus for Client {
    async fn set_program_status_with(
        &self,
        gate: &impl SendGate,
        program: u64,
        status: &str,
        leads: &[LeadId],
    ) -> Result<Vec<StatusResult>> {
        let input = leads.iter().map(|lead| StatusRecord { lead_id: *lead }).collect();
        let body =
            serde_json::to_vec(&StatusBody { status_name: status, input }).map_err(|error| {
                Error::Setup { what: format!("the members cannot be written as JSON: {error}") }
            })?;
        let path = format!("/rest/v1/programs/{program}/members/status.json");
        let mut answer =
            self.call_with(gate, Call::post(path, Body::Json(body), STATUS_LIMIT)).await?;
        let rows = answer.read(status_result).unwrap_or_default();
        // Results come in the order of the input; one that names another lead there tells nothing
        // of either.
        let matches = |(asked, (named, _, _)): (&LeadId, &StatusRow)| {
            named.is_none_or(|named| named == *asked)
        };
        if rows.len() != leads.len() || !leads.iter().zip(&rows).all(matches) {
            let what = format!(
                "the answer does not say what became of each of the {} members",
                leads.len()
            );
            return Err(answer.unclear(what));
        }
        let result = |(lead, (_, set, reasons)): (&LeadId, StatusRow)| StatusResult {
            lead: *lead,
            set,
            reasons,
        };
        Ok(leads.iter().zip(rows).map(result).collect())
    }
}

type StatusRow = (Option<LeadId>, bool, Vec<Reason>);

fn status_result(row: &Value) -> Option<StatusRow> {
    let lead = row.get("leadId").and_then(super::read::number);
    let row: SyncRow = SyncRow::deserialize(row).ok()?;
    let set = match row.status.as_str() {
        "updated" | "created" => true,
        "skipped" => false,
        _ => return None,
    };
    Some((lead, set, row.reasons.iter().map(Reason::from).collect()))
}

impl MergeLeads for Client {
    async fn merge_leads_with(
        &self,
        gate: &impl SendGate,
        order: &impl MergeOrder,
    ) -> Result<Accepted> {
        let losers: Vec<String> = order.losers().iter().map(ToString::to_string).collect();
        let mut call = Call::post(
            format!("/rest/v1/leads/{}/merge.json", order.winner()),
            Body::Empty,
            MERGE_LIMIT,
        )
        .with("leadIds", losers.join(","));
        if order.in_crm() {
            call = call.with("mergeInCRM", "true");
        }
        Ok(Accepted { request_id: self.call_with(gate, call).await?.request_id })
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
