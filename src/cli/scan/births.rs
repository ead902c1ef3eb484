//! After a scan: how the leads in groups came to be.

use super::Watcher;
use crate::cache::Cache;
use crate::cli::Context;
use crate::marketo::Client;
use crate::scan::{self, BirthsLearnt};

/// Learns what is not known yet, and says what it found.
pub(super) async fn learn(
    context: &mut Context,
    client: &Client,
    cache: &mut Cache,
) -> Result<BirthsLearnt, scan::Error> {
    let watcher = Watcher::of(context, "learning how duplicates arose", client);
    let learnt = scan::learn_births(client, cache, crate::cli::now(), &context.interrupt, &watcher).await;
    drop(watcher);
    if let Ok(BirthsLearnt { found, missing, .. }) = learnt
        && found + missing > 0
    {
        let unknown = if missing > 0 {
            format!("; for {missing} more the activity log does not show it so far")
        } else {
            String::new()
        };
        context.ui.note(&format!("learnt how {found} leads in groups came to be{unknown}"));
    }
    learnt
}
