//! The calls that look at files by name, and those that give files away.
//!
//! They are announced where a step may come across files that stand for devices. Looks at an open
//! descriptor are not: who opened such a file has opened a file.

/// A call about a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PathCall {
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Which argument is the path: 0, or 1 after the directory it is relative to. It may be a
    /// descriptor instead.
    pub(crate) path: usize,
    /// What happens to a link at the end of the path.
    pub(crate) link: Link,
}

/// What a call is for, and how it answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A `struct stat` of this machine goes where the argument after the path points.
    Stat,
    /// The same as 32-bit programs of this machine have it.
    #[cfg_attr(target_arch = "aarch64", expect(dead_code, reason = "it runs none of them"))]
    SmallStat,
    /// `statx`.
    Statx,
    /// A new owner and group are in the arguments after the path.
    Own,
}

/// What happens to a link at the end of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// It is followed.
    Followed,
    /// It is what is meant.
    Meant,
    /// The flags say it, in this argument.
    Said(usize),
    /// There is none, nor a path: the file is open.
    Nowhere,
}

#[cfg(target_arch = "x86_64")]
pub(super) const X86_64: &[(u32, PathCall)] = &[
    (4, look(Purpose::Stat, 0, Link::Followed)),
    (6, look(Purpose::Stat, 0, Link::Meant)),
    (92, look(Purpose::Own, 0, Link::Followed)),
    (93, look(Purpose::Own, 0, Link::Nowhere)),
    (94, look(Purpose::Own, 0, Link::Meant)),
    (260, look(Purpose::Own, 1, Link::Said(4))),
    (262, look(Purpose::Stat, 1, Link::Said(3))),
    (332, look(Purpose::Statx, 1, Link::Said(2))),
];

#[cfg(target_arch = "x86_64")]
pub(super) const I386: &[(u32, PathCall)] = &[
    (195, look(Purpose::SmallStat, 0, Link::Followed)),
    (196, look(Purpose::SmallStat, 0, Link::Meant)),
    (198, look(Purpose::Own, 0, Link::Meant)),
    (207, look(Purpose::Own, 0, Link::Nowhere)),
    (212, look(Purpose::Own, 0, Link::Followed)),
    (298, look(Purpose::Own, 1, Link::Said(4))),
    (300, look(Purpose::SmallStat, 1, Link::Said(3))),
    (383, look(Purpose::Statx, 1, Link::Said(2))),
];

#[cfg(target_arch = "aarch64")]
pub(super) const AARCH64: &[(u32, PathCall)] = &[
    (54, look(Purpose::Own, 1, Link::Said(4))),
    (55, look(Purpose::Own, 0, Link::Nowhere)),
    (79, look(Purpose::Stat, 1, Link::Said(3))),
    (291, look(Purpose::Statx, 1, Link::Said(2))),
];

pub(super) const fn look(purpose: Purpose, path: usize, link: Link) -> PathCall {
    PathCall { purpose, path, link }
}
