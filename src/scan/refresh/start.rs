//! Whether a scan can be a refresh, and from where; and if not, why not. Pure: the time is handed
//! in.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cache::Summary;

/// How far back everything that a refresh reads is kept. Marketo keeps deletions for 14 days and
/// changes of data values for 90: the shorter one decides.
const HISTORY: TimeDelta = TimeDelta::days(14);

/// What a scan does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It looks at what changed since then.
    Refresh(DateTime<Utc>),
    /// It reads everything, and has nothing to explain: it is the first.
    First,
    /// It reads everything, and says why.
    Full(WhyFull),
}

/// Why a scan reads everything although there is a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyFull {
    /// A full scan was begun and did not end.
    Unfinished,
    /// The last scan read a file, and nobody knows when that was made.
    File,
    /// The cache does not say when the last scan began, or which fields it read.
    Unknown,
    /// Other fields are to be cached than the last scan read.
    Fields {
        /// Not in the cache.
        added: Vec<String>,
        /// In the cache, and not wanted any more.
        dropped: Vec<String>,
    },
    /// The activity log, which tells of changes, may not be read.
    NoLog,
    /// The history does not reach back to the last scan.
    TooOld {
        /// When that began.
        last: DateTime<Utc>,
    },
}

impl fmt::Display for WhyFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => f.write_str("a full scan was begun and did not end"),
            Self::File => {
                f.write_str("the last scan read a file, and nobody knows how old its rows are")
            }
            Self::Unknown => {
                f.write_str("the cache does not tell what the last scan read, and when it began")
            }
            Self::Fields { added, dropped } => {
                let list = |verb, fields: &[String]| format!("{verb} {}", fields.join(", "));
                let changes = [("adds", added), ("drops", dropped)];
                let changes: Vec<String> = changes
                    .into_iter()
                    .filter(|(_, fields)| !fields.is_empty())
                    .map(|(verb, fields)| list(verb, fields))
                    .collect();
                write!(f, "the configuration {} since the last scan", changes.join(" and "))
            }
            Self::NoLog => {
                f.write_str("the activity log, which tells what has changed, may not be read")
            }
            Self::TooOld { last } => write!(
                f,
                "the last scan began on {} UTC, and Marketo keeps deletions for {} days",
                last.format("%Y-%m-%d %H:%M"),
                HISTORY.num_days()
            ),
        }
    }
}

/// Whether a scan that began then has outlasted what Marketo tells of deletions, so that it may
/// hold leads that are gone.
pub fn is_beyond_history(begun: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - begun > HISTORY - TimeDelta::days(1)
}

/// What a scan of these fields does with the cache that there is. `margin` is what a refresh looks
/// back behind the beginning of the last scan.
pub fn how_to_start(
    summary: &Summary,
    fields: &[String],
    now: DateTime<Utc>,
    margin: TimeDelta,
) -> Start {
    if summary.running.as_deref().is_some_and(|strategy| strategy != "refresh") {
        return Start::Full(WhyFull::Unfinished);
    }
    if summary.scanned_at.is_none() {
        return Start::First;
    }
    if summary.strategy.as_deref() == Some("file") {
        return Start::Full(WhyFull::File);
    }
    let (Some(last), Some(cached)) = (summary.refresh_from, &summary.fields) else {
        return Start::Full(WhyFull::Unknown);
    };
    let missing = |from: &[String], other: &[String]| -> Vec<String> {
        let other: BTreeSet<&String> = other.iter().collect();
        from.iter().filter(|field| !other.contains(field)).cloned().collect()
    };
    let (added, dropped) = (missing(fields, cached), missing(cached, fields));
    if !added.is_empty() || !dropped.is_empty() {
        return Start::Full(WhyFull::Fields { added, dropped });
    }
    // A clock that was set back does not make the last scan one of the future.
    let since = last.min(now) - margin;
    if now - since > HISTORY {
        return Start::Full(WhyFull::TooOld { last });
    }
    Start::Refresh(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn names(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    fn complete() -> Summary {
        Summary {
            file: None,
            instance: "123-abc-456.mktorest.com".to_owned(),
            scanned_at: Some(at("2026-11-10T13:00:00Z")),
            leads: 1,
            complete: true,
            strategy: Some("pages".to_owned()),
            refresh_from: Some(at("2026-11-10T12:00:00Z")),
            fields: Some(names(&["id", "email"])),
            running: None,
            reached: None,
            causes: crate::cache::Causes::Known,
            key_signature: "email".to_owned(),
        }
    }

    fn started(summary: &Summary, fields: &[&str], now: &str) -> Start {
        how_to_start(summary, &names(fields), at(now), TimeDelta::days(1))
    }

    #[test]
    fn a_complete_cache_is_refreshed_from_a_day_before_its_scan_began() {
        let begun = Start::Refresh(at("2026-11-09T12:00:00Z"));
        assert_eq!(started(&complete(), &["email", "id"], "2026-11-11T00:00:00Z"), begun);
        let interrupted =
            Summary { running: Some("refresh".to_owned()), complete: false, ..complete() };
        assert_eq!(started(&interrupted, &["id", "email"], "2026-11-11T00:00:00Z"), begun);
        let set_back = Start::Refresh(at("2026-11-08T00:00:00Z"));
        assert_eq!(started(&complete(), &["id", "email"], "2026-11-09T00:00:00Z"), set_back);
    }

    #[test]
    fn the_history_must_reach_back_to_the_margin() {
        let fields = ["id", "email"];
        assert!(matches!(started(&complete(), &fields, "2026-11-23T12:00:00Z"), Start::Refresh(_)));
        let Start::Full(why) = started(&complete(), &fields, "2026-11-23T12:00:01Z") else {
            panic!()
        };
        assert_eq!(
            why.to_string(),
            "the last scan began on 2026-11-10 12:00 UTC, and Marketo keeps deletions for 14 days"
        );
    }

    #[test]
    fn other_fields_an_unfinished_scan_and_a_file_are_read_in_full() {
        let now = "2026-11-11T00:00:00Z";
        let Start::Full(why) = started(&complete(), &["id", "region"], now) else { panic!() };
        assert_eq!(
            why.to_string(),
            "the configuration adds region and drops email since the last scan"
        );
        for (summary, expected) in [
            (Summary { running: Some("pages".to_owned()), ..complete() }, WhyFull::Unfinished),
            (
                Summary { strategy: Some("file".to_owned()), refresh_from: None, ..complete() },
                WhyFull::File,
            ),
            (Summary { fields: None, ..complete() }, WhyFull::Unknown),
            (Summary { refresh_from: None, ..complete() }, WhyFull::Unknown),
        ] {
            assert_eq!(started(&summary, &["id", "email"], now), Start::Full(expected));
        }
        assert_eq!(
            started(&Summary { scanned_at: None, ..complete() }, &["id", "email"], now),
            Start::First
        );
    }
}
