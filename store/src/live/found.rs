//! Which directories of layers are there, and whether they are what they were left as.

use std::path::PathBuf;

use crate::error::{At as _, ReadError};
use crate::id::LayerId;
use crate::journal::batch::Batch;
use crate::last_use::Used;
use crate::live_record::{FORM, LiveName, LiveRecord, Sync};
use crate::store::Store;

/// The directory of a layer if there is one: its owners written through `idmap`, and its files not
/// in doubt after a power cut.
///
/// # Errors
///
/// If a file of the store cannot be read, or is damaged.
pub fn find(store: &Store, layer: &LayerId, idmap: &[u8]) -> Result<Option<PathBuf>, ReadError> {
    let Some(record) = store.layer(layer)? else { return Ok(None) };
    if let Some(name) = &record.live
        && is_usable(store, name, layer, Some(idmap))?
    {
        store.note_use(&Used::Live(name));
        return Ok(Some(store.path().join(name.path())));
    }
    for (name, live) in store.lives()? {
        if live.layer == *layer && is_usable(store, &name, layer, Some(idmap))? {
            store.note_use(&Used::Live(&name));
            return Ok(Some(store.path().join(name.path())));
        }
    }
    Ok(None)
}

/// Whether a directory holds what its record says, and is as it was left. Which ids its owners have,
/// and in which form it is, matters only to those who name a mapping.
pub(crate) fn is_usable(
    store: &Store,
    name: &LiveName,
    layer: &LayerId,
    idmap: Option<&[u8]>,
) -> Result<bool, ReadError> {
    state(store, name, layer, idmap).map(|state| state == State::Left)
}

/// As [`is_usable`], for those who look at every byte themselves: it may have been changed.
pub(super) fn is_there(
    store: &Store,
    name: &LiveName,
    layer: &LayerId,
    idmap: Option<&[u8]>,
) -> Result<bool, ReadError> {
    let state = state(store, name, layer, idmap)?;
    Ok(matches!(state, State::Left | State::Changed))
}

/// How a directory is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// It is not one for whoever asks.
    Other,
    /// It is gone.
    Gone,
    /// Somebody has changed it, or it was put in the place of another.
    Changed,
    /// As it was left.
    Left,
}

fn state(
    store: &Store,
    name: &LiveName,
    layer: &LayerId,
    idmap: Option<&[u8]>,
) -> Result<State, ReadError> {
    let Some(live) = store.live(name)? else { return Ok(State::Other) };
    let safe = live.sync == Sync::Synced || live.boot == *store.journal().boot();
    let mapped = idmap.is_none_or(|idmap| live.idmap == idmap && live.form == FORM);
    if !safe || !mapped || store.is_doomed(&name.path()) || !is_of(store, (name, &live), layer)? {
        return Ok(State::Other);
    }
    now(store, name, &live)
}

/// Whether a directory is that of a layer, which may have got another name since.
fn is_of(
    store: &Store,
    (name, live): (&LiveName, &LiveRecord),
    layer: &LayerId,
) -> Result<bool, ReadError> {
    if live.layer == *layer {
        return Ok(true);
    }
    let had = store.layer(layer)?.filter(|had| had.live.as_ref() == Some(name));
    let Some(tree) = had.and_then(|had| had.tree) else { return Ok(false) };
    Ok(store.layer(&live.layer)?.is_some_and(|has| has.tree == Some(tree)))
}

fn now(store: &Store, name: &LiveName, live: &LiveRecord) -> Result<State, ReadError> {
    let (vfs, path) = (&**store.vfs(), name.path());
    let Some(noted) = vfs.noted(&path).reading(&path)? else { return Ok(State::Gone) };
    let stamp = live.stamp.map(|stamp| stamp.is_of(vfs, &noted));
    let is_left = stamp.transpose().reading(&path)?.unwrap_or(true);
    Ok(if is_left { State::Left } else { State::Changed })
}

/// Whether a directory is there as it was left.
pub(super) fn is_as_left(
    store: &Store,
    name: &LiveName,
    live: &LiveRecord,
) -> Result<bool, ReadError> {
    now(store, name, live).map(|state| state == State::Left)
}

/// Whether a layer that was made here can still be had: from its tree, or from its directory.
///
/// # Errors
///
/// If a file of the store cannot be read, or is damaged.
pub fn is_at_hand(store: &Store, layer: &LayerId, idmap: &[u8]) -> Result<bool, ReadError> {
    let Some(record) = store.layer(layer)? else { return Ok(false) };
    match &record.live {
        Some(name) if record.tree.is_none() => is_usable(store, name, layer, Some(idmap)),
        Some(_) | None => Ok(record.tree.is_some()),
    }
}

/// Forgets the directories of a layer that are not what they were. What uses one already keeps it:
/// the next collection takes it away that finds nobody at work.
pub(super) fn forget_changed(
    store: &Store,
    layer: &LayerId,
    idmap: &[u8],
    batch: &mut Batch,
) -> Result<(), ReadError> {
    for (name, live) in store.lives()? {
        if live.layer != *layer {
            continue;
        }
        let state = state(store, &name, layer, Some(idmap))?;
        if matches!(state, State::Gone | State::Changed) {
            tracing::warn!(directory = name.path(), "changed by somebody; it is made anew");
            batch.remove_live(&name);
        }
    }
    Ok(())
}
