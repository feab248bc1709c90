//! `/proc` for steps that have none: their looks at it are answered with files of the `/proc` of the
//! container.
//!
//! What is handed in are files, never directories of that file system, since one can climb from
//! there to the root of the container. Directories are plain ones, in the root of the step, with
//! the names that they would have; they are made when somebody asks for them. Of processes only those of the
//! step are shown, and of the machine what [`ABOUT_THE_MACHINE`] lists. Whatever cannot be answered
//! goes on to the kernel, which finds nothing there.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags, open, readlinkat, statx,
};
use rustix::io::Errno;

use super::caller::Caller;
use super::glance::{is_elsewhere, may_concern};
use super::{answers, low};
use crate::seccomp::{Link, NameCall, Wish};
use crate::sys::{self, Reply, Request};

/// The files of one step, and whose they are.
#[derive(Debug)]
pub(crate) struct KernelFiles {
    /// The directory that is the root of the step.
    root: PathBuf,
    /// The process all others of the step descend from.
    ancestor: u32,
}

/// Something of `/proc`, by what it is in the view of this program.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    path: PathBuf,
    /// As the step calls it.
    shown: PathBuf,
}

impl Found {
    /// Whether it is about the machine, and not about a process.
    fn is_of_the_machine(&self) -> bool {
        let first = self.path.strip_prefix("/proc").ok().and_then(|within| within.iter().next());
        !first.is_some_and(|name| name.as_bytes().iter().all(u8::is_ascii_digit))
    }
}

/// Whether somebody who opens a file so can change it.
fn writes(flags: OFlags) -> bool {
    flags & OFlags::ACCMODE != OFlags::RDONLY || flags.contains(OFlags::TRUNC)
}

impl KernelFiles {
    pub(crate) fn new(root: &Path, ancestor: u32) -> Self {
        Self { root: root.to_owned(), ancestor }
    }

    /// Answers a look.
    pub(super) fn answer(&self, listener: &OwnedFd, request: &Request, call: NameCall) -> Reply {
        self.attempt(listener, request, call).unwrap_or(Reply::Run)
    }

    fn attempt(
        &self,
        listener: &OwnedFd,
        request: &Request,
        call: NameCall,
    ) -> Result<Reply, Errno> {
        if is_elsewhere(request.process, &request.arguments, call.path) {
            return Ok(Reply::Run);
        }
        let caller = Caller::open(request.process)?;
        // What a process of another user has is for this user to look at.
        let (uid, gid) = caller.owner()?;
        let _as_owner = sys::FileUser::become_user(uid, gid);
        let path = caller.text(request.arguments[call.path])?;
        let Some(path) = self.absolute(&caller, request, call, path)? else {
            return Ok(Reply::Run);
        };
        let Some(found) = self.find(&caller, request.process, &path)? else {
            return Ok(Reply::Run);
        };
        // Until here the process may have ended, and its number may mean another one.
        sys::is_waiting(listener.as_fd(), request)?;
        self.give(&caller, (listener, request), (call, &path), &found)
    }

    /// The path as an absolute one, if it may lead to `/proc`.
    fn absolute(
        &self,
        caller: &Caller,
        request: &Request,
        call: NameCall,
        path: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Errno> {
        if !may_concern(&path, &request.arguments, call.path) {
            return Ok(None);
        }
        if path.first() == Some(&b'/') {
            return Ok(Some(path));
        }
        let directory = low(request.arguments[0]).cast_signed();
        let opened = caller.link(&format!("fd/{directory}"))?;
        let Ok(within) = opened.strip_prefix(&self.root) else { return Ok(None) };
        if !within.starts_with("proc") {
            return Ok(None);
        }
        let joined = Path::new("/").join(within).join(OsStr::from_bytes(&path));
        Ok(Some(joined.as_os_str().as_bytes().to_vec()))
    }

    /// What a path of the step means; nothing where it is not for us to answer.
    fn find(&self, caller: &Caller, thread: u32, path: &[u8]) -> Result<Option<Found>, Errno> {
        let Some(within) = below_proc(path) else { return Ok(None) };
        let process = caller.first_thread()?;
        let mut names = within.iter().map(|name| String::from_utf8_lossy(name).into_owned());
        let Some(first) = names.next() else {
            return Ok(Some(Found { path: "/proc".into(), shown: "/proc".into() }));
        };
        let rest: PathBuf = names.collect();
        let start = match first.as_str() {
            "self" => process.to_string(),
            "thread-self" => format!("{process}/task/{thread}"),
            "mounts" if rest.as_os_str().is_empty() => format!("{process}/mounts"),
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                let asked = number.parse().map_err(|_| Errno::NOENT)?;
                if asked != process && !self.is_of_step(asked) {
                    return Err(Errno::NOENT);
                }
                number.to_owned()
            }
            name if ABOUT_THE_MACHINE.contains(&name) => name.to_owned(),
            _ => return Ok(None),
        };
        // An empty rest would be a slash at the end, which only directories take.
        let within: PathBuf = Path::new(&start).iter().chain(rest.iter()).collect();
        // A root, a working directory and open directories lead elsewhere.
        let leads_away = rest.iter().rev().skip(1).any(|name| name == "root" || name == "cwd");
        let is_deep = rest.starts_with("fd") && rest.iter().count() > 2;
        if leads_away || is_deep || rest.iter().any(|name| name == "..") {
            return Ok(None);
        }
        let shown = Path::new("/proc").join(&within);
        Ok(Some(Found { path: Path::new("/proc").join(within), shown }))
    }

    /// Whether a process descends from that of the step.
    fn is_of_step(&self, process: u32) -> bool {
        let mut at = process;
        for _ in 0..DEEPEST {
            if at == self.ancestor {
                return at != process;
            }
            let status = fs::read_to_string(format!("/proc/{at}/status"));
            let parent = status.ok().and_then(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("PPid:"))?;
                line.trim().parse().ok()
            });
            match parent {
                Some(parent) if parent != 0 => at = parent,
                _ => return false,
            }
        }
        false
    }

    fn give(
        &self,
        caller: &Caller,
        (listener, request): (&OwnedFd, &Request),
        (call, path): (NameCall, &[u8]),
        found: &Found,
    ) -> Result<Reply, Errno> {
        let link = match call.link {
            Link::Meant | Link::Nowhere => AtFlags::SYMLINK_NOFOLLOW,
            Link::Followed => AtFlags::empty(),
            Link::Said(at) => {
                AtFlags::from_bits_retain(low(request.arguments[at])) & AtFlags::SYMLINK_NOFOLLOW
            }
        };
        let after = request.arguments[call.path + 1];
        match call.wish {
            Wish::Open => {
                let flags = OFlags::from_bits_retain(low(after));
                self.open((listener, request), found, flags)
            }
            Wish::OpenHow => {
                let (flags, _) = caller.bytes::<8>(after, 8)?;
                let flags = u32::try_from(u64::from_ne_bytes(flags)).map_err(|_| Errno::INVAL)?;
                self.open((listener, request), found, OFlags::from_bits_retain(flags))
            }
            Wish::Target => {
                let path = match below_proc(path).as_deref() {
                    // Of the links of `/proc` the only one that means each caller another.
                    Some([name]) if **name == *b"self" || **name == *b"thread-self" => {
                        found.shown.strip_prefix("/proc").unwrap_or(&found.shown).to_owned()
                    }
                    _ => match readlinkat(CWD, &found.path, Vec::new()) {
                        Ok(target) => {
                            self.as_step_sees(Path::new(OsStr::from_bytes(target.to_bytes())))
                        }
                        Err(errno) => return Ok(Reply::Fail(errno)),
                    },
                };
                let size = usize::try_from(request.arguments[call.path + 2]).unwrap_or(0);
                let bytes = path.as_os_str().as_bytes();
                let bytes = &bytes[..bytes.len().min(size)];
                caller.write(after, bytes)?;
                Ok(Reply::Return(i64::try_from(bytes.len()).unwrap_or(0)))
            }
            Wish::Presence => match look(&found.path, link) {
                Ok(_) => Ok(Reply::Return(0)),
                Err(errno) => Ok(Reply::Fail(errno)),
            },
            Wish::Stat | Wish::Statx => {
                let stat = match look(&found.path, link) {
                    Ok(stat) => stat,
                    Err(errno) => return Ok(Reply::Fail(errno)),
                };
                let is_directory =
                    FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory;
                // The same as that of the directory that is opened.
                let plain = is_directory.then(|| look(&self.directory(found)?, AtFlags::empty()));
                let stat = plain.unwrap_or(Ok(stat))?;
                let (address, bytes) = if call.wish == Wish::Statx {
                    (request.arguments[4], answers::statx(&stat))
                } else {
                    (after, answers::stat(&stat))
                };
                caller.write(address, &bytes)?;
                Ok(Reply::Return(0))
            }
        }
    }

    fn open(
        &self,
        (listener, request): (&OwnedFd, &Request),
        found: &Found,
        flags: OFlags,
    ) -> Result<Reply, Errno> {
        if found.is_of_the_machine() && writes(flags) {
            return Ok(Reply::Fail(Errno::ROFS));
        }
        let close = flags & OFlags::CLOEXEC;
        let plain = flags - (OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC);
        let no_link = flags.contains(OFlags::NOFOLLOW).then_some(AtFlags::SYMLINK_NOFOLLOW);
        let stat = match look(&found.path, no_link.unwrap_or(AtFlags::empty())) {
            Ok(stat) => stat,
            Err(errno) => return Ok(Reply::Fail(errno)),
        };
        let opened = if FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory {
            let directory = self.directory(found)?;
            open(directory, plain | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        } else {
            open(&found.path, plain | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        };
        match opened {
            Ok(opened) => {
                let close = close.bits();
                let number = sys::hand_to_caller(listener.as_fd(), request, opened.as_fd(), close)?;
                Ok(Reply::Return(number))
            }
            Err(errno) => Ok(Reply::Fail(errno)),
        }
    }

    /// A plain directory of the step with the names that one of `/proc` has. One that a link leads to
    /// is where it leads.
    fn directory(&self, found: &Found) -> Result<PathBuf, Errno> {
        let is_link = readlinkat(CWD, &found.path, Vec::new()).is_ok();
        if is_link {
            let target = read_link(&found.path)?;
            return if target.starts_with(&self.root) { Ok(target) } else { Err(Errno::ACCESS) };
        }
        let _as_root = sys::FileUser::become_user(0, 0);
        let within = found.shown.strip_prefix("/proc").unwrap_or(&found.shown);
        let plain = self.root.join("proc").join(within);
        let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        fs::create_dir_all(&plain).map_err(errno)?;
        let listed = fs::read_dir(&found.path).map_err(errno)?;
        let is_top = found.path == Path::new("/proc");
        let mut names = Vec::new();
        for entry in listed.filter_map(Result::ok) {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
            let is_shown = match number {
                Some(process) => !is_top || self.is_of_step(process),
                None => !is_top || name.to_str().is_some_and(|it| ABOUT_THE_MACHINE.contains(&it)),
            };
            if is_shown {
                let kind = entry.file_type().map_err(errno)?;
                names.push((name, kind.is_dir()));
            }
        }
        // Those that have ended.
        for left in fs::read_dir(&plain).map_err(errno)?.filter_map(Result::ok) {
            if !names.iter().any(|(name, _)| *name == left.file_name()) {
                let path = left.path();
                let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            }
        }
        for (name, is_directory) in names {
            let at = plain.join(name);
            let made = if is_directory { fs::create_dir(&at) } else { fs::write(&at, "") };
            made.or_else(|error| if at.exists() { Ok(()) } else { Err(error) }).map_err(errno)?;
        }
        Ok(plain)
    }

    /// A path of the machine as the step has it.
    fn as_step_sees(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.root) {
            Ok(within) => Path::new("/").join(within),
            Err(_) => path.strip_prefix("/proc").map_or_else(|_| path.to_owned(), Path::to_owned),
        }
    }
}

/// The names below `/proc` of a path that leads there.
fn below_proc(path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let parts = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    names.extend(parts.filter(|name| *name != b".").map(<[u8]>::to_vec));
    let own = |rest: &[&[u8]]| {
        let all = [&b"self"[..], b"fd"].into_iter().chain(rest.iter().copied());
        Some(all.map(<[u8]>::to_vec).collect())
    };
    let words: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    match words.as_slice() {
        [b"proc", rest @ ..] => Some(rest.iter().map(|name| name.to_vec()).collect()),
        [b"dev", b"stdin"] => own(&[b"0"]),
        [b"dev", b"stdout"] => own(&[b"1"]),
        [b"dev", b"stderr"] => own(&[b"2"]),
        [b"dev", b"fd", rest @ ..] => own(rest),
        _ => None,
    }
}

fn read_link(path: &Path) -> Result<PathBuf, Errno> {
    let target = readlinkat(CWD, path, Vec::new())?;
    Ok(PathBuf::from(OsStr::from_bytes(target.to_bytes())))
}

fn look(path: &Path, link: AtFlags) -> Result<Statx, Errno> {
    statx(CWD, path, link, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
}

/// What programs ask about the machine.
const ABOUT_THE_MACHINE: [&str; 14] = [
    "cmdline",
    "cpuinfo",
    "devices",
    "diskstats",
    "filesystems",
    "loadavg",
    "meminfo",
    "self",
    "stat",
    "swaps",
    "sys",
    "uptime",
    "version",
    "vmstat",
];

/// More ancestors than any process of a sane step has.
const DEEPEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let found = below_proc(path.as_bytes()).map(|names| names.join(&b'/'));
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path}");
    }

    #[test]
    fn paths_of_descriptors_are_paths_of_proc() {
        check("/proc/self/status", Some("self/status"));
        check("/proc//./cpuinfo", Some("cpuinfo"));
        check("/proc", Some(""));
        check("/dev/stdout", Some("self/fd/1"));
        check("/dev/fd/63", Some("self/fd/63"));
        check("/dev/null", None);
        check("/process", None);
    }

    #[test]
    fn what_is_about_the_machine_cannot_be_written() {
        let found = |path: &str| Found { path: path.into(), shown: path.into() };
        assert!(found("/proc/sys/kernel/core_pattern").is_of_the_machine());
        assert!(found("/proc").is_of_the_machine());
        assert!(!found("/proc/12/oom_score_adj").is_of_the_machine());
        assert!(writes(OFlags::WRONLY) && writes(OFlags::RDWR) && writes(OFlags::TRUNC));
        assert!(!writes(OFlags::RDONLY | OFlags::CLOEXEC));
    }
}
