//! After a scan: how the leads in groups came to be.

use super::{HISTORY, Watcher};
use crate::cache::{Cache, Causes};
use crate::cli::Context;
use crate::marketo::{self, Client};
use crate::scan::{self, ActivityLog, BirthsLearnt};
use crate::terminal::{count, counted};

/// Learns what is not known yet, and says what it found; or writes down why not. Gives whether that
/// was all, and what else stood in the way.
pub(super) async fn learn(
    context: &mut Context,
    client: &Client,
    cache: &mut Cache,
    log: ActivityLog,
    no_causes: bool,
) -> Result<Causes, scan::Error> {
    let causes = match log {
        _ if no_causes => Causes::NotAsked,
        ActivityLog::Denied => Causes::Denied,
        ActivityLog::Readable { new_lead } => match ask(context, client, cache, new_lead).await {
            Ok(BirthsLearnt { interrupted: true, .. }) => return Ok(Causes::Unfinished),
            Ok(_) => Causes::Known,
            Err(scan::Error::Marketo(marketo::Error::Permission { .. })) => Causes::Denied,
            Err(error) => return Err(error),
        },
    };
    cache.note_causes(causes)?;
    Ok(causes)
}

async fn ask(
    context: &mut Context,
    client: &Client,
    cache: &mut Cache,
    new_lead: u32,
) -> Result<BirthsLearnt, scan::Error> {
    let watcher = Watcher::of(context, HISTORY, client);
    let stop = context.interrupt.clone();
    let learnt =
        scan::learn_births(client, cache, new_lead, crate::cli::now(), &stop, &watcher).await;
    drop(watcher);
    if let Ok(BirthsLearnt { found, missing, .. }) = learnt
        && found + missing > 0
    {
        let unknown = if missing > 0 {
            format!("; for {} more the activity log does not show it so far", count(missing))
        } else {
            String::new()
        };
        context.ui.note(&format!(
            "found out how {} {} created{unknown}",
            counted(found, "record"),
            if found == 1 { "was" } else { "were" }
        ));
    }
    learnt
}
