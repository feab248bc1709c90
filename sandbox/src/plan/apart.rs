//! What keeps the sockets of a step from others who write to the same directory.
//!
//! A file system in memory takes those sockets. The step sees one directory of it, and the builder
//! all. The builder also gets a copy of the step's mounts, as they are before any process of the
//! step runs, in which nobody can make anything in what is shared, and in which no link of `/proc`
//! leads out of the copy.

use std::ffi::CStr;
use std::os::fd::RawFd;

use rustix::mount::MountAttrFlags;

use crate::channel::Sent;
use crate::plan::board::Board;
use crate::plan::devices::NO_PROGRAMS;
use crate::plan::{Absent, MakeOp, MountOp, Op, Plan, Slot};
use crate::sys::Depth;

/// The directory of the file system of sockets that a step sees.
pub(crate) const OPEN_TO_THE_STEP: &CStr = c"shown";

/// Where a step sees it.
pub(crate) const SHOWN_AT: &str = "/dev/.sockets";

impl Plan {
    /// Mounts the file system for sockets, and returns it.
    pub(super) fn sockets(&mut self, dev: Slot, board: &Board) -> Slot {
        let label = "mounting a place for sockets";
        let options = [(c"mode", "755"), (c"size", MOST_BYTES), (c"nr_inodes", MOST_SOCKETS)];
        let options = options.map(|(key, value)| (key, value.to_owned()));
        let room = self.mount_new(label, c"tmpfs", &options, NO_PROGRAMS);
        // Only what is attached somewhere can be shown in part.
        let at = self.board_directory(board);
        self.push(label, MountOp::Attach { mount: room, at });
        self.push(label, MakeOp::Directory { under: room, path: OPEN_TO_THE_STEP.into() });
        let (shown, mount, absent) = (self.slot(), self.slot(), Absent::Fail);
        self.push(
            label,
            Op::Find { root: room, path: OPEN_TO_THE_STEP.into(), absent, found: shown },
        );
        self.push(label, MountOp::Clone { of: shown, depth: Depth::One, mount });
        self.push(label, MakeOp::Directory { under: dev, path: IN_DEV.into() });
        self.attach_at(label, mount, dev, IN_DEV);
        room
    }

    /// Lends the builder that file system and the copy of the mounts, and lets the step write to
    /// the mounts that it shares, which could only be read until now.
    pub(super) fn keep_apart(
        &mut self,
        (root, proc): (Slot, Slot),
        (room, shared): (Slot, &[Slot]),
        channel: RawFd,
    ) {
        let label = "copying the mounts";
        let links = MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW;
        let depth = Depth::One;
        self.push(label, MountOp::Restrict { mount: proc, attributes: links, depth });
        let copy = self.slot();
        self.push(label, MountOp::Clone { of: root, depth: Depth::All, mount: copy });
        self.push(label, MountOp::Release { mount: proc, attributes: links });
        for mount in shared {
            let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
            self.push(label, MountOp::Release { mount: *mount, attributes });
        }
        self.push(label, Op::Lend { mount: copy, channel, kind: Sent::Copy });
        self.push(label, Op::Lend { mount: room, channel, kind: Sent::Room });
    }
}

/// The name of [`SHOWN_AT`] in `/dev`.
const IN_DEV: &CStr = c".sockets";

/// The most sockets that a step may bind in what it shares, those that it has removed included:
/// each takes a kilobyte of the kernel's memory until the step ends.
const MOST_SOCKETS: &str = "65536";

/// Sockets and directories take no bytes; what else a step puts there does.
const MOST_BYTES: &str = "1m";
