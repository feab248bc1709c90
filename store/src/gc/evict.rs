//! Eviction: what goes although something leads to it, because there is too little room for all.
//!
//! Everything here can be made again. What is cheap to make again goes when it is younger than what
//! is dear: a class counts as so many times as old as it is. Of one age, compressed forms go
//! before unpacked directories, these before blobs that a registry has, these before results of
//! steps, and cache mounts last. Images with names never go, and neither does what a running build
//! has the only copy of.

mod inventory;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::cache_mount::shelf::CacheMount;
use crate::closure;
use crate::digest::Digest;
use crate::error::ReadError;
use crate::gc::budget::{Budget, age};
use crate::gc::evict::inventory::Inventory;
use crate::gc::sweep::Thrift;
use crate::gc::{GcError, Pace};
use crate::id::{CacheKey, LayerId};
use crate::live_record::LiveName;
use crate::store::Store;
use crate::timestamp::Timestamp;

/// What goes although something leads to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evicted {
    /// Results of steps.
    pub(crate) actions: BTreeSet<CacheKey>,
    /// Layers that lose the compressed forms they were given here.
    pub(crate) forms: BTreeSet<LayerId>,
    /// Unpacked directories.
    pub(crate) lives: BTreeSet<LiveName>,
    /// Blobs kept as they were received.
    pub(crate) blobs: BTreeSet<Digest>,
    /// Cache mounts.
    pub(crate) mounts: BTreeSet<CacheMount>,
}

/// Something that may be evicted.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) what: What,
    pub(super) last: Timestamp,
    pub(super) bytes: u64,
}

/// What it is.
#[derive(Clone, Debug)]
pub(super) enum What {
    Forms(LayerId),
    Live(LiveName, LayerId),
    Blob(Digest),
    Action(CacheKey),
    Mount(CacheMount),
}

impl What {
    /// How many times as old as it is it counts: how cheap it is to make again.
    fn weight(&self) -> u64 {
        match self {
            // Compressed again by whoever needs it.
            Self::Forms(_) => 16,
            // Unpacked again.
            Self::Live(..) => 8,
            // Transferred again.
            Self::Blob(_) => 4,
            // Run again.
            Self::Action(_) => 2,
            // What is in it nobody can tell.
            Self::Mount(_) => 1,
        }
    }
}

impl Evicted {
    /// Whether nothing goes.
    fn is_empty(&self) -> bool {
        let n_named = self.actions.len() + self.forms.len() + self.lives.len() + self.blobs.len();
        n_named + self.mounts.len() == 0
    }

    /// Everything that only makes builds faster.
    pub(super) fn all(store: &Store) -> Result<Self, ReadError> {
        let actions = store.actions()?.into_iter().map(|action| action.key).collect();
        let mounts = store.cache_mounts()?.into_iter().collect();
        Ok(Self { actions, mounts, ..Self::default() })
    }

    /// What has to go for the store to keep within a budget, and how much room is left then.
    pub(super) fn to_fit(
        store: &Store,
        budget: &Budget,
        pace: &Pace<'_>,
    ) -> Result<(Self, Thrift), GcError> {
        let mut chosen = Self::default();
        let Inventory { kept, mut candidates } = Inventory::take(store, pace)?;
        let allowance = match store.space() {
            Ok(space) => budget.allowance(kept, space),
            Err(error) => return Err(ReadError::new("", error).into()),
        };
        if allowance.is_none() && budget.keep_for == 0 {
            return Ok((chosen, Thrift::Usual));
        }
        candidates.sort_by_key(|found| {
            let weight = found.what.weight();
            (Reverse(age(found.last, pace.now).saturating_mul(weight)), Reverse(weight))
        });
        let mut left = kept;
        for candidate in candidates {
            if allowance.is_some_and(|allowance| left <= allowance) {
                break;
            }
            if budget.lets_go(candidate.last, pace.now) && chosen.take(store, &candidate.what)? {
                left = left.saturating_sub(candidate.bytes);
            }
        }
        let thrift = match allowance {
            Some(allowance) => Thrift::Strict { spare: allowance.saturating_sub(left) },
            None if chosen.is_empty() => Thrift::Usual,
            None => Thrift::Strict { spare: 0 },
        };
        Ok((chosen, thrift))
    }

    /// Adds something, unless it is the only copy of what it holds.
    fn take(&mut self, store: &Store, what: &What) -> Result<bool, ReadError> {
        Ok(match what {
            What::Action(key) => self.actions.insert(*key),
            What::Forms(layer) => self.forms.insert(*layer),
            What::Blob(digest) => self.blobs.insert(*digest),
            What::Mount(mount) => self.mounts.insert(mount.clone()),
            What::Live(name, layer) => {
                self.can_be_unpacked(store, layer)? && self.lives.insert(name.clone())
            }
        })
    }

    /// Whether the files of a layer are elsewhere than in its directory, and stay there.
    pub(crate) fn can_be_unpacked(
        &self,
        store: &Store,
        layer: &LayerId,
    ) -> Result<bool, ReadError> {
        let Some(record) = store.layer(layer)? else { return Ok(false) };
        for blob in &record.blobs {
            let (digest, path) = (&blob.descriptor.digest, blob.descriptor.digest.blob_path());
            let here = store.vfs().exists(&path).map_err(|error| ReadError::new(path, error))?;
            if here && !self.blobs.contains(digest) {
                return Ok(true);
            }
        }
        record.tree.map_or(Ok(false), |tree| closure::is_complete(store, &tree))
    }
}

#[cfg(test)]
mod tests;
