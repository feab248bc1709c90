//! A step compiled to a flat list of operations.
//!
//! Everything that can fail, allocate or decide happens here, in ordinary Rust; what is left is
//! one system call per operation, for a child that may do nothing else.

mod apart;
mod board;
mod chroot;
mod compile;
mod devices;
mod identity;
mod limits;
mod masks;
mod mounts;
mod op;
mod proc;
mod stack;

use std::ffi::CString;

use crate::error::{StepCause, StepError};
use crate::nest::Ownership;
use crate::step::Stacking;

pub(crate) use chroot::{Handed, compile_for_chroot};
pub(crate) use compile::{Inherited, compile};
pub(crate) use identity::DOCKER_CAPABILITIES;
pub(crate) use op::{Absent, CHANNEL, ContextOp, MakeOp, MountOp, NewFile, Op, SelfOp, Slot};

pub(crate) use apart::{OPEN_TO_THE_STEP, SHOWN_AT};

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
    /// How the kernel is told layers.
    stacking: Stacking,
    /// Who says whose the files of the step are.
    ownership: Ownership,
}

impl Plan {
    /// Adds an operation; `label` completes "cannot run the step: ".
    pub(crate) fn push(&mut self, label: &str, op: impl Into<Op>) {
        let op = op.into();
        if let Op::Find { absent: Absent::Make { .. }, .. } = op {
            self.n_makers += 1;
        }
        self.ops.push(op);
        self.labels.push(label.to_owned());
    }

    /// Ends the plan where the command would be executed.
    pub(crate) fn leave_out_the_command(&mut self) {
        self.ops.retain(|op| !matches!(op, Op::Execute));
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
