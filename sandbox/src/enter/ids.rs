//! The subordinate ids of a user: `/etc/subuid` and `/etc/subgid`.

use crate::idmap::Extent;

/// The map that puts a user's own id first and all subordinate ranges of `table` after it, or
/// `None` when it has none. Ranges belong to a name or to a number; a user may have several.
pub(super) fn subordinate(table: &str, name: Option<&str>, own: (u32, u32)) -> Option<Vec<Extent>> {
    let (uid, own) = own;
    let number = uid.to_string();
    let mut map = vec![Extent { inside: 0, outside: own, count: 1 }];
    for line in table.lines() {
        let Some((owner, first, count)) = parse(line) else {
            continue;
        };
        let is_ours = owner == number || Some(owner) == name;
        let inside = map.iter().map(|extent| extent.count).sum();
        if is_ours && count > 0 && map.len() < MOST_EXTENTS {
            map.push(Extent { inside, outside: first, count });
        }
    }
    (map.len() > 1).then_some(map)
}

pub(super) fn parse(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.trim().split(':');
    let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
    let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
    // A range past the last id would be refused as a whole.
    first.checked_add(count)?;
    Some((owner, first, count))
}

/// The name `/etc/passwd` has for a user.
pub(super) fn name_of(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?;
        (number.parse() == Ok(uid)).then_some(name)
    })
}

/// What the kernel accepts in one map.
const MOST_EXTENTS: usize = 340;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(table: &str, expected: Option<&[(u32, u32, u32)]>) {
        let found = subordinate(table, Some("ada"), (1000, 1000));
        let found = found.map(|map| {
            let plain = map.iter().map(|it| (it.inside, it.outside, it.count));
            plain.collect::<Vec<_>>()
        });
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn a_range_is_found_by_name_and_by_number() {
        let map: &[_] = &[(0, 1000, 1), (1, 100_000, 65_536)];
        check("bob:1:2\nada:100000:65536\n", Some(map));
        check("1000:100000:65536\n", Some(map));
    }

    #[test]
    fn several_ranges_follow_each_other() {
        let map: &[_] = &[(0, 1000, 1), (1, 100, 10), (11, 500, 5)];
        check("ada:100:10\nada:500:5\n", Some(map));
    }

    #[test]
    fn others_and_damaged_lines_give_nothing() {
        check("adam:1:2\nada:x:2\nada:4294967295:2\n#ada:1:1\n", None);
    }

    #[test]
    fn a_name_is_read_from_passwd() {
        assert_eq!(name_of("root:x:0:0::/:\nada:x:1000:1000::/:\n", 1000), Some("ada"));
        assert_eq!(name_of("root:x:0:0::/:\n", 1000), None);
    }
}
