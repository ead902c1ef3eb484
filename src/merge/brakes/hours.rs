//! When merges may leave: `Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Europe/Berlin`. Pure.
//!
//! ```text
//! HOURS = SPAN {"," SPAN} " " ZONE
//! SPAN  = [DAY ["-" DAY] " "] HH:MM "-" HH:MM
//! ```
//!
//! Days are Mon to Sun, every day where none is named; a span that ends at or before the time of
//! its beginning goes on into the next day, and belongs to the day on which it begins. A zone is an
//! IANA name, or UTC. Times are those of the clock on the wall there, in summer and in winter.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeZone as _, Timelike as _};
use chrono::{Utc, Weekday};
use chrono_tz::Tz;

const DAY_MINUTES: u32 = 24 * 60;

const EXAMPLE: &str = "takes hours such as `Mon-Fri 20:00-06:00 Europe/Berlin`";

/// When merges may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    text: String,
    spans: Vec<Span>,
    zone: Tz,
}

/// Minutes of some days; `to` may be on the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    /// By days since Monday.
    days: [bool; 7],
    from: u32,
    to: u32,
}

impl Hours {
    /// Whether merges may leave at this time.
    pub fn are_open(&self, now: DateTime<Utc>) -> bool {
        let local = now.with_timezone(&self.zone);
        let minute = local.hour() * 60 + local.minute();
        let today = local.weekday();
        self.spans.iter().any(|span| {
            let begun_today = span.is_on(today) && (span.from..span.to).contains(&minute);
            let yesterdays = (span.from..span.to).contains(&(minute + DAY_MINUTES));
            begun_today || (span.is_on(today.pred()) && yesterdays)
        })
    }

    /// When they may next, as the clock there shows it.
    pub fn next_opening(&self, now: DateTime<Utc>) -> Option<String> {
        let today = now.with_timezone(&self.zone).date_naive();
        let days = (0..=7).filter_map(|days| today.checked_add_days(Days::new(days)));
        let openings = days.flat_map(|day| {
            let of_day = self.spans.iter().filter(move |span| span.is_on(day.weekday()));
            of_day.filter_map(move |span| self.moment(day, span.from))
        });
        let next = openings.filter(|opening| *opening > now).min()?;
        Some(format!("{} ({})", next.format("%a %Y-%m-%d %H:%M"), self.zone))
    }

    /// None where the clock there skips this time.
    fn moment(&self, day: NaiveDate, minute: u32) -> Option<DateTime<Tz>> {
        let time = NaiveTime::from_hms_opt(minute / 60, minute % 60, 0)?;
        self.zone.from_local_datetime(&day.and_time(time)).earliest()
    }
}

impl Span {
    fn is_on(&self, day: Weekday) -> bool {
        let place = usize::try_from(day.num_days_from_monday()).unwrap_or_default();
        self.days.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (spans, zone) = text.rsplit_once(char::is_whitespace).unwrap_or((text, ""));
        if zone.is_empty() || zone.contains(':') {
            return Err(format!(
                "{EXAMPLE}; `{text}` names no time zone: add one, such as Europe/Berlin or UTC"
            ));
        }
        let zone: Tz = zone.parse().map_err(|_unknown| {
            format!("{EXAMPLE}; `{zone}` is no time zone that the IANA database has")
        })?;
        let spans = spans.split(',').map(|span| parse_span(span.trim()));
        let spans = spans.collect::<Result<Vec<_>, String>>()?;
        Ok(Self { text: text.to_owned(), spans, zone })
    }
}

fn parse_span(text: &str) -> Result<Span, String> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let times = words.pop().unwrap_or_default();
    let days = match words.as_slice() {
        [] => [true; 7],
        [days] => parse_days(days)?,
        _ => return Err(format!("{EXAMPLE}; `{text}` is no span of hours")),
    };
    let (from, to) = times
        .split_once('-')
        .ok_or_else(|| format!("{EXAMPLE}; `{times}` is no span of hours such as 20:00-06:00"))?;
    let (from, to) = (parse_time(from)?, parse_time(to)?);
    if from == to {
        return Err(format!("`{times}` has no length; write 00:00-24:00 for the whole of a day"));
    }
    if from == DAY_MINUTES {
        return Err(format!("`{times}` begins at 24:00; write 00:00 of the next day"));
    }
    let to = if to < from { to + DAY_MINUTES } else { to };
    Ok(Span { days, from, to })
}

fn parse_days(text: &str) -> Result<[bool; 7], String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_day(first)?, parse_day(last)?);
    let mut days = [false; 7];
    // Sat-Mon goes over the end of the week.
    let length = (last + 7 - first) % 7 + 1;
    for place in (first..first + length).map(|day| day % 7) {
        if let Some(day) = days.get_mut(place) {
            *day = true;
        }
    }
    Ok(days)
}

fn parse_day(text: &str) -> Result<usize, String> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let lower = text.trim().to_lowercase();
    NAMES.iter().position(|name| *name == lower).ok_or_else(|| {
        format!("{EXAMPLE}; `{text}` is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun")
    })
}

fn parse_time(text: &str) -> Result<u32, String> {
    let refuse = || format!("{EXAMPLE}; `{text}` is no time from 00:00 to 24:00");
    let (hours, minutes) = text.trim().split_once(':').ok_or_else(refuse)?;
    let number = |digits: &str, most: u32| {
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|number: &u32| is_number && *number <= most)
    };
    let time = number(hours, 24)
        .zip(number(minutes, 59))
        .map(|(hours, minutes)| hours * 60 + minutes)
        .filter(|time| *time <= DAY_MINUTES);
    time.ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::Hours;

    fn at(hours: &str, time: &str) -> bool {
        hours.parse::<Hours>().unwrap().are_open(time.parse().unwrap())
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let hours = "Mon-Fri 20:00-06:00 Europe/Berlin";
        // 2026-11-30 is a Monday, and Berlin is an hour ahead of UTC in winter.
        for (time, open) in [
            ("2026-11-30T18:59:59Z", false),
            ("2026-11-30T19:00:00Z", true),
            ("2026-12-01T04:59:59Z", true),
            ("2026-12-01T05:00:00Z", false),
            // The night from Friday to Saturday, and no other of the weekend.
            ("2026-12-05T04:00:00Z", true),
            ("2026-12-05T20:00:00Z", false),
            ("2026-12-07T04:00:00Z", false),
            // In summer it is two hours.
            ("2026-07-06T17:59:59Z", false),
            ("2026-07-06T18:00:00Z", true),
        ] {
            assert_eq!(at(hours, time), open, "{time}");
        }
    }

    #[test]
    fn several_spans_whole_days_and_weeks_that_go_on_over_their_end() {
        let hours = "Tue 09:30-10:00, Sat-Mon 00:00-24:00 UTC";
        for (time, open) in [
            ("2026-12-01T09:29:00Z", false),
            ("2026-12-01T09:30:00Z", true),
            ("2026-12-01T10:00:00Z", false),
            ("2026-12-05T00:00:00Z", true),
            ("2026-12-06T23:59:59Z", true),
            ("2026-12-07T23:59:59Z", true),
            ("2026-12-08T00:00:00Z", false),
        ] {
            assert_eq!(at(hours, time), open, "{time}");
        }
        assert!(at("22:00-04:00 UTC", "2026-12-02T03:00:00Z"), "every day where none is named");
    }

    #[test]
    fn the_next_opening_is_told_by_the_clock_there() {
        let hours: Hours = "Mon-Fri 20:00-06:00 Europe/Berlin".parse().unwrap();
        for (now, next) in [
            ("2026-11-30T12:00:00Z", "Mon 2026-11-30 20:00 (Europe/Berlin)"),
            ("2026-12-05T12:00:00Z", "Mon 2026-12-07 20:00 (Europe/Berlin)"),
        ] {
            assert_eq!(hours.next_opening(now.parse().unwrap()).as_deref(), Some(next));
        }
        // The clock skips half past two on this night; the next one has it.
        let hours: Hours = "02:30-03:00 Europe/Berlin".parse().unwrap();
        let next = hours.next_opening("2026-03-28T12:00:00Z".parse().unwrap());
        assert_eq!(next.as_deref(), Some("Mon 2026-03-30 02:30 (Europe/Berlin)"));
    }

    #[test]
    fn nonsense_is_refused_with_what_is_wrong_with_it() {
        for (text, part) in [
            ("", "no time zone"),
            ("Mon-Fri 20:00-06:00", "names no time zone"),
            ("Mon-Fri 20:00-06:00 Berlin", "`Berlin` is no time zone"),
            ("Mon-Fry 20:00-06:00 UTC", "`Fry` is no day"),
            ("Mon 20-6 UTC", "`20` is no time"),
            ("Mon 20:00-24:01 UTC", "`24:01` is no time"),
            ("Mon 20:60-21:00 UTC", "`20:60` is no time"),
            ("Mon 20:00 UTC", "`20:00` is no span"),
            ("Mon 08:00-08:00 UTC", "no length"),
            ("Mon 24:00-08:00 UTC", "begins at 24:00"),
            ("Mon, Tue 08:00-10:00 UTC", "`Mon` is no span"),
            ("Mon at night 08:00-10:00 UTC", "no span of hours"),
        ] {
            let error = text.parse::<Hours>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
