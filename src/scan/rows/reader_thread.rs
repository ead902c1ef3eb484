//! Rows read on a thread of their own, so that reading a file and storing what it holds go on at
//! once.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::RowError;
use crate::cache::Batch;

/// Rows may not be kept: a batch is handed over when so many bytes are read, too, full or not.
const BATCH_BYTES: u64 = 1 << 20;

/// Batches that may wait to be stored. Memory is bounded by them.
const WAITING: usize = 4;

/// Some rows, and how many bytes of the file they and those before them took.
struct Read {
    batch: Batch,
    byte: u64,
}

/// The rows of a file, one by one.
pub(in crate::scan) trait Leads {
    /// Adds the next row to the batch; false at the end.
    fn next(&mut self, batch: &mut Batch) -> Result<bool, RowError>;

    /// How many bytes the rows so far took.
    fn byte(&self) -> u64;
}

/// Hands the rows of a file to `take`, in order, some at a time, with the bytes that are read. The
/// outer error is that of `take`, which ends the reading; the inner one says that the file cannot
/// be read on, after the rows before it.
pub(in crate::scan) fn each_batch<E>(
    rows: &mut (impl Leads + Send),
    mut take: impl FnMut(&Batch, u64) -> Result<(), E>,
) -> Result<Result<(), RowError>, E> {
    std::thread::scope(|scope| {
        let (sender, receiver): (_, Receiver<Result<Read, RowError>>) = sync_channel(WAITING);
        let (give_back, used) = channel();
        scope.spawn(move || read(rows, &sender, &used));
        for read in receiver {
            match read {
                Ok(Read { batch, byte }) => {
                    take(&batch, byte)?;
                    return_to(&give_back, batch);
                }
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(()))
    })
}

/// Memory that was asked for once need not be asked for again.
fn return_to(reader: &Sender<Batch>, mut batch: Batch) {
    batch.clear();
    // A reader that has come to the end needs none.
    reader.send(batch).ok();
}

/// Reads until the end, an error, or until nobody takes any more.
fn read(
    rows: &mut impl Leads,
    batches: &SyncSender<Result<Read, RowError>>,
    used: &Receiver<Batch>,
) {
    loop {
        let mut batch = used.try_recv().unwrap_or_default();
        let begun_at = rows.byte();
        let (mut ended, mut refused) = (false, None);
        while !batch.is_full() && rows.byte() - begun_at < BATCH_BYTES {
            match rows.next(&mut batch) {
                Ok(true) => {}
                Ok(false) => {
                    ended = true;
                    break;
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let taken = batches.send(Ok(Read { batch, byte: rows.byte() })).is_ok();
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
