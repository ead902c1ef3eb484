//! How the instance answers what Adobe leaves open, and what an administrator may have set: each by
//! a name.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::OptionError;
use crate::schema;

/// Answers to questions that Adobe leaves open; each by name, with the harder answer first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knobs {
    values: BTreeMap<&'static str, String>,
}

/// What a knob takes.
#[derive(Debug, Clone, Copy)]
enum Takes {
    /// One of these; the first is the default.
    OneOf(&'static [&'static str]),
    /// A whole number; this is the default.
    Number(&'static str),
    /// A share from 0 to 1; 0 is the default.
    Share,
    /// Names of lead fields with commas between; none is the default.
    Fields,
    /// `FIELD:VALUE` with commas between; none is the default.
    Values,
}

use Takes::{Fields, Number, OneOf, Share, Values};

const KNOBS: &[(&str, Takes)] = &[
    ("batch_dupes", OneOf(&["create_both", "sequential"])),
    ("create_only_races", OneOf(&["true", "false"])),
    ("create_only_multi", OneOf(&["1007", "1005"])),
    ("push_multi", OneOf(&["1007", "newest"])),
    ("email_trim", OneOf(&["false", "true"])),
    ("email_case", OneOf(&["ignored", "minded"])),
    ("lookup_case", OneOf(&["ignored", "minded"])),
    ("blocked_fields", Fields),
    ("blocked", OneOf(&["non_empty", "always"])),
    ("normalise", OneOf(&["on", "off"])),
    ("cut", OneOf(&["on", "off"])),
    ("long_values", OneOf(&["cut", "1003"])),
    ("refused_fields", Fields),
    ("overwritten_fields", Values),
    ("merge_partial", OneOf(&["stop_at_first_error", "atomic"])),
    ("merge_blanks", OneOf(&["first_listed", "first_nonblank"])),
    ("merge_empties", Fields),
    ("bool_rule", OneOf(&["march2026", "legacy_true_wins"])),
    ("merge_score", OneOf(&["sum", "winner"])),
    ("merge_status", OneOf(&["winner", "higher", "latest"])),
    ("merge_unset", OneOf(&["filled", "kept"])),
    ("merge_created_at", OneOf(&["winner", "oldest"])),
    ("merge_lists", OneOf(&["union", "lost"])),
    ("merge_obeys_block", OneOf(&["false", "true"])),
    ("merge_request_id", OneOf(&["ours", "absent"])),
    ("durable_unsubscribe", OneOf(&["on_change", "always"])),
    ("merge_activity", OneOf(&["shown", "late", "hidden"])),
    (
        "merge_record",
        OneOf(&["own", "bare", "other_spelling", "other_user", "other_call", "other_records"]),
    ),
    ("merged_lead", OneOf(&["1004", "empty"])),
    ("loser_rows", OneOf(&["vanish", "stay"])),
    ("value_rows", OneOf(&["vanish", "follow", "stay_by_value"])),
    ("relink_collision", OneOf(&["1005", "overwrite"])),
    ("merge_emits_delete", OneOf(&["false", "true"])),
    ("refused_merges", Share),
    ("crm_rank", OneOf(&["always", "only_with_flag"])),
    ("crm_many_losers", OneOf(&["1080", "1078", "allow"])),
    ("merge_across_partitions", OneOf(&["1010", "allow"])),
    ("concurrent_merges", OneOf(&["611", "serialise"])),
    ("updated_at_filter", OneOf(&["off", "on"])),
    ("export_quotes", OneOf(&["doubled", "bare"])),
    ("export_checksum", OneOf(&["present", "absent"])),
    ("clock_speed", Number("1")),
    ("token_life_s", Number("3600")),
    ("merge_ms", Number("1500")),
    ("activity_delay_ms", Number("5000")),
];

/// Numbers that may be 0.
const MAY_BE_ZERO: &[&str] = &["merge_ms", "activity_delay_ms"];

impl Takes {
    fn default(self) -> &'static str {
        match self {
            OneOf(choices) => choices.first().copied().unwrap_or_default(),
            Number(number) => number,
            Share => "0",
            Fields | Values => "",
        }
    }

    fn help(self) -> String {
        match self {
            OneOf(choices) => choices.join("|"),
            Number(number) => number.to_owned(),
            Share => "0 (a share from 0 to 1)".to_owned(),
            Fields => "FIELD,… (none)".to_owned(),
            Values => "FIELD:VALUE,… (none)".to_owned(),
        }
    }

    /// What it takes, in words, for a refusal.
    fn words(self) -> String {
        match self {
            OneOf(choices) => choices.join(" or "),
            Number(_) => "a whole number".to_owned(),
            Share => "a share from 0 to 1".to_owned(),
            Fields => "REST names of lead fields with commas between".to_owned(),
            Values => "FIELD:VALUE with commas between, each field by its REST name".to_owned(),
        }
    }

    fn fits(self, name: &str, value: &str) -> bool {
        match self {
            OneOf(choices) => choices.contains(&value),
            Number(_) => value.parse::<u32>().is_ok_and(|n| n > 0 || MAY_BE_ZERO.contains(&name)),
            Share => value.parse::<f64>().is_ok_and(|share| (0.0..=1.0).contains(&share)),
            Fields => items(value).all(|field| schema::find(field).is_some()),
            Values => items(value)
                .all(|item| pair(item).is_some_and(|(field, _)| schema::find(field).is_some())),
        }
    }
}

/// The items of a list; an empty text is an empty list.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn pair(item: &str) -> Option<(&str, &str)> {
    item.split_once(':').map(|(field, value)| (field.trim(), value.trim()))
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            values: KNOBS.iter().map(|(name, takes)| (*name, takes.default().to_owned())).collect(),
        }
    }
}

impl Knobs {
    /// Every knob with the values that it takes, for `--help`.
    pub fn help() -> String {
        let lines: Vec<String> =
            KNOBS.iter().map(|(name, takes)| format!("  {name}={}", takes.help())).collect();
        lines.join("\n")
    }

    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), OptionError> {
        let Some((name, takes)) = KNOBS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = KNOBS.iter().map(|(known, _)| *known).collect();
            return Err(OptionError::Unknown {
                what: "knob",
                name: name.to_owned(),
                known: known.join(", "),
            });
        };
        if !takes.fits(name, value) {
            return Err(OptionError::Value {
                name: (*name).to_owned(),
                value: value.to_owned(),
                takes: takes.words(),
            });
        }
        self.values.insert(name, value.to_owned());
        Ok(())
    }

    /// Whether a knob stands at this value.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.values.get(name).is_some_and(|set| set == value)
    }

    /// A knob's value as text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Whether a knob's list names this field.
    pub(crate) fn names(&self, name: &str, field: &str) -> bool {
        items(self.text(name)).any(|named| named == field)
    }

    /// The fields that a knob's list names.
    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        items(self.text(name))
    }

    /// The value that a knob's list has for this field.
    pub(crate) fn value_for(&self, name: &str, field: &str) -> Option<&str> {
        items(self.text(name))
            .filter_map(pair)
            .find(|(named, _)| *named == field)
            .map(|(_, value)| value)
    }

    /// A knob's share.
    pub(crate) fn share(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or_default()
    }

    fn number(&self, name: &str) -> u32 {
        self.text(name).parse().unwrap_or(1)
    }

    /// What Marketo's own durations are divided by.
    pub(crate) fn clock_speed(&self) -> u32 {
        self.number("clock_speed").max(1)
    }

    /// A span of Marketo's own time on this machine's clock.
    pub(crate) fn wall(&self, span: Duration) -> Duration {
        span / self.clock_speed()
    }

    pub(crate) fn token_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.number("token_life_s")))
    }

    pub(crate) fn merge_time(&self) -> Duration {
        self.wall(Duration::from_millis(u64::from(self.number("merge_ms"))))
    }

    pub(crate) fn activity_delay(&self) -> Duration {
        self.wall(Duration::from_millis(u64::from(self.number("activity_delay_ms"))))
    }
}
