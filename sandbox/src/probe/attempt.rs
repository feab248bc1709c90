//! What is tried.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, iter};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags, fsconfig_create, fsmount, fsopen,
    unmount,
};

use super::{Refusal, in_child, number};
use crate::enter::{IdChoice, into_namespaces};
use crate::error::StepCause;
use crate::run::rehearse;
use crate::seccomp::{Attention, Binds};
use crate::step::{RootFs, Scratch, Stacking, Step};
use crate::{binfmt, overlay, seccomp, supervisor, sys};

/// Enters namespaces as a build does.
pub(super) fn enter() -> Result<(), Refusal> {
    enter_with(IdChoice::Subordinate)
}

fn enter_with(choice: IdChoice) -> Result<(), Refusal> {
    into_namespaces(choice).map_err(|error| {
        let reason = error.cause.to_string();
        Refusal { errno: Errno::CANCELED, reason }
    })
}

/// Does in a new directory of the store what is done for each RUN, but for running its command.
pub(super) fn step(directory: &Path) -> Result<(), Refusal> {
    step_with(IdChoice::Subordinate, directory)
}

/// The same with one id.
pub(super) fn step_with_one_id(directory: &Path) -> Result<(), Refusal> {
    step_with(IdChoice::Own, directory)
}

fn step_with(choice: IdChoice, directory: &Path) -> Result<(), Refusal> {
    enter_with(choice)?;
    in_new_directory(directory, |top| {
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| top.join(name));
        let root = if overlay::stacks_layers(top) {
            RootFs::Layers { lowers: vec![lower], scratch: Scratch { upper, work } }
        } else {
            RootFs::Whole(lower)
        };
        rehearse(&Step::new(root, vec![b"true".to_vec()])).map_err(|error| {
            let reason = format!("{error}: {}", error.cause);
            let mut errno = Errno::CANCELED;
            if let StepCause::Io(source) | StepCause::Refused { source, .. } = &error.cause {
                errno = number(source);
            }
            Refusal { errno, reason }
        })
    })
}

/// Mounts an overlay of new directories, and replaces a directory in it.
pub(super) fn overlay(directory: &Path) -> Result<(), Refusal> {
    enter()?;
    in_new_directory(directory, |top| {
        fs::create_dir(top.join("lower/old"))?;
        fs::write(top.join("lower/old/file"), "")?;
        let merged = top.join("merged");
        let mounted = mount_overlay(top).map_err(kept_to_root)?;
        let tried = replace_directory(&mounted).map_err(Refusal::from);
        // An overlay of a detached mount has no place.
        let _ = unmount(&merged, UnmountFlags::DETACH);
        tried
    })
}

/// What a kernel means that lets others make file systems and not this one.
fn kept_to_root(errno: Errno) -> Refusal {
    let other = || {
        let context = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)
    };
    if errno == Errno::PERM && other().is_ok() {
        let reason = "this kernel keeps overlay file systems to root of the machine".to_owned();
        return Refusal { errno: Errno::OPNOTSUPP, reason };
    }
    errno.into()
}

/// What is below must not show through, which takes an extended attribute of the upper directory.
fn replace_directory(mounted: &OwnedFd) -> Result<(), Errno> {
    unlinkat(mounted, c"old/file", AtFlags::empty())?;
    unlinkat(mounted, c"old", AtFlags::REMOVEDIR)?;
    mkdirat(mounted, c"old", Mode::from_raw_mode(0o755))?;
    match statat(mounted, c"old/file", AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        shown => shown.and(Err(Errno::EXIST)),
    }
}

/// Tries something with the directories of an overlay, inside of a namespace that was entered.
fn in_new_directory(
    directory: &Path,
    attempt: impl Fn(&Path) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    static TRIED: AtomicU64 = AtomicU64::new(0);
    let number = TRIED.fetch_add(1, Ordering::Relaxed);
    let top = directory.join(format!(".probe-{}-{number}", std::process::id()));
    let mut names = ["lower", "upper", "work", "merged"].iter();
    let made = names.try_for_each(|name| fs::create_dir_all(top.join(name)));
    let tried = made.map_err(Refusal::from).and_then(|()| attempt(&top));
    let removed = fs::remove_dir_all(&top);
    tried.and(removed.map_err(Refusal::from))
}

/// Mounts an overlay as this kernel likes it.
fn mount_overlay(top: &Path) -> Result<OwnedFd, Errno> {
    let open = |name: &str| openat(CWD, top.join(name), DIRECTORY, Mode::empty());
    let [lower, upper, work] = [open("lower")?, open("upper")?, open("work")?];
    if overlay::stacking() == Stacking::AtOnce {
        let scratch = Some([upper.as_fd(), work.as_fd()]);
        overlay::mount_at_once(open("merged")?.as_fd(), scratch, iter::once(lower.as_fd()))?;
        return open("merged");
    }
    let context = overlay::changeable()?;
    for (key, directory) in [(c"upperdir", upper), (c"workdir", work), (c"lowerdir+", lower)] {
        overlay::add(context.as_fd(), key, directory.as_fd())?;
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// Keeps to abstract sockets of its own, as steps with the network of the machine do.
pub(super) fn sockets() -> Result<(), Refusal> {
    enter()?;
    sys::scope_abstract_sockets().map_err(|errno| {
        let reason = "this kernel has no scopes of Landlock, or it is off".to_owned();
        Refusal { errno, reason }
    })
}

/// Mounts `/proc` for a process namespace of its own.
pub(super) fn proc() -> Result<(), Refusal> {
    enter()?;
    sys::unshare(libc::CLONE_NEWPID)?;
    in_child(|| {
        let context = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::empty();
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(())
    })
}

pub(super) fn network() -> Result<(), Refusal> {
    enter()?;
    sys::unshare(libc::CLONE_NEWNET)?;
    Ok(sys::raise_loopback()?)
}

pub(super) fn emulators() -> Result<(), Refusal> {
    enter()?;
    binfmt::formats()?;
    Ok(())
}

/// Opens what a process has open, as is done for sockets of steps.
pub(super) fn descriptors() -> Result<(), Refusal> {
    enter()?;
    if !sys::restricts_mounts() {
        let reason = "this kernel restricts no mounts that are attached nowhere".to_owned();
        return Err(Refusal { errno: Errno::NOSYS, reason });
    }
    Ok(supervisor::reaches_descriptors()?)
}

pub(super) fn filter() -> Result<(), Refusal> {
    enter()?;
    sys::install_filter(seccomp::program(Attention::Deeds, Binds::Run))?;
    Ok(())
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
