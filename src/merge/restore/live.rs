//! A lead as it is now, with its lists and programs.

use super::find::Rows;
use super::{Error, Restore, RestoreClient};
use crate::cancel::unless_stopped;
use crate::lead::{Lead, LeadId};
use crate::merge::programs::status::program_of;

/// A lead with where it is a member.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Live {
    pub(super) lead: Option<Lead>,
    pub(super) lists: Rows,
    pub(super) programs: Rows,
}

impl<M: RestoreClient> Restore<'_, M> {
    /// Reads a lead; one that is missing is asked for once more, since a read can be incomplete.
    pub(super) async fn live(&self, id: LeadId) -> Result<Live, Error> {
        let mut found = self.marketo.leads_by_id(&[id], &self.fields).await?;
        if found.is_empty() {
            found = self.marketo.leads_by_id(&[id], &self.fields).await?;
        }
        let Some(lead) = found.pop() else { return Ok(Live::default()) };
        let lists = self.marketo.list_membership(id).await?;
        let programs = self.marketo.program_membership(id).await?;
        Ok(Live { lead: Some(lead), lists, programs })
    }

    /// The same before anything is sent; none where the run is to stop.
    pub(super) async fn live_unless_stopped(&self, id: LeadId) -> Result<Option<Live>, Error> {
        unless_stopped(&self.settings.stop, self.live(id)).await
    }
}

/// The list or program that a membership is of.
pub(super) fn id_of(row: &serde_json::Map<String, serde_json::Value>) -> Option<u64> {
    program_of(row)
}

/// Its name.
pub(super) fn name_of(row: &serde_json::Map<String, serde_json::Value>) -> String {
    row.get("name").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}
