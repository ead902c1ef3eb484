//! The ledger of a merge run, opened so that no write of an older version is under way.

use super::super::{Context, Failure, now, probe};
use crate::guard;
use crate::ledger::Ledger;
use crate::marketo::Clock;
use crate::terminal::about;

/// Says what is kept for longer than `ledger.keep` allows. Nothing is erased but by a command of
/// its own: what a restore needs never goes as a side effect.
fn tell_old_backups(context: &mut Context, ledger: &Ledger) -> Result<(), Failure> {
    let Some(keep) = context.config.ledger_keep else { return Ok(()) };
    let keep_for = chrono::TimeDelta::from_std(keep).unwrap_or(chrono::TimeDelta::MAX);
    let before = now().checked_sub_signed(keep_for).unwrap_or_default();
    let old = ledger.backups_older_than(before)?;
    if old > 0 {
        let keep = humantime::format_duration(keep).to_string().replace(' ', "");
        context.ui.note(&format!(
            "{} older than `ledger.keep`; to erase them: mkto-audit backup erase --older-than {keep} --confirm",
            if old == 1 { "1 backup is".to_owned() } else { format!("{old} backups are") }
        ));
    }
    Ok(())
}

/// Opens the ledger. Before anything is merged it waits for a write that an older version left
/// open: that may still be running, without a lease that would keep a merge off its record.
pub(super) async fn open(
    context: &mut Context,
    carries_out: bool,
    clock: Clock,
) -> Result<Ledger, Failure> {
    let ledger = Ledger::open(&context.config.ledger_file()?, &context.config.instance_name())?;
    tell_old_backups(context, &ledger)?;
    probe::tell_profile(context, &ledger)?;
    if !carries_out {
        return Ok(ledger);
    }
    let wait = ledger
        .old_upserts_left_before()?
        .map(|left| guard::until_older_runs_are_over(left, now(), clock))
        .unwrap_or_default();
    if !wait.is_zero() {
        let wait_in_words = about(wait);
        context.ui.note(&format!("waiting {wait_in_words} for a write of an older version to end"));
        // Nobody can say sooner that the write is over: its leads are not known.
        context.or_stop(tokio::time::sleep(wait)).await?;
    }
    Ok(ledger)
}
