//! What a build is asked to do besides its Dockerfile, as plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wythe_sandbox::step::{Limit, Quota};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;

use crate::egress::EgressList;

/// How many steps run at once unless it is said otherwise: enough that eight stages that wait for
/// a network or a sleep overlap even on two processors.
pub const STEPS_AT_ONCE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// The host name of steps where nothing else is asked for; Dockerfiles in the wild rely on it.
pub const DEFAULT_HOSTNAME: &str = "buildkitsandbox";

/// The size of `/dev/shm` where nothing else is asked for, in bytes.
pub const DEFAULT_SHM_SIZE: u64 = 64 << 20;

/// The argument with the time of everything new.
pub const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The options of one build.
#[derive(Clone, Debug)]
pub struct Options {
    /// The stages to build, each an image of its own; the last stage if none is named.
    pub targets: Vec<String>,
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// What images are built for; the build's own platform if empty.
    pub platforms: Vec<Platform>,
    /// The platform the build runs on.
    pub build_platform: Platform,
    /// `--label`: applied after every instruction.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`: of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Which steps may be answered from the cache.
    pub cache: CachePolicy,
    /// What becomes of steps that the cache has no answer to.
    pub misses: Misses,
    /// Whether images carry records of their layers.
    pub inline_cache: InlineCache,
    /// Whether base images are looked up again.
    pub pull: PullPolicy,
    /// The network of steps that do not name one.
    pub network: NetworkMode,
    /// The hosts that steps may reach whose network is [`NetworkMode::Allow`]. It decides no key, and goes with
    /// what it let through.
    pub egress: Option<Arc<EgressList>>,
    /// Where the program is that steps have a network by whose network is [`NetworkMode::Pasta`].
    pub pasta: Option<PathBuf>,
    /// `--add-host`, in order.
    pub hosts: Vec<HostEntry>,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// `--ulimit`, in order.
    pub limits: Vec<Limit>,
    /// How much of the machine a step may have. It decides no key: a step that ends well within it has
    /// the result that it has without.
    pub quota: Quota,
    /// How long a step may take.
    pub timeout: Option<Duration>,
    /// The host name of steps.
    pub hostname: String,
    /// `--build-context`: names in lower case.
    pub contexts: BTreeMap<String, NamedContext>,
    /// `--secret`, by id.
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`: sockets of agents, by id.
    pub agents: BTreeMap<String, PathBuf>,
    /// How many steps run at once; the number of processors if absent.
    pub jobs: Option<NonZeroUsize>,
    /// `--allow`
    pub entitlements: BTreeSet<Entitlement>,
    /// What findings of build checks do.
    pub strictness: Strictness,
    /// What tells the project from others of the store, so that steps are compared with their own past;
    /// any bytes. It decides no key and is kept as a hash.
    pub project: Vec<u8>,
}

impl Options {
    /// The options of a plain build that runs on `build_platform`.
    pub fn new(build_platform: Platform) -> Self {
        Self {
            targets: Vec::new(),
            build_args: BTreeMap::new(),
            platforms: Vec::new(),
            build_platform,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            cache: CachePolicy::Reuse,
            misses: Misses::Run,
            inline_cache: InlineCache::default(),
            pull: PullPolicy::Missing,
            network: NetworkMode::Default,
            egress: None,
            pasta: None,
            hosts: Vec::new(),
            shm_size: DEFAULT_SHM_SIZE,
            limits: Vec::new(),
            quota: Quota::default(),
            timeout: None,
            hostname: DEFAULT_HOSTNAME.to_owned(),
            contexts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            agents: BTreeMap::new(),
            jobs: None,
            entitlements: BTreeSet::new(),
            strictness: Strictness::default(),
            project: Vec::new(),
        }
    }
}

/// What findings of build checks do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strictness {
    /// They are told, and fail the build where the Dockerfile says so.
    #[default]
    AsWritten,
    /// `--strict`: each fails the build, those of rules that other builders do not have as well.
    Strict,
}

/// Which steps may be answered from the cache.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum CachePolicy {
    /// All of them.
    #[default]
    Reuse,
    /// `--no-cache`: none, and cache mounts start empty.
    Refresh,
    /// `--no-cache-filter`: none of the named stages, in lower case.
    RefreshStages(BTreeSet<String>),
}

impl CachePolicy {
    /// Whether the steps of a stage may be answered from the cache.
    pub fn of_stage(&self, name: &str) -> Caching {
        match self {
            Self::Refresh => Caching::Refresh,
            Self::RefreshStages(stages) if stages.contains(name) => Caching::Refresh,
            Self::RefreshStages(_) | Self::Reuse => Caching::Reuse,
        }
    }
}

/// Whether images carry records of their layers, by which other machines find them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum InlineCache {
    /// They do not.
    #[default]
    Absent,
    /// In a field of their configuration.
    Carried,
}

/// What becomes of steps that the cache has no answer to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Misses {
    /// The build fails, before anything is run, scanned or fetched:
    /// [`BuildCause::Uncached`](crate::error::BuildCause::Uncached). Such a build needs no namespaces.
    Refuse,
    /// They run.
    #[default]
    Run,
}

/// Whether one step may be answered from the cache.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Caching {
    /// A known result is used.
    #[default]
    Reuse,
    /// The step runs again, and its result replaces the known one.
    Refresh,
}

/// When a registry is asked what a reference means.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PullPolicy {
    /// When the store does not know the image.
    #[default]
    Missing,
    /// `--pull`: in every build.
    Always,
}

/// The network of a step.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum NetworkMode {
    /// Whatever the environment offers.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's, which has to be allowed.
    Host,
    /// Nothing but hosts of a list, by a proxy of ours.
    Allow,
    /// One of its own that leads out by pasta.
    Pasta,
}

impl NetworkMode {
    /// The mode of a name as `--network` of a `RUN` takes it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::Default),
            "none" => Some(Self::None),
            "host" => Some(Self::Host),
            _ => None,
        }
    }

    /// The name as `--network` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Default => "default",
            Self::None => "none",
            Self::Host => "host",
            Self::Pasta => "pasta",
        }
    }
}

/// A line of `/etc/hosts`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostEntry {
    /// The name.
    pub name: String,
    /// What it resolves to.
    pub address: IpAddr,
}

impl HostEntry {
    /// The line.
    pub fn line(&self) -> String {
        format!("{}\t{}\n", self.address, self.name)
    }
}

/// An image that a build is given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GivenImage {
    /// What it is called in messages, with its digest.
    pub name: Reference,
    /// Its manifest, or an index.
    pub root: Descriptor,
}

/// What a name of `--build-context` stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NamedContext {
    /// A directory of the host.
    Directory(PathBuf),
    /// `oci-layout://`: an image in a layout directory.
    OciLayout {
        /// The directory.
        path: PathBuf,
        /// The tag or digest; the only image of the layout if absent.
        selector: Option<String>,
    },
    /// `docker-image://`
    Image(Reference),
    /// An image that the store has, whatever becomes of its names.
    Stored(Box<GivenImage>),
    /// A git repository: its files.
    Git(String),
    /// A file behind a URL: the files of an archive, or itself.
    Url(String),
}

/// What a build may do only when it is allowed to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Entitlement {
    /// `network.host`
    NetworkHost,
    /// `security.insecure`
    SecurityInsecure,
}

impl Entitlement {
    /// The name as `--allow` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetworkHost => "network.host",
            Self::SecurityInsecure => "security.insecure",
        }
    }
}

/// A secret's bytes. They show in no debug output and take part in no key.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A secret of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let mut options = Options::new(Platform::linux("amd64"));
        options.secrets.insert("token".to_owned(), Secret::new(b"hunter2".to_vec()));
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn only_the_named_stages_are_refreshed() {
        let policy = CachePolicy::RefreshStages(BTreeSet::from(["a".to_owned()]));
        assert_eq!(policy.of_stage("a"), Caching::Refresh);
        assert_eq!(policy.of_stage("b"), Caching::Reuse);
    }
}
