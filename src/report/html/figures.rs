//! What the page counts of the leads that came late: by integration, day and hour.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, Timelike as _};

use crate::dedupe::{Cause, Explanation, LateLead};
use crate::report::Report;

/// Late leads, those that came although their group had one already, each counted by itself: one group may be the work
/// of two integrations.
#[derive(Default)]
pub(super) struct Figures {
    /// By the login of the API user; `None` where that is not known, or no integration at all.
    pub(super) by_integration: BTreeMap<Option<String>, IntegrationTotals>,
    /// By the day (UTC) on which they came.
    pub(super) by_day: BTreeMap<NaiveDate, DayTotals>,
    /// Races by the hour of the day (UTC).
    pub(super) races_by_hour: [u64; 24],
    /// Those that a guarded write path would have prevented: all that came by a race.
    pub(super) prevented: u64,
}

/// The duplicates of one integration.
#[derive(Default)]
pub(super) struct IntegrationTotals {
    /// Groups to which it added a lead.
    pub(super) groups: u64,
    /// Leads that it added to groups that had one.
    pub(super) excess: u64,
    /// Those of them that came by a race.
    pub(super) races: u64,
}

/// The duplicates of one day, or of a longer time.
#[derive(Default)]
pub(super) struct DayTotals {
    /// Leads that came although their group had one.
    pub(super) excess: u64,
    /// Those of them that came by a race.
    pub(super) races: u64,
}

impl Figures {
    /// Counts the groups that the report shows.
    pub(super) fn of(report: &Report) -> Self {
        let mut figures = Self::default();
        report.shown.iter().for_each(|shown| figures.add(&shown.explanation));
        figures
    }

    fn add(&mut self, explanation: &Explanation) {
        let mut integrations = BTreeSet::new();
        for LateLead { cause, at, api_user, .. } in &explanation.late {
            let race = u64::from(*cause == Cause::Race);
            let totals = self.by_integration.entry(api_user.clone()).or_default();
            totals.groups += u64::from(integrations.insert(api_user));
            totals.excess += 1;
            totals.races += race;
            self.prevented += race;
            let Some(at) = at else { continue };
            let day = self.by_day.entry(at.date_naive()).or_default();
            day.excess += 1;
            day.races += race;
            if let Some(hour) = self.races_by_hour.get_mut(at.hour() as usize) {
                *hour += race;
            }
        }
    }
}
