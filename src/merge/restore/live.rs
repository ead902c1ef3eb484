//! A lead as it is now, with its lists and programs.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::find::Rows;
use super::{Error, Restore, RestoreClient};
use crate::cancel::unless_stopped;
use crate::lead::{Lead, LeadId};
use crate::merge::member_fields;
use crate::merge::member_fields::program_of;

/// A lead with where it is a member.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Live {
    pub(super) lead: Option<Lead>,
    pub(super) lists: Rows,
    pub(super) programs: Rows,
}

impl<M: RestoreClient> Restore<'_, M> {
    /// Reads a lead; one that is missing is asked for once more, since a read can be incomplete. Of
    /// these programs the fields of the member are read too, a call each.
    pub(super) async fn live(&self, id: LeadId, own: &BTreeSet<u64>) -> Result<Live, Error> {
        let Some(lead) = self.lead(id).await? else { return Ok(Live::default()) };
        let lists = self.marketo.list_membership(id).await?;
        let mut programs = self.marketo.program_membership(id).await?;
        let is_asked = |row: &&mut Map<String, Value>| {
            id_of(row).is_some_and(|program| own.contains(&program))
        };
        let asked = programs.iter_mut().filter(is_asked).map(|row| (id, row));
        member_fields::add_to(self.marketo, &self.member_fields, asked).await?;
        Ok(Live { lead: Some(lead), lists, programs })
    }

    /// The lead alone; none where two looks do not show it.
    pub(super) async fn lead(&self, id: LeadId) -> Result<Option<Lead>, Error> {
        let mut found = self.marketo.leads_by_id(&[id], &self.fields).await?;
        if found.is_empty() {
            found = self.marketo.leads_by_id(&[id], &self.fields).await?;
        }
        Ok(found.pop())
    }

    /// The same before anything is sent; none where the run is to stop.
    pub(super) async fn live_unless_stopped(
        &self,
        id: LeadId,
        own: &BTreeSet<u64>,
    ) -> Result<Option<Live>, Error> {
        unless_stopped(&self.settings.stop, self.live(id, own)).await
    }
}

/// The list or program that a membership is of.
pub(super) fn id_of(row: &Map<String, Value>) -> Option<u64> {
    program_of(row)
}

/// Its name.
pub(super) fn name_of(row: &Map<String, Value>) -> String {
    row.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}
