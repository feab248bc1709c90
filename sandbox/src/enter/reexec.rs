//! Executing ourselves again, from a copy nobody can write to.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create, stat};

use super::InitError;
use crate::guarded::guarded;
use crate::idmap::{Extent, IdMap, parse_map};
use crate::sys::{self, PointerList};

/// What the first run tells the second, in one variable that it removes again.
#[derive(Debug)]
pub(super) struct Marker {
    pub(super) ids: IdMap,
    /// Why these ids and no more; empty where nobody said so.
    pub(super) reason: String,
    pub(super) program: PathBuf,
}

impl Marker {
    /// Whether the environment has one.
    pub(super) fn is_there() -> bool {
        std::env::var_os(VARIABLE).is_some()
    }

    /// Takes the marker out of the environment. Who forges one gains nothing: its maps are
    /// compared with the kernel's.
    pub(super) fn take() -> Option<Self> {
        let value = std::env::var_os(VARIABLE)?;
        sys::remove_variable(VARIABLE);
        Self::parse(value.as_bytes())
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let mut parts = value.splitn(4, |byte| *byte == b';');
        let mut map = || -> Option<Vec<Extent>> {
            let text = std::str::from_utf8(parts.next()?).ok()?;
            Some(parse_map(&text.replace(',', "\n")))
        };
        let (users, groups) = (map()?, map()?);
        let length = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let (reason, program) = parts.next()?.split_at_checked(length)?;
        let reason = String::from_utf8(reason.to_vec()).ok()?;
        let program = OsString::from_vec(program.to_vec()).into();
        Some(Self { ids: IdMap { users, groups }, reason, program })
    }

    fn value(&self) -> Vec<u8> {
        let text = |extents: &[Extent]| {
            let plain =
                extents.iter().map(|it| format!("{} {} {}", it.inside, it.outside, it.count));
            plain.collect::<Vec<_>>().join(",")
        };
        // Variables end at the first zero.
        let reason = self.reason.replace('\0', "");
        let (users, groups) = (text(&self.ids.users), text(&self.ids.groups));
        let told = format!("{users};{groups};{};{reason}", reason.len());
        [told.as_bytes(), self.program.as_os_str().as_bytes()].concat()
    }
}

/// Executes the running program again; returns why that failed.
pub(super) fn again(marker: &Marker) -> InitError {
    let doing = "executing the program again";
    let copy = read_only_mount(&marker.program).or_else(|error| {
        tracing::debug!(%error, "no read-only mount of the program, copying it");
        sealed_copy()
    });
    let copy = match copy {
        Ok(copy) => copy,
        Err(error) => return InitError::io(doing, error),
    };
    let string = |bytes: Vec<u8>| CString::new(bytes).expect("came from the kernel as C strings");
    let argv: Vec<CString> = std::env::args_os().map(|word| string(word.into_vec())).collect();
    let own = [VARIABLE.as_bytes(), b"=", &marker.value()].concat();
    let inherited =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let envp: Vec<CString> = inherited.chain([own]).map(string).collect();
    let (argv, envp) = (PointerList::new(&argv), PointerList::new(&envp));
    InitError::io(doing, sys::execute_file(copy.as_fd(), &argv, &envp))
}

/// A mount of the binary alone through which it cannot be written.
fn read_only_mount(program: &Path) -> io::Result<OwnedFd> {
    let mount = guarded(program)?;
    let (found, running) = (fstat(&mount)?, stat(c"/proc/self/exe")?);
    if (found.st_dev, found.st_ino) != (running.st_dev, running.st_ino) {
        return Err(io::Error::other("the program was replaced on disk"));
    }
    Ok(mount)
}

/// A copy of the binary in memory, sealed against every change.
fn sealed_copy() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = std::fs::File::from(memfd_create(c"program", flags)?);
    io::copy(&mut std::fs::File::open("/proc/self/exe")?, &mut copy)?;
    fcntl_add_seals(
        &copy,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(copy.into())
}

const VARIABLE: &str = "_WYTHE_SANDBOX_ENTERED";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_comes_back_as_it_was_sent() {
        let users = parse_map("0 1000 1\n1 100000 65536\n");
        let reason = "no ids; for \"é\"".to_owned();
        let ids = IdMap { groups: vec![users[0]], users };
        let marker = Marker { ids, reason, program: "/opt/a;b, c".into() };
        let back = Marker::parse(&marker.value()).unwrap();
        assert_eq!(
            (back.ids, back.reason, back.program),
            (marker.ids, marker.reason, marker.program)
        );
    }

    #[test]
    fn a_forged_marker_without_a_program_is_no_marker() {
        assert!(Marker::parse(b"0 0 1").is_none());
        assert!(Marker::parse(b"0 0 1;0 0 1;9;/short").is_none());
    }
}
