//! Members of a list or a program before and after merges. Pure.

use serde::{Deserialize, Serialize};

/// The members of a list or a program among records of merged groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its id.
    pub id: u64,
    /// Its name; empty where it is not known.
    pub name: String,
    /// Members before.
    pub before: u64,
    /// Members after.
    pub after: u64,
    /// Members that became one with another: so much the count drops without a loss.
    pub collisions: u64,
    /// Members that had reached its success; none of a list.
    pub success_before: u64,
    /// Those that have it now.
    pub success_after: u64,
    /// Members with success that became one with another that had it: so much the successes drop
    /// without a loss.
    pub success_collisions: u64,
}

impl Counted {
    /// Members that are lost: neither there nor one with another.
    pub fn lost(&self) -> u64 {
        self.before.saturating_sub(self.collisions).saturating_sub(self.after)
    }

    /// In a line: `Newsletter: 2 -> 1 members, 1 collision`.
    pub fn in_words(&self) -> String {
        let name = if self.name.is_empty() { self.id.to_string() } else { self.name.clone() };
        let mut words = format!("{name}: {} → {}", self.before, self.after);
        if self.collisions > 0 {
            words = format!("{words}, {} of them one with another", self.collisions);
        }
        if self.success_before > 0 {
            words = format!("{words}, success {} → {}", self.success_before, self.success_after);
        }
        words
    }
}
