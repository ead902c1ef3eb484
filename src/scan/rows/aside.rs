//! Rows read on a thread of their own, so that reading a file and storing what it holds go on at
//! once.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::RowError;
use crate::cache::Row;
use crate::dedupe::KeySpec;
use crate::lead::Lead;

/// Rows that change hands at once: enough that handing over costs nothing beside reading them.
const BATCH: usize = 512;

/// Rows may be long: a batch is handed over when it is of so many bytes, too.
const BATCH_BYTES: u64 = 1 << 20;

/// Batches that may wait to be stored. Memory is bounded by them.
const WAITING: usize = 4;

/// Some rows, and how many bytes of the file they and those before them took.
struct Batch {
    rows: Vec<Row>,
    byte: u64,
}

/// Leads, one by one.
pub(in crate::scan) trait Leads {
    /// The next lead; none at the end.
    fn next(&mut self) -> Result<Option<Lead>, RowError>;

    /// How many bytes the rows so far took.
    fn byte(&self) -> u64;
}

/// Hands every row of a file to `take`, in order, with its key, and the bytes that are read. The
/// outer error is that of `take`, which ends the reading; the inner one says that the file cannot
/// be read on, after the rows before it.
pub(in crate::scan) fn each_row<E>(
    rows: impl Leads + Send,
    key: &KeySpec,
    mut take: impl FnMut(&Row, u64) -> Result<(), E>,
) -> Result<Result<(), RowError>, E> {
    std::thread::scope(|scope| {
        let (sender, receiver): (_, Receiver<Result<Batch, RowError>>) = sync_channel(WAITING);
        scope.spawn(move || read(rows, key, &sender));
        for batch in receiver {
            match batch {
                Ok(Batch { rows, byte }) => rows.iter().try_for_each(|row| take(row, byte))?,
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(()))
    })
}

/// Reads until the end, an error, or until nobody takes any more.
fn read(mut rows: impl Leads, key: &KeySpec, batches: &SyncSender<Result<Batch, RowError>>) {
    loop {
        let (mut batch, begun_at, mut ended) = (Vec::with_capacity(BATCH), rows.byte(), false);
        let refused = loop {
            match rows.next() {
                Ok(Some(lead)) => batch.push(crate::scan::row(lead, key)),
                Ok(None) => {
                    ended = true;
                    break None;
                }
                Err(error) => break Some(error),
            }
            if batch.len() == BATCH || rows.byte() - begun_at >= BATCH_BYTES {
                break None;
            }
        };
        let taken = batches.send(Ok(Batch { rows: batch, byte: rows.byte() })).is_ok();
        let more = !ended && refused.is_none() && taken;
        if let Some(error) = refused {
            // Where nobody takes it any more, nobody needs to know.
            batches.send(Err(error)).ok();
        }
        if !more {
            return;
        }
    }
}
