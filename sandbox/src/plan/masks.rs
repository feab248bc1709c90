//! What of `/proc` and `/sys` a step may not see or change.

use std::ffi::CStr;

use rustix::mount::MountAttrFlags;

use crate::plan::board::Board;
use crate::plan::devices::Kernel;
use crate::plan::{Absent, MountOp, Op, Plan, Slot};
use crate::sys::Depth;

impl Plan {
    /// Hides and freezes what Docker hides and freezes. What the kernel does not have is left out;
    /// failing to hide what it has is an error.
    pub(super) fn masks(&mut self, kernel: &Kernel, board: &Board) {
        let null = self.slot();
        let (root, absent) = (kernel.dev, Absent::Fail);
        self.push("masking", Op::Find { root, path: c"null".into(), absent, found: null });
        for path in HIDDEN_FILES {
            self.cover(kernel.proc, path, null, MountAttrFlags::empty());
        }
        for path in HIDDEN_DIRECTORIES {
            self.cover(kernel.proc, path, board.empty, MountAttrFlags::MOUNT_ATTR_RDONLY);
        }
        for path in HIDDEN_IN_SYS {
            self.cover(kernel.sys, path, board.empty, MountAttrFlags::MOUNT_ATTR_RDONLY);
        }
        for path in FROZEN {
            self.freeze(kernel.proc, path);
        }
    }

    /// Puts a copy of `cover` on a path.
    fn cover(&mut self, root: Slot, path: &CStr, cover: Slot, attributes: MountAttrFlags) {
        let label = format!("masking {}", path.to_string_lossy());
        let (at, copy) = (self.slot(), self.slot());
        let n_rest = if attributes.is_empty() { 2 } else { 3 };
        let absent = Absent::Skip(n_rest);
        self.push(&label, Op::Find { root, path: path.into(), absent, found: at });
        self.push(&label, MountOp::Clone { of: cover, depth: Depth::One, mount: copy });
        if !attributes.is_empty() {
            self.push(&label, MountOp::Restrict { mount: copy, attributes, depth: Depth::One });
        }
        self.push(&label, MountOp::Attach { mount: copy, at });
    }

    /// Makes a path read-only by putting a read-only copy of it on itself.
    fn freeze(&mut self, root: Slot, path: &CStr) {
        let label = format!("protecting {}", path.to_string_lossy());
        let (at, copy) = (self.slot(), self.slot());
        let (absent, depth) = (Absent::Skip(3), Depth::One);
        self.push(&label, Op::Find { root, path: path.into(), absent, found: at });
        self.push(&label, MountOp::Clone { of: at, depth, mount: copy });
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
        self.push(&label, MountOp::Restrict { mount: copy, attributes, depth });
        self.push(&label, MountOp::Attach { mount: copy, at });
    }
}

const HIDDEN_FILES: [&CStr; 6] =
    [c"kcore", c"keys", c"timer_list", c"interrupts", c"latency_stats", c"sched_debug"];

const HIDDEN_DIRECTORIES: [&CStr; 3] = [c"scsi", c"acpi", c"asound"];

const HIDDEN_IN_SYS: [&CStr; 2] = [c"firmware", c"devices/virtual/powercap"];

const FROZEN: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];
