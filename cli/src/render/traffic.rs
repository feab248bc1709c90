//! How many bytes of blobs have passed.

use std::collections::BTreeMap;

use wythe_store::digest::Digest;
use wythe_store::oci::transfer::{Direction, Transfer, TransferState};

/// What has passed of each blob, by way and image.
#[derive(Debug, Default)]
pub(crate) struct Traffic(BTreeMap<(Direction, String, Digest), u64>);

impl Traffic {
    /// Notes how far a blob is. What was there already has not passed.
    pub(crate) fn take(&mut self, transfer: &Transfer<'_>) {
        let id = (transfer.direction, transfer.reference.to_string(), transfer.digest);
        let passed = match transfer.state {
            TransferState::Moving | TransferState::Done => transfer.bytes,
            TransferState::Mounted | TransferState::Present => 0,
        };
        self.0.insert(id, passed);
    }

    /// How many bytes went this way.
    pub(crate) fn total(&self, way: Direction) -> u64 {
        self.0.iter().filter(|((direction, ..), _)| *direction == way).map(|(_, bytes)| bytes).sum()
    }
}
