//! A range of a blob that lies somewhere behind HTTP, read in pieces, and taken up again where a connection broke.

use std::io::{self, Read};
use std::ops::Range;

use wythe_registry::exchange::ServiceAnswer;
use wythe_registry::retry;
use wythe_registry::settings::Timing;
use wythe_store::cache_backend::CacheError;

/// How much is asked for at once: what comes within the patience of one request, so that a server that has
/// stopped sending is noticed.
const PIECE: u64 = 16 << 20;
/// How often in a row a connection may break before a byte came.
const FAILURES: u32 = 4;

/// Asks for a range of bytes, or some of its beginning.
pub(crate) type Fetch<'a> =
    Box<dyn Fn(Range<u64>) -> Result<ServiceAnswer, CacheError> + Send + 'a>;

/// Reads a range, or what there is of it where the whole is shorter than it is said to be.
pub(crate) struct RangedReader<'a> {
    fetch: Fetch<'a>,
    timing: &'a dyn Timing,
    at: u64,
    end: u64,
    /// What comes now, and how much of it is wanted.
    body: io::Take<Box<dyn Read + Send>>,
    failures: u32,
}

impl<'a> RangedReader<'a> {
    /// A reader whose first piece has been asked for.
    pub(crate) fn open(
        range: Range<u64>,
        timing: &'a dyn Timing,
        fetch: Fetch<'a>,
    ) -> Result<Self, CacheError> {
        let (at, end) = (range.start, range.end.max(range.start));
        let body = (Box::new(io::empty()) as Box<dyn Read + Send>).take(0);
        let mut reader = Self { fetch, timing, at, end, body, failures: 0 };
        if at < end {
            reader
                .advance()?
                .map_err(|error| CacheError { backend: String::new(), problem: error.into() })?;
        }
        Ok(reader)
    }

    /// Asks for the next piece. The outer failure is the service's, the inner one that of what it sent.
    fn advance(&mut self) -> Result<io::Result<()>, CacheError> {
        let piece = self.at..self.end.min(self.at + PIECE);
        let answer = (self.fetch)(piece.clone())?;
        if answer.status == 416 {
            // There is nothing from there on.
            self.end = self.at;
            return Ok(Ok(()));
        }
        let start = match answer.status {
            206 => answer.header("content-range").and_then(start_of),
            _ => Some(0),
        };
        let whole = answer.status != 206;
        let total = if whole {
            answer.header("content-length").and_then(|text| text.parse().ok())
        } else {
            answer.header("content-range").and_then(total_of)
        };
        // There is no more of it than the server says.
        self.end = total.map_or(self.end, |total: u64| self.end.min(total.max(self.at)));
        let piece = piece.start..piece.end.min(self.end);
        let mut body = answer.body;
        let passed = match start {
            Some(start) if start <= self.at => {
                let before = self.at - start;
                io::copy(&mut (&mut body).take(before), &mut io::sink())
                    .and_then(|count| if count == before { Ok(()) } else { Err(cut()) })
            }
            _ => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "not the range that was asked for"))
            }
        };
        let until = if whole { self.end } else { piece.end };
        self.body = body.take(until - self.at);
        Ok(passed)
    }

    fn recover(&mut self, mut cause: io::Error) -> io::Result<()> {
        loop {
            self.failures += 1;
            match retry::delay(self.timing, self.failures, None) {
                Some(time) if self.failures < FAILURES => self.timing.sleep(time),
                _ => return Err(cause),
            }
            match self.advance().map_err(io::Error::other)? {
                Ok(()) => return Ok(()),
                Err(error) => cause = error,
            }
        }
    }
}

impl Read for RangedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at < self.end && !buffer.is_empty() {
            if self.body.limit() == 0 {
                match self.advance().map_err(io::Error::other)? {
                    Ok(()) => {}
                    Err(error) => self.recover(error)?,
                }
            }
            let cause = match self.body.read(buffer) {
                Ok(0) => cut(),
                Ok(count) => {
                    self.at += count as u64;
                    self.failures = 0;
                    return Ok(count);
                }
                Err(error) => error,
            };
            self.recover(cause)?;
        }
        Ok(0)
    }
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// Where the bytes of a `Content-Range` begin.
fn start_of(text: &str) -> Option<u64> {
    text.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// How many bytes the whole has, by a `Content-Range`.
pub(crate) fn total_of(text: &str) -> Option<u64> {
    text.rsplit('/').next()?.trim().parse().ok()
}

/// The value of `Range` for a range that is not empty.
pub(crate) fn value_of(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end - 1)
}
