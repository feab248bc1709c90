//! `wythe cache export` and `wythe cache import`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wythe_builder::environment::Clock as _;
use wythe_builder::mount_identity::local_identity;
use wythe_cache::layout_archive;
use wythe_cache::local::LocalCache;
use wythe_cache::mount_upload::{MountUpload, WantedMount};
use wythe_cache::upload::UPLOAD_TIME;
use wythe_store::cache_mount::shelf::{CacheMount, Removal};
use wythe_store::cache_mount::{CacheSpec, Company};
use wythe_store::id::CacheKey;
use wythe_store::lease::Lease;
use wythe_store::patience::Patience;
use wythe_store::portable_mount::PortableMount;
use wythe_store::portable_mount::restore::restore;

use super::{chosen, shown};
use crate::args::cache_mounts::{CacheExportArgs, CacheImportArgs};
use crate::failure::{Class, Failure};
use crate::host::{self, SystemClock};
use crate::render::quantity::Bytes;
use crate::session::Session;

/// The tag under which mounts lie, as for `--cache-to type=local`.
const TAG: &str = "latest";
/// The mode of a mount's directory until it has the one that was saved.
const MODE: u32 = 0o755;

/// Saves mounts.
pub(super) fn export(args: &CacheExportArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store()?;
    let lease = store.lease()?;
    let mounts = chosen((&args.mounts, args.all), &store)?;
    let archive = is_archive(&args.output).then(|| lease.work_dir().join("layout"));
    let directory = archive.as_deref().unwrap_or(&args.output);
    let wanted: Vec<WantedMount> = mounts
        .into_iter()
        .map(|one| {
            let (mount, label, platform) = (one.mount, one.label, one.platform);
            WantedMount { mount, label, platform }
        })
        .collect();
    let idmap = host::id_map();
    let upload = MountUpload {
        lease: &lease,
        backend: Arc::new(LocalCache::new(directory, TAG)),
        idmap: idmap.as_bytes(),
        now: SystemClock.now(),
        patience: Patience::of(UPLOAD_TIME),
    };
    let uploaded = host::threads()?.install(|| upload.run(&wanted));
    let uploaded = uploaded.map_err(|error| Failure::of(Class::Environment, &error))?;
    for label in &uploaded.busy {
        session.remark(&format!("cache mount {label} is in use, and was not saved"));
    }
    for label in &uploaded.absent {
        session.remark(&format!(
            "cache mount {label} has to be used by a step before it can be saved"
        ));
    }
    if archive.is_some() && directory.is_dir() {
        write_archive(directory, &args.output).map_err(|error| at(&args.output, &error))?;
    }
    let mut lines = uploaded.sent.iter().map(|(label, sent)| shown(label, *sent));
    lines.try_for_each(|line| session.print(&line))
}

fn write_archive(directory: &Path, path: &Path) -> std::io::Result<()> {
    let staged = path.with_extension("tar.part");
    let written = layout_archive::write(directory, File::create(&staged)?);
    if let Err(error) = written.and_then(|()| fs::rename(&staged, path)) {
        // What is left of it is no archive.
        let _ = fs::remove_file(&staged);
        return Err(error);
    }
    Ok(())
}

/// Restores mounts.
pub(super) fn import(args: &CacheImportArgs, session: &Session) -> Result<(), Failure> {
    let store = session.store()?;
    let lease = store.lease()?;
    let unpacked: PathBuf;
    let directory = if args.input.is_dir() {
        &args.input
    } else {
        unpacked = lease.work_dir().join("layout");
        let opened = File::open(&args.input).map_err(|error| at(&args.input, &error))?;
        layout_archive::unpack(opened, &unpacked).map_err(|error| at(&args.input, &error))?;
        &unpacked
    };
    let cache = LocalCache::new(directory, TAG);
    let saved = cache.mounts().map_err(|error| Failure::of(Class::Environment, &error))?;
    for id in &args.mounts {
        if !saved.iter().any(|one| one.label == *id) {
            let detail = format!("{} has no cache mount {id:?}", args.input.display());
            return Err(Failure::usage(detail));
        }
    }
    if saved.is_empty() {
        return Err(Failure::usage(format!("{} has no cache mounts", args.input.display())));
    }
    let is_wanted =
        |one: &&PortableMount| args.mounts.is_empty() || args.mounts.contains(&one.label);
    for mount in saved.iter().filter(is_wanted) {
        put(&lease, (mount, &cache), args, session)?;
    }
    Ok(())
}

fn put(
    lease: &Lease,
    (mount, cache): (&PortableMount, &LocalCache),
    args: &CacheImportArgs,
    session: &Session,
) -> Result<(), Failure> {
    let (store, label) = (lease.store(), &mount.label);
    let spec = CacheSpec {
        identity: local_identity(&mount.identity),
        portable: mount.identity.clone(),
        company: Company::Everybody,
        mode: MODE,
        label: label.clone(),
        platform: mount.platform.clone(),
        ..CacheSpec::default()
    };
    if args.replace.is_on() {
        let old = CacheMount { name: CacheKey::of(&spec.identity).to_string() };
        if store.remove_cache_mount(&old)? == Removal::InUse {
            return Err(Failure::usage(format!("cache mount {label} is in use")));
        }
    }
    let failed = |error| Failure::of(Class::Environment, &error);
    let Some(vacancy) = store.vacancy(&spec).map_err(failed)? else {
        session.remark(&format!("cache mount {label} is here, and stays: --replace replaces it"));
        return Ok(());
    };
    let notes = restore(cache, mount, (vacancy.path(), &|| true));
    let notes = notes.map_err(|error| Failure::of(Class::Damage, &error))?;
    vacancy.settle(&spec, &notes).map_err(failed)?;
    // It has been used now, and is not the first that a collection takes.
    drop(store.open_cache(&spec).map_err(failed)?);
    let PortableMount { files, bytes, .. } = mount;
    session.print(&format!("{label}: {files} files ({})", Bytes(*bytes)))
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

fn at(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Class::Environment, format!("{}: {error}", path.display()))
}
