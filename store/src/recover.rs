//! After a reboot: what was published without a sync is checked before anybody uses it.
//!
//! The journal says which packs are synced. Once the machine has been restarted, any other may be
//! short, torn or missing: one that is whole is synced and kept, any other goes to `quarantine/`,
//! and records that need what it held are dropped. Directories of unpacked layers that nobody synced
//! are dropped without looking.
//!
//! One process does it, and whoever comes meanwhile waits. Dying in the middle does no harm: nothing
//! is moved but what the rows have in doubt, and they change all at once, in the end.

use std::collections::BTreeSet;

use crate::closure;
use crate::error::{At, ReadError, WriteError};
use crate::id::LayerId;
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::layers::LayerRecord;
use crate::lease::leases;
use crate::live_record::{LiveName, Sync};
use crate::pack::PackName;
use crate::pack::reader::Pack;
use crate::spread;
use crate::store::Store;
use crate::trash;
use crate::vfs::Vfs;

/// Held by whoever looks at what another boot left.
const LOCK: &str = "lock/recover";

/// Drops or confirms everything that another boot left in doubt, once per boot.
pub(crate) fn after_reboot(store: &Store) -> Result<(), WriteError> {
    if is_done(store) {
        return Ok(());
    }
    let _alone = store.vfs().lock(LOCK).writing(LOCK)?;
    loop {
        store.refresh()?;
        // Who has a lease has lived since before: the machine was not restarted, whatever boot that
        // process is told of.
        if is_done(store) || !leases::live_since(&**store.vfs(), "")?.is_empty() {
            return Ok(());
        }
        let sequence = store.journal().sequence();
        match recover(store, sequence) {
            Err(WriteError::Moved) => {}
            done => return done,
        }
    }
}

fn is_done(store: &Store) -> bool {
    let boot = store.journal().boot().as_slice();
    store.journal().get(Table::Boot, &[]).as_deref() == Some(boot)
}

/// Decides on the state of the group number `sequence`.
fn recover(store: &Store, sequence: u64) -> Result<(), WriteError> {
    let mut batch = Batch::new();
    spread::out(&**store.vfs());
    let lives = drop_lives(store, &mut batch)?;
    let lost = check_packs(store, &mut batch)?;
    drop_records(store, &lives, lost, &mut batch)?;
    // Without anything in doubt, doing it again after another crash is no harm.
    let durability = if batch.is_empty() { Durability::Relaxed } else { Durability::Durable };
    batch.put(Table::Boot, &[], store.journal().boot().to_vec());
    store.journal().commit_at(sequence, &batch, durability)?;
    Ok(())
}

/// Whether any pack is not what it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lost {
    None,
    Some,
}

fn drop_lives(store: &Store, batch: &mut Batch) -> Result<BTreeSet<LiveName>, WriteError> {
    let mut dropped = BTreeSet::new();
    for (name, record) in store.lives()? {
        if record.sync == Sync::Synced || record.boot == *store.journal().boot() {
            continue;
        }
        match trash::throw_away(&**store.vfs(), &name.path()) {
            Ok(()) => {}
            // The crash took it, or an earlier recovery got this far.
            Err(error) => tracing::debug!(%error, name = name.as_str(), "no directory to drop"),
        }
        batch.remove_live(&name);
        dropped.insert(name);
    }
    Ok(dropped)
}

/// Checks the packs that are not known to be synced.
fn check_packs(store: &Store, batch: &mut Batch) -> Result<Lost, WriteError> {
    let vfs = &**store.vfs();
    let doubtful = doubtful_packs(store)?;
    let mut lost = Lost::None;
    for name in &doubtful {
        let path = name.path();
        if is_sound(vfs, &path) {
            store.journal().synced(&path, vfs.open(&path).and_then(|file| file.sync()))?;
            // Of what is condemned nothing is said: another of its name may come.
            if !store.is_condemned(&path) {
                batch.put(Table::Packs, name.as_bytes(), Vec::new());
            }
        } else {
            quarantine(vfs, &path);
            batch.delete(Table::Packs, name.as_bytes());
            lost = Lost::Some;
        }
    }
    if !doubtful.is_empty() {
        store.journal().synced("packs", vfs.sync_dir("packs"))?;
        store.packs().reload()?;
    }
    Ok(lost)
}

/// Packs that lie there or that the journal names, but for those it knows to be synced or to be of
/// this boot.
fn doubtful_packs(store: &Store) -> Result<BTreeSet<PackName>, ReadError> {
    let files = store.vfs().list("packs").reading("packs")?;
    let mut doubtful: BTreeSet<PackName> =
        files.iter().filter_map(|file| PackName::of_file(file)).collect();
    for (key, boot) in store.journal().scan(Table::Packs) {
        let Ok(name) = <[u8; 16]>::try_from(key.as_slice()).map(PackName::from_bytes) else {
            continue;
        };
        if boot.is_empty() || boot == *store.journal().boot() {
            doubtful.remove(&name);
        } else {
            doubtful.insert(name);
        }
    }
    Ok(doubtful)
}

fn is_sound(vfs: &dyn Vfs, path: &str) -> bool {
    Pack::open(vfs, path).is_ok_and(|pack| {
        pack.table_is_intact() && pack.entries().all(|entry| pack.body(&entry).is_ok())
    })
}

fn quarantine(vfs: &dyn Vfs, path: &str) {
    let aside = path.replacen("packs/", "quarantine/", 1);
    match vfs.replace(path, &aside) {
        Ok(()) => tracing::warn!(path, "put a pack aside that a crash has spoiled"),
        Err(error) => tracing::debug!(%error, path, "the pack never reached the disk"),
    }
}

/// Drops records that name what is no longer there.
fn drop_records(
    store: &Store,
    lives: &BTreeSet<LiveName>,
    lost: Lost,
    batch: &mut Batch,
) -> Result<(), WriteError> {
    let kept = drop_layers(store, lives, lost, batch)?;
    for action in store.actions()? {
        if action.layer.is_some_and(|layer| !kept.contains(&layer)) {
            batch.remove_action(&action.key);
        }
    }
    for (name, descriptor) in store.list_refs()? {
        if store.document(&descriptor.digest)?.is_none() {
            tracing::warn!(name, "dropping a ref that a crash cut off from its image");
            batch.remove_ref(&name);
        }
    }
    Ok(())
}

/// Drops records of layers whose files are nowhere, and says which have theirs.
fn drop_layers(
    store: &Store,
    lives: &BTreeSet<LiveName>,
    lost: Lost,
    batch: &mut Batch,
) -> Result<BTreeSet<LayerId>, WriteError> {
    let (mut whole, mut kept, mut gone) = (BTreeSet::new(), Vec::new(), Vec::new());
    for mut record in store.layers()? {
        let before = record.clone();
        record.live = record.live.filter(|live| !lives.contains(live));
        if lost == Lost::None && record.live == before.live && !is_pulled(&record) {
            whole.insert(record.id);
            kept.push(record);
            continue;
        }
        if let Some(tree) = record.tree
            && store.tree(&tree)?.is_none()
        {
            record.tree = None;
            if record.is_made_here() {
                // Whoever needs it takes its files from the directory, and finds out again.
                (record.diff_id, record.tar_size) = (None, None);
                record.blobs.clear();
            }
        }
        if has_content(store, &record)? {
            whole.insert(record.id);
        } else if record.origins.is_empty() {
            gone.push(record);
            continue;
        } else {
            // It is fetched again by whoever needs it.
            (record.tree, record.live) = (None, None);
        }
        if record != before {
            batch.put_layer(&record);
        }
        kept.push(record);
    }
    batch.remove_layers(store.journal(), &gone, &kept);
    Ok(whole)
}

/// Whether the layer may need a blob that came from elsewhere. Its name is synced before a durable
/// commit counts on it, not before a relaxed one.
fn is_pulled(record: &LayerRecord) -> bool {
    record.blobs.iter().any(|blob| blob.codec.is_empty())
}

/// Whether the layer's files can still be had from something.
fn has_content(store: &Store, record: &LayerRecord) -> Result<bool, ReadError> {
    if record.live.is_some() {
        return Ok(true);
    }
    if closure::has_blob(store, record)? {
        return Ok(true);
    }
    match &record.tree {
        Some(tree) => closure::is_complete(store, tree),
        None => Ok(false),
    }
}
