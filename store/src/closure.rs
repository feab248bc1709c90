//! What an object needs.
//!
//! Trees and recipes of the versions we know say it in their places for ids. For any other bytes
//! there is a rule of the store's format: whatever refers to an object contains its 32 bytes of id
//! verbatim, and a document contains `sha256:` digests as JSON strings. That can only ever find too
//! much: an id that is there by accident keeps an object alive, which harms nobody.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::ReadError;
use crate::id::{BodyId, TreeId};
use crate::index::AT_ONCE;
use crate::layer::recipe;
use crate::layers::LayerRecord;
use crate::live_record::LiveName;
use crate::object::{Kind, ObjectName};
use crate::pack::PackName;
use crate::path::LayerPath;
use crate::store::Store;
use crate::tree::entry::Tree;
use crate::tree::files::files;
use crate::tree::skim;

/// Documents longer than this hold no references of ours; registries need not accept them.
const MAX_DOCUMENT: usize = 8 * 1024 * 1024;

/// The objects that the bytes of a tree, of a recipe, or of something unknown may need.
pub(crate) fn references<E>(
    kind: Kind,
    bytes: &[u8],
    each: &mut dyn FnMut(Kind, [u8; 32]) -> Result<(), E>,
) -> Result<(), E> {
    if kind == Kind::Recipe
        && let Some(parts) = recipe::parts(bytes)
    {
        return parts.into_iter().try_for_each(|ObjectName { id, kind }| each(kind, id));
    }
    if kind == Kind::Tree
        && let Some(bodies) = skim::bodies(bytes)
    {
        return bodies.into_iter().try_for_each(|body| {
            each(Kind::Body, body)?;
            each(Kind::ChunkList, body)
        });
    }
    for id in bytes.array_windows::<32>() {
        Kind::ALL.into_iter().try_for_each(|kind| each(kind, *id))?;
    }
    Ok(())
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

/// The files that hold anything a layer leads to: packs with any of its objects, its blobs and its
/// directory.
pub(crate) fn files_behind(
    store: &Store,
    record: &LayerRecord,
) -> Result<BTreeSet<String>, ReadError> {
    let tree = record.tree.map(|tree| ObjectName::new(Kind::Tree, tree.as_bytes()));
    let digests = record.blobs.iter().map(|blob| blob.descriptor.digest);
    let recipes = digests.clone().map(|digest| ObjectName::new(Kind::Recipe, digest.as_bytes()));
    let mut pending: Vec<ObjectName> = tree.into_iter().chain(recipes).collect();
    let (mut seen, mut packs) = (BTreeSet::new(), BTreeSet::new());
    while let Some(name) = pending.pop() {
        if !seen.insert(name) {
            continue;
        }
        packs.extend(store.packs().holders(&name)?.iter().map(|pack| pack.name()));
        if name.kind == Kind::ChunkList {
            for list in store.chunk_lists(&BodyId::from_bytes(name.id))? {
                let chunks = list.chunks().map(|id| ObjectName::new(Kind::Body, id.as_bytes()));
                pending.extend(chunks);
            }
        } else if matches!(name.kind, Kind::Tree | Kind::Recipe)
            && let Some(bytes) = store.get(name.kind, &name.id)?
        {
            references::<ReadError>(name.kind, &bytes, &mut |kind, id| {
                pending.push(ObjectName { id, kind });
                Ok(())
            })?;
        }
    }
    let mut files: BTreeSet<String> = packs.iter().map(PackName::path).collect();
    files.extend(digests.map(|digest| digest.blob_path()));
    files.extend(record.live.as_ref().map(LiveName::path));
    Ok(files)
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
    let (mut packs, mut missing) = (store.packs().searcher()?, Vec::new());
    let mut all = files(&tree.children);
    loop {
        let some: Vec<_> =
            all.by_ref().take(AT_ONCE).map(|(path, _, file)| (path, file.body)).collect();
        if some.is_empty() {
            return Ok(missing);
        }
        let names: Vec<_> =
            some.iter().map(|(_, body)| ObjectName::new(Kind::Body, body.as_bytes())).collect();
        let mut absent = Vec::new();
        let mut files = some.into_iter();
        packs.holds_each::<ReadError>(&names, |_, is_held| {
            absent.extend(files.next().filter(|_| !is_held));
            Ok(())
        })?;
        // They may be in no pack yet, or in chunks.
        for (path, body) in absent {
            if !store.has_body(&body)? {
                missing.push(path);
            }
        }
    }
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
