//! One completed job's file, from Marketo straight into the cache.
//!
//! The file is never on disk. It travels through a pipe to a thread that reads rows and stores
//! them, in a transaction that ends well only when the reader comes to the file's end; and that it
//! does only after size and checksum were right.

use std::io::Read;
use std::time::Duration;

use chrono::TimeDelta;
use hyper::body::Bytes;
use sha2::{Digest, Sha256};

use super::pipe::{PieceReader, Pieces, pipe};
use super::{BulkScan, SharedCache};
use crate::cache::{Batch, Cache, Fields, Loaded};
use crate::dedupe::{Key, KeySpec};
use crate::lead::{Lead, Window};
use crate::marketo::{self, Download, ExportJob, ExportLeads};
use crate::scan::Error;
use crate::scan::rows::{Columns, Kind, Leads, RowError, Rows, each_batch};

/// How often in a row the line may be cut without a single byte in between.
const CUTS: u32 = 8;

/// How often a file is fetched whose bytes are not those of its checksum.
const DAMAGED: u32 = 3;

/// How often a file is asked for that a completed job must have and has not, a minute apart.
const MISSING: u32 = 3;

/// Around a change of clocks a row can be off by an hour; what is further off belongs to another
/// window.
const OFF: TimeDelta = TimeDelta::hours(2);

/// How fetching a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetched {
    /// It is in the cache.
    Loaded,
    /// There is no file, or it stays damaged: the job must be ordered anew.
    Lost,
}

/// What a completed job says of its file.
#[derive(Debug, Clone)]
pub(super) struct FileFacts {
    id: String,
    pub(super) records: Option<u64>,
    pub(super) size: u64,
    /// None where Marketo gives none: then its size and the number of its rows prove the file.
    pub(super) sha256: Option<String>,
}

impl FileFacts {
    /// None where the job does not say how large its file is: nothing then tells a whole file from
    /// a part.
    pub(super) fn of(job: &ExportJob) -> Option<Self> {
        Some(Self {
            id: job.id.clone(),
            records: job.records,
            size: job.size?,
            sha256: job.sha256.clone(),
        })
    }
}

/// Fetches a file into the cache: as often as it takes, within reason.
pub(super) async fn fetch(
    marketo: &impl ExportLeads,
    cache: &SharedCache,
    scan: &BulkScan<'_>,
    window: Window,
    file: &FileFacts,
) -> Result<Fetched, Error> {
    let (mut missing, mut damaged) = (0, 0);
    loop {
        let (pieces, reader) = pipe();
        let loading = load(cache, scan, window, file, reader);
        let (arrived, loaded) = tokio::join!(download(marketo, scan, file, pieces), loading);
        match arrived? {
            Arrived::Whole => return loaded.map(|_loaded| Fetched::Loaded),
            Arrived::NoFile => missing += 1,
            Arrived::Damaged => damaged += 1,
        }
        tracing::warn!(
            export = file.id,
            missing,
            damaged,
            "the file of an export is not what it must be"
        );
        if missing >= MISSING || damaged >= DAMAGED {
            return Ok(Fetched::Lost);
        }
        scan.pause(super::POLL_AT_MOST).await;
    }
}

/// Reads the rows on a thread of their own. The answer says that they are stored.
async fn load(
    cache: &SharedCache,
    scan: &BulkScan<'_>,
    window: Window,
    file: &FileFacts,
    reader: PieceReader,
) -> Result<Loaded, Error> {
    let (cache, fields, key) = (cache.clone(), scan.columns(), scan.key.clone());
    let file = file.clone();
    let loading = tokio::task::spawn_blocking(move || {
        let mut cache = cache.lock();
        store(&mut cache, window, &file, &fields, &key, reader)
    });
    loading.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

fn store(
    cache: &mut Cache,
    window: Window,
    file: &FileFacts,
    fields: &[(String, Kind)],
    key: &KeySpec,
    reader: PieceReader,
) -> Result<Loaded, Error> {
    let refused = |error: RowError| {
        let line = error.line.map(|line| format!(" in line {line}")).unwrap_or_default();
        Error::Export { window, what: format!("cannot be read{line}: {}", error.what) }
    };
    cache.load_export(window, |loader| {
        let places = loader.fields().clone();
        let rows =
            Rows::open(reader, |header| Columns::ordered(header, fields)).map_err(refused)?;
        let mut rows = ExportRows { rows, places, key, window };
        let mut count = 0;
        let read = each_batch(&mut rows, |batch, _byte| {
            count += batch.len() as u64;
            Ok::<_, Error>(loader.add_batch(batch)?)
        });
        read?.map_err(|error| match error.line {
            // Nothing is wrong with the row, but it is of another window.
            None if error.what.starts_with(HOLDS) => Error::Export { window, what: error.what },
            _ => refused(error),
        })?;
        // More is no harm: around a change of clocks rows come twice. Fewer were swallowed.
        match file.records {
            Some(records) if count < records => {
                let what = format!("holds {count} rows where Marketo counted {records}");
                Err(Error::Export { window, what })
            }
            _ => Ok(Loaded { rows: count, bytes: file.size }),
        }
    })
}

/// How it is said what a file holds and must not hold.
const HOLDS: &str = "holds lead ";

/// The rows of a file on their way into a batch.
struct ExportRows<'a, R: Read> {
    rows: Rows<R>,
    places: Fields,
    key: &'a KeySpec,
    window: Window,
}

impl<R: Read> Leads for ExportRows<'_, R> {
    fn next(&mut self, batch: &mut Batch) -> Result<bool, RowError> {
        let Some(lead) = self.rows.next()? else { return Ok(false) };
        if !belongs(self.window, &lead) {
            let what = format!("{HOLDS}{}, which was not created then", lead.id);
            return Err(RowError { line: None, what });
        }
        let key = self.key.key_of(&lead);
        batch
            .lead(&lead, key.as_ref().map(Key::as_str), &self.places)
            .map_err(|error| RowError { line: self.rows.line(), what: error.to_string() })?;
        Ok(true)
    }

    fn byte(&self) -> u64 {
        self.rows.byte()
    }
}

/// Whether a row can be of this window: a job that was found again may be somebody else's.
fn belongs(window: Window, lead: &Lead) -> bool {
    lead.created_at()
        .is_none_or(|created| created >= window.start - OFF && created <= window.end + OFF)
}

/// What came of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrived {
    /// All bytes, and they are those of the checksum.
    Whole,
    /// All bytes or more, and they are not.
    Damaged,
    /// 404.
    NoFile,
}

/// Fetches the bytes, going on after each cut where it was, and says at the end whether they are
/// right. Nobody needs to read them: of a file that cannot be read it must be known, too, whether
/// it is damaged.
async fn download(
    marketo: &impl ExportLeads,
    scan: &BulkScan<'_>,
    file: &FileFacts,
    pieces: Pieces,
) -> Result<Arrived, Error> {
    let mut sum = Sha256::new();
    let (mut at, mut cuts) = (0_u64, 0);
    while at < file.size {
        let begun_at = at;
        let Some(mut part) = marketo.export_file(&file.id, at).await? else {
            return Ok(Arrived::NoFile);
        };
        // A server that knows no ranges begins anew, and what is known already goes by.
        let mut known = at.saturating_sub(part.from());
        while let Some(piece) = next_piece(&mut part).await {
            let skipped = known.min(piece.len() as u64);
            known -= skipped;
            let fresh = piece.slice(usize::try_from(skipped).unwrap_or(piece.len())..);
            at += fresh.len() as u64;
            if at > file.size {
                return Ok(Arrived::Damaged);
            }
            sum.update(&fresh);
            if !fresh.is_empty() {
                pieces.push(fresh).await;
            }
        }
        cuts = if at > begun_at { 0 } else { cuts + 1 };
        if cuts >= CUTS {
            return Err(Error::Marketo(marketo::Error::Unavailable {
                call: "GET /bulk/v1/leads/export/{id}/file.json".to_owned(),
                what: format!("the line is cut time and again after {at} of {} bytes", file.size),
                attempts: cuts,
            }));
        }
        if cuts > 0 {
            scan.pause(Duration::from_secs(1 << cuts.min(5))).await;
        }
    }
    if file.sha256.as_ref().is_some_and(|expected| hex(&sum.finalize()) != *expected) {
        return Ok(Arrived::Damaged);
    }
    pieces.whole().await;
    Ok(Arrived::Whole)
}

/// The next piece, or none where the line was cut: what is missing then is asked for.
async fn next_piece(part: &mut Download) -> Option<Bytes> {
    part.piece().await.unwrap_or_else(|cut| {
        tracing::info!(%cut, "a download was cut");
        None
    })
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit =
        |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('?', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::FileFacts;
    use crate::marketo::{ExportJob, ExportStatus};

    #[test]
    fn a_file_is_proved_by_its_size_where_there_is_no_checksum_and_not_without_a_size() {
        let job = |size: Option<u64>, sha256: Option<&str>| ExportJob {
            id: "1".to_owned(),
            status: ExportStatus::Completed,
            created_at: None,
            records: Some(2),
            size,
            sha256: sha256.map(str::to_owned),
            message: None,
        };
        let facts = FileFacts::of(&job(Some(10), None)).unwrap();
        assert_eq!((facts.size, facts.sha256, facts.records), (10, None, Some(2)));
        assert!(FileFacts::of(&job(Some(10), Some("ab"))).unwrap().sha256.is_some());
        assert!(FileFacts::of(&job(None, Some("ab"))).is_none());
    }
}
