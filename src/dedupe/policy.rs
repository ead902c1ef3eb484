//! The policy: everything that a person chose about merges.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bundle::Bundles;
use super::field_rule::FieldRules;
use super::key_spec::KeySpec;
use super::person::Skip;
use super::winner::WinnerOrder;

/// Everything that decides what a plan does with a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of `merge` that stands for itself"
)]
pub struct Policy {
    /// What makes leads the same.
    pub key: KeySpec,
    /// Which lead stays.
    pub winner: WinnerOrder,
    /// Which values it keeps.
    pub fields: FieldRules,
    /// Which fields come from one lead together.
    #[serde(default)]
    pub bundles: Bundles,
    /// Merge groups that look like several people behind one mailbox too.
    pub include_shared: bool,
    /// Merge groups with several CRM records too, and have the CRM merge them.
    pub merge_in_crm: bool,
    /// Merge groups that span lead partitions too.
    pub across_partitions: bool,
    /// No Salesforce is connected to the instance: a person says so, since Marketo's API does not.
    #[serde(default)]
    pub no_crm: bool,
    /// Merge groups that an integration made on purpose, by `createDuplicate`, too.
    #[serde(default)]
    pub include_deliberate: bool,
    /// Which groups are left alone until somebody names or allows them.
    #[serde(default)]
    pub skip: Skip,
}

/// `review.policy`: which plans need a person's approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewPolicy {
    /// Every one.
    Always,
    /// One of which a group merges that is red, or that somebody decided about.
    #[default]
    Risky,
    /// None.
    Never,
}

impl FromStr for ReviewPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "always" => Ok(Self::Always),
            "risky" => Ok(Self::Risky),
            "never" => Ok(Self::Never),
            other => Err(format!("takes always, risky or never, not `{other}`")),
        }
    }
}
