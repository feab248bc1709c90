//! A blob that is sent while it is made, so that its digest is the last that is known of it.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::growing::GrowingContent;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Meter, TransferState, Transfers};

use super::attempts::{Resume, send};
use super::session::{Destination, Session};
use super::{IN_MEMORY, Progress};
use crate::error::RegistryError;
use crate::transport::{Body, Open};

/// A blob that grows, and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct GrowingUpload<'a> {
    pub(crate) to: Destination<'a>,
    pub(crate) blob: &'a dyn GrowingContent,
    pub(crate) transfers: &'a dyn Transfers,
    /// The image it goes to.
    pub(crate) reference: &'a Reference,
    /// Set where nobody wants it any more.
    pub(crate) given_up: &'a AtomicBool,
}

/// What is still to be sent of it.
struct Rest<'a> {
    upload: GrowingUpload<'a>,
    from: u64,
    /// Whether the registry turns out to have it, once it was asked.
    present: &'a OnceLock<bool>,
}

/// Its bytes, as they are sent.
struct Passing<'a> {
    rest: &'a Rest<'a>,
    bytes: Box<dyn Read + Send + 'a>,
    at: u64,
    /// What it has become, and what is told of it, once that is known.
    complete: Option<(Descriptor, Meter)>,
}

impl GrowingUpload<'_> {
    /// Sends the blob in one request that begins before its end is known, and says what it was. What has arrived
    /// before a break is not sent again.
    ///
    /// # Errors
    ///
    /// If the registry does not take a body of unknown length, or refuses for another reason; or if the blob is
    /// given up.
    pub(crate) fn run(self) -> Result<Descriptor, RegistryError> {
        let present = OnceLock::new();
        let sent = send(self.to, (None, Resume::at(self.to)), |session, arrived| {
            let rest = Rest { upload: self, from: arrived, present: &present };
            session.patch(Body::Unsized(&rest), None)?;
            let blob = self.complete(session)?;
            session.close_alone(&blob.digest)?;
            Ok(blob)
        });
        let found = || self.blob.descriptor().filter(|_| present.get() == Some(&true));
        let (blob, state) = match sent {
            Ok(blob) => (blob, TransferState::Done),
            Err(error) => (found().ok_or(error)?, TransferState::Present),
        };
        self.tell(&blob, state, if state == TransferState::Done { blob.size } else { 0 });
        Ok(blob)
    }

    fn complete(self, session: &Session<'_>) -> Result<Descriptor, RegistryError> {
        let none = || session.unreadable("PUT", io::Error::other("it is not complete"));
        self.blob.descriptor().ok_or_else(none)
    }

    fn tell(self, blob: &Descriptor, state: TransferState, bytes: u64) {
        let Self { transfers, reference, .. } = self;
        Progress { transfers, reference, blob }.tell(state, bytes);
    }
}

impl Open for Rest<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        let bytes = self.upload.blob.read_from(self.from);
        Ok(Box::new(Passing { rest: self, bytes, at: self.from, complete: None }))
    }
}

impl Read for Passing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let upload = self.rest.upload;
        if upload.given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("given up"));
        }
        if self.complete.is_none()
            && let Some(blob) = upload.blob.descriptor()
        {
            if self.is_there(&blob) {
                return Err(io::Error::other("it is there"));
            }
            let mut meter = Meter::new(blob.size);
            meter.pass(self.at);
            self.complete = Some((blob, meter));
        }
        let count = self.bytes.read(buffer)?;
        self.at += count as u64;
        if let Some((blob, meter)) = &mut self.complete
            && let Some(bytes) = meter.pass(count as u64)
        {
            upload.tell(blob, TransferState::Moving, bytes);
        }
        Ok(count)
    }
}

impl Passing<'_> {
    /// Whether the registry has it. To ask takes as long as to send what little may be left.
    fn is_there(&self, blob: &Descriptor) -> bool {
        let left = blob.size.saturating_sub(self.at);
        // Where the question is not answered, the blob is sent.
        let ask = || self.rest.upload.to.has(&blob.digest).unwrap_or(false);
        IN_MEMORY <= left && *self.rest.present.get_or_init(ask)
    }
}
