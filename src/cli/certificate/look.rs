//! Looks again, at Marketo, for what was not seen of a run's merges yet.

use chrono::SecondsFormat;

use crate::cli::{Context, Failure, now};
use crate::ledger::{Ledger, PastRun, WitnessKind};
use crate::merge::{LookError, look_for, look_for_members};
use crate::terminal::counted_of;

/// Looks for Marketo's own record of the run's merges, and at the lists and programs of their
/// survivors, where no look has brought it to an end. Only reads.
pub(super) async fn again(
    context: &mut Context,
    ledger: &mut Ledger,
    run: &PastRun,
) -> Result<(), Failure> {
    let unseen = ledger.unwitnessed(WitnessKind::Log, Some(run.id), None)?;
    let open = ledger.unwitnessed(WitnessKind::Members, Some(run.id), None)?;
    if unseen.is_empty() && open.is_empty() {
        context.ui.note("nothing of this run is left to look for; Marketo was not asked");
        return Ok(());
    }
    let client = context.client()?;
    let at = now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let found = context.or_stop(look_for(&client, ledger, &unseen, &at)).await?;
    for contradiction in found.map_err(failure)? {
        context.ui.note(&contradiction.what);
    }
    let clock = client.clock();
    let looked = context.or_stop(look_for_members(&client, ledger, &open, clock, &at)).await?;
    let missing = looked.map_err(failure)?;
    let left = ledger.unwitnessed(WitnessKind::Log, Some(run.id), None)?.len();
    context.ui.note(&format!(
        "looked for {} in Marketo's own log: {left} not there yet; {} looked at, {missing} lack something",
        counted_of(unseen.len(), "merge"),
        counted_of(open.len(), "survivor"),
    ));
    Ok(())
}

fn failure(error: LookError) -> Failure {
    match error {
        LookError::Marketo(error) => error.into(),
        LookError::Ours(error) => error.into(),
    }
}
