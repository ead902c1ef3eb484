//! The highest id that a lead has, found out from the instance itself.
//!
//! Ids only grow, so the newest New Lead activities name the highest, and New Lead is the one
//! activity that Marketo keeps for ever. Three things can lie above what they show, and the paging
//! that follows goes beyond it to meet them: leads whose activity is not visible yet, leads that
//! are born during the scan, and visitors who became known in the order of their visits and not of
//! their ids.
//!
//! Where the API user may not read the activity log, ids are tried: 300 a call, spread over ranges
//! that double, and then over what is left above the highest that was found. That misses only leads
//! beyond a gap in which hardly any id has a lead, and whoever asked is told that it was done.

use chrono::{DateTime, TimeDelta, Utc};

use super::Error;
use crate::lead::LeadId;
use crate::marketo::{self, ActivityPage, BATCH, ReadActivities, ReadLeads};

/// How far back is looked, one after another, until enough is found. A busy instance is answered by
/// its last hour; the server reads all activities of that time to find those of one type, so that
/// more would cost many calls.
const LOOK_BACK: [TimeDelta; 5] = [
    TimeDelta::hours(1),
    TimeDelta::hours(24),
    TimeDelta::days(7),
    TimeDelta::days(90),
    TimeDelta::days(366 * 20),
];

/// So many births say where ids stand, even if some of them are of old visitors.
const ENOUGH: usize = 100;

/// Marketo's ids of leads are whole numbers of 32 bits (type `integer` in `describe`).
const LAST_ID: LeadId = i32::MAX as LeadId;

/// Whether the API user may read the activity log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityLog {
    /// It may; this is the number of the activity type *New Lead*.
    Readable {
        /// Looked up by its name.
        new_lead: u32,
    },
    /// The permission *Read-Only Activity* is missing.
    Denied,
}

/// Finds out with one call whether the activity log can be read.
pub async fn activity_log(marketo: &impl ReadActivities) -> Result<ActivityLog, Error> {
    let types = match marketo.activity_types().await {
        Ok(types) => types,
        Err(marketo::Error::Permission { .. }) => return Ok(ActivityLog::Denied),
        Err(error) => return Err(error.into()),
    };
    let new_lead = types.iter().find(|kind| kind.name.eq_ignore_ascii_case("New Lead"));
    let new_lead = new_lead.map(|kind| kind.id).ok_or(Error::NoNewLeadType)?;
    Ok(ActivityLog::Readable { new_lead })
}

/// The highest id that New Lead activities name, or that was found by trying; 0 where there is
/// none.
pub(super) async fn highest_id(
    marketo: &(impl ReadLeads + ReadActivities),
    log: ActivityLog,
    now: DateTime<Utc>,
) -> Result<LeadId, Error> {
    match log {
        ActivityLog::Readable { new_lead } => highest_born(marketo, new_lead, now).await,
        ActivityLog::Denied => {
            let id = ["id".to_owned()];
            by_trying(|ids| {
                let id = &id;
                async move { Ok(marketo.leads_by_id(&ids, id).await?.iter().map(|lead| lead.id).max()) }
            })
            .await
        }
    }
}

async fn highest_born(
    marketo: &impl ReadActivities,
    new_lead: u32,
    now: DateTime<Utc>,
) -> Result<LeadId, Error> {
    let mut highest = 0;
    for look_back in LOOK_BACK {
        let mut births = 0;
        let mut token = marketo.paging_token(now - look_back).await?;
        loop {
            let ActivityPage { activities, next, more } =
                marketo.activities(&token, &[new_lead], &[]).await?;
            births += activities.len();
            // A merge moves an activity to the winner, and leaves the id at birth where it was:
            // either may be higher.
            let ids =
                activities.iter().flat_map(|activity| [Some(activity.lead), activity.primary]);
            highest = ids.flatten().fold(highest, LeadId::max);
            token = next;
            if !more {
                break;
            }
        }
        if births >= ENOUGH {
            break;
        }
    }
    Ok(highest)
}

/// The highest id that is found by asking which of some ids have a lead: `ask` gives the highest of
/// those that have.
async fn by_trying<F>(ask: impl Fn(Vec<LeadId>) -> F) -> Result<LeadId, Error>
where
    F: Future<Output = Result<Option<LeadId>, Error>>,
{
    let (mut highest, mut until) = (0, 0);
    let (mut above, mut end) = (0, BATCH as LeadId);
    while above < LAST_ID {
        if let Some(found) = ask(spread(above, end)).await? {
            highest = found;
            // The next range may hold a few of its first ids, and have shown none of them.
            until = end.saturating_mul(2).min(LAST_ID);
        }
        above = end;
        end = end.saturating_mul(2).min(LAST_ID);
    }
    while highest < until {
        let asked = spread(highest, until);
        let is_all = asked.len() as LeadId == until - highest;
        match ask(asked).await? {
            Some(found) => {
                // What lies above that, a hundred ids or more have missed.
                until = until.min(found + (until - highest) / 3);
                highest = found;
            }
            None => until = highest + (until - highest) / 2,
        }
        if is_all {
            break;
        }
    }
    Ok(highest)
}

/// All ids above one up to another, or as many as a call takes of them: one of each of as many
/// stretches, at a place that wanders, so that no regular gap is met again and again.
fn spread(above: LeadId, until: LeadId) -> Vec<LeadId> {
    const STEP: LeadId = 7_919;
    let (all, batch) = (until - above, BATCH as LeadId);
    if all <= batch {
        return (above + 1..=until).collect();
    }
    let stretch = |place: LeadId| above + all * place / batch;
    let id = |place: LeadId| {
        let (from, to) = (stretch(place), stretch(place + 1));
        from + 1 + (place * STEP) % (to - from)
    };
    (0..batch).map(id).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What is found where these ids have leads, and with how many calls.
    async fn tried(is_lead: impl Fn(LeadId) -> bool) -> (LeadId, u32) {
        let calls = Cell::new(0);
        let found = by_trying(|ids| {
            calls.set(calls.get() + 1);
            assert!(ids.len() <= BATCH && ids.is_sorted(), "{ids:?}");
            let highest = ids.into_iter().filter(|id| is_lead(*id)).max();
            async move { Ok(highest) }
        });
        (found.await.unwrap(), calls.get())
    }

    #[tokio::test]
    async fn the_highest_of_ids_without_large_gaps_is_found_by_trying() {
        for highest in [0, 1, 299, 300, 301, 599, 600, 601, 4_870, 123_456, 9_876_543, LAST_ID] {
            let (found, calls) = tried(|id| id <= highest).await;
            assert_eq!(found, highest);
            assert!(calls < 70, "{highest}: {calls} calls");
        }
        // The paging that follows goes 3,000 ids beyond what was found.
        for highest in [8_000, 70_001, 3_000_007] {
            for every in [2, 7, 64] {
                let (found, _) =
                    tried(|id| id <= highest && (id * 2_654_435_761) >> 7 & 63 < 64 / every).await;
                assert!(highest - found < 3_000, "of {highest}, one in {every}: {found}");
            }
            let (found, _) = tried(|id| id <= highest && id > highest / 2 + highest / 4).await;
            assert_eq!(found, highest, "nothing below three quarters of it");
        }
    }
}
