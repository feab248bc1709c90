//! As what a cache mount was saved or restored last, so that it is known whether a step has changed it since, and what
//! caches have of it without their being asked.
//!
//! Version 1: the byte 1; what its steps run on; when it was saved, in seconds and nanoseconds; the id of the bytes of its
//! tree; the digest of its document; of each pack the pieces, each as its length and the id of what it is, if that counts.

use std::fs;
use std::io;
use std::path::Path;

use crate::digest::Digest;
use crate::id::BodyId;
use crate::live::mount_seen::Seen;
use crate::timestamp::Timestamp;
use crate::wire::{Decoder, Encoder};

const VERSION: u8 = 1;
/// The longest note that is read: that of three million files.
const MAX_NOTE: u64 = 128 << 20;

/// A state of a mount that caches know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MountState {
    /// What its steps run on.
    pub platform: String,
    /// When it was saved.
    pub created: Timestamp,
    /// The id of the bytes of its tree.
    pub tree: BodyId,
    /// The document of it.
    pub document: Digest,
    /// The pieces of each pack that the document names: how long, and what they are, where something needs it.
    pub packs: Vec<Vec<PackedPiece>>,
}

/// A piece of a pack: what it is, where something needs it, and how long.
pub type PackedPiece = (Option<BodyId>, u64);

/// What is noted of a mount that was put in place.
#[derive(Debug)]
pub struct MountNotes {
    /// What its files were.
    pub seen: Seen,
    /// Which state of it that is.
    pub state: MountState,
}

impl MountState {
    /// Reads a note; `None` where there is none, or one that makes no sense.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let size = fs::metadata(path).ok()?.len();
        let bytes = if size <= MAX_NOTE { fs::read(path).ok()? } else { return None };
        Self::decode(&bytes)
    }

    /// Writes a note, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// If it cannot be written; without it the mount is taken for one that a step has changed.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let staged = path.with_extension("state.part");
        fs::write(&staged, self.encode())?;
        fs::rename(staged, path)
    }

    fn encode(&self) -> Vec<u8> {
        let Self { platform, created: Timestamp { seconds, nanos }, tree, document, packs } = self;
        let mut out = Encoder::new(VERSION);
        out.bytes(platform.as_bytes()).number(seconds.cast_unsigned()).number((*nanos).into());
        out.raw(tree.as_bytes()).raw(document.as_bytes()).number(packs.len() as u64);
        for pieces in packs {
            out.number(pieces.len() as u64);
            for (id, length) in pieces {
                out.number(*length).option(id.as_ref().map(|id| &id.as_bytes()[..]));
            }
        }
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes, VERSION)?;
        let (platform, seconds) = (from.text()?, from.number()?.cast_signed());
        let created = Timestamp { seconds, nanos: u32::try_from(from.number()?).ok()? };
        let tree = BodyId::from_bytes(from.array()?);
        let document = Digest::from_bytes(from.array()?);
        let piece = |from: &mut Decoder<'_>| {
            let length = from.number()?;
            Some((from.option()?.map(BodyId::from_bytes), length))
        };
        let packs = from.list(|from| from.list(piece))?;
        from.end(Self { platform, created, tree, document, packs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_what_is_shorter_is_none() {
        let state = MountState {
            platform: "linux/arm64".to_owned(),
            created: Timestamp { seconds: -7, nanos: 5 },
            tree: BodyId::of(b"tree"),
            document: Digest::of(b"document"),
            packs: vec![vec![(Some(BodyId::of(b"a")), 1), (None, 7)], Vec::new()],
        };
        let bytes = state.encode();
        assert_eq!(MountState::decode(&bytes), Some(state));
        for end in 0..bytes.len() {
            assert_eq!(MountState::decode(&bytes[..end]), None, "{end}");
        }
        assert_eq!(MountState::decode(&[&[2], &bytes[1..]].concat()), None);
    }
}
