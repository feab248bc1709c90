//! Which file of a crate may use which: in each of these orders, a module uses only those below it,
//! so that a rule has one place.

use crate::source::{Role, Source};
use crate::violation::Violation;

/// Of this crate every module has its place.
const BUILDER: &str = "builder/src/";

/// The orders, and whose they are. A folder counts as the file that opens it.
pub const ORDERS: [(&str, &[&str]); 3] =
    [("store/src/", RANKS), ("store/src/", FORMS), (BUILDER, ROOMS)];

/// The modules of `store/src` where the rules of leases and collection live, the lowest first.
pub const RANKS: &[&str] = &[
    "vfs",
    "pack",
    "journal",
    "index",
    "stake",
    "store",
    "trash",
    "reserve",
    "spread",
    "live_record",
    "layers",
    "action",
    "refs",
    "unread",
    "closure",
    "lease",
    "blob",
    "recover",
    "gc",
    "open",
];

/// What files are on their way from a changeset to an image, the lowest first.
pub const FORMS: &[&str] = &["oci", "tree", "layer", "live", "image"];

/// All modules of `builder/src`, the lowest first: values, what reads and writes them, what one
/// step needs, what runs a step, what runs a build.
pub const ROOMS: &[&str] = &[
    // What is asked for, and who is told.
    "permits",
    "inspect",
    "sealed",
    "shared_steps",
    "reason",
    "egress",
    "progress",
    "options",
    "input",
    "origin",
    "built",
    "owner",
    // What files are selected, and where they come from.
    "ignore",
    "copy",
    "context",
    "user",
    "add",
    "view",
    "remote",
    "caches",
    "environment",
    "unfetched",
    // The graph.
    "demand",
    "schedule",
    "operation",
    "mount_identity",
    "key",
    "graph",
    "history",
    "merge",
    "reference",
    "lower",
    "explain",
    "assemble",
    // What fails from here on fails a build.
    "bases",
    "error",
    "root",
    "working_directory",
    "ground",
    "lint",
    "fetch",
    "sources",
    "execute",
    "solve",
    "finish",
    "epoch",
    "build",
    "builder",
];

/// The uses that go upwards.
pub fn check(source: &Source) -> Vec<Violation> {
    let code = source.code();
    let mut found = Vec::new();
    for (home, order) in ORDERS.iter().filter(|_| source.role() == Role::Production) {
        let rank = |module: &str| order.iter().position(|known| *known == module);
        let Some(own) = module(&source.path, home) else { continue };
        if *home == BUILDER && own != "lib" && rank(own).is_none() {
            let complaint = "has no rank among its neighbours".to_owned();
            found.push(Violation::new(&source.path, complaint));
        }
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

/// The module of a crate that a file belongs to.
fn module<'path>(path: &'path str, home: &str) -> Option<&'path str> {
    path.strip_prefix(home)?.split(['/', '.']).next()
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
    fn a_step_knows_nothing_of_who_runs_it() {
        found("builder/src/execute/run.rs", "use crate::solve::Solver;\n", 1);
        found("builder/src/solve.rs", "use crate::execute::Execution;\n", 0);
        found("builder/src/helpers.rs", "use crate::options::Options;\n", 1);
    }

    #[test]
    fn words_tests_and_other_crates_do_not_count() {
        found("store/src/store.rs", "//! See [`lease`](crate::lease).\n", 0);
        found("store/src/store.rs", "\n#[cfg(test)]\nmod tests {\n    use crate::open::X;\n}\n", 0);
        found("registry/src/store.rs", "use crate::lease::Lease;\n", 0);
    }
}
