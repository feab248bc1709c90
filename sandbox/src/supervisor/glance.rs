//! A look at how the path of a call begins.
//!
//! A step without a `/proc` has every look at a name announced, and nearly none is about it. To open its process in the `/proc` of the
//! container, and to read there who it is, costs ten times as much as its waiting.

use super::low;
use crate::sys;

/// Whether a path, which is the argument of that number, may lead to what is answered, by how it begins: of a directory that is open nobody knows yet where it is.
pub(super) fn may_concern(path: &[u8], arguments: &[u64; 6], place: usize) -> bool {
    if path.first() == Some(&b'/') {
        return path.starts_with(b"/proc") || path.starts_with(b"/dev/");
    }
    let directory = low(arguments[0]).cast_signed();
    place != 0 && directory != libc::AT_FDCWD && !path.is_empty()
}

/// Whether a call is about nothing that is answered, as nearly all are: seen at a glance at how its path begins. Where a process
/// does not let itself be read so, as one of another user, nothing is seen. What is seen may be that of another process which has
/// come to have the number, and then the answer is for nobody: who asked has ended.
pub(super) fn is_elsewhere(process: u32, arguments: &[u64; 6], place: usize) -> bool {
    let mut start = [0; LONGEST_START];
    let seen = sys::read_memory(process, arguments[place], &mut start);
    let Some(seen) = seen.ok().and_then(|length| start.get(..length)) else { return false };
    let end = seen.iter().position(|byte| *byte == 0);
    if end.is_none() && seen.len() < LONGEST_START {
        return false;
    }
    !may_concern(&seen[..end.unwrap_or(seen.len())], arguments, place)
}

/// As much of a path as tells where it leads, and no page of the process besides.
const LONGEST_START: usize = 8;

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    /// Whether a path of this process, relative to a directory, is seen to be elsewhere.
    fn is_seen(path: &CStr, directory: i32) -> bool {
        seen_at(path.as_ptr().addr(), directory)
    }

    fn seen_at(address: usize, directory: i32) -> bool {
        let directory = u64::from(directory.cast_unsigned());
        let arguments = [directory, u64::try_from(address).unwrap(), 0, 0, 0, 0];
        is_elsewhere(std::process::id(), &arguments, 1)
    }

    #[test]
    fn what_is_no_path_of_the_kernel_is_seen_by_its_start() {
        let elsewhere = [c"/usr/lib/x86_64-linux-gnu/libc.so.6", c"/", c"relative"];
        assert!(elsewhere.into_iter().all(|path| is_seen(path, libc::AT_FDCWD)));
        let answered = [c"/proc/self/exe", c"/proc", c"/dev/stdout"];
        assert!(!answered.into_iter().any(|path| is_seen(path, libc::AT_FDCWD)));
    }

    #[test]
    fn what_is_relative_to_an_open_directory_is_not_seen() {
        assert!(!is_seen(c"status", 3));
        // That directory itself.
        assert!(is_seen(c"", 3));
    }

    #[test]
    fn what_cannot_be_read_is_not_seen() {
        assert!(!seen_at(1, libc::AT_FDCWD));
    }
}
