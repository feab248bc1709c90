//! Blobs that are written down, not stored: what to put together, in which order.
//!
//! A recipe is named by the digest of the blob it makes. The 32-byte ids of the parts are in it
//! verbatim, which is how garbage collection finds them.

use std::io::{self, Read, Write};
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::bytes::Bytes;
use crate::digest::{DiffId, Digest};
use crate::error::{ReadError, WriteError, malformed};
use crate::lease::Lease;
use crate::object::{Encoding, Kind, ObjectName};
use crate::oci::descriptor::Descriptor;
use crate::oci::media_type::MediaType;
use crate::store::Store;
use crate::wire::{Decoder, Encoder};

const VERSION: u8 = 1;
/// Pieces are handed from who reads to who writes when there is this much of them: enough that it
/// costs nothing beside reading them.
const BATCH: usize = 1 << 20;
/// How many batches wait at most. The longest piece has 8 MiB.
const WAITING: usize = 2;
const LITERAL: u8 = 0;
/// Added to the kind of an object that ends with a [`Checksum`].
const CHECKED: u8 = 0x80;

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
    Whole(ObjectName),
    /// An object without the [`Checksum`] that it ends with.
    Checked(ObjectName),
}

/// What a compressed part uncompresses to. It lies behind the part, so that whoever puts a blob
/// together need not uncompress what is only copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Checksum {
    /// The CRC-32 of the plain bytes.
    pub(crate) crc: u32,
    /// How many they are.
    pub(crate) size: u64,
}

impl Checksum {
    /// How many bytes it takes.
    pub(crate) const SIZE: usize = 12;

    /// That of these bytes.
    pub(crate) fn of(plain: &[u8]) -> Self {
        Self { crc: crc32fast::hash(plain), size: plain.len() as u64 }
    }

    /// What is added to the compressed part.
    pub(crate) fn bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let (crc, size) = bytes.split_at_mut(size_of::<u32>());
        crc.copy_from_slice(&self.crc.to_le_bytes());
        size.copy_from_slice(&self.size.to_le_bytes());
        bytes
    }

    /// The one that an object ends with.
    pub(crate) fn read(object: &[u8]) -> Option<Self> {
        let (_, tail) = object.split_last_chunk::<{ Self::SIZE }>()?;
        let (crc, size) = tail.split_first_chunk::<4>()?;
        let size = u64::from_le_bytes(size.try_into().ok()?);
        Some(Self { crc: u32::from_le_bytes(*crc), size })
    }
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
                Piece::Whole(name) => out.byte(name.kind.code()).raw(&name.id),
                Piece::Checked(name) => out.byte(name.kind.code() | CHECKED).raw(&name.id),
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
            code if code & CHECKED == 0 => Some(Piece::Whole(object(code, from)?)),
            code => Some(Piece::Checked(object(code & !CHECKED, from)?)),
        })?;
        from.end(Self { diff_id, media_type, codec, size, pieces })
    }
}

fn object(code: u8, from: &mut Decoder<'_>) -> Option<ObjectName> {
    Some(ObjectName::new(Kind::from_code(code)?, &from.array()?))
}

/// The objects that the blob of an encoded recipe is put together of; `None` where the bytes are no
/// recipe of this version.
pub(crate) fn parts(recipe: &[u8]) -> Option<Vec<ObjectName>> {
    let part = |piece| match piece {
        Piece::Whole(name) | Piece::Checked(name) => Some(name),
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
    current: io::Take<io::Cursor<Bytes>>,
}

impl RecipeStream {
    pub(crate) fn new(store: &Store, recipe: Recipe) -> Self {
        let current = io::Cursor::new(Bytes::default()).take(0);
        Self { store: store.clone(), pieces: recipe.pieces.into_iter(), current }
    }

    /// Writes the blob of a descriptor, each piece as it lies in the store, while another thread reads
    /// the next ones.
    pub(crate) fn copy(self, descriptor: &Descriptor, to: &mut dyn Write) -> io::Result<()> {
        let (sender, batches) = sync_channel(WAITING);
        let left = std::thread::scope(|scope| {
            // Owned by this closure, so that who reads ahead stops once writing has failed.
            let batches = batches;
            scope.spawn(move || self.read_ahead(&sender));
            batches.into_iter().try_fold(descriptor.size, |left, batch: io::Result<Batch>| {
                batch?.iter().try_fold(left, |left, piece| {
                    let left = left.checked_sub(piece.length as u64);
                    to.write_all(piece.bytes())?;
                    left.ok_or_else(|| other_length(descriptor))
                })
            })
        })?;
        if left == 0 { Ok(()) } else { Err(other_length(descriptor)) }
    }

    fn read_ahead(&self, batches: &SyncSender<io::Result<Batch>>) {
        let (mut batch, mut length) = (Vec::new(), 0);
        for piece in self.pieces.as_slice() {
            match self.load(piece) {
                Ok(piece) => {
                    length += piece.length;
                    batch.push(piece);
                }
                Err(error) => {
                    // Whoever does not listen any more has an error of their own.
                    let _ = batches.send(Err(error));
                    return;
                }
            }
            if BATCH <= length {
                length = 0;
                if batches.send(Ok(std::mem::take(&mut batch))).is_err() {
                    return;
                }
            }
        }
        let _ = batches.send(Ok(batch));
    }

    fn load(&self, piece: &Piece) -> io::Result<LoadedPiece> {
        let (bytes, left_out) = match piece {
            Piece::Literal(bytes) => (bytes.clone().into(), 0),
            Piece::Whole(name) => (self.object(name)?, 0),
            Piece::Checked(name) => (self.object(name)?, Checksum::SIZE),
        };
        let length = bytes.len().saturating_sub(left_out);
        Ok(LoadedPiece { bytes, length })
    }

    fn object(&self, name: &ObjectName) -> io::Result<Bytes> {
        let found = self.store.get(name.kind, &name.id).map_err(io::Error::other)?;
        let lost = "a part of the blob is not in the store";
        found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, lost))
    }
}

/// Pieces that are handed over together.
type Batch = Vec<LoadedPiece>;

/// A piece in memory.
struct LoadedPiece {
    bytes: Bytes,
    /// How many of them are the blob's.
    length: usize,
}

impl LoadedPiece {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn other_length(descriptor: &Descriptor) -> io::Error {
    let text = format!("the parts of {} are not of its length", descriptor.digest);
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Read for RecipeStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            let Some(piece) = self.pieces.next() else { return Ok(0) };
            let LoadedPiece { bytes, length } = self.load(&piece)?;
            self.current = io::Cursor::new(bytes).take(length as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_reads_back_and_holds_ids_verbatim() {
        let id = *Digest::of(b"part").as_bytes();
        let name = ObjectName::new(Kind::Run, &id);
        let pieces = vec![Piece::Literal(vec![1, 2]), Piece::Whole(name), Piece::Checked(name)];
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

    #[test]
    fn a_checksum_is_what_an_object_ends_with() {
        let object = [&b"compressed"[..], &Checksum::of(b"plain").bytes()].concat();
        assert_eq!(object.len(), 10 + Checksum::SIZE);
        assert_eq!(Checksum::read(&object), Some(Checksum::of(b"plain")));
        assert_eq!(Checksum::read(b"short"), None);
    }
}
