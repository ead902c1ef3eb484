//! Entries in order, however many: sorted in memory, and in runs on disk where they are too many.
//!
//! A run is a file without a name beside the cache, so that it vanishes with the process. Never:
//! holds more in memory than it was allowed to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

/// Bytes of a buffer between a run and the disk.
const BUFFER: usize = 1 << 16;

/// What can be sorted.
pub(super) trait Entry: Ord + Sized {
    /// About how many bytes it takes in memory.
    fn size(&self) -> usize;

    /// Writes it to a run.
    fn write(&self, run: &mut impl Write) -> io::Result<()>;

    /// Reads what [`Entry::write`] wrote; none at the end of the run.
    fn read(run: &mut impl Read) -> io::Result<Option<Self>>;
}

/// Takes entries in any order.
#[derive(Debug)]
pub(super) struct Sorter<E> {
    entries: Vec<E>,
    /// Bytes of the entries in memory.
    bytes: usize,
    /// So many of them are allowed.
    at_most: usize,
    runs: Vec<File>,
    folder: PathBuf,
}

impl<E: Entry> Sorter<E> {
    /// Nothing yet; runs go into this folder when the entries take more bytes than `at_most`.
    pub(super) fn new(folder: &Path, at_most: usize) -> Self {
        Self { entries: Vec::new(), bytes: 0, at_most, runs: Vec::new(), folder: folder.to_owned() }
    }

    /// Takes an entry.
    pub(super) fn add(&mut self, entry: E) -> io::Result<()> {
        self.bytes += entry.size();
        self.entries.push(entry);
        if self.bytes >= self.at_most { self.spill() } else { Ok(()) }
    }

    /// Takes the entries of another one.
    pub(super) fn take_over(&mut self, mut other: Self) -> io::Result<()> {
        self.runs.append(&mut other.runs);
        self.entries.append(&mut other.entries);
        self.bytes += other.bytes;
        if self.bytes >= self.at_most { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.entries.sort_unstable();
        let mut out = BufWriter::with_capacity(BUFFER, tempfile::tempfile_in(&self.folder)?);
        self.entries.iter().try_for_each(|entry| entry.write(&mut out))?;
        let mut run = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        run.rewind()?;
        self.runs.push(run);
        self.entries.clear();
        self.bytes = 0;
        Ok(())
    }

    /// The entries in order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted<E>> {
        self.entries.sort_unstable();
        let mut sorted = Sorted {
            memory: std::mem::take(&mut self.entries).into_iter(),
            disk: Vec::with_capacity(self.runs.len()),
            heads: BinaryHeap::new(),
        };
        if self.runs.is_empty() {
            return Ok(sorted);
        }
        for (place, run) in self.runs.drain(..).enumerate() {
            let mut run = BufReader::with_capacity(BUFFER, run);
            sorted.heads.extend(E::read(&mut run)?.map(|entry| Reverse((entry, Some(place)))));
            sorted.disk.push(run);
        }
        sorted.heads.extend(sorted.memory.next().map(|entry| Reverse((entry, None))));
        Ok(sorted)
    }
}

/// Hands entries out in order.
pub(super) struct Sorted<E> {
    memory: std::vec::IntoIter<E>,
    disk: Vec<BufReader<File>>,
    /// The next entry of each run, and which run that is: none is the one in memory. Empty where
    /// all is in memory.
    heads: BinaryHeap<Reverse<(E, Option<usize>)>>,
}

impl<E: Entry> Sorted<E> {
    /// The next entry; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<E>> {
        let Some(Reverse((entry, place))) = self.heads.pop() else { return Ok(self.memory.next()) };
        let next = match place.and_then(|place| self.disk.get_mut(place)) {
            Some(run) => E::read(run)?,
            None => self.memory.next(),
        };
        self.heads.extend(next.map(|next| Reverse((next, place))));
        Ok(Some(entry))
    }
}

/// Reads a number that was written in the machine's own order; none at the end of the run.
pub(super) fn read_number(run: &mut impl Read) -> io::Result<Option<u64>> {
    let mut number = [0; 8];
    match run.read_exact(&mut number) {
        Ok(()) => Ok(Some(u64::from_ne_bytes(number))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

impl Entry for u64 {
    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn write(&self, run: &mut impl Write) -> io::Result<()> {
        run.write_all(&self.to_ne_bytes())
    }

    fn read(run: &mut impl Read) -> io::Result<Option<Self>> {
        read_number(run)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_come_in_order_whether_they_fit_or_not(
            entries in proptest::collection::vec(0_u64..99, 0..80),
            at_most in 1_usize..400,
        ) {
            let mut sorter = Sorter::new(&std::env::temp_dir(), at_most);
            let mut other = Sorter::new(&std::env::temp_dir(), at_most);
            for entry in &entries {
                if entry % 3 == 0 { &mut other } else { &mut sorter }.add(*entry).unwrap();
            }
            sorter.take_over(other).unwrap();
            let (mut sorted, mut found) = (sorter.sorted().unwrap(), Vec::new());
            while let Some(entry) = sorted.next().unwrap() {
                found.push(entry);
            }
            let mut expected = entries;
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
