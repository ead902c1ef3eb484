//! Which of millions of keys may occur more than once, in bounded memory.
//!
//! For: hashes of the keys, sorted in memory, and in runs on disk where they are many. Never:
//! decides that two keys are the same. Equal keys have equal hashes, so that every lead of a group
//! is named; whoever asks compares the keys themselves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// So many hashes are held in memory: 32 MB.
const IN_MEMORY: usize = 1 << 21;

/// A hash, and a lead whose key has it.
type Entry = (u64, u64);

/// The hashes of keys, in the order of their leads.
#[derive(Debug)]
pub(super) struct Hashes<S = RandomState> {
    hasher: S,
    entries: Vec<Entry>,
    at_most: usize,
    /// Sorted, each in a file without a name beside the cache.
    runs: Vec<File>,
    folder: PathBuf,
}

impl Hashes {
    /// None yet; runs go into this folder.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self::with(RandomState::new(), folder, IN_MEMORY)
    }
}

impl<S: BuildHasher> Hashes<S> {
    pub(super) fn with(hasher: S, folder: &Path, at_most: usize) -> Self {
        Self { hasher, entries: Vec::new(), at_most, runs: Vec::new(), folder: folder.to_owned() }
    }

    /// Notes the key of a lead.
    pub(super) fn add(&mut self, key: &str, lead: u64) -> io::Result<()> {
        if self.entries.len() >= self.at_most {
            self.spill()?;
        }
        self.entries.push((self.hasher.hash_one(key), lead));
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.entries.sort_unstable();
        let mut out = BufWriter::with_capacity(1 << 16, tempfile::tempfile_in(&self.folder)?);
        for (hash, lead) in &self.entries {
            out.write_all(&hash.to_ne_bytes())?;
            out.write_all(&lead.to_ne_bytes())?;
        }
        let mut run = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        run.rewind()?;
        self.runs.push(run);
        self.entries.clear();
        Ok(())
    }

    /// Hands out every lead whose hash another entry has too, in no particular order; a lead that
    /// was noted twice may come twice.
    pub(super) fn each_repeated<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.entries.sort_unstable();
        let mut repeated = Repeated::default();
        if self.runs.is_empty() {
            return self.entries.iter().try_for_each(|entry| repeated.take(*entry, &mut each));
        }
        let mut runs: Vec<Run> = Vec::with_capacity(self.runs.len() + 1);
        runs.extend(self.runs.drain(..).map(Run::of_file));
        runs.push(Run::Memory(std::mem::take(&mut self.entries).into_iter()));
        let mut heads = BinaryHeap::new();
        for (place, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next()?.map(|entry| Reverse((entry, place))));
        }
        while let Some(Reverse((entry, place))) = heads.pop() {
            repeated.take(entry, &mut each)?;
            let next = runs.get_mut(place).map(Run::next).transpose()?.flatten();
            heads.extend(next.map(|entry| Reverse((entry, place))));
        }
        Ok(())
    }
}

/// Sorted entries.
enum Run {
    Disk(BufReader<File>),
    Memory(std::vec::IntoIter<Entry>),
}

impl Run {
    fn of_file(file: File) -> Self {
        Self::Disk(BufReader::with_capacity(1 << 16, file))
    }

    fn next(&mut self) -> io::Result<Option<Entry>> {
        let reader = match self {
            Self::Memory(entries) => return Ok(entries.next()),
            Self::Disk(reader) => reader,
        };
        let mut number = [0; 8];
        match reader.read_exact(&mut number) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let hash = u64::from_ne_bytes(number);
        reader.read_exact(&mut number)?;
        Ok(Some((hash, u64::from_ne_bytes(number))))
    }
}

/// What was seen last of entries that come by hash.
#[derive(Default)]
struct Repeated {
    last: Option<Entry>,
    /// Whether the last one was handed out.
    is_out: bool,
}

impl Repeated {
    fn take<E>(
        &mut self,
        entry: Entry,
        each: &mut impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let same = self.last.filter(|last| last.0 == entry.0);
        if let Some((_, lead)) = same {
            if !self.is_out {
                each(lead)?;
            }
            each(entry.1)?;
        }
        self.is_out = same.is_some();
        self.last = Some(entry);
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
                Ok::<_, io::Error>(())
            })
            .unwrap();
        found
    }

    proptest! {
        #[test]
        fn every_lead_of_a_repeated_key_is_named_whether_the_hashes_fit_or_not(
            keys in proptest::collection::vec("[ab]{0,6}", 0..60),
            at_most in 1_usize..20,
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
