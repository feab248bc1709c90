//! Which file of the store may use which, where the rules of leases and collection live: of these
//! each uses only those below it, so that a rule has one place.

use crate::source::Source;
use crate::violation::Violation;

/// The modules of `store/src`, the lowest first. A folder counts as the file that opens it.
pub const RANKS: &[&str] = &[
    "vfs",
    "pack",
    "journal",
    "index",
    "store",
    "trash",
    "live_record",
    "layers",
    "action",
    "refs",
    "lease",
    "blob",
    "closure",
    "recover",
    "gc",
    "open",
];

/// The uses that go upwards.
pub fn check(source: &Source) -> Vec<Violation> {
    let Some(own) = module(&source.path).and_then(rank) else { return Vec::new() };
    let code = source.code();
    let mut found: Vec<Violation> = used(&code)
        .filter(|used| rank(used).is_some_and(|rank| rank > own))
        .map(|used| Violation::new(&source.path, format!("uses {used}, which stands above it")))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|known| *known == module)
}

/// The module of the store a file belongs to.
fn module(path: &str) -> Option<&str> {
    path.strip_prefix("store/src/")?.split(['/', '.']).next()
}

/// The modules of its own crate that some code names.
fn used(code: &str) -> impl Iterator<Item = &str> {
    let end = |rest: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        rest.bytes().position(|byte| !letter(byte)).unwrap_or(rest.len())
    };
    code.split("crate::").skip(1).map(move |rest| &rest[..end(rest)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(path: &str, text: &str, expected: usize) {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        assert_eq!(check(&source).len(), expected, "{path}: {text}");
    }

    #[test]
    fn a_lower_module_does_not_use_a_higher_one() {
        found("store/src/store.rs", "use crate::lease::Lease;\n", 1);
        found("store/src/lease/leases.rs", "fn f() { crate::open::g() }\n", 1);
        found("store/src/lease.rs", "use crate::store::Store;\nuse crate::lease::leases;\n", 0);
        found("store/src/open.rs", "use crate::recover;\n", 0);
    }

    #[test]
    fn words_tests_and_other_crates_do_not_count() {
        found("store/src/store.rs", "//! See [`lease`](crate::lease).\n", 0);
        found("store/src/store.rs", "\n#[cfg(test)]\nmod tests {\n    use crate::open::X;\n}\n", 0);
        found("builder/src/store.rs", "use crate::lease::Lease;\n", 0);
    }
}
