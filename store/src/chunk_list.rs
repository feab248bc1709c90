//! What a long body consists of: the bodies of its chunks, one after the other, and runs of zeros.
//!
//! A list is named by the id of the whole body. The ids of the chunks are in it verbatim, which is
//! how garbage collection finds them.

pub(crate) mod chunked;

use crate::id::BodyId;
use crate::wire::{Decoder, Encoder};

const VERSION: u8 = 1;

/// What stands in the place of an id where there are zeros.
const ZEROS: [u8; 32] = [0; 32];

/// A piece of a long body. None is empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Piece {
    /// How many bytes it has.
    pub(crate) length: u64,
    /// The body they are; `None` if they are zeros.
    pub(crate) chunk: Option<BodyId>,
}

/// The pieces of a long body, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ChunkList(pub(crate) Vec<Piece>);

impl ChunkList {
    /// How many bytes the body has.
    pub(crate) fn length(&self) -> u64 {
        self.0.iter().map(|piece| piece.length).sum()
    }

    /// The bodies it consists of.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &BodyId> {
        self.0.iter().filter_map(|piece| piece.chunk.as_ref())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION);
        out.number(self.0.len() as u64);
        for piece in &self.0 {
            let id = piece.chunk.as_ref().map_or(&ZEROS, BodyId::as_bytes);
            out.number(piece.length).raw(id);
        }
        out.finish()
    }

    /// Reads a list; `None` where the bytes are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes, VERSION)?;
        let mut total = 0_u64;
        let pieces = from.list(|from| {
            let (length, id) = (from.number()?, from.array()?);
            total = total.checked_add(length).filter(|_| length > 0)?;
            Some(Piece { length, chunk: (id != ZEROS).then(|| BodyId::from_bytes(id)) })
        })?;
        from.end(Self(pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> ChunkList {
        let chunk = |text: &str| Piece { length: 3, chunk: Some(BodyId::of(text.as_bytes())) };
        ChunkList(vec![chunk("one"), Piece { length: 1 << 40, chunk: None }, chunk("two")])
    }

    #[test]
    fn a_list_reads_back_and_holds_ids_verbatim() {
        let bytes = list().encode();
        assert_eq!(ChunkList::decode(&bytes), Some(list()));
        assert_eq!(list().length(), (1 << 40) + 6);
        for id in list().chunks() {
            assert!(bytes.array_windows().any(|window| window == id.as_bytes()));
        }
        for end in 0..bytes.len() {
            assert_eq!(ChunkList::decode(&bytes[..end]), None, "{end}");
        }
    }

    #[test]
    fn lengths_that_are_none_make_no_list() {
        for length in [0, u64::MAX] {
            let mut list = list();
            list.0[0].length = length;
            assert_eq!(ChunkList::decode(&list.encode()), None);
        }
    }
}
