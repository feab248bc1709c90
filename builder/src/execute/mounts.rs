//! The mounts of a step, made ready: layers unpacked, caches opened, secrets taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use wythe_dockerfile::mount::{self, Owner, Requirement, Sharing};
use wythe_sandbox::chroot;
use wythe_sandbox::enter::{self, admit};
use wythe_sandbox::step::{Access, Identity, Mount, MountSource, Scratch};
use wythe_store::cache_mount::{CacheError, CacheSpec, Company, Held, Origin};
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::live::materialise::unpack;
use wythe_store::live::owner::give;
use wythe_store::live::scratch::scratch;
use wythe_store::live::whole::WholeRoot;
use wythe_store::store::Store;
use wythe_store::tree::entry::{Directory, Metadata, Tree};

use super::Execution;
use super::agent::Relay;
use crate::copy::CopySpec;
use crate::copy::canvas::Canvas;
use crate::copy::error::Missing;
use crate::copy::place::place;
use crate::copy::select::{Item, select};
use crate::environment::Snapshotter;
use crate::error::{BuildCause, MountError};
use crate::mount_identity::{local_identity, portable_identity};
use crate::operation::FileSource;
use crate::operation::run::{CacheMount, MountKind, RunMount, RunStep, SecurityMode, cache_of};
use crate::root::Chain;
use crate::view::View;

/// The mode of a tmpfs's root: everybody may write, as in `/tmp`.
const TMPFS_MODE: u32 = 0o1777;

/// The mounts of one step, and what has to live as long as they do.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    /// In the order they were asked for.
    pub(crate) list: Vec<Mount>,
    /// Secrets as variables.
    pub(crate) variables: Vec<(Vec<u8>, Vec<u8>)>,
    /// The values that output must not show.
    pub(crate) secrets: Vec<Vec<u8>>,
    /// By the position of the mount. One cache that is mounted twice is held once.
    caches: BTreeMap<usize, Opened>,
    held: Vec<Held>,
    relays: Vec<Relay>,
    /// Directories of other stages and of contexts.
    wholes: Vec<WholeRoot>,
}

/// A cache that is open.
#[derive(Debug)]
struct Opened {
    path: PathBuf,
    origin: Origin,
    company: Company,
}

impl Mounts {
    /// Makes the mounts of a step ready.
    pub(crate) fn prepare(execution: &Execution<'_>, run: &RunStep) -> Result<Self, BuildCause> {
        for mount in &run.mounts {
            if let Some(Owner { uid, gid, .. }) = owner(&mount.kind) {
                let identity = Identity { uid, gid, groups: Vec::new() };
                admit(&identity, &format!("mounting {}", mount.target))?;
            }
        }
        let mut mounts = Self::default();
        mounts.open_caches(execution, run)?;
        for (position, mount) in run.mounts.iter().enumerate() {
            mounts.add(execution, position, mount)?;
        }
        Ok(mounts)
    }

    /// Opens all caches of a step, in the same order whatever the order of the mounts: two steps
    /// that want two caches alone would wait for each other. Where steps cannot be kept apart in a
    /// cache that they share, one has it at a time.
    fn open_caches(&mut self, execution: &Execution<'_>, run: &RunStep) -> Result<(), CacheError> {
        let store = execution.env.store;
        let mut wanted: Vec<(usize, CacheSpec)> = run
            .mounts
            .iter()
            .enumerate()
            .filter_map(|(position, mount)| Some((position, spec(cache_of(mount)?, run))))
            .collect();
        wanted.sort_by(|(_, one), (_, other)| one.identity.cmp(&other.identity));
        let is_apart = run.security == SecurityMode::Sandbox && enter::supervises();
        for (position, mut spec) in wanted {
            if spec.company == Company::Everybody && !is_apart {
                spec.company = Company::Nobody;
            }
            let (path, company) = (store.common_cache(&spec), spec.company);
            let again = self.caches.values().find(|opened| opened.path == path);
            if let Some(opened) = again.filter(|_| company != Company::Apart) {
                let (origin, company) = (Origin::Existing, opened.company);
                self.caches.insert(position, Opened { path, origin, company });
                continue;
            }
            execution.restore_cache(&spec)?;
            let held = store.open_cache(&spec)?;
            let (path, origin) = (held.path.clone(), held.origin);
            self.caches.insert(position, Opened { path, origin, company });
            self.held.push(held);
        }
        Ok(())
    }

    fn add(
        &mut self,
        execution: &Execution<'_>,
        position: usize,
        mount: &RunMount,
    ) -> Result<(), BuildCause> {
        let source = match &mount.kind {
            MountKind::Bind { from, path, access } => {
                Some(self.bind(execution, (from, path), *access)?)
            }
            MountKind::Cache(cache) => self.cache(execution, position, cache)?,
            MountKind::Tmpfs { size } => Some(MountSource::Tmpfs { size: *size, mode: TMPFS_MODE }),
            MountKind::Secret { id, required, owner } => {
                self.secret(execution, id, *required)?.map(|bytes| file(bytes, *owner))
            }
            MountKind::SecretVariable { id, required, name } => {
                // One that is not given is empty: shells with `set -u` go on.
                let bytes = self.secret(execution, id, *required)?.unwrap_or_default();
                self.variables.push((name.clone().into_bytes(), bytes));
                None
            }
            MountKind::Ssh { id, required, owner } => {
                // Programs are told where an agent would be; without one they find nothing there.
                let path = mount.target.clone().into_bytes();
                self.variables.push((b"SSH_AUTH_SOCK".to_vec(), path));
                self.agent(execution, id, (*required, *owner))?
            }
        };
        let target = mount.target.clone().into_bytes();
        self.list.extend(source.map(|source| Mount { target, source }));
        Ok(())
    }

    fn bind(
        &mut self,
        execution: &Execution<'_>,
        (from, path): (&FileSource, &str),
        access: mount::Access,
    ) -> Result<MountSource, BuildCause> {
        let chain = chain_of(execution, (from, path))?;
        if execution.roots.snapshotter() == Snapshotter::Native {
            let (whole, subpath) = copied(execution, &chain, path)?;
            let directory = whole.path().to_owned();
            self.wholes.push(whole);
            let access = match access {
                // Nobody keeps a step from writing there, and what it writes is lost.
                mount::Access::ReadOnly if !chroot::is_settled() => Access::ReadOnly,
                mount::Access::ReadOnly | mount::Access::ReadWrite => Access::ReadWrite,
            };
            return Ok(MountSource::Bind { path: directory, subpath, access });
        }
        let (lowers, subpath) = (execution.roots.directories(&chain)?, path.as_bytes().to_vec());
        seek(&lowers, path)?;
        let scratch = match access {
            mount::Access::ReadOnly => None,
            mount::Access::ReadWrite => {
                let area = scratch(execution.env.lease, &lowers, execution.env.idmap)?;
                Some(Scratch { upper: area.upper, work: area.work })
            }
        };
        Ok(MountSource::Layers { lowers, scratch, subpath })
    }

    fn agent(
        &mut self,
        execution: &Execution<'_>,
        id: &str,
        (required, owner): (Requirement, Owner),
    ) -> Result<Option<MountSource>, BuildCause> {
        let Some(socket) = execution.options.agents.get(id) else {
            return match required {
                Requirement::Required => Err(MountError::Ssh { id: id.to_owned() }.into()),
                Requirement::Optional => Ok(None),
            };
        };
        let name = format!("agent-{}-{}", execution.index, self.relays.len());
        let relay = Relay::open(&execution.env.lease.work_dir().join(name), socket, owner);
        let relay = relay.map_err(|error| MountError::Agent { id: id.to_owned(), error })?;
        let path = relay.path().to_owned();
        self.relays.push(relay);
        let (subpath, access) = (Vec::new(), Access::ReadWrite);
        Ok(Some(MountSource::Bind { path, subpath, access }))
    }

    fn secret(
        &mut self,
        execution: &Execution<'_>,
        id: &str,
        required: Requirement,
    ) -> Result<Option<Vec<u8>>, BuildCause> {
        match execution.options.secrets.get(id) {
            Some(secret) => {
                let bytes = secret.expose().to_vec();
                self.secrets.push(bytes.clone());
                Ok(Some(bytes))
            }
            None if required == Requirement::Required => {
                Err(MountError::Secret { id: id.to_owned() }.into())
            }
            None => Ok(None),
        }
    }

    fn cache(
        &mut self,
        execution: &Execution<'_>,
        position: usize,
        cache: &CacheMount,
    ) -> Result<Option<MountSource>, BuildCause> {
        let Some(Opened { path, origin, company }) = self.caches.remove(&position) else {
            return Ok(None);
        };
        if origin == Origin::Created && cache.from != FileSource::Nothing {
            fill(execution, cache, &path)?;
        }
        let access = match (cache.access, company) {
            (mount::Access::ReadOnly, _) => Access::ReadOnly,
            (mount::Access::ReadWrite, Company::Nobody | Company::Apart) => Access::ReadWrite,
            (mount::Access::ReadWrite, Company::Everybody) => Access::Shared,
        };
        Ok(Some(MountSource::Bind { path, subpath: Vec::new(), access }))
    }
}

/// The caches that a step mounts, by what makes them one.
pub(crate) fn cache_identities(run: &RunStep) -> impl Iterator<Item = Vec<u8>> {
    run.mounts.iter().filter_map(cache_of).map(identity)
}

/// Empties the caches that a step, which is to run as though it never had, has for itself alone. Those
/// that steps share are not its own, and `relied` are those that steps mount which are not to run so.
///
/// # Errors
///
/// The file system refuses.
pub(crate) fn clear_caches(
    store: &Store,
    run: &RunStep,
    relied: &BTreeSet<Vec<u8>>,
) -> Result<(), CacheError> {
    let own = run.mounts.iter().filter_map(cache_of).map(|cache| spec(cache, run));
    let mut own = own.filter(|spec| spec.company == Company::Apart);
    own.try_for_each(|spec| {
        if relied.contains(&spec.identity) { Ok(()) } else { store.clear_cache(&spec) }
    })
}

fn spec(cache: &CacheMount, run: &RunStep) -> CacheSpec {
    let Owner { uid, gid, mode } = cache.owner;
    let company = match cache.sharing {
        Sharing::Shared => Company::Everybody,
        Sharing::Locked => Company::Nobody,
        Sharing::Private => Company::Apart,
    };
    let (label, platform) = (cache.id.clone(), run.platform.to_string());
    let portable = portable_identity(cache);
    let identity = local_identity(&portable);
    CacheSpec { identity, portable, company, mode, uid, gid, label, platform }
}

fn identity(cache: &CacheMount) -> Vec<u8> {
    local_identity(&portable_identity(cache))
}

/// Puts the initial content into a new cache.
fn fill(execution: &Execution<'_>, cache: &CacheMount, into: &Path) -> Result<(), BuildCause> {
    let files = execution.files(&cache.from)?;
    let spec = CopySpec {
        sources: vec![format!("{}/", cache.path)],
        destination: "/".to_owned(),
        ..CopySpec::default()
    };
    let selection = select(&files, &spec)?;
    let tree = place(&selection, &Tree::default().children, &spec)?;
    let store = execution.env.store;
    unpack(&tree, (store, store.unpacking_threads()), into)?;
    // A directory that is named is what the cache begins as, owner and mode included.
    if let [Item::Contents { metadata: Some(own), .. }] = selection.items() {
        adopt(into, own).map_err(|cause| CacheError { path: into.into(), cause: cause.into() })?;
    }
    Ok(())
}

fn adopt(path: &Path, own: &Metadata) -> io::Result<()> {
    // Owner before mode: chown clears set-id bits.
    give(&File::open(path)?, own)?;
    fs::set_permissions(path, fs::Permissions::from_mode(own.mode))
}

/// The layers of what a mount shows.
fn chain_of(
    execution: &Execution<'_>,
    (from, path): (&FileSource, &str),
) -> Result<Chain, BuildCause> {
    if let FileSource::Input(position) = from {
        return Ok(execution.input(*position));
    }
    let files = execution.files(from)?;
    let spec = CopySpec { sources: vec![path.to_owned()], ..CopySpec::default() };
    select(&files, &spec).map_err(|error| execution.sources.explained(from, error))?;
    let mut batch = Batch::new();
    let layer = execution.keep(&files, &mut batch)?;
    execution.env.lease.commit(batch, Durability::Relaxed)?;
    Ok(vec![layer])
}

/// A directory with what a path leads to in a chain, and where in it that is: all of a root is copied only
/// where all of it is asked for.
fn copied(
    execution: &Execution<'_>,
    chain: &Chain,
    path: &str,
) -> Result<(WholeRoot, Vec<u8>), BuildCause> {
    let (roots, tree) = (execution.roots, execution.roots.tree(chain)?);
    let canvas = Canvas::over(tree.children.clone());
    let place = canvas.resolve(path.as_bytes()).map_err(|_| missing(path))?;
    if place.is_empty() {
        return Ok((roots.whole(chain)?, Vec::new()));
    }
    let entry = canvas.entry(&place).ok_or_else(|| missing(path))?.clone();
    let subpath = entry.name.to_vec();
    let children = Arc::new(Directory::from_entries(vec![entry]));
    Ok((roots.part(chain, Tree { root: None, children })?, subpath))
}

/// Refuses a path that leads nowhere in these layers.
fn seek(lowers: &[PathBuf], path: &str) -> Result<(), BuildCause> {
    let is_named = Path::new(path).components().any(|part| matches!(part, Component::Normal(_)));
    if is_named && View::new(lowers).resolve(path)?.file.is_none() {
        return Err(missing(path).into());
    }
    Ok(())
}

fn missing(path: &str) -> MountError {
    let within = Some("the source of the mount".to_owned());
    let missing = Missing { path: path.to_owned(), within, ..Missing::default() };
    MountError::Source(Box::new(missing))
}

/// Whose the file or directory is that a mount makes.
fn owner(kind: &MountKind) -> Option<Owner> {
    match kind {
        MountKind::Cache(CacheMount { owner, .. })
        | MountKind::Secret { owner, .. }
        | MountKind::Ssh { owner, .. } => Some(*owner),
        MountKind::Bind { .. } | MountKind::Tmpfs { .. } | MountKind::SecretVariable { .. } => None,
    }
}

fn file(bytes: Vec<u8>, owner: Owner) -> MountSource {
    MountSource::Secret { bytes, mode: owner.mode, uid: owner.uid, gid: owner.gid }
}
