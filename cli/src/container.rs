//! An image and a command as a step of the sandbox.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wythe_builder::ground::Ground;
use wythe_builder::owner::Owner;
use wythe_builder::user::{self, Accounts, run_identity};
use wythe_builder::view::View;
use wythe_sandbox::enter::admit;
use wythe_sandbox::step::{Access, Changes, Identity, Mount, MountSource, Network, Privileges};
use wythe_sandbox::{Step, chroot, stacks_layers};
use wythe_store::image::catalog::StoredImage;
use wythe_store::image::rootfs::rootfs;
use wythe_store::layer::import::layer_id;
use wythe_store::lease::Lease;
use wythe_store::live::correction::correction;
use wythe_store::live::ensure::{ensure, ensure_announced};
use wythe_store::live::scratch::scratch;
use wythe_store::live::stack::{KnownRoots, Placed, Stack};
use wythe_store::live::whole::WholeRoot;
use wythe_store::tree::merge::merge_all;
use wythe_store::tree::unnamed::has_unnamed;

use crate::args::build::NetworkArg;
use crate::args::container::Volume;
use crate::args::image::RunImageArgs;
use crate::args::isolation::SnapshotterArg;
use crate::args::key_value::KeyValue;
use crate::args::limits::Size;
use crate::failure::{Class, Failure};
use crate::host;
use crate::settings::Settings;

/// What is run, and on what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) image: &'a StoredImage,
    pub(crate) args: &'a RunImageArgs,
    pub(crate) settings: &'a Settings,
}

impl Container<'_> {
    /// The step, and what it runs on, which is to stay until it has ended.
    pub(crate) fn step(self) -> Result<(Step, Ground), Failure> {
        let ground = self.ground()?;
        let lowers = ground.shown();
        let user = self.user(&lowers)?;
        let identity = Identity { uid: user.uid, gid: user.gid, groups: user.groups };
        admit(&identity, &format!("running as {}:{}", user.uid, user.gid))?;
        let run = &self.image.config.value().config;
        let directory = self.args.workdir.as_deref().unwrap_or(&run.working_dir);
        let directory = if directory.is_empty() { "/" } else { directory };
        // As with docker, a directory that is missing is root's, whoever runs there.
        let root = Owner { uid: 0, gid: 0 };
        let shown = ground.shown();
        ground
            .recreate(&View::new(&shown), (directory, root), host::id_map().as_bytes())
            .map_err(|error| Failure::of(Class::Usage, &error))?;
        let mut step = Step::new(ground.root_fs(), self.argv()?);
        step.cwd = directory.into();
        step.env = self.environment(&String::from_utf8_lossy(&user.home))?;
        step.identity = identity;
        let words = step.argv.iter().filter_map(|word| std::str::from_utf8(word).ok());
        step.privileges = Privileges::of_words(words);
        step.network = match self.args.network {
            NetworkArg::Default | NetworkArg::Host => Network::Host,
            NetworkArg::None => Network::None,
        };
        self.furnish(&mut step)?;
        Ok((step, ground))
    }

    /// What surrounds the command, and how much it may take of the machine.
    fn furnish(self, step: &mut Step) -> Result<(), Failure> {
        let docker = &self.args.docker;
        step.mounts = self.mounts()?;
        if let Some(name) = &docker.hostname {
            step.hostname.clone_from(name);
        }
        let is_frozen = docker.read_only.is_on();
        step.changes = if is_frozen { Changes::Forbidden } else { Changes::Forgotten };
        let quota = &self.args.steps.quota;
        (step.quota, step.timeout) = (quota.quota(), quota.timeout());
        let surroundings = &docker.surroundings;
        step.limits.extend(surroundings.limits());
        step.shm_size = surroundings.shm_size().unwrap_or(step.shm_size);
        step.resolv_conf = host::resolv_conf();
        for entry in surroundings.hosts()? {
            step.hosts_file.extend_from_slice(entry.line().as_bytes());
        }
        Ok(())
    }

    /// Layers where the kernel stacks them, and else a directory with all files.
    fn ground(self) -> Result<Ground, Failure> {
        let asked = self.args.steps.snapshotter;
        let can_stack = !chroot::is_settled() && stacks_layers(&self.lease.work_dir());
        if asked == SnapshotterArg::Overlayfs && !can_stack {
            let text =
                "--snapshotter=overlayfs needs a kernel that stacks the layers of this store";
            let failure = Failure::new(Class::Environment, text);
            return Err(failure.remedy("leave it out: files are copied"));
        }
        if can_stack && asked != SnapshotterArg::Native {
            let lowers = self.directories()?;
            let area = scratch(self.lease, &lowers, host::id_map().as_bytes())?;
            return Ok(Ground::Layers { lowers, area });
        }
        let files = Arc::new(rootfs(self.lease, self.image)?);
        let whole = WholeRoot::make(self.lease, files);
        Ok(Ground::Whole(whole.map_err(|error| Failure::of(Class::Environment, &error))?))
    }

    /// What of this machine the command sees, and what is empty.
    fn mounts(self) -> Result<Vec<Mount>, Failure> {
        if chroot::is_settled() && self.args.docker.volumes().next().is_some() {
            // Without mounts it would have to be moved there, where it goes with the store if this is killed.
            let text = "--volume needs user namespaces, which this container does not allow";
            return Err(Failure::new(Class::Environment, text)
                .remedy("build an image with COPY, and take files out with `wythe cp`"));
        }
        let mut mounts = Vec::new();
        for Volume { source, target, writes } in self.args.docker.volumes() {
            let path = source.canonicalize().map_err(|error| {
                Failure::usage(format!("cannot show {}", source.display())).because(&error)
            })?;
            let access = if writes.is_on() { Access::ReadWrite } else { Access::ReadOnly };
            let source = MountSource::Bind { path, subpath: Vec::new(), access };
            mounts.push(Mount { target: target.clone().into_bytes(), source });
        }
        for text in self.args.docker.in_memory() {
            let (target, options) = text.split_once(':').unwrap_or((text, ""));
            let mut size = None;
            for option in options.split(',').filter(|option| !option.is_empty()) {
                let Some(bytes) = option.strip_prefix("size=") else {
                    return Err(Failure::usage(format!("--tmpfs has no option {option:?}"))
                        .remedy("size=SIZE is the only one"));
                };
                let bytes: Size =
                    bytes.parse().map_err(|error| Failure::of(Class::Usage, &error))?;
                size = Some(bytes.0);
            }
            let source = MountSource::Tmpfs { size, mode: TMPFS_MODE };
            mounts.push(Mount { target: target.as_bytes().to_vec(), source });
        }
        Ok(mounts)
    }

    /// The directory of every layer, bottom first.
    fn directories(self) -> Result<Vec<PathBuf>, Failure> {
        let (lease, idmap) = (self.lease, host::id_map());
        let layers = &self.image.manifest.value().layers;
        let roots = KnownRoots::default();
        let (mut stack, mut trees) = (Stack::new(lease, idmap.as_bytes(), &roots), Vec::new());
        for (descriptor, diff_id) in layers.iter().zip(&self.image.config.value().rootfs.diff_ids) {
            let directory = match lease.store().layer_of_diff(diff_id)? {
                Some(record) => ensure(lease, &record.id, idmap.as_bytes())?,
                None => ensure_announced(lease, (descriptor, diff_id), idmap.as_bytes())?,
            };
            let record = lease.store().layer_of_diff(diff_id)?;
            let layer = record.as_ref().map_or_else(|| layer_id(diff_id), |record| record.id);
            stack.push(Placed { layer, directory })?;
            let tree = record.and_then(|record| record.tree).map(|id| lease.store().tree(&id));
            trees.push(tree.transpose()?.flatten().unwrap_or_default());
            let Some((tree, below)) = trees.split_last().filter(|(_, below)| !below.is_empty())
            else {
                continue;
            };
            if has_unnamed(&tree.children)
                && let Some(correction) =
                    correction(lease, idmap.as_bytes(), (tree, &merge_all(below)))?
            {
                stack.push(correction)?;
            }
        }
        Ok(stack.finish()?)
    }

    /// The entry point and the command, as docker combines them.
    fn argv(self) -> Result<Vec<Vec<u8>>, Failure> {
        let run = &self.image.config.value().config;
        let mut words = match &self.args.entrypoint {
            Some(program) => vec![program.clone()],
            None => run.entrypoint.clone(),
        };
        let command = self.args.command();
        let replaced = !command.is_empty() || self.args.entrypoint.is_some();
        words.extend_from_slice(if replaced { command } else { &run.cmd });
        if words.is_empty() {
            return Err(
                Failure::usage("the image has no command").remedy("give one after its name")
            );
        }
        Ok(words.into_iter().map(String::into_bytes).collect())
    }

    /// The environment of the image, and over it that of the flags; a flag that gives a name alone
    /// means what the caller has under it, and takes it away where the caller has nothing.
    fn environment(self, home: &str) -> Result<Variables, Failure> {
        let of_image = self.image.config.value().config.env.iter();
        let of_image = of_image.filter_map(|pair| pair.split_once('='));
        let usual = [("PATH", DEFAULT_PATH), ("HOME", home)];
        let usual = usual.into_iter().chain(of_image);
        let usual = usual.map(|(key, value)| (key, Some(value.as_bytes())));
        let of_files = self.args.docker.env_file.iter().map(|path| variables(path));
        let of_files = of_files.collect::<Result<Vec<_>, _>>()?;
        let given = of_files.iter().flatten().chain(&self.args.env);
        let given = given.map(|KeyValue { key, value }| {
            let own = || self.settings.raw(key).map(OsStr::as_bytes);
            (key.as_str(), value.as_deref().map(str::as_bytes).or_else(own))
        });
        let mut found: Vec<(&str, &[u8])> = Vec::new();
        for (key, value) in usual.chain(given) {
            found.retain(|(known, _)| *known != key);
            found.extend(value.map(|value| (key, value)));
        }
        Ok(found.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// Who runs it, looked up in the files of the image.
    fn user(self, lowers: &[PathBuf]) -> Result<user::Identity, Failure> {
        let user = self.args.user.as_deref().unwrap_or(&self.image.config.value().config.user);
        let file = |path| {
            let bytes = View::new(lowers).small_file(path);
            bytes.map_err(|error| Failure::of(Class::Usage, &error))
        };
        let (passwd, group) = (file("/etc/passwd")?, file("/etc/group")?);
        let accounts = Accounts { passwd: passwd.as_deref(), group: group.as_deref() };
        run_identity(user, accounts).map_err(|error| Failure::of(Class::Usage, &error))
    }
}

/// Variables and their values.
type Variables = Vec<(Vec<u8>, Vec<u8>)>;

/// The mode of an empty directory in memory, as docker has it.
const TMPFS_MODE: u32 = 0o1777;

/// The variables of a file: a line for each, as docker reads it, where quotes mean nothing.
fn variables(path: &Path) -> Result<Vec<KeyValue>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read {}", path.display())).because(&error)
    })?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let variable = |line: &str| {
        line.parse::<KeyValue>().map_err(|error| {
            Failure::usage(format!("cannot read {}: {line:?}", path.display())).because(&error)
        })
    };
    lines.map(variable).collect()
}

/// Where programs are looked for if the image does not say, as docker has it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
