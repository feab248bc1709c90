//! A blob on its way in, taken up again where a connection broke.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use reqwest::header::{HeaderValue, RANGE};
use wythe_store::oci::descriptor::Descriptor;

use crate::client::{Inner, Rights, header};
use crate::error::{RegistryError, RegistryProblem};
use crate::learned::Habit;
use crate::mirrored::Mirrored;
use crate::places::Stop;
use crate::ranges::{PIECE, RANGED_FROM, Ranges};
use crate::retry::{MAX_ATTEMPTS, delay};
use crate::transport::{Call, chain};
use crate::web::{decoded, is_coded};

/// After so many bytes a download has come further, and what broke it before does not count. Who is cut off
/// sooner each time has no connection to speak of.
const PROGRESS: u64 = 64 << 10;
/// Attempts at a mirror, without coming further: behind it is somebody who has everything.
const MIRROR_ATTEMPTS: u32 = 2;

/// A blob, and who is asked for it.
#[derive(Debug)]
pub(crate) struct BlobSource {
    pub(crate) inner: Arc<Inner>,
    /// At least one.
    pub(crate) stops: Vec<Stop>,
    pub(crate) path: String,
    pub(crate) size: u64,
}

/// A reader of a blob, which verifies the length and nothing else.
pub(crate) enum Download {
    /// Over one connection.
    Whole(Stretch),
    /// Over several, in the order of the blob.
    Ranges(Ranges),
}

/// A part of a blob on its way.
pub(crate) struct Stretch {
    pub(crate) source: Arc<BlobSource>,
    /// Who is asked, of the source's stops.
    pub(crate) stop: usize,
    /// What comes next.
    done: u64,
    end: u64,
    /// Since it came further.
    failures: u32,
    /// How far it was when it broke last.
    broken_at: u64,
    given: Given,
    body: Box<dyn Read + Send>,
}

/// What is answered to the request for a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Given {
    /// The part.
    Part,
    /// The blob.
    Whole,
    /// The blob, compressed for the way, so that a place in it is none in what comes; or another part of it. The
    /// next request is for everything.
    Coded,
}

impl Download {
    /// A reader of a blob. Who stores the bytes hashes them; those of a mirror are held to the digest here, too.
    pub(crate) fn start(
        inner: Arc<Inner>,
        stops: Vec<Stop>,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, RegistryError> {
        let (path, size) = (format!("blobs/{}", descriptor.digest), descriptor.size);
        let source = Arc::new(BlobSource { inner, stops, path, size });
        let blob = Self::begin(&source)?;
        let stop = blob.stop();
        if source.stops[stop].is_mirror() {
            return Ok(Box::new(Mirrored::new(blob, source, stop, descriptor.digest)));
        }
        Ok(Box::new(blob))
    }

    fn begin(source: &Arc<BlobSource>) -> Result<Self, RegistryError> {
        let (size, first) = (source.size, source.first());
        let host = source.stops[first].host();
        let learned = &source.inner.settings.learned;
        if size < RANGED_FROM || learned.knows(host, Habit::IgnoresRanges) {
            return Stretch::open(source, first, 0..size).map(Self::Whole);
        }
        match Stretch::open(source, first, 0..PIECE) {
            Ok(piece) if piece.given == Given::Part => Ok(Self::Ranges(Ranges::new(piece))),
            // Who takes no notice of ranges has begun to send everything.
            Ok(piece) => {
                source.inner.learn(source.stops[piece.stop].host(), Habit::IgnoresRanges);
                Ok(Self::Whole(Stretch { end: size, ..piece }))
            }
            // Some say so, by one status or another.
            Err(error) if matches!(error.status(), Some(400 | 405 | 412 | 416 | 501)) => {
                Stretch::open(source, first, 0..size).map(Self::Whole)
            }
            Err(error) => Err(error),
        }
    }

    /// Who is asked, of the source's stops.
    fn stop(&self) -> usize {
        match self {
            Self::Whole(blob) => blob.stop,
            Self::Ranges(blob) => blob.stop(),
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Whole(blob) => blob.read(buffer),
            Self::Ranges(blob) => blob.read(buffer),
        }
    }
}

impl BlobSource {
    /// The first who is asked.
    fn first(&self) -> usize {
        let last = self.stops.len().saturating_sub(1);
        (0..last).find(|at| !self.inner.rests(&self.stops[*at])).unwrap_or(last)
    }
}

impl Stretch {
    /// Asks for a part of a blob.
    pub(crate) fn open(
        source: &Arc<BlobSource>,
        stop: usize,
        range: Range<u64>,
    ) -> Result<Self, RegistryError> {
        let mut stretch = Self {
            source: source.clone(),
            stop,
            done: range.start,
            end: range.end,
            failures: 0,
            broken_at: range.start,
            given: Given::Whole,
            body: Box::new(io::empty()),
        };
        match stretch.ask() {
            Ok(()) => {}
            Err(error) => stretch.recover(error)?,
        }
        Ok(stretch)
    }

    /// Where it ends in the blob.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// How many requests whoever is asked gets at a time, where somebody says.
    pub(crate) fn max_requests(&self) -> Option<NonZeroUsize> {
        let BlobSource { inner, stops, .. } = &*self.source;
        inner.at(&stops[self.stop], Rights::Pull).ok()?.reach.max_requests
    }

    /// Asks for what is left. The registry is asked, not the storage it redirected to, whose signed
    /// address may have expired.
    fn ask(&mut self) -> Result<(), RegistryError> {
        let BlobSource { inner, stops, path, size } = &*self.source;
        let repository = inner.at(&stops[self.stop], Rights::Pull)?;
        let mut call = Call::get(repository.url(path));
        let is_part = (0 < self.done || self.end < *size) && self.given != Given::Coded;
        if is_part {
            let last = if self.end < *size { (self.end - 1).to_string() } else { String::new() };
            let range = format!("bytes={}-{last}", self.done);
            let value = HeaderValue::from_str(&range).expect("digits are a valid header value");
            call.headers.insert(RANGE, value);
        }
        let response = inner.call(&repository, &call)?;
        let fail = |problem| RegistryError::new("GET", &call.url, problem);
        let coded = is_coded(&response);
        if response.status().as_u16() == 206 {
            let expected = format!("bytes {}-", self.done);
            let there =
                header(&response, "content-range").is_some_and(|got| got.starts_with(&expected));
            if !there || coded {
                if is_part {
                    // Caches do that; of everything no part is another one.
                    self.given = Given::Coded;
                    return self.ask();
                }
                return Err(fail(RegistryProblem::Answer { what: "Content-Range" }));
            }
            (self.given, self.body) = (Given::Part, Box::new(response));
            return Ok(());
        }
        self.given = if coded { Given::Coded } else { Given::Whole };
        self.body = decoded(response);
        // What was read already is passed over.
        let skipped = io::copy(&mut (&mut self.body).take(self.done), &mut io::sink());
        skipped.map(drop).map_err(|error| fail(broken(&error)))
    }

    /// Asks again, and where that does not help, the next one.
    fn recover(&mut self, mut cause: RegistryError) -> Result<(), RegistryError> {
        if PROGRESS <= self.done - self.broken_at {
            self.failures = 0;
        }
        self.broken_at = self.done;
        let timing = self.source.inner.settings.timing.clone();
        loop {
            self.failures += 1;
            let stop = &self.source.stops[self.stop];
            let attempts = if stop.is_mirror() { MIRROR_ATTEMPTS } else { MAX_ATTEMPTS };
            let worthwhile = self.failures < attempts && cause.is_transient();
            let wait = delay(&*timing, self.failures, cause.retry_after());
            match wait.filter(|_| worthwhile) {
                Some(time) => timing.sleep(time),
                None if self.stop + 1 < self.source.stops.len() => {
                    self.source.inner.pass_over(stop, &cause);
                    (self.stop, self.failures) = (self.stop + 1, 0);
                }
                None => return Err(cause),
            }
            match self.ask() {
                Ok(()) => return Ok(()),
                Err(error) => cause = error,
            }
        }
    }

    /// An error of the connection, as one of the request.
    fn broken(&self, error: &io::Error) -> RegistryError {
        let BlobSource { inner, stops, path, .. } = &*self.source;
        match inner.at(&stops[self.stop], Rights::Pull) {
            Ok(repository) => RegistryError::new("GET", &repository.url(path), broken(error)),
            Err(error) => error,
        }
    }
}

fn broken(error: &io::Error) -> RegistryProblem {
    RegistryProblem::Transport { detail: chain(error) }
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_last = self.end == self.source.size;
        loop {
            let left = usize::try_from(self.end - self.done).unwrap_or(usize::MAX);
            // After the last part nothing may come.
            let most = if is_last { buffer.len() } else { left.min(buffer.len()) };
            if most == 0 {
                return Ok(0);
            }
            let cause = match self.body.read(&mut buffer[..most]) {
                Ok(0) if self.done == self.end => return Ok(0),
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(count) if count <= left => {
                    self.done += count as u64;
                    return Ok(count);
                }
                Ok(_) => {
                    let longer = "longer than announced";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, longer));
                }
                Err(error) => error,
            };
            let cause = self.broken(&cause);
            self.recover(cause).map_err(io::Error::other)?;
        }
    }
}
