//! What this machine can do, found out by trying: what `doctor` prints.
//!
//! Every question is put by a forked child that enters namespaces of its own, so that the asking
//! process stays as it is.

use std::fs;
use std::io::{self, Read};
use std::iter;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, waitpid};

use crate::enter::into_namespaces;
use crate::{binfmt, seccomp, sys};

/// One capability of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// What was tried.
    pub name: &'static str,
    /// Whether it worked.
    pub outcome: Availability,
    /// What to do when it does not, where the reason does not say.
    pub remedy: Option<&'static str>,
}

/// Whether something works here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Availability {
    /// It was done.
    Available,
    /// It was refused.
    Unavailable {
        /// By what.
        reason: String,
    },
}

/// Tries everything steps need, with the layers of a store in `directory`.
///
/// Where no namespace can be made, only that is reported: nothing else can be tried.
///
/// Forks, and so has to be called while the process has one thread. Leaves nothing behind in
/// `directory`.
pub fn probes(directory: &Path) -> Vec<Probe> {
    let first = NAMESPACE.ask(directory);
    let is_entered = first.outcome == Availability::Available;
    let others = INSIDE.iter().filter(|_| is_entered).map(|question| question.ask(directory));
    iter::once(first).chain(others).collect()
}

/// The version of the running kernel, such as `6.12.3`.
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Something to try, and what helps when it fails.
struct Question {
    name: &'static str,
    attempt: fn(&Path) -> Result<(), String>,
    remedy: Option<&'static str>,
}

const NAMESPACE: Question =
    Question { name: "user namespace with subordinate ids", attempt: |_| enter(), remedy: None };

/// What is tried inside a namespace.
const INSIDE: &[Question] = &[
    Question {
        name: "overlay in the store",
        attempt: overlay,
        remedy: Some(
            "use a kernel of 6.7 or later, and a store on ext4, xfs, btrfs or tmpfs, not on overlayfs or a network",
        ),
    },
    Question {
        name: "fresh /proc",
        attempt: |_| proc(),
        remedy: Some(
            "steps get a /proc without processes, where /dev/stdin, /dev/stdout and /dev/fd lead nowhere; give this container an unmasked /proc (systempaths=unconfined)",
        ),
    },
    Question {
        name: "network namespace",
        attempt: |_| network(),
        remedy: Some("only `--network=none` needs it; raise user.max_net_namespaces"),
    },
    Question {
        name: "emulators of our own",
        attempt: |_| emulators(),
        remedy: Some("only steps for other architectures need it; use a kernel of 6.7 or later"),
    },
    Question {
        name: "system call filter",
        attempt: |_| filter(),
        remedy: Some("use a kernel built with CONFIG_SECCOMP_FILTER"),
    },
];

impl Question {
    fn ask(&self, directory: &Path) -> Probe {
        let attempt = || (self.attempt)(directory);
        let answer = in_child(attempt).unwrap_or_else(|error| Err(error.to_string()));
        match answer {
            Ok(()) => Probe { name: self.name, outcome: Availability::Available, remedy: None },
            Err(reason) => {
                let outcome = Availability::Unavailable { reason };
                Probe { name: self.name, outcome, remedy: self.remedy }
            }
        }
    }
}

/// Has a forked child try something. It answers with the reason of its failure, or with nothing.
fn in_child(attempt: impl Fn() -> Result<(), String>) -> io::Result<Result<(), String>> {
    let (answer, teller) = pipe_with(PipeFlags::CLOEXEC)?;
    let Some(child) = sys::fork()? else {
        let reason = attempt().err().unwrap_or_default();
        let told = rustix::io::write(teller.as_fd(), reason.as_bytes());
        sys::exit_now(i32::from(told.is_err() || !reason.is_empty()));
    };
    drop(teller);
    let mut reason = String::new();
    fs::File::from(answer).read_to_string(&mut reason)?;
    let ended = waitpid(Some(child), WaitOptions::empty())?;
    let is_fine = ended.is_some_and(|(_, status)| status.exit_status() == Some(0));
    Ok(if is_fine { Ok(()) } else { Err(reason) })
}

fn enter() -> Result<(), String> {
    into_namespaces().map_err(|error| error.cause.to_string())
}

fn text(errno: Errno) -> String {
    io::Error::from(errno).to_string()
}

/// Mounts an overlay of new directories, and makes a file in it.
fn overlay(directory: &Path) -> Result<(), String> {
    enter()?;
    let top = directory.join(format!(".probe-{}", std::process::id()));
    let made = fs::create_dir(&top).map_err(|error| error.to_string());
    let tried = made.and_then(|()| overlay_in(&top));
    let removed = fs::remove_dir_all(&top).map_err(|error| error.to_string());
    tried.and(removed)
}

fn overlay_in(top: &Path) -> Result<(), String> {
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| top.join(name));
    for path in [&lower, &upper, &work] {
        fs::create_dir(path).map_err(|error| error.to_string())?;
    }
    mount_overlay(&lower, &upper, &work).map_err(text)
}

fn mount_overlay(lower: &PathBuf, upper: &PathBuf, work: &PathBuf) -> Result<(), Errno> {
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&context, c"userxattr")?;
    fsconfig_set_flag(&context, c"volatile")?;
    fsconfig_set_string(&context, c"upperdir", upper)?;
    fsconfig_set_string(&context, c"workdir", work)?;
    fsconfig_set_string(&context, c"lowerdir+", lower)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::empty();
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    rustix::fs::mkdirat(&mount, c"made", Mode::from_raw_mode(0o755))
}

/// Mounts `/proc` for a process namespace of its own.
fn proc() -> Result<(), String> {
    enter()?;
    sys::unshare(libc::CLONE_NEWPID).map_err(text)?;
    let mount = || {
        let context = fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::empty();
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    let tried = in_child(|| mount().map(drop).map_err(text));
    tried.unwrap_or_else(|error| Err(error.to_string()))
}

fn network() -> Result<(), String> {
    enter()?;
    sys::unshare(libc::CLONE_NEWNET).map_err(text)?;
    sys::raise_loopback().map_err(text)
}

fn emulators() -> Result<(), String> {
    enter()?;
    binfmt::formats().map(drop).map_err(|error| error.to_string())
}

fn filter() -> Result<(), String> {
    enter()?;
    sys::install_filter(seccomp::program()).map(drop).map_err(text)
}
