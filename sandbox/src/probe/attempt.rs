//! What is tried.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsmount, fsopen,
};
use rustix::path::Arg;

use super::{Refusal, in_child, number};
use crate::enter::into_namespaces;
use crate::error::StepCause;
use crate::run::rehearse;
use crate::seccomp::{Attention, Binds};
use crate::step::{RootFs, Scratch, Step};
use crate::{binfmt, overlay, seccomp, supervisor, sys};

/// Enters namespaces as a build does.
pub(super) fn enter() -> Result<(), Refusal> {
    into_namespaces().map_err(|error| {
        let reason = error.cause.to_string();
        Refusal { errno: Errno::CANCELED, reason }
    })
}

/// Does in a new directory of the store what is done for each RUN, but for running its command.
pub(super) fn step(directory: &Path) -> Result<(), Refusal> {
    in_new_directory(directory, |top| {
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| top.join(name));
        let root = RootFs { lowers: vec![lower], scratch: Scratch { upper, work } };
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

/// Mounts an overlay of new directories, and makes a file in it.
pub(super) fn overlay(directory: &Path) -> Result<(), Refusal> {
    in_new_directory(directory, |top| {
        let [lower, upper, work] = ["lower", "upper", "work"].map(|name| top.join(name));
        Ok(mount_overlay(&lower, &upper, &work)?)
    })
}

/// Tries something with the directories of an overlay, inside of a namespace.
fn in_new_directory(
    directory: &Path,
    attempt: impl Fn(&Path) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    enter()?;
    let top = directory.join(format!(".probe-{}", std::process::id()));
    let made =
        ["lower", "upper", "work"].iter().try_for_each(|name| fs::create_dir_all(top.join(name)));
    let tried = made.map_err(Refusal::from).and_then(|()| attempt(&top));
    let removed = fs::remove_dir_all(&top);
    tried.and(removed.map_err(Refusal::from))
}

fn mount_overlay(lower: &Path, upper: &Path, work: &Path) -> Result<(), Errno> {
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&context, c"userxattr")?;
    fsconfig_set_flag(&context, c"volatile")?;
    for (key, path) in [(c"upperdir", upper), (c"workdir", work), (c"lowerdir+", lower)] {
        path.into_with_c_str(|path| overlay::add_path(context.as_fd(), key, path))?;
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::empty();
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    rustix::fs::mkdirat(&mount, c"made", Mode::from_raw_mode(0o755))
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
    Ok(supervisor::reaches_descriptors()?)
}

pub(super) fn filter() -> Result<(), Refusal> {
    enter()?;
    sys::install_filter(seccomp::program(Attention::Deeds, Binds::Run))?;
    Ok(())
}
