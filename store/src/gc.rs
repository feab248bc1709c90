//! Garbage collection: mark what roots reach, condemn the rest, and unlink what nobody can be
//! using any more.
//!
//! Condemning and unlinking are apart because other processes write meanwhile. What is condemned
//! is no longer used to avoid storing something again; it is unlinked once every live lease began
//! after it was condemned, at once where there is no other lease. What is condemned in a state of
//! the journal, a mark of that state has not reached. A commit that comes after it puts back what
//! its lease relies on (`lease/commit.rs`). `docs/adr/0013-collection-waits-for-nobody.md` says why this
//! is enough.

pub mod budget;
pub(crate) mod evict;
pub mod mark;
pub mod marks;
mod merge;
mod pace;
pub mod settle;
mod sweep;

use std::collections::BTreeSet;

use crate::cache_mount::shelf::Removal;
use crate::error::{At, ReadError, WriteError};
use crate::gc::budget::Budget;
use crate::gc::evict::Evicted;
use crate::gc::mark::Mark;
use crate::gc::sweep::{Sweep, Thrift};
use crate::index::Extent;
use crate::lease::Lease;
use crate::pack::PackName;
use crate::reserve;
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::trash;
use crate::vfs::Lock;

pub use pace::Pace;

/// What to keep beyond images and what live processes use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Policy {
    /// Results of steps stay, so that builds stay cached.
    #[default]
    KeepActions,
    /// Only images stay, and cache mounts that somebody uses.
    ImagesOnly,
    /// What fits into a budget stays.
    Within(Budget),
}

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Freed {
    /// Bytes of packs and blobs.
    pub bytes: u64,
    /// Remembered results of steps.
    pub n_actions: u64,
    /// Layer records.
    pub n_layers: u64,
    /// Files and directories.
    pub n_files: u64,
    /// Cache mounts.
    pub n_mounts: u64,
    /// Files and directories that go as soon as older processes are done.
    pub n_waiting: u64,
}

/// A collection did not come to its end. What it removed was garbage; running again goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GcError {
    /// Something that other things may need cannot be read, so nothing can be called garbage.
    #[error("cannot tell what is in use")]
    Damaged(#[from] ReadError),
    /// It was told to stop.
    #[error("there was no time to find garbage")]
    OutOfTime,
    /// A change could not be made.
    #[error(transparent)]
    Write(#[from] WriteError),
}

pub(crate) const LOCK: &str = "lock/gc";

/// How often to mark without making others wait.
const FREE_ROUNDS: u32 = 3;

impl Store {
    /// Removes what no image, no remembered step (see [`Policy`]) and no live lease can reach.
    ///
    /// Safe to interrupt: removing is idempotent, and what was removed so far was garbage.
    ///
    /// # Errors
    ///
    /// [`GcError::Damaged`] if a record or document cannot be read: nothing is removed then.
    pub fn prune(&self, policy: Policy) -> Result<Freed, GcError> {
        self.collect(policy, &Pace { now: Timestamp::default(), patience: &|| true })
    }

    /// As [`prune`](Self::prune), for policies that go by the time, and with an end to patience.
    ///
    /// # Errors
    ///
    /// As [`prune`](Self::prune), and [`GcError::OutOfTime`] where it was told to stop before it had
    /// begun to remove anything.
    pub fn collect(&self, policy: Policy, pace: &Pace<'_>) -> Result<Freed, GcError> {
        let lock = self.vfs().lock(LOCK).writing(LOCK)?;
        self.collect_alone(&lock, policy, pace)
    }

    /// The caller holds the lock of collectors.
    fn collect_alone(
        &self,
        _lock: &Lock,
        policy: Policy,
        pace: &Pace<'_>,
    ) -> Result<Freed, GcError> {
        let vfs = &**self.vfs();
        let freed = match self.collect_once(policy, pace) {
            // A disk without a free byte: what is kept for this is given up.
            Err(error) if self.lacks_room(&error) && reserve::spend(vfs) => {
                self.collect_once(policy, pace)
            }
            done => done,
        };
        reserve::keep(vfs);
        freed
    }

    /// Whether there was no room for a change, and more can be tried: not where a sync said so.
    fn lacks_room(&self, error: &GcError) -> bool {
        let is_full = matches!(error, GcError::Write(error) if error.is_full());
        is_full && self.journal().check_poison().is_ok()
    }

    fn collect_once(&self, policy: Policy, pace: &Pace<'_>) -> Result<Freed, GcError> {
        let ours = self.lease_of_collector()?;
        self.refresh()?;
        ours.cover_while(Extent::All, pace.patience);
        pace.check()?;
        let (evicted, thrift) = self.choose(policy, pace)?;
        let sweep = self.condemn(&evicted, thrift, &ours, pace)?;
        let pace = &if sweep.has_copied() { pace.to_the_end() } else { *pace };
        let mut freed = sweep.unlink(ours.name(), pace)?;
        for mount in evicted.mounts.iter().take_while(|_| (pace.patience)()) {
            freed.n_mounts += u64::from(self.remove_cache_mount(mount)? == Removal::Done);
        }
        ours.cover_while(Extent::All, pace.patience);
        trash::empty(&**self.vfs(), pace.patience);
        Ok(freed)
    }

    /// Marks, and condemns the rest in a state that the mark has seen.
    fn condemn(
        &self,
        evicted: &Evicted,
        thrift: Thrift,
        ours: &Lease,
        pace: &Pace<'_>,
    ) -> Result<Sweep<'_>, GcError> {
        self.refresh()?;
        let sequence = self.journal().sequence();
        let none = BTreeSet::new();
        let sweep = self.plan(evicted, (&none, thrift), pace)?;
        let copies = match sweep.rewrite(ours, pace) {
            // Packs that are in use in part wait until those that go whole have made room.
            Err(error) if self.lacks_room(&error) => BTreeSet::new(),
            copies => copies?,
        };
        // Left as it is, what was copied would take its room twice.
        let pace = &if copies.is_empty() { *pace } else { pace.to_the_end() };
        let plan = || self.plan(evicted, (&copies, thrift), pace);
        // Where nothing was copied, the plan stands as long as nobody commits.
        let mut planned = copies.is_empty().then_some((sequence, sweep));
        for _ in 0..FREE_ROUNDS {
            let (sequence, sweep) = if let Some(planned) = planned.take() {
                planned
            } else {
                self.refresh()?;
                (self.journal().sequence(), plan()?)
            };
            if let Some(sweep) = self.condemn_at(sequence, sweep)? {
                return Ok(sweep);
            }
        }
        // Others commit faster than that, so they have to wait for once.
        self.journal().hold(|hold| {
            self.list_packs()?;
            let planned = plan();
            planned.as_ref().map_or(Ok(()), |sweep| sweep.condemn(hold))?;
            Ok(planned)
        })?
    }

    /// What is to go, and what is to be copied for it.
    fn plan(
        &self,
        evicted: &Evicted,
        (copies, thrift): (&BTreeSet<PackName>, Thrift),
        pace: &Pace<'_>,
    ) -> Result<Sweep<'_>, GcError> {
        let mark = Mark::of(self, evicted, pace)?;
        Sweep::plan(self, (&mark, evicted), (copies, thrift), pace)
    }

    /// Condemns what a plan of that state says, unless somebody has committed since.
    fn condemn_at<'store>(
        &self,
        sequence: u64,
        sweep: Sweep<'store>,
    ) -> Result<Option<Sweep<'store>>, WriteError> {
        let condemned = self.journal().hold(|hold| {
            let moved = hold.journal().sequence() != sequence;
            if moved { Err(WriteError::Moved) } else { sweep.condemn(hold) }
        });
        match condemned {
            Err(WriteError::Moved) => Ok(None),
            done => done.map(|()| Some(sweep)),
        }
    }

    /// What goes although something leads to it, and what may be copied for the sake of space.
    fn choose(&self, policy: Policy, pace: &Pace<'_>) -> Result<(Evicted, Thrift), GcError> {
        match policy {
            Policy::KeepActions => Ok((Evicted::default(), Thrift::Usual)),
            Policy::ImagesOnly => Ok((Evicted::all(self)?, Thrift::Strict { spare: 0 })),
            Policy::Within(budget) => Evicted::to_fit(self, &budget, pace),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::action::ActionRecord;
    use crate::digest::{DiffId, Digest};
    use crate::id::{CacheKey, LayerId, TreeId};
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layers::LayerRecord;
    use crate::object::{Encoding, Kind};
    use crate::oci::descriptor::Descriptor;
    use crate::oci::media_type::MediaType;
    use crate::store::{OpenOptions, Store};

    use super::*;

    fn open(path: &std::path::Path) -> Store {
        Store::open(path, &OpenOptions::default()).unwrap()
    }

    /// An image of one layer whose tree names one body, and a body nobody names.
    fn image(store: &Store) -> ([u8; 32], [u8; 32]) {
        let lease = store.lease().unwrap();
        let used = *lease.put_body(b"used").unwrap().as_bytes();
        let mut garbage = vec![0; 50_000];
        blake3::Hasher::new().finalize_xof().fill(&mut garbage);
        let garbage = *lease.put_body(&garbage).unwrap().as_bytes();
        let tree = [b"odd".as_slice(), &used].concat();
        let id = TreeId::of(&tree);
        lease.put(Kind::Tree, id.as_bytes(), Encoding::Raw, &tree).unwrap();
        let layer = Digest::of(b"tar");
        let manifest = format!(r#"{{"layers":[{{"digest":"{layer}"}}]}}"#);
        lease.put_document(manifest.as_bytes()).unwrap();
        let record = LayerRecord {
            tree: Some(id),
            diff_id: Some(DiffId(layer)),
            ..LayerRecord::new(LayerId::of(b"layer"))
        };
        let mut batch = Batch::new();
        let descriptor = Descriptor::of(MediaType::MANIFEST, manifest.as_bytes());
        batch.put_layer(&record).set_ref("app", &descriptor);
        lease.commit(batch, Durability::Durable).unwrap();
        (used, garbage)
    }

    #[test]
    fn what_an_image_reaches_stays_and_the_rest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let (used, garbage) = image(&store);
        let freed = store.prune(Policy::ImagesOnly).unwrap();
        assert!(freed.bytes > 50_000, "{freed:?}");
        for store in [&store, &open(directory.path())] {
            assert!(store.get(Kind::Body, &used).unwrap().is_some());
            assert!(store.get(Kind::Body, &garbage).unwrap().is_none());
        }
        assert_eq!(store.prune(Policy::ImagesOnly).unwrap().n_files, 0, "nothing is left to do");
    }

    #[test]
    fn what_explains_a_result_stays_as_long_as_the_result() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let lease = store.lease().unwrap();
        let listing = lease.put_body(b"listing").unwrap();
        let inputs = [("listing mount /x", listing.to_string()), ("user", "root".to_owned())];
        let inputs = inputs.map(|(name, value)| (name.to_owned(), value)).into();
        let (key, created) = (CacheKey::of(b"step"), Timestamp::default());
        let mut batch = Batch::new();
        batch.put_action(&ActionRecord { key, layer: None, created, inputs });
        lease.commit(batch, Durability::Durable).unwrap();
        drop(lease);
        store.prune(Policy::KeepActions).unwrap();
        assert!(store.body(&listing).unwrap().is_some());
        store.prune(Policy::ImagesOnly).unwrap();
        assert!(open(directory.path()).body(&listing).unwrap().is_none());
    }

    #[test]
    fn an_image_without_a_name_goes_whole() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let (used, _) = image(&store);
        let mut batch = Batch::new();
        batch.remove_ref("app");
        store.lease().unwrap().commit(batch, Durability::Durable).unwrap();
        assert_eq!(store.prune(Policy::KeepActions).unwrap().n_layers, 1);
        assert!(store.get(Kind::Body, &used).unwrap().is_none());
        assert!(store.packs().all().unwrap().is_empty());
    }

    #[test]
    fn what_an_older_lease_may_use_waits_for_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let (store, other) = (open(directory.path()), open(directory.path()));
        let (_, garbage) = image(&store);
        let lease = other.lease().unwrap();
        assert!(other.get(Kind::Body, &garbage).unwrap().is_some());
        assert_eq!(store.prune(Policy::ImagesOnly).unwrap().n_waiting, 1);
        assert!(other.get(Kind::Body, &garbage).unwrap().is_some());
        drop(lease);
        assert_eq!(store.prune(Policy::ImagesOnly).unwrap().n_waiting, 0);
        assert!(open(directory.path()).get(Kind::Body, &garbage).unwrap().is_none());
    }

    #[test]
    fn a_condemned_object_is_stored_again_by_a_newer_lease() {
        let directory = tempfile::tempdir().unwrap();
        let (store, other) = (open(directory.path()), open(directory.path()));
        image(&store);
        let older = other.lease().unwrap();
        store.prune(Policy::ImagesOnly).unwrap();
        let newer = store.lease().unwrap();
        let again = newer.put_body(&vec![1; 50_000]).unwrap();
        assert!(
            newer.writer().contains(&crate::object::ObjectName::new(Kind::Body, again.as_bytes()))
        );
        drop(older);
    }
}
