//! What a process may do, for a thread of ours that acts for it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::thread::{
    Gid, LinkNameSpaceType, Uid, move_into_link_name_space, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::status::Status;
use crate::{enter, sys};

/// What a process may do.
#[derive(Debug)]
pub(super) struct Rights(pub(super) Status);

/// What decides which sockets a process may open.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// Its network, where that is not the builder's.
    pub(super) network: Option<OwnedFd>,
    pub(super) rights: Rights,
}

impl Rights {
    /// Has this thread be no more than the process. It ends afterwards.
    pub(super) fn enter(&self) -> Result<(), Errno> {
        let Status { uid, gid, groups, capabilities, .. } = &self.0;
        let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
        let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        sys::keep_capabilities()?;
        // With one id nobody gives up or takes on any.
        if !enter::has_one_id() {
            set_thread_groups(&groups)?;
        }
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        sys::set_capabilities(*capabilities)
    }
}

impl Surroundings {
    /// Has this thread open sockets as the process would. It ends afterwards.
    pub(super) fn enter(&self) -> Result<(), Errno> {
        if let Some(network) = &self.network {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        }
        self.rights.enter()
    }
}

/// Does something on a thread of its own, which may give up what this one needs.
pub(super) fn aside<T: Send>(deed: impl FnOnce() -> Result<T, Errno> + Send) -> Result<T, Errno> {
    std::thread::scope(|scope| scope.spawn(deed).join().unwrap_or(Err(Errno::PERM)))
}
