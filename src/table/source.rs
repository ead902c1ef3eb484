//! Bytes that can be read several times: a file, or what was spooled from a pipe.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};
use std::sync::Arc;

/// The bytes of a table. Reading them begins at the start each time; one reader at a time.
#[derive(Debug)]
pub struct Source {
    held: Held,
    size: u64,
}

#[derive(Debug)]
enum Held {
    File(File),
    Bytes(Arc<[u8]>),
}

impl Source {
    /// A file; what is no regular file (a pipe, a device) is spooled first.
    pub fn of_file(file: File) -> io::Result<Self> {
        let facts = file.metadata()?;
        if facts.is_file() {
            return Ok(Self { held: Held::File(file), size: facts.len() });
        }
        Self::spooled(file)
    }

    /// Copies everything into a temporary file without a name, which vanishes with this value.
    pub fn spooled(mut input: impl Read) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        let size = io::copy(&mut input, &mut file)?;
        Ok(Self { held: Held::File(file), size })
    }

    /// Bytes in memory.
    pub fn of_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { size: bytes.len() as u64, held: Held::Bytes(bytes) }
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from the start.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.held {
            Held::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
            Held::Bytes(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
        })
    }

    /// The first bytes, at most so many.
    pub(super) fn head(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.reader()?.take(most as u64).read_to_end(&mut head)?;
        Ok(head)
    }

    /// All bytes.
    pub(super) fn all(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
