//! A file on its way: pieces in on one side, a reader out on the other, and its end only when it is
//! proved whole.

use std::io::{self, Read};

use hyper::body::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many pieces may wait to be read; one is some kilobytes.
const WAITING: usize = 64;

/// Where pieces go in.
#[derive(Debug)]
pub(super) struct Pieces(Sender<Piece>);

/// What they are read from, on a thread that may block. It comes to its end only after
/// [`Pieces::whole`]; when the file is given up before, reading fails, so that nobody can take a
/// part for the whole.
#[derive(Debug)]
pub(super) struct PieceReader {
    pieces: Receiver<Piece>,
    current: Bytes,
    whole: bool,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    Whole,
}

/// Both sides of a file.
pub(super) fn pipe() -> (Pieces, PieceReader) {
    let (sender, receiver) = channel(WAITING);
    (Pieces(sender), PieceReader { pieces: receiver, current: Bytes::new(), whole: false })
}

impl Pieces {
    /// Hands in a piece, and waits where too many are unread. A reader that has seen enough is no
    /// failure here.
    pub(super) async fn push(&self, bytes: Bytes) {
        drop(self.0.send(Piece::Bytes(bytes)).await);
    }

    /// Says that all pieces are in, and are what they must be.
    pub(super) async fn whole(self) {
        drop(self.0.send(Piece::Whole).await);
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            if self.whole {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.current = bytes,
                Some(Piece::Whole) => self.whole = true,
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the download was given up",
                    ));
                }
            }
        }
        let count = self.current.len().min(buffer.len());
        let part = self.current.split_to(count);
        buffer.get_mut(..count).unwrap_or_default().copy_from_slice(&part);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(pieces: &[&'static str], whole: bool) -> io::Result<String> {
        let (writer, mut reader) = pipe();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_bytes| text)
        });
        for piece in pieces {
            writer.push(Bytes::from_static(piece.as_bytes())).await;
        }
        if whole {
            writer.whole().await;
        } else {
            drop(writer);
        }
        read.await.unwrap()
    }

    #[tokio::test]
    async fn the_end_is_reached_when_the_file_is_whole_and_only_then() {
        assert_eq!(read(&["id\n", "", "1\n"], true).await.unwrap(), "id\n1\n");
        assert_eq!(
            read(&["id\n", "1\n"], false).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
