//! The root file systems of a build: chains of layers, as trees and as directories, made when
//! somebody asks and then remembered.

mod by_chain;
mod mounted;
mod outline;
mod whole;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use wythe_sandbox::mounted_layers::MountedLayers;
use wythe_store::claims::Claims;
use wythe_store::id::{BodyId, ContentId, LayerId};
use wythe_store::image::blob_origin::{Blame, BlobOrigin};
use wythe_store::image::catalog::StoredContent;
use wythe_store::image::save::SaveError;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::layer::import::import;
use wythe_store::layers::LayerRecord;
use wythe_store::lease::Lease;
use wythe_store::live::correction::correction;
use wythe_store::live::ensure::{ensure, ensure_announced, receive};
use wythe_store::live::found::find;
use wythe_store::live::gather::{self, GatherError};
use wythe_store::live::seal::{SealError, ensure_tree, seal};
use wythe_store::live::small::is_small;
use wythe_store::live::stack::{KnownRoots, Placed, Stack};
use wythe_store::oci::content::Content;
use wythe_store::side_by_side::side_by_side;
use wythe_store::tree::encode::content_id;
use wythe_store::tree::entry::Tree;
use wythe_store::tree::merge::merge;
use wythe_store::tree::unnamed::has_unnamed;

use self::by_chain::ByChain;
use self::mounted::MountedChains;
pub(crate) use self::outline::Outline;
use self::whole::Waiting;
use crate::bases::BaseLayer;
use crate::environment::{Environment, Snapshotter};
use crate::error::BuildCause;
use crate::permits::Permits;
use crate::view::{LayerTops, View};

/// Layers from the bottom up.
pub(crate) type Chain = Vec<LayerId>;

/// Layers of base images that are on their way at once, or unpacked: registries limit each
/// connection more than each client, and processors are few.
const DOWNLOADS: usize = 4;

/// The root file systems of one build.
#[derive(Debug)]
pub(crate) struct Roots<'a> {
    env: Environment<'a>,
    foreign: Mutex<BTreeMap<LayerId, BaseLayer>>,
    /// What layers of caches contain, times left out.
    cached: Mutex<BTreeMap<LayerId, ContentId>>,
    merged: Mutex<ByChain<Arc<Tree>>>,
    /// Trees of chains of which not all files were read.
    outlined: Mutex<ByChain<Arc<Tree>>>,
    /// Directories that were found as they were left, or made: each is looked at once, and not by each step above it.
    directories: Mutex<HashMap<LayerId, PathBuf>>,
    /// What those have at their top.
    tops: LayerTops,
    /// What lies over layers of bases, for each with all below it.
    corrections: Mutex<ByChain<Option<Placed>>>,
    busy: Claims<LayerId>,
    /// Taken last, so that nobody who has one waits for a claim.
    downloads: Permits,
    /// What trees say of the root.
    said: KnownRoots,
    /// What is mounted of the lowest layers of long chains.
    mounted: MountedChains,
    /// Where steps get their files from, once one has asked.
    snapshotter: OnceLock<Snapshotter>,
    /// Directories that steps have left to later ones.
    waiting: Mutex<Vec<Waiting>>,
}

impl<'a> Roots<'a> {
    /// Of a build that runs so many steps at once, where it says so: no more layers are unpacked.
    pub(crate) fn new(env: Environment<'a>, jobs: Option<NonZeroUsize>) -> Self {
        let (foreign, cached, merged, directories) = Default::default();
        let (outlined, tops, corrections, busy) = Default::default();
        let downloads = Permits::new(jobs.map_or(DOWNLOADS, |jobs| jobs.get().min(DOWNLOADS)));
        let (said, mounted, snapshotter, waiting) = Default::default();
        Self {
            env,
            foreign,
            cached,
            merged,
            outlined,
            directories,
            tops,
            corrections,
            busy,
            downloads,
            said,
            mounted,
            snapshotter,
            waiting,
        }
    }

    /// Announces layers that can be fetched when they are needed.
    pub(crate) fn announce(&self, layers: &[BaseLayer]) -> Chain {
        let mut foreign = lock(&self.foreign);
        for layer in layers {
            foreign.entry(layer.id).or_insert_with(|| layer.clone());
        }
        layers.iter().map(|layer| layer.id).collect()
    }

    /// Announces the layer of a step that a cache knows.
    pub(crate) fn announce_cached(&self, layer: BaseLayer, content: ContentId) {
        lock(&self.cached).insert(layer.id, content);
        lock(&self.foreign).insert(layer.id, layer);
    }

    /// What a layer of a cache contains, as the cache says.
    pub(crate) fn cached_content(&self, layer: &LayerId) -> Option<ContentId> {
        lock(&self.cached).get(layer).copied()
    }

    /// The base image's layer of an id, where it is one.
    pub(crate) fn foreign(&self, layer: &LayerId) -> Option<BaseLayer> {
        lock(&self.foreign).get(layer).cloned()
    }

    /// The files of a chain, as one tree without whiteouts.
    pub(crate) fn tree(&self, chain: &[LayerId]) -> Result<Arc<Tree>, BuildCause> {
        if lock(&self.merged).get(chain).is_none() {
            self.fetch_lacking(chain)?;
        }
        self.tree_of(chain)
    }

    fn tree_of(&self, chain: &[LayerId]) -> Result<Arc<Tree>, BuildCause> {
        let Some((top, below)) = chain.split_last() else { return Ok(Arc::default()) };
        if let Some(known) = lock(&self.merged).get(chain) {
            return Ok(known.clone());
        }
        let lower = self.tree_of(below)?;
        let changes = match self.stored_tree(top)? {
            Some(changes) => changes,
            None => self.with_record(top, |lease, record| ensure_tree(lease, record, &lower))?,
        };
        let tree = Arc::new(merge(&lower, &changes));
        lock(&self.merged).insert(chain, tree.clone());
        Ok(tree)
    }

    /// The tree of a layer that has one: it is read at once, however much the pool has to do.
    fn stored_tree(&self, layer: &LayerId) -> Result<Option<Tree>, BuildCause> {
        let tree = self.env.store.layer(layer)?.and_then(|record| record.tree);
        Ok(tree.map(|id| self.env.store.tree(&id)).transpose()?.flatten())
    }

    /// The layer at the top of a chain, with its tree, its DiffID and its length.
    pub(crate) fn sealed(&self, chain: &[LayerId]) -> Result<LayerRecord, BuildCause> {
        let Some((top, below)) = chain.split_last() else {
            return Err(BuildCause::Unsupported("an image without layers in this place"));
        };
        let known = self.env.store.layer(top)?;
        if let Some(record) = known.filter(|one| one.tree.is_some() && one.diff_id.is_some()) {
            return Ok(record);
        }
        let needs_lower = self.env.store.layer(top)?.is_some_and(|record| record.tree.is_none());
        let lower = if needs_lower { self.tree(below)? } else { Arc::default() };
        self.with_record(top, |lease, record| {
            seal(lease, record, &lower)?;
            Ok(record.clone())
        })
    }

    /// A layer that was made over the layers of `below`, with its tree and what that contains, times left
    /// out; the record is the caller's to commit.
    pub(crate) fn settle(
        &self,
        layer: &LayerId,
        below: &[LayerId],
    ) -> Result<(LayerRecord, ContentId), BuildCause> {
        let known = self.env.store.layer(layer)?;
        let needs_lower = known.is_some_and(|record| record.tree.is_none());
        let lower = if needs_lower { self.tree(below)? } else { Arc::default() };
        let _alone = self.busy.claim(*layer);
        let record = self.held(layer)?;
        let work = |mut record: LayerRecord| {
            let tree = ensure_tree(self.env.lease, &mut record, &lower)?;
            Ok((record, content_id(&tree)))
        };
        let is_small = is_small(self.env.store, &record);
        let done = if is_small { work(record) } else { self.env.pool.install(|| work(record)) };
        done.map_err(|error: SealError| error.into())
    }

    /// Sees to it that the store holds these bytes, which files of a chain have.
    pub(crate) fn bodies(
        &self,
        chain: &[LayerId],
        wanted: &BTreeSet<BodyId>,
    ) -> Result<(), BuildCause> {
        match gather::ensure(self.env.lease, chain, wanted) {
            Err(GatherError::Missing(_)) => {}
            gathered => return Ok(gathered?),
        }
        let fetched = side_by_side(&self.of_bases(chain), DOWNLOADS, |layer| {
            let _alone = self.busy.claim(*layer);
            let _permit = self.downloads.acquire();
            let base = self.foreign(layer);
            base.map_or(Ok(()), |base| base.origin.fetch(self.env.lease, self.env.images))
        });
        fetched.into_iter().collect::<Result<(), _>>()?;
        Ok(gather::ensure(self.env.lease, chain, wanted)?)
    }

    /// The directories of a chain, bottom first, as an overlay mount takes them.
    pub(crate) fn directories(&self, chain: &[LayerId]) -> Result<Vec<PathBuf>, BuildCause> {
        let mut stack = Stack::new(self.env.lease, self.env.idmap, &self.said);
        self.receive(chain)?;
        for (at, layer) in chain.iter().enumerate() {
            let directory = self.directory(layer)?;
            if stack.contains(&directory) {
                // What is to be unpacked once more has to be more than a directory.
                self.tree(&chain[..=at])?;
            }
            stack.push(Placed { layer: *layer, directory })?;
            if at > 0
                && self.foreign(layer).is_some()
                && let Some(correction) = self.correction(&chain[..=at])?
            {
                stack.push(correction)?;
            }
        }
        Ok(stack.finish()?)
    }

    /// The lowest of many directories, mounted for all steps that have them below.
    pub(crate) fn mounted(&self, directories: &[PathBuf]) -> Option<Arc<MountedLayers>> {
        self.mounted.lowest_of(directories)
    }

    /// A look into directories that it gave out.
    pub(crate) fn view<'v>(&'v self, directories: &'v [PathBuf]) -> View<'v> {
        View::over(directories, &self.tops)
    }

    /// What has to lie over the directory of a base image's layer, at the top of a chain, that does not name all it
    /// leads through; layers that are made here do.
    fn correction(&self, chain: &[LayerId]) -> Result<Option<Placed>, BuildCause> {
        if let Some(known) = lock(&self.corrections).get(chain) {
            return Ok(known.clone());
        }
        let (env, Some((layer, below))) = (self.env, chain.split_last()) else { return Ok(None) };
        let record = env.store.layer(layer)?;
        let tree = record.and_then(|record| record.tree).map(|id| env.store.tree(&id));
        let tree = tree.transpose()?.flatten().filter(|tree| has_unnamed(&tree.children));
        let made = match tree {
            Some(tree) => correction(env.lease, env.idmap, (&tree, &*self.tree(below)?))?,
            None => None,
        };
        lock(&self.corrections).insert(chain, made.clone());
        Ok(made)
    }

    /// The layers of a chain that are of base images, each once.
    fn of_bases(&self, chain: &[LayerId]) -> Vec<LayerId> {
        let foreign = lock(&self.foreign);
        let found: BTreeSet<LayerId> =
            chain.iter().filter(|one| foreign.contains_key(one)).copied().collect();
        // From the bottom, where the largest lie.
        let mut left = found;
        chain.iter().filter(|one| left.remove(one)).copied().collect()
    }

    /// Makes the directories of base images' layers that lack one, several at once: while some are
    /// unpacked others are on their way.
    fn receive(&self, chain: &[LayerId]) -> Result<(), BuildCause> {
        let mut lacking = Vec::new();
        for layer in self.of_bases(chain) {
            if !lock(&self.directories).contains_key(&layer)
                && find(self.env.store, &layer, self.env.idmap)?.is_none()
            {
                lacking.push(layer);
            }
        }
        let made = side_by_side(&lacking, DOWNLOADS, |layer| self.directory(layer).map(drop));
        made.into_iter().collect()
    }

    /// Fetches the layers of base images of which nothing is known, several at once.
    fn fetch_lacking(&self, chain: &[LayerId]) -> Result<(), BuildCause> {
        let mut lacking = Vec::new();
        for layer in self.of_bases(chain) {
            if !self.env.store.layer(&layer)?.is_some_and(|record| is_held(&record)) {
                lacking.push(layer);
            }
        }
        let fetch = |layer: &LayerId| {
            let _alone = self.busy.claim(*layer);
            self.held(layer).map(drop)
        };
        side_by_side(&lacking, DOWNLOADS, fetch).into_iter().collect()
    }

    fn directory(&self, layer: &LayerId) -> Result<PathBuf, BuildCause> {
        if let Some(known) = lock(&self.directories).get(layer) {
            return Ok(known.clone());
        }
        let directory = self.ensure_directory(layer)?;
        lock(&self.directories).insert(*layer, directory.clone());
        Ok(directory)
    }

    fn ensure_directory(&self, layer: &LayerId) -> Result<PathBuf, BuildCause> {
        let env = self.env;
        let Some(base) = self.foreign(layer) else {
            return Ok(ensure(env.lease, layer, env.idmap)?);
        };
        // Steps that begin at once on a base ask for its layers at once: the first one fetches each.
        let _alone = self.busy.claim(*layer);
        let descriptor = &base.origin.descriptor;
        let announced = (descriptor, &base.diff_id);
        let is_kept = || {
            Ok::<_, BuildCause>(env.store.foreign_blob_unverified(&descriptor.digest)?.is_some())
        };
        let unpacked = || Ok(ensure_announced(env.lease, announced, env.idmap)?);
        if is_kept()? {
            return unpacked();
        }
        if env.store.layer(layer)?.is_some_and(|record| is_held(&record)) {
            match ensure(env.lease, layer, env.idmap) {
                // Its tree is here, and the bytes of its files went with its blob.
                Err(error) if error.is_lack() => {}
                made => return Ok(made?),
            }
        }
        let _permit = self.downloads.acquire();
        // Who sends layers ahead may be fetching it.
        let _fetching = env.lease.fetching(descriptor.digest);
        if is_kept()? {
            return unpacked();
        }
        let mut blob = base.origin.open(env.images).map_err(SaveError::Source)?;
        let received = receive(env.lease, announced, env.idmap, &mut *blob);
        Ok(received.inspect_err(|error| {
            let is_of_record = error.is_of_layer();
            base.origin.lose(if is_of_record { Blame::Record } else { Blame::Unknown });
        })?)
    }

    /// Works on a layer's record while nobody else does, and commits what became of it.
    ///
    /// Steps of this build ask for one layer at the same time, and the second would read, hash and
    /// store all its files once more. The lock file in `live/ensure.rs` does not spare them that: it is
    /// about directories, which are made without a claim here, and it is held across a download.
    ///
    /// The work is done in the pool, and so gets nothing by which it could wait for a layer.
    fn with_record<T: Send>(
        &self,
        layer: &LayerId,
        work: impl FnOnce(&Lease, &mut LayerRecord) -> Result<T, SealError> + Send,
    ) -> Result<T, BuildCause> {
        let _alone = self.busy.claim(*layer);
        let before = self.held(layer)?;
        let mut record = before.clone();
        let result = self.env.pool.install(|| work(self.env.lease, &mut record))?;
        if record != before {
            let mut batch = Batch::new();
            batch.put_layer(&record);
            self.env.lease.commit(batch, Durability::Relaxed)?;
        }
        Ok(result)
    }

    /// The record of a layer, which is fetched where it is one of a base image that is not here.
    fn held(&self, layer: &LayerId) -> Result<LayerRecord, BuildCause> {
        match self.env.store.layer(layer)? {
            Some(record) if is_held(&record) || self.foreign(layer).is_none() => Ok(record),
            _ => self.fetch(layer),
        }
    }

    /// Fetches a base image's layer. Its blob is kept as it is; its files stay in there.
    fn fetch(&self, layer: &LayerId) -> Result<LayerRecord, BuildCause> {
        let env = self.env;
        let base = self.foreign(layer).ok_or(SealError::Gone)?;
        let permit = self.downloads.acquire();
        base.origin.fetch(env.lease, env.images)?;
        drop(permit);
        let BlobOrigin { reference, descriptor, .. } = &base.origin;
        let content = StoredContent(env.store);
        let mut blob = content
            .open(descriptor)
            .map_err(|error| SaveError::Transfer { reference: reference.to_string(), error })?;
        let mut record = import(env.lease, descriptor, &base.diff_id, &mut *blob)?;
        record.origins.extend(base.origin.repositories());
        let mut batch = Batch::new();
        batch.put_layer(&record);
        env.lease.commit(batch, Durability::Relaxed)?;
        Ok(record)
    }
}

/// Whether more is known of a layer than where it is to be had.
fn is_held(record: &LayerRecord) -> bool {
    record.tree.is_some() || record.live.is_some()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
