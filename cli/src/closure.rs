//! Everything behind a name, whatever platform it is for: documents come into the store, blobs when somebody
//! needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use wythe_delivery::content::{OutgoingContent, fetch_each};
use wythe_store::digest::Digest;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{OpenImageProblem, read_image};
use wythe_store::image::save::SaveError;
use wythe_store::image::whole::{Lacking, Parts, Whole};
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError, SourceErrorClass, SourceProblem};
use wythe_store::oci::transfer::Watched;
use wythe_store::store::Store;

use crate::failure::{Class, Failure};
use crate::fetch::Wanted;
use crate::stored_image;

/// An image, or an index with all it lists. Its documents are in the store, its blobs there or to be had.
pub(crate) struct LocatedImage<'a> {
    /// What its name stands for.
    pub(crate) root: Descriptor,
    /// Where its blobs are to be had, those included that the store has.
    origins: Vec<BlobOrigin>,
    /// What each blob is a part of, as an index lists it.
    entries: BTreeMap<Digest, Descriptor>,
    place: Place<'a>,
}

/// Where a name is looked up.
struct Place<'a> {
    source: Box<dyn ImageSource + 'a>,
    /// What it is called there.
    reference: Reference,
    /// What it is called elsewhere, where all of it may be.
    names: Vec<Reference>,
    kind: PlaceKind,
}

/// What it means that something is lacking.
enum PlaceKind {
    /// The store has only a part of what its name stands for.
    Store(Reference),
    /// A failure of this class.
    Source(Class),
}

impl fmt::Debug for LocatedImage<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LocatedImage").field("root", &self.root).finish_non_exhaustive()
    }
}

impl LocatedImage<'_> {
    /// Its bytes: what the store lacks is fetched when it is read.
    pub(crate) fn content<'c>(&'c self, lease: &'c Lease) -> OutgoingContent<'c> {
        let Place { source, names, .. } = &self.place;
        OutgoingContent::new(lease, &**source, &self.origins).beside(names)
    }

    /// The same, of which the repository of a name has everything.
    pub(crate) fn beside(mut self, name: Reference) -> Self {
        self.place.names.push(name);
        self
    }

    /// Fetches everything that the store lacks.
    pub(crate) fn complete(&self, lease: &Lease) -> Result<(), Failure> {
        self.complete_where(lease, |_| true)
    }

    /// Fetches the blobs that are wanted and the store lacks.
    pub(crate) fn complete_where(
        &self,
        lease: &Lease,
        wanted: impl Fn(&Descriptor) -> bool,
    ) -> Result<(), Failure> {
        let lacking = self.fetch(lease, wanted);
        let lacking = lacking.map_err(|error| self.place.kind.part(error.into()))?;
        self.place.kind.none(&lacking)
    }

    /// Fetches the blobs that are wanted and the store lacks, and says what the source lacks, each once.
    fn fetch(
        &self,
        lease: &Lease,
        wanted: impl Fn(&Descriptor) -> bool,
    ) -> Result<Vec<Lacking>, SaveError> {
        let lacking = Mutex::new(Vec::new());
        let origins = self.origins.iter().filter(|origin| wanted(&origin.descriptor));
        let origins: Vec<&BlobOrigin> = origins.collect();
        fetch_each(&origins, |origin| match origin.fetch(lease, &*self.place.source) {
            Err(SaveError::Source(error)) if error.class() == SourceErrorClass::NotFound => {
                let of = self.entries.get(&origin.descriptor.digest).unwrap_or(&self.root).clone();
                let mut lacking = lacking.lock().unwrap_or_else(PoisonError::into_inner);
                lacking.push(Lacking { of, error });
                Ok(())
            }
            outcome => outcome,
        })?;
        Ok(once_each(lacking.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl<'a> Place<'a> {
    /// The image for a platform; its documents are in the store then.
    fn documents(&self, lease: &Lease, platform: &Platform) -> Result<Descriptor, Failure> {
        let wanted = Wanted { source: &*self.source, reference: &self.reference, platform };
        let image = wanted.documents(lease).map_err(|failure| self.kind.part(failure))?;
        Ok(image.manifest.descriptor())
    }

    /// What a root consists of, and what of it neither the store nor the source has.
    fn locate(
        self,
        lease: &Lease,
        root: Descriptor,
    ) -> Result<(LocatedImage<'a>, Vec<Lacking>), Failure> {
        let whole = Whole { lease, source: &*self.source, reference: &self.reference };
        let parts = whole.documents(&root).map_err(|error| self.kind.part(error.into()))?;
        let Parts { blobs, lacking } = parts;
        let (mut origins, mut entries) = (Vec::new(), BTreeMap::new());
        for part in blobs {
            if entries.insert(part.blob.digest, part.of).is_none() {
                let reference = self.reference.clone();
                origins.push(BlobOrigin::of_store(lease.store(), part.blob, reference)?);
            }
        }
        Ok((LocatedImage { root, origins, entries, place: self }, lacking))
    }

    /// As [`locate`](Self::locate), where it is a failure that something is lacking.
    fn locate_all(self, lease: &Lease, root: Descriptor) -> Result<LocatedImage<'a>, Failure> {
        let (image, lacking) = self.locate(lease, root)?;
        image.place.kind.none(&lacking)?;
        Ok(image)
    }
}

impl PlaceKind {
    /// That something could not be had, and so not all of it.
    fn part(&self, failure: Failure) -> Failure {
        match self {
            Self::Store(name) => failure.within(format!("the store has only a part of {name}")),
            Self::Source(_) => failure,
        }
    }

    /// A failure where anything is lacking.
    fn none(&self, lacking: &[Lacking]) -> Result<(), Failure> {
        match self {
            Self::Source(class) => none(lacking, *class),
            Self::Store(name) => none(lacking, Class::Network).map_err(|failure| {
                self.part(failure).remedy(format!(
                    "`wythe pull --all-platforms {name}` fetches all of it, --platform takes one image"
                ))
            }),
        }
    }
}

/// What a name of the store stands for: the image for a platform where one is given, else all there is.
///
/// What was not needed so far, such as the images of other platforms, is to be had from the registry of this name,
/// or of another that stands for the same.
pub(crate) fn of_store<'a>(
    lease: &Lease,
    name: &str,
    platform: Option<&Platform>,
    client: &'a dyn ImageSource,
) -> Result<LocatedImage<'a>, Failure> {
    let (reference, root) = stored_image::resolve(lease.store(), name)?;
    let names = namesakes(lease.store(), &reference, &root)?;
    let source = Box::new(Namesakes { client, names: names.clone() });
    let pinned = reference.clone().with_digest(root.digest);
    let place = Place { source, reference: pinned, names, kind: PlaceKind::Store(reference) };
    let root = match platform
        .map(|platform| (platform, read_image(lease.store(), root.clone(), platform)))
    {
        None => root,
        Some((platform, Err(OpenImageProblem::Missing(_)))) => place.documents(lease, platform)?,
        Some((_, found)) => {
            let image = found.map_err(|problem| stored_image::unreadable(name, problem))?;
            image.manifest.descriptor()
        }
    };
    place.locate_all(lease, root)
}

/// What a reference of a source names; only the image for a platform where one is given. That the source lacks a
/// part is a failure of `class`.
pub(crate) fn at_source<'a>(
    lease: &Lease,
    (source, reference): (Box<dyn ImageSource + 'a>, Reference),
    platform: Option<&Platform>,
    class: Class,
) -> Result<LocatedImage<'a>, Failure> {
    let place = Place { source, reference, names: Vec::new(), kind: PlaceKind::Source(class) };
    let root = match platform {
        Some(platform) => place.documents(lease, platform)?,
        None => Whole { lease, source: &*place.source, reference: &place.reference }.root()?,
    };
    place.locate_all(lease, root)
}

/// What a reference of a source names, with everything that is behind it in the store; only the image for a
/// platform where one is given. Where the source lacks a part, that is a failure of `class`.
pub(crate) fn of_source(
    whole: Whole<'_>,
    platform: Option<&Platform>,
    class: Class,
) -> Result<Descriptor, Failure> {
    let Whole { lease, source: images, reference } = whole;
    let source = Box::new(Watched { images, transfers: &() });
    let image = at_source(lease, (source, reference.clone()), platform, class)?;
    image.complete(lease)?;
    Ok(image.root)
}

/// As [`of_source`] without a platform, with what the source lacks, which is no failure.
pub(crate) fn all_there_is(whole: Whole<'_>) -> Result<(Descriptor, Vec<Lacking>), Failure> {
    let Whole { lease, source: images, reference } = whole;
    let (source, reference) = (Box::new(Watched { images, transfers: &() }), reference.clone());
    let place =
        Place { source, reference, names: Vec::new(), kind: PlaceKind::Source(Class::Usage) };
    let (image, lacking) = place.locate(lease, whole.root()?)?;
    let more = image.fetch(lease, |_| true)?;
    Ok((image.root, once_each(lacking.into_iter().chain(more).collect())))
}

fn once_each(mut lacking: Vec<Lacking>) -> Vec<Lacking> {
    let mut seen = BTreeSet::new();
    lacking.retain(|part| seen.insert(part.of.digest));
    lacking
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
