//! Who writes the id maps of the new namespace, and what into them.
//!
//! A process cannot write more than its own id into its own maps. So helpers are forked before it
//! leaves; they wait for the word and then act from outside, all at once.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::getxattr;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, getpid, waitpid};
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set};

use super::error::{InitCause, InitError};
use super::{current_ids, ids, range};
use crate::idmap::{Extent, IdMap};
use crate::sys::{self, PointerList};

/// Which ids a namespace is to have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IdChoice {
    /// Many: those that the user may give to others.
    Subordinate,
    /// That of the user alone, which anybody may have without help.
    Own,
    /// Many, and where there are no more that of the user.
    Any,
}

/// What goes into the maps, and how.
#[derive(Debug)]
pub(super) enum Mapping {
    /// Ids apart from those of the machine, or the same: for who may write maps.
    Written(IdMap),
    /// The user's own id and its subordinate ones, through `newuidmap` and `newgidmap`.
    Tools { ids: IdMap, user_tool: CString, group_tool: CString },
    /// The user's own id alone, for which the kernel wants nobody to change groups.
    Own(IdMap),
}

impl Mapping {
    /// Finds out what this process may do.
    pub(super) fn choose(choice: IdChoice) -> Result<Self, InitError> {
        match choice {
            IdChoice::Subordinate => Self::of_many(),
            IdChoice::Own => Self::own(),
            IdChoice::Any => Self::of_many().or_else(|error| {
                tracing::debug!(%error, "there are no more ids than one");
                Self::own()
            }),
        }
    }

    /// The id of the user.
    fn own() -> Result<Self, InitError> {
        if may_write_maps() && !current_ids()?.is_single() {
            return Err(InitError::because("choosing ids", InitCause::ManyIds));
        }
        let one = |outside| vec![Extent { inside: 0, outside, count: 1 }];
        let users = one(rustix::process::geteuid().as_raw());
        let groups = one(rustix::process::getegid().as_raw());
        Ok(Self::Own(IdMap { users, groups }))
    }

    fn of_many() -> Result<Self, InitError> {
        if may_write_maps() {
            return Ok(Self::Written(of_root(current_ids()?)));
        }
        let doing = "finding subordinate ids";
        if sys::has_no_new_privileges() {
            return Err(InitError::because(doing, InitCause::NoNewPrivileges));
        }
        let ids = subordinate_ids()?;
        let (user_tool, group_tool) = (tool("newuidmap")?, tool("newgidmap")?);
        let mapping = Self::Tools { ids, user_tool, group_tool };
        if mapping.is_doubtful() && !super::can_enter(&mapping) {
            let message = NOT_PERMITTED.to_owned();
            return Err(InitError::because(doing, InitCause::PowerlessTools { message }));
        }
        Ok(mapping)
    }

    /// Whether the kernel may refuse the tools: they have no capabilities of their own, and root
    /// cannot have all, as in a container.
    fn is_doubtful(&self) -> bool {
        let is_confined =
            capability_is_in_bounding_set(CapabilitySet::SYS_ADMIN).is_ok_and(|is_in| !is_in);
        is_confined && self.lacks_capabilities()
    }

    /// Whether a tool has no capabilities of its own. One that is set-user-ID is root when it
    /// writes a map, who is not the owner of the namespace: containers keep that from root.
    fn lacks_capabilities(&self) -> bool {
        let Self::Tools { user_tool, group_tool, .. } = self else { return false };
        let lacks = |tool: &CString| {
            let mut value = [0; LONGEST_CAPABILITIES];
            getxattr(tool, c"security.capability", &mut value[..]).is_err()
        };
        [user_tool, group_tool].into_iter().any(lacks)
    }
}

impl Extent {
    /// The same ids under the numbers they have inside the current namespace.
    fn onto_itself(self) -> Self {
        Self { outside: self.inside, ..self }
    }
}

/// What root maps: a range apart, where that can be had, or each id onto itself.
fn of_root(current: IdMap) -> IdMap {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (users, groups) = (read("/etc/subuid"), read("/etc/subgid"));
    let apart = range::apart(&current, [&users, &groups]);
    apart.filter(super::is_possible).unwrap_or_else(|| {
        let identity = |extents: Vec<Extent>| extents.into_iter().map(Extent::onto_itself);
        let (users, groups) = (identity(current.users), identity(current.groups));
        IdMap { users: users.collect(), groups: groups.collect() }
    })
}

/// Whether this process may write any map: root outside of containers, and in many inside.
fn may_write_maps() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

fn subordinate_ids() -> Result<IdMap, InitError> {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    // A user that no file knows may still have ranges by number.
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let passwd = read("/etc/passwd");
    let name = ids::name_of(&passwd, uid);
    let missing = |file| {
        let user = name.map_or_else(|| uid.to_string(), str::to_owned);
        let cause = InitCause::NoSubordinateIds { user, file };
        InitError::because("finding subordinate ids", cause)
    };
    let users = ids::subordinate(&read("/etc/subuid"), name, (uid, uid));
    let groups = ids::subordinate(&read("/etc/subgid"), name, (uid, gid));
    let (users, groups) =
        (users.ok_or_else(|| missing("uid"))?, groups.ok_or_else(|| missing("gid"))?);
    Ok(IdMap { users, groups })
}

/// Where a tool is. The search path of the user is not asked: the tool gains privileges, and
/// these are the places where distributions put it.
fn tool(name: &'static str) -> Result<CString, InitError> {
    let found = TOOL_DIRECTORIES
        .iter()
        .map(|directory| format!("{directory}/{name}"))
        .find(|path| Path::new(path).exists());
    let cause = InitCause::NoTool { tool: name };
    let found = found.ok_or_else(|| InitError::because("finding id map tools", cause))?;
    Ok(CString::new(found).expect("literals hold no NUL"))
}

/// Helpers that stayed in the old namespace.
#[derive(Debug)]
pub(super) struct Writers {
    helpers: Vec<Pid>,
    go: OwnedFd,
    complaints: OwnedFd,
}

impl Writers {
    /// Forks the helpers. They wait.
    pub(super) fn start(mapping: &Mapping) -> Result<Self, Errno> {
        let (wait, go) = pipe_with(PipeFlags::CLOEXEC)?;
        let (complaints, complain) = pipe_with(PipeFlags::CLOEXEC)?;
        let target = getpid();
        let helper = |job: Job<'_>| match sys::fork()? {
            Some(pid) => Ok(pid),
            None => job.wait_and_do(target, &wait, &go, &complain),
        };
        let helpers = match mapping {
            Mapping::Written(ids) => vec![helper(Job::Write(ids))?],
            Mapping::Own(ids) => vec![helper(Job::WriteOwn(ids))?],
            Mapping::Tools { ids, user_tool, group_tool } => vec![
                helper(Job::Execute(user_tool, &ids.users))?,
                helper(Job::Execute(group_tool, &ids.groups))?,
            ],
        };
        Ok(Self { helpers, go, complaints })
    }

    /// Gives the word and waits until the maps are written.
    pub(super) fn write(self, mapping: &Mapping) -> Result<(), InitError> {
        let doing = "writing the id maps";
        drop(self.go);
        let mut all_fine = true;
        for helper in self.helpers {
            let ended = waitpid(Some(helper), WaitOptions::empty());
            let ended = ended.map_err(|errno| InitError::io(doing, errno))?;
            all_fine &= ended.is_some_and(|(_, status)| status.exit_status() == Some(0));
        }
        if all_fine {
            return Ok(());
        }
        let mut message = String::new();
        let read = std::fs::File::from(self.complaints).read_to_string(&mut message);
        read.map_err(|error| InitError::io(doing, error))?;
        let message = message.trim().replace('\n', ", ");
        let is_powerless = message.contains(NOT_PERMITTED) && mapping.lacks_capabilities();
        let cause = if is_powerless {
            InitCause::PowerlessTools { message }
        } else {
            InitCause::MapRefused { message }
        };
        Err(InitError::because(doing, cause))
    }
}

/// `struct vfs_ns_cap_data`
const LONGEST_CAPABILITIES: usize = 24;

/// What the tools say where the kernel refuses a map.
const NOT_PERMITTED: &str = "Operation not permitted";

/// What a helper does when it gets the word.
enum Job<'a> {
    Write(&'a IdMap),
    WriteOwn(&'a IdMap),
    Execute(&'a CString, &'a [Extent]),
}

impl Job<'_> {
    /// The life of a helper: waits for the parent to close its pipe, acts, ends.
    fn wait_and_do(&self, target: Pid, wait: &OwnedFd, go: &OwnedFd, complain: &OwnedFd) -> ! {
        // Our own copy of the writing end would keep the pipe open for ever; and should the
        // parent end without a word, its namespace is gone and there is nothing to write to.
        let closed = sys::close_descriptor(go.as_raw_fd());
        let heard = closed.and_then(|()| rustix::io::read(wait, &mut [0; 1]));
        let done = heard.and_then(|_| sys::duplicate(complain.as_raw_fd(), 2));
        let done = done.and_then(|()| match self {
            Self::Write(ids) => write_maps(target, ids),
            Self::WriteOwn(ids) => keep_groups(target).and_then(|()| write_maps(target, ids)),
            Self::Execute(tool, extents) => Err(execute_tool(target, tool, extents)),
        });
        if let Err(errno) = done {
            let reason = format!("{}\n", std::io::Error::from(errno));
            // The exit code says the rest.
            rustix::io::write(complain.as_fd(), reason.as_bytes()).unwrap_or(0);
        }
        sys::exit_now(i32::from(done.is_err()))
    }
}

/// Writes the maps of the namespace that a process is in, from the one above.
pub(crate) fn write_maps(target: Pid, ids: &IdMap) -> Result<(), Errno> {
    let process = target.as_raw_nonzero();
    for (name, extents) in [("uid_map", &ids.users), ("gid_map", &ids.groups)] {
        let path = format!("/proc/{process}/{name}");
        let written = std::fs::write(path, table(extents));
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    }
    Ok(())
}

/// Has nobody change groups in the namespace of a process: who leaves one may gain what it was kept from.
fn keep_groups(target: Pid) -> Result<(), Errno> {
    let path = format!("/proc/{}/setgroups", target.as_raw_nonzero());
    let written = std::fs::write(path, "deny");
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// The text of a map file.
fn table(extents: &[Extent]) -> String {
    let mut text = String::new();
    for Extent { inside, outside, count } in extents {
        writeln!(text, "{inside} {outside} {count}").expect("a String takes every write");
    }
    text
}

fn execute_tool(target: Pid, tool: &CString, extents: &[Extent]) -> Errno {
    let numbers = table(extents);
    let words = [tool.to_string_lossy().into_owned(), target.as_raw_nonzero().to_string()];
    let words = words.into_iter().chain(numbers.split_ascii_whitespace().map(str::to_owned));
    let words = words.map(|word| CString::new(word).expect("paths and digits hold no NUL"));
    let words: Vec<CString> = words.collect();
    sys::execute(tool, &PointerList::new(&words), &PointerList::new(&[]))
}

const TOOL_DIRECTORIES: [&str; 5] =
    ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin", "/usr/sbin"];
