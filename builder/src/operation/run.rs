//! `RUN` as a step.

use std::time::Duration;

use wythe_sandbox::step::{Limit, Quota};
use wythe_store::oci::platform::Platform;

use wythe_dockerfile::mount::{Access, Owner, Requirement, Sharing};

use super::FileSource;
use super::facts::Facts;
use crate::options::{HostEntry, NetworkMode};

/// What a `RUN` does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunStep {
    /// What the program is for: it may see a difference where nothing else is different.
    pub platform: Platform,
    /// The program and its arguments; a shell form has its shell in it.
    pub argv: Vec<String>,
    /// The environment, in order.
    pub env: Vec<(String, String)>,
    /// Proxies nobody declared: part of the environment, and of nothing else.
    pub proxies: Vec<(String, String)>,
    /// The absolute working directory.
    pub cwd: String,
    /// `USER`: name or number, with or without a group; root if empty.
    pub user: String,
    /// `--mount`, in order.
    pub mounts: Vec<RunMount>,
    /// Files that exist while the step runs.
    pub scripts: Vec<Script>,
    /// The network.
    pub network: NetworkMode,
    /// `--security`
    pub security: SecurityMode,
    /// Lines of `/etc/hosts`.
    pub hosts: Vec<HostEntry>,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// Limits.
    pub limits: Vec<Limit>,
    /// How much of the machine it may have: no part of what it is.
    pub quota: Quota,
    /// How long it may take: no part of what it is, either.
    pub timeout: Option<Duration>,
    /// The host name.
    pub hostname: String,
}

/// A heredoc that is run as a program of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Script {
    /// The absolute path.
    pub path: String,
    /// The content, which starts with `#!`.
    pub text: String,
}

/// The cache that a mount is of; `None` for other mounts.
pub fn cache_of(mount: &RunMount) -> Option<&CacheMount> {
    if let MountKind::Cache(cache) = &mount.kind { Some(cache) } else { None }
}

/// `--security`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SecurityMode {
    /// The ordinary one.
    #[default]
    Sandbox,
    /// All capabilities and no filter, which has to be allowed.
    Insecure,
}

/// A mount with its absolute target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunMount {
    /// The absolute path.
    pub target: String,
    /// What is mounted.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MountKind {
    /// Files of a context, a stage or an image.
    Bind {
        /// Where `path` is looked up.
        from: FileSource,
        /// The path there.
        path: String,
        /// Whether the step may write; what it writes is dropped.
        access: Access,
    },
    /// A directory that outlives the build.
    Cache(CacheMount),
    /// An empty file system in memory.
    Tmpfs {
        /// Its size in bytes.
        size: Option<u64>,
    },
    /// A secret as a file.
    Secret {
        /// Which.
        id: String,
        /// Whether the step fails without it.
        required: Requirement,
        /// Owner and mode of the file.
        owner: Owner,
    },
    /// A secret as a variable; the target is empty.
    SecretVariable {
        /// Which.
        id: String,
        /// Whether the step fails without it.
        required: Requirement,
        /// The variable.
        name: String,
    },
    /// The socket of an agent.
    Ssh {
        /// Which.
        id: String,
        /// Whether the step fails without it.
        required: Requirement,
        /// Owner and mode of the socket.
        owner: Owner,
    },
}

impl MountKind {
    /// The files that it begins with: where they are looked up, and the path there.
    pub fn files(&self) -> Option<(&FileSource, &str)> {
        match self {
            Self::Bind { from, path, .. } => Some((from, path)),
            Self::Cache(cache) => Some((&cache.from, &cache.path)),
            Self::Tmpfs { .. }
            | Self::Secret { .. }
            | Self::SecretVariable { .. }
            | Self::Ssh { .. } => None,
        }
    }
}

/// A directory that outlives the build.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CacheMount {
    /// What it is known by, with the namespace of the build.
    pub id: String,
    /// Who may use it at once.
    pub sharing: Sharing,
    /// What a new one starts with.
    pub from: FileSource,
    /// How the Dockerfile calls that, where it is a stage or an image.
    pub from_name: String,
    /// The path there.
    pub path: String,
    /// Owner and mode of a new one.
    pub owner: Owner,
    /// Whether the step may write.
    pub access: Access,
}

impl RunStep {
    pub(super) fn facts(&self, facts: &mut Facts) {
        facts.add("platform", &self.platform);
        facts.each("argument", &self.argv);
        facts.each("variable", &self.env);
        facts.add("directory", &self.cwd);
        facts.add("user", &self.user);
        for mount in &self.mounts {
            mount.facts(facts);
        }
        facts.each("script", self.scripts.iter().map(|script| &script.text));
        facts.add("network", self.network.name());
        facts.add("security", &self.security);
        facts.each("host", self.hosts.iter().map(|host| &host.name));
        facts.add("shared memory", &self.shm_size);
        facts.each("limit", &self.limits);
        facts.add("host name", &self.hostname);
    }
}

impl RunMount {
    /// Ids of caches and values of secrets are left out: another cache is only a colder one. Whether
    /// an optional secret is there is an input.
    fn facts(&self, facts: &mut Facts) {
        facts.add("mount", &self.target);
        match &self.kind {
            MountKind::Bind { from, path, access } => {
                facts.add("bind", &from.fact());
                facts.add("path", path);
                facts.add("access", access);
            }
            MountKind::Cache(cache) => cache.facts(facts),
            MountKind::Tmpfs { size: Some(size) } => facts.add("tmpfs", size),
            MountKind::Tmpfs { size: None } => facts.add("tmpfs", "unlimited"),
            MountKind::Secret { id, owner, .. } => {
                facts.add("secret", id);
                facts.owner(*owner);
            }
            MountKind::SecretVariable { id, name, .. } => {
                facts.add("secret", id);
                facts.add("secret variable", name);
            }
            MountKind::Ssh { id, owner, .. } => {
                facts.add("ssh", id);
                facts.owner(*owner);
            }
        }
    }
}

impl CacheMount {
    fn facts(&self, facts: &mut Facts) {
        facts.add("cache", &self.from.fact());
        facts.add("path", &self.path);
        facts.add("sharing", &self.sharing);
        facts.add("access", &self.access);
        facts.owner(self.owner);
    }
}
