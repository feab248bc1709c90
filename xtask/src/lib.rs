//! The rules of the workspace that no compiler checks.
//!
//! Each rule is a function from what it looks at to the violations it found, so that each has unit
//! tests of its own. [`tidy`] gathers the files and applies them all; `cargo test -p xtask` fails
//! where it finds something, and `cargo xtask` prints the same list. [`dist`](dist::dist) makes a release.

pub mod acceptance;
pub mod adr;
pub mod budget;
pub mod code;
pub mod dist;
pub mod edges;
pub mod form;
pub mod fuzz;
pub mod pages;
pub mod ranks;
pub mod site;
pub mod source;
pub mod violation;

use std::path::Path;

use crate::source::Source;
use crate::violation::{TidyError, Violation};

/// Applies every rule to the workspace at `root`, and returns what it found in order of place.
///
/// # Errors
///
/// Where a file or the answer of `cargo metadata` cannot be read; a rule that is broken is no
/// error but part of the list.
pub fn tidy(root: &Path) -> Result<Vec<Violation>, TidyError> {
    let sources = Source::all(root)?;
    let mut found: Vec<Violation> = sources.iter().flat_map(form::check).collect();
    found.extend(sources.iter().flat_map(ranks::check));
    found.extend(edges::check(&edges::read(root)?));
    found.extend(adr::check(&adr::read(root)?));
    found.extend(budget::check(&budget::read(root)?));
    found.extend(fuzz::check(&fuzz::read(root)?));
    let exists = |path: &Path| root.join(path).exists();
    let pages = pages::read(root)?;
    found.extend(pages.iter().flat_map(|page| pages::check(page, &exists)));
    found.extend(site::check(&pages));
    found.extend(pages.iter().flat_map(|page| acceptance::check(page, &sources)));
    found.sort();
    Ok(found)
}
