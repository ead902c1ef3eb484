//! The hash of an instance's key, by which it is leased. Never: the key's own value.

use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::dedupe::{widest, widest_text};

/// The hash of an instance's key, so that no address is in a store or a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey([u8; 32]);

impl LeaseKey {
    /// The key of the leads whose `field` holds `value`, however either is spelled. An empty value
    /// matches nothing and has none. Marketo does not document for all fields which values are
    /// equal. A lease that covers two keys does no harm, so the widest reading counts ([`widest`]).
    pub fn of(instance: &str, field: &str, value: &str) -> Option<Self> {
        Some(Self::of_widest(instance, field, &widest_text(value)?))
    }

    /// The same for a value of any type.
    pub fn of_value(instance: &str, field: &str, value: &Value) -> Option<Self> {
        Some(Self::of_widest(instance, field, &widest(value)?))
    }

    fn of_widest(instance: &str, field: &str, widest: &str) -> Self {
        Self::hash(&[instance, &field.to_ascii_lowercase(), widest])
    }

    /// The key under which guards share the limits of an instance.
    pub fn of_limits(instance: &str) -> Self {
        Self::hash(&[instance])
    }

    fn hash(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Lengths first, so that no two lists of parts run together into the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// A key that a store kept.
    pub(super) fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for LeaseKey {
    /// Eight hexadecimal digits: enough to tell the keys of a log apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseKey({self})")
    }
}
