//! What a build needs of this machine: its time, its threads, its names.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::{env, fs};

use rayon::ThreadPool;
use rustix::time::{ClockId, clock_gettime};
use wythe_builder::environment::Clock;
use wythe_builder::remote::program::GitProgram;
use wythe_sandbox::Emulators;
use wythe_store::timestamp::Timestamp;

use crate::failure::{Class, Failure};
use crate::settings::Settings;

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = jiff::Timestamp::now();
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
        Timestamp { seconds: now.as_second(), nanos }
    }

    fn stamp(&self) -> Option<Timestamp> {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Some(Timestamp { seconds: now.tv_sec, nanos: u32::try_from(now.tv_nsec).ok()? })
    }
}

/// The moment it is, as documents write it.
pub(crate) fn date() -> String {
    jiff::Timestamp::now().to_string()
}

/// Sixteen bytes that nobody can foresee; zeros where this machine has none.
pub(crate) fn random() -> [u8; 16] {
    wythe_store::sys::random().unwrap_or_default()
}

/// The words of the command line, without the name of the program.
pub(crate) fn words() -> Vec<String> {
    env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Threads for hashing, walking and compressing: as many as there are processors.
pub(crate) fn threads() -> Result<ThreadPool, Failure> {
    // As many as rayon thinks best.
    wythe_builder::builder::pool(0).map_err(|error| Failure::of(Class::Environment, &error))
}

/// Sees to it that work which does not say on which threads it is to be done fails, where this is a
/// program to be tried: rayon would start one thread for each processor, whatever `--jobs` says.
pub(crate) fn forbid_other_threads() {
    if cfg!(debug_assertions) {
        let none = rayon::ThreadPoolBuilder::new().spawn_handler(|_| Err(ErrorKind::Other.into()));
        drop(none.build_global());
    }
}

/// As [`threads`], but no more than steps run at once.
pub(crate) fn threads_for(jobs: Option<NonZeroUsize>) -> Result<ThreadPool, Failure> {
    let Some(jobs) = jobs else { return threads() };
    let threads = wythe_builder::builder::pool(threads_of(jobs).get());
    threads.map_err(|error| Failure::of(Class::Environment, &error))
}

/// How many threads serve so many steps: more than there are processors would be in each other's way.
pub(crate) fn threads_of(jobs: NonZeroUsize) -> NonZeroUsize {
    available_parallelism().map_or(jobs, |processors| jobs.min(processors))
}

/// Which user namespace this process is in.
pub(crate) fn user_namespace() -> Option<PathBuf> {
    fs::read_link("/proc/self/ns/user").ok()
}

/// Which mapping of ids the files of unpacked layers are written through.
pub(crate) fn id_map() -> String {
    wythe_sandbox::enter::entry().map(|entry| entry.ids.description()).unwrap_or_default()
}

/// The text of the machine's `resolv.conf`; where it has none, names are not resolved inside either.
pub(crate) fn resolv_conf() -> Vec<u8> {
    fs::read("/etc/resolv.conf").unwrap_or_default()
}

/// What git may see of the environment beside proxies: where programs and keys are.
const FOR_GIT: [&str; 3] = ["PATH", "SSH_AUTH_SOCK", "SSL_CERT_FILE"];

/// Where programs of this machine are. A relative entry would find whatever lies in the context.
fn folders(settings: &Settings) -> Vec<PathBuf> {
    let path = settings.raw("PATH").unwrap_or_default();
    env::split_paths(path).filter(|folder| folder.is_absolute()).collect()
}

/// What runs programs of other architectures here.
pub(crate) fn emulators(settings: &Settings) -> Emulators {
    Emulators::in_folders(folders(settings))
}

/// Where a program of this machine is, if it has it.
pub(crate) fn program(name: &str, settings: &Settings) -> Option<PathBuf> {
    let folders = folders(settings).into_iter();
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The git of this machine, if it has one.
pub(crate) fn git(settings: &Settings) -> Option<GitProgram> {
    let program = program("git", settings)?;
    let own =
        FOR_GIT.into_iter().filter_map(|name| Some((name.into(), settings.raw(name)?.into())));
    let proxies = settings.proxies().into_iter();
    let proxies = proxies.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Some(GitProgram { program, variables: own.chain(proxies).collect() })
}
