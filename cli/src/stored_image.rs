//! An image of the store, found by what a person calls it.

use std::collections::BTreeSet;

use wythe_delivery::content::OutgoingContent;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::{self, OpenImageError, OpenImageProblem, StoredImage};
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::{Platform, host_architecture};
use wythe_store::oci::reference::Reference;
use wythe_store::store::Store;

use crate::closure;
use crate::failure::Failure;
use crate::failure::code::ErrorCode;
use crate::session::Session;

/// The image of a name for this machine or, where it has none, one for another; with `latest` where
/// it has no tag. An id is as good as a name.
pub(crate) fn find(store: &Store, name: &str) -> Result<StoredImage, Failure> {
    let (_, root) = resolve(store, name)?;
    of_ref(store, name, &root)
}

/// What a person calls an image by, as a name of the store, and what that stands for: a name or, where
/// there is no such name, an id or its beginning.
pub(crate) fn resolve(store: &Store, text: &str) -> Result<(Reference, Descriptor), Failure> {
    let absent = match text.parse::<Reference>() {
        Ok(reference) => {
            let found = catalog::find_root(store, &reference);
            match found.map_err(|problem| unreadable(text, problem))? {
                Some(root) => return Ok((reference, root)),
                None => absent(&reference),
            }
        }
        Err(error) => error.into(),
    };
    let (name, root) = by_id(store, text)?.into_iter().next().ok_or(absent)?;
    Ok((name.parse()?, root))
}

/// The names of the image of an id or its beginning; none where there is no such image.
pub(crate) fn by_id(store: &Store, text: &str) -> Result<Vec<(String, Descriptor)>, Failure> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_id = digits.len() >= SHORTEST_ID
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_id {
        return Ok(Vec::new());
    }
    let (mut found, mut ids) = (Vec::new(), BTreeSet::new());
    for (name, root) in store.list_refs()? {
        let image = catalog::read_any_image(store, &root, &this_machine());
        let id = image.map_or(root.digest, |image| image.manifest.value().config.digest);
        if id.hex().starts_with(digits) || root.digest.hex().starts_with(digits) {
            ids.insert(id);
            found.push((name, root));
        }
    }
    if ids.len() > 1 {
        let text = format!("several images have ids that begin with {text}");
        return Err(Failure::usage(text).remedy("`wythe images --no-trunc` prints ids in full"));
    }
    Ok(found)
}

/// Fewer digits than this are a name.
const SHORTEST_ID: usize = 4;

/// A name as the store has it, where it is one.
pub(crate) fn canonical(name: &str) -> Option<String> {
    name.parse::<Reference>().ok().map(|reference| catalog::ref_name(&reference))
}

/// The image of a name with all its layers: those that a build or a push could leave at a registry
/// are recorded to be there, or are there under the same name. Without a platform it is the image for this machine, or another.
pub(crate) fn complete(
    lease: &Lease,
    name: &str,
    platform: Option<&Platform>,
    session: &Session,
) -> Result<StoredImage, Failure> {
    if let Some(platform) = platform {
        let client = session.registry()?;
        let located = closure::of_store(lease, name, Some(platform), &client)?;
        located.complete(lease)?;
        let image = catalog::read_image(lease.store(), located.root.clone(), platform);
        return image.map_err(|problem| unreadable(name, problem));
    }
    let (reference, root) = resolve(lease.store(), name)?;
    let image = of_ref(lease.store(), name, &root)?;
    let layers = image.manifest.value().layers.iter();
    let origin =
        |layer: &Descriptor| BlobOrigin::of_store(lease.store(), layer.clone(), reference.clone());
    let origins: Vec<BlobOrigin> = layers.map(origin).collect::<Result<_, _>>()?;
    OutgoingContent::new(lease, &session.registry()?, &origins).complete()?;
    Ok(image)
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
    Failure::usage(text)
        .known_as(ErrorCode::ImageNotHere)
        .remedy("`wythe images` lists the images, `wythe pull` fetches one")
}
