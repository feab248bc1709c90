//! Who a name or a number of `USER` and `--chown` stands for.
//!
//! Three instructions read the same two files by three different rules, kept for compatibility:
//!
//! | text | RUN | `--chown` | WORKDIR |
//! |---|---|---|---|
//! | known name | its uid, gid and groups | its uid and gid | its uid and gid |
//! | `root` | as a known name | 0, whatever the file says | 0, whatever the file says |
//! | unknown name | refused | 0:0, reported | 0:0 |
//! | unknown group | refused | as without a group, reported | as without a group |
//! | number alone | gid of that uid, else 0 | the same number as gid | the same number as gid |
//! | number with a sign | refused | refused | 0:0 |
//! | name, no file | refused | as one unknown; refused where the root holds nothing | 0:0 |
//!
//! Digits are never a name, though a line of the image's may have them as one.

pub mod database;

use std::sync::Arc;

use wythe_store::tree::entry::{Directory, File, Node};

use self::database::{Group, User, groups, users};
use crate::copy::canvas::Canvas;
use crate::owner::Owner;

/// The longest passwd or group file that is read. Real ones have a few hundred lines; a longer one
/// would be held in memory only to look for a name.
pub const MAX_ACCOUNT_FILE: u64 = 1024 * 1024;

/// The largest id: the one above it means "leave as it is" to chown(2) and setuid(2).
pub(crate) const MAX_ID: u32 = u32::MAX - 1;

/// The name that `--chown` and WORKDIR know without a file, and whatever a file says: BuildKit's client makes it 0.
const ROOT: &str = "root";

/// Who a build step runs as.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, ascending.
    pub groups: Vec<u32>,
    /// The value of `HOME`: from passwd, else `/`.
    pub home: Vec<u8>,
}

/// What `--chown` means, and which of its names nobody has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CopyOwner {
    /// The numbers to use.
    pub owner: Owner,
    /// Names that nobody has: the user became root, and the group that of the user.
    pub unknown: Vec<(Role, String)>,
}

/// The contents of `/etc/passwd` and `/etc/group`, where a root has them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts<'a> {
    /// Bytes of `/etc/passwd`.
    pub passwd: Option<&'a [u8]>,
    /// Bytes of `/etc/group`.
    pub group: Option<&'a [u8]>,
}

impl<'a> Accounts<'a> {
    /// What `--chown` looks names up in. Without a file nobody is known, and where the root holds nothing at all
    /// nobody can be.
    pub fn of_root(root: &Directory, [passwd, group]: &'a [Option<Vec<u8>>; 2]) -> Self {
        let nobody = (!root.is_empty()).then_some(&b""[..]);
        Self { passwd: passwd.as_deref().or(nobody), group: group.as_deref().or(nobody) }
    }
}

/// A user or group that cannot be turned into numbers.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot use {name:?} as {role}")]
pub struct AccountError {
    /// What was asked for.
    pub role: Role,
    /// The name or number as written, or the path of the file.
    pub name: String,
    /// Why not.
    #[source]
    pub cause: AccountCause,
}

/// Which of the two a name was meant to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The part before the colon.
    User,
    /// The part after the colon.
    Group,
    /// A passwd or group file.
    File,
}

impl std::fmt::Display for Role {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
            Self::File => "account file",
        })
    }
}

/// Why a name or number is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountCause {
    /// The file exists and does not have it.
    #[error("no matching entry in the passwd or group file")]
    Unknown,
    /// There is no file to look it up in.
    #[error("there is no passwd or group file here to look it up in, so use numbers")]
    NoFile,
    /// Digits that are too large for an id.
    #[error("ids go from 0 to {MAX_ID}")]
    Range,
    /// Digits after a sign: no name, whatever the image's files say, and no id.
    #[error("ids have no sign")]
    Signed,
    /// The account file is a directory, link loop, device or pipe.
    #[error("not a regular file")]
    NotAFile,
    /// The account file is longer than [`MAX_ACCOUNT_FILE`].
    #[error("longer than {MAX_ACCOUNT_FILE} bytes")]
    TooLong,
}

/// The file at an absolute path of a root file system, if it has one; links are followed inside.
///
/// # Errors
/// Something else than a regular file of ordinary length.
pub fn account_file(root: &Arc<Directory>, path: &str) -> Result<Option<File>, AccountError> {
    let fail = |cause| AccountError { role: Role::File, name: path.to_owned(), cause };
    let view = Canvas::over(root.clone());
    let place = view.resolve(path.as_bytes()).map_err(|_| fail(AccountCause::NotAFile))?;
    match view.entry(&place).map(|entry| &entry.node) {
        None => Ok(None),
        Some(Node::File(file)) if file.size <= MAX_ACCOUNT_FILE => Ok(Some(*file)),
        Some(Node::File(_)) => Err(fail(AccountCause::TooLong)),
        Some(_) => Err(fail(AccountCause::NotAFile)),
    }
}

/// Who a RUN runs as under `USER text`; empty means root.
///
/// # Errors
/// A name nobody has, or a number out of range.
pub fn run_identity(text: &str, accounts: Accounts<'_>) -> Result<Identity, AccountError> {
    let (user, group) = split(text);
    let known = find_user(if user.is_empty() { "0" } else { user }, accounts)?;
    let uid = match (&known, number(user, Role::User)?) {
        (Some(known), _) => known.uid,
        (None, Some(uid)) => uid,
        (None, None) if user.is_empty() => 0,
        (None, None) => return Err(unknown(Role::User, user, accounts.passwd)),
    };
    let home = known.as_ref().map_or(&b""[..], |known| known.home);
    let home = if home.is_empty() { b"/".to_vec() } else { home.to_vec() };
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        let gid = find_group(group, accounts)?;
        let gid = gid.ok_or_else(|| unknown(Role::Group, group, accounts.group))?;
        return Ok(Identity { uid, gid, groups: Vec::new(), home });
    }
    let gid = known.as_ref().map_or(0, |known| known.gid);
    let groups = known.map_or_else(Vec::new, |known| memberships(known.name, accounts));
    Ok(Identity { uid, gid, groups, home })
}

/// Who files copied with `--chown=text` belong to.
///
/// # Errors
/// A name where there is no file to look it up in, or a number out of range.
pub fn copy_owner(text: &str, accounts: Accounts<'_>) -> Result<CopyOwner, AccountError> {
    let (user, group) = split(text);
    let mut unknown = Vec::new();
    let (uid, primary) = lookup_user(user, accounts, &mut unknown)?;
    let gid = match group {
        None => primary,
        Some("") => 0,
        Some(group) => lookup_group(group, accounts, &mut unknown)?.unwrap_or(primary),
    };
    Ok(CopyOwner { owner: Owner { uid, gid }, unknown })
}

/// Who a directory made by `WORKDIR` belongs to under `USER text`. Never fails: what cannot be
/// found is root's.
pub fn workdir_owner(text: &str, accounts: Accounts<'_>) -> Owner {
    let (user, group) = split(text);
    let mut unknown = Vec::new();
    let (uid, primary) = lookup_user(user, accounts, &mut unknown).unwrap_or_default();
    let gid = match group {
        None => primary,
        Some("") => 0,
        Some(group) => {
            lookup_group(group, accounts, &mut unknown).ok().flatten().unwrap_or(primary)
        }
    };
    Owner { uid, gid }
}

/// Whether an owner of `--chown` or `WORKDIR` is numbers and `root` alone, for which no file is needed.
pub fn needs_no_file(text: &str) -> bool {
    let (user, group) = split(text);
    let is_settled = |part: &str| part == ROOT || part.bytes().all(|byte| byte.is_ascii_digit());
    is_settled(user) && group.is_none_or(is_settled)
}

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)))
}

fn lookup_user(
    user: &str,
    accounts: Accounts<'_>,
    missing: &mut Vec<(Role, String)>,
) -> Result<(u32, u32), AccountError> {
    if user.is_empty() || user == ROOT {
        return Ok((0, 0));
    }
    if let Some(uid) = number(user, Role::User)? {
        return Ok((uid, uid));
    }
    match find_user(user, accounts)? {
        Some(known) => Ok((known.uid, known.gid)),
        None if accounts.passwd.is_none() => Err(unknown(Role::User, user, None)),
        None => {
            missing.push((Role::User, user.to_owned()));
            Ok((0, 0))
        }
    }
}

fn lookup_group(
    group: &str,
    accounts: Accounts<'_>,
    missing: &mut Vec<(Role, String)>,
) -> Result<Option<u32>, AccountError> {
    if group == ROOT {
        return Ok(Some(0));
    }
    let found = find_group(group, accounts)?;
    if found.is_none() {
        if accounts.group.is_none() {
            return Err(unknown(Role::Group, group, None));
        }
        missing.push((Role::Group, group.to_owned()));
    }
    Ok(found)
}

fn unknown(role: Role, name: &str, file: Option<&[u8]>) -> AccountError {
    let cause = if file.is_some() { AccountCause::Unknown } else { AccountCause::NoFile };
    AccountError { role, name: name.to_owned(), cause }
}

/// The id a text of digits stands for; `None` where it is a name.
fn number(text: &str, role: Role) -> Result<Option<u32>, AccountError> {
    let fail = |cause| Err(AccountError { role, name: text.to_owned(), cause });
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        _ if digits != text => fail(AccountCause::Signed),
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        _ => fail(AccountCause::Range),
    }
}

fn find_user<'a>(text: &str, accounts: Accounts<'a>) -> Result<Option<User<'a>>, AccountError> {
    let uid = number(text, Role::User)?;
    let is_wanted = |user: &User<'_>| match uid {
        Some(uid) => user.uid == uid,
        None => user.name == text.as_bytes(),
    };
    Ok(users(accounts.passwd.unwrap_or_default()).find(is_wanted))
}

fn find_group(text: &str, accounts: Accounts<'_>) -> Result<Option<u32>, AccountError> {
    if let Some(gid) = number(text, Role::Group)? {
        return Ok(Some(gid));
    }
    let mut all = groups(accounts.group.unwrap_or_default());
    Ok(all.find(|group| group.name == text.as_bytes()).map(|group| group.gid))
}

fn memberships(user: &[u8], accounts: Accounts<'_>) -> Vec<u32> {
    let is_member = |group: &Group<'_>| group.members().any(|member| member == user);
    let all = groups(accounts.group.unwrap_or_default());
    let mut gids: Vec<u32> = all.filter(is_member).map(|group| group.gid).collect();
    gids.sort_unstable();
    gids.dedup();
    gids
}

#[cfg(test)]
mod tests {
    use wythe_store::tree::entry::{Entry, Metadata};

    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
    const GROUP: &[u8] = b"root:x:0:root\nappgrp:x:1001:\nextra:x:2000:app,other\nwheel:x:10:app\n";
    const BOTH: Accounts<'_> = Accounts { passwd: Some(PASSWD), group: Some(GROUP) };
    const NONE: Accounts<'_> = Accounts { passwd: None, group: None };

    #[track_caller]
    fn check_copy(text: &str, uid: u32, gid: u32, unknown: &[&str]) {
        let found = copy_owner(text, BOTH).unwrap();
        let missing: Vec<&str> = found.unknown.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!((found.owner, &missing[..]), (Owner { uid, gid }, unknown), "{text}");
    }

    #[test]
    fn chown_knows_names_numbers_and_missing_halves() {
        check_copy("app:extra", 1000, 2000, &[]);
        check_copy("app", 1000, 1001, &[]);
        check_copy("1000", 1000, 1000, &[]);
        check_copy("55:66", 55, 66, &[]);
        check_copy(":extra", 0, 2000, &[]);
        check_copy("app:", 1000, 0, &[]);
        check_copy("app:1234", 1000, 1234, &[]);
    }

    #[test]
    fn chown_to_an_unknown_name_is_root_and_reported() {
        check_copy("nosuch:nogrp", 0, 0, &["nosuch", "nogrp"]);
        check_copy("nosuch:extra", 0, 2000, &["nosuch"]);
    }

    #[test]
    fn an_unknown_group_is_that_of_the_user() {
        check_copy("app:nogrp", 1000, 1001, &["nogrp"]);
        check_copy("1000:nogrp", 1000, 1000, &["nogrp"]);
        check_copy(":nogrp", 0, 0, &["nogrp"]);
        assert_eq!(workdir_owner("app:nogrp", BOTH), Owner { uid: 1000, gid: 1001 });
        assert_eq!(workdir_owner("77:nogrp", BOTH), Owner { uid: 77, gid: 77 });
    }

    #[test]
    fn digits_are_never_a_name() {
        let passwd = b"-1:x:0:0:::\n+0:x:0:0:::\n-5:x:0:0:::\n4294967296:x:0:0:::\n007:x:0:0:::\n";
        let group = b"-1:x:0:\n+0:x:0:\n4294967296:x:0:\n";
        let accounts = Accounts { passwd: Some(passwd), group: Some(group) };
        let signed = AccountCause::Signed;
        for (text, cause) in
            [("-1", signed), ("+0", signed), ("-5", signed), ("4294967296", AccountCause::Range)]
        {
            for text in [text.to_owned(), format!("7:{text}")] {
                assert_eq!(run_identity(&text, accounts).unwrap_err().cause, cause, "{text}");
                assert_eq!(copy_owner(&text, accounts).unwrap_err().cause, cause, "{text}");
            }
        }
        assert_eq!(run_identity("0007", accounts).map(|identity| identity.uid), Ok(7));
        assert_eq!(run_identity("007", accounts).map(|identity| identity.uid), Ok(7));
    }

    #[test]
    fn a_line_with_the_id_that_means_unchanged_is_nobody() {
        let accounts =
            Accounts { passwd: Some(b"evil:x:4294967295:0:::\n"), group: Some(b"g:x:+0:\n") };
        assert_eq!(run_identity("evil", accounts).unwrap_err().cause, AccountCause::Unknown);
        assert_eq!(run_identity("7:g", accounts).unwrap_err().cause, AccountCause::Unknown);
    }

    #[test]
    fn chown_to_a_name_without_a_passwd_file_is_refused_by_name() {
        let error = copy_owner("app", NONE).unwrap_err();
        assert_eq!((error.name.as_str(), error.cause), ("app", AccountCause::NoFile));
        assert!(error.to_string().contains("app"));
        assert!(copy_owner("5:6", NONE).is_ok());
    }

    #[test]
    fn chown_to_a_name_is_root_where_the_root_holds_something_and_no_passwd_file() {
        let metadata = Metadata::default();
        let entry = Entry { name: b"f"[..].into(), metadata, node: Node::Fifo };
        let root = Directory::from_entries(vec![entry]);
        let found = copy_owner("app:grp", Accounts::of_root(&root, &[None, None])).unwrap();
        assert_eq!((found.owner, found.unknown.len()), (Owner::default(), 2));
        let passwd = [Some(PASSWD.to_vec()), None];
        let found = copy_owner("app:extra", Accounts::of_root(&root, &passwd)).unwrap();
        assert_eq!(found.owner, Owner { uid: 1000, gid: 1001 });
        let nothing = Directory::default();
        assert!(copy_owner("app", Accounts::of_root(&nothing, &[None, None])).is_err());
    }

    #[test]
    fn numbers_alone_need_no_files() {
        for text in ["", "0", "55:66", "7:"] {
            assert!(needs_no_file(text) && copy_owner(text, NONE).is_ok(), "{text}");
        }
        for text in ["app", "0:app", "app:0", "1:2:3"] {
            assert!(!needs_no_file(text), "{text}");
        }
        check_copy("1:2:3", 1, 1, &["2:3"]);
    }

    #[test]
    fn root_is_0_without_a_file_and_whatever_it_says() {
        let accounts = Accounts { passwd: Some(b"root:x:5:6::/:\n"), group: Some(b"root:x:7:\n") };
        for (text, gid) in [("root", 0), ("root:root", 0), ("root:3", 3), ("0:root", 0)] {
            for accounts in [NONE, accounts] {
                assert!(needs_no_file(text));
                let owner = copy_owner(text, accounts).map(|copied| copied.owner);
                assert_eq!(owner, Ok(Owner { uid: 0, gid }), "{text}");
            }
        }
        assert_eq!(run_identity("root", accounts).map(|identity| identity.uid), Ok(5));
    }

    #[test]
    fn the_id_that_means_unchanged_is_refused() {
        assert_eq!(copy_owner("4294967295", BOTH).unwrap_err().cause, AccountCause::Range);
        assert_eq!(copy_owner("99999999999999", BOTH).unwrap_err().cause, AccountCause::Range);
        check_copy("4294967294", u32::MAX - 1, u32::MAX - 1, &[]);
    }

    #[track_caller]
    fn check_run(text: &str, uid: u32, gid: u32, groups: &[u32], home: &str) {
        let expected = Identity { uid, gid, groups: groups.to_vec(), home: home.into() };
        assert_eq!(run_identity(text, BOTH), Ok(expected), "{text}");
    }

    #[test]
    fn a_step_gets_groups_and_home_of_a_known_user() {
        check_run("app", 1000, 1001, &[10, 2000], "/home/app");
        check_run("1000", 1000, 1001, &[10, 2000], "/home/app");
        check_run("", 0, 0, &[0], "/root");
    }

    #[test]
    fn an_explicit_group_is_the_only_one() {
        check_run("app:extra", 1000, 2000, &[], "/home/app");
        check_run("app:77", 1000, 77, &[], "/home/app");
    }

    #[test]
    fn an_unknown_number_runs_with_group_0_and_home_at_the_root() {
        check_run("4242", 4242, 0, &[], "/");
        let nobody = run_identity("", NONE).unwrap();
        assert_eq!((nobody.uid, nobody.gid, nobody.home), (0, 0, b"/".to_vec()));
    }

    #[test]
    fn an_unknown_name_does_not_run() {
        assert_eq!(run_identity("nosuch", BOTH).unwrap_err().cause, AccountCause::Unknown);
        assert_eq!(run_identity("app:nogrp", BOTH).unwrap_err().role, Role::Group);
    }

    #[test]
    fn a_working_directory_never_fails() {
        for (text, uid, gid) in
            [("app", 1000, 1001), ("77", 77, 77), ("nosuch", 0, 0), ("app:extra", 1000, 2000)]
        {
            assert_eq!(workdir_owner(text, BOTH), Owner { uid, gid }, "{text}");
        }
        assert_eq!(workdir_owner("app", NONE), Owner::default());
    }
}
