//! Looks again, at Marketo, for what was not seen of a run's merges yet.

use chrono::SecondsFormat;

use crate::cli::{Context, Failure, now};
use crate::ledger::{Ledger, PastRun, WitnessKind};
use crate::marketo::Client;
use crate::merge::{
    LookError, MEMBERS_PART, MembersLearnt, MembersLookedAt, look_for, look_for_members,
    members_calls_for, rows_hanging,
};
use crate::terminal::counted_of;

/// So many records are named.
const NAMED: usize = 10;

/// Looks for Marketo's own record of the run's merges, and at the lists and programs of their
/// survivors, where no look has brought it to an end. Only reads.
pub(super) async fn again(
    context: &mut Context,
    ledger: &mut Ledger,
    run: &PastRun,
) -> Result<(), Failure> {
    let unseen = ledger.unwitnessed(WitnessKind::Log, Some(run.id), None)?;
    let open = ledger.unwitnessed(WitnessKind::Members, Some(run.id), None)?;
    let client = context.client()?;
    tell_rows(context, &client, ledger, run).await?;
    if unseen.is_empty() && open.is_empty() {
        context.ui.note("nothing else of this run is left to look for");
        return Ok(());
    }
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

/// Says whether rows of custom objects hang on merged records of the run: they came late.
async fn tell_rows(
    context: &mut Context,
    client: &Client,
    ledger: &Ledger,
    run: &PastRun,
) -> Result<(), Failure> {
    let looking = rows_hanging(client, ledger, run.id);
    let (on, unreadable) = context.or_stop(looking).await?.map_err(failure)?;
    for why in unreadable {
        context.ui.note(&format!("NOT KNOWN: whether rows of custom objects came late: {why}"));
    }
    if on.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = on.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if on.len() > NAMED { ", …" } else { "" };
    context.ui.note(&format!(
        "rows of custom objects are still linked to {} of this run ({}{more}). Within 24 hours of the merge, \
         `mkto-audit merge --look-after --confirm` links the rows that can move to the surviving records",
        counted_of(on.len(), "merged record"),
        named.join(", "),
    ));
    Ok(())
}

fn failure(error: LookError) -> Failure {
    match error {
        LookError::Marketo(error) => error.into(),
        LookError::Ours(error) => error.into(),
    }
}
