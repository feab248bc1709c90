//! The operations a plan consists of: each one system call, or a few that belong together.

use std::ffi::{CStr, CString, c_int};
use std::os::fd::RawFd;

use rustix::mount::MountAttrFlags;
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CpuSet, Gid, Uid};

use crate::channel::Sent;
use crate::sys::Depth;

/// Where an operation leaves a descriptor for later ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot(pub(crate) usize);

/// One operation of the child.
#[derive(Debug)]
pub(crate) enum Op {
    /// Makes a file system.
    Context(ContextOp),
    /// Moves mounts.
    Mount(MountOp),
    /// Fills a file system of our own.
    Make(MakeOp),
    /// Changes the process.
    Own(SelfOp),
    /// Finds a path beneath a root.
    Find { root: Slot, path: CString, absent: Absent, found: Slot },
    /// Makes a mount point of the kind of `like` in a file system of our own, as far as possible.
    Stub { under: Slot, path: CString, like: Slot },
    /// Makes a detached mount of `/proc` and leaves out the next so many operations, which are for
    /// where a container forbids that.
    MountProc { context: Slot, mount: Slot, n_otherwise: usize },
    /// Makes the null device of a `/dev` standard input.
    NullInput { dev: Slot },
    /// Makes a mount the root and lets go of the old one.
    Pivot { root: Slot },
    /// Makes a directory the root, and nothing more.
    ChangeRoot { root: Slot },
    /// Lends a mount to the builder, through this descriptor.
    Lend { mount: Slot, channel: RawFd, kind: Sent },
    /// Installs the system call filter, hands its listener over and closes [`CHANNEL`].
    Filter,
    /// Default signal actions, empty mask, then the program.
    Execute,
}

/// From a file system context to a mount.
#[derive(Debug)]
pub(crate) enum ContextOp {
    /// Opens a file system context.
    Open { kind: &'static CStr, context: Slot },
    /// Gives a context an option with a value.
    Text { context: Slot, key: &'static CStr, value: CString },
    /// Gives an overlay the directory at a path of the machine.
    Directory { context: Slot, key: &'static CStr, path: CString },
    /// Gives an overlay the directory that a slot shows.
    Layer { context: Slot, key: &'static CStr, directory: Slot },
    /// Gives a context an option without a value.
    Flag { context: Slot, key: &'static CStr },
    /// Makes a detached mount of a context.
    Create { context: Slot, attributes: MountAttrFlags, mount: Slot },
}

/// Operations on mounts.
#[derive(Debug)]
pub(crate) enum MountOp {
    /// Opens a path of the machine, following links, without using it.
    Open { path: CString, found: Slot },
    /// Makes a detached copy of what a slot shows.
    Clone { of: Slot, depth: Depth, mount: Slot },
    /// Adds attributes to a mount.
    Restrict { mount: Slot, attributes: MountAttrFlags, depth: Depth },
    /// Takes attributes from a mount.
    Release { mount: Slot, attributes: MountAttrFlags },
    /// Puts a detached mount on what a slot shows.
    Attach { mount: Slot, at: Slot },
    /// Mounts an overlay on what a slot shows, and closes `lowers`, the topmost first; `lowest` is
    /// below them.
    Overlay { lowers: Vec<Slot>, lowest: Option<Slot>, scratch: Option<[Slot; 2]>, at: Slot },
}

/// Making files in a file system of our own.
#[derive(Debug)]
pub(crate) enum MakeOp {
    /// Makes a directory in a file system of our own.
    Directory { under: Slot, path: CString },
    /// Makes a file in a file system of our own.
    File { under: Slot, path: CString, file: NewFile },
    /// Makes a symbolic link in a file system of our own.
    Link { under: Slot, path: &'static CStr, target: &'static CStr },
}

/// Operations that concern the process alone.
#[derive(Debug)]
pub(crate) enum SelfOp {
    /// Leaves the terminal.
    NewSession,
    /// Leaves the builder's keys.
    NewKeyring,
    /// Names the machine.
    Hostname(CString),
    /// Keeps to the step's own abstract sockets.
    ScopeSockets,
    /// Enters a network.
    EnterNetwork(RawFd),
    /// Enters the user namespace of steps.
    EnterUsers(RawFd),
    /// Makes namespaces of the current user namespace.
    Unshare(c_int),
    /// Brings the loopback device up.
    RaiseLoopback,
    /// Puts a descriptor of the parent in place of a standard one.
    Stdio { from: RawFd, to: RawFd },
    /// Makes standard input, which is a terminal, that of the session.
    TakeTerminal,
    /// Closes all but the standard descriptors, and but one more that becomes [`CHANNEL`].
    CloseDescriptors { kept: Option<RawFd> },
    /// Enters the working directory.
    EnterDirectory(CString),
    /// Joins the control group whose list of members this is.
    JoinGroup(RawFd),
    /// Keeps to these processors.
    Processors(Box<CpuSet>),
    /// Limits a resource.
    Limit { resource: Resource, limit: Rlimit },
    /// Sets the mode new files lack to 0022.
    Umask,
    /// Takes all but `kept` out of the bounding set.
    Bound { kept: u64 },
    /// Keeps `kept` capabilities.
    Capabilities { kept: u64 },
    /// Keeps programs from gaining privileges.
    GiveUpNewPrivileges,
    /// Sets the supplementary groups.
    Groups(Vec<Gid>),
    /// Sets the group.
    Group(Gid),
    /// Sets the user.
    User(Uid),
}

/// The number of the descriptor through which the listener of the filter is handed over.
pub(crate) const CHANNEL: RawFd = 3;

/// A file the child makes.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What to do when a path does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Absent {
    /// Fail.
    Fail,
    /// Leave out the next so many operations.
    Skip(usize),
    /// Make it, of the kind of what a slot shows, for the time of the step.
    Make { like: Slot },
    /// Make it likewise, and leave it where it is.
    Keep { like: Slot },
}

impl From<ContextOp> for Op {
    fn from(op: ContextOp) -> Self {
        Self::Context(op)
    }
}

impl From<MountOp> for Op {
    fn from(op: MountOp) -> Self {
        Self::Mount(op)
    }
}

impl From<MakeOp> for Op {
    fn from(op: MakeOp) -> Self {
        Self::Make(op)
    }
}

impl From<SelfOp> for Op {
    fn from(op: SelfOp) -> Self {
        Self::Own(op)
    }
}
