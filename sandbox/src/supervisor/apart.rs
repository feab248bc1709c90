//! Where a step's sockets lie that it binds in a directory which it shares with other steps.
//!
//! Such a socket is made in a file system that belongs to the step alone, and its name in the shared
//! directory becomes a link that leads there. Programs of the step connect to it, change its mode
//! and remove it by that name; for other steps the link leads nowhere.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, chmodat, mkdirat, openat, readlinkat, renameat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::caller::{self, PathContext};
use super::layout::Layout;
use super::rights::{Rights, aside};
use crate::plan::{OPEN_TO_THE_STEP, SHOWN_AT};
use crate::sys;

/// What keeps the sockets of a step apart.
#[derive(Debug)]
pub(crate) struct Apart {
    /// A copy of the step's mounts, in which what is shared is read-only and no link of `/proc` is
    /// followed.
    pub(crate) copy: OwnedFd,
    /// The file system of the sockets. The step sees one directory of it.
    pub(crate) room: OwnedFd,
}

impl Apart {
    /// Binds a socket as its process would, but where others share the directory, apart from them.
    pub(super) fn bind(
        &self,
        (socket, address): (BorrowedFd<'_>, &[u8]),
        path: &[u8],
        (place, rights): (&PathContext, &Rights),
    ) -> Result<(), Errno> {
        let bound = aside(|| {
            place.within(&self.copy)?.stand()?;
            rights.enter()?;
            sys::bind(socket, address)
        });
        match bound {
            Err(Errno::ROFS) => {}
            // What an earlier step has left is no socket of this one.
            Err(Errno::ADDRINUSE) if self.remove_stale(path, (place, rights)).is_ok() => {}
            bound => return bound,
        }
        let name = fresh_name()?;
        let link = aside(|| {
            place.stand()?;
            rights.enter()?;
            Link::make(path, &name)
        })?;
        self.bind_in_room((socket, address), (path, &name), (place, rights)).inspect_err(|_| {
            // Whoever put something else there meanwhile keeps it.
            let _ = aside(|| rights.enter().and_then(|()| link.remove()));
        })
    }

    /// Removes a link to a socket that is not there.
    fn remove_stale(
        &self,
        path: &[u8],
        (place, rights): (&PathContext, &Rights),
    ) -> Result<(), Errno> {
        let link = aside(|| {
            place.stand()?;
            rights.enter()?;
            Link::find(path)
        })?;
        let socket = format!("{}/{}", shown(), link.name);
        match statat(&self.room, socket, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => aside(|| rights.enter().and_then(|()| link.remove())),
            Ok(_) => Err(Errno::ADDRINUSE),
            Err(errno) => Err(errno),
        }
    }

    /// Binds a socket in a place that nobody sees, so that nobody can lead it elsewhere, and moves
    /// the file. There the same path leads to a directory of its own: programs ask for the address
    /// of a socket to remove it.
    fn bind_in_room(
        &self,
        (socket, address): (BorrowedFd<'_>, &[u8]),
        (path, name): (&[u8], &str),
        (place, rights): (&PathContext, &Rights),
    ) -> Result<(), Errno> {
        // Whose name is not known cannot be reached past the directory of its link.
        chmodat(&self.room, shown(), Mode::from_raw_mode(0o711), AtFlags::empty())?;
        let layout = Layout::of(path, name);
        let bound = self.furnish(&layout).and_then(|()| {
            let open = |path: &[u8]| openat(&self.room, path, DIRECTORY, Mode::empty());
            let place = place.at(open(layout.top())?, open(&layout.start)?);
            aside(|| {
                place.stand()?;
                rights.enter()?;
                sys::bind(socket, address)
            })?;
            renameat(&self.room, &layout.socket[..], &self.room, format!("{}/{name}", shown()))
        });
        for directory in layout.directories.iter().rev() {
            // What is left of a failure takes a place until the step ends.
            let _ = unlinkat(&self.room, &directory[..], AtFlags::REMOVEDIR);
        }
        bound
    }

    fn furnish(&self, layout: &Layout) -> Result<(), Errno> {
        layout.directories.iter().try_for_each(|directory| {
            let everybody = Mode::from_raw_mode(0o777);
            mkdirat(&self.room, &directory[..], everybody)?;
            // Whatever mode new files lack here.
            chmodat(&self.room, &directory[..], everybody, AtFlags::empty())
        })
    }
}

/// The name of a socket in a directory that is shared.
#[derive(Debug)]
struct Link {
    parent: OwnedFd,
    entry: Vec<u8>,
    /// The name of the socket itself.
    name: String,
}

impl Link {
    /// Makes the link at `path`, as whoever this thread is, where it stands.
    fn make(path: &[u8], name: &str) -> Result<Self, Errno> {
        let (parent, entry) = caller::parent(path)?;
        let made = symlinkat(format!("{SHOWN_AT}/{name}"), &parent, entry);
        // What `bind` says of a name that is taken.
        made.map_err(|errno| if errno == Errno::EXIST { Errno::ADDRINUSE } else { errno })?;
        Ok(Self { parent, entry: entry.to_vec(), name: name.to_owned() })
    }

    /// The link at `path`, if there is one to a socket of some step.
    fn find(path: &[u8]) -> Result<Self, Errno> {
        let (parent, entry) = caller::parent(path)?;
        let target = readlinkat(&parent, entry, Vec::new())?;
        let name = target.to_str().ok().and_then(|target| target.strip_prefix(SHOWN_AT));
        let name = name.and_then(|rest| rest.strip_prefix('/'));
        let is_ours = |name: &&str| name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = name.filter(is_ours).ok_or(Errno::ADDRINUSE)?;
        Ok(Self { parent, entry: entry.to_vec(), name: name.to_owned() })
    }

    /// Removes it, if it still is what it was.
    fn remove(&self) -> Result<(), Errno> {
        let target = readlinkat(&self.parent, &self.entry[..], Vec::new())?;
        if target.to_bytes() != format!("{SHOWN_AT}/{}", self.name).as_bytes() {
            return Err(Errno::ADDRINUSE);
        }
        unlinkat(&self.parent, &self.entry[..], AtFlags::empty())
    }
}

/// A name that nobody guesses.
fn fresh_name() -> Result<String, Errno> {
    let mut bytes = [0; 8];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

fn shown() -> &'static str {
    OPEN_TO_THE_STEP.to_str().unwrap_or_default()
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
