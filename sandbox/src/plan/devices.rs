//! `/dev` and `/sys` as Docker lays them out.

use std::ffi::{CStr, CString};

use rustix::mount::MountAttrFlags;

use crate::plan::board::Board;
use crate::plan::{Absent, ContextOp, MakeOp, MountOp, NewFile, Op, Plan, Slot};
use crate::step::Security;
use crate::sys::{Depth, restricts_mounts};

/// The three file systems of the kernel, attached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    pub(super) proc: Slot,
    pub(super) dev: Slot,
    pub(super) sys: Slot,
}

impl Plan {
    /// Puts the mount points of the kernel's file systems into the stub layer.
    pub(super) fn stub_kernel(&mut self, board: &Board) {
        for name in [c"proc", c"dev", c"sys"] {
            self.stub(board, &name.into(), board.empty);
        }
    }

    /// Mounts the kernel's file systems.
    pub(super) fn kernel(
        &mut self,
        root: Slot,
        board: &Board,
        (shm_size, security): (u64, Security),
    ) -> Kernel {
        let proc = self.proc(root, board);
        let dev = self.dev(root, shm_size);
        let sys = self.sys(root, security);
        Kernel { proc, dev, sys }
    }

    fn dev(&mut self, root: Slot, shm_size: u64) -> Slot {
        let label = "mounting /dev";
        let options = [(c"mode", "755".to_owned()), (c"size", DEV_SIZE.to_owned())];
        let dev = self.mount_new(label, c"tmpfs", &options, QUIET);
        self.attach_at(label, dev, root, c"dev");
        for (path, target) in LINKS {
            self.push(label, MakeOp::Link { under: dev, path, target });
        }
        for (name, host) in NODES {
            self.node(dev, name, host);
        }
        let shm = [(c"mode", "1777".to_owned()), (c"size", shm_size.to_string())];
        self.inside_dev(dev, c"shm", c"tmpfs", &shm);
        let pts = [(c"ptmxmode", "666".to_owned()), (c"mode", "620".to_owned())];
        self.inside_dev(dev, c"pts", c"devpts", &pts);
        self.inside_dev(dev, c"mqueue", c"mqueue", &[]);
        dev
    }

    /// Shows a device of the machine. It can be read and written as its mode says; the node itself
    /// cannot be changed, for it is the machine's, and root of a step may be root of the machine.
    fn node(&mut self, dev: Slot, name: &CStr, host: &CStr) {
        let label = "mounting a device";
        let (at, source, copy) = (self.slot(), self.slot(), self.slot());
        self.push(label, MakeOp::File { under: dev, path: name.into(), file: NewFile::text(&[]) });
        let absent = Absent::Fail;
        self.push(label, Op::Find { root: dev, path: name.into(), absent, found: at });
        self.push(label, MountOp::Open { path: host.into(), found: source });
        let depth = Depth::One;
        self.push(label, MountOp::Clone { of: source, depth, mount: copy });
        self.push(label, MountOp::Restrict { mount: copy, attributes: NODE, depth });
        self.push(label, MountOp::Attach { mount: copy, at });
    }

    fn inside_dev(
        &mut self,
        dev: Slot,
        name: &'static CStr,
        kind: &'static CStr,
        options: &[(&'static CStr, String)],
    ) {
        let label = format!("mounting /dev/{}", name.to_string_lossy());
        self.push(&label, MakeOp::Directory { under: dev, path: name.into() });
        let attributes = if kind == c"devpts" { QUIET } else { NO_PROGRAMS };
        let mount = self.mount_new(&label, kind, options, attributes);
        self.attach_at(&label, mount, dev, name);
    }

    fn sys(&mut self, root: Slot, security: Security) -> Slot {
        let label = "mounting /sys";
        if security == Security::Sandbox && !restricts_mounts() {
            // What is mounted below that of the machine could be written to.
            let mount = self.mount_new(label, c"tmpfs", &[(c"mode", "555".to_owned())], EMPTY);
            self.attach_at(label, mount, root, c"sys");
            return mount;
        }
        let (source, mount) = (self.slot(), self.slot());
        self.push(label, MountOp::Open { path: c"/sys".into(), found: source });
        self.push(label, MountOp::Clone { of: source, depth: Depth::All, mount });
        if security == Security::Sandbox {
            let attributes = NO_PROGRAMS | MountAttrFlags::MOUNT_ATTR_RDONLY;
            self.push(label, MountOp::Restrict { mount, attributes, depth: Depth::All });
        }
        self.attach_at(label, mount, root, c"sys");
        mount
    }

    pub(super) fn mount_new(
        &mut self,
        label: &str,
        kind: &'static CStr,
        options: &[(&'static CStr, String)],
        attributes: MountAttrFlags,
    ) -> Slot {
        let (context, mount) = (self.slot(), self.slot());
        self.push(label, ContextOp::Open { kind, context });
        for (key, value) in options {
            let value = CString::new(value.as_str()).expect("digits hold no NUL");
            self.push(label, ContextOp::Text { context, key, value });
        }
        self.push(label, ContextOp::Create { context, attributes, mount });
        mount
    }

    /// Attaches a mount beneath a root, at a directory that is made where it is missing: a root
    /// without layers has none below it that has mount points.
    pub(super) fn attach_at(&mut self, label: &str, mount: Slot, root: Slot, path: &CStr) {
        let at = self.slot();
        let (path, absent) = (path.into(), Absent::Make { like: mount });
        self.push(label, Op::Find { root, path, absent, found: at });
        self.push(label, MountOp::Attach { mount, at });
    }
}

/// No set-user-id programs, no devices, no programs at all.
pub(super) const NO_PROGRAMS: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Nothing that could be changed or run.
const EMPTY: MountAttrFlags = NO_PROGRAMS.union(MountAttrFlags::MOUNT_ATTR_RDONLY);

/// No set-user-id programs and none at all, but devices.
const QUIET: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Neither a program nor to be changed.
const NODE: MountAttrFlags = QUIET.union(MountAttrFlags::MOUNT_ATTR_RDONLY);

const DEV_SIZE: &str = "65536k";

const LINKS: [(&CStr, &CStr); 6] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"core", c"/proc/kcore"),
    (c"ptmx", c"pts/ptmx"),
];

const NODES: [(&CStr, &CStr); 6] = [
    (c"null", c"/dev/null"),
    (c"zero", c"/dev/zero"),
    (c"full", c"/dev/full"),
    (c"random", c"/dev/random"),
    (c"urandom", c"/dev/urandom"),
    (c"tty", c"/dev/tty"),
];
