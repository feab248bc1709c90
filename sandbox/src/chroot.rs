//! Steps in another root directory and nothing more, for containers that allow no namespaces.
//!
//! Such a step is kept apart by what the container lacks, not by us: it is root of the container, sees its
//! processes and its network, and could get out of its root directory. What it cannot do is change this
//! program's memory or read its environment. Its mounts are renames: what is to be seen in a place
//! is moved there for as long as the step runs (`chroot/furnish.rs`). Its processes are the descendants of a
//! process of ours that takes up orphans, and does not end before them (`chroot/reaper.rs`).

mod furnish;
mod process;
mod reaper;
mod run;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, WaitOptions, chroot, geteuid, setrlimit, waitpid};
use rustix::thread::{CapabilitySet, capabilities};

use crate::enter::is_alone;
use crate::sys;

pub(crate) use run::run;

/// Why steps cannot have a root directory of their own here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChrootError {
    /// Files of an image belong to many, and only root gives files away.
    #[error("the program runs as user {0}, and only root can give files of an image their owners")]
    NotRoot(u32),
    /// A capability that root has in containers of Docker.
    #[error("this container lacks {0}, which Docker gives to root by default")]
    Lacks(&'static str),
    /// The kernel refused to change the root directory.
    #[error("changing the root directory is not permitted ({0})")]
    Refused(io::Error),
    /// The kernel refused to make devices.
    #[error("devices cannot be made or used in {place} ({error})")]
    Devices {
        /// Where.
        place: String,
        /// Why.
        error: io::Error,
    },
    /// The program has started threads.
    #[error("the process has more than one thread")]
    Threads,
    /// The process could not protect itself.
    #[error("protecting the builder's memory failed ({0})")]
    Exposed(io::Error),
}

/// Has steps run in another root directory from now on. `directory` is where their files are going to
/// be.
///
/// Forks, and so has to be called while the process has one thread.
///
/// # Errors
///
/// The container does not allow that either; the error says what it lacks.
pub fn settle(directory: &Path) -> Result<(), ChrootError> {
    if !is_alone() {
        return Err(ChrootError::Threads);
    }
    probe(directory)?;
    let exposed = |errno: Errno| ChrootError::Exposed(errno.into());
    sys::hide_memory().map_err(exposed)?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(exposed)?;
    SETTLED.get_or_init(|| ());
    Ok(())
}

/// Whether steps run so.
pub fn is_settled() -> bool {
    SETTLED.get().is_some()
}

static SETTLED: OnceLock<()> = OnceLock::new();

/// Tries what steps need that run so, with files in `directory`.
///
/// Forks, and so has to be called while the process has one thread.
///
/// # Errors
///
/// As [`settle`].
pub fn probe(directory: &Path) -> Result<(), ChrootError> {
    let user = geteuid();
    if !user.is_root() {
        return Err(ChrootError::NotRoot(user.as_raw()));
    }
    let have = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    for (needed, name) in NEEDED {
        if !have.contains(needed) {
            return Err(ChrootError::Lacks(name));
        }
    }
    change_root().map_err(|errno| ChrootError::Refused(errno.into()))?;
    let devices = |error: io::Error| {
        let place = directory.display().to_string();
        ChrootError::Devices { place, error }
    };
    let null = directory.join(format!(".probe-{}", std::process::id()));
    let made = make_null(&null).and_then(|()| fs::write(&null, b"x"));
    // It may not be there.
    let _ = fs::remove_file(&null);
    made.map_err(devices)
}

fn make_null(path: &Path) -> io::Result<()> {
    let null = makedev(1, 3);
    Ok(mknodat(CWD, path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), null)?)
}

/// Has a forked child change its root directory.
fn change_root() -> Result<(), Errno> {
    match sys::fork()? {
        None => sys::exit_now(chroot("/").err().map_or(0, Errno::raw_os_error)),
        Some(child) => {
            let ended = waitpid(Some(child), WaitOptions::empty())?;
            let code = ended.and_then(|(_, status)| status.exit_status()).unwrap_or(-1);
            if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code)) }
        }
    }
}

/// What root needs to give files their owners, and steps their root directory and user.
const NEEDED: [(CapabilitySet, &str); 7] = [
    (CapabilitySet::SYS_CHROOT, "CAP_SYS_CHROOT"),
    (CapabilitySet::CHOWN, "CAP_CHOWN"),
    (CapabilitySet::DAC_OVERRIDE, "CAP_DAC_OVERRIDE"),
    (CapabilitySet::FOWNER, "CAP_FOWNER"),
    (CapabilitySet::MKNOD, "CAP_MKNOD"),
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
];
