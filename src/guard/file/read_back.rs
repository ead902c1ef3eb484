//! Reads back what Marketo answered to have written: `updated` is no proof. A field can be blocked
//! against updates, computed, cut to its length, or overwritten by a campaign at once.
//!
//! Never: writes again. Marketo does not take a value the second time that it did not take once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::lines::Written;
use super::result::{LineResult, Status};
use crate::dedupe::FieldFacts;
use crate::lead::{Lead, LeadId};
use crate::marketo::{self, BATCH, Clock, ReadLeads};

/// How often a value is looked for: a read can lag behind a write.
const READS: u32 = 3;

/// Between two looks, in Marketo's time.
const LAG: Duration = Duration::from_secs(2);

/// Tells of each line whose values are not there although Marketo answered that it wrote them.
pub(super) async fn read_back(
    marketo: &impl ReadLeads,
    (facts, clock): (&FieldFacts, Clock),
    stop: &CancellationToken,
    mut written: Written,
    results: &mut [LineResult],
) -> Result<(), marketo::Error> {
    let mut missing = BTreeMap::new();
    for read in 0..READS {
        if written.is_empty() || stop.is_cancelled() {
            return Ok(());
        }
        if read > 0 {
            clock.sleep(LAG).await;
        }
        let live = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            live = live(marketo, &written) => live?,
        };
        missing = written
            .iter()
            .filter_map(|(id, (line, fields))| {
                Some((*line, (*id, not_there(facts, fields, live.get(id))?)))
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

async fn live(
    marketo: &impl ReadLeads,
    written: &Written,
) -> Result<BTreeMap<LeadId, Lead>, marketo::Error> {
    let fields: BTreeSet<String> =
        written.values().flat_map(|(_, fields)| fields.keys().cloned()).collect();
    let fields: Vec<String> = fields.into_iter().collect();
    let ids: Vec<LeadId> = written.keys().copied().collect();
    let mut live = BTreeMap::new();
    for ids in ids.chunks(BATCH) {
        let leads = marketo.leads_by_id(ids, &fields).await?;
        live.extend(leads.into_iter().map(|lead| (lead.id, lead)));
    }
    Ok(live)
}

fn not_there(
    facts: &FieldFacts,
    fields: &Map<String, Value>,
    lead: Option<&Lead>,
) -> Option<String> {
    let Some(lead) = lead else { return Some("the lead is not there".to_owned()) };
    let differs = |(field, wanted): (&String, &Value)| {
        let found = lead.value(field).unwrap_or(&Value::Null);
        (!facts.holds(field, found, wanted))
            .then(|| format!("`{field}` should be {wanted} and is {found}"))
    };
    let differing: Vec<String> = fields.iter().filter_map(differs).collect();
    (!differing.is_empty()).then(|| differing.join("; "))
}
