//! What a full scan would cost, by bulk extract and by pages, and which of them is the cheaper one
//! here.
//!
//! Calls are what every integration of the instance shares and needs; the bytes of bulk extract lie
//! idle on most instances. So the way with fewer calls is the cheaper one, unless the day's bytes
//! make it take more days. Never: more than a guess. The highest id stands for the number of leads,
//! and is more than that: ids of leads that were merged or deleted are gone.

use std::time::Duration;

use chrono::{DateTime, Utc};

mod history;

pub use history::{CallRange, Unexplained, history_calls, refresh_calls};

use super::bulk::windows_since;
use super::max_id::{ActivityLog, highest_id};
use super::rows::Kind;
use super::{Error, Now};
use crate::lead::LeadId;
use crate::marketo::{self, ExportLeads, ReadActivities, ReadLeads, ReadUsage, Schema};

/// Calls of the whole instance a day, as most contracts have it; no call tells.
const MARKETO_A_DAY: u64 = 50_000;

/// A page of leads takes about so long to be answered.
const ANSWER: Duration = Duration::from_millis(500);

/// A window takes about so many calls: create, enqueue, two looks, the file.
const CALLS_A_WINDOW: u64 = 5;

/// A job takes about so long, a look a minute included, and two run at once.
const SECONDS_A_JOB: u64 = 75;
const JOBS_AT_ONCE: u64 = 2;

/// Marketo sends files at about so many bytes a second.
const BYTES_A_SECOND: u64 = 4_000_000;

/// What bounds a scan from this side.
#[derive(Debug, Clone, Copy)]
pub struct ScanLimits {
    /// Calls in a window of this length.
    pub calls: usize,
    /// See `calls`.
    pub window: Duration,
    /// Calls in flight at once.
    pub concurrency: usize,
    /// Calls a day.
    pub daily_calls: u64,
}

/// What a way of scanning costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Calls of the API.
    pub calls: u64,
    /// Bytes of bulk extract.
    pub bytes: u64,
    /// Seconds of running, the hours of waiting for another day not counted.
    pub seconds: u64,
    /// Days over which the budgets spread it: 1 if it is done today.
    pub days: u64,
}

/// How the leads of an instance are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In files, a window of creation times each.
    Bulk,
    /// In pages of 300 ids.
    Pages,
}

/// What a full scan would cost, and how it is best done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// No lead has a higher id.
    pub highest_id: LeadId,
    /// Calls that are left today, of this program's budget and of what most contracts allow.
    pub calls_left: u64,
    /// Bytes of bulk extract that are left today of this program's budget.
    pub export_left: u64,
    /// By pages.
    pub pages: Cost,
    /// By bulk extract; none where nothing tells how old the instance is.
    pub bulk: Option<Cost>,
    /// The cheaper way.
    pub way: Way,
    /// Why it is that, as a clause.
    pub reason: &'static str,
    /// No lead is older; none where nothing tells.
    pub beginning: Option<DateTime<Utc>>,
}

/// Finds out with a handful of calls what a scan of these fields would cost.
pub async fn estimate(
    marketo: &(impl ReadLeads + ReadActivities + ReadUsage + ExportLeads),
    fields: &[String],
    schema: &Schema,
    log: ActivityLog,
    limits: &ScanLimits,
    made: u64,
    now: Now,
) -> Result<Estimate, Error> {
    let highest_id = highest_id(marketo, log, now()).await?;
    let beginning = match marketo.first_possible_creation().await {
        Ok(beginning) => beginning,
        // Without the permission to see folders a scan by pages goes on as well.
        Err(marketo::Error::Permission { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let used = marketo.usage_today().await?.total;
    let budgets = Budgets {
        calls_left: limits.daily_calls.saturating_sub(made).min(MARKETO_A_DAY.saturating_sub(used)),
        calls_a_day: limits.daily_calls.min(MARKETO_A_DAY),
        export_left: marketo.export_left(),
        export_a_day: marketo.export_a_day(),
    };
    let bytes = highest_id.saturating_mul(row_bytes(fields, schema));
    let compared = compare(highest_id, windows(beginning, now()), bytes, limits, budgets);
    Ok(Estimate { beginning, ..compared })
}

/// How many windows a bulk scan has.
fn windows(beginning: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<u64> {
    beginning.map(|beginning| windows_since(beginning, now).len() as u64)
}

/// What is left, and what there is in a day.
#[derive(Debug, Clone, Copy)]
struct Budgets {
    calls_left: u64,
    calls_a_day: u64,
    export_left: u64,
    export_a_day: u64,
}

fn compare(
    highest_id: LeadId,
    windows: Option<u64>,
    bytes: u64,
    limits: &ScanLimits,
    budgets: Budgets,
) -> Estimate {
    let Budgets { calls_left, calls_a_day, export_left, export_a_day } = budgets;
    let cost = |calls: u64, bytes: u64, seconds: u64| {
        let days = days(calls, calls_left, calls_a_day).max(days(bytes, export_left, export_a_day));
        Cost { calls, bytes, seconds, days }
    };
    let calls = history::pages_of(highest_id);
    let pages = cost(calls, 0, seconds_of(calls, limits));
    let bulk = windows.map(|windows| {
        let running =
            windows.div_ceil(JOBS_AT_ONCE).saturating_mul(SECONDS_A_JOB) + bytes / BYTES_A_SECOND;
        cost(windows.saturating_mul(CALLS_A_WINDOW) + 1, bytes, running)
    });
    let (way, reason) = match bulk {
        None => {
            (Way::Pages, "nothing tells how old the instance is, which bulk extract needs to know")
        }
        Some(bulk) if pages.calls <= bulk.calls => {
            (Way::Pages, "the instance is small for its age")
        }
        Some(bulk) if bulk.days <= pages.days => (Way::Bulk, "it takes fewer calls"),
        Some(_) => (Way::Pages, "the day's bytes of bulk extract would make it take more days"),
    };
    Estimate { highest_id, calls_left, export_left, pages, bulk, way, reason, beginning: None }
}

/// How many days something takes of which so much is left today, and so much is had every other
/// day.
fn days(needed: u64, left: u64, a_day: u64) -> u64 {
    1 + needed.saturating_sub(left).div_ceil(a_day.max(1))
}

/// How long so many calls take, as the rate and the number at once allow.
pub fn seconds_of(calls: u64, limits: &ScanLimits) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "a guess, of numbers far below 2^52")]
    let (calls, at_a_time) = (calls as f64, limits.calls.max(1) as f64);
    let by_rate = (calls / at_a_time).floor() * limits.window.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let by_answers = calls * ANSWER.as_secs_f64() / limits.concurrency.max(1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive span of seconds"
    )]
    let seconds = by_rate.max(by_answers).ceil() as u64;
    seconds
}

/// What a row of these fields weighs in a file, about.
fn row_bytes(fields: &[String], schema: &Schema) -> u64 {
    let weight = |field: &String| {
        let data_type = schema.fields.get(field).map_or("", |facts| facts.data_type.as_str());
        let value = match (field.as_str(), data_type) {
            ("firstName" | "lastName", _) => 8,
            ("originalSourceInfo", _) => 30,
            (_, "email") => 26,
            (_, "datetime") => 21,
            (_, "text" | "textarea") => 100,
            _ => match Kind::of(data_type) {
                Kind::Flag => 6,
                Kind::Number => 8,
                Kind::Text => 16,
            },
        };
        value + 1
    };
    fields.iter().map(weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ScanLimits = ScanLimits {
        calls: 50,
        window: Duration::from_secs(20),
        concurrency: 5,
        daily_calls: 25_000,
    };

    fn of(highest: u64, windows: Option<u64>) -> Estimate {
        let budgets = Budgets {
            calls_left: 25_000,
            calls_a_day: 25_000,
            export_left: 400_000_000,
            export_a_day: 400_000_000,
        };
        compare(highest, windows, highest * 200, &LIMITS, budgets)
    }

    #[test]
    fn fewer_calls_are_cheaper_as_long_as_the_days_bytes_suffice() {
        let ten_years = Some(118);
        assert_eq!(of(20_000, ten_years).way, Way::Pages, "67 pages are fewer than 118 windows");
        assert_eq!(of(500_000, ten_years).way, Way::Bulk);
        assert_eq!(of(1_900_000, ten_years).way, Way::Bulk);
        let large = of(5_000_000, ten_years);
        assert_eq!((large.way, large.pages.days, large.bulk.unwrap().days), (Way::Pages, 1, 3));
        assert_eq!(of(500_000, None).way, Way::Pages);
    }

    #[test]
    fn time_is_what_the_limits_allow() {
        let half_a_million = of(500_000, Some(118));
        assert_eq!((half_a_million.pages.calls, half_a_million.pages.seconds), (1_677, 660));
        let bulk = half_a_million.bulk.unwrap();
        assert_eq!((bulk.calls, bulk.bytes, bulk.seconds), (591, 100_000_000, 59 * 75 + 25));
    }
}
