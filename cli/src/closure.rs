//! Everything behind a name, whatever platform it is for, from wherever it is into the store.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use wythe_delivery::content::fetch_each;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{OpenImageProblem, read_image};
use wythe_store::image::save::SaveError;
use wythe_store::image::whole::{Lacking, Parts, Whole};
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError, SourceErrorClass, SourceProblem};
use wythe_store::store::Store;

use crate::failure::{Class, Failure};
use crate::fetch::Wanted;
use crate::session::Session;
use crate::stored_image;

/// What a name of the store stands for, with everything that leaves with it in the store: the image
/// for a platform where one is given, else all there is.
///
/// What was not needed so far, such as the images of other platforms, is fetched from the registry
/// of this name, or of another that stands for the same.
pub(crate) fn of_store(
    lease: &Lease,
    name: &str,
    platform: Option<&Platform>,
    session: &Session,
) -> Result<Descriptor, Failure> {
    let reference: Reference = name.parse()?;
    let root = stored_image::root(lease.store(), &reference)?;
    let names = namesakes(lease.store(), &reference, &root)?;
    let source = Namesakes { client: &session.registry()?, names };
    let pinned = reference.clone().with_digest(root.digest);
    let whole = Whole { lease, source: &source, reference: &pinned };
    let part =
        |failure: Failure| failure.within(format!("the store has only a part of {reference}"));
    let advice = format!(
        "`wythe pull --all-platforms {reference}` fetches all of it, --platform takes one image"
    );
    let complete = |root: &Descriptor| {
        none(&fetch(whole, root).map_err(part)?, Class::Network)
            .map_err(|failure| part(failure).remedy(&advice))
    };
    let Some(platform) = platform else { return complete(&root).map(|()| root) };
    let image = match read_image(lease.store(), root, platform) {
        Err(OpenImageProblem::Missing(_)) => {
            let wanted = Wanted { source: &source, reference: &pinned, platform };
            return Ok(wanted.fetch(lease).map_err(part)?.manifest.descriptor());
        }
        found => found.map_err(|problem| stored_image::unreadable(name, problem))?,
    };
    let manifest = image.manifest.descriptor();
    complete(&manifest).map(|()| manifest)
}

/// What a reference of a source names, with everything that is behind it; only the image for a
/// platform where one is given. Where the source lacks a part, that is a failure of `class`.
pub(crate) fn of_source(
    whole: Whole<'_>,
    platform: Option<&Platform>,
    class: Class,
) -> Result<Descriptor, Failure> {
    if let Some(platform) = platform {
        let Whole { lease, source, reference } = whole;
        let image = Wanted { source, reference, platform }.fetch(lease)?;
        return Ok(image.manifest.descriptor());
    }
    let root = whole.root()?;
    none(&fetch(whole, &root)?, class)?;
    Ok(root)
}

/// A failure of `class` where anything is lacking.
pub(crate) fn none(lacking: &[Lacking], class: Class) -> Result<(), Failure> {
    let (images, rest): (Vec<&Descriptor>, Vec<&Descriptor>) =
        lacking.iter().map(|part| &part.of).partition(|entry| is_of_a_platform(entry));
    let mut parts: Vec<String> = images.into_iter().map(called).collect();
    match rest.as_slice() {
        [] => {}
        [only] => parts.push(called(only)),
        several => parts.push(format!("{} statements", several.len())),
    }
    let Some(first) = lacking.first() else { return Ok(()) };
    let text = format!("not to be had: {}", parts.join(", "));
    Err(Failure::new(class, text).because(&first.error))
}

/// Fetches everything behind `root` that the store lacks, and says what the source lacks, each once.
pub(crate) fn fetch(whole: Whole<'_>, root: &Descriptor) -> Result<Vec<Lacking>, Failure> {
    let Parts { blobs, lacking } = whole.documents(root)?;
    let lacking = Mutex::new(lacking);
    fetch_each(&blobs, |part| {
        let (descriptor, reference) = (part.blob.clone(), whole.reference.clone());
        let origin = BlobOrigin::of_store(whole.lease.store(), descriptor, reference)?;
        match origin.fetch(whole.lease, whole.source) {
            Err(SaveError::Source(error)) if error.class() == SourceErrorClass::NotFound => {
                let mut lacking = lacking.lock().unwrap_or_else(PoisonError::into_inner);
                lacking.push(Lacking { of: part.of.clone(), error });
                Ok(())
            }
            outcome => outcome,
        }
    })?;
    let mut lacking = lacking.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut seen = BTreeSet::new();
    lacking.retain(|part| seen.insert(part.of.digest));
    Ok(lacking)
}

/// What a person calls an entry of an index.
pub(crate) fn called(entry: &Descriptor) -> String {
    match &entry.platform {
        Some(platform) if is_of_a_platform(entry) => platform.to_string(),
        _ => entry.digest.to_string(),
    }
}

/// Statements are of a platform that no machine has.
fn is_of_a_platform(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_some_and(|platform| platform.os != "unknown")
}

/// The name, and the others that stand for the same in the store: it came from one of them.
fn namesakes(
    store: &Store,
    reference: &Reference,
    root: &Descriptor,
) -> Result<Vec<Reference>, Failure> {
    let others = store.list_refs()?.into_iter().filter(|(_, other)| other.digest == root.digest);
    let others = others.filter_map(|(name, _)| name.parse::<Reference>().ok());
    let mut names = vec![reference.clone()];
    for other in others {
        if !names.iter().any(|name| name.name() == other.name()) {
            names.push(other);
        }
    }
    Ok(names)
}

/// The registries of several names, any of which may have what is asked for by its digest.
struct Namesakes<'a> {
    client: &'a dyn ImageSource,
    names: Vec<Reference>,
}

impl Namesakes<'_> {
    /// What the first of them hands over; the error of the first that did more than not have it.
    fn first<T>(
        &self,
        asked: &Reference,
        ask: impl Fn(&Reference) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let mut failure = None;
        for name in &self.names {
            match ask(name) {
                Ok(found) => return Ok(found),
                Err(error) if error.class() == SourceErrorClass::NotFound => {}
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        let detail = "no registry of a name it has here has it".to_owned();
        Err(failure.unwrap_or_else(|| SourceError::new(asked, SourceProblem::NotFound { detail })))
    }
}

impl ImageSource for Namesakes<'_> {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        let pinned = |name: &Reference| match reference.digest() {
            Some(digest) => name.clone().with_digest(digest),
            None => name.clone(),
        };
        self.first(reference, |name| self.client.manifest(&pinned(name)))
    }

    fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        if reference.digest().is_none() {
            // A repository that is recorded to have it, whatever the image is called here.
            return self.client.blob(reference, descriptor);
        }
        self.first(reference, |name| self.client.blob(name, descriptor))
    }

    fn elsewhere(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send + '_>, SourceError> {
        self.client.elsewhere(reference, descriptor)
    }
}
