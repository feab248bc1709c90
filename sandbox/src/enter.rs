//! Entering the namespaces of a build: once per process, while it has one thread.
//!
//! The process keeps its number. It leaves the user namespace it was started in, has helpers that
//! stayed behind write its id maps, becomes root of the new one, and executes itself again from a
//! read-only copy of its binary, so that no step can get hold of a writable one.

mod error;
mod ids;
mod mapping;
mod range;
mod reexec;

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Resource, Rlimit, WaitOptions, setrlimit, waitpid};
use rustix::thread::{Gid, Uid, capabilities, set_thread_res_gid, set_thread_res_uid};

pub use error::{InitCause, InitError};

use crate::below::Below;
use crate::error::StepError;
use crate::idmap::{self, IdMap};
use crate::nest::Nest;
use crate::step::Identity;
use crate::{chroot, supervisor, sys};
use error::namespace_refused;
pub use mapping::IdChoice;
pub(crate) use mapping::write_maps;
use mapping::{Mapping, Writers};
pub(crate) use range::{MACHINE, below_for_programs, below_for_steps, is_split};
use reexec::Marker;

/// The namespaces of this process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Which ids of the machine stand for those that steps have.
    pub ids: IdMap,
    /// The path this program was started from; `current_exe` no longer knows.
    pub program: PathBuf,
    /// Why these ids and no more, as [`init_in_stead`] was told.
    pub reason: Option<String>,
}

/// Enters the namespaces that steps need, or returns at once when the process is in them.
///
/// To be called while there is one thread; others that were told to end are waited for. When it has
/// to enter it does not return: the program is executed again with the same arguments and
/// environment, and the same call in the new run returns the [`Entry`]. So nothing should be done
/// before it that may not be done twice.
///
/// The new run has a child that no `wait` finds and that lives as long as the calling thread: all
/// steps end with it.
///
/// # Errors
///
/// The machine or the user's account does not allow it; the cause says what would. The process
/// may be in a half-made namespace and should end.
pub fn init() -> Result<Entry, InitError> {
    init_with(IdChoice::Subordinate)
}

/// As [`init`], with ids as they are chosen.
///
/// # Errors
///
/// As [`init`].
pub fn init_with(choice: IdChoice) -> Result<Entry, InitError> {
    begin(choice, String::new())
}

/// As [`init`], with one id, where there are no more for the reason that is given. The new run finds it in its
/// [`Entry`].
///
/// # Errors
///
/// As [`init`].
pub fn init_in_stead(reason: String) -> Result<Entry, InitError> {
    begin(IdChoice::Own, reason)
}

fn begin(choice: IdChoice, reason: String) -> Result<Entry, InitError> {
    if let Some(entry) = ENTRY.get() {
        return Ok(entry.clone());
    }
    match Marker::take() {
        Some(marker) if marker.ids == current_ids()? => Ok(arrive(marker)?),
        _ => Err(depart(choice, reason)?),
    }
}

/// Whether this is the new run that [`init`] has begun, so that it has to be called at once.
pub fn is_second_run() -> bool {
    Marker::is_there()
}

/// Whether this process is in its namespaces, so that steps can run.
pub fn is_entered() -> bool {
    ENTRY.get().is_some()
}

/// The namespaces of this process, once [`init`] returned them.
pub fn entry() -> Option<&'static Entry> {
    ENTRY.get()
}

/// Where steps are started, once [`init`] returned.
pub(crate) fn nest() -> Option<&'static Nest> {
    NEST.get()
}

/// Whether steps have one id, and see others that are emulated.
pub fn has_one_id() -> bool {
    entry().is_some_and(|entry| entry.ids.is_single())
}

/// Whether steps have ids apart from those of the machine, of which this process is root.
pub fn is_apart() -> bool {
    nest().is_some_and(|nest| nest.below().is_some())
}

/// The first of the ids that this process has for itself: nobody else is to own a file of those.
pub fn reserved() -> Option<u32> {
    is_apart().then_some(range::MACHINE)
}

/// Whether steps can be kept apart in what they [share](crate::step::Access::Shared): this program
/// binds their sockets, and a container may keep their system calls from it.
pub fn supervises() -> bool {
    static SUPERVISES: OnceLock<bool> = OnceLock::new();
    !chroot::is_settled() && *SUPERVISES.get_or_init(supervisor::is_possible)
}

/// Has a program of the machine run with the ids that the machine has, as it would without this
/// program. Where the namespace of this process is all that its user has, it runs in that one.
pub fn beside(command: &mut Command) {
    if let Some(below) = nest().and_then(Nest::below) {
        sys::enter_users_before_execution(command, below.programs().as_raw_fd());
    }
}

/// Refuses users and groups that the namespace of this process does not have, while doing `doing`.
///
/// # Errors
///
/// As [`IdMap::admit`].
pub fn admit(identity: &Identity, doing: &str) -> Result<(), StepError> {
    entry().map_or(Ok(()), |entry| entry.ids.admit(identity, doing))
}

static ENTRY: OnceLock<Entry> = OnceLock::new();

static NEST: OnceLock<Nest> = OnceLock::new();

/// Settles in: the second run.
fn arrive(marker: Marker) -> Result<Entry, InitError> {
    let steps = range::of_steps(&marker.ids);
    if steps.is_some() {
        become_user(range::MACHINE).map_err(|errno| InitError::io("staying root", errno))?;
    }
    let doing = "protecting the builder's memory";
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    sys::hide_memory().map_err(|errno| InitError::io(doing, errno))?;
    setrlimit(Resource::Core, none).map_err(|errno| InitError::io(doing, errno))?;
    let doing = "making namespaces for steps";
    let nest = Nest::new(&marker.ids).map_err(|errno| InitError::io(doing, errno))?;
    NEST.get_or_init(|| nest);
    sys::at_exit(leave).map_err(|errno| InitError::io(doing, errno))?;
    let reason = Some(marker.reason).filter(|reason| !reason.is_empty());
    let entry = Entry { ids: steps.unwrap_or(marker.ids), program: marker.program, reason };
    Ok(ENTRY.get_or_init(|| entry).clone())
}

/// The last thing that is done: nobody outside has to bury the first process of the nest.
extern "C" fn leave() {
    if let Some(nest) = nest() {
        nest.end();
    }
}

/// Leaves for new namespaces and the second run; returns why that failed.
fn depart(choice: IdChoice, reason: String) -> Result<InitError, InitError> {
    if !is_alone() {
        return Err(InitError::because("entering a user namespace", InitCause::Threads));
    }
    let program = std::fs::read_link("/proc/self/exe");
    let program = program.map_err(|error| InitError::io("finding the running program", error))?;
    into_namespaces(choice)?;
    let marker = Marker { ids: current_ids()?, reason, program };
    Ok(reexec::again(&marker))
}

/// Moves this process into new namespaces as their root.
pub(crate) fn into_namespaces(choice: IdChoice) -> Result<(), InitError> {
    enter(&Mapping::choose(choice)?)
}

fn enter(mapping: &Mapping) -> Result<(), InitError> {
    let writers =
        Writers::start(mapping).map_err(|errno| InitError::io("starting helpers", errno))?;
    sys::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(namespace_refused)?;
    writers.write(mapping)?;
    become_root()
}

/// Takes the id 0 the maps gave us, and keeps mounts to ourselves.
fn become_root() -> Result<(), InitError> {
    let doing = "becoming root of the user namespace";
    let (group, user) = (Gid::ROOT, Uid::ROOT);
    set_thread_res_gid(group, group, group).map_err(|errno| InitError::io(doing, errno))?;
    set_thread_res_uid(user, user, user).map_err(|errno| InitError::io(doing, errno))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(c"/", private).map_err(namespace_refused)
}

/// Becomes another user of the namespace and keeps what this one may do.
fn become_user(id: u32) -> Result<(), Errno> {
    let permitted = capabilities(None)?.permitted.bits();
    sys::keep_capabilities()?;
    let (group, user) = (Gid::from_raw(id), Uid::from_raw(id));
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    sys::set_capabilities(permitted)
}

/// Whether ids apart can be had, which a container may forbid.
fn is_possible(ids: &IdMap) -> bool {
    succeeds_apart(|| enter(&Mapping::Written(ids.clone())).is_ok() && Below::new(ids).is_ok())
}

/// Whether namespaces with a mapping can be entered: there is no way back from one without maps.
fn can_enter(mapping: &Mapping) -> bool {
    succeeds_apart(|| enter(mapping).is_ok())
}

/// Has a forked child try something.
fn succeeds_apart(attempt: impl FnOnce() -> bool) -> bool {
    match sys::fork() {
        Ok(None) => sys::exit_now(i32::from(!attempt())),
        Ok(Some(child)) => waitpid(Some(child), WaitOptions::empty())
            .is_ok_and(|ended| ended.is_some_and(|(_, status)| status.exit_status() == Some(0))),
        Err(_) => false,
    }
}

/// Which ids steps have here; for doctor, before this process is in its namespaces.
pub(crate) fn ids_of_steps() -> Result<IdMap, InitError> {
    let mapping = Mapping::choose(IdChoice::Subordinate)?;
    let (Mapping::Written(ids) | Mapping::Tools { ids, .. } | Mapping::Own(ids)) = mapping;
    Ok(range::of_steps(&ids).unwrap_or(ids))
}

/// The maps the kernel has for this process.
pub(crate) fn current_ids() -> Result<IdMap, InitError> {
    let read = |path: &str| {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| InitError::io("reading the id maps", error))?;
        Ok(idmap::parse_map(&text))
    };
    Ok(IdMap { users: read("/proc/self/uid_map")?, groups: read("/proc/self/gid_map")? })
}

/// Waits a while for the other threads to end: who joins a thread does not wait until the kernel
/// has forgotten it, and pools are told to end and not joined. Says whether this is the only one.
pub(crate) fn is_alone() -> bool {
    let since = Instant::now();
    while n_threads() != 1 {
        if since.elapsed() > LEAVING {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

/// What a thread that ends may take to do so: far more than it does on a machine that is busy.
const LEAVING: Duration = Duration::from_secs(2);

/// How long to wait before looking again: as long as a thread takes to end on an idle machine.
const PAUSE: Duration = Duration::from_micros(50);

/// How many threads this process has; one when `/proc` does not say.
fn n_threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}
