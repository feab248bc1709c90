//! Images of several platforms on their way out, each with its layers encoded.

use serde_json::json;
use wythe_store::digest::Digest;
use wythe_store::image::catalog::{OpenImageProblem, read_any_image, read_image};
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::{Document, RawDocument};
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;

use crate::encode::{self, Layers};
use crate::failure::{Class, Failure};
use crate::ship::Shipment;
use crate::stored_image::{self, this_machine};

/// Says which manifest a statement beside it is about.
const SUBJECT: &str = "vnd.docker.reference.digest";

/// What leaves for a root: itself where nothing in it is of another form in the store than outside,
/// else the manifest or index with its layers as they leave.
pub(crate) fn root(
    lease: &Lease,
    root: &Descriptor,
    layers: Layers<'_>,
) -> Result<Descriptor, Failure> {
    if root.media_type.is_index() {
        return index(lease, root, layers);
    }
    let manifest: RawDocument<Manifest> = read(lease, root)?;
    if !manifest.value().config.media_type.is_config() {
        // An artifact, which has no layers of ours.
        return Ok(root.clone());
    }
    let image = read_image(lease.store(), root.clone(), &anything()).map_err(damaged)?;
    encode::manifest(lease, &image, layers)
}

fn index(lease: &Lease, root: &Descriptor, layers: Layers<'_>) -> Result<Descriptor, Failure> {
    let mut index = read::<Index>(lease, root)?.into_parts().1;
    let mut moved: Vec<(Descriptor, Descriptor)> = Vec::new();
    for entry in &mut index.manifests {
        let known = entry.media_type.is_manifest() || entry.media_type.is_index();
        if !known || entry.annotations.contains_key(SUBJECT) {
            continue;
        }
        let Descriptor { media_type, digest, size, .. } = self::root(lease, entry, layers)?;
        let new = Descriptor { media_type, digest, size, ..entry.clone() };
        if new.digest != entry.digest {
            moved.push((std::mem::replace(entry, new.clone()), new));
        }
    }
    if moved.is_empty() {
        // Byte for byte, as it came.
        return Ok(root.clone());
    }
    for entry in &mut index.manifests {
        let subject = entry.annotations.get(SUBJECT).cloned();
        let of = |(old, _): &&(Descriptor, Descriptor)| Some(old.digest.to_string()) == subject;
        if let Some((old, new)) = moved.iter().find(of) {
            *entry = restated(lease, entry, (old, new))?;
        }
    }
    let index = RawDocument::new(index);
    lease.put_document(index.bytes())?;
    Ok(index.descriptor())
}

/// The images that a root lists: itself, or those of an index.
pub(crate) fn images(lease: &Lease, root: &Descriptor) -> Result<Vec<Descriptor>, Failure> {
    if !root.media_type.is_index() {
        return Ok(vec![root.clone()]);
    }
    let index: RawDocument<Index> = read(lease, root)?;
    Ok(index.value().images().cloned().collect())
}

/// What leaves for a root that is complete in the store.
pub(crate) fn shipment<'a>(
    lease: &'a Lease,
    root: &Descriptor,
    layers: Layers<'_>,
) -> Result<Shipment<'a>, Failure> {
    let image = read_any_image(lease.store(), root, &this_machine()).ok();
    let created = image.and_then(|image| image.config.value().created.clone());
    let root = self::root(lease, root, layers)?;
    Ok(Shipment { lease, root, names: Vec::new(), title: None, created, origins: &[] })
}

fn read<T: Document>(lease: &Lease, descriptor: &Descriptor) -> Result<RawDocument<T>, Failure> {
    let missing = || OpenImageProblem::Missing(Box::new(descriptor.clone()));
    let bytes = lease.store().document(&descriptor.digest)?;
    let bytes = bytes.ok_or_else(missing).map_err(damaged)?.to_vec();
    RawDocument::read(descriptor, bytes).map_err(|error| damaged(error.into()))
}

fn damaged(problem: OpenImageProblem) -> Failure {
    stored_image::unreadable("the image", problem)
}

/// The configuration of statements that are made up as an image, which is of no platform.
pub(crate) fn statement_configuration(statements: &[Descriptor]) -> String {
    let digests: Vec<String> = statements.iter().map(|one| one.digest.to_string()).collect();
    let rootfs = json!({"type": "layers", "diff_ids": digests});
    json!({"architecture": "unknown", "config": {}, "os": "unknown", "rootfs": rootfs}).to_string()
}

/// An entry that is a manifest is read whatever platform is asked for.
fn anything() -> Platform {
    Platform::linux("amd64")
}

/// A statement that was about one manifest, about another: the same image, encoded.
fn restated(
    lease: &Lease,
    entry: &Descriptor,
    (old, new): (&Descriptor, &Descriptor),
) -> Result<Descriptor, Failure> {
    let damaged = |text: &str| Failure::new(Class::Damage, format!("{}: {text}", entry.digest));
    let read = |digest: &Digest| lease.store().document(digest);
    let bytes = read(&entry.digest)?.ok_or_else(|| damaged("the statement is missing"))?;
    let manifest: RawDocument<Manifest> = RawDocument::read(entry, bytes.to_vec())
        .map_err(|error| Failure::of(Class::Damage, &error))?;
    let mut manifest = manifest.value().clone();
    for layer in &mut manifest.layers {
        let bytes = read(&layer.digest)?.ok_or_else(|| damaged("its text is missing"))?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| damaged("it is no text"))?;
        let text = text.replace(&old.digest.hex(), &new.digest.hex());
        lease.put_document(text.as_bytes())?;
        let stated = Descriptor::of(MediaType::new(layer.media_type.as_str()), text.as_bytes());
        *layer = Descriptor { annotations: layer.annotations.clone(), ..stated };
    }
    if manifest.config.media_type == MediaType::CONFIG {
        let configuration = statement_configuration(&manifest.layers);
        lease.put_document(configuration.as_bytes())?;
        manifest.config = Descriptor::of(MediaType::CONFIG, configuration.as_bytes());
    }
    manifest.subject =
        manifest.subject.map(|_| Descriptor::new(new.media_type.clone(), new.digest, new.size));
    let manifest = RawDocument::new(manifest);
    lease.put_document(manifest.bytes())?;
    let mut moved = manifest.descriptor();
    moved.platform.clone_from(&entry.platform);
    moved.annotations.clone_from(&entry.annotations);
    moved.annotations.insert(SUBJECT.to_owned(), new.digest.to_string());
    Ok(moved)
}
