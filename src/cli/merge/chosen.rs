//! The groups of the cache that the flags ask for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use crate::cache::{Cache, Groups};
use crate::cli::Failure;
use crate::dedupe::{Group, Key, explain};
use crate::merge::Candidate;
use crate::report::Filter;

/// These groups, the largest first, then by key, as a report shows them; and the addresses of the filter that have a group.
pub(in crate::cli) fn candidates(
    cache: &Cache,
    filter: &Filter,
    stop: &CancellationToken,
) -> Result<(Vec<Candidate>, BTreeSet<String>), Failure> {
    let (mut candidates, mut found) = (Vec::new(), BTreeSet::new());
    cache.for_each_group(Groups::All, |key, leads, births| {
        // What is planned of them then is nothing.
        if stop.is_cancelled() {
            return ControlFlow::Break(());
        }
        let Some(key) = Key::stored(key.to_owned()) else { return ControlFlow::Continue(()) };
        let group = Group::new(key, leads).with_births(births);
        if let Some(emails) = &filter.emails {
            found.extend(emails.found_in(&group).map(str::to_owned));
        }
        if filter.passes(&group) {
            let cause = explain(&group.leads, &group.births).cause;
            if filter.cause.is_none_or(|asked| asked == cause) {
                let known = filter.known(cause);
                let leads = group.leads.iter().map(|lead| lead.id).collect();
                candidates.push(Candidate { key: group.key, leads, known });
            }
        }
        ControlFlow::Continue(())
    })?;
    candidates.sort_by(|a, b| b.leads.len().cmp(&a.leads.len()).then_with(|| a.key.cmp(&b.key)));
    Ok((candidates, found))
}
