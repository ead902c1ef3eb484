//! What ends a run before its plan does although nothing is wrong: the hours for merging are over,
//! somebody asks for a pause, or other integrations need the calls that are left of the day.
//!
//! The same command goes on later. Never: takes back a call that has left.

use std::fmt;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::terminal::counted;

mod hours;

pub use hours::Hours;

/// What a run heeds.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Brakes {
    /// When merges may leave; at any time where none are given.
    pub hours: Option<Hours>,
    /// While this file is there, nothing leaves.
    pub stop_file: Option<PathBuf>,
    /// Which share of the day's calls is left to others.
    pub share: Option<Share>,
}

/// Calls of a day, which ends at midnight US Central.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What Marketo allows all integrations together.
    pub quota: u64,
    /// What is left to others.
    pub left_to_others: u64,
}

/// Why nothing may leave now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brake {
    /// Merges may not leave at this time.
    OutsideHours {
        /// When they may.
        hours: String,
        /// When they may next, in the time zone of the hours.
        next: Option<String>,
    },
    /// The stop file is there.
    StopFile(PathBuf),
    /// The rest of the day's calls is for others.
    CallsOfOthers {
        /// Calls of today, of all integrations together.
        used: u64,
        /// Which share is left to others.
        share: Share,
    },
}

impl Brakes {
    /// The hours that merges may leave in.
    #[must_use]
    pub fn hours(self, hours: Option<Hours>) -> Self {
        Self { hours, ..self }
    }

    /// The file whose appearance stops a run.
    #[must_use]
    pub fn stop_file(self, stop_file: Option<PathBuf>) -> Self {
        Self { stop_file, ..self }
    }

    /// The share of the day's calls that is left to others.
    #[must_use]
    pub fn share(self, share: Option<Share>) -> Self {
        Self { share, ..self }
    }

    /// Why nothing may leave at this time, by all that can be told without asking Marketo.
    pub fn at(&self, now: DateTime<Utc>) -> Option<Brake> {
        // A file that cannot be looked for may be there.
        let is_there = |file: &&PathBuf| file.try_exists().unwrap_or(true);
        if let Some(file) = self.stop_file.as_ref().filter(is_there) {
            return Some(Brake::StopFile(file.clone()));
        }
        let hours = self.hours.as_ref().filter(|hours| !hours.are_open(now))?;
        Some(Brake::OutsideHours { hours: hours.to_string(), next: hours.next_opening(now) })
    }
}

impl Share {
    /// Why nothing more may leave once so many calls were made.
    pub(super) fn after(self, used: u64) -> Option<Brake> {
        let left = self.quota.saturating_sub(used);
        (left <= self.left_to_others).then_some(Brake::CallsOfOthers { used, share: self })
    }
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideHours { hours, next } => {
                write!(f, "merge.hours ({hours}) allows no merge at this time")?;
                match next {
                    Some(next) => write!(f, "; the same command goes on from {next}"),
                    None => f.write_str("; the same command goes on when it does"),
                }
            }
            Self::StopFile(file) => write!(
                f,
                "the stop file {} is there; remove it, and the same command goes on",
                file.display()
            ),
            Self::CallsOfOthers { used, share: Share { quota, left_to_others } } => write!(
                f,
                "all integrations together have made {} of the {} that limits.quota names for a day, and merge.leave_calls leaves {} to the others; the same command goes on after midnight US Central",
                counted(*used, "call"),
                crate::terminal::count(*quota),
                crate::terminal::count(*left_to_others),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Brake, Brakes, Share};

    #[test]
    fn a_stop_file_stops_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stop");
        let brakes = Brakes::default().stop_file(Some(file.clone()));
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        assert_eq!(brakes.at(now), None);
        std::fs::write(&file, "").unwrap();
        assert_eq!(brakes.at(now), Some(Brake::StopFile(file.clone())));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(brakes.at(now), None);
    }

    #[test]
    fn others_keep_their_share_of_the_day() {
        let share = Share { quota: 50_000, left_to_others: 5_000 };
        assert_eq!(share.after(44_999), None);
        for used in [45_000, 60_000] {
            let brake = share.after(used).unwrap();
            assert!(brake.to_string().contains("midnight US Central"), "{brake}");
        }
    }
}
