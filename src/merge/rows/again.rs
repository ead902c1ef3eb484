//! Looks for rows once more, with the last look before a merge: hours may have gone by since the
//! group was taken in, and a row may have come to a loser meanwhile.
//!
//! What came is moved like any other before the merge leaves. Never: links a row itself, or lets a
//! group go on whose rows this look did not show.

use std::collections::{BTreeMap, BTreeSet};

use super::before::leave;
use crate::cancel::unless_stopped;
use crate::dedupe::{PlannedGroup, Reason, why_rows_stay};
use crate::lead::LeadId;
use crate::merge::context::{Merge, MergeClient};
use crate::merge::custom_objects::GroupRows;
use crate::merge::error::Error;
use crate::merge::run::Run;
use crate::merge::verdict::Verdict;
use crate::merge::work::Work;

/// What is said of a group that is merged in part.
const CAME: &str = "a row of a custom object came to one of its losers while the group was being merged; run it again, which moves the row first";

impl<M: MergeClient> Merge<'_, M> {
    /// Asks for the rows of the groups that the ramp allows next. A group to which rows came waits
    /// to be written to again. False where the run is to stop.
    pub(in crate::merge) async fn see_rows_again(
        &mut self,
        run: &mut Run<'_, '_>,
    ) -> Result<bool, Error> {
        for work in &mut run.ready {
            work.rows_seen = false;
        }
        let next: Vec<&PlannedGroup> = run.next_held().map(|work| work.group).collect();
        let stop = self.stop.clone();
        let finding = Box::pin(self.rows_by_id(&next));
        let Some(mut found) = unless_stopped(&stop, finding).await? else { return Ok(false) };
        if run.confirmed.plan().policy.leave_rows {
            found.values_mut().for_each(leave);
        }
        let asked: BTreeSet<LeadId> = next.iter().map(|group| group.winner).collect();
        for mut work in std::mem::take(&mut run.ready) {
            if !asked.contains(&work.group.winner) {
                run.ready.push_back(work);
                continue;
            }
            let now = found.remove(&work.group.winner).unwrap_or_default();
            match judge(&work, now) {
                Judged::AsBefore => {
                    work.rows_seen = true;
                    run.ready.push_back(work);
                }
                Judged::Came(rows) => {
                    work.moved_rows.append(&mut work.rows);
                    work.rows = rows.moves;
                    work.rows_read_back = false;
                    work.too_old += 1;
                    run.to_write.push(work);
                }
                Judged::Wrong(why) => self.end_alone(work, Verdict::skipped(why), run),
            }
        }
        Ok(true)
    }

    /// The rows of these groups that are linked by the ids of leads.
    async fn rows_by_id(
        &mut self,
        groups: &[&PlannedGroup],
    ) -> Result<BTreeMap<LeadId, GroupRows>, Error> {
        let linked = self.custom_objects.linked_by_id(self.marketo).await?;
        let is_asked = |object: &str| linked.iter().any(|(name, _)| name == object);
        let nothing = BTreeMap::new();
        Ok(self.custom_objects.find_of(self.marketo, groups, &nothing, is_asked).await?)
    }
}

/// What the rows of a group by now say of it.
enum Judged {
    /// No row that could be lost hangs on a loser.
    AsBefore,
    /// These are to be moved first.
    Came(GroupRows),
    /// It must be left alone.
    Wrong(String),
}

fn judge(work: &Work<'_>, mut now: GroupRows) -> Judged {
    let losers: Vec<LeadId> = work.losers_left().collect();
    if let Some(why) = why_rows_stay(&now.rows, &losers)
        && !work.group.overrules(Reason::CustomObjects)
    {
        return Judged::Wrong(why);
    }
    now.moves.retain(|row| losers.contains(&row.from));
    if now.moves.is_empty() {
        Judged::AsBefore
    } else if work.is_begun() {
        Judged::Wrong(CAME.to_owned())
    } else {
        Judged::Came(now)
    }
}
