//! What an object needs: references are found by what they look like.
//!
//! Whatever refers to an object contains its 32 bytes of id verbatim, and a document contains
//! `sha256:` digests as JSON strings; both are rules of the store's format. So reachability needs
//! no decoder for trees and recipes, cannot disagree with one, and can only ever find too much: an
//! id that is there by accident keeps an object alive, which harms nobody.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::ReadError;
use crate::id::TreeId;
use crate::layers::LayerRecord;
use crate::pack::reader::Pack;
use crate::path::LayerPath;
use crate::store::Store;
use crate::tree::entry::Tree;
use crate::tree::files::files;

/// Documents longer than this hold no references of ours; registries need not accept them.
const MAX_DOCUMENT: usize = 8 * 1024 * 1024;

/// The ids in a store's packs, for finding them in other bytes.
#[derive(Debug)]
pub(crate) struct Ids {
    /// The first half of each id: enough to make accidents rare, and half the memory.
    prefixes: HashSet<[u8; 16]>,
}

impl Ids {
    pub(crate) fn of(packs: &[Arc<Pack>]) -> Self {
        let entries = packs.iter().flat_map(|pack| pack.entries());
        let prefix = |id: [u8; 32]| id.first_chunk().copied();
        Self { prefixes: entries.filter_map(|entry| prefix(entry.name.id)).collect() }
    }

    /// The names that occur in some bytes, in the order of their first bytes' places.
    pub(crate) fn within<'bytes>(
        &'bytes self,
        bytes: &'bytes [u8],
    ) -> impl Iterator<Item = [u8; 32]> + 'bytes {
        let known = |id: &&[u8; 32]| {
            id.first_chunk().is_some_and(|prefix| self.prefixes.contains::<[u8; 16]>(prefix))
        };
        bytes.array_windows::<32>().filter(known).copied()
    }
}

/// The digests a JSON document mentions; none where it is no JSON.
pub(crate) fn digests(document: &[u8]) -> BTreeSet<Digest> {
    let mut found = BTreeSet::new();
    if document.len() <= MAX_DOCUMENT
        && let Ok(value) = serde_json::from_slice(document)
    {
        collect(&value, &mut found);
    }
    found
}

fn collect(value: &serde_json::Value, found: &mut BTreeSet<Digest>) {
    match value {
        serde_json::Value::String(text) => found.extend(text.parse::<Digest>()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        serde_json::Value::Object(fields) => {
            fields.values().for_each(|field| collect(field, found));
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// Whether a blob that a layer was pulled as is here.
pub(crate) fn has_blob(store: &Store, record: &LayerRecord) -> Result<bool, ReadError> {
    for blob in &record.blobs {
        if store.foreign_blob(&blob.descriptor.digest)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a tree and the bodies of all its files are in packs.
pub(crate) fn is_complete(store: &Store, tree: &TreeId) -> Result<bool, ReadError> {
    match store.tree(tree)? {
        Some(tree) => Ok(without_bodies(store, &tree)?.is_empty()),
        None => Ok(false),
    }
}

/// The files of a tree whose bodies are in no pack.
pub(crate) fn without_bodies(store: &Store, tree: &Tree) -> Result<Vec<LayerPath>, ReadError> {
    let mut missing = Vec::new();
    for (path, _, file) in files(&tree.children) {
        if !store.has_body(&file.body)? {
            missing.push(path);
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_at_any_depth() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!(r#"{{"x":[{{"y":"{a}"}}],"z":"{b}","n":1,"w":"sha256:no"}}"#);
        assert_eq!(digests(text.as_bytes()), BTreeSet::from([a, b]));
        assert!(digests(b"\x00not json").is_empty());
    }
}
