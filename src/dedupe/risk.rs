//! How much there is to decide about a group.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The risk of merging a group; the greater weighs more.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nothing to decide: blanks that are filled safely.
    Green,
    /// Values differ, and a rule decides which stays.
    #[default]
    Amber,
    /// A person must decide: it is not merged unless they say so.
    Red,
}

impl Risk {
    /// Every risk, the least first.
    pub const ALL: [Self; 3] = [Self::Green, Self::Amber, Self::Red];

    /// The word of JSON and CSV.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
        }
    }
}

/// Reads the word of JSON and CSV.
impl FromStr for Risk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |risk: &Self| risk.as_str().eq_ignore_ascii_case(text.trim());
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| format!("there is no risk `{text}`; there are green, amber and red"))
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
