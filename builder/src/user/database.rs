//! The lines of passwd(5) and group(5). A line that is not whole is as good as absent: images carry
//! files that hand edits and NIS have been at.

use super::MAX_ID;

/// A line of `/etc/passwd`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct User<'a> {
    /// Login name.
    pub name: &'a [u8],
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory, possibly empty.
    pub home: &'a [u8],
}

/// A line of `/etc/group`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Group<'a> {
    /// Group name.
    pub name: &'a [u8],
    /// Group id.
    pub gid: u32,
    members: &'a [u8],
}

impl<'a> Group<'a> {
    /// The login names listed.
    pub fn members(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.members.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
    }
}

/// The users of a passwd file, in order.
pub fn users(file: &[u8]) -> impl Iterator<Item = User<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let uid = id(fields.next()?)?;
        let gid = id(fields.next()?)?;
        let home = fields.nth(1).unwrap_or_default();
        Some(User { name, uid, gid, home })
    })
}

/// The groups of a group file, in order.
pub fn groups(file: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(file).filter_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let gid = id(fields.next()?)?;
        Some(Group { name, gid, members: fields.next().unwrap_or_default() })
    })
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.starts_with(b"#"))
}

fn id(field: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(field).ok().filter(|text| !text.starts_with('+'))?;
    digits.parse().ok().filter(|id| *id <= MAX_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_are_skipped() {
        let file = b"\n# c:x:1:1\n::0:0\nshort:x:1\nbad:x:u:1::/\nok:x:1:2:gecos:/h:/s\n+\n";
        let found: Vec<_> = users(file).collect();
        assert_eq!(found, [User { name: b"ok", uid: 1, gid: 2, home: b"/h" }]);
    }

    #[test]
    fn a_group_without_members_has_none_of_a_name() {
        let all: Vec<_> = groups(b"a:x:1:\nb:x:2:u,v\nc:x:3").collect();
        assert_eq!(all.iter().map(|group| group.gid).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(all[1].members().any(|member| member == b"v"));
        assert!(!all[0].members().any(|member| member == b"u"));
    }
}
