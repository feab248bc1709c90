//! A filter that announces looks at files by name, and connections, and lets all else run: what a container
//! allows is decided by its own.

use libc::sock_filter;

use super::emit::{BPF_LOAD_WORD, BPF_RETURN, JUMP_EQUAL, OFFSET_ARCHITECTURE, OFFSET_NUMBER};
use super::{Link, tables::native_tables};

/// A call that names a file, and which of its arguments say what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NameCall {
    /// What it is for.
    pub(crate) wish: Wish,
    /// Which argument is the path: 0, or 1 after the directory it is relative to.
    pub(crate) path: usize,
    /// What happens to a link at the end of the path.
    pub(crate) link: Link,
}

/// What a caller wishes to know or have of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// It opened, as the flags after the path say.
    Open,
    /// It opened, as a structure after the path says.
    OpenHow,
    /// A `struct stat` where the argument after the path points.
    Stat,
    /// A `struct statx` where the last argument points.
    Statx,
    /// Where it leads, in the buffer that the two arguments after the path describe.
    Target,
    /// Whether it is there.
    Presence,
}

/// What the filter announces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// A file is named.
    Name(NameCall),
    /// Somebody is connected to.
    Connection,
}

/// What a native call is that the filter has announced.
pub(crate) fn asked(architecture: u32, number: i32) -> Option<Asked> {
    if native_tables().first()?.architecture != architecture {
        return None;
    }
    CALLS.iter().find(|(known, _)| *known == number).map(|(_, asked)| *asked)
}

/// The filter, ready for `seccomp(2)`. Programs of other architectures than the native one are
/// not listened to.
pub(crate) fn names_filter() -> Vec<sock_filter> {
    let native = native_tables().first().map_or(0, |table| table.architecture);
    let n_calls = CALLS.len();
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let mut program = vec![
        step(BPF_LOAD_WORD, 0, 0, OFFSET_ARCHITECTURE),
        step(JUMP_EQUAL, 0, short(n_calls + 1), native),
        step(BPF_LOAD_WORD, 0, 0, OFFSET_NUMBER),
    ];
    for (at, (number, _)) in CALLS.iter().enumerate() {
        program.push(step(JUMP_EQUAL, short(n_calls - at), 0, number.cast_unsigned()));
    }
    program.push(step(BPF_RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(step(BPF_RETURN, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    program
}

/// A jump over a few instructions.
fn short(distance: usize) -> u8 {
    u8::try_from(distance).unwrap_or(u8::MAX)
}

#[cfg(target_arch = "x86_64")]
const CALLS: &[(i32, Asked)] = &[
    (2, call(Wish::Open, 0, Link::Followed)),
    (4, call(Wish::Stat, 0, Link::Followed)),
    (6, call(Wish::Stat, 0, Link::Meant)),
    (21, call(Wish::Presence, 0, Link::Followed)),
    (42, Asked::Connection),
    (89, call(Wish::Target, 0, Link::Meant)),
    (257, call(Wish::Open, 1, Link::Followed)),
    (262, call(Wish::Stat, 1, Link::Said(3))),
    (267, call(Wish::Target, 1, Link::Meant)),
    (269, call(Wish::Presence, 1, Link::Followed)),
    (332, call(Wish::Statx, 1, Link::Said(2))),
    (437, call(Wish::OpenHow, 1, Link::Followed)),
    (439, call(Wish::Presence, 1, Link::Said(3))),
];

#[cfg(target_arch = "aarch64")]
const CALLS: &[(i32, Asked)] = &[
    (48, call(Wish::Presence, 1, Link::Followed)),
    (56, call(Wish::Open, 1, Link::Followed)),
    (78, call(Wish::Target, 1, Link::Meant)),
    (79, call(Wish::Stat, 1, Link::Said(3))),
    (203, Asked::Connection),
    (291, call(Wish::Statx, 1, Link::Said(2))),
    (437, call(Wish::OpenHow, 1, Link::Followed)),
    (439, call(Wish::Presence, 1, Link::Said(3))),
];

const fn call(wish: Wish, path: usize, link: Link) -> Asked {
    Asked::Name(NameCall { wish, path, link })
}
