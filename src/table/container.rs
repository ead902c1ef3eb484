//! What kind of file it is, by its first bytes; what is compressed is unpacked into a temporary
//! file.

use std::io::{Read as _, Seek as _, SeekFrom};

use super::source::Source;
use super::{HOW_TO_SAVE, TableError, shown};

/// A file without its wrapping.
#[derive(Debug)]
pub(super) enum Unpacked {
    /// Text, as far as the first bytes tell.
    Text(Source),
    /// A workbook: `.xlsx`, `.xlsb`, `.xls`, `.ods`.
    Workbook(Source),
}

/// A file within a file within a file is nobody's export.
const DEEPEST: u32 = 2;

/// Unpacks a file; what it was is added to the notes.
pub(super) fn unpack(
    source: Source,
    notes: &mut Vec<String>,
    depth: u32,
) -> Result<Unpacked, TableError> {
    let head = source.head(4_096).map_err(|error| TableError::unreadable(&error))?;
    if let Some(what) = known_by_head(&head) {
        return Err(TableError::of_file(format!("is {what}; {HOW_TO_SAVE}")));
    }
    if head.starts_with(b"\x1f\x8b") && depth < DEEPEST {
        return unpack(gunzip(&source)?, notes, depth + 1);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return unzip(source, notes, depth);
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return compound(source);
    }
    Ok(Unpacked::Text(source))
}

/// What a file is by its first bytes, where it is no table.
fn known_by_head(head: &[u8]) -> Option<&'static str> {
    let binary: [(&[u8], &str); 11] = [
        (b"%PDF", "a PDF"),
        (b"{\\rtf", "a document in RTF"),
        (b"BZh", "compressed with bzip2; unpack it first"),
        (b"\xfd7zXZ\0", "compressed with xz; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "an archive of 7-Zip; unpack it first"),
        (b"Rar!", "a RAR archive; unpack it first"),
        (b"SQLite format 3\0", "a database of SQLite"),
        (b"PAR1", "a Parquet file"),
        (b"\x89PNG", "a picture"),
        (b"\xff\xd8\xff", "a picture"),
    ];
    if let Some((_, what)) = binary.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(what);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |word: &str| {
        text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    if ["<!doctype html", "<html", "<table", "<head", "<body"].iter().any(|word| begins(word)) {
        return Some(
            "a web page (HTML), whatever its name says, as some programs export for Excel; open it in Excel",
        );
    }
    (begins("<?xml") || begins("<workbook"))
        .then_some("XML, whatever its name says; open it in Excel")
}

fn gunzip(source: &Source) -> Result<Source, TableError> {
    let broken = |error: std::io::Error| {
        TableError::of_file(format!(
            "is a gzip file that cannot be unpacked ({error}): it is damaged or cut"
        ))
    };
    let reader = source.reader().map_err(|error| TableError::unreadable(&error))?;
    Source::spooled(flate2::read::MultiGzDecoder::new(reader)).map_err(broken)
}

fn unzip(source: Source, notes: &mut Vec<String>, depth: u32) -> Result<Unpacked, TableError> {
    let broken = |error: zip::result::ZipError| {
        TableError::of_file(format!(
            "is a zip file that cannot be unpacked ({error}): it is damaged or cut"
        ))
    };
    let unreadable = |error: std::io::Error| TableError::unreadable(&error);
    let mut file = tempfile::tempfile().map_err(unreadable)?;
    std::io::copy(&mut source.reader().map_err(unreadable)?, &mut file).map_err(unreadable)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let names: Result<Vec<String>, _> =
        archive.file_names().map(|name| name.map(std::borrow::Cow::into_owned)).collect();
    let names = names.map_err(broken)?;
    let has = |name: &str| names.iter().any(|known| known == name);
    let begins = |start: &str| names.iter().any(|known| known.starts_with(start));
    if has("[Content_Types].xml") && begins("xl/") || has("content.xml") && has("mimetype") {
        return Ok(Unpacked::Workbook(source));
    }
    if begins("Index/") || has("Index.zip") {
        return Err(TableError::of_file(format!(
            "is a document of Apple's Numbers or Pages; {HOW_TO_SAVE}"
        )));
    }
    if begins("word/") || begins("ppt/") {
        return Err(TableError::of_file(format!(
            "is a document of Word or PowerPoint, and no table; {HOW_TO_SAVE}"
        )));
    }
    let is_rubbish = |name: &str| {
        name.ends_with('/')
            || name.starts_with("__MACOSX/")
            || name.ends_with(".DS_Store")
            || name.ends_with("Thumbs.db")
    };
    let files: Vec<&String> = names.iter().filter(|name| !is_rubbish(name)).collect();
    match files.as_slice() {
        [] => Err(TableError::of_file("is a zip file without a file in it")),
        [name] if depth < DEEPEST => {
            let entry = archive.by_name(name).map_err(broken)?;
            let unpacked = Source::spooled(entry.take(u64::MAX)).map_err(|error| {
                TableError::of_file(format!(
                    "is a zip file that cannot be unpacked ({error}): it is damaged or cut"
                ))
            })?;
            notes.push(format!("read from the zip file: {}", shown(name)));
            unpack(unpacked, notes, depth + 1)
        }
        several => {
            let names: Vec<_> = several.iter().take(5).map(|name| shown(name)).collect();
            let more = if several.len() > names.len() { ", …" } else { "" };
            Err(TableError::of_file(format!(
                "is a zip file of {} files ({}{more}); unpack it and name one of them",
                several.len(),
                names.join(", ")
            )))
        }
    }
}

/// The old container of Microsoft's: `.xls`, or a workbook behind a password.
fn compound(source: Source) -> Result<Unpacked, TableError> {
    let bytes = source.all().map_err(|error| TableError::unreadable(&error))?;
    let has = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(name.len()).any(|window| window == name)
    };
    if has("EncryptedPackage") {
        return Err(TableError::of_file(format!(
            "is a workbook with a password; take the password off, or {HOW_TO_SAVE}"
        )));
    }
    if has("WordDocument") || has("PowerPoint Document") || !(has("Workbook") || has("Book")) {
        return Err(TableError::of_file(format!(
            "is a document of Microsoft's, and no workbook; {HOW_TO_SAVE}"
        )));
    }
    Ok(Unpacked::Workbook(source))
}
