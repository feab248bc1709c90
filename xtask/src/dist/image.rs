//! The image of wythe, which wythe builds.

use super::program::Program;
use super::tool::{Tool, copy};
use super::{DistError, Release};

/// Has the program of this machine build the image of all programs, and writes it as an OCI archive.
pub(super) fn write(
    own: &Program,
    programs: &[Program],
    release: &Release<'_>,
) -> Result<(), DistError> {
    let context = release.work.join("programs");
    for program in programs {
        copy(&program.path, &context.join(program.architecture.name()).join("wythe"))?;
    }
    let names: Vec<_> = programs.iter().map(|one| one.architecture.name()).collect();
    let platforms: Vec<_> = names.iter().map(|name| format!("linux/{name}")).collect();
    let archive = release.name("image.tar");
    Tool::new(&own.path, release.root)
        .variable("SOURCE_DATE_EPOCH", &release.epoch)
        .args(&["build", "--progress=plain", "--provenance=false"])
        .args(&["--tag", concat!("wythe:", env!("CARGO_PKG_VERSION"))])
        .args(&["--store", &release.work.join("store").to_string_lossy()])
        .args(&["--platform", &platforms.join(",")])
        .args(&["--build-context", &format!("programs={}", context.display())])
        .args(&["--output", &format!("type=oci,rewrite-timestamp=true,dest={}", archive.display())])
        .args(&["packaging/image"])
        .output()
        .map(drop)
}
