//! How many foreign crates the workspace may lock: growth is a decision, not an accident.

use std::fs;
use std::path::Path;

use crate::violation::{TidyError, Violation};

/// The most packages `Cargo.lock` may list, tests, benches and other platforms included.
///
/// Raise it in the commit that adds a dependency, and say there why the dependency is worth it.
pub const MAX_PACKAGES: usize = 304;

/// Crates that must not come back, and what serves instead.
pub const BANNED: [(&str, &str); 4] = [
    ("anyhow", "errors have names here"),
    ("openssl-sys", "rustls is the only TLS"),
    ("aws-lc-sys", "ring is the only provider of cryptography for TLS"),
    ("serde_yaml", "no format of ours is YAML"),
];

/// The names of the locked packages.
///
/// # Errors
///
/// If `Cargo.lock` cannot be read.
pub fn read(root: &Path) -> Result<Vec<String>, TidyError> {
    let path = root.join("Cargo.lock");
    let text = fs::read_to_string(&path).map_err(TidyError::at(&path))?;
    let name = |line: &str| Some(line.strip_prefix("name = \"")?.trim_end_matches('"').to_owned());
    Ok(text.lines().filter_map(name).collect())
}

/// What is locked and should not be.
pub fn check(packages: &[String]) -> Vec<Violation> {
    let complain = |text| Violation::new("Cargo.lock", text);
    let banned = BANNED.iter().filter(|(name, _)| packages.iter().any(|package| package == name));
    let mut found: Vec<Violation> =
        banned.map(|(name, why)| complain(format!("{name} is locked: {why}"))).collect();
    if packages.len() > MAX_PACKAGES {
        let n_packages = packages.len();
        found.push(complain(format!("{n_packages} packages, at most {MAX_PACKAGES}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_package_too_many_is_reported() {
        let mut packages: Vec<String> = (0..MAX_PACKAGES).map(|n| format!("p{n}")).collect();
        assert_eq!(check(&packages), []);
        packages.push("one-more".to_owned());
        assert_eq!(check(&packages).len(), 1);
    }

    #[test]
    fn a_banned_crate_is_reported_with_what_serves_instead() {
        let found = check(&["anyhow".to_owned()]);
        assert_eq!(found[0].to_string(), "Cargo.lock: anyhow is locked: errors have names here");
    }
}
