//! Reads back what Marketo answered to have written: `updated` is no proof. A field can be blocked
//! against updates, computed, cut to its length, or overwritten by a campaign at once.
//!
//! Never: writes again; a value that Marketo does not take once it does not take twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Guard, LineResult, Status};
use crate::guard::lease::Leases;
use crate::lead::{Lead, LeadId};
use crate::marketo::{self, BATCH, ReadLeads, SyncLeads};

/// How often a value is looked for: a read can lag behind a write.
const READS: u32 = 3;

/// Between two looks, in Marketo's time.
const LAG: Duration = Duration::from_secs(2);

/// The last values that were written to each lead, and for which line.
pub(super) type Written = BTreeMap<LeadId, (u64, Map<String, Value>)>;

impl<M: ReadLeads + SyncLeads, L: Leases> Guard<'_, M, L> {
    /// Tells of each line whose values are not there although Marketo answered that it wrote them.
    pub(super) async fn read_back(
        &self,
        mut written: Written,
        results: &mut [LineResult],
    ) -> Result<(), marketo::Error> {
        let mut missing = BTreeMap::new();
        for read in 0..READS {
            if written.is_empty() || self.settings.stop.is_cancelled() {
                return Ok(());
            }
            if read > 0 {
                self.settings.clock.sleep(LAG).await;
            }
            let live = self.live(&written).await?;
            missing = written
                .iter()
                .filter_map(|(id, (line, fields))| {
                    Some((*line, (*id, self.not_there(fields, live.get(id))?)))
                })
                .collect::<BTreeMap<u64, (LeadId, String)>>();
            written.retain(|_, (line, _)| missing.contains_key(line));
        }
        for result in results {
            if let Some((id, what)) = missing.remove(&result.line) {
                let answered = result.status.as_str();
                result.status = Status::Failed;
                result.id = Some(id);
                result.reason = Some(format!(
                    "Marketo answered `{answered}`, and reading lead {id} back shows otherwise: {what}"
                ));
            }
        }
        Ok(())
    }

    async fn live(&self, written: &Written) -> Result<BTreeMap<LeadId, Lead>, marketo::Error> {
        let fields: BTreeSet<String> =
            written.values().flat_map(|(_, fields)| fields.keys().cloned()).collect();
        let fields: Vec<String> = fields.into_iter().collect();
        let ids: Vec<LeadId> = written.keys().copied().collect();
        let mut live = BTreeMap::new();
        for ids in ids.chunks(BATCH) {
            let leads = self.marketo.leads_by_id(ids, &fields).await?;
            live.extend(leads.into_iter().map(|lead| (lead.id, lead)));
        }
        Ok(live)
    }

    fn not_there(&self, fields: &Map<String, Value>, lead: Option<&Lead>) -> Option<String> {
        let Some(lead) = lead else { return Some("the lead is not there".to_owned()) };
        let facts = &self.settings.facts;
        let differs = |(field, wanted): (&String, &Value)| {
            let found = lead.value(field).unwrap_or(&Value::Null);
            (!facts.holds(field, found, wanted))
                .then(|| format!("`{field}` should be {wanted} and is {found}"))
        };
        let differing: Vec<String> = fields.iter().filter_map(differs).collect();
        (!differing.is_empty()).then(|| differing.join("; "))
    }
}
