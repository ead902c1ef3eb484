//! Bars over time, drawn in whole units of the picture so that they are the same everywhere.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Days, NaiveDate};

use crate::report::DayTotals;
use crate::terminal::count;

/// The picture's plot, in units of its view box.
const WIDTH: u64 = 700;
const HEIGHT: u64 = 160;
const TOP: u64 = 20;
/// At most so many labels stand below the bars, so that none runs into the next.
const LABELS: usize = 8;
/// Up to so many days are drawn as days, up to so many months as months.
const DAYS: u64 = 45;
const MONTHS: usize = 48;

/// A row of bars; each is split into races, below, and others.
pub(super) struct Chart {
    /// What the highest bar stands for.
    pub(super) highest: String,
    /// The bars, from left to right.
    pub(super) bars: Vec<Bar>,
}

/// A bar, its place, and its numbers as text.
pub(super) struct Bar {
    pub(super) label: String,
    /// Whether the label stands below it; it is in the table all the same.
    pub(super) labelled: bool,
    pub(super) races: String,
    pub(super) total: String,
    pub(super) x: u64,
    pub(super) width: u64,
    pub(super) races_y: u64,
    pub(super) races_height: u64,
    pub(super) others_y: u64,
    pub(super) others_height: u64,
}

impl Chart {
    /// Duplicates over time: by day, by month or by year, whichever can still be read. Times
    /// without any are there.
    pub(super) fn over_time(days: &BTreeMap<NaiveDate, DayTotals>) -> Self {
        let mut periods: BTreeMap<String, DayTotals> = BTreeMap::new();
        if let (Some((first, _)), Some((last, _))) = (days.first_key_value(), days.last_key_value())
        {
            let name = naming(*first, *last);
            let mut day = *first;
            loop {
                let period = periods.entry(name(day)).or_default();
                if let Some(totals) = days.get(&day) {
                    period.excess += totals.excess;
                    period.races += totals.races;
                }
                match day.checked_add_days(Days::new(1)) {
                    Some(next) if next <= *last => day = next,
                    _ => break,
                }
            }
        }
        Self::of(
            periods
                .into_iter()
                .map(|(label, totals)| (label, totals.races, totals.excess))
                .collect(),
        )
    }

    /// Races by the hour of the day.
    pub(super) fn by_hour(races: &[u64; 24]) -> Self {
        let hours = races.iter().enumerate();
        Self::of(hours.map(|(hour, races)| (format!("{hour:02}:00"), *races, *races)).collect())
    }

    fn of(numbers: Vec<(String, u64, u64)>) -> Self {
        let highest = numbers.iter().map(|(_, _, total)| *total).max().unwrap_or(0);
        let step = WIDTH / (numbers.len().max(1) as u64);
        let every = numbers.len().div_ceil(LABELS).max(1);
        let bars = numbers.into_iter().enumerate().map(|(place, (label, races, total))| {
            let all = scaled(total, highest);
            let races_height = scaled(races.min(total), highest).min(all);
            let x = place as u64 * step;
            let width = (step * 4 / 5).clamp(1, 60);
            Bar {
                label,
                labelled: place % every == 0,
                races: count(races),
                total: count(total),
                x,
                width,
                races_y: TOP + HEIGHT - races_height,
                races_height,
                others_y: TOP + HEIGHT - all,
                others_height: all - races_height,
            }
        });
        Self { highest: count(highest), bars: bars.collect() }
    }
}

/// The name of a day's period, in an order that is that of time.
fn naming(first: NaiveDate, last: NaiveDate) -> fn(NaiveDate) -> String {
    let months = (last.year() - first.year()) * 12 + last.month0().cast_signed()
        - first.month0().cast_signed();
    if last.signed_duration_since(first).num_days().unsigned_abs() < DAYS {
        |day| day.format("%Y-%m-%d").to_string()
    } else if usize::try_from(months).is_ok_and(|months| months < MONTHS) {
        |day| day.format("%Y-%m").to_string()
    } else {
        |day| day.format("%Y").to_string()
    }
}

/// The height of a number; what is there at all is seen.
fn scaled(value: u64, highest: u64) -> u64 {
    if value == 0 || highest == 0 {
        return 0;
    }
    u64::try_from(u128::from(value) * u128::from(HEIGHT) / u128::from(highest))
        .unwrap_or(HEIGHT)
        .max(1)
}
