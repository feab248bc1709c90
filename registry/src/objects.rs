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

use crate::client::{Client, Repository, Rights};
use crate::delivered::Delivered;
use crate::error::{RegistryError, RegistryProblem};
use crate::retry::retry;
use crate::transport::{Body, Call};
use crate::upload::{Destination, Progress, Upload};

impl Client {
    /// Whether the repository of a name holds a blob. Of those that were delivered it is not asked.
    ///
    /// # Errors
    ///
    /// If the registry cannot be reached or refuses.
    pub fn has_blob(
        &self,
        name: &Reference,
        blob: &Digest,
        delivered: &Delivered,
    ) -> Result<bool, RegistryError> {
        let repository = self.inner.repository(name, Rights::Pull)?;
        if delivered.places(blob).contains(&place_of(&repository)) {
            return Ok(true);
        }
        let url = repository.url(&format!("blobs/{blob}"));
        let call = Call::new(Method::HEAD, url, Body::Empty);
        match retry(&*self.inner.settings.timing, || self.inner.call(&repository, &call)) {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a blob is known to be at the registry of a name, in its repository or another one. Who sends it there
    /// is waited for, and the registry is not asked.
    ///
    /// # Errors
    ///
    /// If the name is of no registry that can be reached.
    pub fn is_at_registry(
        &self,
        name: &Reference,
        blob: &Digest,
        delivered: &Delivered,
    ) -> Result<bool, RegistryError> {
        let repository = self.inner.repository(name, Rights::Push)?;
        drop(delivered.claim(*blob, &place_of(&repository)));
        let is_here =
            |place: &String| place.split_once('/').is_some_and(|(host, _)| host == repository.host);
        Ok(delivered.places(blob).iter().any(is_here))
    }

    /// Takes blobs for delivered that something in the repository of a name is known to need.
    ///
    /// # Errors
    ///
    /// If the name is of no registry that can be reached.
    pub fn take_for_delivered(
        &self,
        name: &Reference,
        blobs: &mut dyn Iterator<Item = Digest>,
        delivered: &Delivered,
    ) -> Result<(), RegistryError> {
        let place = place_of(&self.inner.repository(name, Rights::Pull)?);
        blobs.for_each(|blob| delivered.found(blob, &place));
        Ok(())
    }

    /// The blobs of images that were pushed to the repository of a name.
    ///
    /// # Errors
    ///
    /// If the name is of no registry that can be reached.
    pub fn blobs_of_pushed(
        &self,
        name: &Reference,
        delivered: &Delivered,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        Ok(delivered.of_images(&place_of(&self.inner.repository(name, Rights::Pull)?)))
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

    /// Sends a blob that the repository of a name lacks, unless it was delivered; waits for who is at that. From
    /// another repository of the registry that it was delivered to the registry takes it by itself. To send one
    /// that it has is no error.
    ///
    /// # Errors
    ///
    /// If the content cannot be read, or the registry cannot be reached or refuses.
    pub fn put_blob(
        &self,
        name: &Reference,
        content: &dyn Content,
        blob: &Descriptor,
        delivered: &Delivered,
    ) -> Result<(), RegistryError> {
        let repository = &self.inner.repository(name, Rights::Push)?;
        let progress = Progress { transfers: &(), reference: name, blob };
        let place = place_of(repository);
        let Some(sending) = delivered.claim(blob.digest, &place) else { return Ok(()) };
        let given_up = &AtomicBool::new(false);
        let to = Destination { inner: &self.inner, repository };
        let origins = delivered.places(&blob.digest);
        Upload { to, content, blob, progress, given_up }.send(&origins)?;
        sending.sent();
        Ok(())
    }

    /// Puts a manifest under the tag of a name, in the place of what is there, or under the digest of a
    /// name without a tag.
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
        let digest = name.digest().filter(|_| name.tag().is_none()).map(|one| one.to_string());
        let place = digest.as_deref().unwrap_or(name.tag_or_latest());
        let url = repository.url(&format!("manifests/{place}"));
        let mut call = Call::new(Method::PUT, url, Body::Bytes(bytes));
        let kind = HeaderValue::from_str(media_type.as_str());
        let what = "media type";
        let fail = |_| RegistryError::new("PUT", &call.url, RegistryProblem::Answer { what });
        let kind = kind.map_err(fail)?;
        call.headers.insert(CONTENT_TYPE, kind);
        retry(&*self.inner.settings.timing, || self.inner.call(&repository, &call)).map(drop)
    }
}

/// A repository as deliveries are noted.
pub(crate) fn place_of(repository: &Repository) -> String {
    format!("{}/{}", repository.host, repository.name)
}
