//! How a sandbox is set up: size, limits, knobs for what Adobe leaves open, faults.

use std::time::Duration;

mod error;
mod faults;
mod knobs;

pub use error::OptionError;
pub use faults::{Fault, Faults};
pub use knobs::Knobs;

/// Everything that can be set. The defaults are an empty instance with Marketo's limits that takes,
/// wherever Adobe leaves something open, the answer that is harder on the client.
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
    /// Permissions that the API user lacks: of [`super::PERMISSIONS`].
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
        let rate: f64 =
            value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate)).ok_or_else(|| {
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
        for right in [
            "blocked_fields=phone, title",
            "blocked_fields=",
            "overwritten_fields=title:x",
            "refused_merges=0.1",
        ] {
            options.set_knob(right).unwrap();
        }
        for wrong in [
            "blocked_fields=phonee",
            "overwritten_fields=title",
            "merge_empties=nope",
            "refused_merges=2",
        ] {
            assert!(options.set_knob(wrong).is_err(), "{wrong}");
        }
        assert_eq!(options.knobs.value_for("overwritten_fields", "title"), Some("x"));
        assert!(!options.knobs.names("blocked_fields", "phone"));
        assert!(
            options
                .set_knob("colour=red")
                .unwrap_err()
                .to_string()
                .contains("there are: batch_dupes")
        );
    }
}
