//! `/proc`: that of the step's own processes, or where a container forbids to mount it, only what
//! the kernel says about the machine as a whole.
//!
//! The `/proc` in view is never shown in its stead: it has the builder, its other steps and all
//! their roots.

use std::ffi::CStr;

use rustix::mount::MountAttrFlags;

use crate::plan::board::Board;
use crate::plan::devices::NO_PROGRAMS;
use crate::plan::{Absent, ContextOp, MakeOp, MountOp, NewFile, Op, Plan, Slot};
use crate::sys::Depth;

impl Plan {
    /// Mounts `/proc`.
    pub(super) fn proc(&mut self, root: Slot, board: &Board) -> Slot {
        let (context, mount) = (self.slot(), self.slot());
        self.push(LABEL, ContextOp::Open { kind: c"proc", context });
        let at = self.ops.len();
        self.push(LABEL, Op::MountProc { context, mount, n_otherwise: 0 });
        self.machine_only(mount, board);
        let n_otherwise = self.ops.len() - at - 1;
        self.ops[at] = Op::MountProc { context, mount, n_otherwise };
        let (attributes, depth) = (NO_PROGRAMS, Depth::One);
        self.push(LABEL, MountOp::Restrict { mount, attributes, depth });
        self.attach_at(LABEL, mount, root, c"proc");
        mount
    }

    /// A directory with the files of the `/proc` in view that are about no process.
    fn machine_only(&mut self, mount: Slot, board: &Board) {
        let (context, attributes) = (self.slot(), NO_PROGRAMS);
        self.push(LABEL, ContextOp::Open { kind: c"tmpfs", context });
        self.push(LABEL, ContextOp::Text { context, key: c"mode", value: c"555".into() });
        self.push(LABEL, ContextOp::Create { context, attributes, mount });
        // Files are bound on files only in mounts that are attached somewhere.
        let at = self.board_directory(board);
        self.push(LABEL, MountOp::Attach { mount, at });
        let outer = self.slot();
        self.push(LABEL, MountOp::Open { path: c"/proc".into(), found: outer });
        for name in ABOUT_THE_MACHINE {
            let file = NewFile::text(&[]);
            self.shown(outer, mount, name, MakeOp::File { under: mount, path: name.into(), file });
        }
        let directory = MakeOp::Directory { under: mount, path: SETTINGS.into() };
        self.shown(outer, mount, SETTINGS, directory);
        let (attributes, depth) = (MountAttrFlags::MOUNT_ATTR_RDONLY, Depth::One);
        self.push(LABEL, MountOp::Restrict { mount, attributes, depth });
    }

    /// Shows, for reading, one entry of `outer` in the place that `make` makes; what is not there
    /// is left out.
    fn shown(&mut self, outer: Slot, mount: Slot, name: &CStr, make: MakeOp) {
        let (source, at, copy) = (self.slot(), self.slot(), self.slot());
        let (depth, attributes) = (Depth::All, NO_PROGRAMS | MountAttrFlags::MOUNT_ATTR_RDONLY);
        let absent = Absent::Skip(5);
        self.push(LABEL, Op::Find { root: outer, path: name.into(), absent, found: source });
        self.push(LABEL, make);
        let absent = Absent::Fail;
        self.push(LABEL, Op::Find { root: mount, path: name.into(), absent, found: at });
        self.push(LABEL, MountOp::Clone { of: source, depth, mount: copy });
        self.push(LABEL, MountOp::Restrict { mount: copy, attributes, depth });
        self.push(LABEL, MountOp::Attach { mount: copy, at });
    }
}

const LABEL: &str = "mounting proc";

/// What programs ask about the machine.
const ABOUT_THE_MACHINE: [&CStr; 11] = [
    c"cpuinfo",
    c"devices",
    c"diskstats",
    c"filesystems",
    c"loadavg",
    c"meminfo",
    c"stat",
    c"swaps",
    c"uptime",
    c"version",
    c"vmstat",
];

/// The settings of the kernel.
const SETTINGS: &CStr = c"sys";
