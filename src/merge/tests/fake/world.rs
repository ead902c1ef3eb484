//! What the world of the fake holds after a write, and what a read shows of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Breaks, World};
use crate::lead::{Lead, LeadId};
use crate::marketo::{Reason, RecordResult, RecordStatus, SyncRequest};

impl World {
    pub(super) fn write(&mut self, request: &SyncRequest) -> Vec<RecordResult> {
        let blocked = self.is_broken(Breaks::OptOuts);
        if self.lag > 0 {
            self.stale = Some((self.lag, self.leads.clone()));
        }
        self.before_write = self.leads.clone();
        let mut results = Vec::new();
        for record in &request.input {
            let id = record.get("id").and_then(Value::as_u64).expect("written by id");
            let skipped = self.skips.get(&id).copied();
            let lead = self.leads.get_mut(&id).filter(|_| skipped.is_none());
            let status = if lead.is_some() { RecordStatus::Updated } else { RecordStatus::Skipped };
            if let Some(lead) = lead {
                let takes = |field: &String| {
                    field != "id"
                        && !(blocked && field == "unsubscribed")
                        && !self.blocked.contains(field)
                };
                for (field, value) in record.iter().filter(|(field, _)| takes(field)) {
                    lead.set(field, value.clone());
                }
            }
            self.leads.extend(self.meddling.take().map(|lead| (lead.id, lead)));
            let reason = |code: &str| Reason { code: code.to_owned(), message: "no".to_owned() };
            let reasons = skipped.map(reason).into_iter().collect();
            results.push(RecordResult { status, id: Some(id), reasons, request_id: None });
        }
        results
    }

    /// Leads as a read shows them.
    pub(super) fn shown(&mut self) -> BTreeMap<LeadId, Lead> {
        let mut leads = match &mut self.stale {
            Some((left, leads)) if *left > 0 => {
                *left -= 1;
                leads.clone()
            }
            _ => self.leads.clone(),
        };
        for hidden in std::mem::take(&mut self.hides) {
            leads.remove(&hidden);
        }
        leads
    }
}
