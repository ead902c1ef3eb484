//! Many bytes of a line looked at together.
//!
//! For: lines of some hundred bytes with a separator every dozen of them, where a search that
//! begins anew behind each one costs more than what it finds. Reads whole blocks: whoever asks has
//! put [`BLOCK`] bytes behind the line. Pure.

/// So many bytes are a block.
const BLOCK: usize = 64;

/// What kinds of bytes are in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looked {
    /// Control characters, but for the separator, or quotes.
    pub(super) is_odd: bool,
    pub(super) has_backslash: bool,
    pub(super) is_ascii: bool,
}

/// Looks at the first `length` bytes of a text. Behind them stands a whole block of blanks.
pub(super) fn look(text: &[u8], length: usize, separator: u8) -> Looked {
    // One lane for each byte of a block, and no branch, so that the processor takes many at once.
    const LANES: usize = 16;
    let (mut odd, mut escaped, mut all_bits) = ([0_u8; LANES], [0_u8; LANES], [0_u8; LANES]);
    for block in text.as_chunks::<LANES>().0.iter().take(length.div_ceil(LANES)) {
        for (((byte, odd), escaped), all_bits) in
            block.iter().zip(&mut odd).zip(&mut escaped).zip(&mut all_bits)
        {
            *odd |= u8::from(*byte < b' ') & u8::from(*byte != separator);
            *odd |= u8::from(*byte == b'"');
            *escaped |= u8::from(*byte == b'\\');
            *all_bits |= byte;
        }
    }
    Looked {
        is_odd: odd.iter().any(|odd| *odd != 0),
        has_backslash: escaped.iter().any(|escaped| *escaped != 0),
        is_ascii: all_bits.is_ascii(),
    }
}

/// Hands out where this byte stands among the first `length` bytes of a text, which has a whole
/// block behind them.
pub(super) fn each_place(byte: u8, text: &[u8], length: usize, mut each: impl FnMut(usize)) {
    for (block, begins) in text.as_chunks::<BLOCK>().0.iter().zip((0..length).step_by(BLOCK)) {
        let mut found = places_in(block, byte);
        // What stands behind the text is none of it.
        if length - begins < BLOCK {
            found &= (1 << (length - begins)) - 1;
        }
        while found != 0 {
            each(begins + found.trailing_zeros() as usize);
            found &= found - 1;
        }
    }
}

/// A bit for each byte of a block: whether it is this one.
fn places_in(block: &[u8; BLOCK], byte: u8) -> u64 {
    const LOW_BITS: u64 = u64::from_ne_bytes([0x7f; 8]);
    let wanted = u64::from_ne_bytes([byte; 8]);
    let mut found = 0;
    for (eight, place) in block.as_chunks::<8>().0.iter().zip(0..) {
        // Zero where the byte is the one that is wanted.
        let other = u64::from_le_bytes(*eight) ^ wanted;
        // The upper bit of each byte is set where it is zero. No byte carries into the next one.
        let zeros = !(((other & LOW_BITS) + LOW_BITS) | other | LOW_BITS);
        // Puts the upper bits of all eight bytes together.
        let bits = (zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        found |= bits << (8 * place);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_is_found_and_no_other(
            text in proptest::collection::vec(prop_oneof![Just(b','), Just(b'-'), any::<u8>()], 0..300),
            byte in prop_oneof![Just(b','), Just(b' '), any::<u8>()],
        ) {
            let (length, mut padded, mut found) = (text.len(), text.clone(), Vec::new());
            padded.extend([b' '; BLOCK]);
            each_place(byte, &padded, length, |place| found.push(place));
            let expected: Vec<usize> = memchr::memchr_iter(byte, &text).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn a_text_is_looked_at_as_byte_by_byte(
            text in proptest::collection::vec(prop_oneof![9 => b' '..0x7f, 1 => any::<u8>()], 0..70),
            separator in prop_oneof![Just(b','), Just(b'\t')],
        ) {
            let mut padded = text.clone();
            padded.extend([b' '; BLOCK]);
            let is_odd = |byte: &u8| *byte < b' ' && *byte != separator || *byte == b'"';
            let expected = Looked {
                is_odd: text.iter().any(is_odd),
                has_backslash: text.contains(&b'\\'),
                is_ascii: text.is_ascii(),
            };
            prop_assert_eq!(look(&padded, text.len(), separator), expected);
        }
    }
}
