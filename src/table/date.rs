//! Dates in the forms that spreadsheets, databases and Marketo's screens write.
//!
//! [`read`] reads one text. Most forms can mean one day only. `3/4/2019` can mean two: such a text
//! is read in both orders, and [`Judge`] decides by the whole column which order the writer used.
//! Pure.

use chrono::{
    DateTime, Duration, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _, Utc,
};

mod iso;
mod judge;
mod parse;
mod words;

pub use judge::{Judge, Reading, Refusal};

use crate::lead::{is_plain_time, parse_time};

/// In which order a writer puts day, month and year where all three are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Month, day, year: `3/4/2019` is 4 March.
    Us,
    /// Day, month, year: `3/4/2019` is 3 April.
    Eu,
    /// Year, month, day: `19-03-04` is 4 March 2019.
    Iso,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Us, Self::Eu, Self::Iso];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Iso => "iso",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Us => "US dates",
            Self::Eu => "European dates",
            Self::Iso => "ISO dates",
        }
    }
}

/// Where times are that name no zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Zone(Option<chrono_tz::Tz>);

impl Zone {
    /// By its name in the IANA database: `Europe/Berlin`, `UTC`.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.trim();
        if ["utc", "gmt", "z"].iter().any(|utc| name.eq_ignore_ascii_case(utc)) {
            return Some(Self(None));
        }
        let known =
            chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name))?;
        Some(Self(Some(*known)))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.map_or("UTC", chrono_tz::Tz::name)
    }

    /// The earlier of two times where clocks are put back; one that a change of clocks skips is
    /// taken as of before the change.
    fn instant(self, local: NaiveDateTime) -> DateTime<Utc> {
        let Some(zone) = self.0 else { return local.and_utc() };
        let at = |local: NaiveDateTime| zone.from_local_datetime(&local).earliest();
        at(local)
            .or_else(|| at(local - Duration::hours(3)).map(|before| before + Duration::hours(3)))
            .map_or_else(|| local.and_utc(), |time| time.with_timezone(&Utc))
    }
}

/// How a date was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Year first, with a year of four digits.
    Iso,
    /// With the month's name.
    Named,
    /// Days since 1900, as Excel counts.
    Serial,
    /// Three numbers, the year not first.
    Numeric,
}

/// Which day a text may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Days {
    /// One day, whoever wrote it.
    Known(NaiveDate),
    /// By the order of the writer; at least one of them is a day.
    ByOrder {
        /// In the order of [`Order::ALL`].
        days: [Option<NaiveDate>; 3],
        /// Whether dots separate the numbers, as only those who write the day first do.
        dotted: bool,
    },
}

/// The time of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) time: NaiveTime,
    /// Whether the text says the second.
    pub(super) to_the_second: bool,
}

/// A text as a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateText {
    pub(super) days: Days,
    pub(super) time: Option<Time>,
    pub(super) offset: Option<FixedOffset>,
    pub(super) form: Form,
}

impl DateText {
    /// The day by this order; none where it is none.
    pub fn day(&self, order: Option<Order>) -> Option<NaiveDate> {
        match self.days {
            Days::Known(day) => Some(day),
            Days::ByOrder { days, .. } => *days.get(order? as usize)?,
        }
    }

    /// Whether it names a time of day.
    pub fn has_time(&self) -> bool {
        self.time.is_some()
    }

    /// The date as the cache keeps it: `2019-03-04T17:06:00Z`, `2019-03-04T17:06Z` where no second
    /// was named, `2019-03-04` where no time was.
    pub fn stored(&self, order: Option<Order>, zone: Zone) -> Option<String> {
        let day = self.day(order)?;
        let Some(Time { time, to_the_second }) = self.time else { return Some(day.to_string()) };
        let local = day.and_time(time);
        let at = match self.offset {
            Some(offset) => offset.from_local_datetime(&local).single()?.with_timezone(&Utc),
            None => zone.instant(local),
        };
        let form = if to_the_second { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%MZ" };
        Some(at.format(form).to_string())
    }
}

/// Reads a text as a date; none where it is none.
pub fn read(text: &str) -> Option<DateText> {
    let text = text.trim();
    iso::read(text).or_else(|| parse::read(text))
}

/// Whether a text is a time exactly as Marketo writes it, `2019-03-04T17:06:00Z`: then it is kept
/// as it is, whatever else its column holds.
pub fn is_marketos(text: &[u8]) -> bool {
    is_plain_time(text)
}

/// The text that the cache keeps for a text of a column that is read so. What Marketo itself writes
/// is kept as it is.
pub fn stored(text: &str, order: Option<Order>, zone: Zone) -> Option<String> {
    let date = read(text)?;
    let is_exact = date.offset.is_some() || zone == Zone::default();
    if is_exact && date.form == Form::Iso && parse_time(text).is_some() {
        return Some(text.trim().to_owned());
    }
    date.stored(order, zone)
}

#[cfg(test)]
mod tests;
