//! Which of millions of keys may occur more than once, in bounded memory.
//!
//! For: hashes of the keys, in parts by their first bits, which go to disk where they are many.
//! Equal hashes are in one part, so that each part is looked at by itself, and is small enough for
//! the processor's own cache. A hash is cut to 32 bits, so that it and the lead are one number:
//! among ten million keys some ten thousand share those bits by chance. Never: decides that two
//! keys are the same. Equal keys have equal hashes, so that every lead of a group is named; whoever
//! asks compares the keys themselves.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::sorter::Sorter;

/// How many parts there are: one for each value of a hash's first byte.
const PARTS: usize = 256;

/// So many bytes of hashes are held in memory.
const IN_MEMORY: usize = 8 << 20;

/// A part with so many entries is likely to become as large as all others: it gets its memory once,
/// and a sixteenth more than its share, since parts differ.
const GROWS: usize = 64;

/// So many bytes of leads with ids beyond [`BITS_OF_LEAD`] are held in memory.
const FAR_IN_MEMORY: usize = 1 << 20;

/// The lower bits of an entry are the lead's id; the upper ones are those of the hash that follow
/// its first byte.
const BITS_OF_LEAD: u32 = 40;
const LEAD: u64 = (1 << BITS_OF_LEAD) - 1;

const ENTRY: usize = size_of::<u64>();

/// So many bits there are for each entry, to find out which occur twice.
const BITS_FOR_EACH: usize = 8;

/// The hashes of keys, each with the lead whose key has it.
#[derive(Debug)]
pub(super) struct Hashes<S = RandomState> {
    hasher: S,
    parts: Vec<Vec<u64>>,
    /// Entries in memory, and how many of them are allowed.
    held: usize,
    at_most: usize,
    disk: Option<Disk>,
    /// Leads whose ids do not fit into an entry: each may share its key.
    far: Sorter<u64>,
    folder: PathBuf,
}

/// Entries on disk, in a file without a name, which vanishes with the process.
#[derive(Debug)]
struct Disk {
    file: File,
    /// Of each part, where its pieces begin, and how many entries each has.
    pieces: Vec<Vec<(u64, usize)>>,
    length: u64,
}

impl Hashes {
    /// None yet; what does not fit into memory goes into this folder.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::with(RandomState::new(), folder, IN_MEMORY)
    }
}

impl<S: BuildHasher> Hashes<S> {
    pub(super) fn with(hasher: S, folder: &Path, at_most: usize) -> Self {
        Self {
            hasher,
            parts: vec![Vec::new(); PARTS],
            held: 0,
            at_most: (at_most / ENTRY).max(1),
            disk: None,
            far: Sorter::new(folder, FAR_IN_MEMORY),
            folder: folder.to_owned(),
        }
    }

    /// Notes the key of a lead.
    pub(super) fn add(&mut self, key: &str, lead: u64) -> io::Result<()> {
        self.add_hash(self.hasher.hash_one(key), lead)
    }

    /// Notes the hash of a lead's key. All hashes must be of one hasher.
    pub(super) fn add_hash(&mut self, hash: u64, lead: u64) -> io::Result<()> {
        if lead > LEAD {
            return self.far.add(lead);
        }
        let [first, ..] = hash.to_be_bytes();
        if let Some(part) = self.parts.get_mut(usize::from(first)) {
            if part.len() == GROWS {
                let share = self.at_most / PARTS;
                part.reserve_exact((share + share / 16).saturating_sub(GROWS));
            }
            part.push((hash << u8::BITS) & !LEAD | lead);
        }
        self.held += 1;
        if self.held >= self.at_most { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            None => self.disk.insert(Disk {
                file: tempfile::tempfile_in(&self.folder)?,
                pieces: vec![Vec::new(); PARTS],
                length: 0,
            }),
        };
        let mut out = BufWriter::with_capacity(1 << 16, &disk.file);
        for (part, pieces) in self.parts.iter_mut().zip(&mut disk.pieces) {
            if part.is_empty() {
                continue;
            }
            part.iter().try_for_each(|entry| out.write_all(&entry.to_ne_bytes()))?;
            pieces.push((disk.length, part.len()));
            disk.length += (part.len() * ENTRY) as u64;
            part.clear();
        }
        out.flush()?;
        drop(out);
        self.held = 0;
        Ok(())
    }

    /// Hands out every lead whose hash another entry has too, in no particular order; a lead that
    /// was noted twice may come twice. A lead whose id does not fit into an entry comes in any case,
    /// and all leads do where there is one: its key may be anybody's.
    pub(super) fn each_repeated(
        mut self,
        mut each: impl FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut far = self.far.sorted()?;
        let mut is_any_far = false;
        while let Some(lead) = far.next()? {
            is_any_far = true;
            each(lead)?;
        }
        let mut twice = Twice::default();
        for place in 0..PARTS {
            let Some(entries) = self.parts.get_mut(place) else { continue };
            let mut entries = std::mem::take(entries);
            if let Some(disk) = &mut self.disk {
                disk.read(place, &mut entries)?;
            }
            if is_any_far {
                entries.iter().try_for_each(|entry| each(entry & LEAD))?;
                continue;
            }
            twice.keep(&mut entries);
            entries.sort_unstable();
            let same = entries.chunk_by(|a, b| a >> BITS_OF_LEAD == b >> BITS_OF_LEAD);
            for same in same.filter(|same| same.len() > 1) {
                same.iter().try_for_each(|entry| each(entry & LEAD))?;
            }
        }
        Ok(())
    }
}

/// Leaves few entries to be sorted: those whose hash, cut once more, occurs twice.
#[derive(Debug, Default)]
struct Twice {
    once: Vec<u64>,
    twice: Vec<u64>,
}

impl Twice {
    fn keep(&mut self, entries: &mut Vec<u64>) {
        let words = (entries.len() * BITS_FOR_EACH / 64).max(1).next_power_of_two();
        for bits in [&mut self.once, &mut self.twice] {
            bits.clear();
            bits.resize(words, 0);
        }
        let place = |entry: u64| {
            // So few bits are left that they fit into any number.
            let hash = usize::try_from(entry >> BITS_OF_LEAD).unwrap_or_default();
            ((hash / 64) & (words - 1), 1_u64 << (hash % 64))
        };
        for entry in entries.iter() {
            let (word, bit) = place(*entry);
            if let (Some(once), Some(twice)) = (self.once.get_mut(word), self.twice.get_mut(word)) {
                *twice |= *once & bit;
                *once |= bit;
            }
        }
        entries.retain(|entry| {
            let (word, bit) = place(*entry);
            self.twice.get(word).is_some_and(|twice| twice & bit != 0)
        });
    }
}

impl Disk {
    /// Adds the entries of a part.
    fn read(&mut self, part: usize, entries: &mut Vec<u64>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (begins, count) in self.pieces.get(part).into_iter().flatten() {
            self.file.seek(SeekFrom::Start(*begins))?;
            bytes.resize(count * ENTRY, 0);
            self.file.read_exact(&mut bytes)?;
            let (numbers, _) = bytes.as_chunks::<ENTRY>();
            entries.extend(numbers.iter().map(|number| u64::from_ne_bytes(*number)));
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
        repeated_from(0, by, at_most, keys)
    }

    /// The ids of the leads begin here.
    fn repeated_from<S: BuildHasher>(
        first: u64,
        by: S,
        at_most: usize,
        keys: &[String],
    ) -> BTreeSet<u64> {
        let mut hashes = Hashes::with(by, &std::env::temp_dir(), at_most);
        for (lead, key) in (first..).zip(keys) {
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
            for first in [LEAD - 7, LEAD, u64::MAX >> 1] {
                let far = repeated_from(first, RandomState::new(), at_most, &keys);
                let expected: BTreeSet<u64> = expected.iter().map(|lead| lead + first).collect();
                prop_assert!(far.is_superset(&expected));
            }
        }
    }
}
