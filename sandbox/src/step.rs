//! A build step as a value: what to run, on which root, as whom, with which mounts.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use crate::mounted_layers::MountedLayers;
use crate::network::OwnNetwork;
pub use crate::quota::Quota;

/// Everything [`run`](crate::run) needs to know about one command.
#[derive(Clone, Debug)]
pub struct Step {
    /// What the command sees, and where its changes go.
    pub root: RootFs,
    /// The command; the first word is looked up in the `PATH` of `env` when it has no slash.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Working directory, an absolute path in the root that exists.
    pub cwd: Vec<u8>,
    /// Numeric identity of the command.
    pub identity: Identity,
    /// What `hostname` prints.
    pub hostname: String,
    /// What the command can reach.
    pub network: Network,
    /// How much of the sandbox is taken down.
    pub security: Security,
    /// Whether programs of the step gain privileges, as those of other users do.
    pub privileges: Privileges,
    /// Mounts in the order they were asked for; a later one may lie inside or on an earlier one.
    pub mounts: Vec<Mount>,
    /// The text of `/etc/hosts`.
    pub hosts_file: Vec<u8>,
    /// The text of `/etc/resolv.conf`, unless there is no network: then it is empty.
    pub resolv_conf: Vec<u8>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// Resource limits beyond the defaults (no core files, 1024 open files).
    pub limits: Vec<Limit>,
    /// How much of the machine all its processes have together.
    pub quota: Quota,
    /// How the kernel is told layers; as it likes best, if nothing is said.
    pub stacking: Option<Stacking>,
    /// The lowest layers of the root as one, where that is mounted. Others than those of the root are
    /// not looked at.
    pub mounted: Option<Arc<MountedLayers>>,
    /// What the standard streams of the command are.
    pub streams: Streams,
    /// What becomes of the changes.
    pub changes: Changes,
    /// What programs of the step see of devices that are not this machine's.
    pub devices: Devices,
    /// Device nodes that the step makes are kept as plain files with this extended attribute,
    /// whose value is `c MAJOR:MINOR` or `b MAJOR:MINOR`: no user namespace may make real ones. The
    /// directory of a layer has the attribute itself where such files are below.
    pub device_attribute: Vec<u8>,
    /// Where steps have [one id](crate::enter::has_one_id), files and directories that are not root's
    /// have this extended attribute, whose value is `UID:GID`. What is neither has the numbers
    /// as the first two words of the sets of a `security.capability` of version 2.
    pub owner_attribute: Vec<u8>,
    /// When the whole step is killed, if ever.
    pub timeout: Option<Duration>,
    /// How long a cancelled command that handles `SIGTERM` may take before it is killed.
    pub grace: Duration,
}

impl Step {
    /// A step with Docker's defaults: root, `/`, host network, 64 MiB of shared memory.
    pub fn new(root: RootFs, argv: Vec<Vec<u8>>) -> Self {
        Self {
            root,
            argv,
            env: Vec::new(),
            cwd: b"/".to_vec(),
            identity: Identity::default(),
            hostname: "buildkitsandbox".to_owned(),
            network: Network::Host,
            security: Security::Sandbox,
            privileges: Privileges::Gained,
            mounts: Vec::new(),
            hosts_file: DEFAULT_HOSTS.to_vec(),
            resolv_conf: Vec::new(),
            shm_size: DEFAULT_SHM_SIZE,
            limits: Vec::new(),
            quota: Quota::default(),
            stacking: None,
            mounted: None,
            streams: Streams::Delivered,
            changes: Changes::Kept,
            devices: Devices::Hidden,
            device_attribute: DEVICE_ATTRIBUTE.to_vec(),
            owner_attribute: OWNER_ATTRIBUTE.to_vec(),
            timeout: None,
            grace: DEFAULT_GRACE,
        }
    }
}

impl Step {
    /// Whether other steps may be at what it mounts.
    pub(crate) fn shares(&self) -> bool {
        let is_shared = |mount: &Mount| {
            matches!(mount.source, MountSource::Bind { access: Access::Shared, .. })
        };
        self.mounts.iter().any(is_shared)
    }
}

/// How the kernel is told the layers of a root or a mount.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stacking {
    /// One after the other (Linux 6.7).
    #[default]
    OneByOne,
    /// All in one list.
    AtOnce,
}

/// What the standard streams of a command are.
#[derive(Clone, Debug, Default)]
pub enum Streams {
    /// It reads nothing, and what it prints is delivered.
    #[default]
    Delivered,
    /// It reads what this program would read, and what it prints is delivered.
    Fed,
    /// All three are this terminal, which becomes that of its session. Nothing is delivered.
    Terminal(Arc<OwnedFd>),
}

/// What programs see of files that stand for devices.
///
/// Where a layer below has such files, they are always shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Devices {
    /// Devices. Every look at a file by its name takes the builder's time.
    Shown,
    /// Plain files.
    Hidden,
    /// There should be none: the first one that is made ends the step with
    /// [`Outcome::MadeDevice`](crate::Outcome::MadeDevice).
    Awaited,
}

/// What becomes of what a step changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changes {
    /// It becomes a layer: nothing may change it once the step has ended well.
    Kept,
    /// There is none: only what is mounted in the root can be changed.
    Forbidden,
    /// It is thrown away.
    Forgotten,
}

/// The file system of a step.
#[derive(Clone, Debug)]
pub enum RootFs {
    /// Layers, and where changes go.
    Layers {
        /// Layer directories, bottom first. May be empty: then the root is an empty image.
        lowers: Vec<PathBuf>,
        /// Where the changes of the step are collected.
        scratch: Scratch,
    },
    /// A directory with all files, that nobody else uses and the step changes.
    Whole(PathBuf),
}

impl RootFs {
    /// The directory where the changes of the step are.
    pub fn changed(&self) -> &Path {
        match self {
            Self::Layers { scratch, .. } => &scratch.upper,
            Self::Whole(directory) => directory,
        }
    }

    /// The directories whose files the step sees, bottom first, but for its own changes.
    pub(crate) fn shown(&self) -> &[PathBuf] {
        match self {
            Self::Layers { lowers, .. } => lowers,
            Self::Whole(directory) => slice::from_ref(directory),
        }
    }

    /// Where the changes of the step are collected, if that is apart from what it sees.
    pub fn scratch_mut(&mut self) -> Option<&mut Scratch> {
        match self {
            Self::Layers { scratch, .. } => Some(scratch),
            Self::Whole(_) => None,
        }
    }
}

/// The two directories an overlay writes to. Both exist, lie on one file system, and `work` is
/// used once.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// Takes the changes.
    pub upper: PathBuf,
    /// For the kernel alone.
    pub work: PathBuf,
}

/// Who the command is, in numbers of the namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All supplementary groups.
    pub groups: Vec<u32>,
}

/// What a step can reach.
#[derive(Clone, Debug)]
pub enum Network {
    /// The network of the machine.
    Host,
    /// Nothing but its own loopback device.
    None,
    /// Nothing but what leads out of this network, or this program listens with on its loopback device.
    Own(Arc<OwnNetwork>),
}

/// How much of the sandbox stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// Docker's fourteen capabilities, its system call filter, masked `/proc` and `/sys`.
    Sandbox,
    /// Every capability of the namespace, no filter, no masks: `RUN --security=insecure`.
    Insecure,
}

/// Whether programs of a step gain privileges by set-user-ID bits and file capabilities.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Privileges {
    /// They do.
    Gained,
    /// They need not: where there are no namespaces they do not, and only then see a `/proc`.
    Kept,
}

impl Privileges {
    /// What a command needs, by its words: most gain none, and those that do name a program for that.
    pub fn of_words<'w>(mut words: impl Iterator<Item = &'w str>) -> Self {
        let gains = words.any(|word| GAINERS.iter().any(|gainer| word.contains(gainer)));
        if gains { Self::Gained } else { Self::Kept }
    }
}

/// One mount inside the root of a step.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Absolute path in the root. Links are followed inside the root; what is missing is made
    /// for the time of the step.
    pub target: Vec<u8>,
    /// What appears there.
    pub source: MountSource,
}

/// What a mount shows.
#[derive(Clone, Debug)]
pub enum MountSource {
    /// A directory or file of this machine.
    Bind {
        /// Where it is.
        path: PathBuf,
        /// Path below it, resolved as if `path` were the root; empty for `path` itself.
        subpath: Vec<u8>,
        /// Whether the step may write to it.
        access: Access,
    },
    /// A stack of layers, for binds from a stage, an image or a context.
    Layers {
        /// Layer directories, bottom first; at least one.
        lowers: Vec<PathBuf>,
        /// Where writes go; without it the mount is read-only.
        scratch: Option<Scratch>,
        /// Path inside the stack, resolved as if the stack were the root; empty for all of it.
        subpath: Vec<u8>,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Limit in bytes; the kernel's default when absent.
        size: Option<u64>,
        /// Mode of the directory.
        mode: u32,
    },
    /// A read-only file in memory that is never swapped.
    Secret {
        /// The value.
        bytes: Vec<u8>,
        /// Mode of the file.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

/// Whether a step may change what a mount shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Only look.
    ReadOnly,
    /// Change it for real.
    ReadWrite,
    /// Change it for real while other steps do, who reach none of the sockets that this one binds
    /// in it: those lie elsewhere, and a link leads there. Mounts below are not shown. With
    /// [`Security::Insecure`], or where [`supervises`](crate::enter::supervises) says no, nobody
    /// else may have it.
    Shared,
}

/// One resource limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// Which resource.
    pub resource: Resource,
    /// The limit that counts; `u64::MAX` for none.
    pub soft: u64,
    /// How far the step may raise it. Lowered to our own hard limit when that is smaller.
    pub hard: u64,
}

/// The resources of `setrlimit`, under the names of `--ulimit`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of setrlimit(2)")]
pub enum Resource {
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

impl Resource {
    /// All of them.
    const ALL: [Self; 15] = [
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Locks,
        Self::Memlock,
        Self::Msgqueue,
        Self::Nice,
        Self::Nofile,
        Self::Nproc,
        Self::Rss,
        Self::Rtprio,
        Self::Rttime,
        Self::Sigpending,
        Self::Stack,
    ];

    /// The resource `--ulimit` calls `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What `--ulimit` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Locks => "locks",
            Self::Memlock => "memlock",
            Self::Msgqueue => "msgqueue",
            Self::Nice => "nice",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Rss => "rss",
            Self::Rtprio => "rtprio",
            Self::Rttime => "rttime",
            Self::Sigpending => "sigpending",
            Self::Stack => "stack",
        }
    }
}

/// The attribute of files that are not root's, where nothing else is asked for.
const OWNER_ATTRIBUTE: &[u8] = b"user.wythe.owner";

/// The attribute of files that stand for devices, where nothing else is asked for.
const DEVICE_ATTRIBUTE: &[u8] = b"user.wythe.device";

/// Programs by which others than root become root.
const GAINERS: [&str; 3] = ["sudo", "doas", "pkexec"];

/// Docker's size of `/dev/shm`.
const DEFAULT_SHM_SIZE: u64 = 64 << 20;

/// Less than the ten seconds after which Docker and GitHub end whom they have asked to: what is left of them tidies up.
const DEFAULT_GRACE: Duration = Duration::from_secs(8);

const DEFAULT_HOSTS: &[u8] = b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimit_names_are_those_of_docker() {
        assert_eq!(Resource::parse("nofile"), Some(Resource::Nofile));
        assert_eq!(Resource::parse("NOFILE"), None);
        assert_eq!(Resource::parse("as"), None);
    }
}
