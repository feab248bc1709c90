//! Bytes that one thread reads and another sends.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Long enough that handing a piece over costs nothing beside reading it. A pipe takes 64 KiB, and two system
/// calls for each 8 KiB.
const PIECE: u64 = 256 << 10;
/// How many pieces wait, beside the one that is being read and the one that is being sent.
const WAITING: usize = 2;

/// Where pieces are handed over, and what reads them.
pub(crate) fn channel() -> (Feed, Pieces) {
    let (feed, pieces) = sync_channel(WAITING);
    (Feed(feed), Pieces { pieces, piece: io::Cursor::default() })
}

/// Who hands pieces over.
#[derive(Debug)]
pub(crate) struct Feed(SyncSender<Vec<u8>>);

impl Feed {
    /// Hands over all that there is to read, unless whoever reads the pieces stops before.
    ///
    /// # Errors
    ///
    /// If it cannot be read. What was handed over ends there.
    pub(crate) fn all(self, from: &mut dyn Read) -> io::Result<()> {
        loop {
            let mut piece = Vec::with_capacity(usize::try_from(PIECE).unwrap_or_default());
            from.take(PIECE).read_to_end(&mut piece)?;
            // The other side may answer before it has read everything.
            if piece.is_empty() || self.0.send(piece).is_err() {
                return Ok(());
            }
        }
    }
}

/// The pieces, as one stream. It ends where nobody hands over any more.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: Receiver<Vec<u8>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            match self.pieces.recv() {
                Ok(piece) => self.piece = io::Cursor::new(piece),
                Err(_) => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a reader that is fed, and what the feeding comes to.
    fn fed(mut from: impl Read + Send) -> (Vec<u8>, io::Result<()>) {
        let (feed, mut pieces) = channel();
        std::thread::scope(|scope| {
            let feeder = scope.spawn(move || feed.all(&mut from));
            let mut bytes = Vec::new();
            pieces.read_to_end(&mut bytes).unwrap();
            (bytes, feeder.join().unwrap())
        })
    }

    #[test]
    fn bytes_come_as_they_are_read() {
        let bytes: Vec<u8> = (0..251).cycle().take(1_500_001).collect();
        for length in [0, 1, 256 << 10, (256 << 10) + 1, bytes.len()] {
            let (come, done) = fed(&bytes[..length]);
            assert!(come == bytes[..length] && done.is_ok(), "{length}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_stream_and_is_told() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let bytes = vec![7; 300 << 10];
        let (come, done) = fed((&bytes[..]).chain(Broken));
        assert!(come.len() < bytes.len(), "nobody takes it for whole");
        assert_eq!(done.unwrap_err().to_string(), "broken");
    }

    #[test]
    fn feeding_ends_where_nobody_reads_any_more() {
        let (feed, pieces) = channel();
        drop(pieces);
        feed.all(&mut io::repeat(0)).unwrap();
    }
}
