//! What of `/proc` and `/sys` a step may not see or change.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;

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
            self.hide_in_sys(kernel, path, board);
        }
        for path in FROZEN {
            self.freeze(kernel.proc, path);
        }
        for path in of_the_machines_root() {
            self.freeze(kernel.proc, &path);
        }
    }

    /// Shows a directory of `/sys` as an empty one.
    pub(super) fn hide_in_sys(&mut self, kernel: &Kernel, path: &CStr, board: &Board) {
        self.cover(kernel.sys, path, board.empty, MountAttrFlags::MOUNT_ATTR_RDONLY);
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

/// What else of `/proc` belongs to the machine, where root of the step is root of the machine and
/// could give it another mode, which is that of everybody's `/proc`.
fn of_the_machines_root() -> Vec<CString> {
    let is_ours = fs::metadata("/proc/version").is_ok_and(|version| version.uid() == 0);
    // Each process of the machine has an entry.
    let listed = is_ours.then(|| fs::read_dir("/proc"));
    // A directory that cannot be listed shows nothing that could be changed.
    let entries = listed.into_iter().flatten().flatten();
    let entries = entries.filter_map(Result::ok).filter(|entry| {
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        !is_process && entry.file_type().is_ok_and(|kind| !kind.is_symlink())
    });
    let known = |name: &CStr| FROZEN.contains(&name) || HIDDEN_FILES.contains(&name);
    let names = entries.filter_map(|entry| CString::new(entry.file_name().into_vec()).ok());
    names.filter(|name| !known(name)).collect()
}

const HIDDEN_FILES: [&CStr; 6] =
    [c"kcore", c"keys", c"timer_list", c"interrupts", c"latency_stats", c"sched_debug"];

const HIDDEN_DIRECTORIES: [&CStr; 3] = [c"scsi", c"acpi", c"asound"];

const HIDDEN_IN_SYS: [&CStr; 2] = [c"firmware", c"devices/virtual/powercap"];

const FROZEN: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];
