//! Leads whose merges Marketo refuses, with the code and the words: as a test ordered it, or by a
//! share of all leads.

use std::collections::HashMap;

use crate::answer::{Refused, refused};

/// What such merges are refused with, by Adobe's table of error codes.
const REFUSALS: &[(&str, &str)] = &[
    ("712", "Merging Person Accounts is not supported"),
    ("714", "Default record type not found in Salesforce"),
    ("1076", "Merging leads failed: a duplicate rule of Salesforce forbids it"),
    ("1077", "Merging leads failed: a value is too long for its Salesforce field"),
    ("1078", "Merging leads failed: the entity is deleted in Salesforce"),
    ("1079", "Merging leads failed: leads share a Personalized URL"),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Refusals {
    ordered: HashMap<u64, Refused>,
    share: f64,
    seed: u64,
}

impl Refusals {
    pub(crate) fn new(seed: u64, share: f64) -> Self {
        Self { ordered: HashMap::new(), share, seed }
    }

    /// From now on every merge that touches this lead is refused so.
    pub(crate) fn order(&mut self, lead: u64, code: &str, message: &str) {
        self.ordered.insert(lead, refused(code.to_owned(), message));
    }

    /// The refusal of a merge of these leads.
    pub(super) fn of(&self, mut leads: impl Iterator<Item = u64>) -> Option<Refused> {
        leads.find_map(|lead| self.ordered.get(&lead).cloned().or_else(|| self.drawn(lead)))
    }

    /// A lead's fate depends on the seed and its id alone.
    fn drawn(&self, lead: u64) -> Option<Refused> {
        let bits = mixed(self.seed ^ mixed(lead));
        #[expect(clippy::cast_precision_loss, reason = "a 32-bit number fits")]
        let drawn = (bits >> 32) as f64 / f64::from(u32::MAX);
        if drawn >= self.share {
            return None;
        }
        let place = usize::try_from(bits % REFUSALS.len() as u64).ok()?;
        REFUSALS.get(place).map(|(code, message)| refused(*code, *message))
    }
}

/// The output function of `SplitMix64`.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Refusals;

    #[test]
    fn the_share_of_leads_whose_merges_are_refused_is_about_what_was_asked_for_and_the_same_each_time()
     {
        let refused = |share| {
            let refusals = Refusals::new(7, share);
            (1..=10_000).filter(|lead| refusals.of(std::iter::once(*lead)).is_some()).count()
        };
        assert_eq!(refused(0.0), 0);
        assert!((900..1_100).contains(&refused(0.1)), "{}", refused(0.1));
        assert_eq!(refused(0.1), refused(0.1));
    }
}
