//! Which crate may depend on which: arrows point one way.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::violation::{TidyError, Violation};

/// Who may depend on whom. An edge that is not here is a design decision, not an import.
pub const ALLOWED: &[(&str, &[&str])] = &[
    ("wythe-dockerfile", &[]),
    ("wythe-store", &[]),
    ("wythe-sandbox", &[]),
    ("wythe-registry", &["wythe-store"]),
    ("wythe-aws", &["wythe-registry"]),
    ("wythe-cache", &["wythe-aws", "wythe-registry", "wythe-store"]),
    ("wythe-reapi", &["wythe-cache", "wythe-store"]),
    ("wythe-delivery", &["wythe-registry", "wythe-store"]),
    ("wythe-bake", &["wythe-dockerfile"]),
    ("wythe-builder", &["wythe-dockerfile", "wythe-sandbox", "wythe-store"]),
    ("wythe", &["wythe-cli"]),
    (
        "wythe-api",
        &["wythe-builder", "wythe-delivery", "wythe-registry", "wythe-sandbox", "wythe-store"],
    ),
    (
        "wythe-cli",
        &[
            "wythe-aws",
            "wythe-bake",
            "wythe-builder",
            "wythe-cache",
            "wythe-delivery",
            "wythe-dockerfile",
            "wythe-reapi",
            "wythe-registry",
            "wythe-sandbox",
            "wythe-store",
        ],
    ),
    ("benches", &["wythe-builder", "wythe-dockerfile", "wythe-registry", "wythe-store"]),
    ("wythe-quirks", &[]),
    ("xtask", &[]),
];

/// A dependency between two crates of the workspace, outside of tests.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Edge {
    /// The crate that depends.
    pub from: String,
    /// The crate it depends on.
    pub to: String,
}

/// Asks cargo for the edges of the workspace; what only tests need is left out.
///
/// # Errors
///
/// If cargo cannot be started or its answer is not the documented one.
pub fn read(root: &Path) -> Result<Vec<Edge>, TidyError> {
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(TidyError::at(root))?;
    let metadata = serde_json::from_slice(&output.stdout).map_err(TidyError::Metadata)?;
    Ok(edges(&metadata))
}

fn edges(metadata: &Value) -> Vec<Edge> {
    let mut found = Vec::new();
    for package in list(&metadata["packages"]) {
        for dependency in list(&package["dependencies"]) {
            // Only crates of the workspace have a path, and only what is linked has no kind.
            if dependency["path"].is_string() && dependency["kind"].is_null() {
                found.push(Edge { from: text(&package["name"]), to: text(&dependency["name"]) });
            }
        }
    }
    found.sort();
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The edges that the table does not have.
pub fn check(edges: &[Edge]) -> Vec<Violation> {
    let allowed = |edge: &Edge| {
        let row = ALLOWED.iter().find(|(from, _)| *from == edge.from);
        row.is_some_and(|(_, to)| to.contains(&edge.to.as_str()))
    };
    let complain = |edge: &Edge| {
        Violation::new(
            &edge.from,
            format!("may not depend on {}: see docs/architecture.md", edge.to),
        )
    };
    edges.iter().filter(|edge| !allowed(edge)).map(complain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(from: &str, to: &str, expected: usize) {
        let edge = Edge { from: from.to_owned(), to: to.to_owned() };
        assert_eq!(check(&[edge]).len(), expected, "{from} -> {to}");
    }

    #[test]
    fn the_builder_never_sees_the_registry() {
        refused("wythe-builder", "wythe-registry", 1);
        refused("wythe-registry", "wythe-builder", 1);
        refused("wythe-cli", "wythe-registry", 0);
    }

    #[test]
    fn a_crate_without_a_row_may_depend_on_nothing() {
        refused("wythe-new", "wythe-store", 1);
    }

    #[test]
    fn what_only_tests_need_is_no_edge() {
        let metadata = serde_json::json!({"packages": [{"name": "a", "dependencies": [
            {"name": "b", "path": "/b", "kind": null},
            {"name": "c", "path": "/c", "kind": "dev"},
            {"name": "serde", "kind": null},
        ]}]});
        assert_eq!(edges(&metadata), [Edge { from: "a".to_owned(), to: "b".to_owned() }]);
    }
}
