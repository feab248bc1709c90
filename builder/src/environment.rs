//! What a build needs from the world: everything that is not in the Dockerfile or the options.

use std::fmt;

use wythe_sandbox::{Cancel, Emulators};
use wythe_store::lease::Lease;
use wythe_store::oci::source::ImageSource;
use wythe_store::store::Store;
use wythe_store::timestamp::Timestamp;

use crate::built::StepResults;
use crate::caches::Caches;
use crate::inspect::Inspector;
use crate::progress::Progress;
use crate::remote::Remote;
use crate::remote::program::GitProgram;
use crate::sealed::SealedLayers;
use crate::shared_steps::SharedSteps;

/// Tells the time. A library that looked at the clock itself could not build the same image twice.
pub trait Clock: Sync {
    /// The moment it is.
    fn now(&self) -> Timestamp;

    /// What a file of this machine that changes now gets as its time, where that is known: file systems
    /// take it from a clock that goes in steps, behind [`now`](Self::now). It is never later.
    fn stamp(&self) -> Option<Timestamp> {
        None
    }
}

/// A clock that stands still.
impl Clock for Timestamp {
    fn now(&self) -> Timestamp {
        *self
    }
}

/// Where the root file system of a step comes from, by the names that `BuildKit` has for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Snapshotter {
    /// The kernel stacks directories of layers.
    Overlayfs,
    /// All files are copied to a directory, which the steps of a stage take over from each other.
    Native,
}

/// What a build needs from the world.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// The lease under which this build writes.
    pub lease: &'a Lease,
    /// Where base images come from.
    pub images: &'a dyn ImageSource,
    /// The caches of other machines.
    pub caches: &'a Caches,
    /// Who wants results before the build ends.
    pub results: &'a dyn StepResults,
    /// Where files behind `http` and `https` come from.
    pub remote: &'a dyn Remote,
    /// What fetches git repositories; without it none are fetched.
    pub git: Option<&'a GitProgram>,
    /// What runs programs of other architectures.
    pub emulators: &'a Emulators,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// Who is told of layers of images while later steps run.
    pub layers: &'a dyn SealedLayers,
    /// What this build has in common with others that run beside it.
    pub shared: Option<&'a SharedSteps>,
    /// Who looks at steps that failed.
    pub inspector: Option<&'a dyn Inspector>,
    /// Stops the build.
    pub cancel: &'a Cancel,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Threads for hashing, walking and compressing.
    pub pool: &'a rayon::ThreadPool,
    /// Which user namespace the process is in; directories of layers are kept apart by it.
    pub idmap: &'a [u8],
    /// The text of the machine's `resolv.conf`, for steps that use its network.
    pub resolv_conf: &'a [u8],
    /// Where steps get their files from; where the kernel stacks no layers they are copied, if
    /// nothing is said.
    pub snapshotter: Option<Snapshotter>,
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment").field("store", self.store).finish_non_exhaustive()
    }
}
