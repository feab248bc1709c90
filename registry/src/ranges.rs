//! A large blob in several parts at once, handed over in order.
//!
//! The part that is read now comes over a connection of its own; those behind it are fetched meanwhile and wait in
//! memory, as far as all downloads of the process have room for them.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::download::{BlobSource, Stretch};
use crate::traffic::Room;

/// A blob from this size on comes in parts. Below, asking several times costs more than it saves: each part
/// may be redirected first.
pub(crate) const RANGED_FROM: u64 = 32 << 20;
/// How long a part is: storage services recommend 8 to 16 MiB.
pub(crate) const PIECE: u64 = 8 << 20;
/// Parts of one blob that are fetched ahead. One connection to a storage service rarely gives more than a fifth of
/// what a machine in the same place can take.
const AHEAD: usize = 4;
/// What is handed over at once, so that the first bytes of a part need not wait for its last.
const CHUNK: usize = 256 << 10;

/// The parts of a blob, as one reader.
pub(crate) struct Ranges {
    source: Arc<BlobSource>,
    /// Who is asked.
    stop: usize,
    now: Now,
    ahead: VecDeque<Ahead>,
    /// How many parts are fetched ahead.
    most: usize,
    /// Where what nobody is at begins.
    next: u64,
}

/// The part that is read.
enum Now {
    /// From its connection.
    Connected(Stretch),
    /// From memory, as far as it has come.
    Fetched(Ahead),
}

/// A part that somebody else fetches.
struct Ahead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    left: u64,
    _room: Room,
}

impl Ranges {
    /// All parts of a blob of which the first has begun.
    pub(crate) fn new(first: Stretch) -> Self {
        let (source, stop, next) = (first.source.clone(), first.stop, first.end());
        let most = first.max_requests().map_or(AHEAD, |most| AHEAD.min(most.get() - 1));
        let (now, ahead) = (Now::Connected(first), VecDeque::new());
        let mut ranges = Self { source, stop, now, ahead, most, next };
        ranges.look_ahead();
        ranges
    }

    /// Who is asked, of the source's stops.
    pub(crate) fn stop(&self) -> usize {
        self.stop
    }

    /// Has further parts fetched, as many as there is room for.
    fn look_ahead(&mut self) {
        while self.ahead.len() < self.most && self.next < self.source.size {
            let Some(room) = self.source.inner.settings.traffic.room() else { return };
            let range = self.following();
            let Ok(part) = Ahead::fetch(&self.source, self.stop, range.clone(), room) else {
                return;
            };
            self.next = range.end;
            self.ahead.push_back(part);
        }
    }

    fn following(&self) -> Range<u64> {
        self.next..self.source.size.min(self.next + PIECE)
    }

    /// Turns to the next part; `false` if there is none.
    fn turn(&mut self) -> io::Result<bool> {
        self.now = match self.ahead.pop_front() {
            Some(part) => Now::Fetched(part),
            None if self.next < self.source.size => {
                let range = self.following();
                let part = Stretch::open(&self.source, self.stop, range.clone());
                let part = part.map_err(io::Error::other)?;
                (self.next, self.stop) = (range.end, part.stop);
                Now::Connected(part)
            }
            None => return Ok(false),
        };
        self.look_ahead();
        Ok(true)
    }
}

impl Read for Ranges {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = match &mut self.now {
                Now::Connected(part) => part.read(buffer)?,
                Now::Fetched(part) => part.read(buffer)?,
            };
            if 0 < count || buffer.is_empty() || !self.turn()? {
                return Ok(count);
            }
        }
    }
}

impl Ahead {
    /// Begins to fetch a part. It ends where nobody wants it any more.
    fn fetch(
        source: &Arc<BlobSource>,
        stop: usize,
        range: Range<u64>,
        room: Room,
    ) -> io::Result<Self> {
        let (sender, chunks) = channel();
        let (source, left) = (source.clone(), range.end - range.start);
        let work = move || deliver(&source, stop, range, &sender);
        thread::Builder::new().name("blob".to_owned()).spawn(work)?;
        Ok(Self { chunks, chunk: io::Cursor::default(), left, _room: room })
    }
}

fn deliver(
    source: &Arc<BlobSource>,
    stop: usize,
    range: Range<u64>,
    sender: &Sender<io::Result<Vec<u8>>>,
) {
    let mut part = match Stretch::open(source, stop, range) {
        Ok(part) => part,
        Err(error) => {
            // Nobody may wait for it any more.
            let _ = sender.send(Err(io::Error::other(error)));
            return;
        }
    };
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut part).take(CHUNK as u64).read_to_end(&mut chunk);
        let is_end = !matches!(read, Ok(1..));
        let sent = match read {
            Ok(0) => return,
            Ok(_) => sender.send(Ok(chunk)),
            Err(error) => sender.send(Err(error)),
        };
        if sent.is_err() || is_end {
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.chunk.read(buffer)?;
            if 0 < count || buffer.is_empty() || self.left == 0 {
                self.left -= count as u64;
                return Ok(count);
            }
            let chunk = self.chunks.recv().map_err(|_| io::ErrorKind::UnexpectedEof)??;
            self.chunk = io::Cursor::new(chunk);
        }
    }
}
