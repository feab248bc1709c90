//! The child of a step: interprets a [`Plan`] and becomes the command.
//!
//! It shares the memory of its parent, whose thread sleeps until the child executes or ends. So:
//! no allocation, no locks, no panics, no value whose `Drop` does more than close a descriptor,
//! and nothing but system calls. What it has to say it writes into its [`Task`].

mod process;
mod target;

use std::borrow::Cow;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
    open_tree, unmount,
};
use rustix::process::{chdir, chroot, fchdir, pivot_root};
use rustix::thread::{Timespec, nanosleep};

pub(crate) use target::Made;

use crate::overlay;
use crate::plan::{Absent, ContextOp, MakeOp, MountOp, NewFile, Op, Plan, Slot};
use crate::seccomp::{self, Attention, Binds};
use crate::sys::{self, Depth, PointerList};

/// What the child reads and writes: the memory it shares with its parent.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    plan: &'a Plan,
    filter: Cow<'static, [libc::sock_filter]>,
    /// The same for where nobody can listen.
    unheard: Option<&'static [libc::sock_filter]>,
    /// How much the filter announces.
    pub(crate) attention: Attention,
    argv: PointerList,
    envp: PointerList,
    slots: Vec<RawFd>,
    /// What mounts are to have that are attached nowhere yet, where the kernel does not give it to such.
    later: Vec<MountAttrFlags>,
    /// What the child has to say.
    pub(crate) report: Report,
}

/// What the filter of a step is, and what it is where nobody can listen.
type Filters = (Cow<'static, [libc::sock_filter]>, Option<&'static [libc::sock_filter]>);

/// What the child has to say.
#[derive(Debug)]
pub(crate) struct Report {
    /// The operation that failed, and why.
    pub(crate) failure: Option<(usize, Errno)>,
    /// Whether `/proc` shows no processes.
    pub(crate) has_bare_proc: bool,
    /// The kernel's own words about it.
    pub(crate) message: [u8; 256],
    /// Mount points that were made in the image; never grows past its capacity.
    pub(crate) made: Vec<Made>,
}

impl<'a> Task<'a> {
    /// Everything `plan` needs, allocated.
    pub(crate) fn new(plan: &'a Plan, (attention, binds): (Attention, Binds)) -> Self {
        let filter = Cow::Borrowed(seccomp::program(attention, binds));
        // Owners cannot be emulated where nobody listens.
        let unheard =
            (attention != Attention::Owners).then(|| seccomp::program(Attention::Nothing, binds));
        Self::with(plan, attention, (filter, unheard))
    }

    /// The same with a filter that forbids nothing.
    pub(crate) fn listening(plan: &'a Plan, filter: Vec<libc::sock_filter>) -> Self {
        Self::with(plan, Attention::Nothing, (Cow::Owned(filter), Some(seccomp::EVERYTHING)))
    }

    fn with(plan: &'a Plan, attention: Attention, (filter, unheard): Filters) -> Self {
        Self {
            plan,
            filter,
            unheard,
            attention,
            argv: PointerList::new(&plan.argv),
            envp: PointerList::new(&plan.envp),
            slots: vec![-1; plan.n_slots],
            later: vec![MountAttrFlags::empty(); plan.n_slots],
            report: Report {
                failure: None,
                has_bare_proc: false,
                message: [0; 256],
                made: Vec::with_capacity(plan.n_makers),
            },
        }
    }

    /// Carries the plan out. Returns only when an operation failed.
    pub(crate) fn interpret(&mut self) {
        let plan = self.plan;
        let mut skip = 0;
        for (index, op) in plan.ops.iter().enumerate() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            match self.carry_out(op) {
                Ok(n_skipped) => skip = n_skipped,
                Err(errno) => {
                    self.report.failure = Some((index, errno));
                    return;
                }
            }
        }
    }

    /// Carries one operation out and says how many of the next to leave out.
    fn carry_out(&mut self, op: &Op) -> Result<usize, Errno> {
        match op {
            Op::Find { root, path, absent, found } => {
                return self.find(*root, path, *absent, *found);
            }
            Op::MountProc { context, mount, n_otherwise } => {
                return self.mount_proc(*context, *mount, *n_otherwise);
            }
            Op::Context(op) => self.context(op)?,
            Op::Mount(op) => self.mount(op)?,
            Op::Make(op) => self.make(op)?,
            Op::Own(op) => process::carry_out(op)?,
            Op::Stub { under, path, like } => {
                let kind = kind_of(self.fd(*like))?;
                target::stub(self.fd(*under), path, kind);
            }
            Op::NullInput { dev } => {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                let null = rustix::fs::openat(self.fd(*dev), c"null", flags, Mode::empty())?;
                sys::duplicate(null.as_raw_fd(), 0)?;
            }
            Op::Pivot { root } => enter_root(self.fd(*root))?,
            Op::ChangeRoot { root } => change_root(self.fd(*root))?,
            Op::Lend { mount, channel, kind } => {
                process::send(self.fd(*mount), *channel, *kind)?;
            }
            Op::Filter => process::filter(&self.filter, self.unheard)?,
            Op::Execute => return Err(self.execute()),
        }
        Ok(0)
    }

    fn context(&mut self, op: &ContextOp) -> Result<(), Errno> {
        let (context, result) = match op {
            ContextOp::Open { kind, context } => {
                let opened = fsopen(*kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
                self.keep(*context, opened);
                return Ok(());
            }
            ContextOp::Text { context, key, value } => {
                let value: &CStr = value;
                (*context, fsconfig_set_string(self.fd(*context), *key, value))
            }
            ContextOp::Directory { context, key, path } => {
                (*context, overlay::add_path(self.fd(*context), key, path))
            }
            ContextOp::Layer { context, key, directory } => {
                (*context, overlay::add(self.fd(*context), key, self.fd(*directory)))
            }
            ContextOp::Flag { context, key } => {
                (*context, fsconfig_set_flag(self.fd(*context), *key))
            }
            ContextOp::Create { context, attributes, mount } => {
                let made = create(self.fd(*context), *attributes);
                (*context, made.map(|made| self.keep(*mount, made)))
            }
        };
        if result.is_err() {
            self.listen(context);
        }
        result
    }

    fn mount_proc(
        &mut self,
        context: Slot,
        mount: Slot,
        n_otherwise: usize,
    ) -> Result<usize, Errno> {
        match create(self.fd(context), MountAttrFlags::empty()) {
            Ok(made) => {
                self.keep(mount, made);
                Ok(n_otherwise)
            }
            // Something of the `/proc` in view is covered, and would show in another.
            Err(Errno::PERM) => {
                self.report.has_bare_proc = true;
                Ok(0)
            }
            Err(errno) => {
                self.listen(context);
                Err(errno)
            }
        }
    }

    /// Keeps what the kernel says about a context that refused something.
    fn listen(&mut self, context: Slot) {
        let context = self.fd(context);
        // Without a message the number has to do.
        if rustix::io::read(context, &mut self.report.message).is_err() {
            self.report.message = [0; 256];
        }
    }

    fn mount(&mut self, op: &MountOp) -> Result<(), Errno> {
        match op {
            MountOp::Open { path, found } => {
                let path: &CStr = path;
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                let opened = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
                self.keep(*found, opened);
            }
            MountOp::Clone { of, depth, mount } => {
                let copy = copy_mount(self.fd(*of), *depth)?;
                self.keep(*mount, copy);
            }
            MountOp::Restrict { mount, attributes, depth } => {
                match sys::restrict_mount(self.fd(*mount), *attributes, *depth) {
                    Err(Errno::NOSYS) => self.restrict_later(*mount, *attributes),
                    restricted => restricted?,
                }
            }
            MountOp::Release { mount, attributes } => {
                sys::release_mount(self.fd(*mount), *attributes)?;
            }
            MountOp::Attach { mount, at } => {
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH
                    | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
                move_mount(self.fd(*mount), c"", self.fd(*at), c"", flags)?;
                if let Some(attributes) = self.later.get(mount.0).filter(|it| !it.is_empty()) {
                    sys::restrict_attached(self.fd(*mount), *attributes)?;
                }
            }
            MountOp::Overlay { lowers, lowest, scratch, at } => {
                let scratch = scratch.map(|slots| slots.map(|slot| self.fd(slot)));
                let all = lowers.iter().chain(lowest).map(|slot| self.fd(*slot));
                overlay::mount_at_once(self.fd(*at), scratch, all)?;
                // Where there are more layers, there is room for so many at a time.
                for lower in lowers {
                    sys::close_descriptor(self.fd(*lower).as_raw_fd())?;
                }
            }
        }
        Ok(())
    }

    /// Notes what a mount is to have once it is attached.
    fn restrict_later(&mut self, mount: Slot, attributes: MountAttrFlags) {
        if let Some(later) = self.later.get_mut(mount.0) {
            *later |= attributes;
        }
    }

    fn make(&self, op: &MakeOp) -> Result<(), Errno> {
        match op {
            MakeOp::Directory { under, path } => {
                let path: &CStr = path;
                rustix::fs::mkdirat(self.fd(*under), path, Mode::from_raw_mode(0o755))
            }
            MakeOp::File { under, path, file } => write_file(self.fd(*under), path, file),
            MakeOp::Link { under, path, target } => {
                rustix::fs::symlinkat(*target, self.fd(*under), *path)
            }
        }
    }

    fn find(
        &mut self,
        root: Slot,
        path: &CStr,
        absent: Absent,
        found: Slot,
    ) -> Result<usize, Errno> {
        let opened = match (beneath(self.fd(root), path), absent) {
            (Ok(opened), _) => opened,
            (Err(Errno::NOENT), Absent::Skip(n_skipped)) => return Ok(n_skipped),
            (Err(Errno::NOENT), Absent::Make { like }) => {
                let kind = kind_of(self.fd(like))?;
                let root = self.fd(root);
                target::make(root, path, kind, &mut self.report.made)?
            }
            (Err(Errno::NOENT), Absent::Keep { like }) => {
                let kind = kind_of(self.fd(like))?;
                // Without room for notes, nobody takes it away again.
                target::make(self.fd(root), path, kind, &mut Vec::new())?
            }
            (Err(errno), _) => return Err(errno),
        };
        self.keep(found, opened);
        Ok(0)
    }

    /// Becomes the command; returns why that failed.
    fn execute(&self) -> Errno {
        sys::reset_signals();
        if let Err(errno) = sys::swap_signal_mask(0) {
            return errno;
        }
        let mut reason = Errno::NOENT;
        for program in &self.plan.programs {
            let errno = self.execute_file(program);
            if errno == Errno::ACCESS {
                reason = errno;
            } else if errno != Errno::NOENT && errno != Errno::NOTDIR {
                return errno;
            }
        }
        reason
    }

    /// Executes a file, and waits for one that somebody could write to: the child of another step that was made while
    /// the file was written has our descriptor of it until it executes, too.
    fn execute_file(&self, program: &CStr) -> Errno {
        for _ in 0..MOST_WAITS {
            let errno = sys::execute(program, &self.argv, &self.envp);
            if errno != Errno::TXTBSY {
                return errno;
            }
            // One that a signal ends is as good.
            let _ = nanosleep(&WAIT);
        }
        Errno::TXTBSY
    }

    fn fd(&self, slot: Slot) -> BorrowedFd<'static> {
        sys::lend(self.slots.get(slot.0).copied().unwrap_or(-2))
    }

    fn keep(&mut self, slot: Slot, fd: OwnedFd) {
        if let Some(place) = self.slots.get_mut(slot.0) {
            *place = fd.into_raw_fd();
        }
    }
}

/// How long a file that could be written to is waited for at a time: about as long as a child needs to execute.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// And how often: a second in all, which a child on a machine with much to do may need.
const MOST_WAITS: usize = 200;

/// A detached mount of what a context describes.
fn create(context: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<OwnedFd, Errno> {
    fsconfig_create(context)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Opens a path beneath `root` as a process whose root it is would, without using it.
fn beneath(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..RESOLVE_TRIES {
        result = rustix::fs::openat2(root, path, flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN)) {
            break;
        }
    }
    result
}

fn kind_of(fd: BorrowedFd<'_>) -> Result<FileType, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

fn copy_mount(of: BorrowedFd<'_>, depth: Depth) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Depth::All {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(of, c"", flags)
}

fn write_file(under: BorrowedFd<'_>, path: &CStr, file: &NewFile) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(under, path, flags, Mode::from_raw_mode(0o600))?;
    let mut rest = file.content.as_slice();
    while !rest.is_empty() {
        let n_written = rustix::io::write(&opened, rest)?;
        rest = rest.get(n_written..).unwrap_or(&[]);
    }
    let owner = rustix::fs::Uid::from_raw(file.uid);
    let group = rustix::fs::Gid::from_raw(file.gid);
    rustix::fs::fchown(&opened, Some(owner), Some(group))?;
    rustix::fs::fchmod(&opened, Mode::from_raw_mode(file.mode))
}

/// Makes a mount the root. The old one goes on top of it, and then away.
fn enter_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    chdir(c"/")
}

/// Makes a directory the root, from which one can climb where it lets go of nothing.
fn change_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    chroot(c".")?;
    chdir(c"/")
}

/// `openat2` gives up when a rename elsewhere races with it.
const RESOLVE_TRIES: usize = 32;
