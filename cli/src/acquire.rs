//! An image wherever it is.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wythe_store::image::load::unpack;
use wythe_store::lease::Lease;
use wythe_store::oci::layout::{Layout, Selector};
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::SourceProblem;
use wythe_store::oci::transfer::Watched;

use crate::args::location::ImageLocation;
use crate::closure::{self, LocatedImage};
use crate::failure::{Class, Failure};

/// A place that is within reach.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A layout, that of an archive included, and which of its images is meant.
    Layout(Box<Layout>),
    /// A name at a registry.
    Registry(Reference),
    /// A name of the store.
    Store(String),
}

/// Finds what is at a place: all of it, or the image for a platform. `client` stands for all registries.
pub(crate) fn locate<'a>(
    location: &ImageLocation,
    platform: Option<&Platform>,
    (lease, client): (&Lease, &'a Watched<'a>),
) -> Result<LocatedImage<'a>, Failure> {
    find(location, lease)?.locate(platform, (lease, client))
}

/// Finds a place. An archive is unpacked.
pub(crate) fn find(location: &ImageLocation, lease: &Lease) -> Result<Found, Failure> {
    match location {
        ImageLocation::Store(name) => Ok(Found::Store(name.clone())),
        ImageLocation::Registry(name) => Ok(Found::Registry(name.parse()?)),
        ImageLocation::Images { .. } => {
            let text = "images of docker and podman are not read, only written";
            Err(Failure::usage(text)
                .remedy("have them write an archive: `podman save`, `docker save`"))
        }
        ImageLocation::Layout { path, tag } => in_layout(path, tag.as_deref()),
        ImageLocation::OciArchive { path, tag: name }
        | ImageLocation::DockerArchive { path, name } => {
            in_layout(&unpacked(path, lease)?, name.as_deref())
        }
    }
}

impl Found {
    /// What is there, as [`locate`] has it.
    pub(crate) fn locate<'a>(
        &self,
        platform: Option<&Platform>,
        (lease, client): (&Lease, &'a Watched<'a>),
    ) -> Result<LocatedImage<'a>, Failure> {
        match self {
            Self::Layout(layout) => {
                let (source, name) = (layout.clone(), stand_in()?);
                closure::at_source(lease, (source, name), platform, Class::Usage)
            }
            Self::Registry(name) => {
                let (source, own) = (Box::new(Watched { ..*client }), name.clone());
                let image = closure::at_source(lease, (source, own), platform, Class::Network)?;
                Ok(image.beside(name.clone()))
            }
            Self::Store(name) => closure::of_store(lease, name, platform, client),
        }
    }
}

fn in_layout(path: &Path, name: Option<&str>) -> Result<Found, Failure> {
    let layout = Layout::open(path, selector(name))?;
    if let Err(SourceProblem::NotFound { detail }) = layout.selected() {
        let failure = Failure::usage(format!("the layout has no image {detail}"));
        return Err(failure.remedy("say which after the place and a colon: PLACE:NAME"));
    }
    Ok(Found::Layout(Box::new(layout)))
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
