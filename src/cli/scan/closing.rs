//! What a scan says at its end of the duplicates that it found, and of the scan before it.

use super::{Cache, Context, Failure};
use crate::cli::{history, report};
use crate::ledger::PastScan;
use crate::report::{Filter, Report};
use crate::terminal::{count, counted};

/// The lines of a complete scan, whose totals go into the history. Whoever stops it here has the
/// scan all the same.
pub(super) fn lines(
    context: &mut Context,
    cache: &mut Cache,
    strategy: &str,
) -> Result<Vec<String>, Failure> {
    let filter = Filter { min_size: 2, ..Filter::default() };
    let report = match report::count(context, cache, &filter, Some(0)) {
        Ok(report) => report,
        Err(Failure::Stopped) => return Ok(Vec::new()),
        Err(failure) => return Err(failure),
    };
    let before = history::keep(context, cache, &report, strategy)?;
    Ok(std::iter::once(found(&report))
        .chain(before.map(|before| changed(&before, &report)))
        .collect())
}

fn found(report: &Report) -> String {
    if report.groups == 0 {
        return "no duplicates found".to_owned();
    }
    let (mergeable, undecided) = (report.mergeable.excess, report.all_undecided().excess);
    format!(
        "{} in {} of duplicates: {} can be merged now, {} to be decided by a person, as far as the scan knows",
        counted(report.excess, "extra record"),
        counted(report.groups, "group"),
        count(mergeable),
        count(undecided),
    )
}

fn changed(before: &PastScan, report: &Report) -> String {
    format!(
        "extra records before: {}, {} on {}; now: {}, {}",
        count(before.excess),
        percent(before.excess, before.records),
        before.ended_at.format("%-d %b %Y"),
        count(report.excess),
        percent(report.excess, report.source.leads)
    )
}

fn percent(part: u64, whole: u64) -> String {
    let per_mille = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole.max(1));
    format!("{}.{}%", per_mille / 10, per_mille % 10)
}
