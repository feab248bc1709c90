//! What must be true, whoever did what in which order.

use std::io::Read as _;
use std::sync::Arc;

use wythe_store::digest::Digest;
use wythe_store::fsck::Depth;
use wythe_store::fsck::damage::{Damage, ImageProblem};
use wythe_store::gc::Policy;
use wythe_store::id::BodyId;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::{Batch, Table};
use wythe_store::layers::LayerRecord;
use wythe_store::sim::Sim;
use wythe_store::sim::crash::Fate;
use wythe_store::sim::schedule::stage::Ending;
use wythe_store::store::Store;
use wythe_store::vfs::Vfs as _;

use crate::fixtures::{Fact, Version, blob, body, built, config, manifest, open, pulled, told};
use crate::plays::{OLD, Performance, another_build, copy};

/// Whether an image of this layer has all of it: documents, record, and the bytes of its file, or
/// the blob that it was pulled as.
pub(crate) fn whole(store: &Store, version: Version) -> Result<(), String> {
    let record = store.layer(&built(version).id).map_err(|error| told(&error))?;
    let record = record.ok_or_else(|| format!("layer {version} has no record"))?;
    for text in [manifest(version, &shape(&record, version)), config(version)] {
        let document = store.document(&Digest::of(text.as_bytes()));
        match document.map_err(|error| told(&error))? {
            Some(bytes) if *bytes == *text.as_bytes() => {}
            Some(_) => return Err(format!("image {version} has another {text}")),
            None => return Err(format!("image {version} lacks a document")),
        }
    }
    content(store, &record, version)
}

/// The form in which the manifest of this layer was made.
fn shape(record: &LayerRecord, version: Version) -> LayerRecord {
    if record.blobs.is_empty() { built(version) } else { pulled(version) }
}

/// Whether the bytes of a layer are there, from one source at least.
pub(crate) fn content(store: &Store, record: &LayerRecord, version: Version) -> Result<(), String> {
    for layer in &record.blobs {
        let found = store.foreign_blob(&layer.descriptor.digest).map_err(|error| told(&error))?;
        if let Some(mut found) = found {
            let mut bytes = Vec::new();
            found.read_to_end(&mut bytes).map_err(|error| told(&error))?;
            return if bytes == blob(version) { Ok(()) } else { Err("wrong blob".to_owned()) };
        }
    }
    let tree = record.tree.ok_or_else(|| format!("layer {version} has nothing"))?;
    let tree = store.tree(&tree).map_err(|error| told(&error))?;
    tree.ok_or_else(|| format!("the tree of layer {version} is gone"))?;
    let found = store.body(&BodyId::of(&body(version))).map_err(|error| told(&error))?;
    let found = found.ok_or_else(|| format!("the body of layer {version} is gone"))?;
    let bytes = found.load().map_err(|error| told(&error))?;
    if *bytes == *body(version) { Ok(()) } else { Err(format!("layer {version} has other bytes")) }
}

/// After a play that went to its end: nobody failed, and the disk holds what was promised.
pub(crate) fn ended(performance: &Performance) -> Result<(), String> {
    let run = &performance.run;
    if let Some(stuck) = run.stuck {
        return Err(format!("the play is stuck: {stuck:?}"));
    }
    for (number, ending) in run.endings.iter().enumerate() {
        if let Ending::Failed(message) = ending {
            return Err(format!("actor {number} failed: {message}"));
        }
    }
    let facts = performance.ledger.until(usize::MAX);
    sound(&copy(&performance.sim), performance.boot, &facts)
}

/// After a power cut when so much had been done.
pub(crate) fn cut(performance: &Performance, at: usize, fate: Fate) -> Result<(), String> {
    let left = performance.sim.crashed(at, fate);
    sound(&left, 7, &performance.ledger.until(at))
}

/// What every disk must be, in which boot ever it is opened.
fn sound(sim: &Sim, boot: u8, facts: &[Fact]) -> Result<(), String> {
    let store = open(Arc::new(sim.clone()), boot)?;
    promises(&store, facts)?;
    undamaged(&store, "at first")?;
    store.prune(Policy::KeepActions).map_err(|error| told(&error))?;
    promises(&store, facts).map_err(|error| format!("after a collection: {error}"))?;
    another_build(&store)?;
    undamaged(&store, "after another build")?;
    emptied(&store, sim)
}

/// What was tagged is whole, and so is everything that has a name or is remembered.
fn promises(store: &Store, facts: &[Fact]) -> Result<(), String> {
    let mut tagged = vec![("old", OLD)];
    for fact in facts {
        match fact {
            Fact::Tagged(name, version) => tagged.push((name, *version)),
            Fact::Untagging(gone) => tagged.retain(|(name, _)| name != gone),
        }
    }
    for (name, version) in tagged {
        let found = store.find_ref(name).map_err(|error| told(&error))?;
        found.ok_or_else(|| format!("{name} was acknowledged and is gone"))?;
        whole(store, version).map_err(|error| format!("{name}: {error}"))?;
    }
    for version in 1..10 {
        let record = store.layer(&built(version).id).map_err(|error| told(&error))?;
        if let Some(record) = record {
            content(store, &record, version).map_err(|error| format!("a record lies: {error}"))?;
        }
    }
    let actions = store.actions().map_err(|error| told(&error))?;
    for layer in actions.iter().filter_map(|action| action.layer) {
        let record = store.layer(&layer).map_err(|error| told(&error))?;
        record.ok_or("a step's result names a layer that is not there")?;
    }
    Ok(())
}

fn undamaged(store: &Store, when: &str) -> Result<(), String> {
    let damage = store.verify(Depth::Full).map_err(|error| told(&error))?;
    // A torn tail stays until the next writer cuts it off.
    let torn = |damage: &&Damage| matches!(damage, Damage::Journal { .. }) && when == "at first";
    // The digests of tar streams are made up, those of all else are not.
    let made_up = |damage: &&Damage| matches!(damage, Damage::Image(image) if image.problem == ImageProblem::Changed);
    match damage.iter().find(|damage| !torn(damage) && !made_up(damage)) {
        None => Ok(()),
        Some(damage) => Err(format!("{when}: {}", told(damage))),
    }
}

/// Without names, everything goes.
fn emptied(store: &Store, sim: &Sim) -> Result<(), String> {
    let mut batch = Batch::new();
    for (name, _) in store.list_refs().map_err(|error| told(&error))? {
        batch.remove_ref(&name);
    }
    let lease = store.lease().map_err(|error| told(&error))?;
    lease.commit(batch, Durability::Durable).map_err(|error| told(&error))?;
    drop(lease);
    store.prune(Policy::ImagesOnly).map_err(|error| told(&error))?;
    for directory in ["packs", "blobs/sha256", "leases", "work", "trash", "live"] {
        let left = sim.list(directory).unwrap();
        if !left.is_empty() {
            return Err(format!("{directory} still holds {} entries", left.len()));
        }
    }
    for table in [Table::Layers, Table::Actions, Table::Condemned, Table::Packs] {
        let n_rows = store.journal().scan(table).len();
        if n_rows > 0 {
            return Err(format!("{n_rows} rows of {table:?} are left"));
        }
    }
    Ok(())
}
