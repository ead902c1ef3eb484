//! How a sandbox is set up: size, limits, knobs for what Adobe leaves open, faults.

use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that can be set. The defaults are an empty instance with Marketo's limits that takes, wherever Adobe
/// leaves something open, the answer that is harder on the client.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many leads live in it at the start.
    pub leads: u32,
    /// The share of them that have the same email as another one.
    pub duplicates: f64,
    /// What the instance and the faults are drawn from.
    pub seed: u64,
    /// How long an upsert takes between its look-up and its writing.
    pub race_window: Duration,
    /// How long any call takes at least.
    pub answer_delay: Duration,
    /// Calls in any [`Options::rate_window`]; above it 606.
    pub rate_limit: usize,
    /// See [`Options::rate_limit`].
    pub rate_window: Duration,
    /// Calls at once; above it 615.
    pub concurrency: usize,
    /// Calls a day; above it 607.
    pub daily_quota: u64,
    /// Bytes of bulk extract a day; above it 1029.
    pub daily_export: u64,
    /// Permissions that the API user lacks, for example `Read-Only Activity`.
    pub denied: Vec<String>,
    /// What Adobe leaves open.
    pub knobs: Knobs,
    /// What goes wrong, and how often.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            leads: 0,
            duplicates: 0.0,
            seed: 1,
            race_window: Duration::from_millis(250),
            answer_delay: Duration::ZERO,
            rate_limit: 100,
            rate_window: Duration::from_secs(20),
            concurrency: 10,
            daily_quota: 50_000,
            daily_export: 500_000_000,
            denied: Vec::new(),
            knobs: Knobs::default(),
            faults: Faults::default(),
        }
    }
}

/// A `NAME=VALUE` that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// There is no `=` in it.
    #[error("`{0}` is not of the form NAME=VALUE")]
    NoValue(String),
    /// No knob or fault has this name.
    #[error("there is no {what} `{name}`; there are: {known}")]
    Unknown {
        /// Knob or fault.
        what: &'static str,
        /// As written.
        name: String,
        /// Every name there is.
        known: String,
    },
    /// The value does not fit.
    #[error("{name} takes {takes}, not `{value}`")]
    Value {
        /// The knob or fault.
        name: String,
        /// As written.
        value: String,
        /// What it takes.
        takes: String,
    },
}

impl Options {
    /// Sets a knob from `NAME=VALUE`.
    pub fn set_knob(&mut self, text: &str) -> Result<(), OptionError> {
        let (name, value) = split(text)?;
        self.knobs.set(name, value)
    }

    /// Sets how often a fault occurs from `KIND=RATE`.
    pub fn set_fault(&mut self, text: &str) -> Result<(), OptionError> {
        let (name, value) = split(text)?;
        let kind = Fault::named(name)?;
        let rate: f64 = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate)).ok_or_else(|| {
            OptionError::Value {
                name: name.to_owned(),
                value: value.to_owned(),
                takes: "a rate from 0 to 1".to_owned(),
            }
        })?;
        self.faults.rates.insert(kind, rate);
        Ok(())
    }
}

fn split(text: &str) -> Result<(&str, &str), OptionError> {
    text.split_once('=')
        .map(|(name, value)| (name.trim(), value.trim()))
        .ok_or_else(|| OptionError::NoValue(text.to_owned()))
}

/// Answers to questions that Adobe leaves open; each by name, with the harder answer first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knobs {
    values: BTreeMap<&'static str, String>,
}

/// A knob: its name, and the values that it takes, the default first; a number where there is one value only.
const KNOBS: &[(&str, &[&str])] = &[
    ("batch_dupes", &["create_both", "sequential"]),
    ("create_only_races", &["true", "false"]),
    ("create_only_multi", &["1007", "1005"]),
    ("push_multi", &["1007", "newest"]),
    ("email_trim", &["false", "true"]),
    ("lookup_case", &["ignored", "minded"]),
    ("merge_partial", &["stop_at_first_error", "atomic"]),
    ("merge_blanks", &["first_listed", "first_nonblank"]),
    ("bool_rule", &["march2026", "legacy_true_wins"]),
    ("merge_score", &["winner", "sum"]),
    ("merge_status", &["winner", "higher"]),
    ("merged_lead", &["1004", "empty"]),
    ("merge_emits_delete", &["false", "true"]),
    ("crm_rank", &["always", "only_with_flag"]),
    ("crm_many_losers", &["1080", "1078", "allow"]),
    ("merge_across_partitions", &["1010", "allow"]),
    ("concurrent_merges", &["611", "serialise"]),
    ("updated_at_filter", &["off", "on"]),
    ("export_quotes", &["doubled", "bare"]),
    ("clock_speed", &["1"]),
    ("token_life_s", &["3600"]),
    ("merge_ms", &["1500"]),
    ("activity_delay_ms", &["5000"]),
];

impl Default for Knobs {
    fn default() -> Self {
        let first = |values: &[&str]| values.first().map(|value| (*value).to_owned()).unwrap_or_default();
        Self { values: KNOBS.iter().map(|(name, values)| (*name, first(values))).collect() }
    }
}

impl Knobs {
    /// Every knob with the values that it takes, for `--help`.
    pub fn help() -> String {
        let lines: Vec<String> =
            KNOBS.iter().map(|(name, values)| format!("  {name}={}", values.join("|"))).collect();
        lines.join("\n")
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), OptionError> {
        let Some((name, takes)) = KNOBS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = KNOBS.iter().map(|(known, _)| *known).collect();
            return Err(OptionError::Unknown {
                what: "knob",
                name: name.to_owned(),
                known: known.join(", "),
            });
        };
        let fits = if takes.len() == 1 {
            value.parse::<u32>().is_ok_and(|n| n > 0 || *name == "activity_delay_ms" || *name == "merge_ms")
        } else {
            takes.contains(&value)
        };
        if !fits {
            let takes = if takes.len() == 1 { "a whole number".to_owned() } else { takes.join(" or ") };
            return Err(OptionError::Value { name: (*name).to_owned(), value: value.to_owned(), takes });
        }
        self.values.insert(name, value.to_owned());
        Ok(())
    }

    /// Whether a knob stands at this value.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.values.get(name).is_some_and(|set| set == value)
    }

    /// A knob's value as text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or(1)
    }

    /// What Marketo's own durations are divided by.
    pub(super) fn clock_speed(&self) -> u32 {
        self.number("clock_speed").max(1)
    }

    /// A span of Marketo's own time on this machine's clock.
    pub(super) fn wall(&self, span: Duration) -> Duration {
        span / self.clock_speed()
    }

    pub(super) fn token_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.number("token_life_s")))
    }

    pub(super) fn merge_time(&self) -> Duration {
        self.wall(Duration::from_millis(u64::from(self.number("merge_ms"))))
    }

    pub(super) fn activity_delay(&self) -> Duration {
        self.wall(Duration::from_millis(u64::from(self.number("activity_delay_ms"))))
    }
}

/// Something that goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// HTTP 502 with a page of HTML, before anything is done.
    BadGateway,
    /// HTTP 500, before anything is done.
    ServerError,
    /// The connection is cut before anything is done.
    CutBefore,
    /// The connection is cut after the work is done.
    CutAfter,
    /// 604 at once, and the work is done seconds later all the same.
    Lost604,
    /// HTTP 502 at once, and the work is done seconds later all the same.
    Lost502,
    /// 604, and nothing is done.
    TimedOut,
    /// The answer takes long.
    Slow,
    /// 606 though the rate is not reached: another integration took it.
    Rate,
    /// 615 though few calls run here.
    Concurrency,
    /// 611, before anything is done.
    SystemError,
    /// 601, the token is refused.
    TokenInvalid,
    /// 602, the token has expired.
    TokenExpired,
    /// The work is done, and the answer is HTTP 200 with a page of HTML.
    Html,
    /// The work is done, and the answer is half of its JSON.
    Truncated,
    /// A merge of several losers stops half-way with 611.
    PartialMerge,
    /// Half of an export's file, and then the connection is cut.
    HalfFile,
    /// An export's file whose bytes are not those of the checksum.
    BadChecksum,
    /// 404 for the file of an export that is complete.
    NoFile,
    /// An export that is put in the queue, and fails when it has run.
    FailedExport,
}

const FAULTS: &[(&str, Fault)] = &[
    ("502", Fault::BadGateway),
    ("500", Fault::ServerError),
    ("cut_before", Fault::CutBefore),
    ("cut_after", Fault::CutAfter),
    ("lost_604", Fault::Lost604),
    ("lost_502", Fault::Lost502),
    ("604", Fault::TimedOut),
    ("slow", Fault::Slow),
    ("606", Fault::Rate),
    ("615", Fault::Concurrency),
    ("611", Fault::SystemError),
    ("601", Fault::TokenInvalid),
    ("602", Fault::TokenExpired),
    ("html", Fault::Html),
    ("truncated", Fault::Truncated),
    ("partial_merge", Fault::PartialMerge),
    ("half_file", Fault::HalfFile),
    ("bad_checksum", Fault::BadChecksum),
    ("no_file", Fault::NoFile),
    ("failed_export", Fault::FailedExport),
];

impl Fault {
    /// Every fault's name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FAULTS.iter().map(|(name, _)| *name)
    }

    /// The fault of this name.
    pub fn named(name: &str) -> Result<Self, OptionError> {
        FAULTS.iter().find(|(known, _)| *known == name).map(|(_, fault)| *fault).ok_or_else(|| {
            let known: Vec<&str> = Self::names().collect();
            OptionError::Unknown { what: "fault", name: name.to_owned(), known: known.join(", ") }
        })
    }
}

/// How often each fault occurs, as a share of the calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    pub(super) rates: BTreeMap<Fault, f64>,
}

#[cfg(test)]
mod tests {
    use super::{Fault, Options};

    #[test]
    fn knobs_and_faults_are_taken_by_name_and_refused_with_what_there_is() {
        let mut options = Options::default();
        options.set_knob("batch_dupes=sequential").unwrap();
        assert!(options.knobs.is("batch_dupes", "sequential"));
        options.set_fault("cut_after=0.5").unwrap();
        assert_eq!(options.faults.rates.get(&Fault::CutAfter), Some(&0.5));
        for wrong in ["batch_dupes", "batch_dupes=maybe", "clock_speed=0", "clock_speed=fast"] {
            assert!(options.set_knob(wrong).is_err(), "{wrong}");
        }
        for wrong in ["502", "502=2", "503=0.1"] {
            assert!(options.set_fault(wrong).is_err(), "{wrong}");
        }
        assert!(options.set_knob("colour=red").unwrap_err().to_string().contains("there are: batch_dupes"));
    }
}
