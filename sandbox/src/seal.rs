//! The end of all writing to the files of a step.
//!
//! The processes of a step are gone when it ends, but one of them may have handed a descriptor to
//! somebody else: over a socket in a cache mount, to a step beside it. The file system of its root
//! is made read-only: the kernel refuses that as long as anybody has a file of it open for writing,
//! mapped, or in a message on its way, and afterwards nothing can be written through what is held.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{FsPickFlags, fsconfig_reconfigure, fsconfig_set_flag, fspick};

use crate::error::StepCause;

/// Makes the file system of a step's root read-only for good.
pub(crate) fn seal(root: &OwnedFd) -> Result<(), StepCause> {
    for _ in 0..TRIES {
        match make_read_only(root) {
            Err(Errno::BUSY) => std::thread::sleep(PAUSE),
            sealed => return sealed.map_err(|errno| StepCause::Io(errno.into())),
        }
    }
    Err(StepCause::HeldOpen)
}

fn make_read_only(root: &OwnedFd) -> Result<(), Errno> {
    // A context that the kernel has refused takes no second command.
    let flags = FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC;
    let context = fspick(root, c"", flags)?;
    fsconfig_set_flag(&context, c"ro")?;
    fsconfig_reconfigure(&context)
}

/// Whoever looks at a process that ends, as `ps` does, keeps its memory for a moment, and with it
/// the files that it had mapped.
const TRIES: u32 = 50;

/// How long each try waits; all of them a quarter of a second.
const PAUSE: Duration = Duration::from_millis(5);
