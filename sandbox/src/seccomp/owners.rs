//! The calls about users and owners, announced where a step has one id and is to see many.

use super::looks::{Link, PathCall, Purpose, look};

/// Such a call, and which of its arguments say what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OwnerCall {
    /// Who a process is.
    Ids(IdCall),
    /// A file is looked at.
    Look(PathCall),
    /// Something is made that will belong to somebody.
    Make(MakeCall),
    /// The mode of a file is changed, to one with a set-ID bit.
    Mode {
        /// The file; the mode is after it.
        file: NamedFile,
    },
    /// Whether a process may do something to a file, in the argument after its path.
    Access(NamedFile),
    /// A program is executed.
    Execute(NamedFile),
    /// An attribute is set, whose name is in the second argument.
    SetAttribute,
    /// The names of attributes are asked for: the buffer and its size are after the path.
    ListAttributes(NamedFile),
    /// Who is at the other end of a socket.
    Peer,
    /// A limit is asked for or set that is not the step's; what it is goes where this argument points.
    Limit {
        /// If it is asked for.
        old: Option<usize>,
    },
    /// Flags of it lie in memory, and programs do without: there is no such call.
    Unknown,
}

/// A file that a call names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NamedFile {
    /// Which argument is the path: 0, or 1 after the directory that it is relative to. It may be a
    /// descriptor instead.
    pub(crate) path: usize,
    /// What happens to a link at the end of the path.
    pub(crate) link: Link,
}

/// A call about who a process is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IdCall {
    Real(Side),
    Effective(Side),
    /// The three ids go where the arguments point.
    Three(Side),
    Set(Side),
    SetTwo(Side),
    SetThree(Side),
    SetFiles(Side),
    Groups,
    SetGroups,
    Capabilities,
    SetCapabilities,
    /// `prctl`, as far as it has to do with capabilities.
    Control,
}

/// Of whom ids are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    User,
    Group,
}

/// A call that makes something; `path` is the argument with its path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MakeCall {
    /// A file is opened, and made if the flags after the path say so; then comes the mode.
    Open { path: usize },
    /// The same with flags of its own.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "creat is a call of x86"))]
    Create,
    /// The mode comes after the path.
    Directory { path: usize },
    /// The target is the first argument.
    Link { path: usize },
    /// The mode comes after the path, and then the number of a device.
    Node { path: usize },
}

const fn named(path: usize, link: Link) -> NamedFile {
    NamedFile { path, link }
}

const BY_PATH: NamedFile = named(0, Link::Followed);
const BY_LINK: NamedFile = named(0, Link::Meant);
const OPENED: NamedFile = named(0, Link::Nowhere);
const AT: NamedFile = named(1, Link::Followed);

#[cfg(target_arch = "x86_64")]
pub(super) const X86_64: &[(u32, OwnerCall)] = &[
    (2, OwnerCall::Make(MakeCall::Open { path: 0 })),
    (5, OwnerCall::Look(look(Purpose::Stat, 0, Link::Nowhere))),
    (21, OwnerCall::Access(BY_PATH)),
    (55, OwnerCall::Peer),
    (59, OwnerCall::Execute(BY_PATH)),
    (83, OwnerCall::Make(MakeCall::Directory { path: 0 })),
    (85, OwnerCall::Make(MakeCall::Create)),
    (88, OwnerCall::Make(MakeCall::Link { path: 1 })),
    (90, OwnerCall::Mode { file: BY_PATH }),
    (91, OwnerCall::Mode { file: OPENED }),
    (97, OwnerCall::Limit { old: Some(1) }),
    (102, OwnerCall::Ids(IdCall::Real(Side::User))),
    (104, OwnerCall::Ids(IdCall::Real(Side::Group))),
    (105, OwnerCall::Ids(IdCall::Set(Side::User))),
    (106, OwnerCall::Ids(IdCall::Set(Side::Group))),
    (107, OwnerCall::Ids(IdCall::Effective(Side::User))),
    (108, OwnerCall::Ids(IdCall::Effective(Side::Group))),
    (113, OwnerCall::Ids(IdCall::SetTwo(Side::User))),
    (114, OwnerCall::Ids(IdCall::SetTwo(Side::Group))),
    (115, OwnerCall::Ids(IdCall::Groups)),
    (116, OwnerCall::Ids(IdCall::SetGroups)),
    (117, OwnerCall::Ids(IdCall::SetThree(Side::User))),
    (118, OwnerCall::Ids(IdCall::Three(Side::User))),
    (119, OwnerCall::Ids(IdCall::SetThree(Side::Group))),
    (120, OwnerCall::Ids(IdCall::Three(Side::Group))),
    (122, OwnerCall::Ids(IdCall::SetFiles(Side::User))),
    (123, OwnerCall::Ids(IdCall::SetFiles(Side::Group))),
    (125, OwnerCall::Ids(IdCall::Capabilities)),
    (126, OwnerCall::Ids(IdCall::SetCapabilities)),
    (133, OwnerCall::Make(MakeCall::Node { path: 0 })),
    (157, OwnerCall::Ids(IdCall::Control)),
    (160, OwnerCall::Limit { old: None }),
    (188, OwnerCall::SetAttribute),
    (189, OwnerCall::SetAttribute),
    (190, OwnerCall::SetAttribute),
    (194, OwnerCall::ListAttributes(BY_PATH)),
    (195, OwnerCall::ListAttributes(BY_LINK)),
    (196, OwnerCall::ListAttributes(OPENED)),
    (257, OwnerCall::Make(MakeCall::Open { path: 1 })),
    (258, OwnerCall::Make(MakeCall::Directory { path: 1 })),
    (259, OwnerCall::Make(MakeCall::Node { path: 1 })),
    (266, OwnerCall::Make(MakeCall::Link { path: 2 })),
    (268, OwnerCall::Mode { file: AT }),
    (269, OwnerCall::Access(AT)),
    (302, OwnerCall::Limit { old: Some(3) }),
    (322, OwnerCall::Execute(named(1, Link::Said(4)))),
    (437, OwnerCall::Unknown),
    (439, OwnerCall::Access(named(1, Link::Said(3)))),
    (452, OwnerCall::Mode { file: named(1, Link::Said(3)) }),
    (463, OwnerCall::Unknown),
    (464, OwnerCall::Unknown),
    (465, OwnerCall::Unknown),
];

#[cfg(target_arch = "x86_64")]
pub(super) const I386: &[(u32, OwnerCall)] = &[
    (5, OwnerCall::Make(MakeCall::Open { path: 0 })),
    (8, OwnerCall::Make(MakeCall::Create)),
    (11, OwnerCall::Execute(BY_PATH)),
    (14, OwnerCall::Make(MakeCall::Node { path: 0 })),
    (15, OwnerCall::Mode { file: BY_PATH }),
    (33, OwnerCall::Access(BY_PATH)),
    (39, OwnerCall::Make(MakeCall::Directory { path: 0 })),
    (75, OwnerCall::Limit { old: None }),
    (83, OwnerCall::Make(MakeCall::Link { path: 1 })),
    (94, OwnerCall::Mode { file: OPENED }),
    (172, OwnerCall::Ids(IdCall::Control)),
    (184, OwnerCall::Ids(IdCall::Capabilities)),
    (185, OwnerCall::Ids(IdCall::SetCapabilities)),
    (197, OwnerCall::Look(look(Purpose::SmallStat, 0, Link::Nowhere))),
    (199, OwnerCall::Ids(IdCall::Real(Side::User))),
    (200, OwnerCall::Ids(IdCall::Real(Side::Group))),
    (201, OwnerCall::Ids(IdCall::Effective(Side::User))),
    (202, OwnerCall::Ids(IdCall::Effective(Side::Group))),
    (203, OwnerCall::Ids(IdCall::SetTwo(Side::User))),
    (204, OwnerCall::Ids(IdCall::SetTwo(Side::Group))),
    (205, OwnerCall::Ids(IdCall::Groups)),
    (206, OwnerCall::Ids(IdCall::SetGroups)),
    (208, OwnerCall::Ids(IdCall::SetThree(Side::User))),
    (209, OwnerCall::Ids(IdCall::Three(Side::User))),
    (210, OwnerCall::Ids(IdCall::SetThree(Side::Group))),
    (211, OwnerCall::Ids(IdCall::Three(Side::Group))),
    (213, OwnerCall::Ids(IdCall::Set(Side::User))),
    (214, OwnerCall::Ids(IdCall::Set(Side::Group))),
    (215, OwnerCall::Ids(IdCall::SetFiles(Side::User))),
    (216, OwnerCall::Ids(IdCall::SetFiles(Side::Group))),
    (226, OwnerCall::SetAttribute),
    (227, OwnerCall::SetAttribute),
    (228, OwnerCall::SetAttribute),
    (232, OwnerCall::ListAttributes(BY_PATH)),
    (233, OwnerCall::ListAttributes(BY_LINK)),
    (234, OwnerCall::ListAttributes(OPENED)),
    (295, OwnerCall::Make(MakeCall::Open { path: 1 })),
    (296, OwnerCall::Make(MakeCall::Directory { path: 1 })),
    (297, OwnerCall::Make(MakeCall::Node { path: 1 })),
    (304, OwnerCall::Make(MakeCall::Link { path: 2 })),
    (306, OwnerCall::Mode { file: AT }),
    (307, OwnerCall::Access(AT)),
    (340, OwnerCall::Limit { old: Some(3) }),
    (358, OwnerCall::Execute(named(1, Link::Said(4)))),
    (365, OwnerCall::Peer),
    (437, OwnerCall::Unknown),
    (439, OwnerCall::Access(named(1, Link::Said(3)))),
    (452, OwnerCall::Mode { file: named(1, Link::Said(3)) }),
    (463, OwnerCall::Unknown),
    (464, OwnerCall::Unknown),
    (465, OwnerCall::Unknown),
];

#[cfg(target_arch = "aarch64")]
pub(super) const AARCH64: &[(u32, OwnerCall)] = &[
    (5, OwnerCall::SetAttribute),
    (6, OwnerCall::SetAttribute),
    (7, OwnerCall::SetAttribute),
    (11, OwnerCall::ListAttributes(BY_PATH)),
    (12, OwnerCall::ListAttributes(BY_LINK)),
    (13, OwnerCall::ListAttributes(OPENED)),
    (33, OwnerCall::Make(MakeCall::Node { path: 1 })),
    (34, OwnerCall::Make(MakeCall::Directory { path: 1 })),
    (36, OwnerCall::Make(MakeCall::Link { path: 2 })),
    (48, OwnerCall::Access(AT)),
    (52, OwnerCall::Mode { file: OPENED }),
    (53, OwnerCall::Mode { file: AT }),
    (56, OwnerCall::Make(MakeCall::Open { path: 1 })),
    (80, OwnerCall::Look(look(Purpose::Stat, 0, Link::Nowhere))),
    (90, OwnerCall::Ids(IdCall::Capabilities)),
    (91, OwnerCall::Ids(IdCall::SetCapabilities)),
    (143, OwnerCall::Ids(IdCall::SetTwo(Side::Group))),
    (144, OwnerCall::Ids(IdCall::Set(Side::Group))),
    (145, OwnerCall::Ids(IdCall::SetTwo(Side::User))),
    (146, OwnerCall::Ids(IdCall::Set(Side::User))),
    (147, OwnerCall::Ids(IdCall::SetThree(Side::User))),
    (148, OwnerCall::Ids(IdCall::Three(Side::User))),
    (149, OwnerCall::Ids(IdCall::SetThree(Side::Group))),
    (150, OwnerCall::Ids(IdCall::Three(Side::Group))),
    (151, OwnerCall::Ids(IdCall::SetFiles(Side::User))),
    (152, OwnerCall::Ids(IdCall::SetFiles(Side::Group))),
    (158, OwnerCall::Ids(IdCall::Groups)),
    (159, OwnerCall::Ids(IdCall::SetGroups)),
    (163, OwnerCall::Limit { old: Some(1) }),
    (164, OwnerCall::Limit { old: None }),
    (167, OwnerCall::Ids(IdCall::Control)),
    (174, OwnerCall::Ids(IdCall::Real(Side::User))),
    (175, OwnerCall::Ids(IdCall::Effective(Side::User))),
    (176, OwnerCall::Ids(IdCall::Real(Side::Group))),
    (177, OwnerCall::Ids(IdCall::Effective(Side::Group))),
    (209, OwnerCall::Peer),
    (221, OwnerCall::Execute(BY_PATH)),
    (261, OwnerCall::Limit { old: Some(3) }),
    (281, OwnerCall::Execute(named(1, Link::Said(4)))),
    (437, OwnerCall::Unknown),
    (439, OwnerCall::Access(named(1, Link::Said(3)))),
    (452, OwnerCall::Mode { file: named(1, Link::Said(3)) }),
    (463, OwnerCall::Unknown),
    (464, OwnerCall::Unknown),
    (465, OwnerCall::Unknown),
];

/// Which argument says what limit a call is about: the first, or the second after the process.
pub(super) fn limit_argument(old: Option<usize>) -> usize {
    usize::from(old == Some(3))
}
