//! The program: compiled, and found to be what is released.

use std::path::PathBuf;
use std::{env, fs};

use super::tool::{Tool, at, copy};
use super::{DistError, Release};

/// What there are programs for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Architecture {
    Amd64,
    Arm64,
}

/// The largest program that is released, in bytes: a CI job may fetch it each time
/// (docs/adr/0046-what-is-not-hot-is-compiled-to-be-small.md).
const MOST_BYTES: u64 = 20_000_000;

impl Architecture {
    pub(super) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The name that Debian and the platforms of images have.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name that Rust has.
    fn of_rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, DistError> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| DistError::Architecture(name.to_owned()))
    }

    pub(super) fn of_this_machine() -> Result<Self, DistError> {
        let known = Self::ALL.into_iter().find(|known| known.of_rust() == env::consts::ARCH);
        known.ok_or_else(|| DistError::Architecture(env::consts::ARCH.to_owned()))
    }
}

/// A program that is released.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) architecture: Architecture,
    pub(super) path: PathBuf,
}

impl Program {
    /// Compiles it as `cargo static` does, and puts it under its name.
    pub(super) fn build(
        architecture: Architecture,
        release: &Release<'_>,
    ) -> Result<Self, DistError> {
        let target = format!("{}-unknown-linux-musl", architecture.of_rust());
        let cargo = Tool::new(option_env!("CARGO").unwrap_or("cargo"), release.root);
        let words = ["build", "--release", "--locked", "--package", "wythe", "--features", "reapi"];
        cargo.args(&words).args(&["--target", &target]).run()?;
        let own = || release.root.join("target");
        let targets = env::var_os("CARGO_TARGET_DIR").map_or_else(own, PathBuf::from);
        let path = release.name(&format!("linux-{}", architecture.name()));
        copy(&targets.join(target).join("release/wythe"), &path)?;
        // Names of functions are a fifth of it. Who needs them has the program that was compiled.
        let strip = format!("{}-linux-gnu-strip", architecture.of_rust());
        Tool::new(strip, release.directory).paths(&[&path]).output()?;
        let program = Self { architecture, path };
        program.is_small()?;
        program.is_static(release)?;
        Ok(program)
    }

    fn is_small(&self) -> Result<(), DistError> {
        let size = fs::metadata(&self.path).map_err(at(&self.path))?.len();
        if size <= MOST_BYTES {
            return Ok(());
        }
        Err(self.fault(format!("has {size} bytes, of at most {MOST_BYTES}")))
    }

    /// One that names an interpreter needs its libraries, too, and one that is not position-independent lies where
    /// everybody knows.
    fn is_static(&self, release: &Release<'_>) -> Result<(), DistError> {
        let readelf = Tool::new("readelf", release.directory).args(&["-hlW"]);
        let headers = readelf.paths(&[&self.path]).output()?;
        match fault(&String::from_utf8_lossy(&headers)) {
            Some(fault) => Err(self.fault(fault.to_owned())),
            None => Ok(()),
        }
    }

    fn fault(&self, fault: String) -> DistError {
        DistError::Program { architecture: self.architecture.name(), fault }
    }
}

/// What the headers of a program say against its release.
fn fault(headers: &str) -> Option<&'static str> {
    if headers.contains("INTERP") {
        Some("is not linked statically")
    } else if !headers.contains("DYN (") {
        Some("is not position-independent")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_libraries_or_lies_in_one_place_is_not_released() {
        let header =
            "  Type:                              DYN (Position-Independent Executable file)\n";
        assert_eq!(fault(header), None);
        assert!(fault(&format!("{header}  INTERP         0x0002a8\n")).is_some());
        assert!(fault("  Type:   EXEC (Executable file)\n").is_some());
    }
}
