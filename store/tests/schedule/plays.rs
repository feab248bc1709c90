//! The parts that actors play, and which of them meet.

use std::io::Write as _;
use std::sync::Arc;

use wythe_store::action::ActionRecord;
use wythe_store::gc::Policy;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::layers::LayerRecord;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::media_type::MediaType;
use wythe_store::sim::Sim;
use wythe_store::sim::schedule::stage::{Actor, Role, Run, perform};
use wythe_store::sim::schedule::{Schedule, search};
use wythe_store::store::Store;
use wythe_store::timestamp::Timestamp;
use wythe_store::vfs::Vfs as _;

use crate::checks;
use crate::fixtures::{
    Fact, Ledger, Version, blob, blob_descriptor, body, built, config, key, manifest, open, pulled,
    told, tree,
};

/// What was there before: an image under the name `old`; a step's result that no image uses; a
/// pack that nothing leads to; a blob of which the same is true.
pub(crate) const OLD: Version = 1;
pub(crate) const CACHED: Version = 2;
pub(crate) const GARBAGE: Version = 3;
pub(crate) const STRAY_BLOB: Version = 4;
/// What nobody has seen before.
pub(crate) const NEW: Version = 5;

/// Longer than a log may be before it is folded into a new base.
const LONG_NOTE: usize = 1_100_000;

/// A part.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Builds a layer, step by step, and tags an image of it.
    Build(Version),
    /// Builds where everything may be there already.
    Cached(Version),
    /// Collects.
    Collect(Policy),
    /// Commits so much that the journal is folded.
    Fold,
    /// Only opens the store.
    Open,
    /// Pulls an image.
    Pull(Version),
    /// Takes a name away.
    Remove(&'static str),
}

/// Several actors on one disk.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    pub(crate) name: &'static str,
    pub(crate) cast: Vec<(&'static str, Part)>,
    /// The disk that they find.
    pub(crate) disk: Sim,
    /// The boot they run in.
    pub(crate) boot: u8,
}

/// A play that has been performed: on which disk, and what was promised in it.
#[derive(Debug)]
pub(crate) struct Performance {
    pub(crate) run: Run,
    pub(crate) sim: Sim,
    pub(crate) ledger: Ledger,
    /// The boot it ran in.
    pub(crate) boot: u8,
}

impl Play {
    /// On a store in which there is something of everything.
    pub(crate) fn new(name: &'static str, cast: &[(&'static str, Part)]) -> Self {
        Self { name, cast: cast.to_vec(), disk: furnished(), boot: 1 }
    }

    /// After a power cut, in a boot in which nobody has looked at the store yet.
    pub(crate) fn after_reboot(name: &'static str, cast: &[(&'static str, Part)]) -> Self {
        Self { name, cast: cast.to_vec(), disk: rebooted(), boot: 2 }
    }

    /// The play of this name.
    pub(crate) fn of(name: &str) -> Self {
        let found = all().into_iter().find(|play| play.name == name);
        found.unwrap_or_else(|| panic!("there is no play {name}"))
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.cast.iter().map(|(name, _)| *name).collect()
    }

    pub(crate) fn search(&self, bounds: search::Bounds, seed: u64) -> search::Search {
        search::Search::new(self.names(), bounds, seed)
    }

    pub(crate) fn perform(&self, schedule: &Schedule) -> Performance {
        let (sim, ledger) = (copy(&self.disk), Ledger::default());
        let boot = self.boot;
        let scripts: Vec<_> = self
            .cast
            .iter()
            .map(|(name, part)| {
                let ledger = &ledger;
                move |actor: &Actor| play(actor, ledger, boot, name, *part)
            })
            .collect();
        let roles: Vec<Role<'_>> = self
            .cast
            .iter()
            .zip(&scripts)
            .map(|((name, _), script)| Role { name, script })
            .collect();
        let run = perform(&sim, &roles, schedule);
        Performance { run, sim, ledger, boot }
    }
}

/// Who meets whom.
pub(crate) fn all() -> Vec<Play> {
    use Part::{Build, Cached, Collect, Fold, Open, Pull, Remove};
    let images = ("collector", Collect(Policy::ImagesOnly));
    let steps = ("collector", Collect(Policy::KeepActions));
    vec![
        Play::new("build-prune-all", &[images, ("builder", Build(GARBAGE))]),
        Play::new("build-prune", &[steps, ("builder", Build(GARBAGE))]),
        Play::new("cached-prune-all", &[images, ("builder", Cached(CACHED))]),
        Play::new("cached-prune", &[steps, ("builder", Cached(CACHED))]),
        Play::new("image-prune-all", &[images, ("builder", Cached(OLD))]),
        Play::new("pull-prune-all", &[images, ("puller", Pull(STRAY_BLOB))]),
        Play::new("pull-prune", &[steps, ("puller", Pull(STRAY_BLOB))]),
        Play::new("build-build", &[("first", Build(NEW)), ("second", Build(NEW))]),
        Play::new("fold-build", &[("folder", Fold), ("builder", Build(NEW))]),
        Play::new("pull-pull", &[("first", Pull(NEW)), ("second", Pull(NEW))]),
        Play::new("prune-prune", &[images, ("other", Collect(Policy::KeepActions))]),
        Play::new("remove-prune-all", &[("remover", Remove("old")), images]),
        Play::new("remove-build", &[("remover", Remove("old")), ("builder", Cached(OLD))]),
        Play::new(
            "remove-prune-build",
            &[("remover", Remove("old")), images, ("builder", Cached(OLD))],
        ),
        Play::new(
            "build-cached-prune-all",
            &[images, ("builder", Build(GARBAGE)), ("other", Cached(CACHED))],
        ),
        Play::new(
            "build-pull-prune",
            &[steps, ("builder", Build(NEW)), ("puller", Pull(STRAY_BLOB))],
        ),
        Play::after_reboot("recover-build", &[("slow", Open), ("builder", Build(NEW))]),
        Play::after_reboot("recover-cached", &[("slow", Open), ("builder", Cached(NEW))]),
        Play::after_reboot("recover-prune", &[("builder", Cached(NEW)), images]),
        Play::after_reboot(
            "recover-cached-pull",
            &[("slow", Open), ("builder", Cached(NEW)), ("puller", Pull(STRAY_BLOB))],
        ),
    ]
}

/// The same disk, all of it safe, with no history.
pub(crate) fn copy(sim: &Sim) -> Sim {
    sim.crashed(sim.n_operations(), wythe_store::sim::crash::Fate::Kept)
}

/// Who says something, and where it is written down.
struct Witness<'play> {
    actor: &'play Actor,
    ledger: &'play Ledger,
    name: &'static str,
}

fn play(
    actor: &Actor,
    ledger: &Ledger,
    boot: u8,
    name: &'static str,
    part: Part,
) -> Result<(), String> {
    let store = open(actor.vfs(), boot)?;
    let witness = Witness { actor, ledger, name };
    match part {
        Part::Build(version) => {
            let lease = store.lease().map_err(|error| told(&error))?;
            build(&lease, version)?;
            tag(&lease, &witness, version, &built(version))
        }
        Part::Cached(version) => {
            let lease = store.lease().map_err(|error| told(&error))?;
            if store.action(&key(version)).map_err(|error| told(&error))?.is_none() {
                build(&lease, version)?;
            }
            tag(&lease, &witness, version, &built(version))
        }
        Part::Collect(policy) => store.prune(policy).map(drop).map_err(|error| told(&error)),
        Part::Fold => {
            let mut batch = Batch::new();
            batch.put(Table::Notes, b"long", vec![0; LONG_NOTE]);
            let lease = store.lease().map_err(|error| told(&error))?;
            lease.commit(batch, Durability::Relaxed).map(drop).map_err(|error| told(&error))
        }
        Part::Open => Ok(()),
        Part::Pull(version) => {
            let lease = store.lease().map_err(|error| told(&error))?;
            pull(&lease, version)?;
            tag(&lease, &witness, version, &pulled(version))
        }
        Part::Remove(name) => {
            ledger.write(actor, Fact::Untagging(name));
            let mut batch = Batch::new();
            batch.remove_ref(name);
            let lease = store.lease().map_err(|error| told(&error))?;
            lease.commit(batch, Durability::Durable).map_err(|error| told(&error))?;
            Ok(())
        }
    }
}

/// One step: bodies, tree, and a result that a power cut may take.
fn build(lease: &Lease, version: Version) -> Result<(), String> {
    let step = || {
        lease.put_body(&body(version))?;
        let tree = lease.put_tree(&tree(version))?;
        let mut batch = Batch::new();
        batch.put_layer(&LayerRecord { tree: Some(tree), ..built(version) });
        let (layer, created) = (Some(built(version).id), Timestamp::default());
        batch.put_action(&ActionRecord { key: key(version), layer, created, inputs: Vec::new() });
        lease.commit(batch, Durability::Relaxed)
    };
    step().map(drop).map_err(|error| told(&error))
}

/// A blob, and the layer that it is.
fn pull(lease: &Lease, version: Version) -> Result<(), String> {
    if lease.store().foreign_blob(&blob_descriptor(version).digest).unwrap().is_none() {
        let mut ingest =
            lease.ingest_blob(&blob_descriptor(version)).map_err(|error| told(&error))?;
        ingest.write_all(&blob(version)).map_err(|error| told(&error))?;
        ingest.commit().map_err(|error| told(&error))?;
    }
    let mut batch = Batch::new();
    batch.put_layer(&pulled(version));
    lease.commit(batch, Durability::Relaxed).map(drop).map_err(|error| told(&error))
}

/// The image, under the actor's name; what it needs is still there while the lease lives.
fn tag(
    lease: &Lease,
    witness: &Witness<'_>,
    version: Version,
    record: &LayerRecord,
) -> Result<(), String> {
    let (manifest, name) = (manifest(version, record), witness.name);
    let commit = || {
        lease.put_document(config(version).as_bytes())?;
        lease.put_document(manifest.as_bytes())?;
        let mut batch = Batch::new();
        batch.set_ref(name, &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
        lease.commit(batch, Durability::Durable)
    };
    commit().map_err(|error| told(&error))?;
    witness.ledger.write(witness.actor, Fact::Tagged(name, version));
    checks::whole(lease.store(), version)
}

/// The disk on which plays begin.
fn furnished() -> Sim {
    let sim = Sim::default();
    let store = open(Arc::new(sim.clone()), 1).unwrap();
    let lease = store.lease().unwrap();
    build(&lease, OLD).unwrap();
    name(&lease, "old", OLD);
    build(&lease, CACHED).unwrap();
    lease.commit(Batch::new(), Durability::Durable).unwrap();
    lease.put_body(&body(GARBAGE)).unwrap();
    lease.put_tree(&tree(GARBAGE)).unwrap();
    lease.commit(Batch::new(), Durability::Durable).unwrap();
    let mut ingest = lease.ingest_blob(&blob_descriptor(STRAY_BLOB)).unwrap();
    ingest.write_all(&blob(STRAY_BLOB)).unwrap();
    ingest.commit().unwrap();
    drop(lease);
    copy(&sim)
}

/// A disk after a power cut in the middle of work: a step's result is there, the pack that it needs
/// is not whole, and the boot in which it was made is over.
fn rebooted() -> Sim {
    let sim = furnished();
    let before = sim.list("packs").unwrap();
    let store = open(Arc::new(sim.clone()), 1).unwrap();
    let lease = store.lease().unwrap();
    build(&lease, NEW).unwrap();
    let left = copy(&sim);
    let packs = left.list("packs").unwrap();
    let new = packs.iter().find(|pack| !before.contains(pack)).unwrap();
    left.cut(&format!("packs/{new}"), 200).unwrap();
    left
}

fn name(lease: &Lease, name: &str, version: Version) {
    let manifest = manifest(version, &built(version));
    lease.put_document(config(version).as_bytes()).unwrap();
    lease.put_document(manifest.as_bytes()).unwrap();
    let mut batch = Batch::new();
    batch.set_ref(name, &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
    lease.commit(batch, Durability::Durable).unwrap();
}

/// What every builder may find when it comes after all others: it works, and so does everything
/// else in the store.
pub(crate) fn another_build(store: &Store) -> Result<(), String> {
    let lease = store.lease().map_err(|error| told(&error))?;
    build(&lease, 9)?;
    name(&lease, "last", 9);
    checks::whole(store, 9)
}
