//! Prints what `cargo test -p xtask` checks: the rules of the workspace that are broken.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> io::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut out = io::stdout().lock();
    let found = match xtask::tidy(&root) {
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
