//! Telling the kernel the directories of an overlay.
//!
//! It takes them one by one since 6.7, as strings of up to 255 bytes in which a backslash has a
//! meaning of its own. Before, there is one list with colons in it, of all the options of a mount,
//! which have a page. So each directory is opened and named by the number of its descriptor, which
//! needs no escapes, and in a list no more than four bytes. What is called in the child is under its
//! rules.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, MountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsopen, mount,
};
use rustix::path::DecInt;
use rustix::process::{chdir, fchdir};

use crate::step::Stacking;

/// What this kernel takes, found out once. The process has to be in its namespaces.
pub(crate) fn stacking() -> Stacking {
    static KNOWN: OnceLock<Stacking> = OnceLock::new();
    // Where nothing can be found out, the step says what the kernel refuses.
    let found = || takes_one_by_one().unwrap_or(Stacking::OneByOne);
    *KNOWN.get_or_init(found)
}

fn takes_one_by_one() -> Result<Stacking, Errno> {
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let added = add_path(context.as_fd(), c"lowerdir+", c"/");
    // Where every word is taken, they are looked at when the mount is made.
    let is_read = fsconfig_set_flag(&context, c"no-such-option").is_err();
    Ok(if added.is_ok() && is_read { Stacking::OneByOne } else { Stacking::AtOnce })
}

/// Whether the kernel stacks layers here whose changes go to `directory`: kernels before 5.11 do so for
/// root of the machine alone, and file systems that are stacked themselves take no changes.
///
/// Nothing is left in the directory. The process has to be in its namespaces.
pub fn stacks_layers(directory: &Path) -> bool {
    let tried = stack_in(directory);
    tracing::debug!(?tried, "tried to stack layers");
    tried.is_ok()
}

fn stack_in(directory: &Path) -> io::Result<()> {
    // Two who try in one directory must not meet: the kernel refuses a second overlay over the work of the first.
    static TRIED: AtomicU64 = AtomicU64::new(0);
    let top = directory.join(format!("stacking-{}", TRIED.fetch_add(1, Ordering::Relaxed)));
    let made = ["lower", "upper", "work"]
        .iter()
        .try_for_each(|name| std::fs::create_dir_all(top.join(name)));
    let stacked = made.and_then(|()| {
        let context = changeable()?;
        for (key, name) in [(c"lowerdir", "lower"), (c"upperdir", "upper"), (c"workdir", "work")] {
            let opened = openat(CWD, top.join(name), DIRECTORY, Mode::empty())?;
            add(context.as_fd(), key, opened.as_fd())?;
        }
        Ok(fsconfig_create(&context)?)
    });
    let removed = std::fs::remove_dir_all(&top);
    stacked.and(removed)
}

/// An overlay that is going to take changes, as those of steps do.
pub(crate) fn changeable() -> Result<OwnedFd, Errno> {
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&context, c"userxattr")?;
    // Without it the kernel writes out all that waits for the disk below, whosever it is, when the overlay goes: seconds on a
    // machine that has been busy.
    fsconfig_set_flag(&context, c"volatile")?;
    Ok(context)
}

/// Gives an overlay the directory at a path.
pub(crate) fn add_path(context: BorrowedFd<'_>, key: &CStr, path: &CStr) -> Result<(), Errno> {
    let directory = openat(CWD, path, DIRECTORY, Mode::empty())?;
    add(context, key, directory.as_fd())
}

/// Gives an overlay a directory.
pub(crate) fn add(
    context: BorrowedFd<'_>,
    key: &CStr,
    directory: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let number = DecInt::new(directory.as_raw_fd());
    let mut name = [0; DESCRIPTORS.to_bytes().len() + 1 + LONGEST_NUMBER];
    let (start, rest) = name.split_at_mut(DESCRIPTORS.to_bytes().len());
    start.copy_from_slice(DESCRIPTORS.to_bytes());
    for (place, digit) in rest.iter_mut().zip(b"/".iter().chain(number.as_bytes())) {
        *place = *digit;
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno::NAMETOOLONG)?;
    fsconfig_set_string(context, key, name)
}

/// Mounts an overlay of open directories on another one: an upper and a work directory, if it is to
/// take changes, and lower ones, the topmost first.
pub(crate) fn mount_at_once<'fd>(
    at: BorrowedFd<'_>,
    scratch: Option<[BorrowedFd<'_>; 2]>,
    lowers: impl Iterator<Item = BorrowedFd<'fd>>,
) -> Result<(), Errno> {
    let mut options = Options { text: [0; PAGE], length: 0 };
    options.add(b"userxattr")?;
    if let Some([upper, work]) = scratch {
        options.add(b",volatile,upperdir=")?;
        options.number(upper)?;
        options.add(b",workdir=")?;
        options.number(work)?;
    }
    let mut before: &[u8] = b",lowerdir=";
    for lower in lowers {
        options.add(before)?;
        options.number(lower)?;
        before = b":";
    }
    let here = openat(CWD, c".", DIRECTORY, Mode::empty());
    chdir(DESCRIPTORS)?;
    let (kind, place) = (c"overlay", DecInt::new(at.as_raw_fd()));
    let mounted = mount(kind, place.as_c_str(), kind, MountFlags::empty(), options.text());
    // Nothing is reached from where it may not be looked for.
    here.map_or_else(|_| chdir(c"/"), |here| fchdir(&here))?;
    mounted
}

/// The options of a mount.
struct Options {
    text: [u8; PAGE],
    length: usize,
}

impl Options {
    fn add(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let end = self.length + bytes.len();
        let place = self.text.get_mut(self.length..end).ok_or(Errno::NAMETOOLONG)?;
        place.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    fn number(&mut self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        self.add(DecInt::new(directory.as_raw_fd()).as_bytes())
    }

    /// With a zero behind it; without one it would not be read as a whole.
    fn text(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.text).ok()
    }
}

/// The most lower directories of one overlay.
pub(crate) const MOST_LOWERS: usize = 500;

/// What the kernel takes for the options of a mount. Pages are not smaller.
const PAGE: usize = 4096;

/// Where descriptors have names.
const DESCRIPTORS: &CStr = c"/proc/self/fd";

/// Room for the digits of a descriptor and a zero.
const LONGEST_NUMBER: usize = 12;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
