//! What there is to evict, how old it is and what it takes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::action::ActionRecord;
use crate::error::ReadError;
use crate::gc::evict::{Candidate, What};
use crate::gc::mark::Walk;
use crate::gc::{GcError, Pace};
use crate::id::LayerId;
use crate::last_use::{Used, Uses};
use crate::layers::LayerRecord;
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::usage::measure::Measure;

/// What a collection keeps, and what of it may go.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// The bytes of everything that is not garbage.
    pub(super) kept: u64,
    /// In no order.
    pub(super) candidates: Vec<Candidate>,
}

/// An inventory being taken.
struct Counting<'a> {
    store: &'a Store,
    uses: Uses,
    measure: Measure<'a>,
    inventory: Inventory,
    /// The candidate that is charged with a layer.
    charged: BTreeMap<LayerId, usize>,
}

impl Inventory {
    pub(super) fn take(store: &Store, pace: &Pace<'_>) -> Result<Self, GcError> {
        let mut walk = Walk::new(store, pace)?;
        walk.weigh()?;
        walk.refs()?;
        walk.follow()?;
        let pinned = walk.mark.layers.clone();
        let mut counting = Counting {
            store,
            uses: store.uses(),
            measure: Measure::new(store, pace.patience),
            inventory: Self::default(),
            charged: BTreeMap::new(),
        };
        counting.actions(&mut walk, &pinned)?;
        counting.layers(&walk.mark.layers, &pinned)?;
        counting.mounts()?;
        let objects = walk.weight.made() + walk.weight.forms();
        counting.inventory.kept += objects + counting.measure.fixed()?;
        Ok(counting.inventory)
    }
}

impl Counting<'_> {
    /// Marks what results of steps hold, those used last first, so that each is charged with what no
    /// younger one holds. To evict the oldest ones frees just that. Results that an image with a
    /// name needs cost nothing, and stay.
    fn actions(&mut self, walk: &mut Walk<'_>, pinned: &BTreeSet<LayerId>) -> Result<(), GcError> {
        let last =
            |action: &ActionRecord| self.last(&Used::Action(&action.key)).max(action.created);
        let actions = self.store.actions()?;
        let mut actions: Vec<_> = actions.iter().map(|action| (last(action), action)).collect();
        actions.sort_by_key(|(last, action)| Reverse((*last, action.created)));
        for (last, action) in actions {
            let before = walk.weight;
            walk.listings(action)?;
            if let Some(layer) = action.layer {
                if pinned.contains(&layer) {
                    continue;
                }
                walk.layer(layer)?;
                walk.follow()?;
                self.add(What::Forms(layer), last, walk.weight.forms() - before.forms());
                self.charged.entry(layer).or_insert(self.inventory.candidates.len());
            }
            let bytes = walk.weight.made() - before.made();
            self.inventory.candidates.push(Candidate {
                what: What::Action(action.key),
                last,
                bytes,
            });
        }
        Ok(())
    }

    /// Blobs and directories of layers. Those that an image with a name has keep their blobs.
    fn layers(
        &mut self,
        all: &BTreeSet<LayerId>,
        pinned: &BTreeSet<LayerId>,
    ) -> Result<(), GcError> {
        let records = self.store.layers()?;
        for record in records.iter().filter(|record| all.contains(&record.id)) {
            let origins = if pinned.contains(&record.id) { &[][..] } else { &record.origins };
            self.blobs(record, origins)?;
        }
        let adopted = |record: &&LayerRecord| record.tree.is_none() && record.blobs.is_empty();
        let adopted: BTreeSet<LayerId> =
            records.iter().filter(adopted).map(|record| record.id).collect();
        for (name, live) in self.store.lives()? {
            if !all.contains(&live.layer) {
                continue;
            }
            let bytes = self.measure.live(&name, &self.uses)?;
            self.inventory.kept += bytes;
            if !adopted.contains(&live.layer) {
                let last = self.last(&Used::Live(&name));
                self.add(What::Live(name, live.layer), last, bytes);
            } else if let Some(at) = self.charged.get(&live.layer) {
                self.inventory.candidates[*at].bytes += bytes;
            }
        }
        Ok(())
    }

    /// `origins` are the registries to fetch it from again.
    fn blobs(&mut self, record: &LayerRecord, origins: &[String]) -> Result<(), ReadError> {
        for blob in &record.blobs {
            let digest = blob.descriptor.digest;
            let bytes = self.measure.file(&digest.blob_path())?;
            self.inventory.kept += bytes;
            if !origins.is_empty() {
                self.add(What::Blob(digest), self.last(&Used::Blob(&digest)), bytes);
            }
        }
        Ok(())
    }

    fn mounts(&mut self) -> Result<(), ReadError> {
        for mount in self.store.cache_mounts()? {
            let bytes = self.measure.mount(&mount, &self.uses)?;
            self.inventory.kept += bytes;
            let last = self.last(&Used::CacheMount(&mount.name));
            self.add(What::Mount(mount), last, bytes);
        }
        Ok(())
    }

    fn add(&mut self, what: What, last: Timestamp, bytes: u64) {
        if bytes > 0 {
            self.inventory.candidates.push(Candidate { what, last, bytes });
        }
    }

    fn last(&self, thing: &Used<'_>) -> Timestamp {
        self.uses.of(thing).map(|known| known.last).unwrap_or_default()
    }
}
