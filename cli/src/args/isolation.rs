//! How steps are kept apart, and where they get their files from.

use clap::ValueEnum;
use wythe_builder::environment::Snapshotter;
use wythe_sandbox::enter::IdChoice;

/// How steps are kept apart. The names are those of buildah, where it has them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum IsolationArg {
    /// The strongest that there is, which is said
    #[default]
    #[value(alias = "default", alias = "")]
    Auto,
    /// Namespaces and ids of their own
    #[value(alias = "rootless")]
    Userns,
    /// Namespaces, and one id: other users and owners are emulated
    SingleId,
    /// None: only another root directory, for containers that allow no namespaces
    Chroot,
}

/// Where steps get their files from, by the names that `BuildKit` has for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum SnapshotterArg {
    /// The fastest that there is
    #[default]
    Auto,
    /// The kernel stacks layers
    Overlayfs,
    /// All files are copied once for each stage
    Native,
}

impl IsolationArg {
    /// Which ids steps are to have.
    pub(crate) fn ids(self) -> IdChoice {
        match self {
            Self::SingleId => IdChoice::Own,
            Self::Auto | Self::Userns | Self::Chroot => IdChoice::Subordinate,
        }
    }

    /// Whether one id will do where there are no more.
    pub(crate) fn allows_one_id(self) -> bool {
        self == Self::Auto
    }

    /// Whether steps may do without namespaces.
    pub(crate) fn allows_chroot(self) -> bool {
        matches!(self, Self::Auto | Self::Chroot)
    }
}

impl SnapshotterArg {
    /// Which one is asked for.
    pub(crate) fn chosen(self) -> Option<Snapshotter> {
        match self {
            Self::Auto => None,
            Self::Overlayfs => Some(Snapshotter::Overlayfs),
            Self::Native => Some(Snapshotter::Native),
        }
    }
}
