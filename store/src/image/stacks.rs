//! Which layers lie below which, as far as images say.

use crate::error::ReadError;
use crate::image::catalog::all_images;
use crate::live::compare::Stacks;
use crate::store::Store;

/// The layers below each layer of an image that has a name.
///
/// # Errors
///
/// If a record cannot be read; what is no image is none.
pub fn stacks(store: &Store) -> Result<Stacks, ReadError> {
    let mut stacks = Stacks::new();
    for (_, root) in store.list_refs()? {
        for image in all_images(store, &root) {
            let mut below = Vec::new();
            for diff_id in &image.config.value().rootfs.diff_ids {
                let Some(record) = store.layer_of_diff(diff_id)? else { break };
                stacks.entry(record.id).or_default().insert(below.clone());
                below.push(record.id);
            }
        }
    }
    Ok(stacks)
}
