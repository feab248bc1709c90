//! Marking: what the roots reach.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::action::ActionRecord;
use crate::closure;
use crate::digest::Digest;
use crate::error::{ReadCause, ReadError};
use crate::gc::evict::Evicted;
use crate::gc::marks::Marks;
use crate::gc::{GcError, Pace};
use crate::id::{BodyId, LayerId};
use crate::index::{AT_ONCE, Searcher};
use crate::journal::unread::Unread;
use crate::layers::LayerRecord;
use crate::live_record::LiveName;
use crate::object::{Kind, ObjectName};
use crate::pack::PackName;
use crate::pack::reader::Pack;
use crate::store::Store;

/// Everything that is in use.
#[derive(Debug, Default)]
pub struct Mark {
    /// Objects in packs.
    pub objects: Marks,
    /// Digests of documents, blobs and layers.
    pub digests: BTreeSet<Digest>,
    /// Layers whose records stay.
    pub layers: BTreeSet<LayerId>,
    /// Directories of unpacked layers.
    pub lives: BTreeSet<LiveName>,
}

/// Marking in progress.
pub(crate) struct Walk<'a> {
    store: &'a Store,
    packs: Searcher<'a>,
    pace: &'a Pace<'a>,
    evicted: Evicted,
    records: BTreeMap<LayerId, LayerRecord>,
    pending: Vec<ObjectName>,
    pub(crate) mark: Mark,
    scales: Option<Scales>,
    /// What was marked so far takes, once it is [weighed](Self::weigh).
    pub(crate) weight: Weight,
}

/// Bytes of objects in packs, about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight([u64; Kind::ALL.len()]);

/// What a byte of each pack's objects takes on disk.
#[derive(Debug)]
struct Scales(BTreeMap<PackName, (u64, u64)>);

impl Mark {
    /// Marks from all refs, and from the results of steps that are not `evicted`. What live leases
    /// have found need not be marked: their commits see what has become of it.
    pub(crate) fn of(store: &Store, evicted: &Evicted, pace: &Pace<'_>) -> Result<Self, GcError> {
        let mut walk = Walk { evicted: evicted.clone(), ..Walk::new(store, pace)? };
        walk.refs()?;
        walk.actions()?;
        walk.follow()?;
        Ok(walk.mark)
    }
}

impl<'a> Walk<'a> {
    /// Nothing is marked yet.
    pub(crate) fn new(store: &'a Store, pace: &'a Pace<'a>) -> Result<Self, ReadError> {
        Ok(Self {
            store,
            packs: store.packs().searcher()?,
            pace,
            evicted: Evicted::default(),
            records: store.layers()?.into_iter().map(|record| (record.id, record)).collect(),
            pending: Vec::new(),
            mark: Mark::default(),
            scales: None,
            weight: Weight::default(),
        })
    }

    /// Keeps account of what is marked from here on.
    pub(crate) fn weigh(&mut self) -> Result<(), GcError> {
        let packs = self.store.packs().all()?;
        let scale = |pack: &Arc<Pack>| {
            self.pace.check()?;
            let raw = pack.entries().map(|entry| entry.raw_len).sum();
            Ok((pack.name(), (pack.size(), raw)))
        };
        let scales: Result<_, GcError> = packs.iter().map(scale).collect();
        self.scales = Some(Scales(scales?));
        Ok(())
    }

    /// Marks what names of images stand for.
    pub(crate) fn refs(&mut self) -> Result<(), GcError> {
        // What a newer version recorded may need anything.
        if self.store.unread_records().iter().any(|record| record.why == Unread::Newer) {
            return Err(ReadError::new("journal", ReadCause::Newer("a record")).into());
        }
        for (_, descriptor) in self.store.list_refs()? {
            self.digest(&descriptor.digest)?;
        }
        let digests = self.store.unread_ref_digests();
        digests.iter().try_for_each(|digest| self.digest(digest))
    }

    /// Marks what results of steps made, but for those that are evicted.
    pub(crate) fn actions(&mut self) -> Result<(), GcError> {
        let mut actions = self.store.actions()?;
        actions.retain(|action| !self.evicted.actions.contains(&action.key));
        for action in actions {
            self.listings(&action)?;
            action.layer.map_or(Ok(()), |layer| self.layer(layer))?;
        }
        Ok(())
    }

    /// Marks what explains the result of a step.
    pub(crate) fn listings(&mut self, action: &ActionRecord) -> Result<(), ReadError> {
        action.listings().try_for_each(|id| self.object(Kind::Body, *id.as_bytes()))
    }

    /// Marks what a digest stands for.
    pub(crate) fn digest(&mut self, digest: &Digest) -> Result<(), GcError> {
        if !self.mark.digests.insert(*digest) {
            return Ok(());
        }
        self.pace.check()?;
        self.object(Kind::Recipe, *digest.as_bytes())?;
        let found = [
            self.store.layer_of_diff(&crate::digest::DiffId(*digest))?,
            self.store.layer_of_blob(digest)?,
        ];
        for record in found.into_iter().flatten() {
            self.layer(record.id)?;
        }
        if let Some(document) = self.store.document(digest)? {
            self.object(Kind::Document, *digest.as_bytes())?;
            for child in closure::digests(&document) {
                self.digest(&child)?;
            }
        }
        Ok(())
    }

    /// Marks a layer.
    pub(crate) fn layer(&mut self, id: LayerId) -> Result<(), GcError> {
        if !self.mark.layers.insert(id) {
            return Ok(());
        }
        let Some(record) = self.records.get(&id).cloned() else { return Ok(()) };
        if let Some(tree) = record.tree {
            self.object(Kind::Tree, *tree.as_bytes())?;
        }
        self.mark.lives.extend(record.live);
        // Forms that were made here have a codec.
        let stays = !self.evicted.forms.contains(&id);
        for blob in record.blobs.iter().filter(|blob| stays || blob.codec.is_empty()) {
            self.digest(&blob.descriptor.digest)?;
        }
        Ok(())
    }

    fn object(&mut self, kind: Kind, id: [u8; 32]) -> Result<(), ReadError> {
        let name = ObjectName { id, kind };
        if !self.mark.objects.insert(&mut self.packs, &name)? {
            return Ok(());
        }
        if let Some(scales) = &self.scales {
            self.weight.add(kind, scales.weigh(self.store, &name)?);
        }
        if matches!(kind, Kind::Tree | Kind::Recipe | Kind::ChunkList) {
            self.pending.push(name);
        }
        Ok(())
    }

    /// Follows every list of a body, since any of them may be the one that is kept.
    fn chunks(&mut self, body: &BodyId) -> Result<(), ReadError> {
        for list in self.store.chunk_lists(body)? {
            for chunk in list.chunks() {
                self.object(Kind::Body, *chunk.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Follows trees, recipes and lists of chunks to what they name.
    pub(crate) fn follow(&mut self) -> Result<(), GcError> {
        let mut names = Vec::with_capacity(AT_ONCE);
        while let Some(name) = self.pending.pop() {
            self.pace.check()?;
            if name.kind == Kind::ChunkList {
                self.chunks(&BodyId::from_bytes(name.id))?;
                continue;
            }
            let Some(bytes) = self.store.get(name.kind, &name.id)? else { continue };
            closure::references::<GcError>(name.kind, &bytes, &mut |kind, id| {
                names.push(ObjectName { id, kind });
                if names.len() == AT_ONCE { self.objects(&mut names) } else { Ok(()) }
            })?;
            self.objects(&mut names)?;
        }
        Ok(())
    }

    /// Marks some of what a tree or recipe names, which may be a million objects.
    fn objects(&mut self, names: &mut Vec<ObjectName>) -> Result<(), GcError> {
        self.pace.check()?;
        self.packs.prefetch(names)?;
        for ObjectName { id, kind } in names.drain(..) {
            self.object(kind, id)?;
        }
        Ok(())
    }
}

impl Weight {
    fn add(&mut self, kind: Kind, bytes: u64) {
        if let Some(at) = Kind::ALL.into_iter().position(|each| each == kind) {
            self.0[at] += bytes;
        }
    }

    /// What a kind takes.
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        let kinds = Kind::ALL.into_iter().zip(self.0);
        kinds.filter(|(each, _)| *each == kind).map(|(_, bytes)| bytes).sum()
    }

    /// Files, trees and documents.
    pub(crate) fn made(&self) -> u64 {
        self.0.iter().sum::<u64>() - self.forms()
    }

    /// Compressed forms, which can be made out of these.
    pub(crate) fn forms(&self) -> u64 {
        [Kind::Recipe, Kind::Run, Kind::Fragment].into_iter().map(|kind| self.of(kind)).sum()
    }
}

impl Scales {
    /// An object's part of its pack, by its length.
    fn weigh(&self, store: &Store, name: &ObjectName) -> Result<u64, ReadError> {
        let Some((pack, entry)) = store.packs().find(name)? else { return Ok(0) };
        let (size, raw) = self.0.get(&pack.name()).copied().unwrap_or_default();
        let part = u128::from(entry.raw_len) * u128::from(size) / u128::from(raw.max(1));
        Ok(u64::try_from(part).unwrap_or(size))
    }
}
