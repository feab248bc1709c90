//! Programs of other architectures, run by emulators of this machine.
//!
//! The kernel keeps a `binfmt_misc` for every user namespace (since Linux 6.7): which emulators
//! run the programs of a step is said in ours, and nothing is registered on the machine. What is
//! said there holds for as long as a mount of it is open.

mod architecture;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::guarded::guarded;
use architecture::{Architecture, is_native, known};

/// The emulators of this machine, put to use one by one as steps need them.
#[derive(Debug, Default)]
pub struct Emulators {
    folders: Vec<PathBuf>,
    used: Mutex<Used>,
}

/// What was put to use.
#[derive(Debug, Default)]
struct Used {
    /// Our `binfmt_misc`; what was registered there is gone when it is closed.
    formats: Option<OwnedFd>,
    architectures: Vec<String>,
}

/// Programs of an architecture cannot be run here.
#[derive(Debug, thiserror::Error)]
#[error("this machine cannot run programs for {architecture}: {cause}")]
pub struct EmulationError {
    /// The architecture, as platforms name it.
    pub architecture: String,
    /// Why not.
    #[source]
    pub cause: EmulationCause,
}

/// Why programs of an architecture cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulationCause {
    /// No emulator is known for it.
    #[error("no emulator is known for it")]
    Unknown,
    /// The emulator is not on this machine.
    #[error("there is no {program} in PATH; install qemu-user-static")]
    Missing {
        /// Its usual name.
        program: String,
    },
    /// The emulator is not statically linked, and images do not have its libraries.
    #[error("{} needs shared libraries, which an image does not have; install qemu-user-static", .program.display())]
    Dynamic {
        /// Where it is.
        program: PathBuf,
    },
    /// The kernel has no `binfmt_misc` for user namespaces.
    #[error(
        "the kernel has no binfmt_misc for user namespaces ({0}); use Linux 6.7 or later, or have root register emulators"
    )]
    Formats(#[source] io::Error),
    /// The kernel does not take the emulator.
    #[error("{} cannot be used: {error}", .program.display())]
    Refused {
        /// Where it is.
        program: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

impl Emulators {
    /// The emulators that lie in `folders`, the first of a kind; relative folders are left out,
    /// since whatever lies in a build context would be found there.
    pub fn in_folders(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        let folders = folders.into_iter().filter(|folder| folder.is_absolute()).collect();
        Self { folders, used: Mutex::default() }
    }

    /// Sees to it that steps can run programs of an architecture, for as long as this value lives.
    ///
    /// Costs nothing for the architectures of this machine's processor. The process has to be in
    /// its namespaces.
    ///
    /// # Errors
    ///
    /// Neither is there an emulator that can be used, nor one that root has registered for all.
    pub fn enable(&self, name: &str) -> Result<(), EmulationError> {
        let fail = |cause| EmulationError { architecture: name.to_owned(), cause };
        if is_native(name) {
            return Ok(());
        }
        let architecture = known(name).ok_or_else(|| fail(EmulationCause::Unknown))?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.architectures.iter().any(|known| known == name) {
            return Ok(());
        }
        let enabled = self.find(architecture).and_then(|found| used.register(architecture, &found));
        match enabled {
            // Once there are formats of our own, those of the machine are not asked any more.
            Err(_) if used.formats.is_none() && is_registered(architecture) => {}
            Err(cause) => return Err(fail(cause)),
            Ok(()) => {}
        }
        used.architectures.push(name.to_owned());
        Ok(())
    }

    /// The architectures that are not this machine's and that an emulator was found for.
    pub fn architectures(&self) -> Vec<&'static str> {
        let foreign = architecture::KNOWN.iter().filter(|one| !is_native(one.name));
        foreign.filter(|one| self.find(one).is_ok()).map(|one| one.name).collect()
    }

    /// The emulator of an architecture; a static one is preferred.
    fn find(&self, architecture: &Architecture) -> Result<PathBuf, EmulationCause> {
        let names = ["-static", ""].map(|end| format!("qemu-{}{end}", architecture.qemu));
        let places = names.iter().flat_map(|name| self.folders.iter().map(move |at| at.join(name)));
        let found: Vec<PathBuf> = places.filter(|place| place.is_file()).collect();
        let usable = found.iter().find(|program| is_static(program).unwrap_or(false));
        match (usable, found.first()) {
            (Some(program), _) => Ok(program.clone()),
            (None, Some(program)) => Err(EmulationCause::Dynamic { program: program.clone() }),
            (None, None) => {
                let [program, _] = names;
                Err(EmulationCause::Missing { program })
            }
        }
    }
}

impl Used {
    fn register(
        &mut self,
        architecture: &Architecture,
        program: &Path,
    ) -> Result<(), EmulationCause> {
        let formats = match self.formats.take() {
            Some(formats) => formats,
            None => formats().map_err(EmulationCause::Formats)?,
        };
        let registered = register(&formats, architecture, program);
        self.formats = Some(formats);
        registered.map_err(|error| EmulationCause::Refused { program: program.to_owned(), error })
    }
}

/// The list of formats of our user namespace.
pub(crate) fn formats() -> io::Result<OwnedFd> {
    let context = fsopen(c"binfmt_misc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    let (flags, attributes) = (FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty());
    Ok(fsmount(context.as_fd(), flags, attributes)?)
}

fn register(formats: &OwnedFd, architecture: &Architecture, program: &Path) -> io::Result<()> {
    let mount = guarded(&program.canonicalize()?)?;
    let interpreter = format!("/proc/self/fd/{}", mount.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let register = openat(formats, c"register", flags, Mode::empty())?;
    let line = architecture.registration(&interpreter);
    rustix::io::write(&register, line.as_bytes())?;
    Ok(())
}

/// Whether root has registered an emulator that the kernel keeps open, so that it works in any root.
fn is_registered(architecture: &Architecture) -> bool {
    let path = format!("/proc/sys/fs/binfmt_misc/qemu-{}", architecture.qemu);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let enabled = lines.next() == Some("enabled");
    enabled && lines.any(|line| line.strip_prefix("flags:").is_some_and(|it| it.contains('F')))
}

/// Whether an ELF program asks for no interpreter of its own (`PT_INTERP`).
fn is_static(program: &Path) -> io::Result<bool> {
    let mut file = File::open(program)?;
    let mut header = [0; ELF_HEADER];
    file.read_exact(&mut header)?;
    let number = |at: usize, size: usize| {
        let bytes = header[at..at + size].iter().rev();
        bytes.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    // Ours is a 64-bit machine whose numbers begin at the low end, and so is its emulator.
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    for index in 0..count {
        let mut kind = [0; 4];
        file.seek(SeekFrom::Start(table + index * size))?;
        file.read_exact(&mut kind)?;
        if u32::from_le_bytes(kind) == INTERPRETER {
            return Ok(false);
        }
    }
    Ok(&header[..4] == b"\x7fELF")
}

/// The size of the header of a 64-bit program.
const ELF_HEADER: usize = 64;

/// `PT_INTERP`.
const INTERPRETER: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_architecture_needs_nothing() {
        let native = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        Emulators::default().enable(native).unwrap();
    }

    #[track_caller]
    fn refused(emulators: &Emulators, architecture: &str, expected: &str) {
        let error = emulators.enable(architecture).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let emulators = Emulators::in_folders(["relative".into(), "/nowhere".into()]);
        refused(&emulators, "z80", "no emulator is known for it");
        refused(&emulators, "s390x", "no qemu-s390x-static in PATH; install qemu-user-static");
    }

    #[test]
    fn an_emulator_that_needs_libraries_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        // Any program that is not static will do: this one.
        let program = std::env::current_exe().unwrap();
        std::os::unix::fs::symlink(program, folder.path().join("qemu-s390x")).unwrap();
        let emulators = Emulators::in_folders([folder.path().to_owned()]);
        refused(&emulators, "s390x", "qemu-s390x needs shared libraries");
    }
}
