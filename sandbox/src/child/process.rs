//! The operations that concern the process alone, under the rules of the child.

use std::ffi::CStr;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{fchdir, ioctl_tiocsctty, setrlimit, setsid, umask};
use rustix::system::sethostname;
use rustix::thread::{
    LinkNameSpaceType, move_into_link_name_space, sched_setaffinity, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::beneath;
use crate::channel::Sent;
use crate::plan::{CHANNEL, SelfOp};
use crate::sys;

/// Carries one of them out.
pub(super) fn carry_out(op: &SelfOp) -> Result<(), Errno> {
    match op {
        SelfOp::NewSession => setsid().map(drop),
        SelfOp::NewKeyring => {
            // Kernels without keys refuse, and so does a full quota; the filter keeps the step
            // from using the builder's keyring all the same.
            sys::join_new_keyring().or(Ok(()))
        }
        SelfOp::Hostname(name) => sethostname(name.to_bytes()),
        SelfOp::ScopeSockets => {
            // What it keeps from happening is found out when the step's files are sealed, too.
            sys::scope_abstract_sockets().or(Ok(()))
        }
        SelfOp::EnterNetwork(network) => {
            move_into_link_name_space(sys::lend(*network), Some(LinkNameSpaceType::Network))
        }
        SelfOp::EnterUsers(users) => {
            move_into_link_name_space(sys::lend(*users), Some(LinkNameSpaceType::User))
        }
        SelfOp::Unshare(namespaces) => sys::unshare(*namespaces),
        SelfOp::RaiseLoopback => sys::raise_loopback(),
        SelfOp::Stdio { from, to } => sys::duplicate(*from, *to),
        SelfOp::TakeTerminal => ioctl_tiocsctty(sys::lend(0)),
        SelfOp::CloseDescriptors { kept: None } => sys::close_from(CHANNEL),
        SelfOp::CloseDescriptors { kept: Some(channel) } => {
            if *channel != CHANNEL {
                sys::duplicate(*channel, CHANNEL)?;
            }
            sys::close_from(CHANNEL + 1)
        }
        SelfOp::EnterDirectory(path) => enter_directory(path),
        SelfOp::Umask => {
            umask(Mode::from_raw_mode(0o022));
            Ok(())
        }
        // Whoever writes is meant by nought.
        SelfOp::JoinGroup(members) => rustix::io::write(sys::lend(*members), b"0").map(drop),
        SelfOp::Processors(set) => sched_setaffinity(None, set),
        SelfOp::Limit { resource, limit } => setrlimit(*resource, *limit),
        SelfOp::Bound { kept } => bound(*kept),
        SelfOp::Capabilities { kept } => sys::set_capabilities(*kept),
        SelfOp::GiveUpNewPrivileges => sys::give_up_new_privileges(),
        SelfOp::Groups(groups) => set_thread_groups(groups),
        SelfOp::Group(gid) => set_thread_res_gid(*gid, *gid, *gid),
        SelfOp::User(uid) => set_thread_res_uid(*uid, *uid, *uid),
    }
}

/// Installs a filter, sends its listener to the builder, and lets go of it. A process has one
/// listener: where a container has taken it, as LXD can, there is another filter.
pub(super) fn filter(
    program: &[libc::sock_filter],
    unheard: Option<&[libc::sock_filter]>,
) -> Result<(), Errno> {
    match sys::install_filter(program) {
        Err(Errno::BUSY) => sys::install_unheard_filter(unheard.ok_or(Errno::BUSY)?)?,
        listener => send(sys::lend(listener?), CHANNEL, Sent::Listener)?,
    }
    sys::close_from(CHANNEL)
}

/// Sends a descriptor to the builder.
pub(super) fn send(sent: BorrowedFd<'_>, channel: RawFd, kind: Sent) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    let sent = [sent];
    rights.push(SendAncillaryMessage::ScmRights(&sent));
    let kind = [kind as u8];
    sendmsg(sys::lend(channel), &[IoSlice::new(&kind)], &mut rights, SendFlags::empty()).map(drop)
}

/// Enters a directory beneath the root, which is where the process is.
fn enter_directory(path: &CStr) -> Result<(), Errno> {
    let top = rustix::fs::openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let directory = beneath(top.as_fd(), path)?;
    fchdir(&directory)
}

/// Takes every capability but `kept` out of the bounding set.
fn bound(kept: u64) -> Result<(), Errno> {
    for capability in 0..u64::BITS {
        if kept >> capability & 1 == 1 {
            continue;
        }
        match sys::drop_from_bounding_set(capability) {
            Ok(()) => {}
            Err(Errno::INVAL) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
