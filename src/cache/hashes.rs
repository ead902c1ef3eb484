//! Which of millions of keys may occur more than once, in bounded memory.
//!
//! For: hashes of the keys, sorted in memory, and in runs on disk where they are many. Never:
//! decides that two keys are the same. Equal keys have equal hashes, so that every lead of a group
//! is named; whoever asks compares the keys themselves.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

use super::sorter::Sorter;

/// So many bytes of hashes are held in memory.
const IN_MEMORY: usize = 16 << 20;

/// The hashes of keys, each with the lead whose key has it.
#[derive(Debug)]
pub(super) struct Hashes<S = RandomState> {
    hasher: S,
    entries: Sorter<(u64, u64)>,
}

impl Hashes {
    /// None yet; runs go into this folder.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::with(RandomState::new(), folder, IN_MEMORY)
    }
}

impl<S: BuildHasher> Hashes<S> {
    pub(super) fn with(hasher: S, folder: &Path, at_most: usize) -> Self {
        Self { hasher, entries: Sorter::new(folder, at_most) }
    }

    /// Notes the key of a lead.
    pub(super) fn add(&mut self, key: &str, lead: u64) -> io::Result<()> {
        self.add_hash(self.hasher.hash_one(key), lead)
    }

    /// Notes the hash of a lead's key. All hashes must be of one hasher.
    pub(super) fn add_hash(&mut self, hash: u64, lead: u64) -> io::Result<()> {
        self.entries.add((hash, lead))
    }

    /// Hands out every lead whose hash another entry has too, in no particular order; a lead that
    /// was noted twice may come twice.
    pub(super) fn each_repeated(
        self,
        mut each: impl FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut entries = self.entries.sorted()?;
        // What was seen last, and whether it was handed out.
        let (mut last, mut is_out): (Option<(u64, u64)>, bool) = (None, false);
        while let Some(entry) = entries.next()? {
            let same = last.filter(|last| last.0 == entry.0);
            if let Some((_, lead)) = same {
                if !is_out {
                    each(lead)?;
                }
                each(entry.1)?;
            }
            is_out = same.is_some();
            last = Some(entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::hash::{BuildHasherDefault, Hasher};

    use proptest::prelude::*;

    use super::*;

    /// Hashes by the number of bytes alone.
    #[derive(Default)]
    struct Length(u64);

    impl Hasher for Length {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0 += bytes.len() as u64;
        }
    }

    fn repeated<S: BuildHasher>(by: S, at_most: usize, keys: &[String]) -> BTreeSet<u64> {
        let mut hashes = Hashes::with(by, &std::env::temp_dir(), at_most);
        for (lead, key) in (0..).zip(keys) {
            hashes.add(key, lead).unwrap();
        }
        let mut found = BTreeSet::new();
        hashes
            .each_repeated(|lead| {
                assert!(found.insert(lead), "{lead} came twice");
                Ok(())
            })
            .unwrap();
        found
    }

    proptest! {
        #[test]
        fn every_lead_of_a_repeated_key_is_named_whether_the_hashes_fit_or_not(
            keys in proptest::collection::vec("[ab]{0,6}", 0..60),
            at_most in 1_usize..320,
        ) {
            let mut leads: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
            for (lead, key) in (0..).zip(&keys) {
                leads.entry(key).or_default().push(lead);
            }
            let groups = leads.values().filter(|leads| leads.len() > 1);
            let expected: BTreeSet<u64> = groups.flatten().copied().collect();
            prop_assert_eq!(&repeated(RandomState::new(), at_most, &keys), &expected);
            prop_assert_eq!(&repeated(RandomState::new(), usize::MAX, &keys), &expected);
            let weak = repeated(BuildHasherDefault::<Length>::default(), at_most, &keys);
            prop_assert!(weak.is_superset(&expected));
        }
    }
}
