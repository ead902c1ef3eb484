//! What a report is of, and how much of that was read: nothing is "none" that nobody has looked
//! for.
//!
//! For: one place for the words about a scan that did not end, a file, and an activity log that was
//! not read. Every form of the report takes them from here. Never: decides what a command does
//! about it.

use chrono::{DateTime, Utc};

use crate::cache::{Causes, Reached, Summary};
use crate::terminal::{count, counted};

/// What the groups were taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The Marketo instance.
    pub instance: String,
    /// When the last complete scan ended; `None` where there is none yet.
    pub scanned_at: Option<DateTime<Utc>>,
    /// How many leads the cache holds.
    pub leads: u64,
    /// Whether it is the whole of a scan. Where it is not, "none" would mean "none so far".
    pub complete: bool,
    /// Whether the leads were read from a file: it has no activity log, and may be a part of the
    /// instance.
    pub is_file: bool,
    /// How the scan reads that did not end; none where none was begun.
    pub running: Option<String>,
    /// How far that scan came.
    pub reached: Option<Reached>,
    /// How far the activity log was read for the leads in groups.
    pub log: Log,
    /// The fields that the scan read. Where nobody knows, it read all that it needs.
    pub fields: Option<Vec<String>>,
}

/// How far the activity log was read: what it alone tells are the races, the integrations and the
/// past.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(into = "super::document::LogRecord")]
pub enum Log {
    /// For every lead in a group.
    #[default]
    Read,
    /// Not for so many leads in groups, for this reason. What is counted of it is the least that
    /// there is.
    InPart {
        /// Leads in groups that were not looked for.
        unread: u64,
        /// Why not.
        why: WhyUnread,
    },
    /// For none of them, for this reason. What it would tell is not known, and is not 0.
    Unread(WhyUnread),
}

/// Why the activity log was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyUnread {
    /// A file has none.
    File,
    /// The scan was run with `--no-causes`.
    NotAsked,
    /// The API user lacks *Read-Only Activity*.
    Denied,
    /// The scan did not come to it, or not to its end.
    Unfinished,
}

impl Source {
    /// Of a cache. `unread` are the leads in groups whose births nobody has asked for, and
    /// `any_read` says whether anybody has asked for one.
    pub fn of(summary: Summary, unread: u64, any_read: bool) -> Self {
        let is_file = summary.strategy.as_deref() == Some("file");
        let log = match why_unread(&summary, is_file) {
            None => Log::Read,
            Some(WhyUnread::File) => Log::Unread(WhyUnread::File),
            Some(_) if unread == 0 => Log::Read,
            Some(why) if any_read => Log::InPart { unread, why },
            Some(why) => Log::Unread(why),
        };
        let Summary { instance, scanned_at, leads, complete, running, reached, fields, .. } =
            summary;
        Self { instance, scanned_at, leads, complete, is_file, running, reached, log, fields }
    }

    /// What is not read yet, and what to do next, in sentences; nothing where the scan is complete.
    pub fn unfinished(&self) -> Option<String> {
        if self.complete {
            return None;
        }
        let Some(running) = self.running.as_deref() else {
            return Some(
                "Not known yet: no scan of this instance has ended so far. Run `mkto-audit scan`."
                    .to_owned(),
            );
        };
        let stopped = match (running, self.reached) {
            ("refresh", _) => {
                "the last scan was to read what has changed, and did not end".to_owned()
            }
            (_, Some(Reached { done, expected })) => {
                let of_all = expected.map(|all| format!(" of about {}", count(all.max(done))));
                let what = if running == "bulk" { "files of bulk extract" } else { "ids" };
                format!("the scan stopped at {}{} {what}", count(done), of_all.unwrap_or_default())
            }
            _ => "the scan did not end".to_owned(),
        };
        let rest = match self.scanned_at {
            Some(at) => {
                format!(
                    ". The other records are as the scan of {} UTC saw them",
                    at.format("%Y-%m-%d %H:%M")
                )
            }
            None => String::new(),
        };
        Some(format!(
            "Not known yet: {stopped}{rest}. Run `mkto-audit scan` again: it goes on where it stopped."
        ))
    }

    /// What is said in place of groups where there is none.
    pub(super) fn none_found(&self) -> String {
        if self.complete {
            return "No duplicates found.".to_owned();
        }
        match self.leads {
            0 => "No record was read so far.".to_owned(),
            leads => format!(
                "No duplicates so far, among the {} that were read.",
                counted(leads, "record")
            ),
        }
    }

    /// What the activity log would tell and is not known, with the way to it; nothing where it was
    /// read.
    pub fn not_known(&self) -> Option<String> {
        const TOLD: &str = "which integrations made the duplicates, which of them arose from two calls at once, and what the guard \
             would have prevented";
        let (head, why) = match self.log {
            Log::Read => return None,
            Log::Unread(why) => {
                (format!("Not known: {TOLD}. Causes are guesses from the records alone"), why)
            }
            Log::InPart { unread, why } => {
                let them = counted(unread, "record");
                (
                    format!(
                        "Not known of {them} in groups: {TOLD}. The numbers are the least that there is"
                    ),
                    why,
                )
            }
        };
        if !self.complete && why == WhyUnread::Unfinished {
            return Some(format!("{head}: the activity log is read when all leads are."));
        }
        Some(format!("{head}: {}.", why.in_words()))
    }
}

impl Log {
    /// Whether nothing of it is known, so that what it would tell is left out rather than shown as
    /// 0.
    pub fn is_unread(self) -> bool {
        matches!(self, Self::Unread(_))
    }
}

impl WhyUnread {
    /// As JSON names it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::NotAsked => "not_asked",
            Self::Denied => "permission",
            Self::Unfinished => "unfinished",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::File => {
                "a file has no activity log. A scan of the instance itself (`mkto-audit scan`) reads it"
            }
            Self::NotAsked => {
                "the scan was run with --no-causes. Run `mkto-audit scan`: it finds the causes"
            }
            Self::Denied => {
                "the API user lacks the permission Read-Only Activity. Give it to the user's role (in Marketo: Admin > \
                 Users & Roles > Roles > Access API), check it with `mkto-audit doctor`, and run `mkto-audit scan` again"
            }
            Self::Unfinished => {
                "the scan did not come to the end of the activity log. Run `mkto-audit scan` again: it goes on there"
            }
        }
    }
}

fn why_unread(summary: &Summary, is_file: bool) -> Option<WhyUnread> {
    if is_file {
        return Some(WhyUnread::File);
    }
    match summary.causes {
        Causes::Known => None,
        Causes::Unfinished => Some(WhyUnread::Unfinished),
        Causes::NotAsked => Some(WhyUnread::NotAsked),
        Causes::Denied => Some(WhyUnread::Denied),
    }
}
