//! The root file system of an image as one tree.

use std::io;

use crate::digest::{DiffId, Digest};
use crate::error::{ReadError, WriteError};
use crate::image::catalog::StoredImage;
use crate::layer::import::{ImportError, Keep, read_layer_within};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::side_by_side::side_by_side;
use crate::tree::entry::Tree;
use crate::tree::files::files;
use crate::tree::merge::merge_all;

/// Layers that are read at a time: most of that is decompressing, which is one thread's work for each, and each is a few
/// megabytes ahead of who stores its files.
const AT_A_TIME: usize = 2;

/// A root file system could not be put together.
#[derive(Debug, thiserror::Error)]
#[error("reading layer {}", layer.0)]
pub struct RootfsError {
    /// The layer that is missing or damaged.
    pub layer: DiffId,
    /// Why.
    #[source]
    pub cause: RootfsCause,
}

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootfsCause {
    /// The store knows neither its blob nor its files.
    #[error("the store does not hold it")]
    Missing,
    /// Its blob is not a layer.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// All layers of an image over each other, with the bytes of every file in the store.
///
/// # Errors
///
/// If a layer is neither here as a tree nor as a blob, or not what its DiffID says.
pub fn rootfs(lease: &Lease, image: &StoredImage) -> Result<Tree, RootfsError> {
    rootfs_with(lease, image, Keep::In(lease))
}

/// The same, with the bytes of files that are in blobs only where `keep` puts them.
///
/// # Errors
///
/// As [`rootfs`].
pub fn rootfs_with(
    lease: &Lease,
    image: &StoredImage,
    keep: Keep<'_>,
) -> Result<Tree, RootfsError> {
    let layers = image.manifest.value().layers.iter();
    let pairs = layers.zip(&image.config.value().rootfs.diff_ids);
    let pairs: Vec<_> = pairs.collect();
    let trees = side_by_side(&pairs, AT_A_TIME, |(layer, diff_id)| {
        tree(lease, (layer, diff_id), keep).map_err(|cause| RootfsError { layer: **diff_id, cause })
    });
    Ok(merge_all(&trees.into_iter().collect::<Result<Vec<Tree>, _>>()?))
}

/// One layer of an image, with the bytes of every file in the store.
///
/// # Errors
///
/// As [`rootfs`].
pub fn layer_tree(
    lease: &Lease,
    layer: &Descriptor,
    diff_id: &DiffId,
) -> Result<Tree, RootfsError> {
    let keep = Keep::In(lease);
    tree(lease, (layer, diff_id), keep).map_err(|cause| RootfsError { layer: *diff_id, cause })
}

fn tree(
    lease: &Lease,
    (layer, diff_id): (&Descriptor, &DiffId),
    keep: Keep<'_>,
) -> Result<Tree, RootfsCause> {
    let store = lease.store();
    // The files of a layer that came from elsewhere may be in its blob only.
    if let Some(tree) = from_blob(lease, (&layer.digest, diff_id), keep)? {
        return Ok(tree);
    }
    let record = store.layer_of_diff(diff_id)?.ok_or(RootfsCause::Missing)?;
    let tree = record.tree.map(|id| store.tree(&id)).transpose()?.flatten();
    if let Some(tree) = tree
        && has_bodies(lease, &tree)?
    {
        return Ok(tree);
    }
    // It came for a step, in a form that the image does not name: that of a cache.
    for blob in &record.blobs {
        if let Some(tree) = from_blob(lease, (&blob.descriptor.digest, diff_id), keep)? {
            return Ok(tree);
        }
    }
    Err(RootfsCause::Missing)
}

fn from_blob(
    lease: &Lease,
    (blob, diff_id): (&Digest, &DiffId),
    keep: Keep<'_>,
) -> Result<Option<Tree>, RootfsCause> {
    let Some(mut blob) = lease.store().foreign_blob(blob)? else { return Ok(None) };
    let (limits, reader) = (lease.store().limits(), &mut blob as &mut (dyn io::Read + Send));
    let (tree, _) = read_layer_within(limits, reader, diff_id, keep)?;
    Ok(Some(tree))
}

/// Whether the store has the bytes of every file.
fn has_bodies(lease: &Lease, tree: &Tree) -> Result<bool, ReadError> {
    for (_, _, file) in files(&tree.children) {
        if file.size > 0 && !lease.store().has_body(&file.body)? {
            return Ok(false);
        }
    }
    Ok(true)
}
