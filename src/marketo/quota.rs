//! When the instance's daily quota is filled again: midnight US Central, daylight saving included.
//!
//! Reads no clock: the answer that says the quota is used up carries its own time, in its request
//! id.

use chrono::{DateTime, Days, TimeZone, Utc};
use chrono_tz::America::Chicago;

use crate::lead::request_arrival;

/// The day of the instance's quota that a moment belongs to.
pub(crate) fn day(at: DateTime<Utc>) -> chrono::NaiveDate {
    at.with_timezone(&Chicago).date_naive()
}

/// The midnight that follows the call with this request id.
pub(super) fn filled_again(request_id: &str) -> Option<DateTime<Utc>> {
    let today = day(request_arrival(request_id)?);
    let midnight = today.checked_add_days(Days::new(1))?.and_hms_opt(0, 0, 0)?;
    // Clocks there change at two in the morning, so that midnight exists, and once.
    Chicago.from_local_datetime(&midnight).earliest().map(|midnight| midnight.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::filled_again;

    #[test]
    fn the_quota_is_filled_at_the_next_midnight_in_chicago() {
        let at = |millis: i64| filled_again(&format!("16b#{millis:x}")).unwrap().to_rfc3339();
        // 05:30 UTC is after midnight in summer, and before it in winter.
        let summer = chrono::DateTime::parse_from_rfc3339("2026-07-10T05:30:00Z")
            .unwrap()
            .timestamp_millis();
        assert_eq!(at(summer), "2026-07-11T05:00:00+00:00");
        let winter = chrono::DateTime::parse_from_rfc3339("2026-01-10T05:30:00Z")
            .unwrap()
            .timestamp_millis();
        assert_eq!(at(winter), "2026-01-10T06:00:00+00:00");
        for odd in ["", "16b", "16b#", "16b#zz", "16b#7fffffffffffffff"] {
            assert_eq!(filled_again(odd), None, "{odd}");
        }
    }
}
