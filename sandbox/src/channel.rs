//! The way of descriptors from the child of a step to its builder.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};

/// What a descriptor is, in the byte that comes with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Sent {
    /// The mount of the step's root.
    Root,
    /// The listener of its filter.
    Listener,
    /// A copy of its mounts.
    Copy,
    /// A file system for its sockets.
    Room,
}

/// Both ends; the child has a copy of its own.
#[derive(Debug)]
pub(crate) struct Channel {
    ours: OwnedFd,
    childs: OwnedFd,
}

/// What a child has sent.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The mount of the step's root.
    pub(crate) root: Option<OwnedFd>,
    /// The listener of its filter, if it has one.
    pub(crate) listener: Option<OwnedFd>,
    /// A copy of its mounts, where it shares some.
    pub(crate) copy: Option<OwnedFd>,
    /// A file system for its sockets there.
    pub(crate) room: Option<OwnedFd>,
}

impl Channel {
    pub(crate) fn open() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, childs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok(Self { ours, childs })
    }

    /// The end that the child sends to.
    pub(crate) fn childs_end(&self) -> RawFd {
        self.childs.as_raw_fd()
    }

    /// What comes from a child that has a copy of the other end, until it lets go of that.
    pub(crate) fn received_until_end(self) -> Result<Received, Errno> {
        let Self { ours, childs } = self;
        drop(childs);
        let mut received = Received::default();
        loop {
            let mut polled = [PollFd::new(&ours, PollFlags::IN)];
            match poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            match receive(&ours)? {
                Some((_, None)) => return Ok(received),
                Some((_, listener)) => received.listener = listener,
                None => {}
            }
        }
    }

    /// What came from a child that has executed its command, or failed to.
    pub(crate) fn received(&self) -> Result<Received, Errno> {
        let mut received = Received::default();
        while let Some((kind, descriptor)) = receive(&self.ours)? {
            match kind {
                kind if kind == Sent::Root as u8 => received.root = descriptor,
                kind if kind == Sent::Copy as u8 => received.copy = descriptor,
                kind if kind == Sent::Room as u8 => received.room = descriptor,
                _ => received.listener = descriptor,
            }
        }
        Ok(received)
    }
}

fn receive(from: impl AsFd) -> Result<Option<(u8, Option<OwnedFd>)>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut kind = [0];
    let into = &mut [IoSliceMut::new(&mut kind)];
    match recvmsg(from, into, &mut rights, RecvFlags::CMSG_CLOEXEC) {
        Err(Errno::AGAIN) => return Ok(None),
        received => received?,
    };
    let descriptor = rights.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        RecvAncillaryMessage::ScmCredentials(_) | _ => None,
    });
    Ok(Some((kind[0], descriptor)))
}
