//! `type=inline`: records that an image carries in its configuration, of its own layers.

use std::io::Read as _;

use wythe_registry::client::Client;
use wythe_store::digest::Digest;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::document::{Document as _, MAX_DOCUMENT};
use wythe_store::oci::index::Index;
use wythe_store::oci::manifest::Manifest;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::ImageSource as _;
use wythe_store::portable_action::{INLINE_FIELD, InlineRecord};

use crate::pack::Pack;

/// How many images of an index are looked at: those of all platforms that are in use.
const MAX_IMAGES: usize = 16;

/// The records of an image, or of all images of an index. What cannot be read has none.
pub(crate) fn records(client: &Client, name: &Reference, root: &[u8]) -> Pack {
    let mut pack = Pack::default();
    let Ok(index) = Index::parse(root) else {
        add(&mut pack, client, name, root);
        return pack;
    };
    for entry in index.manifests.iter().take(MAX_IMAGES) {
        // A statement about an image is none.
        let is_image = entry.platform.as_ref().is_none_or(|said| said.os != "unknown");
        let image = is_image.then(|| client.manifest(&name.clone().with_digest(entry.digest)));
        if let Some(Ok((_, manifest))) = image {
            add(&mut pack, client, name, &manifest);
        }
    }
    pack
}

fn add(pack: &mut Pack, client: &Client, name: &Reference, manifest: &[u8]) {
    let Ok(manifest) = Manifest::parse(manifest) else { return };
    let Some(config) = config(client, name, &manifest) else { return };
    let Some(records) = config.other.get(INLINE_FIELD) else { return };
    let records: Vec<InlineRecord> = serde_json::from_value(records.clone()).unwrap_or_default();
    for record in records {
        if let Some((key, action)) = record.action(&manifest.layers, &config.rootfs.diff_ids) {
            pack.insert(key, &action.encode());
        }
    }
}

fn config(client: &Client, name: &Reference, manifest: &Manifest) -> Option<ImageConfig> {
    let mut bytes = Vec::new();
    let blob = client.blob(name, &manifest.config).ok()?;
    blob.take(MAX_DOCUMENT as u64).read_to_end(&mut bytes).ok()?;
    (Digest::of(&bytes) == manifest.config.digest).then(|| ImageConfig::parse(&bytes).ok())?
}
