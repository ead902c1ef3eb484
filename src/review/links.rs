//! Where a record is seen in Marketo's screens. The address of the API does not say it, so whoever
//! opens a plan may.

use std::fmt;

use super::card::Card;
use crate::lead::LeadId;

/// Makes the address of a record's page.
pub type LinkTo = Box<dyn Fn(LeadId) -> String + Send + Sync>;

/// How the records of cards are linked, if at all.
#[derive(Default)]
pub(super) struct Links(Option<LinkTo>);

impl Links {
    pub(super) fn by(link_to: LinkTo) -> Self {
        Self(Some(link_to))
    }

    /// The card with a link for each record.
    pub(super) fn on(&self, mut card: Card) -> Card {
        if let Some(link_to) = &self.0 {
            for lead in &mut card.leads {
                lead.link = Some(link_to(lead.id));
            }
        }
        card
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Links").field(&self.0.is_some()).finish()
    }
}
