//! Every name is followed: to its index, manifests, configurations, layers, and their files.

use std::collections::BTreeMap;
use std::io::Read;

use crate::bytes::FileBytes;
use crate::closure::has_blob;
use crate::digest::{DiffId, Digest, Hasher};
use crate::error::ReadError;
use crate::fsck::Depth;
use crate::fsck::damage::{Damage, ImageDamage, ImagePart, ImageProblem};
use crate::layer::blob_view::{self, Blob, BlobReader};
use crate::layer::recipe::Piece;
use crate::layers::LayerRecord;
use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{Document, RawDocument};
use crate::oci::index::{Index, MAX_DEPTH};
use crate::oci::manifest::Manifest;
use crate::oci::platform::Platform;
use crate::store::Store;
use crate::tree::entry::Tree;
use crate::tree::files::files;

/// How much of a blob is read at once.
const PIECE: usize = 256 * 1024;

/// What is not to be had of the images that have names.
pub(super) fn verify(store: &Store, depth: Depth) -> Result<Vec<Damage>, ReadError> {
    let mut walk = Walk::new(store, depth);
    for (name, root) in store.list_refs()? {
        walk.document(&name, &root, 0);
    }
    Ok(walk.found.into_iter().map(Damage::Image).collect())
}

/// As [`verify`] in full, with the descriptors of what is not to be had.
pub(super) fn lost(
    store: &Store,
) -> Result<(Vec<ImageDamage>, BTreeMap<Digest, Descriptor>), ReadError> {
    let mut walk = Walk::new(store, Depth::Full);
    for (name, root) in store.list_refs()? {
        walk.document(&name, &root, 0);
    }
    Ok((walk.found, walk.lost))
}

struct Walk<'a> {
    store: &'a Store,
    depth: Depth,
    /// What points at each part that was told of.
    lost: BTreeMap<Digest, Descriptor>,
    /// What was found of each layer: images share them.
    blobs: BTreeMap<Digest, Option<ImageProblem>>,
    found: Vec<ImageDamage>,
}

/// What came of a document.
enum Found<T> {
    /// It is here.
    Here(T),
    /// It is here, and something else than was expected: an artifact of somebody else's.
    Other,
    /// The store lacks it.
    Absent,
    /// It cannot be read.
    Damaged(ImageProblem),
}

impl<'a> Walk<'a> {
    fn new(store: &'a Store, depth: Depth) -> Self {
        let (blobs, found, lost) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { store, depth, lost, blobs, found }
    }

    /// Follows an index or a manifest. Says whether it is here.
    fn document(&mut self, name: &str, at: &Descriptor, depth: usize) -> bool {
        if at.media_type.is_index() && depth < MAX_DEPTH {
            self.index(name, at, depth)
        } else if at.media_type.is_manifest() {
            self.manifest(name, at, depth)
        } else {
            true
        }
    }

    fn index(&mut self, name: &str, at: &Descriptor, depth: usize) -> bool {
        let part = ImagePart::Index(at.digest);
        let index = match self.read::<Index>(at) {
            Found::Here(index) => index,
            Found::Other => return true,
            Found::Absent if 0 < depth => return false,
            Found::Absent => return self.tell((name, None), (part, at), ImageProblem::Missing),
            Found::Damaged(problem) => return self.tell((name, None), (part, at), problem),
        };
        // Those of other platforms may never have been fetched. One at least was.
        let images: Vec<Descriptor> = index.images().cloned().collect();
        let mut n_here = 0;
        for entry in &images {
            n_here += usize::from(self.document(name, entry, depth + 1));
        }
        if n_here == 0
            && let Some(first) = images.first()
        {
            let part = ImagePart::Manifest(first.digest);
            let whose = (name, first.platform.clone());
            return self.tell(whose, (part, first), ImageProblem::Missing);
        }
        true
    }

    fn manifest(&mut self, name: &str, at: &Descriptor, depth: usize) -> bool {
        let (platform, part) = (at.platform.clone(), ImagePart::Manifest(at.digest));
        let manifest = match self.read::<Manifest>(at) {
            Found::Here(manifest) => manifest,
            Found::Other => return true,
            Found::Absent if 0 < depth => return false,
            Found::Absent => return self.tell((name, platform), (part, at), ImageProblem::Missing),
            Found::Damaged(problem) => return self.tell((name, platform), (part, at), problem),
        };
        let (config, part) = (&manifest.config, ImagePart::Configuration(manifest.config.digest));
        let (platform, diff_ids) = match self.read::<ImageConfig>(config) {
            Found::Here(config) => (Some(config.platform()), config.rootfs.diff_ids),
            Found::Other => (platform, Vec::new()),
            // Of an artifact it may be any blob.
            Found::Absent if self.blob(config, None).is_none() => (platform, Vec::new()),
            Found::Absent => {
                return self.tell((name, platform), (part, config), ImageProblem::Missing);
            }
            Found::Damaged(problem) => return self.tell((name, platform), (part, config), problem),
        };
        let of = manifest.layers.len();
        for (at, layer) in manifest.layers.iter().enumerate() {
            if let Some(problem) = self.blob(layer, diff_ids.get(at)) {
                let part = ImagePart::Layer { number: at + 1, of, digest: layer.digest };
                self.tell((name, platform.clone()), (part, layer), problem);
            }
        }
        true
    }

    /// Notes what is wrong. What was told of counts as here.
    fn tell(
        &mut self,
        (name, platform): (&str, Option<Platform>),
        (part, descriptor): (ImagePart, &Descriptor),
        problem: ImageProblem,
    ) -> bool {
        self.lost.insert(descriptor.digest, descriptor.clone());
        self.found.push(ImageDamage { name: name.to_owned(), platform, part, problem });
        true
    }

    fn read<T: Document>(&self, at: &Descriptor) -> Found<T> {
        match self.store.document(&at.digest) {
            Ok(None) => Found::Absent,
            Err(error) => Found::Damaged(ImageProblem::Unreadable(chain(&error))),
            Ok(Some(bytes)) if Digest::of(&bytes) != at.digest => {
                Found::Damaged(ImageProblem::Changed)
            }
            Ok(Some(bytes)) => match RawDocument::<T>::read(at, bytes.to_vec()) {
                Ok(document) => Found::Here(document.into_parts().1),
                Err(_) => Found::Other,
            },
        }
    }

    /// What is wrong with a layer, or another blob.
    fn blob(&mut self, at: &Descriptor, diff_id: Option<&DiffId>) -> Option<ImageProblem> {
        if let Some(known) = self.blobs.get(&at.digest) {
            return known.clone();
        }
        let problem = self
            .look(at, diff_id)
            .unwrap_or_else(|error| Some(ImageProblem::Unreadable(chain(&error))));
        self.blobs.insert(at.digest, problem.clone());
        problem
    }

    fn look(
        &self,
        at: &Descriptor,
        diff_id: Option<&DiffId>,
    ) -> Result<Option<ImageProblem>, ReadError> {
        let record = record_of(self.store, at, diff_id)?;
        let files = |otherwise| match &record {
            Some(record) => Ok(lacking(self.store, record)?.unwrap_or(otherwise)),
            None => Ok::<_, ReadError>(otherwise),
        };
        let blob = match blob_view::open(self.store, &at.digest) {
            Ok(Some(blob)) => blob,
            Ok(None) if is_elsewhere(at, record.as_ref()) => return Ok(None),
            Ok(None) => return files(ImageProblem::Missing).map(Some),
            Err(error) => return files(ImageProblem::Unreadable(chain(&error))).map(Some),
        };
        if blob.size != at.size {
            return Ok(Some(ImageProblem::Changed));
        }
        match self.depth {
            Depth::Quick => self.is_there(&blob, at, record.as_ref()),
            Depth::Full => match digest_of(blob) {
                Ok(digest) if digest == at.digest => Ok(None),
                Ok(_) => files(ImageProblem::Changed).map(Some),
                Err(error) => files(ImageProblem::Unreadable(error.to_string())).map(Some),
            },
        }
    }

    /// Whether everything a blob is made of is there, its bytes unseen.
    fn is_there(
        &self,
        blob: &Blob,
        at: &Descriptor,
        record: Option<&LayerRecord>,
    ) -> Result<Option<ImageProblem>, ReadError> {
        match &blob.reader {
            BlobReader::Recipe(_) => {
                let pieces = self.store.recipe(&at.digest)?.map(|recipe| recipe.pieces);
                for piece in pieces.unwrap_or_default() {
                    if let Piece::Whole(part) | Piece::Checked(part) = piece
                        && !self.store.contains(part.kind, &part.id)?
                    {
                        return Ok(Some(ImageProblem::Part(part)));
                    }
                }
                Ok(None)
            }
            BlobReader::Tar(_) => match record {
                Some(record) => missing_files(self.store, record),
                None => Ok(None),
            },
            BlobReader::Foreign(_) | BlobReader::Document(_) | BlobReader::Unpacked(_) => Ok(None),
        }
    }
}

fn digest_of(blob: Blob) -> std::io::Result<Digest> {
    let (mut reader, mut hasher, mut piece) = (blob.reader, Hasher::default(), vec![0; PIECE]);
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&piece[..count]),
        }
    }
}

fn record_of(
    store: &Store,
    at: &Descriptor,
    diff_id: Option<&DiffId>,
) -> Result<Option<LayerRecord>, ReadError> {
    if let Some(record) = store.layer_of_blob(&at.digest)? {
        return Ok(Some(record));
    }
    diff_id.map(|diff_id| store.layer_of_diff(diff_id)).transpose().map(Option::flatten)
}

/// Whether somebody else is known to have a blob that the store never needed, or gave up.
fn is_elsewhere(at: &Descriptor, record: Option<&LayerRecord>) -> bool {
    let recorded = |record: &LayerRecord| {
        !record.origins.is_empty()
            && record.blobs.iter().any(|blob| blob.descriptor.digest == at.digest)
    };
    !at.urls.is_empty() || record.is_some_and(recorded)
}

/// What keeps a layer from being made of its tree.
fn lacking(store: &Store, record: &LayerRecord) -> Result<Option<ImageProblem>, ReadError> {
    let Some(id) = &record.tree else { return Ok(None) };
    let tree = match store.tree(id) {
        Ok(Some(tree)) => tree,
        Ok(None) => return Ok(Some(ImageProblem::Tree("it is missing".to_owned()))),
        Err(error) => return Ok(Some(ImageProblem::Tree(chain(&error)))),
    };
    if has_blob(store, record)? {
        return Ok(None);
    }
    Ok(lacking_files(store, &tree))
}

fn lacking_files(store: &Store, tree: &Tree) -> Option<ImageProblem> {
    let mut first = None;
    let mut n_files = 0;
    for (path, _, file) in files(&tree.children).filter(|(_, _, file)| 0 < file.size) {
        let all = |bytes: FileBytes| bytes.each::<ReadError>(&mut |_| Ok(()));
        let problem = match store.body(&file.body).and_then(|body| body.map(all).transpose()) {
            Ok(Some(())) => continue,
            Ok(None) => "they are missing".to_owned(),
            Err(error) => chain(&error),
        };
        n_files += 1;
        first.get_or_insert((path, problem));
    }
    first.map(|(path, problem)| ImageProblem::Files { path, n_files, problem })
}

fn missing_files(store: &Store, record: &LayerRecord) -> Result<Option<ImageProblem>, ReadError> {
    let tree = record.tree.map(|id| store.tree(&id)).transpose()?.flatten();
    let Some(tree) = tree else { return Ok(None) };
    let missing = crate::closure::without_bodies(store, &tree)?;
    let n_files = missing.len();
    let problem = "they are missing".to_owned();
    Ok(missing.into_iter().next().map(|path| ImageProblem::Files { path, n_files, problem }))
}

/// An error and what is behind it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
