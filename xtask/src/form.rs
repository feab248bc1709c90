//! Rules about a single file: its length, header, name, and the words it may not contain.

use crate::source::{Role, Source};
use crate::violation::Violation;

/// A file past this many production lines holds more than one idea.
pub const MAX_LINES: usize = 500;

/// Names that say nothing about what a file holds, and end up holding everything.
pub const BANNED_NAMES: [&str; 9] = [
    "common.rs",
    "helper.rs",
    "helpers.rs",
    "misc.rs",
    "mod.rs",
    "prelude.rs",
    "types.rs",
    "util.rs",
    "utils.rs",
];

/// Where `unsafe` may stand: a path is allowed if it starts with one of these.
///
/// The sandbox and its tests talk to the kernel between `clone` and `execve`; one module of the store
/// maps files, and one of the program tells its allocator how.
pub const UNSAFE_HOMES: [&str; 8] = [
    "cli/src/allocator.rs",
    "sandbox/src/child",
    "sandbox/src/enter",
    "sandbox/src/seccomp",
    "sandbox/src/spawn",
    "sandbox/src/sys",
    "sandbox/tests",
    "store/src/map.rs",
];

/// Everything that is wrong with one file.
pub fn check(source: &Source) -> Vec<Violation> {
    let complaints = [header(source), name(source), length(source), unfinished(source)];
    let complaints = complaints.into_iter().chain([ignored(source), unsafe_code(source)]);
    complaints.flatten().map(|complaint| Violation::new(&source.path, complaint)).collect()
}

fn header(source: &Source) -> Option<String> {
    let missing = !source.text.trim_start().starts_with("//!");
    missing.then(|| "the first line does not say what the file is for (`//! …`)".to_owned())
}

fn name(source: &Source) -> Option<String> {
    let banned = BANNED_NAMES.contains(&source.name());
    banned.then(|| "a file is named after the one thing it holds".to_owned())
}

fn length(source: &Source) -> Option<String> {
    let lines = source.production().lines().count();
    let long = source.role() == Role::Production && lines > MAX_LINES;
    long.then(|| format!("{lines} production lines, at most {MAX_LINES}: split it by noun"))
}

fn unfinished(source: &Source) -> Option<String> {
    let code = source.code();
    let word = ["todo!", "unimplemented!", "dbg!"].into_iter().find(|word| code.contains(word))?;
    Some(format!("`{word}` does not belong on the main branch"))
}

fn ignored(source: &Source) -> Option<String> {
    let ignored = crate::code::blank(&source.text).contains("#[ignore");
    ignored.then(|| "an ignored test proves nothing".to_owned())
}

fn unsafe_code(source: &Source) -> Option<String> {
    let code = source.code();
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];
    let form = forms.into_iter().find(|form| code.contains(form))?;
    let at_home = UNSAFE_HOMES.iter().any(|home| source.path.starts_with(home));
    (!at_home).then(|| format!("`{form}` may only stand in {}", UNSAFE_HOMES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_file(path: &str, text: &str, expected: &[&str]) {
        let found = check(&Source { path: path.to_owned(), text: text.to_owned() });
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (violation, part) in found.iter().zip(expected) {
            assert!(violation.complaint.contains(part), "{violation}");
        }
    }

    #[test]
    fn a_plain_file_with_a_header_is_fine() {
        check_file("store/src/blob.rs", "//! Blobs.\nfn a() {}\n", &[]);
    }

    #[test]
    fn a_missing_header_and_a_name_without_meaning_are_reported() {
        check_file("store/src/utils.rs", "fn a() {}\n", &["first line", "one thing"]);
    }

    #[test]
    fn five_hundred_lines_are_the_limit_for_production_only() {
        let long = format!("//! Long.\n{}", "// x\n".repeat(MAX_LINES));
        check_file("store/src/blob.rs", &long, &["501 production lines"]);
        check_file("store/tests/blob.rs", &long, &[]);
    }

    #[test]
    fn unsafe_has_its_homes() {
        let text = "//! Calls.\nfn a() { unsafe { b() } }\n";
        check_file("sandbox/src/sys/mount.rs", text, &[]);
        check_file("builder/src/solve.rs", text, &["may only stand"]);
    }

    #[test]
    fn a_comment_about_a_banned_word_is_fine() {
        check_file("store/src/a.rs", "//! No todo!() and no unsafe { } here.\n", &[]);
    }

    #[test]
    fn unfinished_code_is_reported() {
        check_file("store/src/a.rs", "//! A.\nfn a() { todo!() }\n", &["`todo!`"]);
    }
}
