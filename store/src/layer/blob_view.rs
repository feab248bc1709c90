//! Blobs by digest, whatever form the store has them in.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::bytes::Bytes;
use crate::digest::{DiffId, Digest};
use crate::error::ReadError;
use crate::id::BodyId;
use crate::layer::canonical::{self, CanonicalEntry, END, padding};
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
    /// The canonical tar stream of a layer, made while it is read.
    Tar(TarStream),
}

/// The canonical tar stream of a tree, made while it is read. Memory holds the headers, and one
/// file at a time.
#[derive(Debug)]
pub struct TarStream {
    store: Store,
    pieces: VecDeque<Piece>,
    current: io::Cursor<Bytes>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Body(BodyId),
}

/// Opens a blob: a foreign one, a document, or the tar stream of a layer by its DiffID. `None`
/// where the store has none of them.
pub fn open(store: &Store, digest: &Digest) -> Result<Option<Blob>, ReadError> {
    if let Some(blob) = store.foreign_blob(digest)? {
        return Ok(Some(Blob { size: blob.size(), reader: BlobReader::Foreign(blob) }));
    }
    if let Some(bytes) = store.document(digest)? {
        let reader = BlobReader::Document(io::Cursor::new(bytes.clone()));
        return Ok(Some(Blob { size: bytes.len() as u64, reader }));
    }
    let Some(layer) = store.layer_of_diff(&DiffId(*digest))? else { return Ok(None) };
    let (Some(id), Some(size)) = (layer.tree, layer.tar_size) else { return Ok(None) };
    let Some(tree) = store.tree(&id)? else { return Ok(None) };
    Ok(Some(Blob { size, reader: BlobReader::Tar(TarStream::new(store, &tree)) }))
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
        Self { store: store.clone(), pieces, current: io::Cursor::new(Vec::new().into()) }
    }

    fn load(&self, piece: Piece) -> io::Result<Bytes> {
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
            self.current = io::Cursor::new(self.load(piece)?);
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Foreign(blob) => blob.read(bytes),
            Self::Document(bytes_of) => bytes_of.read(bytes),
            Self::Tar(stream) => stream.read(bytes),
        }
    }
}
