//! Packs as they lie in a repository: read once each, put once each, merged when they are many.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wythe_store::cache_backend::CacheError;
use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource as _, SourceErrorClass};
use wythe_store::side_by_side::side_by_side;

use super::PARALLEL;
use super::place::Place;
use super::pointer::{PackEntry, PackRecords, Pointer};
use crate::bundles::Sealed;
use crate::pack::{MAX_PACK, MAX_RECORDS, PACK_TYPE, Pack};

/// How many packs a tag names: each that is not small is a request to those who read.
pub(super) const MAX_PACKS: usize = 4;
/// Packs with so many records are left as they are.
const FULL: usize = MAX_RECORDS / 2;

/// What was read of packs and what was written; `None` for what is gone or is not what its digest says.
#[derive(Debug, Default)]
pub(super) struct Packs(Mutex<BTreeMap<Digest, Option<Arc<Pack>>>>);

/// A pack, and the document that it becomes.
struct WrittenPack {
    pack: Arc<Pack>,
    bytes: Vec<u8>,
    document: Descriptor,
}

impl WrittenPack {
    fn of(pack: Pack) -> Self {
        let bytes = pack.to_bytes();
        let document = Descriptor::of(MediaType::new(PACK_TYPE), &bytes);
        Self { pack: Arc::new(pack), bytes, document }
    }
}

impl Packs {
    /// All records of a pointer.
    pub(super) fn all(&self, place: &Place, pointer: &Pointer) -> Result<Pack, CacheError> {
        let mut all = Pack::default();
        // Of what several have, the youngest pack's counts.
        for pack in self.read(place, &pointer.packs)?.into_iter().rev().flatten() {
            all.merge(Pack::clone(&pack));
        }
        Ok(all)
    }

    fn read(
        &self,
        place: &Place,
        entries: &[PackEntry],
    ) -> Result<Vec<Option<Arc<Pack>>>, CacheError> {
        let read = |entry: &PackEntry| {
            let document = &entry.records.document;
            if let Some(known) = self.known().get(&document.digest) {
                return Ok(known.clone());
            }
            let carried = entry.records.unpacked().and_then(|bytes| Pack::of_bytes(&bytes));
            let pack = match carried {
                Some(pack) => Some(pack),
                None => place.document(document)?,
            };
            let pack = pack.map(Arc::new);
            self.known().insert(document.digest, pack.clone());
            Ok(pack)
        };
        side_by_side(entries, PARALLEL, read).into_iter().collect()
    }

    /// Puts packs, which nothing names yet, and a bundle that they name.
    pub(super) fn put(
        &self,
        place: &Place,
        packs: Vec<Pack>,
        bundle: Option<&Sealed>,
    ) -> Result<Vec<PackEntry>, CacheError> {
        let packs: Vec<WrittenPack> = packs.into_iter().map(WrittenPack::of).collect();
        let bundle = bundle.map(|(bundle, bytes)| (bundle.blob(), &bytes[..]));
        let documents = packs.iter().map(|pack| (&pack.document, &pack.bytes[..]));
        let blobs: Vec<(&Descriptor, &[u8])> = bundle.into_iter().chain(documents).collect();
        let put = |(blob, bytes): &(&Descriptor, &[u8])| place.put_bytes(blob, bytes);
        side_by_side(&blobs, PARALLEL, put).into_iter().collect::<Result<(), _>>()?;
        // A registry takes a manifest once it has what that names.
        let put = |pack: &WrittenPack| self.name(place, pack);
        side_by_side(&packs, PARALLEL, put).into_iter().collect()
    }

    fn name(&self, place: &Place, written: &WrittenPack) -> Result<PackEntry, CacheError> {
        let WrittenPack { pack, bytes, document } = written;
        let manifest = pack.manifest(bytes);
        let (digest, size) = (Digest::of(&manifest), manifest.len() as u64);
        place.put_manifest(&place.by_digest(digest), &MediaType::MANIFEST, &manifest)?;
        let records = PackRecords::of(document.clone(), bytes, pack.len());
        self.known().insert(document.digest, Some(Arc::clone(pack)));
        Ok(PackEntry { digest, size, records })
    }

    /// Makes few packs of many: small ones become one, and where there are still too many, the oldest goes.
    pub(super) fn compact(&self, place: &Place, pointer: &mut Pointer) -> Result<(), CacheError> {
        if pointer.packs.len() <= MAX_PACKS {
            return Ok(());
        }
        let is_small = |entry: &PackEntry| entry.records.count.is_some_and(|count| count < FULL);
        let (small, mut packs): (Vec<_>, Vec<_>) =
            std::mem::take(&mut pointer.packs).into_iter().partition(is_small);
        if let [_, _, ..] = small.as_slice() {
            let merged = self.all(place, &Pointer { packs: small })?;
            packs.extend(self.put(place, merged.split(), None)?);
        } else {
            packs.extend(small);
        }
        packs.drain(..packs.len().saturating_sub(MAX_PACKS));
        pointer.packs = packs;
        Ok(())
    }

    /// Leaves packs out that the registry has no more: it takes no index that names them.
    pub(super) fn drop_lost(place: &Place, pointer: &mut Pointer) -> Result<(), CacheError> {
        let is_there =
            |entry: &PackEntry| match place.client.manifest(&place.by_digest(entry.digest)) {
                Ok(_) => Ok(true),
                Err(error) if error.class() == SourceErrorClass::NotFound => Ok(false),
                Err(error) => Err(place.unread(&error)),
            };
        let there = side_by_side(&pointer.packs, PARALLEL, is_there);
        let there: Vec<bool> = there.into_iter().collect::<Result<_, _>>()?;
        let mut there = there.into_iter();
        pointer.packs.retain(|_| there.next().unwrap_or_default());
        Ok(())
    }

    /// A panic while it is held leaves it as it was.
    fn known(&self) -> MutexGuard<'_, BTreeMap<Digest, Option<Arc<Pack>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A document of records; `None` where it is gone, or is not what it was.
    fn document(&self, document: &Descriptor) -> Result<Option<Pack>, CacheError> {
        let mut bytes = Vec::new();
        match self.client.blob(&self.reference, document) {
            Ok(blob) => {
                let read = blob.take(MAX_PACK).read_to_end(&mut bytes);
                read.map_err(|error| self.fail(error))?;
            }
            Err(error) if error.class() == SourceErrorClass::NotFound => return Ok(None),
            Err(error) => return Err(self.unread(&error)),
        }
        let is_whole = Digest::of(&bytes) == document.digest;
        Ok(Pack::of_bytes(&bytes).filter(|_| is_whole))
    }

    /// The repository, by a digest alone.
    fn by_digest(&self, digest: Digest) -> Reference {
        let name = format!("{}@{digest}", self.reference.name());
        name.parse().unwrap_or_else(|_| self.reference.clone().with_digest(digest))
    }
}
