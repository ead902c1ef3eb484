//! Short digests by which plans and values are told apart.

use sha2::{Digest, Sha256};

/// A short digest of texts, in their order.
pub fn digest_of(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().collect();
    short_digest(&parts.iter().map(String::as_bytes).collect::<Vec<_>>())
}

/// The first 16 hexadecimal digits of the SHA-256 of the parts, each with its length before it.
pub(super) fn short_digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
