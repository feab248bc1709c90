//! SOCI (Seekable OCI): what a node needs to fetch single files of a gzip layer that it leaves as it is.
//!
//! It stands beside the layer, in a zTOC: a table of the files in the tar stream, and checkpoints, from each of
//! which the stream can be uncompressed without what is before it. A layer that was made here has a checkpoint
//! wherever one of its parts begins, since parts refer to nothing before them; of one from elsewhere they are
//! found by uncompressing it.

use crate::digest::DiffId;
use crate::layer::blob_view;
use crate::layer::export::ExportError;
use crate::layer::limits::Budget;
use crate::layer::tar_read::TarReader;
use crate::layers::LayerRecord;
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::{Compression, MediaType};
use crate::store::Store;

use self::inflate::Inflate;
use self::spans::Spans;
use self::table::Table;

mod checkpoint;
mod huffman;
mod inflate;
mod spans;
mod table;

/// The annotation of a zTOC with the digest of its layer.
pub const LAYER_DIGEST: &str = "com.amazon.soci.image-layer-digest";
/// The annotation of a zTOC with the media type of its layer.
pub const LAYER_TYPE: &str = "com.amazon.soci.image-layer-mediaType";
/// The annotation of a zTOC with how many plain bytes a span has, about.
pub const SPAN_SIZE: &str = "com.amazon.soci.span-size";
/// What made a zTOC, in it and in the index over it. It says no version: the same layer has the same zTOC.
pub const TOOL: &str = "wythe";

/// How many plain bytes there are between two checkpoints, about: what others take, and what a node fetches
/// for one page of a file. A span of ours is longer where one part is.
const SPAN: u64 = 4 << 20;

/// Stores the zTOC of a layer; gives what an index says of it. `None` for a layer that has none: one that is not
/// gzip or of several members, or whose tar stream has sparse files.
///
/// # Errors
///
/// If the layer is not in the store, no layer, or past its limits; or if the store fails.
pub fn ztoc(
    lease: &Lease,
    layer: &Descriptor,
    diff_id: &DiffId,
) -> Result<Option<Descriptor>, ExportError> {
    if layer.media_type.layer_compression() != Some(Compression::Gzip) {
        return Ok(None);
    }
    let store = lease.store();
    let made = match of_parts(store, layer, diff_id)? {
        Some(made) => Some(made),
        None => of_stream(store, layer)?,
    };
    let Some((table, spans)) = made else { return Ok(None) };
    let bytes = table.encode(&spans);
    lease.put_document(&bytes)?;
    let mut made = Descriptor::of(MediaType::new("application/octet-stream"), &bytes);
    let facts = [
        (LAYER_DIGEST, layer.digest.to_string()),
        (LAYER_TYPE, layer.media_type.as_str().to_owned()),
        (SPAN_SIZE, SPAN.to_string()),
    ];
    made.annotations.extend(facts.map(|(key, value)| (key.to_owned(), value)));
    Ok(Some(made))
}

/// What the store knows of a layer whose parts it made of the layer's tree: nothing is uncompressed.
fn of_parts(
    store: &Store,
    layer: &Descriptor,
    diff_id: &DiffId,
) -> Result<Option<(Table, Spans)>, ExportError> {
    let Some(recipe) = store.recipe(&layer.digest)? else { return Ok(None) };
    let record = store.layer_of_diff(diff_id)?.filter(LayerRecord::is_made_here);
    let tree = record.and_then(|record| record.tree).map(|id| store.tree(&id)).transpose()?;
    let Some(tree) = tree.flatten() else { return Ok(None) };
    let Some(spans) = Spans::of_parts(store, &recipe)? else { return Ok(None) };
    let (table, end) = Table::of_tree(&tree)?;
    Ok((end == spans.plain).then_some((table, spans)))
}

/// What uncompressing a layer shows.
fn of_stream(store: &Store, layer: &Descriptor) -> Result<Option<(Table, Spans)>, ExportError> {
    let open = || -> Result<_, ExportError> {
        let blob = blob_view::open(store, &layer.digest)?.ok_or(ExportError::Gone)?;
        Ok(blob.reader)
    };
    let budget = Budget::new(store.limits());
    let mut tar = TarReader::new(Inflate::new(open()?)).within(&budget);
    let table = Table::of_stream(&mut tar);
    let inflate = tar.into_inner();
    if inflate.has_several_members() {
        return Ok(None);
    }
    let Some(table) = table? else { return Ok(None) };
    let (checkpoints, plain) = inflate.finish()?;
    let spans = Spans::of_blob(&mut open()?, checkpoints, plain)?;
    Ok(Some((table, spans)))
}

#[cfg(test)]
mod tests;
