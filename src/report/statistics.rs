//! What the duplicates have in common: who made them, when, and how many of them need not have
//! been.
//!
//! Counted are late leads, those that came although their group had one already: each by itself,
//! since one group may be the work of two integrations. Leads that were merged into others before
//! count as the past that they are.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, Timelike as _};

use crate::dedupe::{Cause, Confidence, Explanation, LateLead};
use crate::lead::Birth;

/// Duplicates by integration, day and hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The duplicates of today by who made them, by the login of the API user; `None` where that is
    /// not known, or no integration at all.
    pub by_integration: BTreeMap<Option<String>, IntegrationTotals>,
    /// The duplicates of today by the day (UTC) on which they came.
    pub by_day: BTreeMap<NaiveDate, DayTotals>,
    /// Races by the hour of the day (UTC) in which they happened.
    pub races_by_hour: [u64; 24],
    /// Late leads that a guarded write path would have prevented: those that came by a race that is
    /// at least likely.
    pub prevented: u64,
    /// Leads that were merged into others before this report, by the day (UTC) on which they were
    /// born and by who made them: the duplicates of the time before.
    pub merged_before: BTreeMap<(NaiveDate, Option<String>), u64>,
}

/// The duplicates of one integration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IntegrationTotals {
    /// Groups to which it added a lead.
    pub groups: u64,
    /// Leads that it added to groups that had one.
    pub excess: u64,
    /// Those of them that came by a race.
    pub races: u64,
}

/// The duplicates of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// Leads that came although their group had one.
    pub excess: u64,
    /// Those of them that came by a race.
    pub races: u64,
}

impl Statistics {
    /// Counts one group.
    pub(super) fn add(&mut self, explanation: &Explanation) {
        let mut integrations = BTreeSet::new();
        for LateLead { cause, confidence, at, api_user, .. } in &explanation.late {
            let race = u64::from(*cause == Cause::Race);
            let totals = self.by_integration.entry(api_user.clone()).or_default();
            totals.groups += u64::from(integrations.insert(api_user));
            totals.excess += 1;
            totals.races += race;
            self.prevented += if *confidence > Confidence::Low { race } else { 0 };
            let Some(at) = at else { continue };
            let day = self.by_day.entry(at.date_naive()).or_default();
            day.excess += 1;
            day.races += race;
            if let Some(hour) = self.races_by_hour.get_mut(at.hour() as usize) {
                *hour += race;
            }
        }
    }

    /// Counts the birth of a lead that was merged into another since.
    pub(super) fn add_merged(&mut self, birth: &Birth) {
        if birth.of_a_merged_lead() {
            *self
                .merged_before
                .entry((birth.at.date_naive(), birth.api_user.clone()))
                .or_default() += 1;
        }
    }

    /// Leads that were merged into others before this report.
    pub fn merged_before(&self) -> u64 {
        self.merged_before.values().sum()
    }
}
