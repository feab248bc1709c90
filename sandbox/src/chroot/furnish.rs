//! What a step is to see in some place: moved there for as long as it runs, since nothing can be mounted.
//!
//! What is in the place already is moved aside meanwhile, and comes back with the times that its
//! directory had. All of it lies in one file system, so that nothing is copied.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, fstat, makedev,
    mkdirat, mknodat, open, openat, openat2, readlinkat, renameat, statat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;

use crate::error::{StepCause, StepError};
use crate::pipes::Pipes;
use crate::step::{MountSource, Step};

/// What is in place for a step.
#[derive(Debug)]
pub(super) struct Furnished {
    root: OwnedFd,
    /// Beside the root, for what is not to be seen.
    room: PathBuf,
    places: Vec<Place>,
    n_aside: usize,
}

/// Something in its place.
#[derive(Debug)]
struct Place {
    parent: OwnedFd,
    name: OsString,
    /// What was there.
    aside: Option<PathBuf>,
    /// Where what is there now belongs; it is thrown away, if nowhere.
    home: Option<PathBuf>,
    /// The times of the directory before, and just after.
    times: [Time; 2],
    /// Directories that were made to get there, the topmost first.
    made: Vec<(OwnedFd, OsString, Time)>,
}

/// When a directory was changed.
type Time = (i64, i64);

impl Furnished {
    /// Puts everything in place that a step is to see, in order.
    /// Returns them with the pipes that the step prints to.
    pub(super) fn new(step: &Step) -> Result<(Self, Pipes), StepError> {
        let root = step.root.changed();
        let room = root.with_extension("room");
        let prepared =
            fs::create_dir(&room).and_then(|()| Ok(open(root, DIRECTORY, Mode::empty())?));
        let opened = prepared.map_err(|error| failed("preparing the root", error))?;
        let mut furnished = Self { root: opened, room, places: Vec::new(), n_aside: 0 };
        let pipes = furnished.kernel(step).map_err(|error| failed("preparing /dev", error))?;
        for (path, text) in
            [("/etc/resolv.conf", &step.resolv_conf), ("/etc/hosts", &step.hosts_file)]
        {
            let file = furnished.file(text, (READ_BY_ALL, 0, 0));
            let put = file.and_then(|file| furnished.put(path.as_bytes(), &file, None));
            put.map_err(|error| failed(&format!("writing {path}"), error))?;
        }
        for mount in &step.mounts {
            let label = format!("mounting {}", String::from_utf8_lossy(&mount.target));
            let put = furnished.mount(&mount.target, &mount.source);
            put.map_err(|error| failed(&label, error))?;
        }
        Ok((furnished, pipes))
    }

    fn mount(&mut self, target: &[u8], source: &MountSource) -> io::Result<()> {
        match source {
            MountSource::Bind { path, subpath, .. } => {
                let path = beneath(path, subpath)?;
                self.put(target, &path, Some(&path))
            }
            MountSource::Tmpfs { mode, .. } => {
                let made = self.fresh();
                fs::create_dir(&made)?;
                fs::set_permissions(&made, fs::Permissions::from_mode(*mode))?;
                self.put(target, &made, None)
            }
            MountSource::Secret { bytes, mode, uid, gid } => {
                let file = self.file(bytes, (*mode, *uid, *gid))?;
                self.put(target, &file, None)
            }
            MountSource::Layers { .. } => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Devices, and the mount points of what there is none of.
    fn kernel(&mut self, step: &Step) -> io::Result<Pipes> {
        let dev = self.fresh();
        fs::create_dir(&dev)?;
        for (name, number) in NODES {
            let (major, minor) = number;
            let mode = Mode::from_raw_mode(0o666);
            let node = dev.join(name);
            mknodat(CWD, &node, FileType::CharacterDevice, mode, makedev(major, minor))?;
            fs::set_permissions(&node, fs::Permissions::from_mode(0o666))?;
        }
        for (name, target) in LINKS {
            symlinkat(target, CWD, dev.join(name))?;
        }
        for name in ["shm", "mqueue"] {
            fs::create_dir(dev.join(name))?;
            fs::set_permissions(dev.join(name), fs::Permissions::from_mode(0o1777))?;
        }
        fs::create_dir(dev.join("pts"))?;
        // Links lead there, as of log files of an image, and are followed where nobody listens.
        let pipes = Pipes::named(step, &dev)?;
        self.put(b"/dev", &dev, None)?;
        for name in ["/proc", "/sys"] {
            let empty = self.fresh();
            fs::create_dir(&empty)?;
            self.put(name.as_bytes(), &empty, None)?;
        }
        Ok(pipes)
    }

    /// A file that the step is to see, apart until then.
    fn file(&mut self, bytes: &[u8], (mode, uid, gid): (u32, u32, u32)) -> io::Result<PathBuf> {
        let path = self.fresh();
        let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        io::Write::write_all(&mut file, bytes)?;
        // Owner before mode: chown clears set-id bits.
        chown(&path, Some(uid), Some(gid))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    fn fresh(&mut self) -> PathBuf {
        self.n_aside += 1;
        self.room.join(self.n_aside.to_string())
    }

    /// Moves what is at `thing` to the place that the step sees as `target`.
    fn put(&mut self, target: &[u8], thing: &Path, home: Option<&Path>) -> io::Result<()> {
        let mut made = Vec::new();
        let (parent, name) = self.find(target, &mut made)?;
        let before = time(&parent)?;
        let aside = match statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => None,
            found => {
                found?;
                let aside = self.fresh();
                renameat(&parent, &name, CWD, &aside)?;
                Some(aside)
            }
        };
        let moved = renameat(CWD, thing, &parent, &name);
        let times = [before, time(&parent)?];
        // What has been moved aside comes back whatever has failed.
        self.places.push(Place {
            parent,
            name,
            aside,
            home: home.map(Path::to_owned),
            times,
            made,
        });
        Ok(moved?)
    }

    /// The directory and the name that a path of the step means, links followed; directories on the way
    /// are made where they are missing.
    fn find(
        &self,
        target: &[u8],
        made: &mut Vec<(OwnedFd, OsString, Time)>,
    ) -> io::Result<(OwnedFd, OsString)> {
        if let Ok(found) = openat2(&self.root, target, PATH, Mode::empty(), WITHIN) {
            let whole = place_of(&found)?;
            let top = place_of(&self.root)?;
            let within = whole.strip_prefix(&top).map_err(|_| io::ErrorKind::NotFound)?;
            let (Some(above), Some(name)) = (within.parent(), within.file_name()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            let strictly = WITHIN | ResolveFlags::NO_SYMLINKS;
            let parent = openat2(&self.root, above, DIRECTORY, Mode::empty(), strictly)?;
            return Ok((parent, name.to_owned()));
        }
        let path = Path::new(OsStr::from_bytes(target));
        let mut names: Vec<&OsStr> = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => names.push(name),
                Component::ParentDir => drop(names.pop()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        let Some((last, above)) = names.split_last() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut at = openat(&self.root, c".", DIRECTORY, Mode::empty())?;
        let mut so_far = PathBuf::new();
        for name in above {
            so_far.push(name);
            let next = match openat2(&self.root, &so_far, DIRECTORY, Mode::empty(), WITHIN) {
                Err(Errno::NOENT) => {
                    let before = time(&at)?;
                    mkdirat(&at, *name, Mode::from_raw_mode(0o755))?;
                    made.push((at, (*name).to_owned(), before));
                    openat2(&self.root, &so_far, DIRECTORY, Mode::empty(), WITHIN)?
                }
                next => next?,
            };
            at = next;
        }
        Ok((at, (*last).to_owned()))
    }

    /// Puts everything back, the last first. All processes of the step are gone.
    pub(super) fn put_back(&mut self) -> io::Result<()> {
        let mut first = Ok(());
        while let Some(place) = self.places.pop() {
            let done = self.restore(&place);
            first = first.and(done);
        }
        let removed = fs::remove_dir_all(&self.room);
        first.and(removed)
    }

    fn restore(&mut self, place: &Place) -> io::Result<()> {
        let Place { parent, name, aside, home, times: [before, after], made } = place;
        let now = time(parent)?;
        let away = home.clone().unwrap_or_else(|| self.fresh());
        match renameat(parent, name, CWD, &away) {
            // The step has removed it.
            Err(Errno::NOENT) => {}
            moved => moved?,
        }
        if let Some(aside) = aside {
            renameat(CWD, aside, parent, name)?;
        }
        // If only we have changed the directory, nobody has.
        set_time(parent, if now == *after { *before } else { now })?;
        for (above, name, before) in made.iter().rev() {
            match unlinkat(above, name, AtFlags::REMOVEDIR) {
                Ok(()) => set_time(above, *before)?,
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

impl Drop for Furnished {
    fn drop(&mut self) {
        if !self.places.is_empty() {
            let back = self.put_back();
            tracing::debug!(?back, "put back what a step saw that did not run");
        }
    }
}

/// Where something of this machine is, below `path` as if that were the root.
fn beneath(path: &Path, subpath: &[u8]) -> io::Result<PathBuf> {
    if subpath.iter().all(|byte| *byte == b'/') {
        return Ok(path.to_owned());
    }
    let top = open(path, DIRECTORY, Mode::empty())?;
    Ok(place_of(&openat2(&top, subpath, PATH, Mode::empty(), WITHIN)?)?)
}

/// The path of what is open.
fn place_of(opened: &OwnedFd) -> Result<PathBuf, Errno> {
    let path = readlinkat(CWD, format!("/proc/self/fd/{}", opened.as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

fn time(directory: &OwnedFd) -> Result<Time, Errno> {
    let stat: Stat = fstat(directory)?;
    Ok((stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)))
}

fn set_time(directory: &OwnedFd, (tv_sec, tv_nsec): Time) -> Result<(), Errno> {
    let untouched = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let times =
        Timestamps { last_access: untouched, last_modification: Timespec { tv_sec, tv_nsec } };
    utimensat(directory, c".", &times, AtFlags::empty())
}

fn failed(doing: &str, error: io::Error) -> StepError {
    StepError { doing: doing.to_owned(), cause: StepCause::Io(error) }
}

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

const WITHIN: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

const READ_BY_ALL: u32 = 0o644;

const NODES: [(&str, (u32, u32)); 6] = [
    ("null", (1, 3)),
    ("zero", (1, 5)),
    ("full", (1, 7)),
    ("random", (1, 8)),
    ("urandom", (1, 9)),
    ("tty", (5, 0)),
];

const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];
