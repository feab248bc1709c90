//! An image from wherever it is into the store.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wythe_store::image::catalog::{StoredImage, read_image};
use wythe_store::image::load::unpack;
use wythe_store::image::resolve::ResolvedImage;
use wythe_store::lease::Lease;
use wythe_store::oci::layout::{Layout, Selector};
use wythe_store::oci::reference::Reference;

use crate::args::place::Place;
use crate::failure::{Class, Failure};
use crate::fetch::Wanted;
use crate::obtainable::whole;
use crate::session::Session;
use crate::stored_image::this_machine;

/// Makes an image available in the store, without a name of its own.
pub(crate) fn acquire(
    place: &Place,
    lease: &Lease,
    session: &Session,
) -> Result<StoredImage, Failure> {
    match place {
        Place::Store(name) => whole(lease, name, session),
        Place::Registry(name) => {
            let reference: Reference = name.parse()?;
            let client = session.registry()?;
            let platform = this_machine();
            let wanted = Wanted { source: &client, reference: &reference, platform: &platform };
            stored(lease, &wanted.fetch(lease)?)
        }
        Place::Layout { path, tag } => from_layout(path, selector(tag.as_deref()), lease),
        Place::OciArchive { path, tag: name } | Place::DockerArchive { path, name } => {
            let directory = unpacked(path, lease)?;
            from_layout(&directory, selector(name.as_deref()), lease)
        }
    }
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

/// Reads an image of a layout directory.
pub(crate) fn from_layout(
    path: &Path,
    selector: Selector,
    lease: &Lease,
) -> Result<StoredImage, Failure> {
    let layout = Layout::open(path, selector)?;
    let reference = stand_in()?;
    let platform = this_machine();
    let wanted = Wanted { source: &layout, reference: &reference, platform: &platform };
    stored(lease, &wanted.fetch(lease)?)
}

/// A layout says which image is meant by its selector; the name only shows in messages.
pub(crate) fn stand_in() -> Result<Reference, Failure> {
    Ok("localhost/layout".parse()?)
}

fn stored(lease: &Lease, image: &ResolvedImage) -> Result<StoredImage, Failure> {
    read_image(lease.store(), image.manifest.descriptor(), &this_machine())
        .map_err(|error| Failure::of(Class::Damage, &error))
}
