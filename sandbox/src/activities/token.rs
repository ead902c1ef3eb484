//! Paging tokens: a place in the log and the time at which the token was made, in a form that
//! callers cannot read.
//!
//! Marketo's tokens are opaque and live for some time that is not documented; these live for a day.
//! A token that was not made here, or was changed, is refused.

use chrono::{DateTime, Duration, Utc};
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// How long a token can be used.
const LIFE: Duration = Duration::hours(24);
/// The place, the time and four bytes that show tampering.
const LENGTH: usize = 8 + 8 + 4;

/// Why a token is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    Invalid,
    Expired,
}

/// The token for a place in the log.
pub(super) fn write(place: usize, now: DateTime<Utc>) -> String {
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.extend((place as u64).to_be_bytes());
    bytes.extend(now.timestamp().to_be_bytes());
    let check = Sha256::digest(&bytes);
    // The place and the time are blended with the check, so that two tokens in a row look nothing
    // alike.
    for (byte, mask) in bytes.iter_mut().zip(check.iter().take(4).cycle()) {
        *byte ^= mask;
    }
    bytes.extend(check.iter().take(4));
    format!("{}====", encode(&bytes))
}

/// The place in the log that a token stands for.
pub(super) fn read(token: &str, now: DateTime<Utc>) -> Result<usize, Unusable> {
    let bytes = decode(token.trim_end_matches('=')).ok_or(Unusable::Invalid)?;
    let (blended, check) = bytes.split_at_checked(LENGTH - 4).ok_or(Unusable::Invalid)?;
    let plain: Vec<u8> =
        blended.iter().zip(check.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    if check.len() != 4 || !Sha256::digest(&plain).starts_with(check) {
        return Err(Unusable::Invalid);
    }
    let number =
        |part: Option<&[u8]>| part.and_then(|part| part.try_into().ok()).map(u64::from_be_bytes);
    let place = number(plain.get(..8))
        .and_then(|place| usize::try_from(place).ok())
        .ok_or(Unusable::Invalid)?;
    let made =
        number(plain.get(8..)).and_then(|made| DateTime::from_timestamp(made.cast_signed(), 0));
    let made = made.ok_or(Unusable::Invalid)?;
    if now - made > LIFE { Err(Unusable::Expired) } else { Ok(place) }
}

#[expect(clippy::indexing_slicing, reason = "five bits never exceed the alphabet's 32 letters")]
fn encode(bytes: &[u8]) -> String {
    let bits = bytes.len() * 8;
    (0..bits.div_ceil(5))
        .map(|letter| {
            let value = (letter * 5..letter * 5 + 5).fold(0, |value, bit| {
                let byte = bytes.get(bit / 8).copied().unwrap_or(0);
                value << 1 | usize::from(byte >> (7 - bit % 8) & 1)
            });
            char::from(ALPHABET[value])
        })
        .collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(LENGTH);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        held = held << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_token_leads_back_to_its_place_for_a_day() {
        for place in [0, 1, 299, 70_000, usize::MAX] {
            let token = write(place, at(0));
            assert_eq!(read(&token, at(86_400)), Ok(place));
            assert_eq!(read(&token, at(86_401)), Err(Unusable::Expired));
        }
    }

    #[test]
    fn a_token_that_was_not_made_here_is_refused() {
        let token = write(5, at(0));
        let tampered =
            token.replacen(&token[..1], if token.starts_with('A') { "B" } else { "A" }, 1);
        for token in [
            tampered.as_str(),
            "",
            "====",
            "GIYDAOBNGEYS2MBWKQYDAORQGA5DAMBOGAYDAKZQGAYDALBQ",
            "ü",
            &token[..8],
        ] {
            assert_eq!(read(token, at(0)), Err(Unusable::Invalid), "{token}");
        }
    }

    #[test]
    fn a_token_does_not_show_the_date_or_the_place() {
        let (one, next) = (write(5, at(0)), write(6, at(0)));
        let alike = one.bytes().zip(next.bytes()).filter(|(a, b)| a == b).count();
        assert!(alike < 16, "{one} {next}");
    }
}
