//! SHA-256 over parts of different lengths, for digests that a person compares.

use sha2::{Digest as _, Sha256};

/// A digest that is being made. Each part counts with its length, so that no two lists of parts
/// have one digest.
#[derive(Debug, Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Adds a part.
    pub fn add(&mut self, part: &str) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part.as_bytes());
    }

    /// All 64 hexadecimal digits.
    pub fn hex(self) -> String {
        self.0.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}
