//! What is asked of a registry once, however many need the answer, and whenever.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError};

/// An answer that all wait for together.
#[derive(Debug)]
pub(super) struct Answer<T>(OnceLock<Result<T, Mutex<Option<SourceError>>>>);

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: Clone> Answer<T> {
    /// The answer. Who comes first asks. An error is told to the first who wants the answer, and
    /// asked for again by the next.
    pub(super) fn get(&self, ask: impl Fn() -> Result<T, SourceError>) -> Result<T, SourceError> {
        match self.prepare(&ask) {
            Ok(found) => Ok(found.clone()),
            Err(error) => match error.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(error) => Err(error),
                None => ask(),
            },
        }
    }

    /// Asks, if nobody has.
    pub(super) fn prepare(
        &self,
        ask: impl FnOnce() -> Result<T, SourceError>,
    ) -> &Result<T, Mutex<Option<SourceError>>> {
        self.0.get_or_init(|| ask().map_err(|error| Mutex::new(Some(error))))
    }

    /// The answer, if there is one yet.
    pub(super) fn known(&self) -> Option<T> {
        self.0.get()?.as_ref().ok().cloned()
    }

    /// Whether somebody has asked, whatever came of it.
    pub(super) fn is_asked(&self) -> bool {
        self.0.get().is_some()
    }
}

/// Answers, by what was asked.
#[derive(Debug)]
pub(super) struct Answers<T>(Mutex<BTreeMap<String, Arc<Answer<T>>>>);

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Answers<T> {
    /// The answer to a question, which may be open.
    pub(super) fn of(&self, question: String) -> Arc<Answer<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(question).or_default().clone()
    }
}

/// A source that is asked for every manifest once, for however many platforms.
pub(super) struct Once<'a> {
    images: &'a dyn ImageSource,
    manifests: Answers<(Descriptor, Vec<u8>)>,
}

impl<'a> Once<'a> {
    pub(super) fn new(images: &'a dyn ImageSource) -> Self {
        Self { images, manifests: Answers::default() }
    }
}

impl std::fmt::Debug for Once<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Once").finish_non_exhaustive()
    }
}

impl ImageSource for Once<'_> {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        let answer = self.manifests.of(reference.canonical());
        answer.get(|| self.images.manifest(reference))
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        self.images.blob(reference, descriptor)
    }
}
