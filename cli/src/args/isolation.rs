//! Where steps get their files from.

use clap::ValueEnum;
use wythe_builder::environment::Snapshotter;

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
