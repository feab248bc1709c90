//! The cache mounts of a build, saved where `--cache-to` says so.

use std::sync::Arc;

use rayon::ThreadPool;
use wythe_builder::built::Built;
use wythe_builder::caches::Caches;
use wythe_builder::environment::Clock as _;
use wythe_builder::mount_identity::local_identity;
use wythe_cache::mount_upload::{MountUpload, MountUploadError, UploadedMounts, WantedMount};
use wythe_store::cache_backend::CacheBackend;
use wythe_store::cache_mount::shelf::CacheMount;
use wythe_store::id::CacheKey;
use wythe_store::lease::Lease;
use wythe_store::patience::Patience;
use wythe_store::portable_mount::PortableMount;

use crate::args::cache::SavedMounts;
use crate::command::cache::shown;
use crate::host::{self, SystemClock};
use crate::render::quantity::Bytes;
use crate::session::Session;

/// What was built, and what is needed to save what it left.
#[derive(Clone, Copy)]
pub(in crate::command::build) struct MountsToSave<'a> {
    pub(in crate::command::build) built: &'a Built,
    pub(in crate::command::build) lease: &'a Lease,
    pub(in crate::command::build) pool: &'a ThreadPool,
}

/// Says which mounts were restored.
pub(in crate::command::build) fn tell_restored(caches: &Caches, session: &Session) {
    for (name, PortableMount { label, files, bytes, .. }) in caches.restored_mounts() {
        let size = Bytes(bytes);
        session.remark(&format!("cache {name}: mount {label} restored, {files} files ({size})"));
    }
}

/// Sends a cache what steps that ran have left in the mounts that it wants.
pub(super) fn save(
    (mounts, patience): (&SavedMounts, &Patience),
    backend: Arc<dyn CacheBackend>,
    what: MountsToSave<'_>,
    session: &Session,
) -> Result<UploadedMounts, MountUploadError> {
    let MountsToSave { built, lease, pool } = what;
    if let SavedMounts::Named(ids) = mounts {
        for id in ids.iter().filter(|id| !built.mounts.iter().any(|mount| mount.id == **id)) {
            session.remark(&format!("no step mounts the cache {id}: it was not saved"));
        }
    }
    let used = built.mounts.iter().filter(|mount| mount.was_used && mounts.has(&mount.id));
    let wanted: Vec<WantedMount> = used
        .map(|mount| WantedMount {
            mount: CacheMount { name: CacheKey::of(&local_identity(&mount.identity)).to_string() },
            label: mount.id.clone(),
            platform: mount.platform.clone(),
        })
        .collect();
    // Nothing has changed in the others.
    if wanted.is_empty() {
        return Ok(UploadedMounts::default());
    }
    let (idmap, now) = (host::id_map(), SystemClock.now());
    let patience = patience.clone();
    let upload = MountUpload { lease, backend, idmap: idmap.as_bytes(), now, patience };
    pool.install(|| upload.run(&wanted))
}

/// Says what became of mounts that were to be saved.
pub(super) fn tell_saved(cache: &dyn CacheBackend, saved: &UploadedMounts, session: &Session) {
    let name = cache.name();
    for (label, sent) in &saved.sent {
        session.remark(&format!("cache {name}: mount {}", shown(label, *sent)));
    }
    for label in &saved.busy {
        session.remark(&format!("cache mount {label} is in use, and was not saved"));
    }
}
