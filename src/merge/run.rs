//! What a run carries from round to round: its groups by how far they are, how they ended, and
//! whether it is to stop. Never: I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};

use super::consent::Confirmed;
use super::give_back::GivenBack;
use super::late::consent::LateConsent;
use super::leads::members;
use super::outcome::{ending, in_words};
use super::own_writes::OwnWrites;
use super::report::{Fate, GroupReport, Outcome, Stopped, Surprise, Watch};
use super::rows::RowsBack;
use super::settle::{Pending, Settled};
use super::verdict::Verdict;
use super::work::{Ramp, Work};
use crate::dedupe::PlannedGroup;
use crate::lead::LeadId;
use crate::ledger::{LeftAlone, Refusal, RunId};

pub(super) use super::report::STOPPED;

/// What a run carries from round to round.
pub(super) struct Run<'p, 'w> {
    pub(super) confirmed: &'p Confirmed,
    /// The ledger's number of it; none where there is nothing to carry out.
    pub(super) id: Option<RunId>,
    pub(super) written: OwnWrites,
    /// What Marketo refused before this run, by the group's key.
    pub(super) refused: BTreeMap<String, Refusal>,
    /// Groups in order that are not merged yet, their winners written to.
    pub(super) ready: VecDeque<Work<'p>>,
    /// Groups whose winners are still to be written to.
    pub(super) to_write: Vec<Work<'p>>,
    /// Calls that are not settled.
    pub(super) pending: Vec<Pending<'p>>,
    /// Groups all of whose calls were sent.
    pub(super) sent: BTreeMap<LeadId, Work<'p>>,
    /// Groups whose winners have values of the plan and are not to be merged.
    pub(super) to_give_back: Vec<&'p PlannedGroup>,
    /// Winners to which rows were linked whose merges are not made, or not wholly.
    pub(super) rows_to_give_back: BTreeSet<LeadId>,
    pub(super) late: LateConsent,
    pub(super) ramp: Ramp,
    pub(super) failures_in_a_row: usize,
    /// Groups in a row whose winners Marketo did not write, and not for their own sake.
    failed_writes: usize,
    /// Groups whose endings the ledger does not have as they are now.
    pub(super) untold: Vec<LeadId>,
    /// How the groups that the run came to ended, by the plan's winner.
    pub(super) endings: BTreeMap<LeadId, GroupReport>,
    pub(super) stopped: Option<Stopped>,
    /// When it began.
    pub(super) begun_at: Option<DateTime<Utc>>,
    /// How many merges were settled since Marketo's own record of them was looked for.
    pub(super) unwitnessed: usize,
    /// Whether it was looked for in this run.
    pub(super) looked_for_witness: bool,
    /// How many rounds in a row sent nothing.
    pub(super) idle: usize,
    pub(super) watch: &'w mut dyn Watch,
}

impl<'p, 'w> Run<'p, 'w> {
    pub(super) fn new(
        confirmed: &'p Confirmed,
        late: LateConsent,
        watch: &'w mut dyn Watch,
    ) -> Self {
        Self {
            confirmed,
            id: None,
            written: OwnWrites::default(),
            refused: BTreeMap::new(),
            ready: VecDeque::new(),
            to_write: Vec::new(),
            pending: Vec::new(),
            sent: BTreeMap::new(),
            to_give_back: Vec::new(),
            rows_to_give_back: BTreeSet::new(),
            late,
            ramp: Ramp::new(),
            failures_in_a_row: 0,
            failed_writes: 0,
            untold: Vec::new(),
            endings: BTreeMap::new(),
            stopped: None,
            begun_at: None,
            unwitnessed: 0,
            looked_for_witness: false,
            idle: 0,
            watch,
        }
    }

    pub(super) fn end(&mut self, group: &PlannedGroup, report: GroupReport) {
        self.watch.group(&report);
        self.endings.insert(group.winner, report);
        self.untold.push(group.winner);
    }

    /// The groups left alone that the ledger does not have yet, or not with these words.
    pub(super) fn take_untold(&mut self) -> Vec<LeftAlone> {
        let untold: BTreeSet<LeadId> = std::mem::take(&mut self.untold).into_iter().collect();
        let left = |winner: LeadId| {
            let report = self.endings.get(&winner)?;
            report.left_alone(Some(winner))
        };
        untold.into_iter().filter_map(left).collect()
    }

    /// Adds to the report of the group whose survivor this is.
    pub(super) fn add_surprise(&mut self, survivor: LeadId, surprise: Surprise) {
        if let Some(report) = self.add_words(survivor, &in_words(&surprise)) {
            report.surprises.push(surprise);
        }
    }

    /// The same in words alone. Gives the report; none where no group has this survivor.
    pub(super) fn add_words(&mut self, survivor: LeadId, words: &str) -> Option<&mut GroupReport> {
        let of_survivor =
            |(_, report): &(&LeadId, &mut GroupReport)| report.winner == Some(survivor);
        let (winner, report) = self.endings.iter_mut().find(of_survivor)?;
        self.untold.push(*winner);
        report.reason = Some(match report.reason.take() {
            Some(reason) => format!("{reason}; {words}"),
            None => words.to_owned(),
        });
        Some(report)
    }

    /// An opt-out that came late could not be kept: nothing more is merged.
    pub(super) fn stop_for_late_consent(&mut self, lost: usize) {
        let what = format!(
            "{} that came while merges ran could not be set on the surviving records; the groups name them: set them in Marketo before anything is mailed",
            crate::terminal::counted_of(lost, "opt-out")
        );
        self.stopped.get_or_insert(Stopped::Alarm(what));
    }

    /// A winner was written to, or failed to be; `most` failures in a row stop the run.
    pub(super) fn count_write(&mut self, failed: bool, most: usize) {
        self.failed_writes = if failed { self.failed_writes + 1 } else { 0 };
        if self.failed_writes >= most {
            self.stopped.get_or_insert(Stopped::Errors(self.failed_writes));
        }
    }

    /// Ends a group that nothing was merged of.
    pub(super) fn leave(&mut self, work: &Work<'p>, verdict: Verdict) {
        let Verdict { outcome, why, not_written, marketo } = verdict;
        if work.written {
            self.to_give_back.push(work.group);
        }
        if work.has_moved_rows {
            self.rows_to_give_back.insert(work.group.winner);
        }
        let report = GroupReport {
            marketo,
            not_written,
            ..GroupReport::ended(work.group, outcome, Some(why))
        };
        self.end(work.group, report);
    }

    /// What became of the values of a record to keep whose merge was not made; none where the run is
    /// to stop, or others write the record, before it has looked. A group without an end gets one.
    pub(super) fn tell_given_back(&mut self, group: &PlannedGroup, back: Option<&GivenBack>) {
        let known = self.endings.remove(&group.winner);
        let mut report = known.clone().unwrap_or_else(|| {
            GroupReport::ended(group, Outcome::Skipped, Some(STOPPED.to_owned()))
        });
        let words = back.map_or(
            "the values written to the record to keep are not given back yet: the run was stopped, or others were writing the record. The next run gives them back",
            |back| back.words.as_str(),
        );
        let reason = report.reason.take().map(|reason| format!("{reason}; ")).unwrap_or_default();
        report.reason = Some(format!("{reason}{words}"));
        let stays = back.is_none_or(|back| !back.stays.is_empty());
        if stays && report.outcome == Outcome::Skipped {
            report.outcome = Outcome::Prepared;
        }
        let left = back.iter().flat_map(|back| back.left.iter().cloned());
        report
            .surprises
            .extend(left.map(|difference| Surprise { difference, fate: Fate::NotSetBack }));
        if known.is_none() {
            self.end(group, report);
        } else {
            self.endings.insert(group.winner, report);
            self.untold.push(group.winner);
        }
    }

    /// What became of rows that were to be linked back; `left` of them hang on the winner still, or
    /// may. A group whose rows did not all come back failed, however far it came.
    pub(super) fn tell_rows_back(&mut self, group: &PlannedGroup, back: RowsBack, left: usize) {
        let mut words = back.words;
        let is_told = !words.is_empty();
        if left > 0 && !is_told {
            words = format!(
                "{} of custom objects that this program linked to lead {} may still hang on it; the next run links them back",
                crate::terminal::counted_of(left, "row"),
                group.winner
            );
        }
        if words.is_empty() {
            return;
        }
        let failed = left > 0 || !back.all;
        let Some(report) = self.endings.get_mut(&group.winner) else {
            if failed {
                let why = format!("{STOPPED}; {words}");
                self.end(group, GroupReport::ended(group, Outcome::Failed, Some(why)));
            }
            return;
        };
        let reason = report.reason.take().map(|reason| format!("{reason}; ")).unwrap_or_default();
        report.reason = Some(format!("{reason}{words}"));
        if failed && report.outcome == Outcome::Skipped {
            report.outcome = Outcome::Failed;
        }
    }

    /// A group none of whose calls is to be made or settled any more comes to its end. `not_shown`
    /// says why it cannot be shown who merged the leads of a call, by the group's winner.
    pub(super) fn end_sent(&mut self, work: &Work<'p>, not_shown: &BTreeMap<LeadId, String>) {
        let report = ending(work, not_shown.get(&work.group.winner).map(String::as_str));
        if work.written && !work.has_merged() && report.outcome == Outcome::Failed {
            self.to_give_back.push(work.group);
        }
        if work.has_moved_rows && report.outcome == Outcome::Failed {
            self.rows_to_give_back.insert(work.group.winner);
        }
        if let Some(alarm) = work.settled.iter().find_map(Settled::alarm) {
            self.stopped = Some(Stopped::Alarm(alarm));
        }
        self.end(work.group, report);
    }

    /// The groups that wait for a look, and that the ramp allows next.
    fn next(&self) -> impl Iterator<Item = &Work<'p>> {
        self.ready.iter().filter(|work| work.waits_for_a_look()).take(self.ramp.size())
    }

    /// The leads of the groups that the ramp allows next.
    fn next_leads(&self) -> Vec<LeadId> {
        self.next().flat_map(Work::leads_left).collect()
    }

    /// The leads that the next look asks for: of the groups whose keys are held.
    pub(super) fn held_leads(&self) -> impl Iterator<Item = LeadId> {
        let written_to = self.to_write.iter().filter(|work| work.held);
        let next = self.next_held().flat_map(Work::leads_left);
        next.chain(written_to.flat_map(|work| members(work.group)))
    }

    /// The groups that the next look may verify.
    pub(super) fn next_held(&self) -> impl Iterator<Item = &Work<'p>> {
        let next = self.ready.iter().filter(|work| work.held && work.waits_for_a_look());
        next.take(self.ramp.size())
    }

    /// How many more groups the ramp allows next than wait for it.
    pub(super) fn left_of_ramp(&self) -> usize {
        self.ramp.size() - self.next().count()
    }

    /// How many leads the next look includes in any case.
    pub(super) fn asked_for(&self) -> usize {
        self.next_leads().len() + self.pending.iter().flat_map(Pending::leads).count()
    }

    /// No look serves two rounds; groups without a further call leave the queue, and so do those
    /// whose call never found its turn while a look was fresh.
    pub(super) fn put_aside(&mut self) {
        const TRIES: u32 = 20;
        for mut work in std::mem::take(&mut self.ready) {
            work.verified = false;
            if work.steps.is_empty() && work.under_way.is_some() {
                self.sent.insert(work.group.winner, work);
            } else if work.too_old > TRIES && !work.is_begun() {
                let why = "Marketo had no room for the merge within seconds of the last look, again and again; run it again when it is less busy";
                self.leave(&work, Verdict::skipped(why));
            } else {
                self.ready.push_back(work);
            }
        }
    }
}
