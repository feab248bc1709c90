//! Whose the files of a step's directory are, where a stand-in has them.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::live::owner::{Ids, Owner, Side};
use crate::tree::entry::{Directory, Entry, Metadata, Node, Tree};

/// What is known of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// Whose it is on disk.
    pub(super) actual: Owner,
    /// Whom its attribute names.
    pub(super) recorded: Option<Owner>,
    /// What lower layers have in its place.
    pub(super) lower: Option<&'a Entry>,
    /// Whose the directory is that it lies in.
    pub(super) parent: Owner,
}

/// The owners of what a step left, over the root file system it ran on.
#[derive(Debug)]
pub(super) struct Owners<'a> {
    ids: Ids,
    lower: &'a Tree,
    foreign: OnceLock<Foreign>,
}

/// The ids of a root file system of whom somebody may have the files of another.
#[derive(Debug, Default)]
struct Foreign {
    users: Concerned,
    groups: Concerned,
}

/// Those of users, or those of groups.
#[derive(Debug, Default)]
struct Concerned {
    unmapped: BTreeSet<u32>,
    /// Who stands in and has files of their own as well.
    themselves: BTreeSet<u32>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(idmap: &[u8], lower: &'a Tree) -> Self {
        Self { ids: Ids::of(idmap), lower, foreign: OnceLock::new() }
    }

    /// Whether what is recorded is all that counts.
    pub(super) fn are_recorded(&self) -> bool {
        self.ids.is_single()
    }

    /// Whom a file is for. A step moves and copies what is there: no attribute names anybody else.
    pub(super) fn of(&self, found: Found<'_>) -> Owner {
        let Found { actual, recorded, lower, parent } = found;
        if self.ids.is_single() {
            return recorded.unwrap_or(actual);
        }
        let lower = lower.map(|entry| (entry.metadata.uid, entry.metadata.gid));
        let part = |part: fn(Owner) -> u32| Part {
            actual: part(actual),
            recorded: recorded.map(part),
            guesses: [lower.map(part), Some(part(parent))],
        };
        let users = || &self.foreign().users;
        let groups = || &self.foreign().groups;
        (
            part(|owner| owner.0).of(&self.ids.users, &users),
            part(|owner| owner.1).of(&self.ids.groups, &groups),
        )
    }

    fn foreign(&self) -> &Foreign {
        self.foreign.get_or_init(|| {
            let mut foreign = Foreign::default();
            self.lower.root.iter().for_each(|root| self.note(root, &mut foreign));
            self.look(&self.lower.children, &mut foreign);
            foreign
        })
    }

    fn look(&self, directory: &Directory, foreign: &mut Foreign) {
        for entry in directory.entries() {
            self.note(&entry.metadata, foreign);
            if let Node::Directory(below) = &entry.node {
                self.look(&below.children, foreign);
            }
        }
    }

    fn note(&self, Metadata { uid, gid, .. }: &Metadata, foreign: &mut Foreign) {
        foreign.users.note(&self.ids.users, *uid);
        foreign.groups.note(&self.ids.groups, *gid);
    }
}

impl Concerned {
    fn note(&mut self, side: &Side, id: u32) {
        if !side.maps(id) {
            self.unmapped.insert(id);
        } else if side.stands_in(id) {
            self.themselves.insert(id);
        }
    }
}

/// What is known of the user of a file, or of its group.
struct Part {
    actual: u32,
    recorded: Option<u32>,
    guesses: [Option<u32>; 2],
}

impl Part {
    /// Links hold no attribute, and some programs leave attributes behind. Only what was for somebody
    /// who is not mapped has the stand-in, and so the next best answer counts; but root, or somebody
    /// of the image who happens to have the number, may have made the file.
    fn of<'f>(self, side: &Side, concerned: &dyn Fn() -> &'f Concerned) -> u32 {
        if !side.stands_in(self.actual) {
            return self.actual;
        }
        let Concerned { unmapped, themselves } = concerned();
        let for_whom = |id: &u32| side.stand_in(*id) == self.actual && unmapped.contains(id);
        let mut all = unmapped.iter().copied().filter(for_whom);
        let only = all.next().filter(|_| all.next().is_none());
        let nobody_else = self.actual != 0 && !themselves.contains(&self.actual);
        let [lower, parent] = self.guesses;
        let lower = lower.filter(|_| self.actual != 0);
        let guesses = [only, parent].map(|guess| guess.filter(|_| nobody_else));
        let mut said = [self.recorded, lower].into_iter().chain(guesses).flatten();
        said.find(for_whom).unwrap_or(self.actual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::owner::{STAND_IN_COUNT, stand_in_for};
    use crate::tree::sketch::sketch;

    const USUAL: &[u8] = b"u0:1000:1,1:200000:65536;g0:1000:1,1:200000:65536";
    const FEW: &[u8] = b"u0:1000:1,3:2000:1;g0:1000:1,3:2000:1";
    const ONE: &[u8] = b"u0:1000:1;g0:1000:1";

    /// Whose a file is that lies in place of `d` in a root file system of these directories.
    #[track_caller]
    fn check(
        idmap: &[u8],
        lower: &str,
        (actual, recorded, parent): (u32, Option<u32>, u32),
        expected: u32,
    ) {
        let lower = sketch(lower);
        let owners = Owners::new(idmap, &lower);
        let found = Found {
            actual: (actual, 0),
            recorded: recorded.map(|uid| (uid, 0)),
            lower: lower.children.get(b"d"),
            parent: (parent, 0),
        };
        assert_eq!(owners.of(found), (expected, 0));
    }

    #[test]
    fn who_was_given_a_file_has_it() {
        check(USUAL, "d@205001/", (0, Some(205_001), 205_001), 0);
        check(USUAL, "d@205001/", (65_534, Some(205_001), 205_001), 65_534);
        check(FEW, "d@205001/", (0, None, 205_001), 0);
    }

    /// Two who are not mapped, and have one stand-in.
    const ADA: u32 = 205_001;
    const BOB: u32 = ADA + STAND_IN_COUNT;

    #[test]
    fn a_record_says_whom_a_file_is_for() {
        let stand_in = stand_in_for(ADA);
        check(USUAL, &format!("a@{ADA}/ d@{BOB}/"), (stand_in, Some(ADA), 0), ADA);
        check(FEW, "d@5/", (0, Some(5), 0), 5);
    }

    #[test]
    fn a_record_names_nobody_whom_no_file_belongs_to() {
        let stand_in = stand_in_for(ADA);
        check(USUAL, &format!("d@{ADA}/"), (stand_in, Some(BOB), 0), ADA);
        check(USUAL, "d@5/", (stand_in_for(5), Some(5), 0), stand_in_for(5));
        check(USUAL, "", (stand_in, Some(ADA), ADA), stand_in);
        check(FEW, "d@5/", (0, Some(6), 0), 0);
    }

    #[test]
    fn where_there_is_one_id_records_are_all_that_counts() {
        check(ONE, "d@5/", (0, None, 5), 0);
        check(ONE, "d@5/", (0, Some(6), 5), 6);
    }

    #[test]
    fn without_a_record_the_number_says_it() {
        let lower = "a@1001470000/ b@205001/ c@205002/";
        for id in [1_001_470_000, 205_001, 205_002] {
            check(USUAL, lower, (stand_in_for(id), None, 0), id);
        }
    }

    #[test]
    fn of_two_with_one_number_the_place_says_which() {
        let stand_in = stand_in_for(ADA);
        check(USUAL, &format!("a@{BOB}/ d@{ADA}/"), (stand_in, None, BOB), ADA);
        check(USUAL, &format!("a@{ADA}/ b@{BOB}/"), (stand_in, None, BOB), BOB);
        check(USUAL, &format!("a@{ADA}/ b@{BOB}/"), (stand_in, None, 0), stand_in);
    }

    #[test]
    fn somebody_of_the_image_who_has_the_number_keeps_files() {
        let stand_in = stand_in_for(ADA);
        let lower = format!("a@{ADA}/ b@{stand_in}/ d@{stand_in}/");
        check(USUAL, &lower, (stand_in, None, ADA), stand_in);
        check(USUAL, &lower, (stand_in, Some(ADA), 0), ADA);
        check(USUAL, &format!("b@{stand_in}/ d@{ADA}/"), (stand_in, None, 0), ADA);
    }
}
