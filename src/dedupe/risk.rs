//! How much there is to decide about a group.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The risk of merging a group; the greater weighs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nothing to decide: blanks that are filled safely.
    Green,
    /// Values differ, and a rule decides which stays.
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

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
