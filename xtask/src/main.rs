//! Prints what `cargo test -p xtask` checks: the rules of the workspace that are broken. With the
//! words `dist DIRECTORY` it makes a release there instead.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, absolute};
use std::process::ExitCode;

use xtask::dist::dist;

fn main() -> io::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        None => tidy(&root),
        Some((word, [directory, architectures @ ..])) if word == "dist" => {
            release(&root, &absolute(directory)?, architectures)
        }
        Some(_) => {
            writeln!(io::stderr(), "usage: xtask [dist DIRECTORY [amd64|arm64]…]")?;
            Ok(ExitCode::from(2))
        }
    }
}

fn tidy(root: &Path) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let found = match xtask::tidy(root) {
        Ok(found) => found,
        Err(error) => {
            writeln!(io::stderr(), "error: {error}")?;
            return Ok(ExitCode::from(2));
        }
    };
    for violation in &found {
        writeln!(out, "{violation}")?;
    }
    writeln!(out, "tidy: {} violations", found.len())?;
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn release(root: &Path, directory: &Path, architectures: &[String]) -> io::Result<ExitCode> {
    let Err(error) = dist(root, directory, architectures) else {
        writeln!(io::stdout(), "{}", directory.display())?;
        return Ok(ExitCode::SUCCESS);
    };
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    writeln!(io::stderr(), "error: {error}{cause}")?;
    Ok(ExitCode::FAILURE)
}
