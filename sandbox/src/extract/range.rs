//! The `Range` header, as far as Marketo's file endpoint takes it: one range of bytes.

/// The part of a file that an answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// No range was asked for, or one that an answer may disregard: HTTP 200.
    Whole,
    /// From the first byte to the last one, both included: HTTP 206.
    Bytes { first: usize, last: usize },
    /// Nothing of the range lies in the file: HTTP 416.
    Beyond,
}

impl Part {
    /// Which part of a file of `length` bytes the header asks for. Several ranges at once, other
    /// units and malformed ranges are disregarded, as HTTP allows.
    pub(super) fn asked_for(header: Option<&str>, length: usize) -> Self {
        Self::parse(header, length).unwrap_or(Self::Whole)
    }

    fn parse(header: Option<&str>, length: usize) -> Option<Self> {
        let (from, to) = header?.trim().strip_prefix("bytes=")?.split_once('-')?;
        let final_byte = length.checked_sub(1);
        let (first, last) = if from.is_empty() {
            let suffix: usize = to.parse().ok()?;
            let Some(final_byte) = final_byte.filter(|_| suffix > 0) else {
                return Some(Self::Beyond);
            };
            (length.saturating_sub(suffix), final_byte)
        } else {
            let first: usize = from.parse().ok()?;
            let asked: usize = if to.is_empty() { usize::MAX } else { to.parse().ok()? };
            if asked < first {
                return None;
            }
            let Some(final_byte) = final_byte.filter(|last| first <= *last) else {
                return Some(Self::Beyond);
            };
            (first, asked.min(final_byte))
        };
        Some(Self::Bytes { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_file_and_includes_both_ends() {
        let part = |header| Part::asked_for(Some(header), 10);
        assert_eq!(part("bytes=0-9"), Part::Bytes { first: 0, last: 9 });
        assert_eq!(part("bytes=3-3"), Part::Bytes { first: 3, last: 3 });
        assert_eq!(part("bytes=4-"), Part::Bytes { first: 4, last: 9 });
        assert_eq!(part("bytes=4-400"), Part::Bytes { first: 4, last: 9 });
        assert_eq!(part("bytes=-3"), Part::Bytes { first: 7, last: 9 });
        assert_eq!(part("bytes=-30"), Part::Bytes { first: 0, last: 9 });
    }

    #[test]
    fn a_range_past_the_end_is_refused() {
        assert_eq!(Part::asked_for(Some("bytes=10-"), 10), Part::Beyond);
        assert_eq!(Part::asked_for(Some("bytes=0-0"), 0), Part::Beyond);
        assert_eq!(Part::asked_for(Some("bytes=-0"), 10), Part::Beyond);
    }

    #[test]
    fn what_is_no_single_range_is_disregarded() {
        for header in ["bytes=5-4", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=-", ""] {
            assert_eq!(Part::asked_for(Some(header), 10), Part::Whole, "{header}");
        }
        assert_eq!(Part::asked_for(None, 10), Part::Whole);
    }
}
