//! Reading on another thread, a bounded number of pieces ahead.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

/// Long enough that handing a piece over costs nothing beside making it.
const PIECE: usize = 256 << 10;
/// How many pieces wait at most.
const WAITING: usize = 8;

/// The bytes of a reader that runs on a thread of its own. Dropping this stops the thread.
#[derive(Debug)]
pub(super) struct Ahead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Ahead {
    /// Starts to read. The handle gives the reader back once it is at its end.
    pub(super) fn start<'scope, R: Read + Send + 'scope>(
        scope: &'scope Scope<'scope, '_>,
        mut input: R,
    ) -> (Self, ScopedJoinHandle<'scope, R>) {
        let (sender, pieces) = sync_channel(WAITING);
        let reading = scope.spawn(move || {
            pump(&mut input, &sender);
            input
        });
        (Self { pieces, piece: io::Cursor::default() }, reading)
    }

    /// Has one more thread look at all pieces before they are read here. The handle gives back what
    /// has looked, once it has seen the last.
    pub(super) fn seen_by<'scope, L: Look + Send + 'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        mut look: L,
    ) -> (Self, ScopedJoinHandle<'scope, L>) {
        let (sender, pieces) = sync_channel(WAITING);
        let looking = scope.spawn(move || {
            for piece in self.pieces {
                if let Ok(piece) = &piece {
                    look.look(piece);
                }
                if sender.send(piece).is_err() {
                    break;
                }
            }
            look
        });
        (Self { pieces, piece: io::Cursor::default() }, looking)
    }
}

/// What wants to see the bytes that pass.
pub(super) trait Look {
    /// Sees the bytes that come next.
    fn look(&mut self, bytes: &[u8]);
}

fn pump(input: &mut dyn Read, pieces: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let filled = input.take(PIECE as u64).read_to_end(&mut piece);
        let last = piece.len() < PIECE;
        // Nobody listens any more once an entry was refused.
        if !piece.is_empty() && pieces.send(Ok(piece)).is_err() {
            return;
        }
        if let Err(error) = filled {
            let _ = pieces.send(Err(error));
            return;
        }
        if last {
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            match self.pieces.recv() {
                Ok(piece) => self.piece = io::Cursor::new(piece?),
                Err(_) => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_errors_come_in_order() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let bytes: Vec<u8> = (0..251).cycle().take(PIECE * 3 + 7).collect();
        std::thread::scope(|scope| {
            let (mut ahead, _) = Ahead::start(scope, (&bytes[..]).chain(Broken));
            let mut read = Vec::new();
            assert_eq!(ahead.read_to_end(&mut read).unwrap_err().to_string(), "broken");
            assert!(read == bytes);
        });
    }

    struct Sum(u64);
    impl Look for Sum {
        fn look(&mut self, bytes: &[u8]) {
            self.0 += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    }

    #[test]
    fn what_is_read_has_been_seen() {
        let bytes: Vec<u8> = (0..251).cycle().take(PIECE * 20 + 7).collect();
        std::thread::scope(|scope| {
            let (mut ahead, looking) = Ahead::start(scope, &bytes[..]).0.seen_by(scope, Sum(0));
            let mut read = Vec::new();
            ahead.read_to_end(&mut read).unwrap();
            assert!(read == bytes);
            let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
            assert_eq!(looking.join().unwrap().0, sum);
        });
    }

    #[test]
    fn a_reader_nobody_listens_to_stops() {
        std::thread::scope(|scope| {
            let (ahead, reading) = Ahead::start(scope, io::repeat(0));
            let (seen, looking) = ahead.seen_by(scope, Sum(0));
            drop(seen);
            looking.join().unwrap();
            reading.join().unwrap();
        });
    }
}
