//! Which file of the store may use which: in each of these orders, a module uses only those below
//! it, so that a rule has one place.

use crate::source::{Role, Source};
use crate::violation::Violation;

/// The orders. A folder counts as the file that opens it.
pub const ORDERS: [&[&str]; 2] = [RANKS, FORMS];

/// The modules of `store/src` where the rules of leases and collection live, the lowest first.
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
    "unread",
    "lease",
    "blob",
    "closure",
    "recover",
    "gc",
    "open",
];

/// What files are on their way from a changeset to an image, the lowest first.
pub const FORMS: &[&str] = &["oci", "tree", "layer", "live", "image"];

/// The uses that go upwards.
pub fn check(source: &Source) -> Vec<Violation> {
    let Some(own) = module(&source.path) else { return Vec::new() };
    let code = source.code();
    let mut found = Vec::new();
    for order in ORDERS.iter().filter(|_| source.role() == Role::Production) {
        let rank = |module: &str| order.iter().position(|known| *known == module);
        let Some(own) = rank(own) else { continue };
        let upwards = used(&code).filter(|used| rank(used).is_some_and(|rank| rank > own));
        let complain =
            |used| Violation::new(&source.path, format!("uses {used}, which stands above it"));
        found.extend(upwards.map(complain));
    }
    found.sort();
    found.dedup();
    found
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
    fn directories_are_made_of_layers_and_not_the_other_way() {
        found("store/src/layer/a.rs", "use crate::live::b;\n", 1);
        found("store/src/tree.rs", "fn a() { crate::layer::b() }\n", 1);
        found("store/src/live/a.rs", "use crate::image::b;\n", 1);
        found("store/src/live/a.rs", "use crate::layer::b;\nuse crate::tree::c;\n", 0);
        found("store/src/layer/a/tests.rs", "use crate::live::b;\n", 0);
    }

    #[test]
    fn words_tests_and_other_crates_do_not_count() {
        found("store/src/store.rs", "//! See [`lease`](crate::lease).\n", 0);
        found("store/src/store.rs", "\n#[cfg(test)]\nmod tests {\n    use crate::open::X;\n}\n", 0);
        found("builder/src/store.rs", "use crate::lease::Lease;\n", 0);
    }
}
