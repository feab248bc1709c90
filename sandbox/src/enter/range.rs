//! Ids of their own for the steps of root of the machine.
//!
//! Root may write any map. The namespace of its builder has two kinds of ids:
//!
//! | inside | on the machine | for |
//! |---|---|---|
//! | 0 to 65535 | a range that nobody else has | steps |
//! | from 2³¹ | all others, in their order | the builder, which stays root of the machine |
//!
//! Steps live in a namespace below, where only the first kind exists. Programs of the machine live
//! in another one, where every id has the number it has on the machine.

use crate::idmap::{Extent, IdMap};

/// How many ids steps have.
const COUNT: u32 = 1 << 16;

/// Where the ids of the machine begin. Those from here on have no place any more.
pub(crate) const MACHINE: u32 = 1 << 31;

/// The first of the ranges that are taken where nobody said which: the ids beyond those that systemd
/// gives to containers.
const FREE: u32 = 0x7000_0000;

/// How many ranges are looked at for one that nobody else was given.
const MOST_TRIES: u32 = 1024;

/// Whose range root's steps have: its own, or that for containers, as podman has it.
const OWNERS: [[&str; 2]; 2] = [["root", "0"], ["containers", "containers"]];

/// The map that gives root's steps a range, where the namespace with the ids `current` has enough.
/// `tables` are `/etc/subuid` and `/etc/subgid`.
pub(super) fn apart(current: &IdMap, tables: [&str; 2]) -> Option<IdMap> {
    let users = split(&current.users, first(tables[0])?)?;
    let groups = split(&current.groups, first(tables[1])?)?;
    Some(IdMap { users, groups })
}

/// What steps have of such a map, as the whole of a map says it; `None` if it is another one.
pub(super) fn of_steps(ids: &IdMap) -> Option<IdMap> {
    let range = |extents: &[Extent]| {
        let is_split = extents.iter().any(|extent| extent.inside == MACHINE);
        let range = extents.first().filter(|first| is_split && first.count == COUNT);
        range.map(|range| vec![*range])
    };
    Some(IdMap { users: range(&ids.users)?, groups: range(&ids.groups)? })
}

/// Whether a map has such a range.
pub(crate) fn is_split(ids: &IdMap) -> bool {
    of_steps(ids).is_some()
}

/// The map of a namespace below in which steps live.
pub(crate) fn below_for_steps() -> IdMap {
    let same = vec![Extent { inside: 0, outside: 0, count: COUNT }];
    IdMap { users: same.clone(), groups: same }
}

/// The map of a namespace below with the numbers of the machine.
pub(crate) fn below_for_programs(ids: &IdMap) -> IdMap {
    let back = |extents: &[Extent]| {
        let back = extents.iter().map(|&Extent { inside, outside, count }| Extent {
            inside: outside,
            outside: inside,
            count,
        });
        back.collect()
    };
    IdMap { users: back(&ids.users), groups: back(&ids.groups) }
}

/// The first id of the range, by a table of subordinate ids.
fn first(table: &str) -> Option<u32> {
    let given: Vec<(&str, u32, u32)> = table.lines().filter_map(super::ids::parse).collect();
    let of = |owners: &[&str; 2]| {
        let owned =
            given.iter().find(|(owner, _, count)| owners.contains(owner) && *count >= COUNT);
        owned.map(|(_, first, _)| *first)
    };
    let is_free = |first: &u32| {
        let overlaps = |(_, other, count): &(&str, u32, u32)| {
            u64::from(*other) < u64::from(*first) + u64::from(COUNT)
                && u64::from(*first) < u64::from(*other) + u64::from(*count)
        };
        !given.iter().any(overlaps)
    };
    let unnamed = || (0..MOST_TRIES).map(|nth| FREE + nth * COUNT).find(is_free);
    OWNERS.iter().find_map(of).or_else(unnamed)
}

/// The range first, then what is left of `current`, as far as it has room.
fn split(current: &[Extent], first: u32) -> Option<Vec<Extent>> {
    let (start, end) = (u64::from(first), u64::from(first) + u64::from(COUNT));
    let runs = current.iter().map(|extent| {
        let first = u64::from(extent.inside);
        (first, first + u64::from(extent.count))
    });
    let runs: Vec<(u64, u64)> = runs.collect();
    let has = |from, to| runs.iter().any(|run| run.0 <= from && to <= run.1);
    // Root is who the builder stays.
    if start == 0 || !has(start, end) || !has(0, 1) {
        return None;
    }
    let left = runs.iter().flat_map(|run| [(run.0, run.1.min(start)), (run.0.max(end), run.1)]);
    // The last number of all is no id.
    let room = u64::from(u32::MAX - MACHINE);
    let left = left.map(|(from, to)| (from, to.min(room))).filter(|(from, to)| from < to);
    let mirrored = left.filter_map(|(from, to)| {
        let outside = u32::try_from(from).ok()?;
        Some(Extent { inside: MACHINE + outside, outside, count: u32::try_from(to - from).ok()? })
    });
    let range = Extent { inside: 0, outside: first, count: COUNT };
    let mut map: Vec<Extent> = [range].into_iter().chain(mirrored).collect();
    map.sort_by_key(|extent| extent.inside);
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idmap::parse_map;

    const ALL: &str = "0 0 4294967295";

    #[track_caller]
    fn check(current: &str, table: &str, expected: Option<&str>) {
        let extents = parse_map(current);
        let found = first(table).and_then(|first| split(&extents, first));
        assert_eq!(found, expected.map(parse_map));
    }

    #[test]
    fn the_range_is_roots_or_that_for_containers_or_one_that_nobody_has() {
        let roots = "0 300000 65536\n2147483648 0 300000\n2147849184 365536 2147118111";
        check(ALL, "containers:1:65536\nroot:300000:65536\n", Some(roots));
        check(ALL, "0:300000:70000\nroot:5:9\n", Some(roots));
        let podmans = "0 2147483647 65536\n2147483648 0 2147483647";
        check(ALL, "ada:100000:65536\ncontainers:2147483647:2147483648\n", Some(podmans));
        let free = "0 1879048192 65536\n2147483648 0 1879048192\n4026597376 1879113728 268369919";
        check(ALL, "ada:100000:65536\n", Some(free));
        let next = "0 1879113728 65536\n2147483648 0 1879113728\n4026662912 1879179264 268304383";
        check(ALL, "ada:1879048192:1\n", Some(next));
        check(ALL, "ada:1:4294967294\n", None);
    }

    #[test]
    fn a_namespace_without_such_a_range_keeps_its_ids() {
        check("0 1000 65536", "", None);
        check("0 1000 65536", "root:1000:65536", None);
        check("0 1000 1\n1 100000 2000000000", "root:0:65536", None);
        check("1 100000 2000000000", "", None);
        let some = "0 131072 65536\n2147483648 0 131072\n2147680256 196608 3392";
        check("0 7 200000", "root:131072:65536", Some(some));
    }

    #[test]
    fn steps_have_the_range_and_programs_the_numbers_of_the_machine() {
        let all = parse_map(ALL);
        let whole = IdMap { users: all.clone(), groups: all };
        assert_eq!(of_steps(&whole), None);
        let ids = apart(&whole, ["root:300000:65536", "root:400000:65536"]).unwrap();
        let steps = of_steps(&ids).unwrap();
        assert_eq!(steps.description(), "u0:300000:65536;g0:400000:65536");
        let programs = below_for_programs(&ids).users;
        let expected = "300000 0 65536\n0 2147483648 300000\n365536 2147849184 2147118111";
        assert_eq!(programs, parse_map(expected));
    }
}
