//! Whether rows of custom objects hang on merged leads now, for whoever asks about a run.
//!
//! Never: moves one, or keeps what was seen; a run does both.

use std::collections::BTreeSet;

use crate::lead::LeadId;
use crate::ledger::{Ledger, RunId};
use crate::marketo::{ReadCustomObjects, ReadLeads};
use crate::merge::custom_objects::{Hanging, Relations};
use crate::merge::error::Error;
use crate::merge::witness::LookError;

/// The merged leads of a run on which rows hang that are linked by a lead's id, and why some could
/// not be asked for.
pub(crate) async fn rows_hanging(
    marketo: &(impl ReadCustomObjects + ReadLeads),
    ledger: &Ledger,
    run: RunId,
) -> Result<(BTreeSet<LeadId>, BTreeSet<String>), LookError> {
    let merged = ledger.merged_leads().map_err(Error::from)?;
    let leads: BTreeSet<LeadId> =
        merged.iter().filter(|merged| merged.run == Some(run)).map(|merged| merged.loser).collect();
    let leads: Vec<LeadId> = leads.into_iter().collect();
    let schema = marketo.describe().await.map_err(LookError::Marketo)?;
    let looked = Relations::new(schema).hanging_on(marketo, &leads).await;
    let Hanging { on, unreadable } = looked.map_err(LookError::Marketo)?.unwrap_or_default();
    Ok((on, unreadable))
}
