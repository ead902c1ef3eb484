//! How many calls it takes to find out how duplicates arose, and to look at what changed: both walk
//! through Marketo's log of activities, of which nobody tells how long it is.
//!
//! The log is searched in the order of time, a block a call. So a page here and there tells how
//! much time a call covers, and from that how many calls the whole of it takes. Never: one number
//! where the truth is a range.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::super::Error;
use crate::marketo::{BATCH, ReadActivities};

/// Looked at in so many places.
const SAMPLES: u8 = 4;

/// A lead that lies alone costs a token and a page.
const CALLS_A_LEAD: u64 = 2;

/// Before the first scan nobody knows how many leads have duplicates: from one in a hundred to one
/// in four.
const SHARES: (u64, u64) = (100, 4);

/// Calls of a refresh whatever it finds: usage, fields, types, a token; and two pages of ids above
/// the highest.
const REFRESH_ONCE: u64 = 6;

/// The log is read so often in a refresh: by type, by changed field, deletions.
const REFRESH_READS: u64 = 3;

/// A number of calls that is only known to lie between two.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CallRange {
    /// Hardly fewer.
    pub from: u64,
    /// Hardly more.
    pub to: u64,
}

impl CallRange {
    /// The same and so many calls.
    #[must_use]
    pub fn and(self, calls: u64) -> Self {
        Self { from: self.from.saturating_add(calls), to: self.to.saturating_add(calls) }
    }
}

/// How many leads in groups nobody has asked the log about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unexplained {
    /// So many, as a complete cache has it.
    Known(u64),
    /// Some of so many leads.
    SomeOf(u64),
}

/// What it takes to find out how they came to be, on an instance whose first lead is no older than
/// `first`.
pub async fn history_calls(
    marketo: &impl ReadActivities,
    new_lead: u32,
    unexplained: Unexplained,
    first: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<CallRange, Error> {
    if unexplained == Unexplained::Known(0) {
        return Ok(CallRange { from: 0, to: 0 });
    }
    let pages = match first {
        Some(first) => log_pages(marketo, new_lead, first, now).await?,
        None => None,
    };
    Ok(walk(unexplained, pages))
}

/// What a refresh takes that looks at everything since then, what is to be found out of new
/// duplicates included.
pub async fn refresh_calls(
    marketo: &impl ReadActivities,
    new_lead: u32,
    unexplained: Unexplained,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<CallRange, Error> {
    let pages = log_pages(marketo, new_lead, since, now).await?;
    let history = match (unexplained, pages) {
        // Each page may name as many leads as it has entries.
        (Unexplained::Known(0), _) => CallRange { from: 0, to: pages.unwrap_or(1) + CALLS_A_LEAD },
        _ => walk(unexplained, pages),
    };
    let pages = pages.unwrap_or(1);
    let reads = CallRange {
        from: REFRESH_READS * pages,
        to: more(REFRESH_READS * pages).saturating_add(pages),
    };
    let to = reads.to.saturating_add(history.to);
    Ok(CallRange { from: reads.from + history.from, to }.and(REFRESH_ONCE))
}

/// The whole log once, or two calls for each lead, whichever is less.
fn walk(unexplained: Unexplained, pages: Option<u64>) -> CallRange {
    let (fewest, most) = match unexplained {
        Unexplained::Known(leads) => (leads, leads),
        Unexplained::SomeOf(leads) => (leads / SHARES.0, leads / SHARES.1),
    };
    let of_leads = |leads: u64| leads.saturating_mul(CALLS_A_LEAD);
    // Types and a first token are asked for in any case.
    let pages = pages.unwrap_or(u64::MAX);
    CallRange { from: of_leads(fewest).min(less(pages)), to: of_leads(most).min(more(pages)) }
        .and(2)
}

/// Samples are no more than that.
fn less(pages: u64) -> u64 {
    pages - pages / 4
}

fn more(pages: u64) -> u64 {
    pages.saturating_add(pages.div_ceil(4)).saturating_add(2)
}

/// About how many pages the log has since then; none where a page tells nothing.
async fn log_pages(
    marketo: &impl ReadActivities,
    new_lead: u32,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<u64>, Error> {
    let part = (now - first) / i32::from(SAMPLES);
    let mut pages = 0.0;
    for sample in 0..SAMPLES {
        let start = first + part * i32::from(sample);
        let token = marketo.paging_token(start).await?;
        let page = marketo.activities(&token, &[new_lead], &[]).await?;
        let last = page.activities.iter().filter_map(|activity| activity.at).max();
        let Some(covered) = last.map(|last| last - start) else {
            if page.more {
                return Ok(None);
            }
            continue;
        };
        if !page.more {
            pages += 1.0;
            break;
        }
        pages += share(part, covered);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number, above 0"
    )]
    let pages = pages.ceil().max(1.0) as u64;
    Ok(Some(pages))
}

/// How often a page fits into a part of time.
fn share(part: TimeDelta, covered: TimeDelta) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds of some years")]
    let (part, covered) = (part.num_seconds() as f64, covered.num_seconds().max(1) as f64);
    part / covered
}

/// Calls of so many ids, with what is asked beyond the end.
pub(super) fn pages_of(highest: u64) -> u64 {
    highest.div_ceil(BATCH as u64) + 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_costs_the_log_once_or_two_calls_a_lead() {
        for (unexplained, pages, from, to) in [
            // Few leads in a long log, and many in a short one.
            (Unexplained::Known(20), Some(1_000), 42, 42),
            (Unexplained::Known(400), Some(28), 23, 39),
            (Unexplained::Known(20), None, 42, 42),
            (Unexplained::SomeOf(5_000), Some(28), 23, 39),
            (Unexplained::SomeOf(1_000_000), None, 20_002, 500_002),
        ] {
            assert_eq!(
                walk(unexplained, pages),
                CallRange { from, to },
                "{unexplained:?} {pages:?}"
            );
        }
    }
}
