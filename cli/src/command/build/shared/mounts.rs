//! The cache mounts of a build, saved where `--cache-to` says so.

use std::error::Error;
use std::sync::Arc;

use rayon::ThreadPool;
use wythe_builder::built::Built;
use wythe_builder::caches::Caches;
use wythe_builder::environment::Clock as _;
use wythe_builder::mount_identity::local_identity;
use wythe_cache::mount_upload::{MountUpload, WantedMount};
use wythe_cache::signed::Trust;
use wythe_cache::upload::UPLOAD_TIME;
use wythe_registry::delivered::Delivered;
use wythe_store::cache_mount::shelf::CacheMount;
use wythe_store::id::CacheKey;
use wythe_store::lease::Lease;
use wythe_store::portable_mount::PortableMount;

use super::{OpenedCaches, trust};
use crate::args::build::BuildArgs;
use crate::args::cache::{CacheTo, OnError, SavedMounts};
use crate::command::cache::shown;
use crate::failure::{Class, Failure};
use crate::host::{self, SystemClock};
use crate::render::quantity::Bytes;
use crate::session::Session;

/// What is saved, and with what.
#[derive(Clone, Copy)]
pub(in crate::command::build) struct MountsToSave<'a> {
    pub(in crate::command::build) built: &'a Built,
    pub(in crate::command::build) lease: &'a Lease,
    pub(in crate::command::build) pool: &'a ThreadPool,
    pub(in crate::command::build) delivered: &'a Arc<Delivered>,
}

/// Says which mounts were restored.
pub(in crate::command::build) fn tell_restored(caches: &Caches, session: &Session) {
    for (name, PortableMount { label, files, bytes, .. }) in caches.restored_mounts() {
        let size = Bytes(bytes);
        session.remark(&format!("cache {name}: mount {label} restored, {files} files ({size})"));
    }
}

/// Saves what steps that ran have left in the mounts that caches want.
pub(in crate::command::build) fn save(
    targets: &[CacheTo],
    what: MountsToSave<'_>,
    args: &BuildArgs,
    session: &Session,
) -> Result<(), Failure> {
    let mut wanted = targets.iter().filter(|to| to.mounts != SavedMounts::Nothing);
    wanted.try_for_each(|to| {
        let trust = trust::of_writing(to.sign.as_ref(), &args.cache, &session.settings)?;
        save_to((to, &trust), what, session)
    })
}

/// That a cache cannot be written is a remark, unless it was asked to be more.
fn save_to(
    (to, trust): (&CacheTo, &Trust),
    what: MountsToSave<'_>,
    session: &Session,
) -> Result<(), Failure> {
    let MountsToSave { built, lease, pool, delivered } = what;
    if let SavedMounts::Named(ids) = &to.mounts {
        for id in ids.iter().filter(|id| !built.mounts.iter().any(|mount| mount.id == **id)) {
            session.remark(&format!("no step mounts the cache {id}: it was not saved"));
        }
    }
    let used = built.mounts.iter().filter(|mount| mount.was_used && to.mounts.has(&mount.id));
    let wanted: Vec<WantedMount> = used
        .map(|mount| WantedMount {
            mount: CacheMount { name: CacheKey::of(&local_identity(&mount.identity)).to_string() },
            label: mount.id.clone(),
            platform: mount.platform.clone(),
        })
        .collect();
    // Nothing has changed in the others.
    if wanted.is_empty() {
        return Ok(());
    }
    // Of its own: to the one that results went to nothing is put any more.
    let mut opened = OpenedCaches { delivered: delivered.clone(), ..OpenedCaches::default() };
    let Some(backend) = opened.open(&to.place, trust, session)? else { return Ok(()) };
    let name = backend.name().to_owned();
    let idmap = host::id_map();
    let (now, time) = (SystemClock.now(), to.time.unwrap_or(UPLOAD_TIME));
    let upload = MountUpload { lease, backend, idmap: idmap.as_bytes(), now, time };
    match pool.install(|| upload.run(&wanted)) {
        Ok(uploaded) => {
            for (label, sent) in &uploaded.sent {
                session.remark(&format!("cache {name}: mount {}", shown(label, *sent)));
            }
            for label in &uploaded.busy {
                session.remark(&format!("cache mount {label} is in use, and was not saved"));
            }
            Ok(())
        }
        Err(error) if to.on_error == OnError::Warn => {
            session.remark(&format!("cache mounts were not saved: {}", chain(&error)));
            Ok(())
        }
        Err(error) => Err(Failure::of(Class::Network, &error)),
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let (mut told, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}
