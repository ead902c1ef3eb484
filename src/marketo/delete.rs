//! Deleting leads, which only test people ever are.

use serde_json::{Value, json};

use super::call::{Body, Call};
use super::read::number;
use super::restore::reasons;
use super::{
    Client, DeleteLeads, DeleteOrder, Error, Result, STATUS_LIMIT, SendGate, StatusResult,
};
use crate::lead::LeadId;

impl DeleteLeads for Client {
    async fn delete_leads_with(
        &self,
        gate: &impl SendGate,
        order: &impl DeleteOrder,
    ) -> Result<Vec<StatusResult>> {
        let input: Vec<Value> = order.leads().iter().map(|lead| json!({"id": lead})).collect();
        let body = serde_json::to_vec(&json!({"input": input})).map_err(|error| Error::Setup {
            what: format!("the leads cannot be written as JSON: {error}"),
        })?;
        let path = "/rest/v1/leads/delete.json";
        let mut answer =
            self.call_with(gate, Call::post(path, Body::Json(body), STATUS_LIMIT)).await?;
        let rows = answer.read(deleted).unwrap_or_default();
        let fits = rows.len() == order.leads().len()
            && rows.iter().zip(order.leads()).all(|(row, lead)| row.lead == *lead);
        if fits {
            return Ok(rows);
        }
        let count = order.leads().len();
        let what = format!("the answer does not say what became of each of the {count} leads");
        Err(answer.unclear(what))
    }
}

fn deleted(row: &Value) -> Option<StatusResult> {
    let lead: LeadId = row.get("id").and_then(number)?;
    let set = match row.get("status").and_then(Value::as_str)? {
        "deleted" => true,
        "skipped" => false,
        _ => return None,
    };
    Some(StatusResult { lead, set, reasons: reasons(row) })
}
