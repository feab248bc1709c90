//! The ids of the namespace and the ids of the machine behind them.

use std::fmt::Write as _;

use crate::error::{StepCause, StepError};
use crate::step::Identity;

/// A run of consecutive ids.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// First id inside the namespace.
    pub inside: u32,
    /// The id outside that stands for it.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Which ids of the machine stand for the users and groups of a namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdMap {
    /// Users, by id inside.
    pub users: Vec<Extent>,
    /// Groups, by id inside.
    pub groups: Vec<Extent>,
}

impl IdMap {
    /// One line that is equal for equal maps, such as `u0:1000:1,1:200000:65536;g0:1000:1`: what
    /// unpacked files are keyed by, since their owners mean something else under another map.
    pub fn description(&self) -> String {
        let mut text = String::from("u");
        describe(&mut text, &self.users);
        text.push_str(";g");
        describe(&mut text, &self.groups);
        text
    }

    /// Whether there is one user and one group, root: all others have to be emulated.
    pub fn is_single(&self) -> bool {
        let is_one = |extents: &[Extent]| matches!(extents, [Extent { inside: 0, count: 1, .. }]);
        is_one(&self.users) && is_one(&self.groups)
    }

    /// Refuses users and groups that the namespace does not have, which no process of it can become
    /// and no file of it can belong to. Where all but one are emulated nobody is refused.
    ///
    /// # Errors
    ///
    /// [`StepCause::Unmapped`] with the first of them, while doing `doing`.
    pub fn admit(&self, identity: &Identity, doing: &str) -> Result<(), StepError> {
        if self.is_single() {
            return Ok(());
        }
        let groups = [identity.gid].into_iter().chain(identity.groups.iter().copied());
        let groups = groups.map(|gid| ("group", gid, &self.groups));
        for (kind, id, mapped) in [("user", identity.uid, &self.users)].into_iter().chain(groups) {
            if !mapped.iter().any(|extent| extent.contains(id)) {
                let cause = StepCause::Unmapped { kind, id, mapped: inside(mapped) };
                return Err(StepError { doing: doing.to_owned(), cause });
            }
        }
        Ok(())
    }
}

impl Extent {
    fn contains(&self, id: u32) -> bool {
        id >= self.inside && id - self.inside < self.count
    }
}

/// The ids inside, such as `0-65536`; extents that follow each other are one run.
fn inside(extents: &[Extent]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for Extent { inside, count, .. } in extents.iter().filter(|extent| extent.count > 0) {
        let (first, end) = (u64::from(*inside), u64::from(*inside) + u64::from(*count));
        match runs.last_mut().filter(|run| run.1 == first) {
            Some(run) => run.1 = end,
            None => runs.push((first, end)),
        }
    }
    let run = |(first, end): &(u64, u64)| match end - first {
        1 => first.to_string(),
        _ => format!("{first}-{}", end - 1),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

fn describe(text: &mut String, extents: &[Extent]) {
    for (index, extent) in extents.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let Extent { inside, outside, count } = extent;
        write!(text, "{comma}{inside}:{outside}:{count}").expect("a String takes every write");
    }
}

/// Reads the three columns of `/proc/PID/uid_map`.
pub(crate) fn parse_map(text: &str) -> Vec<Extent> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Extent> {
    let mut columns = line.split_ascii_whitespace().map(str::parse);
    Some(Extent {
        inside: columns.next()?.ok()?,
        outside: columns.next()?.ok()?,
        count: columns.next()?.ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read_and_described() {
        let users =
            parse_map("         0       1000          1\n         1     200000      65536\n");
        let map = IdMap { groups: vec![users[0]], users };
        assert_eq!(map.description(), "u0:1000:1,1:200000:65536;g0:1000:1");
    }

    #[test]
    fn of_one_id_all_others_are_emulated() {
        let one = parse_map("0 1000 1\n");
        let single = IdMap { groups: one.clone(), users: one.clone() };
        assert!(single.is_single());
        let ada = Identity { uid: 7, gid: 8, groups: vec![9] };
        assert!(single.admit(&ada, "running").is_ok());
        assert!(!IdMap { groups: parse_map("0 0 2\n"), users: one }.is_single());
    }

    #[test]
    fn the_whole_range_of_the_first_namespace_fits() {
        let all = parse_map("0 0 4294967295\n");
        assert_eq!(all[0].count, u32::MAX);
    }

    #[track_caller]
    fn check(identity: &Identity, expected: Option<&str>) {
        let users = parse_map("0 1000 1\n1 200000 65536\n");
        let map = IdMap { groups: parse_map("0 1000 1\n5 7 1\n"), users };
        let refused = map.admit(identity, "running").err().map(|error| error.cause.to_string());
        assert_eq!(refused.as_deref(), expected);
    }

    #[test]
    fn who_is_not_mapped_is_refused_with_what_is() {
        let root = Identity::default();
        check(&root, None);
        check(&Identity { uid: 65_536, gid: 5, groups: vec![5, 0] }, None);
        let refused = "user 65537 is outside the ids that are mapped here (0-65536)";
        check(&Identity { uid: 65_537, ..root.clone() }, Some(refused));
        let refused = "group 4 is outside the ids that are mapped here (0, 5)";
        check(&Identity { gid: 4, ..root.clone() }, Some(refused));
        let refused = "group 6 is outside the ids that are mapped here (0, 5)";
        check(&Identity { groups: vec![0, 6], ..root }, Some(refused));
    }
}
