//! The groups of a cache as a merge takes them.

use std::ops::ControlFlow;

use super::planning::Candidate;
use crate::cache::{self, Cache, Groups};
use crate::dedupe::{Group, Key, Known, explain};

/// Every group of the cache, the largest first, then by key.
pub fn candidates(cache: &Cache) -> Result<Vec<Candidate>, cache::Error> {
    let mut candidates = Vec::new();
    cache.for_each_group(Groups::All, |key, leads, births| {
        if let Some(key) = Key::stored(key.to_owned()) {
            let group = Group::new(key, leads).with_births(births);
            let known = Known {
                cause: Some(explain(&group.leads, &group.births).cause),
                ..Known::default()
            };
            let leads = group.leads.iter().map(|lead| lead.id).collect();
            candidates.push(Candidate { key: group.key, leads, known });
        }
        ControlFlow::Continue(())
    })?;
    candidates.sort_by(|a, b| b.leads.len().cmp(&a.leads.len()).then_with(|| a.key.cmp(&b.key)));
    Ok(candidates)
}
