//! Looks again, at Marketo, for what was not seen of a run's merges yet.

use chrono::SecondsFormat;

use crate::cli::{Context, Failure, now};
use crate::ledger::{Ledger, PastRun, WitnessKind};
use crate::merge::{
    LookError, MEMBERS_PART, MembersLearnt, MembersLookedAt, look_for, look_for_members,
    members_calls_for,
};
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
    context.ui.note(&format!(
        "looking at {}: about {} for lists and programs, and more where something is missing",
        counted_of(open.len(), "survivor"),
        counted_of(members_calls_for(open.len()), "call"),
    ));
    let when = (client.clock(), at.as_str());
    let (mut all, mut learnt) = (MembersLookedAt::default(), MembersLearnt::default());
    // What was seen is kept part by part: the same command goes on where it was stopped.
    for part in open.chunks(MEMBERS_PART) {
        let look = look_for_members(&client, ledger, part, &mut learnt, when);
        let looked = context.or_stop(look).await?.map_err(failure)?;
        all.missing += looked.missing;
        all.gone += looked.gone;
        all.unreadable += looked.unreadable;
    }
    let left = ledger.unwitnessed(WitnessKind::Log, Some(run.id), None)?.len();
    context.ui.note(&format!(
        "looked for {} in Marketo's own log: {left} not there yet; {} looked at, {} lack something, {} gone, {} unreadable",
        counted_of(unseen.len(), "merge"),
        counted_of(open.len(), "survivor"),
        all.missing,
        all.gone,
        all.unreadable,
    ));
    Ok(())
}

fn failure(error: LookError) -> Failure {
    match error {
        LookError::Marketo(error) => error.into(),
        LookError::Ours(error) => error.into(),
    }
}
