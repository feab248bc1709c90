//! An image from wherever it is into the store.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wythe_store::image::load::unpack;
use wythe_store::image::whole::Whole;
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::layout::{Layout, Selector};
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::SourceProblem;

use crate::args::location::ImageLocation;
use crate::closure;
use crate::failure::{Class, Failure};
use crate::session::Session;

/// Makes what is at a place available in the store, without a name of its own: all of it, or the
/// image for a platform.
pub(crate) fn acquire(
    location: &ImageLocation,
    platform: Option<&Platform>,
    (lease, session): (&Lease, &Session),
) -> Result<Descriptor, Failure> {
    match location {
        ImageLocation::Store(name) => closure::of_store(lease, name, platform, session),
        ImageLocation::Registry(name) => {
            let (reference, source) = (&name.parse()?, &session.registry()?);
            closure::of_source(Whole { lease, source, reference }, platform, Class::Network)
        }
        ImageLocation::Layout { path, tag } => in_layout(path, tag.as_deref(), platform, lease),
        ImageLocation::OciArchive { path, tag: name }
        | ImageLocation::DockerArchive { path, name } => {
            in_layout(&unpacked(path, lease)?, name.as_deref(), platform, lease)
        }
    }
}

fn in_layout(
    path: &Path,
    name: Option<&str>,
    platform: Option<&Platform>,
    lease: &Lease,
) -> Result<Descriptor, Failure> {
    let (source, reference) = (&Layout::open(path, selector(name))?, &stand_in()?);
    if let Err(SourceProblem::NotFound { detail }) = source.selected() {
        let failure = Failure::usage(format!("the layout has no image {detail}"));
        return Err(failure.remedy("say which after the place and a colon: PLACE:NAME"));
    }
    closure::of_source(Whole { lease, source, reference }, platform, Class::Usage)
}

/// The image of a name, or the only one.
pub(crate) fn selector(name: Option<&str>) -> Selector {
    name.map_or(Selector::Default, |name| Selector::Name(name.to_owned()))
}

/// The layout that an archive holds, in a directory that goes with the lease.
pub(crate) fn unpacked(path: &Path, lease: &Lease) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| {
        Failure::usage(format!("cannot read the archive {}", path.display())).because(&error)
    };
    let file: Box<dyn Read + Send> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(failed)?),
    };
    let directory = lease.work_dir().join("archive");
    unpack(file, &directory).map_err(|error| {
        Failure::usage(format!("cannot read the archive {}", path.display())).because(&error)
    })?;
    Ok(directory)
}

/// A layout says which image is meant by its selector; the name only shows in messages.
pub(crate) fn stand_in() -> Result<Reference, Failure> {
    Ok("localhost/layout".parse()?)
}
