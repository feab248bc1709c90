//! Single blobs and manifests of a repository, for those who keep something else than images there.

use std::io::Read;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RANGE};
use wythe_store::digest::Digest;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;

use crate::client::{Client, Rights};
use crate::error::{RegistryError, RegistryProblem};
use crate::retry::retry;
use crate::transport::{Body, Call};
use crate::upload::{Told, Upload};

impl Client {
    /// Whether the repository of a name holds a blob.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached or refuses.
    pub fn has_blob(&self, name: &Reference, blob: &Digest) -> Result<bool, RegistryError> {
        let repository = self.inner.repository(name, Rights::Pull)?;
        let url = repository.url(&format!("blobs/{blob}"));
        let call = Call::new(Method::HEAD, url, Body::Empty);
        match retry(&*self.inner.settings.timing, || self.inner.call(&repository, &call)) {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A reader of a part of a blob, which is not verified.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached or refuses, or lacks the blob.
    pub fn blob_range(
        &self,
        name: &Reference,
        blob: &Digest,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, RegistryError> {
        let repository = self.inner.repository(name, Rights::Pull)?;
        let mut call = Call::get(repository.url(&format!("blobs/{blob}")));
        let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        if let Ok(value) = HeaderValue::from_str(&bytes) {
            call.headers.insert(RANGE, value);
        }
        let response = retry(&*self.inner.settings.timing, || self.inner.call(&repository, &call))?;
        let is_part = response.status().as_u16() == 206;
        let mut body = crate::web::decoded(response);
        if !is_part {
            let passed = std::io::copy(&mut (&mut body).take(range.start), &mut std::io::sink());
            let fail =
                |error: std::io::Error| RegistryProblem::Transport { detail: error.to_string() };
            passed.map_err(|error| RegistryError::new("GET", &call.url, fail(error)))?;
        }
        Ok(Box::new(body.take(range.end.saturating_sub(range.start))))
    }

    /// Sees to it that the repository of a name holds a blob.
    ///
    /// # Errors
    ///
    /// If the content cannot be read, or the registry cannot be reached or refuses.
    pub fn put_blob(
        &self,
        name: &Reference,
        content: &dyn Content,
        blob: &Descriptor,
    ) -> Result<(), RegistryError> {
        let repository = &self.inner.repository(name, Rights::Push)?;
        let told = Told { transfers: &(), reference: name, blob };
        let given_up = &AtomicBool::new(false);
        Upload { inner: &self.inner, repository, content, blob, told, given_up }.run(&[])
    }

    /// Puts a manifest under the tag of a name, in the place of what is there.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached or refuses.
    pub fn put_manifest(
        &self,
        name: &Reference,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        let repository = self.inner.repository(name, Rights::Push)?;
        let url = repository.url(&format!("manifests/{}", name.tag_or_latest()));
        let mut call = Call::new(Method::PUT, url, Body::Bytes(bytes));
        let kind = HeaderValue::from_str(media_type.as_str());
        let what = "media type";
        let fail = |_| RegistryError::new("PUT", &call.url, RegistryProblem::Answer { what });
        let kind = kind.map_err(fail)?;
        call.headers.insert(CONTENT_TYPE, kind);
        retry(&*self.inner.settings.timing, || self.inner.call(&repository, &call)).map(drop)
    }
}
