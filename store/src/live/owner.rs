//! Owners that the user namespace does not map. On disk such a file belongs to a stand-in, so that a
//! step neither takes it for root's nor for its own, and an attribute says whose it is. That holds
//! until somebody gives the file to somebody else.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{Gid, Stat, Uid, XattrFlags, fchown, fsetxattr, lgetxattr, lsetxattr};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};

use crate::tree::entry::Metadata;

/// The extended attribute of such a file. Its value is `UID:GID`.
pub const ATTRIBUTE: &[u8] = b"user.wythe.owner";

/// The first of those who stand in. No distribution names any of them, so that nothing in a step
/// gives files to it: systemd, which gives every range a purpose, has none for 60578 to 61183. Where
/// they are not mapped either, root stands in.
pub const STAND_INS: u32 = 60_578;

/// How many there are, so that a program that copies a file and its owner by number hits upon the
/// same person again, however many owners a root file system has. A prime: ids that are given out
/// in blocks of a round size do not meet.
pub const STAND_IN_COUNT: u32 = 601;

/// Who stands in for somebody.
pub fn stand_in_for(id: u32) -> u32 {
    STAND_INS + id % STAND_IN_COUNT
}

/// Has ids from `first` on count as not mapped, whatever the kernel says: the namespace maps them for
/// the program itself, and who makes up a layer is to own none of them. Who comes second is not heard.
pub fn reserve(first: u32) {
    RESERVED.get_or_init(|| first);
}

static RESERVED: OnceLock<u32> = OnceLock::new();

/// User and group.
pub(super) type Owner = (u32, u32);

/// What the attribute of a file says.
pub(super) fn parse(value: &[u8]) -> Option<Owner> {
    let (uid, gid) = std::str::from_utf8(value).ok()?.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

/// The attribute of what is neither a file nor a directory, which has no others: the numbers are in
/// place of capabilities, which mean something on programs alone.
const CAPABILITIES: &[u8] = b"security.capability";

/// `VFS_CAP_REVISION_2`, with which it begins.
const SECOND_VERSION: u32 = 0x0200_0000;

/// Records whose a link or pipe is to be, where everything on disk is root's.
pub(super) fn record_at(at: &OwnedFd, name: &[u8], (uid, gid): Owner) -> Result<(), Errno> {
    let words = [SECOND_VERSION, uid, gid, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    lsetxattr(path(at, name), CAPABILITIES, &value, XattrFlags::empty())
}

/// What is recorded so.
pub(super) fn recorded_at(at: &OwnedFd, name: &[u8]) -> Option<Owner> {
    let mut value = [0; LONGEST_CAPABILITIES];
    let length = lgetxattr(path(at, name), CAPABILITIES, &mut value[..]).ok()?;
    let value = value.get(..length)?;
    let word = |at: usize| value.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    Some((word(4)?, word(8)?))
}

fn path(at: &OwnedFd, name: &[u8]) -> Vec<u8> {
    [format!("/proc/self/fd/{}/", at.as_raw_fd()).as_bytes(), name].concat()
}

/// `struct vfs_ns_cap_data`
const LONGEST_CAPABILITIES: usize = 24;

/// Whether an owner could be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Given {
    /// It is on disk, or nobody else's files can be had.
    Whole,
    /// A part of it is not mapped.
    InPart,
    /// Nothing of it is, nor anybody to stand in.
    ToRoot,
}

/// Whether a file is root's, and to be root's. Of others the numbers do not tell: who is not mapped
/// has that of somebody else.
pub(super) fn is_roots(is: &Stat, metadata: &Metadata) -> bool {
    (is.st_uid, is.st_gid) == (0, 0) && (metadata.uid, metadata.gid) == (0, 0)
}

/// Gives a file or directory its owner, and records what the namespace does not map of it.
///
/// # Errors
///
/// What the file system refuses, but not that one may not give files away.
pub fn give(made: impl AsFd, metadata: &Metadata) -> Result<(), Errno> {
    let owner = (metadata.uid, metadata.gid);
    if give_by(&|uid, gid| fchown(&made, uid, gid), owner)? != Given::Whole {
        let value = format!("{}:{}", owner.0, owner.1);
        fsetxattr(&made, ATTRIBUTE, value.as_bytes(), XattrFlags::empty())?;
    }
    Ok(())
}

/// As [`give`], for what holds no attributes.
pub(super) fn give_by(
    change: &dyn Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    owner: Owner,
) -> Result<Given, Errno> {
    give_as(change, owner, &may_give)
}

/// Whether we are one who gives files to others, as whoever entered a namespace with several ids is.
fn may_give() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::CHOWN))
}

fn give_as(
    change: &dyn Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    (uid, gid): Owner,
    may_give: &dyn Fn() -> bool,
) -> Result<Given, Errno> {
    let change = &kept_off(change, RESERVED.get().copied());
    match change(Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
        Err(Errno::INVAL) => {}
        // We may not give files away at all, and own none but ours.
        Err(Errno::PERM) if !may_give() => return Ok(Given::Whole),
        changed => return changed.map(|()| Given::Whole),
    }
    let user = stand_in(&|id| change(Some(Uid::from_raw(id)), None), uid)?;
    let group = stand_in(&|id| change(None, Some(Gid::from_raw(id))), gid)?;
    let is_roots = user == Given::ToRoot && group == Given::ToRoot;
    Ok(if is_roots { Given::ToRoot } else { Given::InPart })
}

/// Refuses ids from `reserved` on as the kernel refuses those that are not mapped.
fn kept_off(
    change: &dyn Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    reserved: Option<u32>,
) -> impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno> {
    move |uid, gid| {
        let mut ids = [uid.map(Uid::as_raw), gid.map(Gid::as_raw)].into_iter().flatten();
        let is_reserved = reserved.is_some_and(|first| ids.any(|id| id >= first));
        if is_reserved { Err(Errno::INVAL) } else { change(uid, gid) }
    }
}

fn stand_in(change: &dyn Fn(u32) -> Result<(), Errno>, id: u32) -> Result<Given, Errno> {
    match change(id) {
        Err(Errno::INVAL) => {}
        changed => return changed.map(|()| if id == 0 { Given::ToRoot } else { Given::Whole }),
    }
    match change(stand_in_for(id)) {
        Err(Errno::INVAL) => Ok(Given::ToRoot),
        changed => changed.map(|()| Given::InPart),
    }
}

/// The ids that a namespace maps.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) users: Side,
    pub(super) groups: Side,
}

/// Those of users, or those of groups.
#[derive(Debug)]
pub(super) struct Side(Option<Vec<(u32, u32)>>);

impl Ids {
    /// Reads a mapping such as `u0:1000:1,1:200000:65536;g0:1000:1`: runs of ids inside, outside,
    /// and how many. Of a text that is none, all ids are taken to be mapped.
    pub(super) fn of(idmap: &[u8]) -> Self {
        let sides = std::str::from_utf8(idmap).ok().and_then(|text| text.split_once(';'));
        let side = |text: Option<&str>, kind| Side(text.and_then(|text| runs(text, kind)));
        Self {
            users: side(sides.map(|(users, _)| users), 'u'),
            groups: side(sides.map(|(_, groups)| groups), 'g'),
        }
    }

    /// Whether there is one user and one group, root, so that everything on disk is root's and
    /// what is recorded is all that counts.
    pub(super) fn is_single(&self) -> bool {
        let is_one = |side: &Side| matches!(side.0.as_deref(), Some([(0, 1)]));
        is_one(&self.users) && is_one(&self.groups)
    }

    /// Whom a file is for that belongs to `actual` and says that it is for `recorded`.
    pub(super) fn owner(&self, actual: Owner, recorded: Option<Owner>) -> Owner {
        let users = self.users.owner(actual.0, recorded.map(|owner| owner.0));
        let groups = self.groups.owner(actual.1, recorded.map(|owner| owner.1));
        (users.unwrap_or(actual.0), groups.unwrap_or(actual.1))
    }
}

impl Side {
    pub(super) fn maps(&self, id: u32) -> bool {
        let within = |(first, count): &(u32, u32)| id >= *first && id - first < *count;
        self.0.as_ref().is_none_or(|runs| runs.iter().any(within))
    }

    /// Whom the files of somebody belong to who is not mapped.
    pub(super) fn stand_in(&self, id: u32) -> u32 {
        let stand_in = stand_in_for(id);
        if self.maps(stand_in) { stand_in } else { 0 }
    }

    /// Whether somebody's files may be another's.
    pub(super) fn stands_in(&self, id: u32) -> bool {
        let mut all = STAND_INS..STAND_INS + STAND_IN_COUNT;
        if id == 0 { all.any(|id| !self.maps(id)) } else { all.contains(&id) && self.maps(id) }
    }

    /// The recorded id, where it counts: nobody has been given the file since, and it is one that
    /// could not be given. Who writes an attribute gains no id that is mapped.
    fn owner(&self, actual: u32, recorded: Option<u32>) -> Option<u32> {
        recorded.filter(|id| actual == self.stand_in(*id) && !self.maps(*id))
    }
}

fn runs(text: &str, kind: char) -> Option<Vec<(u32, u32)>> {
    let run = |run: &str| {
        let mut parts = run.split(':').map(|part| part.parse().ok());
        let (inside, _outside, count) = (parts.next()??, parts.next()??, parts.next()??);
        Some((inside, count))
    };
    text.strip_prefix(kind)?.split(',').map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &[u8] = b"u0:1000:1,1:200000:65536;g0:1000:1,1:200000:65536";

    #[track_caller]
    fn check(idmap: &[u8], actual: Owner, recorded: Option<Owner>, expected: Owner) {
        assert_eq!(Ids::of(idmap).owner(actual, recorded), expected);
    }

    #[test]
    fn a_record_counts_while_the_stand_in_has_the_file() {
        let recorded = Some((1_001_470_000, 205_001));
        let (user, group) = (stand_in_for(1_001_470_000), stand_in_for(205_001));
        check(USUAL, (user, group), recorded, (1_001_470_000, 205_001));
        check(USUAL, (0, group), recorded, (0, 205_001));
        check(USUAL, (65_534, 7), recorded, (65_534, 7));
        check(USUAL, (group, user), recorded, (group, user));
        check(USUAL, (user, 0), None, (user, 0));
    }

    #[test]
    fn no_record_gives_an_id_that_is_mapped() {
        let ids = (stand_in_for(0), stand_in_for(65_536));
        check(USUAL, ids, Some((0, 65_536)), ids);
        check(USUAL, (stand_in_for(65_537), ids.0), Some((65_537, 0)), (65_537, ids.0));
        check(b"", ids, Some((0, 65_536)), ids);
    }

    #[test]
    fn owners_who_are_near_each_other_or_a_round_number_apart_do_not_meet() {
        for step in [1, 513, 1000, 10_000, 65_536, 100_000] {
            let ids = (0..100).map(|count| stand_in_for(1_000_000_000 + count * step));
            assert_eq!(ids.collect::<std::collections::BTreeSet<_>>().len(), 100, "{step}");
        }
        assert!((60_578..=61_183).contains(&(STAND_INS + STAND_IN_COUNT - 1)));
    }

    #[test]
    fn root_stands_in_where_few_are_mapped() {
        check(b"u0:1000:1;g0:1000:1", (0, 0), Some((5, 6)), (5, 6));
        check(b"u0:1000:1,1:2000:100;g0:1000:1", (7, 0), Some((500, 6)), (7, 6));
    }

    #[test]
    fn what_is_not_said_properly_says_nothing() {
        for value in ["", "1", "1:", ":1", "1:2:3", "-1:0", "4294967296:0", "a:b"] {
            assert_eq!(parse(value.as_bytes()), None, "{value:?}");
        }
        assert_eq!(parse(b"1001470000:0"), Some((1_001_470_000, 0)));
    }

    #[test]
    fn reserved_ids_are_given_to_nobody() {
        let given = std::cell::Cell::new(0);
        let change = |_: Option<Uid>, _: Option<Gid>| {
            given.set(given.get() + 1);
            Ok(())
        };
        let id = |id| (Some(Uid::from_raw(id)), Some(Gid::from_raw(id)));
        let kept_off = kept_off(&change, Some(1 << 31));
        assert_eq!(kept_off(id(1 << 31).0, id(5).1), Err(Errno::INVAL));
        assert_eq!(kept_off(None, id(u32::MAX - 1).1), Err(Errno::INVAL));
        assert_eq!(given.get(), 0);
        assert_eq!(kept_off(id((1 << 31) - 1).0, id(0).1), Ok(()));
        assert_eq!(given.get(), 1);
    }

    #[test]
    fn a_refusal_counts_where_files_can_be_given_away() {
        let refuse = |_: Option<Uid>, _: Option<Gid>| Err(Errno::PERM);
        assert_eq!(give_as(&refuse, (1, 2), &|| true), Err(Errno::PERM));
        assert_eq!(give_as(&refuse, (1, 2), &|| false), Ok(Given::Whole));
    }

    #[test]
    fn what_is_not_mapped_is_given_to_the_stand_in() {
        let given = std::cell::RefCell::new(Vec::new());
        let change = |uid: Option<Uid>, gid: Option<Gid>| {
            let numbers = (uid.map(Uid::as_raw), gid.map(Gid::as_raw));
            let refused = [numbers.0, numbers.1].into_iter().flatten().any(|id| id > 65_536);
            if refused {
                return Err(Errno::INVAL);
            }
            given.borrow_mut().push(numbers);
            Ok(())
        };
        assert_eq!(give_by(&change, (1, 2)), Ok(Given::Whole));
        assert_eq!(give_by(&change, (1_001_470_000, 0)), Ok(Given::InPart));
        let expected =
            [(Some(1), Some(2)), (Some(stand_in_for(1_001_470_000)), None), (None, Some(0))];
        assert_eq!(*given.borrow(), expected);
    }
}
