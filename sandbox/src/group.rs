//! A control group (of the second version) for one step, where somebody has delegated some to this program.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::quota::Quota;

/// A group that one step is in. It is removed when this is dropped, after the step.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    members: File,
}

/// Why there is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ungrouped(pub(crate) String);

/// One at a time looks for a place and moves what is in the way.
static LOOKING: Mutex<()> = Mutex::new(());

/// The part of a group's period of 100 ms that is a thousandth of a processor, in microseconds.
const THOUSANDTH: u64 = 100;
const PERIOD: u64 = 100_000;

/// How often the removal of a group is tried, whose last process is on its way out.
const REMOVALS: u32 = 50;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(2);

impl Group {
    /// Makes a group with these limits, in the group of this program or the nearest above it that is its own.
    pub(crate) fn make(quota: &Quota) -> Result<Self, Ungrouped> {
        let _looking = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reason = Ungrouped("there are no control groups of the second version".to_owned());
        let Some((top, own)) = places() else { return Err(reason) };
        let wanted = controllers(quota);
        for parent in own.ancestors().take_while(|parent| parent.starts_with(&top)) {
            match beneath(parent, &wanted, quota) {
                Ok(group) => return Ok(group),
                Err(why) if parent == own => reason = Ungrouped(why),
                Err(_) => {}
            }
        }
        // The next step finds the room that was made for this one.
        make_room(&own).and_then(|()| beneath(&own, &wanted, quota)).map_err(|_| reason)
    }

    /// The descriptor through which a process joins.
    pub(crate) fn door(&self) -> RawFd {
        self.members.as_raw_fd()
    }

    /// How many processes were killed for want of memory.
    pub(crate) fn n_killed(&self) -> u64 {
        self.count("memory.events", "oom_kill")
    }

    /// How often a process was refused another one.
    pub(crate) fn n_refused(&self) -> u64 {
        self.count("pids.events", "max")
    }

    fn count(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        counted(&text, name)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            match fs::remove_dir(&self.directory) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    thread::sleep(BETWEEN_REMOVALS);
                }
                _ => return,
            }
        }
    }
}

/// The number behind a name, of a file with one on each line.
fn counted(text: &str, name: &str) -> u64 {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    let found = pairs.find(|(known, _)| *known == name);
    found.and_then(|(_, number)| number.trim().parse().ok()).unwrap_or_default()
}

/// Which controllers a quota needs.
fn controllers(quota: &Quota) -> Vec<&'static str> {
    let needs = [
        ("cpu", quota.processors.is_some()),
        ("memory", quota.memory.is_some()),
        ("pids", quota.processes.is_some()),
    ];
    needs.into_iter().filter(|(_, is_needed)| *is_needed).map(|(name, _)| name).collect()
}

/// Where the groups are mounted, and there the group of this program.
fn places() -> Option<(PathBuf, PathBuf)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    located(&mounts, &own)
}

fn located(mounts: &str, own: &str) -> Option<(PathBuf, PathBuf)> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, target) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup2 ").then_some((root, target))
    });
    let (root, target) = mount?;
    // A group outside of what is mounted cannot be reached there.
    let below = Path::new(own).strip_prefix(root).ok()?;
    let top = PathBuf::from(target);
    let own = top.join(below);
    Some((top, own))
}

/// Makes a group in another one.
fn beneath(parent: &Path, wanted: &[&str], quota: &Quota) -> Result<Group, String> {
    let text = |name: &str| fs::read_to_string(parent.join(name)).unwrap_or_default();
    let lacks = |text: &str| {
        let missing = wanted.iter().find(|name| !text.split_whitespace().any(|one| one == **name));
        missing.copied()
    };
    if let Some(name) = lacks(&text("cgroup.controllers")) {
        return Err(format!("the controller {name} is not delegated to {}", parent.display()));
    }
    let refused = |error: io::Error| format!("{}: {error}", parent.display());
    // To come from here to a group below takes the right to write here.
    OpenOptions::new().write(true).open(parent.join("cgroup.procs")).map_err(refused)?;
    if lacks(&text("cgroup.subtree_control")).is_some() {
        // A group that hands something down has no members itself, but for the topmost, which has no type. For some
        // controllers the kernel does not say so, and makes groups that nobody can join.
        if parent.join("cgroup.type").exists() && !text("cgroup.procs").trim().is_empty() {
            return Err(format!("there are processes in {}", parent.display()));
        }
        let all: Vec<String> = wanted.iter().map(|name| format!("+{name}")).collect();
        fs::write(parent.join("cgroup.subtree_control"), all.join(" ")).map_err(refused)?;
    }
    let directory = parent.join(new_name("step"));
    fs::create_dir(&directory).map_err(refused)?;
    let members = OpenOptions::new().write(true).open(directory.join("cgroup.procs"));
    let group = Group { members: members.map_err(refused)?, directory };
    let kind = fs::read_to_string(group.directory.join("cgroup.type")).unwrap_or_default();
    if kind.trim() != "domain" {
        return Err(format!("a group in {} is of the kind {:?}", parent.display(), kind.trim()));
    }
    for (file, value) in settings(quota) {
        fs::write(group.directory.join(file), value).map_err(refused)?;
    }
    // Memory is no limit while there is room on a disk. Where nothing is swapped there is no such file.
    if quota.memory.is_some() {
        let _ = fs::write(group.directory.join("memory.swap.max"), "0");
    }
    Ok(group)
}

/// The files of a group, and what is written to them.
fn settings(quota: &Quota) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if let Some(bytes) = quota.memory {
        found.push(("memory.max", bytes.to_string()));
        // A step of which one process is missing is not to go on.
        found.push(("memory.oom.group", "1".to_owned()));
    }
    if let Some(thousandths) = quota.processors {
        found.push(("cpu.max", format!("{} {PERIOD}", u64::from(thousandths) * THOUSANDTH)));
    }
    if let Some(most) = quota.processes {
        found.push(("pids.max", most.to_string()));
    }
    found
}

/// Moves this program and what it has started out of a group into one below it, if nobody else is there.
fn make_room(parent: &Path) -> Result<(), String> {
    let members =
        fs::read_to_string(parent.join("cgroup.procs")).map_err(|error| error.to_string())?;
    let members: Vec<u32> = members.lines().filter_map(|line| line.trim().parse().ok()).collect();
    if let Some(other) = members.iter().find(|number| !is_ours(**number)) {
        return Err(format!("process {other} is in {}, too", parent.display()));
    }
    let leaf = parent.join(new_name("builder"));
    fs::create_dir(&leaf).map_err(|error| error.to_string())?;
    for number in members {
        // One that has ended meanwhile is in nobody's way.
        if let Err(error) = fs::write(leaf.join("cgroup.procs"), number.to_string())
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            return Err(error.to_string());
        }
    }
    Ok(())
}

/// Whether a process is this one, or was started by it.
fn is_ours(number: u32) -> bool {
    let own = std::process::id();
    let mut next = Some(number);
    for _ in 0..DEEPEST {
        match next {
            Some(number) if number == own => return true,
            Some(number) if number > 1 => next = parent_of(number),
            _ => return false,
        }
    }
    false
}

/// Longer chains of processes are none of ours.
const DEEPEST: usize = 8;

fn parent_of(number: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{number}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// A name that no other group has.
fn new_name(kind: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("wythe-{kind}-{}-{number}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 23 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
        31 23 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_group_of_this_program_is_found_where_groups_are_mounted() {
        let own = "4:memory:/x\n0::/user.slice/user-1000.slice\n";
        let (top, found) = located(HYBRID, own).unwrap();
        assert_eq!(top, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(found, top.join("user.slice/user-1000.slice"));
        let container = "31 23 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let (_, found) = located(container, "0::/docker/abc/x\n").unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/x"));
        assert_eq!(located(container, "0::/elsewhere\n"), None);
        assert_eq!(located("", own), None);
    }

    #[test]
    fn only_what_is_limited_needs_a_controller() {
        let quota = Quota { memory: Some(1 << 20), processors: Some(1500), ..Quota::default() };
        assert_eq!(controllers(&quota), ["cpu", "memory"]);
        let settings = settings(&quota);
        assert!(settings.contains(&("cpu.max", "150000 100000".to_owned())));
        assert!(settings.contains(&("memory.max", "1048576".to_owned())));
    }

    #[test]
    fn a_group_without_the_controller_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        let quota = Quota { memory: Some(1), ..Quota::default() };
        let why = beneath(folder.path(), &controllers(&quota), &quota).unwrap_err();
        assert!(why.contains("the controller memory is not delegated"), "{why}");
    }

    #[test]
    fn events_are_counted_by_name() {
        let text = "low 0\nmax 3\noom 1\noom_kill 2\n";
        assert_eq!(counted(text, "oom_kill"), 2);
        assert_eq!(counted(text, "oom_group_kill"), 0);
    }

    #[test]
    fn a_process_of_somebody_else_is_not_ours() {
        assert!(is_ours(std::process::id()));
        assert!(!is_ours(1));
    }
}
