//! How a merge run ended: what is said of it, and its exit code.
//!
//! Never: prints the report itself; that is `show`.

use super::findings;
use crate::cli::{Exit, Failure, Ui};
use crate::ledger::{Finding, FindingId};
use crate::merge::{Outcome, Report, Stopped, Unwatched};
use crate::terminal::counted_of;

/// A finding that is open, and its number.
pub(super) type Open = (FindingId, Finding);

/// Says what the run lost, what could not be seen, and how it ended. No run ends well while
/// something that a merge lost is open.
pub(super) fn tell_ended(
    ui: &mut Ui,
    report: Report,
    open: &[Open],
    before: &[Open],
    confirm: bool,
) -> Exit {
    let new = open.iter().filter(|finding| !before.contains(finding)).cloned();
    findings::tell(ui, &new.collect::<Vec<_>>());
    let unwatched = report.unwatched.clone();
    if let Some(unwatched) = &unwatched {
        ui.note(&unwatched.to_string());
    }
    for words in report.late_rows.in_words() {
        ui.note(&words);
    }
    let is_left_behind = report.late_rows.left().next().is_some();
    let is_put_off = matches!(unwatched, Some(Unwatched::PutOff(_)));
    let lacks_some = !open.is_empty() || is_put_off || is_left_behind;
    match ending(ui, report, confirm) {
        Exit::Done if lacks_some => Exit::Partial,
        exit => exit,
    }
}

/// Says why the run stopped, and gives its exit code.
fn ending(ui: &mut Ui, report: Report, confirmed: bool) -> Exit {
    let all_merged = report.groups.iter().all(|group| group.outcome == Outcome::Merged);
    match report.stopped {
        None if !confirmed || all_merged => Exit::Done,
        None => Exit::Partial,
        Some(Stopped::Interrupted) => {
            ui.note("stopped as asked; the same command goes on");
            Exit::Stopped
        }
        Some(Stopped::Braked(brake)) => {
            ui.note(&format!("stopped: {brake}"));
            Exit::Stopped
        }
        Some(Stopped::Errors(count)) => {
            ui.note(&format!(
                "stopped since {} failed, one after the other; the reasons are in the output",
                counted_of(count, "group")
            ));
            Exit::Partial
        }
        Some(Stopped::Alarm(what)) => {
            ui.note(&format!("STOPPED, nothing more was sent: {what}"));
            Exit::Failed
        }
        Some(Stopped::Failed(error)) => {
            let failure = Failure::from(error);
            ui.failure(&failure);
            failure.exit()
        }
    }
}
