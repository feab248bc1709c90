//! Marking: what the roots reach.

use std::collections::{BTreeMap, BTreeSet};

use crate::closure;
use crate::digest::Digest;
use crate::error::{ReadCause, ReadError};
use crate::gc::Policy;
use crate::gc::marks::Marks;
use crate::id::{BodyId, LayerId};
use crate::journal::unread::Unread;
use crate::layers::LayerRecord;
use crate::live_record::LiveName;
use crate::object::{Kind, ObjectName};
use crate::store::Store;

/// Everything that is in use.
#[derive(Debug)]
pub struct Mark {
    /// Objects in packs.
    pub objects: Marks,
    /// Digests of documents, blobs and layers.
    pub digests: BTreeSet<Digest>,
    /// Layers whose records stay.
    pub layers: BTreeSet<LayerId>,
    /// Directories of unpacked layers.
    pub lives: BTreeSet<LiveName>,
    /// What to do with results of steps.
    pub policy: Policy,
}

struct Walk<'store> {
    store: &'store Store,
    records: BTreeMap<LayerId, LayerRecord>,
    pending: Vec<ObjectName>,
    mark: Mark,
}

impl Mark {
    /// Marks from all refs, from the results of steps where `policy` keeps them, and from every
    /// layer unless `alone`: a live process may be about to use one.
    pub(crate) fn of(store: &Store, policy: Policy, alone: Alone) -> Result<Self, ReadError> {
        let records = store.layers()?.into_iter().map(|record| (record.id, record)).collect();
        let mark = Self {
            objects: Marks::default(),
            digests: BTreeSet::new(),
            layers: BTreeSet::new(),
            lives: BTreeSet::new(),
            policy,
        };
        let mut walk = Walk { store, records, pending: Vec::new(), mark };
        walk.roots(alone)?;
        walk.objects()?;
        Ok(walk.mark)
    }
}

/// Whether any other lease is live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Alone {
    /// None is.
    Yes,
    /// One is, at least.
    No,
}

impl Walk<'_> {
    fn roots(&mut self, alone: Alone) -> Result<(), ReadError> {
        // What a newer version recorded may need anything.
        if self.store.unread_records().iter().any(|record| record.why == Unread::Newer) {
            return Err(ReadError::new("journal", ReadCause::Newer("a record")));
        }
        for (_, descriptor) in self.store.list_refs()? {
            self.digest(&descriptor.digest)?;
        }
        for digest in self.store.unread_ref_digests() {
            self.digest(&digest)?;
        }
        if self.mark.policy == Policy::KeepActions {
            for action in self.store.actions()? {
                if let Some(layer) = action.layer {
                    self.layer(layer)?;
                }
            }
        }
        if alone == Alone::No {
            let all: Vec<LayerId> = self.records.keys().copied().collect();
            for layer in all {
                self.layer(layer)?;
            }
        }
        Ok(())
    }

    fn digest(&mut self, digest: &Digest) -> Result<(), ReadError> {
        if !self.mark.digests.insert(*digest) {
            return Ok(());
        }
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

    fn layer(&mut self, id: LayerId) -> Result<(), ReadError> {
        if !self.mark.layers.insert(id) {
            return Ok(());
        }
        let Some(record) = self.records.get(&id).cloned() else { return Ok(()) };
        if let Some(tree) = record.tree {
            self.object(Kind::Tree, *tree.as_bytes())?;
        }
        self.mark.lives.extend(record.live);
        for blob in &record.blobs {
            self.digest(&blob.descriptor.digest)?;
        }
        Ok(())
    }

    fn object(&mut self, kind: Kind, id: [u8; 32]) -> Result<(), ReadError> {
        let name = ObjectName { id, kind };
        if self.mark.objects.insert(self.store.packs(), &name)?
            && matches!(kind, Kind::Tree | Kind::Recipe | Kind::ChunkList)
        {
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
    fn objects(&mut self) -> Result<(), ReadError> {
        while let Some(name) = self.pending.pop() {
            if name.kind == Kind::ChunkList {
                self.chunks(&BodyId::from_bytes(name.id))?;
                continue;
            }
            let Some(bytes) = self.store.get(name.kind, &name.id)? else { continue };
            closure::references(name.kind, &bytes, &mut |kind, id| self.object(kind, id))?;
        }
        Ok(())
    }
}
