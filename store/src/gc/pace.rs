//! The time that a collection has.

use std::fmt;

use crate::gc::GcError;
use crate::timestamp::Timestamp;

/// The time that a collection has, which libraries do not read. It is asked between any two pieces
/// of work that take some milliseconds at most.
#[derive(Clone, Copy)]
pub struct Pace<'a> {
    /// When it is.
    pub now: Timestamp,
    /// Whether to go on. To stop is no failure: what is not done is left to the next collection.
    pub patience: &'a dyn Fn() -> bool,
}

impl fmt::Debug for Pace<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pace").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Pace<'_> {
    /// The same, for what must not be left half done.
    pub(super) fn to_the_end(self) -> Self {
        Self { patience: &|| true, ..self }
    }

    pub(super) fn check(&self) -> Result<(), GcError> {
        if (self.patience)() { Ok(()) } else { Err(GcError::OutOfTime) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::gc::{Freed, Policy};
    use crate::id::{BodyId, LayerId};
    use crate::journal::Durability;
    use crate::journal::batch::Batch;
    use crate::layers::LayerRecord;
    use crate::oci::descriptor::Descriptor;
    use crate::oci::media_type::MediaType;
    use crate::sim::Sim;
    use crate::sim::crash::Fate;
    use crate::store::{OpenOptions, Store};
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{File, Metadata, Node};

    const N_PACKS: u32 = 80;
    const PER_PACK: u32 = 10;

    /// What may be changed on disk after whoever waits has lost patience: one group of renames, and
    /// the records of it. What the end of a lease deletes in passing of what was moved away has a
    /// bound of its own.
    const CHANGES_MAX: usize = 80;

    fn open(sim: &Sim) -> Store {
        let path = PathBuf::from("/simulated");
        Store::open_on(Arc::new(sim.clone()), path, &OpenOptions::default()).unwrap()
    }

    /// An image needs every second object of one half of the packs, and nothing the other half.
    fn filled() -> (Sim, Vec<BodyId>) {
        let sim = Sim::default();
        let (store, mut needed) = (open(&sim), Vec::new());
        for pack in 0..N_PACKS {
            let lease = store.lease().unwrap();
            let range = pack * PER_PACK..(pack + 1) * PER_PACK;
            for number in range {
                let id = lease.put_body(&number.to_le_bytes()).unwrap();
                needed.extend((pack < N_PACKS / 2 && number % 2 == 0).then_some(id));
            }
            lease.commit(Batch::new(), Durability::Relaxed).unwrap();
        }
        let mut builder = TreeBuilder::new();
        for (number, body) in needed.iter().enumerate() {
            let path = crate::path::LayerPath::parse(format!("f{number}").as_bytes()).unwrap();
            let node = Node::File(File { body: *body, size: 4, link: None });
            builder.insert(&path, Metadata::default(), node).unwrap();
        }
        let lease = store.lease().unwrap();
        let tree = lease.put_tree(&builder.finish()).unwrap();
        let diff_id = crate::digest::DiffId(crate::digest::Digest::of(b"tar"));
        let manifest = format!(r#"{{"layers":[{{"digest":"{}"}}]}}"#, diff_id.0);
        lease.put_document(manifest.as_bytes()).unwrap();
        let mut batch = Batch::new();
        batch.put_layer(&LayerRecord {
            tree: Some(tree),
            diff_id: Some(diff_id),
            ..LayerRecord::new(LayerId::of(b"layer"))
        });
        batch.set_ref("app", &Descriptor::of(MediaType::MANIFEST, manifest.as_bytes()));
        lease.commit(batch, Durability::Durable).unwrap();
        (sim, needed)
    }

    /// Collects until the question whether to go on was asked so many times. Says what came of it,
    /// how often it was asked, and how many changes of the disk came after the first no.
    fn collect(sim: &Sim, patience: usize) -> (Result<Freed, GcError>, usize, usize) {
        let (n_asked, stopped_at) = (Cell::new(0), Cell::new(None));
        let go_on = || {
            n_asked.set(n_asked.get() + 1);
            if n_asked.get() > patience && stopped_at.get().is_none() {
                stopped_at.set(Some(sim.n_operations()));
            }
            n_asked.get() <= patience
        };
        let pace = Pace { now: Timestamp::default(), patience: &go_on };
        let store = open(sim);
        let done = store.collect(Policy::ImagesOnly, &pace);
        let after = stopped_at.get().map_or(0, |at| sim.n_operations() - at);
        (done, n_asked.get(), after)
    }

    #[test]
    fn a_collection_that_is_stopped_ends_after_one_more_piece_of_work() {
        let (sim, needed) = filled();
        let copy = || sim.crashed(sim.n_operations(), Fate::Kept);
        let (done, n_asked, _) = collect(&copy(), usize::MAX);
        assert!(done.unwrap().n_files > u64::from(N_PACKS / 2));
        // Marked, planned with and after copying: once for each pack at least.
        assert!(n_asked > 3 * usize::try_from(N_PACKS).unwrap(), "{n_asked}");
        for patience in (0..n_asked).step_by(31) {
            let sim = copy();
            let (done, n_asked_then, n_changes) = collect(&sim, patience);
            let n_moved = done.as_ref().map_or(0, |freed| usize::try_from(freed.n_files).unwrap());
            let n_changes = n_changes.saturating_sub(n_moved);
            assert!(n_changes <= CHANGES_MAX, "stopped at {patience}: {n_changes} changes");
            assert!(n_asked_then - patience <= 5, "stopped at {patience}: asked {n_asked_then}");
            assert!(matches!(done, Ok(_) | Err(GcError::OutOfTime)), "{done:?}");
            let store = open(&sim);
            assert!(needed.iter().all(|id| store.has_body(id).unwrap()), "at {patience}");
            let (next, ..) = collect(&sim, usize::MAX);
            assert!(next.is_ok(), "{next:?}");
            assert!(needed.iter().all(|id| store.has_body(id).unwrap()), "after {patience}");
        }
    }
}
