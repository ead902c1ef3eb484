//! The groups of the cache that the flags ask for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use crate::cache::{Cache, Groups};
use crate::cli::{Failure, Ui};
use crate::dedupe::{Group, Key, Policy, explain};
use crate::lead::LeadId;
use crate::merge::Candidate;
use crate::report::Filter;
use crate::terminal::counted_of;

/// What the flags ask for.
#[derive(Default)]
pub(in crate::cli) struct Chosen {
    /// The groups, the largest first, then by key, as a report shows them.
    pub(in crate::cli) candidates: Vec<Candidate>,
    /// The addresses of the filter that have a group.
    pub(in crate::cli) found: BTreeSet<String>,
    /// The ids of `winner.ids_file` that are in any group of the cache.
    pub(in crate::cli) named: BTreeSet<LeadId>,
}

impl Chosen {
    /// Counts the ids of `winner.ids_file` that are in no group, into the policy too, and says how
    /// many there are.
    pub(in crate::cli) fn tell_named(&self, ui: &mut Ui, policy: &mut Policy) {
        let Some(file) = &mut policy.winner_ids else { return };
        let unmatched = file.entries.saturating_sub(self.named.len());
        file.in_no_group = Some(unmatched);
        if unmatched > 0 {
            let (path, all) = (&file.path, counted_of(file.entries, "id"));
            ui.note(&format!(
                "note: `winner.ids_file` {path} has {all}, of which {unmatched} are in no group of duplicates"
            ));
        }
    }
}

/// Chooses the groups among all of the cache. A stop is an error: what was chosen by then is not
/// what was asked for, and nothing at all would read as if there were no duplicates.
pub(in crate::cli) fn candidates(
    cache: &Cache,
    filter: &Filter,
    policy: &Policy,
    stop: &CancellationToken,
) -> Result<Chosen, Failure> {
    let mut chosen = Chosen::default();
    cache.for_each_group(Groups::All, |key, leads, births| {
        if stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        let Some(key) = Key::stored(key.to_owned()) else { return ControlFlow::Continue(()) };
        let group = Group::new(key, leads).with_births(births);
        if let Some(emails) = &filter.emails {
            chosen.found.extend(emails.found_in(&group).map(str::to_owned));
        }
        chosen.named.extend(policy.named_among(&group.leads));
        if filter.passes(&group) {
            let cause = explain(&group.leads, &group.births).cause;
            if filter.cause.is_none_or(|asked| asked == cause) {
                let known = filter.known(cause);
                let leads = group.leads.iter().map(|lead| lead.id).collect();
                chosen.candidates.push(Candidate { key: group.key, leads, known });
            }
        }
        ControlFlow::Continue(())
    })?;
    if stop.is_cancelled() {
        return Err(Failure::Stopped);
    }
    let largest = |a: &Candidate, b: &Candidate| b.leads.len().cmp(&a.leads.len());
    chosen.candidates.sort_by(|a, b| largest(a, b).then_with(|| a.key.cmp(&b.key)));
    Ok(chosen)
}
