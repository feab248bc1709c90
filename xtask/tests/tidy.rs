//! The workspace keeps its own rules.

use std::fmt::Write as _;
use std::path::Path;

#[test]
fn the_workspace_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let found = xtask::tidy(&root).unwrap();
    let list = found.iter().fold(String::new(), |mut list, violation| {
        let _ = writeln!(list, "  {violation}");
        list
    });
    assert!(found.is_empty(), "broken rules:\n{list}");
}
