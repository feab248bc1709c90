//! An image of the store, found by what a person calls it.

use wythe_delivery::content::OutgoingContent;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{self, OpenImageError, OpenImageProblem, StoredImage};
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::{Platform, host_architecture};
use wythe_store::oci::reference::Reference;
use wythe_store::store::Store;

use crate::failure::Failure;
use crate::session::Session;

/// The image of a name for this machine or, where it has none, one for another; with `latest` where
/// it has no tag.
pub(crate) fn find(store: &Store, name: &str) -> Result<StoredImage, Failure> {
    let reference: Reference = name.parse()?;
    of_ref(store, name, &root(store, &reference)?)
}

/// The image of a name with all its layers: those that a build or a push could leave at a registry
/// are recorded to be there, or are there under the same name.
pub(crate) fn complete(
    lease: &Lease,
    name: &str,
    session: &Session,
) -> Result<StoredImage, Failure> {
    let image = find(lease.store(), name)?;
    let reference: Reference = name.parse()?;
    let layers = image.manifest.value().layers.iter();
    let origin =
        |layer: &Descriptor| BlobOrigin::of_store(lease.store(), layer.clone(), reference.clone());
    let origins: Vec<BlobOrigin> = layers.map(origin).collect::<Result<_, _>>()?;
    OutgoingContent::new(lease, &session.registry()?, &origins).complete()?;
    Ok(image)
}

/// What a name stands for.
pub(crate) fn root(store: &Store, reference: &Reference) -> Result<Descriptor, Failure> {
    let found = catalog::find_root(store, reference);
    let found = found.map_err(|problem| unreadable(&reference.to_string(), problem))?;
    found.ok_or_else(|| absent(reference))
}

/// The image that a ref of the store stands for.
pub(crate) fn of_ref(store: &Store, name: &str, root: &Descriptor) -> Result<StoredImage, Failure> {
    catalog::read_any_image(store, root, &this_machine())
        .map_err(|problem| unreadable(name, problem))
}

/// That the image of a name cannot be read.
pub(crate) fn unreadable(name: &str, problem: OpenImageProblem) -> Failure {
    OpenImageError { name: name.to_owned(), problem }.into()
}

/// The bytes of the layers of an image, as its manifest lists them.
pub(crate) fn size(image: &StoredImage) -> u64 {
    image.manifest.value().layers.iter().map(|layer| layer.size).sum()
}

/// What a program built for this machine runs on.
pub(crate) fn this_machine() -> Platform {
    Platform::linux(host_architecture())
}

/// There is no such image.
pub(crate) fn absent(reference: &Reference) -> Failure {
    let text = format!("there is no image {} in the store", reference.canonical());
    Failure::usage(text).remedy("`wythe images` lists the images, `wythe pull` fetches one")
}
