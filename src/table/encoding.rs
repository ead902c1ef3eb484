//! Which encoding a text is in, and the text in UTF-8.
//!
//! Decided by the whole file, so that a letter in the last row counts: a byte order mark; else the
//! zero bytes of UTF-16; else UTF-8 where every byte fits; else one of the 8-bit and Asian code
//! pages, by [`super::letters`].

use std::io::{self, Read};

use super::letters::{self, Guess};
use super::source::Source;
use super::{HOW_TO_SAVE, TableError, shown};

mod kind;

pub use kind::Encoding;
use kind::dos;

/// What a file is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detected {
    pub(super) encoding: Encoding,
    /// The byte order mark's length.
    pub(super) mark: u64,
    /// What was assumed, where it was.
    pub(super) note: Option<String>,
    /// Where the letters alone decided.
    pub(super) guess: Option<Guessed>,
    /// Whether nothing but the first bytes were looked at.
    pub(super) is_assumed: bool,
}

impl Detected {
    fn sure(encoding: Encoding, mark: u64) -> Self {
        Self { encoding, mark, note: None, guess: None, is_assumed: false }
    }
}

/// A code page that only the letters of a text speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guessed {
    /// The code page.
    pub encoding: Encoding,
    /// The first line with such letters.
    pub line: u64,
    /// That line as it reads then, harmless on a terminal.
    pub example: String,
}

impl Guessed {
    /// How to say that the guess is right, or to do without it.
    pub fn told(&self) -> String {
        let label = match self.encoding {
            Encoding::Page(page) => page.name().to_ascii_lowercase(),
            other => other.name(),
        };
        let label = if self.encoding == Encoding::Dos { "dos".to_owned() } else { label };
        format!(
            "is not UTF-8, and may be {}, as which it reads: {}; if that is right, say --encoding {label}, else {HOW_TO_SAVE}",
            self.encoding.name(),
            self.example
        )
    }
}

/// Finds the encoding of a text; `by_head` takes the first bytes for all of it, where they are
/// UTF-8.
pub(super) fn detect(
    source: &Source,
    named: Option<Encoding>,
    by_head: bool,
) -> Result<Detected, TableError> {
    let unreadable = |error: io::Error| TableError::unreadable(&error);
    let head = source.head(1 << 16).map_err(unreadable)?;
    let marked = by_mark(&head)?;
    if let Some(encoding) = named {
        let mark = marked.filter(|(marked, _)| *marked == encoding).map_or(0, |(_, mark)| mark);
        return Ok(Detected::sure(encoding, mark));
    }
    if let Some((encoding, mark)) = marked {
        return Ok(Detected::sure(encoding, mark));
    }
    if let Some(encoding) = by_zeros(&head) {
        let note = Some(format!("read as {}", encoding.name()));
        return Ok(Detected { note, ..Detected::sure(encoding, 0) });
    }
    if by_head && begins_as_utf8(&head) {
        return Ok(Detected { is_assumed: true, ..Detected::sure(Encoding::Utf8, 0) });
    }
    let seen = look(source.reader().map_err(unreadable)?).map_err(unreadable)?;
    if seen.bad == 0 {
        return Ok(Detected::sure(Encoding::Utf8, 0));
    }
    if seen.good >= seen.bad.saturating_mul(4) {
        let bad =
            if seen.bad == 1 { "one place".to_owned() } else { format!("{} places", seen.bad) };
        let what = format!(
            "is UTF-8 in most places and something else in {bad}: it was pasted together from two encodings, or cut; {HOW_TO_SAVE}"
        );
        return Err(TableError::of_file(what));
    }
    by_letters(&sample(source.reader().map_err(unreadable)?).map_err(unreadable)?)
}

/// Whether all is UTF-8 but a letter that is cut at the end.
fn begins_as_utf8(head: &[u8]) -> bool {
    std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true)
}

fn by_letters(Sample { letters, line, crlf }: &Sample) -> Result<Detected, TableError> {
    let encoding = match letters::guess(letters, *crlf) {
        Guess::One(encoding) => encoding,
        Guess::Either(one, other) => {
            let what = format!(
                "is not UTF-8, and may be {} ({}) or {} ({}); say --encoding mac or --encoding dos, or {HOW_TO_SAVE}",
                one.name(),
                example(one, letters),
                other.name(),
                example(other, letters)
            );
            return Err(TableError::at(*line, what));
        }
        Guess::None => {
            let what = format!(
                "is not UTF-8, and nothing tells which code page its letters are of; {HOW_TO_SAVE}, or name the encoding \
                 with --encoding, such as --encoding windows-1250"
            );
            return Err(TableError::at(*line, what));
        }
    };
    let example = example(encoding, letters);
    let note = format!(
        "read as {}, since it is not UTF-8 (line {line}: {example}); where letters are wrong, name another with --encoding, \
         or save it as CSV UTF-8",
        encoding.name(),
    );
    let guess = Some(Guessed { encoding, line: *line, example });
    Ok(Detected { note: Some(note), guess, ..Detected::sure(encoding, 0) })
}

/// The first line that has other letters than ASCII's.
fn example(encoding: Encoding, letters: &[u8]) -> String {
    let line = letters.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: String = encoding.text(line).chars().take(60).collect();
    shown(line.trim_end()).into_owned()
}

fn by_mark(head: &[u8]) -> Result<Option<(Encoding, u64)>, TableError> {
    if head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff") {
        return Err(TableError::of_file(format!(
            "is UTF-32, which no spreadsheet writes; {HOW_TO_SAVE}"
        )));
    }
    let marks: [(&[u8], Encoding); 3] = [
        (b"\xef\xbb\xbf", Encoding::Utf8),
        (b"\xff\xfe", Encoding::Utf16Le),
        (b"\xfe\xff", Encoding::Utf16Be),
    ];
    Ok(marks
        .iter()
        .find(|(mark, _)| head.starts_with(mark))
        .map(|(mark, encoding)| (*encoding, mark.len() as u64)))
}

/// UTF-16 without a mark: the header's letters are ASCII, so that every other byte is zero. Single
/// zero bytes, which Marketo's own extracts have, do not make it so.
fn by_zeros(head: &[u8]) -> Option<Encoding> {
    let head = head.get(..head.len().min(2_048) & !1)?;
    let zeros =
        |offset: usize| head.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, units) = (zeros(0), zeros(1), head.len() / 2);
    if units >= 4 && odd * 4 > units && even * 8 < odd {
        return Some(Encoding::Utf16Le);
    }
    (units >= 4 && even * 4 > units && odd * 8 < even).then_some(Encoding::Utf16Be)
}

/// How much of the lines that have letters beyond ASCII is kept to judge by.
const SAMPLE: usize = 1 << 17;

/// What the bytes of a file are, taken for UTF-8.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Characters beyond ASCII that are whole.
    good: u64,
    /// Bytes that fit nowhere.
    bad: u64,
}

fn look(mut reader: impl Read) -> io::Result<Seen> {
    let mut seen = Seen::default();
    let (mut buffer, mut kept) = (vec![0; 1 << 18], 0);
    loop {
        let read = reader.read(buffer.get_mut(kept..).unwrap_or_default())?;
        let chunk = buffer.get(..kept + read).unwrap_or_default();
        let used = judge(chunk, read == 0, &mut seen);
        if read == 0 {
            return Ok(seen);
        }
        kept = chunk.len() - used;
        buffer.copy_within(used..used + kept, 0);
    }
}

/// Counts what is whole and what is not; how many bytes were judged, the rest being cut.
fn judge(chunk: &[u8], last: bool, seen: &mut Seen) -> usize {
    let mut at = 0;
    while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty()) {
        let (valid, error) = match std::str::from_utf8(rest) {
            Ok(text) => (text, None),
            Err(error) => (
                std::str::from_utf8(rest.get(..error.valid_up_to()).unwrap_or_default())
                    .unwrap_or_default(),
                Some(error.error_len()),
            ),
        };
        if !valid.is_ascii() {
            seen.good += valid.chars().filter(|c| !c.is_ascii()).count() as u64;
        }
        at += valid.len();
        match error {
            None => {}
            Some(None) if !last => return at,
            Some(length) => {
                seen.bad += 1;
                at += length.unwrap_or(rest.len() - valid.len());
            }
        }
    }
    at
}

/// Lines to judge by.
struct Sample {
    /// Those that have bytes beyond ASCII, as long as there is room.
    letters: Vec<u8>,
    /// The first one's number.
    line: u64,
    /// Whether a line ends in CRLF.
    crlf: bool,
}

fn sample(reader: impl Read) -> io::Result<Sample> {
    let mut sample = Sample { letters: Vec::new(), line: 1, crlf: false };
    let (mut line, mut number, mut after_return) = (Vec::new(), 1_u64, false);
    for byte in io::BufReader::with_capacity(1 << 16, reader).bytes() {
        let byte = byte?;
        let belongs = byte == b'\n' && after_return;
        after_return = byte == b'\r';
        match byte {
            _ if belongs => sample.crlf = true,
            b'\n' | b'\r' => {
                sample.keep(&line, number);
                if sample.letters.len() > SAMPLE {
                    break;
                }
                number += 1;
                line.clear();
            }
            _ if line.len() < 4_096 => line.push(byte),
            _ => {}
        }
    }
    sample.keep(&line, number);
    Ok(sample)
}

impl Sample {
    fn keep(&mut self, line: &[u8], number: u64) {
        if line.is_ascii() {
            return;
        }
        if self.letters.is_empty() {
            self.line = number;
        }
        self.letters.extend_from_slice(line);
        self.letters.push(b'\n');
    }
}

/// Text of an encoding, as UTF-8. Bytes that the encoding does not have end it with an error.
pub(super) struct Decoded<R> {
    inner: R,
    encoding: Encoding,
    /// None for what the library does not know.
    decoder: Option<encoding_rs::Decoder>,
    raw: Vec<u8>,
    raw_at: usize,
    text: Vec<u8>,
    text_at: usize,
    /// `Reading => Ended (no more bytes) => Finished (no more text)`
    ended: bool,
    finished: bool,
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(inner: R, encoding: Encoding) -> Self {
        let decoder = encoding.page().map(encoding_rs::Encoding::new_decoder_without_bom_handling);
        let (raw, text) = (Vec::new(), Vec::new());
        Self {
            inner,
            encoding,
            decoder,
            raw,
            raw_at: 0,
            text,
            text_at: 0,
            ended: false,
            finished: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        if self.raw_at >= self.raw.len() && !self.ended {
            self.raw.resize(1 << 16, 0);
            let read = self.inner.read(&mut self.raw)?;
            self.raw.truncate(read);
            self.raw_at = 0;
            self.ended = read == 0;
        }
        let raw = self.raw.get(self.raw_at..).unwrap_or_default();
        (self.text_at, self.finished) = (0, self.ended);
        let Some(decoder) = &mut self.decoder else {
            self.text = raw.iter().map(|byte| dos(*byte)).collect::<String>().into_bytes();
            self.raw_at = self.raw.len();
            return Ok(());
        };
        self.text.resize(raw.len() * 3 + 64, 0);
        let (state, used, written, replaced) =
            decoder.decode_to_utf8(raw, &mut self.text, self.ended);
        self.text.truncate(written);
        self.raw_at += used;
        self.finished = self.ended && state == encoding_rs::CoderResult::InputEmpty;
        if replaced {
            let what = format!(
                "it holds bytes that {} does not have; {HOW_TO_SAVE}",
                self.encoding.name()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.text_at >= self.text.len() {
            if self.finished {
                return Ok(0);
            }
            self.refill()?;
        }
        let length = self.text.get(self.text_at..).unwrap_or_default().read(buffer)?;
        self.text_at += length;
        Ok(length)
    }
}
