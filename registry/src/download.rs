//! A blob on its way in, taken up again where a connection broke.

use std::io::{self, Read};
use std::sync::Arc;

use reqwest::blocking::Response;
use reqwest::header::{HeaderValue, RANGE};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use crate::client::{Inner, Repository, Rights, header};
use crate::error::{RegistryError, RegistryProblem};
use crate::retry::{MAX_ATTEMPTS, delay, retry};
use crate::transport::{Call, chain};

/// A reader of a blob. Verifies the length and nothing else: whoever stores the bytes hashes them.
#[derive(Debug)]
pub(crate) struct Download {
    inner: Arc<Inner>,
    repository: Repository,
    path: String,
    size: u64,
    done: u64,
    failures: u32,
    response: Response,
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
        let size = descriptor.size;
        Ok(Self { inner, repository, path, size, done: 0, failures: 0, response })
    }

    /// Asks for the rest. The registry is asked, not the storage it redirected to, whose signed
    /// address may have expired.
    fn resume(&mut self) -> Result<(), RegistryError> {
        let mut call = Call::get(self.repository.url(&self.path));
        let range = format!("bytes={}-", self.done);
        let value = HeaderValue::from_str(&range).expect("digits are a valid header value");
        call.headers.insert(RANGE, value);
        let mut response = self.inner.call(&self.repository, &call)?;
        let fail = |problem| RegistryError::new("GET", &call.url, problem);
        if response.status().as_u16() == 206 {
            let expected = format!("bytes {}-", self.done);
            if !header(&response, "content-range").is_some_and(|got| got.starts_with(&expected)) {
                return Err(fail(RegistryProblem::Answer { what: "Content-Range" }));
            }
        } else {
            // The whole blob again: what was read already is passed over.
            let skipped = io::copy(&mut (&mut response).take(self.done), &mut io::sink());
            let transport =
                |error: io::Error| RegistryProblem::Transport { detail: error.to_string() };
            skipped.map_err(|error| fail(transport(error)))?;
        }
        self.response = response;
        Ok(())
    }

    fn recover(&mut self, cause: &io::Error) -> Result<(), RegistryError> {
        let url = self.repository.url(&self.path);
        let problem = RegistryProblem::Transport { detail: chain(cause) };
        let mut cause = RegistryError::new("GET", &url, problem);
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
            let cause = match self.response.read(buffer) {
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
