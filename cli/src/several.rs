//! Images of several platforms on their way out, each with its layers encoded.

use serde_json::json;
use wythe_store::digest::Digest;
use wythe_store::image::catalog::{OpenImageProblem, StoredImage, read_image};
use wythe_store::layer::blob_view;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::document::RawDocument;
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::platform::Platform;
use wythe_store::store::Store;

use crate::encode::{self, Layers};
use crate::failure::{Class, Failure};

/// Says which manifest a statement beside it is about.
const SUBJECT: &str = "vnd.docker.reference.digest";

/// What leaves for the name of an image: an index where the store has the images of all platforms,
/// else the manifest of the one that was found.
pub(crate) fn root(
    lease: &Lease,
    image: &StoredImage,
    layers: Layers,
) -> Result<Descriptor, Failure> {
    let Some(mut index) = whole_index(lease.store(), image)? else {
        return encode::manifest(lease, image, layers);
    };
    let mut moved: Vec<(Descriptor, Descriptor)> = Vec::new();
    for entry in &mut index.manifests {
        if entry.annotations.contains_key(SUBJECT) {
            continue;
        }
        let stored = open(lease.store(), entry)?;
        let manifest = encode::manifest(lease, &stored, layers)?;
        let (platform, annotations) = (entry.platform.clone(), entry.annotations.clone());
        let new = Descriptor { platform, annotations, ..manifest };
        if new.digest != entry.digest {
            moved.push((std::mem::replace(entry, new.clone()), new));
        }
    }
    if moved.is_empty() {
        // Byte for byte, as it came.
        return Ok(image.root.clone());
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

/// The configuration of statements that are made up as an image, which is of no platform.
pub(crate) fn statement_configuration(statements: &[Descriptor]) -> String {
    let digests: Vec<String> = statements.iter().map(|one| one.digest.to_string()).collect();
    let rootfs = json!({"type": "layers", "diff_ids": digests});
    json!({"architecture": "unknown", "config": {}, "os": "unknown", "rootfs": rootfs}).to_string()
}

/// The index behind an image, if every layer of every image in it is here.
fn whole_index(store: &Store, image: &StoredImage) -> Result<Option<Index>, Failure> {
    if !image.root.media_type.is_index() {
        return Ok(None);
    }
    let Some(bytes) = store.document(&image.root.digest)? else { return Ok(None) };
    let index: RawDocument<Index> = RawDocument::read(&image.root, bytes.to_vec())
        .map_err(|error| Failure::of(Class::Damage, &error))?;
    for entry in &index.value().manifests {
        if entry.media_type.is_index() {
            return Ok(None);
        }
        let found = match read_image(store, entry.clone(), &anything()) {
            _ if entry.annotations.contains_key(SUBJECT) => continue,
            Err(OpenImageProblem::Missing(_)) => return Ok(None),
            found => found.map_err(|error| Failure::of(Class::Damage, &error))?,
        };
        for layer in &found.manifest.value().layers {
            if blob_view::open(store, &layer.digest)?.is_none() {
                return Ok(None);
            }
        }
    }
    Ok(Some(index.value().clone()))
}

fn open(store: &Store, entry: &Descriptor) -> Result<StoredImage, Failure> {
    read_image(store, entry.clone(), &anything())
        .map_err(|error| Failure::of(Class::Damage, &error))
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
