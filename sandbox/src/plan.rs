//! A step compiled to a flat list of operations.
//!
//! Everything that can fail, allocate or decide happens here, in ordinary Rust; what is left is
//! one system call per operation, for a child that may do nothing else.

mod board;
mod compile;
mod devices;
mod identity;
mod limits;
mod masks;
mod mounts;

use std::ffi::{CStr, CString};

use rustix::mount::MountAttrFlags;
use rustix::process::Rlimit;
use rustix::thread::{Gid, Uid};

use crate::error::{StepCause, StepError};
use crate::sys::Depth;

pub(crate) use compile::compile;

/// What the child does, in order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The operations.
    pub(crate) ops: Vec<Op>,
    /// For each operation, what to say when it fails.
    pub(crate) labels: Vec<String>,
    /// How many descriptors the operations pass among each other.
    pub(crate) n_slots: usize,
    /// The words of the command.
    pub(crate) argv: Vec<CString>,
    /// Its environment, `NAME=value`.
    pub(crate) envp: Vec<CString>,
    /// Where the program may be, in order.
    pub(crate) programs: Vec<CString>,
    /// How many operations may make a mount point that has to be removed again.
    pub(crate) n_makers: usize,
}

/// Where an operation leaves a descriptor for later ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot(pub(crate) usize);

/// One operation of the child.
#[derive(Debug)]
pub(crate) enum Op {
    /// Makes the child's life depend on its parent's.
    DieWithParent,
    /// Leaves the terminal.
    NewSession,
    /// Leaves the builder's keys.
    NewKeyring,
    /// Opens a file system context.
    OpenFileSystem { kind: &'static CStr, context: Slot },
    /// Gives a context an option with a value.
    Text { context: Slot, key: &'static CStr, value: CString },
    /// Gives a context an option without a value.
    Flag { context: Slot, key: &'static CStr },
    /// Makes a detached mount of a context.
    Create { context: Slot, attributes: MountAttrFlags, mount: Slot },
    /// Opens a path of the machine, following links, without using it.
    OpenPath { path: CString, found: Slot },
    /// Finds a path beneath a root.
    Find { root: Slot, path: CString, absent: Absent, found: Slot },
    /// Makes a detached copy of what a slot shows.
    Clone { of: Slot, depth: Depth, mount: Slot },
    /// Adds attributes to a mount.
    Restrict { mount: Slot, attributes: MountAttrFlags, depth: Depth },
    /// Puts a detached mount on what a slot shows.
    Attach { mount: Slot, at: Slot },
    /// Makes a directory in a file system of our own.
    MakeDirectory { under: Slot, path: CString },
    /// Makes a file in a file system of our own.
    MakeFile { under: Slot, path: CString, file: NewFile },
    /// Makes a symbolic link in a file system of our own.
    MakeLink { under: Slot, path: &'static CStr, target: &'static CStr },
    /// Makes a mount point of the kind of `like` in a file system of our own, as far as possible.
    Stub { under: Slot, path: CString, like: Slot },
    /// Names the machine.
    Hostname(CString),
    /// Brings the loopback device up.
    RaiseLoopback,
    /// Makes a mount the root and lets go of the old one.
    Pivot { root: Slot },
    /// Puts the parent's pipes in place of the standard descriptors.
    Stdio([std::os::fd::RawFd; 3]),
    /// Closes all but the standard descriptors.
    CloseDescriptors,
    /// Enters the working directory.
    EnterDirectory(CString),
    /// Limits a resource.
    Limit { resource: rustix::process::Resource, limit: Rlimit },
    /// Sets the mode new files lack to 0022.
    Umask,
    /// Takes all but `kept` out of the bounding set.
    Bound { kept: u64 },
    /// Installs the system call filter.
    Filter,
    /// Keeps `kept` capabilities.
    Capabilities { kept: u64 },
    /// Sets the supplementary groups.
    Groups(Vec<Gid>),
    /// Sets the group.
    Group(Gid),
    /// Sets the user.
    User(Uid),
    /// Default signal actions, empty mask, then the program.
    Execute,
}

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
}

impl Plan {
    /// Adds an operation; `label` completes "cannot run the step: ".
    fn push(&mut self, label: &str, op: Op) {
        if let Op::Find { absent: Absent::Make { .. }, .. } = op {
            self.n_makers += 1;
        }
        self.ops.push(op);
        self.labels.push(label.to_owned());
    }

    /// A new place for a descriptor.
    fn slot(&mut self) -> Slot {
        self.n_slots += 1;
        Slot(self.n_slots - 1)
    }
}

/// A C string, or the error that names what it was for.
fn c_string(doing: &str, bytes: &[u8]) -> Result<CString, StepError> {
    CString::new(bytes).map_err(|_| StepError { doing: doing.to_owned(), cause: StepCause::Nul })
}
