//! Blobs that are written down, not stored: what to put together, in which order.
//!
//! A recipe is named by the digest of the blob it makes. The 32-byte ids of the parts are in it
//! verbatim, which is how garbage collection finds them.

use std::io::{self, Read};

use crate::bytes::Bytes;
use crate::digest::{DiffId, Digest};
use crate::error::{ReadError, WriteError, malformed};
use crate::lease::Lease;
use crate::object::{Encoding, Kind, ObjectName};
use crate::oci::media_type::MediaType;
use crate::store::Store;
use crate::wire::{Decoder, Encoder};

const VERSION: u8 = 1;
const LITERAL: u8 = 0;

/// How a compressed layer is put together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Recipe {
    /// What it uncompresses to.
    pub(crate) diff_id: DiffId,
    /// What a descriptor calls it.
    pub(crate) media_type: MediaType,
    /// The id of the codec that made the parts.
    pub(crate) codec: String,
    /// Length in bytes.
    pub(crate) size: u64,
    /// What it consists of.
    pub(crate) pieces: Vec<Piece>,
}

/// A piece of a blob.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// These bytes.
    Literal(Vec<u8>),
    /// A whole object.
    Part(ObjectName),
}

impl Recipe {
    fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new(VERSION);
        out.raw(self.diff_id.0.as_bytes())
            .bytes(self.media_type.as_str().as_bytes())
            .bytes(self.codec.as_bytes())
            .number(self.size)
            .number(self.pieces.len() as u64);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.byte(LITERAL).bytes(bytes),
                Piece::Part(name) => out.byte(name.kind.code()).raw(&name.id),
            };
        }
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes, VERSION)?;
        let diff_id = DiffId(Digest::from_bytes(from.array()?));
        let (media_type, codec) = (MediaType::new(from.text()?), from.text()?);
        let size = from.number()?;
        let pieces = from.list(|from| match from.byte()? {
            LITERAL => Some(Piece::Literal(from.bytes()?.to_vec())),
            code => Some(Piece::Part(ObjectName::new(Kind::from_code(code)?, &from.array()?))),
        })?;
        from.end(Self { diff_id, media_type, codec, size, pieces })
    }
}

/// The objects that the blob of an encoded recipe is put together of; `None` where the bytes are no
/// recipe of this version.
pub(crate) fn parts(recipe: &[u8]) -> Option<Vec<ObjectName>> {
    let part = |piece| match piece {
        Piece::Part(name) => Some(name),
        Piece::Literal(_) => None,
    };
    Some(Recipe::decode(recipe)?.pieces.into_iter().filter_map(part).collect())
}

impl Lease {
    /// Stores how the blob of this digest is made.
    pub(crate) fn put_recipe(&self, blob: &Digest, recipe: &Recipe) -> Result<(), WriteError> {
        self.put(Kind::Recipe, blob.as_bytes(), Encoding::Raw, &recipe.encode())
    }
}

impl Store {
    /// How the blob of this digest is made; `None` where nobody made it here.
    pub(crate) fn recipe(&self, blob: &Digest) -> Result<Option<Recipe>, ReadError> {
        let Some(bytes) = self.get(Kind::Recipe, blob.as_bytes())? else { return Ok(None) };
        Recipe::decode(&bytes).map(Some).ok_or_else(|| malformed("a recipe"))
    }
}

/// A blob that is put together while it is read.
#[derive(Debug)]
pub struct RecipeStream {
    store: Store,
    pieces: std::vec::IntoIter<Piece>,
    current: io::Cursor<Bytes>,
}

impl RecipeStream {
    pub(crate) fn new(store: &Store, recipe: Recipe) -> Self {
        let current = io::Cursor::new(Vec::new().into());
        Self { store: store.clone(), pieces: recipe.pieces.into_iter(), current }
    }

    fn load(&self, piece: Piece) -> io::Result<Bytes> {
        match piece {
            Piece::Literal(bytes) => Ok(bytes.into()),
            Piece::Part(name) => {
                let found = self.store.get(name.kind, &name.id).map_err(io::Error::other)?;
                let lost = "a part of the blob is not in the store";
                found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, lost))
            }
        }
    }
}

impl Read for RecipeStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            let Some(piece) = self.pieces.next() else { return Ok(0) };
            self.current = io::Cursor::new(self.load(piece)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_reads_back_and_holds_ids_verbatim() {
        let id = *Digest::of(b"part").as_bytes();
        let pieces = vec![Piece::Literal(vec![1, 2]), Piece::Part(ObjectName::new(Kind::Run, &id))];
        let diff_id = DiffId(Digest::of(b"tar"));
        let (media_type, codec) = (MediaType::LAYER_ZSTD, "zstd".to_owned());
        let recipe = Recipe { diff_id, media_type, codec, size: 7, pieces };
        let bytes = recipe.encode();
        assert!(bytes.array_windows().any(|window| *window == id));
        assert_eq!(Recipe::decode(&bytes), Some(recipe));
        for end in 0..bytes.len() {
            assert_eq!(Recipe::decode(&bytes[..end]), None, "{end}");
        }
    }
}
