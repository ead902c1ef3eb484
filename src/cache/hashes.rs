//! Which of millions of keys may occur more than once, in bounded memory.
//!
//! For: hashes of the keys, in parts by their first bits, which go to disk where they are many.
//! Equal hashes are in one part, so that each part is sorted by itself, and is small enough for the
//! processor's own cache. Never: decides that two keys are the same. Equal keys have equal hashes,
//! so that every lead of a group is named; whoever asks compares the keys themselves.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// How many parts there are: one for each value of a hash's first byte.
const PARTS: usize = 256;

/// So many bytes of hashes are held in memory. Parts grow by doubling; at this size each is just
/// below a power of two, so that nothing is held in vain.
const IN_MEMORY: usize = 14 << 20;

/// The hash of a key, and the lead that has it.
type Entry = (u64, u64);

const ENTRY: usize = size_of::<Entry>();

/// The hashes of keys, each with the lead whose key has it.
#[derive(Debug)]
pub(super) struct Hashes<S = RandomState> {
    hasher: S,
    parts: Vec<Vec<Entry>>,
    /// Entries in memory, and how many of them are allowed.
    held: usize,
    at_most: usize,
    disk: Option<Disk>,
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
            folder: folder.to_owned(),
        }
    }

    /// Notes the key of a lead.
    pub(super) fn add(&mut self, key: &str, lead: u64) -> io::Result<()> {
        self.add_hash(self.hasher.hash_one(key), lead)
    }

    /// Notes the hash of a lead's key. All hashes must be of one hasher.
    pub(super) fn add_hash(&mut self, hash: u64, lead: u64) -> io::Result<()> {
        let [first, ..] = hash.to_be_bytes();
        if let Some(part) = self.parts.get_mut(usize::from(first)) {
            part.push((hash, lead));
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
            for (hash, lead) in part.iter() {
                out.write_all(&hash.to_ne_bytes())?;
                out.write_all(&lead.to_ne_bytes())?;
            }
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
    /// was noted twice may come twice.
    pub(super) fn each_repeated(
        mut self,
        mut each: impl FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        for place in 0..PARTS {
            let Some(entries) = self.parts.get_mut(place) else { continue };
            let mut entries = std::mem::take(entries);
            if let Some(disk) = &mut self.disk {
                disk.read(place, &mut entries)?;
            }
            entries.sort_unstable();
            for same in entries.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
                same.iter().try_for_each(|(_, lead)| each(*lead))?;
            }
        }
        Ok(())
    }
}

impl Disk {
    /// Adds the entries of a part.
    fn read(&mut self, part: usize, entries: &mut Vec<Entry>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (begins, count) in self.pieces.get(part).into_iter().flatten() {
            self.file.seek(SeekFrom::Start(*begins))?;
            bytes.resize(count * ENTRY, 0);
            self.file.read_exact(&mut bytes)?;
            let (numbers, _) = bytes.as_chunks::<8>();
            entries.extend(numbers.chunks_exact(2).filter_map(|numbers| match numbers {
                [hash, lead] => Some((u64::from_ne_bytes(*hash), u64::from_ne_bytes(*lead))),
                _ => None,
            }));
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
