//! A blob on its way in, taken up again where a connection broke.

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::header::{HeaderValue, RANGE};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use crate::client::{Inner, Repository, Rights, header};
use crate::error::{RegistryError, RegistryProblem};
use crate::retry::{MAX_ATTEMPTS, delay, retry};
use crate::transport::{Call, chain};
use crate::web::{decoded, is_coded};

/// After so many bytes a download has come further, and what broke it before does not count. Who is cut off
/// sooner each time has no connection to speak of.
const PROGRESS: u64 = 64 << 10;

/// A reader of a blob. Verifies the length and nothing else: whoever stores the bytes hashes them.
pub(crate) struct Download {
    inner: Arc<Inner>,
    repository: Repository,
    path: String,
    size: u64,
    done: u64,
    /// Since it came further.
    failures: u32,
    /// How far it was when it broke last.
    broken_at: u64,
    /// Whether the way there compresses, so that a place in the blob is none in what comes.
    coded: bool,
    body: Box<dyn Read + Send>,
}

impl Download {
    pub(crate) fn start(
        inner: Arc<Inner>,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Self, RegistryError> {
        let repository = inner.repository(reference, Rights::Pull)?;
        let path = format!("blobs/{}", descriptor.digest);
        let call = Call::get(repository.url(&path));
        let response = retry(&*inner.settings.timing, || inner.call(&repository, &call))?;
        let (size, coded) = (descriptor.size, is_coded(&response));
        let body = decoded(response);
        let (done, failures, broken_at) = (0, 0, 0);
        Ok(Self { inner, repository, path, size, done, failures, broken_at, coded, body })
    }

    /// Asks for the rest. The registry is asked, not the storage it redirected to, whose signed
    /// address may have expired.
    fn resume(&mut self) -> Result<(), RegistryError> {
        let mut call = Call::get(self.repository.url(&self.path));
        let range = format!("bytes={}-", self.done);
        let value = HeaderValue::from_str(&range).expect("digits are a valid header value");
        if !self.coded {
            call.headers.insert(RANGE, value);
        }
        let response = self.inner.call(&self.repository, &call)?;
        let fail = |problem| RegistryError::new("GET", &call.url, problem);
        if response.status().as_u16() == 206 {
            let expected = format!("bytes {}-", self.done);
            let there =
                header(&response, "content-range").is_some_and(|got| got.starts_with(&expected));
            if !there || is_coded(&response) {
                return Err(fail(RegistryProblem::Answer { what: "Content-Range" }));
            }
            self.body = Box::new(response);
        } else {
            // The whole blob again: what was read already is passed over.
            self.body = decoded(response);
            let skipped = io::copy(&mut (&mut self.body).take(self.done), &mut io::sink());
            let transport =
                |error: io::Error| RegistryProblem::Transport { detail: error.to_string() };
            skipped.map_err(|error| fail(transport(error)))?;
        }
        Ok(())
    }

    fn recover(&mut self, cause: &io::Error) -> Result<(), RegistryError> {
        let url = self.repository.url(&self.path);
        let problem = RegistryProblem::Transport { detail: chain(cause) };
        let mut cause = RegistryError::new("GET", &url, problem);
        if PROGRESS <= self.done - self.broken_at {
            self.failures = 0;
        }
        self.broken_at = self.done;
        loop {
            self.failures += 1;
            let timing = self.inner.settings.timing.clone();
            match delay(&*timing, self.failures, None) {
                Some(time) if self.failures < MAX_ATTEMPTS => timing.sleep(time),
                _ => return Err(cause),
            }
            match self.resume() {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() => cause = error,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let cause = match self.body.read(buffer) {
                Ok(0) if self.done == self.size => return Ok(0),
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(count) => {
                    self.done += count as u64;
                    if self.size < self.done {
                        return Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "longer than announced",
                        ));
                    }
                    return Ok(count);
                }
                Err(error) => error,
            };
            self.recover(&cause).map_err(io::Error::other)?;
        }
    }
}
