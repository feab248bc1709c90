//! What is in a part.

use std::borrow::Cow;
use std::io;
use std::sync::LazyLock;

use super::{KEY_DOMAIN, PART_MAX};
use crate::layer::codec::Codec;
use crate::layer::recipe::Checksum;
use crate::object::{Kind, ObjectName};

/// The bytes of a part, and what is known of them.
pub(in crate::layer) struct Plain<'part> {
    pub(in crate::layer) bytes: Cow<'part, [u8]>,
    pub(in crate::layer) nature: Nature,
}

/// What is known of the bytes of a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::layer) enum Nature {
    /// They may be anything.
    Any,
    /// They are zeros, of whichever file.
    Zeros,
}

/// What parts that are zeros show: one of them is like any other, and compressed once.
static ZEROS: LazyLock<Vec<u8>> = LazyLock::new(|| vec![0; in_memory(PART_MAX)]);

impl Plain<'_> {
    /// So many zeros, which are no more than a part may have.
    pub(super) fn zeros(length: u64) -> Self {
        Self { bytes: Cow::Borrowed(&ZEROS[..in_memory(length)]), nature: Nature::Zeros }
    }

    /// What the codec makes of it, and its checksum behind that.
    pub(in crate::layer) fn compress(
        &self,
        codec: Codec,
        checksum: Checksum,
    ) -> io::Result<Vec<u8>> {
        codec.compress_sampled(&self.bytes, &checksum.bytes())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a part fits in memory")]
pub(super) fn in_memory(length: u64) -> usize {
    length as usize
}

/// The name of what the codec of this id makes of so many zeros.
pub(in crate::layer) fn zeros_name(length: u64, codec: &str) -> ObjectName {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&length.to_le_bytes());
    let mut key = blake3::Hasher::new_derive_key(KEY_DOMAIN);
    key.update(&id).update(&0_u64.to_le_bytes()).update(codec.as_bytes());
    ObjectName::new(Kind::Fragment, key.finalize().as_bytes())
}
