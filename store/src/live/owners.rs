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

/// The ids of a root file system that are not mapped.
#[derive(Debug, Default)]
struct Foreign {
    users: BTreeSet<u32>,
    groups: BTreeSet<u32>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(idmap: &[u8], lower: &'a Tree) -> Self {
        Self { ids: Ids::of(idmap), lower, foreign: OnceLock::new() }
    }

    /// Whom a file is for. A step moves and copies what is there: no attribute names anybody else.
    pub(super) fn of(&self, found: Found<'_>) -> Owner {
        let Found { actual, recorded, lower, parent } = found;
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
        if !self.ids.users.maps(*uid) {
            foreign.users.insert(*uid);
        }
        if !self.ids.groups.maps(*gid) {
            foreign.groups.insert(*gid);
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
    /// who is not mapped has the stand-in, and so the next best answer counts; but where root stands
    /// in, a step may have made the file.
    fn of<'f>(self, side: &Side, foreign: &dyn Fn() -> &'f BTreeSet<u32>) -> u32 {
        if self.actual != side.stand_in() {
            return self.actual;
        }
        let foreign = foreign();
        let only = foreign.first().filter(|_| foreign.len() == 1).copied();
        let [lower, parent] = self.guesses;
        let guesses = [lower, only, parent].map(|guess| guess.filter(|_| self.actual != 0));
        let mut said = [self.recorded].into_iter().chain(guesses).flatten();
        said.find(|id| foreign.contains(id)).unwrap_or(self.actual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::owner::STAND_IN;
    use crate::tree::sketch::sketch;

    const USUAL: &[u8] = b"u0:1000:1,1:200000:65536;g0:1000:1,1:200000:65536";
    const FEW: &[u8] = b"u0:1000:1;g0:1000:1";

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

    #[test]
    fn a_record_says_whom_a_file_is_for() {
        check(USUAL, "a@205001/ d@205002/", (STAND_IN, Some(205_001), 0), 205_001);
        check(FEW, "d@5/", (0, Some(5), 0), 5);
    }

    #[test]
    fn a_record_names_nobody_whom_no_file_belongs_to() {
        check(USUAL, "d@205001/", (STAND_IN, Some(205_002), 0), 205_001);
        check(USUAL, "d@5/", (STAND_IN, Some(5), 0), STAND_IN);
        check(USUAL, "", (STAND_IN, Some(205_001), 205_001), STAND_IN);
        check(FEW, "d@5/", (0, Some(6), 0), 0);
    }

    #[test]
    fn without_a_record_the_place_says_it_and_then_who_comes_into_question() {
        check(USUAL, "a@205002/ d@205001/", (STAND_IN, None, 205_002), 205_001);
        check(USUAL, "a@205001/", (STAND_IN, None, 0), 205_001);
        check(USUAL, "a@205001/ b@205002/", (STAND_IN, None, 205_002), 205_002);
        check(USUAL, "a@205001/ b@205002/", (STAND_IN, None, 0), STAND_IN);
    }
}
