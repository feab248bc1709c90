//! What is whole leaves what is damaged.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::{At, WriteError};
use crate::fsck::Depth;
use crate::fsck::damage::Damage;
use crate::fsck::repair::Repaired;
use crate::id::unhex;
use crate::journal::Durability;
use crate::journal::batch::{Batch, Table};
use crate::lease::Lease;
use crate::object::Kind;
use crate::pack::PackName;
use crate::pack::footer::Entry;
use crate::pack::reader::Pack;
use crate::vfs::Vfs;

/// Moves what is whole of each damaged pack to another one, then the pack out of the way.
pub(super) fn packs(lease: &Lease, done: &mut Vec<Repaired>) -> Result<(), WriteError> {
    let store = lease.store();
    let damaged: BTreeSet<String> =
        store.verify_packs(Depth::Full)?.into_iter().filter_map(path_of).collect();
    if damaged.is_empty() {
        return Ok(());
    }
    let mut told = Vec::new();
    for path in &damaged {
        let (n_kept, n_lost) = take_over(lease, path, &damaged)?;
        told.push(Repaired::Pack { path: path.clone(), n_kept, n_lost });
    }
    let replaced = replace(lease, &damaged)?;
    lease.commit(Batch::new(), Durability::Durable)?;
    let mut batch = Batch::new();
    for path in damaged.difference(&replaced) {
        set_aside(&**store.vfs(), path)?;
        batch.delete(Table::Condemned, path.as_bytes());
        if let Some(name) = path.strip_prefix("packs/").and_then(PackName::of_file) {
            // One of the same name may come again. It must not pass for synced, and whoever has relied on this one says
            // nothing more of it: with the row a power cut that takes it is seen.
            batch.put(Table::Packs, name.as_bytes(), store.journal().boot().to_vec());
        }
    }
    store.vfs().sync_dir("quarantine").writing("quarantine")?;
    store.vfs().sync_dir("packs").writing("packs")?;
    lease.commit(batch, Durability::Durable)?;
    store.packs().reload()?;
    done.extend(told);
    Ok(())
}

/// The pack that damage is of.
fn path_of(damage: Damage) -> Option<String> {
    match damage {
        Damage::Unreadable(error) => Some(error.path),
        Damage::Table { path } | Damage::WrongObject { path, .. } => Some(path),
        Damage::Blob { .. }
        | Damage::Journal { .. }
        | Damage::Record { .. }
        | Damage::Image(_)
        | Damage::MissingBodies { .. }
        | Damage::Directory { .. }
        | Damage::UnreadableDirectory { .. }
        | Damage::MissingTree { .. } => None,
    }
}

/// Stores what is whole of a damaged pack, unless a whole pack has it; says how much that is, and
/// how much is lost.
fn take_over(
    lease: &Lease,
    path: &str,
    damaged: &BTreeSet<String>,
) -> Result<(usize, usize), WriteError> {
    let store = lease.store();
    let opened = Pack::open(&**store.vfs(), path).ok().filter(Pack::table_is_intact);
    let by_table = opened.is_some();
    let pack = match opened {
        Some(pack) => pack,
        None => Pack::without_table(&**store.vfs(), path)?,
    };
    let (mut n_kept, mut n_lost) = (0, 0);
    for entry in pack.entries() {
        if is_elsewhere(lease, &entry, damaged)? {
            continue;
        }
        // Without a table, bytes of a file may look like a record of anything: only what proves
        // its own id counts. All else is made again.
        let proven = by_table
            || matches!(
                entry.name.kind,
                Kind::Body | Kind::Tree | Kind::Document | Kind::ChunkList
            );
        if proven && store.is_sound(&pack, &entry, Depth::Full).unwrap_or(false) {
            let bytes = pack.body(&entry)?;
            lease.writer().put_file(&entry.name, entry.encoding, &bytes)?;
            n_kept += 1;
        } else {
            n_lost += 1;
        }
    }
    Ok((n_kept, n_lost))
}

/// Whether a pack that stays has the object.
fn is_elsewhere(
    lease: &Lease,
    entry: &Entry,
    damaged: &BTreeSet<String>,
) -> Result<bool, WriteError> {
    let holders = lease.store().packs().holders(&entry.name)?;
    let stays = |pack: &&std::sync::Arc<Pack>| {
        let path = pack.name().path();
        let journal = lease.store().journal();
        !damaged.contains(&path) && !journal.contains(Table::Condemned, path.as_bytes())
    };
    Ok(holders.iter().any(|pack| stays(&pack)))
}

/// Where the very same objects make a pack of the same name, it takes the place of the damaged one.
fn replace(lease: &Lease, damaged: &BTreeSet<String>) -> Result<BTreeSet<String>, WriteError> {
    let (vfs, mut replaced) = (lease.store().vfs(), BTreeSet::new());
    for pack in lease.writer().finish()? {
        let path = pack.name().path();
        if damaged.contains(&path) {
            vfs.open(pack.path()).and_then(|file| file.sync()).writing(pack.path())?;
            vfs.replace(pack.path(), &path).writing(&path)?;
            replaced.insert(path);
        }
    }
    Ok(replaced)
}

/// Moves blobs whose bytes have changed out of the way.
pub(super) fn blobs(lease: &Lease, done: &mut Vec<Repaired>) -> Result<(), WriteError> {
    let store = lease.store();
    let mut any = false;
    for damage in store.verify_blobs(Depth::Full)? {
        let Some(digest) = blob_of(&damage) else { continue };
        set_aside(&**store.vfs(), &digest.blob_path())?;
        done.push(Repaired::Blob(digest));
        any = true;
    }
    if any {
        store.vfs().sync_dir("quarantine").writing("quarantine")?;
        store.vfs().sync_dir("blobs/sha256").writing("blobs/sha256")?;
    }
    Ok(())
}

/// The blob that damage is of.
fn blob_of(damage: &Damage) -> Option<Digest> {
    if let Damage::Blob { digest } = damage {
        return Some(*digest);
    }
    let Damage::Unreadable(error) = damage else { return None };
    error.path.strip_prefix("blobs/sha256/").and_then(unhex).map(Digest::from_bytes)
}

fn set_aside(vfs: &dyn Vfs, path: &str) -> Result<(), WriteError> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let aside = format!("quarantine/{name}");
    match vfs.replace(path, &aside) {
        // An earlier repair got this far.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        moved => moved.writing(&aside),
    }
}
