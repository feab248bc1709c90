//! Blobs by digest, whatever form the store has them in.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::bytes::{Bytes, FileBytes, FileBytesReader};
use crate::digest::{DiffId, Digest};
use crate::error::{At as _, ReadError};
use crate::id::BodyId;
use crate::layer::canonical::{self, CanonicalEntry, END, padding};
use crate::layer::decompress::{Decompressed, decompress};
use crate::layer::recipe::RecipeStream;
use crate::layer::tar_read::Policy;
use crate::layers::LayerRecord;
use crate::store::Store;
use crate::tree::entry::Tree;

/// A blob to be read from its beginning.
#[derive(Debug)]
pub struct Blob {
    /// Length in bytes.
    pub size: u64,
    /// Its bytes.
    pub reader: BlobReader,
}

/// The bytes of a blob.
#[derive(Debug)]
pub enum BlobReader {
    /// As received from elsewhere.
    Foreign(crate::blob::ForeignBlob),
    /// A manifest, index or config.
    Document(io::Cursor<Bytes>),
    /// A compressed layer, put together while it is read.
    Recipe(RecipeStream),
    /// The tar stream inside a layer's blob from elsewhere.
    Unpacked(Decompressed<'static>),
    /// The canonical tar stream of a layer, made while it is read.
    Tar(TarStream),
}

/// The canonical tar stream of a tree, made while it is read. Memory holds the headers, and one
/// file at a time.
#[derive(Debug)]
pub struct TarStream {
    store: Store,
    pieces: VecDeque<Piece>,
    current: FileBytesReader,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Body(BodyId),
}

/// Opens a blob: a foreign one, a document, a compressed layer made here, or the tar stream of a
/// layer by its [`DiffId`]. `None` where the store has none of them.
///
/// Only foreign blobs are checked against their digest while they are read.
///
/// # Errors
///
/// If a record, a tree or a recipe cannot be read.
pub fn open(store: &Store, digest: &Digest) -> Result<Option<Blob>, ReadError> {
    if let Some(blob) = store.foreign_blob(digest)? {
        return Ok(Some(Blob { size: blob.size(), reader: BlobReader::Foreign(blob) }));
    }
    if let Some(bytes) = store.document(digest)? {
        let reader = BlobReader::Document(io::Cursor::new(bytes.clone()));
        return Ok(Some(Blob { size: bytes.len() as u64, reader }));
    }
    if let Some(recipe) = store.recipe(digest)? {
        let size = recipe.size;
        let reader = BlobReader::Recipe(RecipeStream::new(store, recipe));
        return Ok(Some(Blob { size, reader }));
    }
    match store.layer_of_diff(&DiffId(*digest))? {
        Some(layer) => open_tar(store, &layer),
        None => Ok(None),
    }
}

/// The tar stream of a layer: only a blob from elsewhere has exactly the one inside it.
fn open_tar(store: &Store, layer: &LayerRecord) -> Result<Option<Blob>, ReadError> {
    let Some(size) = layer.tar_size else { return Ok(None) };
    for blob in layer.blobs.iter().filter(|blob| blob.codec.is_empty()) {
        let digest = &blob.descriptor.digest;
        if let Some(blob) = store.foreign_blob(digest)? {
            let plain = decompress(Box::new(blob), Policy::Layer);
            let plain = plain.reading(&digest.blob_path())?;
            return Ok(Some(Blob { size, reader: BlobReader::Unpacked(plain) }));
        }
    }
    let tree = layer.tree.as_ref().map(|id| store.tree(id)).transpose()?.flatten();
    Ok(tree.map(|tree| Blob { size, reader: BlobReader::Tar(TarStream::new(store, &tree)) }))
}

impl TarStream {
    /// The stream of a tree whose bodies are in `store`.
    pub fn new(store: &Store, tree: &Tree) -> Self {
        let mut pieces = VecDeque::new();
        let mut add = |entry: CanonicalEntry| -> Result<(), std::convert::Infallible> {
            pieces.push_back(Piece::Bytes(entry.header));
            if let Some(file) = entry.body {
                pieces.push_back(Piece::Body(file.body));
                pieces.push_back(Piece::Bytes(vec![0; padding(file.size)]));
            }
            Ok(())
        };
        let Ok(()) = canonical::each(tree, None, &mut add);
        pieces.push_back(Piece::Bytes(END.to_vec()));
        Self { store: store.clone(), pieces, current: FileBytes::from(Vec::new()).reader() }
    }

    fn load(&self, piece: Piece) -> io::Result<FileBytes> {
        match piece {
            Piece::Bytes(bytes) => Ok(bytes.into()),
            Piece::Body(id) => {
                let body = self.store.body(&id).map_err(io::Error::other)?;
                body.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, id.to_string()))
            }
        }
    }
}

impl Read for TarStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            let Some(piece) = self.pieces.pop_front() else { return Ok(0) };
            self.current = self.load(piece)?.reader();
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Foreign(blob) => blob.read(bytes),
            Self::Document(bytes_of) => bytes_of.read(bytes),
            Self::Recipe(stream) => stream.read(bytes),
            Self::Unpacked(stream) => stream.read(bytes),
            Self::Tar(stream) => stream.read(bytes),
        }
    }
}
