//! The leads that an external system of record names as those to keep: the rule `ids`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::lead::{Lead, LeadId};

/// Ids that are told from outside. A plan keeps those of each group with the group, and not all of
/// them with the rule.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NamedIds(Option<Arc<BTreeSet<LeadId>>>);

impl NamedIds {
    /// None yet.
    pub(super) const NONE: Self = Self(None);

    /// These ids.
    pub fn of(ids: BTreeSet<LeadId>) -> Self {
        Self(Some(Arc::new(ids)))
    }

    /// Whether this lead is named.
    pub fn has(&self, lead: LeadId) -> bool {
        self.0.as_ref().is_some_and(|ids| ids.contains(&lead))
    }

    /// Those of the leads that are named.
    pub(super) fn among<'l>(
        &self,
        leads: &'l [Lead],
    ) -> impl Iterator<Item = LeadId> + use<'_, 'l> {
        leads.iter().map(|lead| lead.id).filter(|id| self.has(*id))
    }
}

impl fmt::Debug for NamedIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ids", self.0.as_ref().map_or(0, |ids| ids.len()))
    }
}
