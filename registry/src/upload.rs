//! One blob on its way out.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use wythe_store::oci::content::{Content, read_document};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Direction, Meter, Transfer, TransferState, Transfers};

use self::attempts::{Resume, send};
use self::session::Session;
use crate::client::Repository;
use crate::error::{RegistryError, RegistryProblem};
use crate::learned::Habit;
use crate::profile::Chunks;
use crate::transport::{Body, Call, Open};

mod attempts;
mod growing;
mod session;

pub(crate) use self::growing::GrowingUpload;
pub(crate) use self::session::Destination;

/// Blobs below this are sent from memory, which the HTTP library does several times faster.
const IN_MEMORY: u64 = 8 << 20;

/// How much of a blob is sent at a time where the whole is refused as too long: registries take more of a piece of a
/// range, but not all of them.
const CHUNK: usize = 4 << 20;
/// Where that is refused, too, it is halved down to this, which proxies take that nobody has told otherwise.
const CHUNK_LEAST: usize = 512 << 10;

/// How long pieces are.
#[derive(Debug, Eq, PartialEq)]
struct Lengths {
    least: usize,
    longest: usize,
}

impl Lengths {
    /// Those of a kind of registry, that wants pieces to be so long at least: what it says itself counts.
    fn of(chunks: Chunks, shortest: u64) -> Self {
        let bytes = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let longest = match chunks {
            Chunks::AtMost(most) => CHUNK.min(bytes(most)),
            Chunks::Any | Chunks::Never => CHUNK,
        };
        let least = bytes(shortest).max(CHUNK_LEAST.min(longest));
        Self { least, longest: longest.max(least) }
    }
}

/// A blob, and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Upload<'a> {
    pub(crate) to: Destination<'a>,
    pub(crate) content: &'a dyn Content,
    pub(crate) blob: &'a Descriptor,
    pub(crate) progress: Progress<'a>,
    /// Set where nobody wants it any more.
    pub(crate) given_up: &'a AtomicBool,
}

/// Who is told how far a blob is.
#[derive(Clone, Copy)]
pub(crate) struct Progress<'a> {
    pub(crate) transfers: &'a dyn Transfers,
    /// The image it goes to.
    pub(crate) reference: &'a Reference,
    pub(crate) blob: &'a Descriptor,
}

impl Progress<'_> {
    pub(crate) fn tell(self, state: TransferState, bytes: u64) {
        let Self { reference, blob: Descriptor { digest, size, .. }, .. } = self;
        let (direction, digest, size) = (Direction::Push, *digest, *size);
        self.transfers.transferred(&Transfer { direction, reference, digest, state, bytes, size });
    }
}

/// A blob that tells how much of it was read.
struct Telling<'a> {
    blob: Box<dyn Read + Send + 'a>,
    meter: Meter,
    progress: Progress<'a>,
    given_up: &'a AtomicBool,
}

impl Read for Telling<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("given up"));
        }
        let count = self.blob.read(buffer)?;
        if let Some(bytes) = self.meter.pass(count as u64) {
            self.progress.tell(TransferState::Moving, bytes);
        }
        Ok(count)
    }
}

/// What the registry made of a request to take the blob from elsewhere.
enum Mount<'a> {
    Done,
    /// It opened an upload in its place.
    Session(Session<'a>),
    Refused,
}

/// The bytes of a blob behind those that have arrived.
struct Rest<'a> {
    upload: Upload<'a>,
    from: u64,
}

impl Open for Rest<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let Upload { content, blob, progress, given_up, .. } = self.upload;
        let mut bytes = content.open(blob)?;
        let passed = io::copy(&mut (&mut bytes).take(self.from), &mut io::sink())?;
        let mut meter = Meter::new(blob.size);
        meter.pass(passed);
        Ok(Box::new(Telling { blob: bytes, meter, progress, given_up }))
    }
}

impl<'a> Upload<'a> {
    /// Sees to it that the registry has the blob, by the cheapest way that works. Says which that was.
    pub(crate) fn run(self, origins: &[String]) -> Result<TransferState, RegistryError> {
        if self.to.has(&self.blob.digest)? {
            self.progress.tell(TransferState::Present, 0);
            return Ok(TransferState::Present);
        }
        self.send(origins)
    }

    /// Takes it from another repository or sends it, without asking whether it is there.
    pub(crate) fn send(self, origins: &[String]) -> Result<TransferState, RegistryError> {
        let state = self.state(origins)?;
        let passed = if state == TransferState::Done { self.blob.size } else { 0 };
        self.progress.tell(state, passed);
        Ok(state)
    }

    /// What became of it.
    fn state(self, origins: &[String]) -> Result<TransferState, RegistryError> {
        let mut session = None;
        if let Some(from) = self.neighbour(origins) {
            match self.mount(from)? {
                Mount::Done => return Ok(TransferState::Mounted),
                Mount::Session(open) => session = Some(open),
                Mount::Refused => {}
            }
        }
        self.transfer(session)?;
        Ok(TransferState::Done)
    }

    /// Another repository of the same registry that has the blob.
    fn neighbour<'b>(&self, origins: &'b [String]) -> Option<&'b str> {
        let own = self.to.repository;
        if self.to.has_habit(Habit::RefusesMounts) {
            return None;
        }
        let mut names = origins.iter().filter_map(|origin| {
            let (host, name) = origin.split_once('/')?;
            (host == own.host && name != own.name).then_some(name)
        });
        names.next()
    }

    /// The token of a mount covers both repositories. Whatever is not a success is answered by an
    /// ordinary upload: registries differ in how they say no.
    fn mount(self, from: &str) -> Result<Mount<'a>, RegistryError> {
        let Destination { inner, repository } = self.to;
        let mut url = repository.url("blobs/uploads/");
        let digest = self.blob.digest.to_string();
        url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", from);
        let scope = format!("{} repository:{from}:pull", repository.scope);
        let both = Repository { scope, ..repository.clone() };
        let call = Call::new(Method::POST, url, Body::Empty);
        match inner.call(&both, &call) {
            Ok(response) if response.status().as_u16() == 201 => Ok(Mount::Done),
            Ok(response) => Ok(Mount::Session(Session::of(self.to, &call, &response)?)),
            // It may have been done.
            Err(error) if error.is_unanswered() && self.to.has_now(&self.blob.digest) => {
                Ok(Mount::Done)
            }
            // Of other refusals the cause may be this blob, or who asks.
            Err(error) if matches!(error.status(), Some(405 | 501)) => {
                inner.learn(&repository.host, Habit::RefusesMounts);
                Ok(Mount::Refused)
            }
            Err(error) if error.status().is_some() || error.is_broken() => Ok(Mount::Refused),
            Err(error) => Err(error),
        }
    }

    /// Sends its bytes, to an upload that is open or to a new one.
    fn transfer(self, open: Option<Session<'a>>) -> Result<(), RegistryError> {
        let bytes = self.in_memory()?;
        let resume = if bytes.is_some() { Resume::Never } else { Resume::at(self.to) };
        self.progress.tell(TransferState::Moving, 0);
        send(self.to, (open, resume), |session, arrived| match arrived {
            0 if bytes.is_none() && self.to.has_habit(Habit::WantsPieces) => {
                self.as_learnt(session)
            }
            0 => self.whole(session, bytes.as_deref()),
            arrived => self.rest(session, arrived),
        })
    }

    /// Sends everything in pieces, as the registry has taken it before; where it has changed its mind, as ever.
    fn as_learnt(self, session: &mut Session<'a>) -> Result<(), RegistryError> {
        let sent = self.pieces(session, 0).and_then(|()| session.close_alone(&self.blob.digest));
        match sent {
            Err(error) if error.status().is_some() && !error.is_transient() => {
                std::mem::replace(session, self.to.begin()?).cancel();
                self.whole(session, None)
            }
            other => other,
        }
    }

    /// Sends everything in one request; a proxy or registry that will not have it gets the body
    /// ahead of the closing request. What arrived, and only the answer was lost, is not sent again.
    fn whole(self, session: &mut Session<'a>, bytes: Option<&[u8]>) -> Result<(), RegistryError> {
        let all = Rest { upload: self, from: 0 };
        let body = bytes.map_or(Body::Stream(&all, self.blob.size), Body::Bytes);
        let mut put = session.close(&self.blob.digest, body);
        if put.as_ref().is_err_and(RegistryError::is_unanswered)
            && self.to.has_now(&self.blob.digest)
        {
            return Ok(());
        }
        let broken = bytes.is_none() && put.as_ref().is_err_and(RegistryError::is_broken);
        // Of what has come a part of the way the rest is sent.
        if broken && session.arrived() == 0 {
            put = self.announce(put);
        }
        match put {
            Err(refusal) if matches!(refusal.status(), Some(405 | 411 | 413 | 501)) => {
                let refused = std::mem::replace(session, self.to.begin()?);
                if bytes.is_none() {
                    refused.cancel();
                }
                let ahead = self.rest(session, 0);
                ahead.map_err(|error| if error.is_broken() { refusal } else { error })
            }
            other => other,
        }
    }

    /// Sends what has not arrived ahead of the closing request; in pieces, where it is refused as too long.
    fn rest(self, session: &mut Session<'a>, arrived: u64) -> Result<(), RegistryError> {
        let rest = Rest { upload: self, from: arrived };
        let length = self.blob.size.saturating_sub(arrived);
        match session.patch(Body::Stream(&rest, length), None) {
            Err(refusal) if refusal.status() == Some(413) && self.to.chunks() != Chunks::Never => {
                let pieces = self.pieces(session, arrived);
                pieces
                    .map_err(|error| if error.status() == Some(413) { refusal } else { error })?;
                self.to.inner.learn(&self.to.repository.host, Habit::WantsPieces);
            }
            other => other?,
        }
        session.close_alone(&self.blob.digest)
    }

    /// Sends what has not arrived in requests that each say which range they have.
    fn pieces(self, session: &mut Session<'a>, arrived: u64) -> Result<(), RegistryError> {
        let Lengths { least, mut longest } = Lengths::of(self.to.chunks(), session.shortest);
        let mut at = arrived;
        let rest = Rest { upload: self, from: arrived };
        let mut blob = rest.open().map_err(|error| session.unreadable("PATCH", error))?;
        let mut waiting = Vec::new();
        loop {
            let more = (longest.saturating_sub(waiting.len())) as u64;
            let read = (&mut blob).take(more).read_to_end(&mut waiting);
            read.map_err(|error| session.unreadable("PATCH", error))?;
            if waiting.is_empty() {
                return Ok(());
            }
            let piece = &waiting[..longest.min(waiting.len())];
            let end = at + piece.len() as u64;
            match session.patch(Body::Bytes(piece), Some(&(at..end))) {
                Ok(()) => {
                    waiting.drain(..piece.len());
                    at = end;
                }
                Err(error) if error.status() == Some(413) && least < longest => {
                    longest = (longest / 2).max(least);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for the answer to an upload that broke: who has decided before the end closes the
    /// connection, and the HTTP library loses the answer with it.
    fn announce(self, broken: Result<(), RegistryError>) -> Result<(), RegistryError> {
        let withheld = Body::Withheld(self.blob.size);
        let session = self.to.begin()?;
        let answer = session.close(&self.blob.digest, withheld);
        if answer.is_err() {
            session.cancel();
        }
        match answer {
            Err(error) if error.is_broken() => self.begin_with_a_piece(broken),
            answered => answered,
        }
    }

    /// Asks who decides after having read something. Of what is sent from memory no answer is lost.
    fn begin_with_a_piece(self, broken: Result<(), RegistryError>) -> Result<(), RegistryError> {
        let mut session = self.to.begin()?;
        let mut piece = Vec::new();
        let all = Rest { upload: self, from: 0 };
        let read = all.open().and_then(|blob| blob.take(IN_MEMORY).read_to_end(&mut piece));
        read.map_err(|error| session.unreadable("PATCH", error))?;
        let patched = session.patch(Body::Bytes(&piece), None);
        session.cancel();
        match patched {
            Err(refusal) if matches!(refusal.status(), Some(401 | 403 | 413 | 507)) => Err(refusal),
            // The piece is taken, or the registry takes none.
            _ => broken,
        }
    }

    fn in_memory(self) -> Result<Option<Vec<u8>>, RegistryError> {
        if IN_MEMORY <= self.blob.size {
            return Ok(None);
        }
        let fail = |error| {
            let url = self.to.repository.url("blobs/uploads/");
            RegistryError::new("POST", &url, RegistryProblem::Content(error))
        };
        read_document(self.content, self.blob).map(Some).map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_no_longer_than_their_kind_of_registry_takes_unless_it_says_so_itself() {
        let check = |chunks, shortest, least, longest| {
            assert_eq!(Lengths::of(chunks, shortest), Lengths { least, longest });
        };
        check(Chunks::Any, 0, CHUNK_LEAST, CHUNK);
        check(Chunks::AtMost(1 << 20), 0, CHUNK_LEAST, 1 << 20);
        check(Chunks::AtMost(1000), 0, 1000, 1000);
        check(Chunks::AtMost(1 << 20), 2 << 20, 2 << 20, 2 << 20);
        check(Chunks::Any, 8 << 20, 8 << 20, 8 << 20);
    }
}
