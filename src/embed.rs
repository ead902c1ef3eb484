//! What makes a page safe that carries its style, script and data in itself.
//!
//! For: the report and the review page. Never: knows what a page shows.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a style or script as a policy names it: in Base64, which `sha2` does not write.
pub(crate) fn policy_digest(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for bytes in Sha256::digest(text).chunks(3) {
        let group = (0..3).fold(0, |group, place| {
            group << 8 | usize::from(bytes.get(place).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let letter = ALPHABET.get(group >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            encoded.push(if place > bytes.len() { '=' } else { char::from(letter) });
        }
    }
    encoded
}

/// JSON in which the characters that HTML or a script could take for its own are escaped. They
/// stand only in its strings, where an escape means the same.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_as_a_browser_works_it_out() {
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(policy_digest(""), empty, "the digest of nothing, as MDN gives it");
    }

    #[test]
    fn json_ends_no_element_and_means_the_same() {
        let hostile = serde_json::json!("</script><!-- & \u{2028}\u{2029}");
        let safe = harmless_json(&hostile.to_string());
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), hostile);
    }
}
