//! Leads as they are now, read in one look for everything that needs one.
//!
//! Absence is believed when it is seen twice: a read can be incomplete. Never: writes.

use std::collections::{BTreeMap, BTreeSet};

use super::context::{Merge, MergeClient};
use super::error::Error;
use crate::cancel::unless_stopped;
use crate::lead::{Lead, LeadId};
use crate::marketo::{BATCH, Moment};

/// Leads with every readable field, and since when they were so.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// When the first of its calls left.
    pub(super) at: Moment,
    /// The leads that it asked for.
    asked: BTreeSet<LeadId>,
    /// Those of them that were there.
    pub(super) leads: BTreeMap<LeadId, Lead>,
}

impl Look {
    /// Whether it asked for all of these.
    pub(super) fn asked_for(&self, mut ids: impl Iterator<Item = LeadId>) -> bool {
        ids.all(|id| self.asked.contains(&id))
    }
}

impl<M: MergeClient> Merge<'_, M> {
    /// Reads leads, as many at once as Marketo gives in a call.
    pub(super) async fn read(&self, ids: &[LeadId]) -> Result<Look, Error> {
        let mut look = Look { at: Moment::now(), asked: BTreeSet::new(), leads: BTreeMap::new() };
        for ids in ids.chunks(BATCH) {
            let (at, leads) = self.marketo.look(ids, &self.fields).await?;
            look.at = if look.asked.is_empty() { at } else { look.at.earlier(at) };
            look.asked.extend(ids);
            look.leads.extend(leads.into_iter().map(|lead| (lead.id, lead)));
        }
        Ok(look)
    }

    /// The same before anything is sent: a stop ends it at once.
    pub(super) async fn read_unless_stopped(&self, ids: &[LeadId]) -> Result<Option<Look>, Error> {
        unless_stopped(&self.stop, self.read(ids)).await
    }

    /// Reads leads that must all be there. Those that are missing are asked for once more, since a
    /// read can be incomplete.
    pub(super) async fn read_twice_if_missing(&self, ids: &[LeadId]) -> Result<Look, Error> {
        let mut look = self.read(ids).await?;
        let missing: Vec<LeadId> =
            ids.iter().filter(|id| !look.leads.contains_key(id)).copied().collect();
        if !missing.is_empty() {
            look.leads.extend(self.read(&missing).await?.leads);
        }
        Ok(look)
    }

    /// The leads of calls that were sent, to see what became of them; none where the run is to stop
    /// and has no time left.
    pub(super) async fn look(&self, ids: &[LeadId]) -> Result<Option<Look>, Error> {
        let out_of_time = async {
            self.stop.cancelled().await;
            tokio::time::sleep(self.grace()).await;
        };
        tokio::select! {
            biased;
            look = self.read(ids) => look.map(Some),
            () = out_of_time => Ok(None),
        }
    }
    /// The same of leads that may be gone: those that are missing are asked for once more.
    pub(super) async fn look_twice_if_missing(
        &self,
        ids: &[LeadId],
    ) -> Result<Option<Look>, Error> {
        let Some(mut look) = self.look(ids).await? else { return Ok(None) };
        let missing: Vec<LeadId> =
            ids.iter().filter(|id| !look.leads.contains_key(id)).copied().collect();
        if !missing.is_empty() {
            let Some(again) = self.look(&missing).await? else { return Ok(None) };
            look.leads.extend(again.leads);
        }
        Ok(Some(look))
    }
}
