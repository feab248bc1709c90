//! `wythe copy`.

mod referrers;

use std::io;
use std::path::Path;

use rayon::ThreadPool;
use wythe_builder::progress::AsEvents;
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::encode::Ready;
use wythe_delivery::image::{OutgoingImage, refuse_other};
use wythe_delivery::options::LayerOptions;
use wythe_delivery::push::{Naming, Push};
use wythe_registry::delivered::Delivered;
use wythe_store::digest::Digest;
use wythe_store::image::catalog::ref_name;
use wythe_store::journal::Durability;
use wythe_store::journal::batch::Batch;
use wythe_store::lease::Lease;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::layout::write::has_blob;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Transfers, Watched};

use self::referrers::Referring;
use crate::acquire::find;
use crate::archive_file::{refuse_terminal, write_file};
use crate::args::image::CopyArgs;
use crate::args::location::{ImageLocation, STANDARD_OUTPUT};
use crate::aws::create_repositories;
use crate::closure::LocatedImage;
use crate::command::copy_to_engine;
use crate::command::save::spoken;
use crate::failure::Failure;
use crate::host;
use crate::sending::Sending;
use crate::session::Session;

/// Copies an image from one place to another, and prints its digest, unless the image goes where that
/// would be printed.
pub(crate) fn run(args: &CopyArgs, session: &Session) -> Result<(), Failure> {
    refuse_referrers(args)?;
    if let ImageLocation::Images { of, name } = &args.destination.0 {
        let progress = session.progress();
        return copy_to_engine::run(args, (*of, name), (session, &AsEvents(&*progress)));
    }
    if args.destination.0.is_standard_output() {
        // Before anything is fetched for it.
        refuse_terminal(&io::stdout())?;
    }
    let mut pushed: Vec<Reference> = Vec::new();
    if let ImageLocation::Registry(name) = &args.destination.0 {
        pushed.push(name.parse()?);
    }
    create_repositories(&pushed, args.repositories.create_repo, session)?;
    let progress = session.progress();
    let (digest, n_referrers) = copied(args, &pushed, (session, &AsEvents(&*progress)))?;
    drop(progress);
    if args.destination.0.is_standard_output() {
        return Ok(());
    }
    if args.referrers.is_on() {
        session.remark(&format!("copied with it what refers to it: {n_referrers}"));
    }
    session.print(&digest.to_string())
}

/// Refuses to copy what refers to the image where that is kept nowhere.
fn refuse_referrers(args: &CopyArgs) -> Result<(), Failure> {
    let keeps = |place: &ImageLocation| match place {
        ImageLocation::Layout { .. }
        | ImageLocation::OciArchive { .. }
        | ImageLocation::Registry(_) => true,
        ImageLocation::DockerArchive { .. }
        | ImageLocation::Images { .. }
        | ImageLocation::Store(_) => false,
    };
    if !args.referrers.is_on() || keeps(&args.source) && keeps(&args.destination.0) {
        return Ok(());
    }
    let text = "--referrers is for copies between registries, layouts and archives of layouts";
    Err(Failure::usage(text)
        .remedy("write both places as docker://NAME, oci:DIRECTORY or oci-archive:FILE"))
}

/// Copies an image to the registry of some names, or to where the arguments say, and gives its digest there, and how
/// many there are that refer to it and were copied with it.
fn copied(
    args: &CopyArgs,
    names: &[Reference],
    (session, transfers): (&Session, &dyn Transfers),
) -> Result<(Digest, usize), Failure> {
    let (lease, client) = (session.store()?.lease()?, session.registry()?);
    let images = &Watched { images: &client, transfers };
    let place = find(&args.source, &lease)?;
    let source = place.locate(args.which.platform()?.as_ref(), (&lease, images))?;
    let content = &source.content(&lease);
    let (pool, delivered) = (&host::threads()?, &Delivered::default());
    let copying = Copying { source: &source, content, pool, args };
    let referring =
        Referring { place: &place, image: &source, lease: &lease, client: &client, transfers };
    let referring = args.referrers.is_on().then_some(referring);
    if names.is_empty() {
        let beside = referring.map(Referring::fetch).transpose()?.unwrap_or_default();
        let count = beside.len();
        return Ok((copying.write(&lease, beside)?, count));
    }
    let mut n_referrers = 0;
    if let Some(referring) = referring {
        let sending = Sending { lease: &lease, client: &client, transfers, pool, delivered };
        // The name comes last: who finds it finds all of it.
        sending.untagged(&source, names)?;
        n_referrers = referring.send(names, sending)?;
    }
    let push = Push { registry: &client, content, transfers, delivered };
    Ok((copying.push(names, push)?, n_referrers))
}

/// An image on its way from one place to another.
struct Copying<'a> {
    source: &'a LocatedImage<'a>,
    content: &'a OutgoingContent<'a>,
    pool: &'a ThreadPool,
    args: &'a CopyArgs,
}

impl Copying<'_> {
    /// Sends it to a registry, and of it what that lacks.
    fn push(&self, names: &[Reference], push: Push<'_>) -> Result<Digest, Failure> {
        let root = &self.source.root;
        let make = |ready: Ready<'_>| {
            OutgoingImage::encode_each(
                self.content,
                root,
                LayerOptions::default(),
                (self.pool, ready),
            )
        };
        Ok(push.run(names, Naming::ByName, make)?.root.digest)
    }

    /// Writes it with what refers to it, after everything was fetched that is not there.
    fn write(&self, lease: &Lease, referrers: Vec<Descriptor>) -> Result<Digest, Failure> {
        match &self.args.destination.0 {
            ImageLocation::Layout { path, .. } => {
                self.source.complete_where(lease, |blob| !has_blob(path, blob))?;
            }
            ImageLocation::DockerArchive { .. }
            | ImageLocation::Images { .. }
            | ImageLocation::OciArchive { .. }
            | ImageLocation::Registry(_)
            | ImageLocation::Store(_) => self.source.complete(lease)?,
        }
        let layers = LayerOptions::default();
        let mut image = OutgoingImage::encode(self.content, &self.source.root, layers, self.pool)?;
        image.referrers = referrers;
        // What docker loads without a name it lists without one.
        image.names.extend(self.args.source.name().and_then(|name| spoken(name.parse().ok()?)));
        deliver(&mut image, &self.args.destination.0)?;
        Ok(image.root.digest)
    }
}

fn deliver(image: &mut OutgoingImage<'_>, to: &ImageLocation) -> Result<(), Failure> {
    match to {
        ImageLocation::DockerArchive { path, name } => {
            if let Some(name) = name {
                image.names = spoken(name.parse()?).into_iter().collect();
            }
            write_file(image, file(path), Flavour::Docker)
        }
        ImageLocation::Layout { path, tag } => {
            image.names = named(tag.as_deref())?;
            Ok(image.write_layout(path)?)
        }
        ImageLocation::OciArchive { path, tag } => {
            image.names = named(tag.as_deref())?;
            write_file(image, file(path), Flavour::Oci)
        }
        // Goes there blob by blob, not as a whole.
        ImageLocation::Images { .. } | ImageLocation::Registry(_) => Ok(()),
        ImageLocation::Store(name) => {
            let name: Reference = name.parse()?;
            refuse_other(&name, image.root.digest)?;
            let mut batch = Batch::default();
            batch.set_ref(&ref_name(&name), &image.root);
            image.lease.commit(batch, Durability::Durable)?;
            Ok(())
        }
    }
}

/// The file of an archive; `None` for standard output.
fn file(path: &Path) -> Option<&Path> {
    (path.as_os_str() != STANDARD_OUTPUT).then_some(path)
}

/// A tag alone, as a layout has it.
fn named(tag: Option<&str>) -> Result<Vec<Reference>, Failure> {
    let reference = |tag| Ok(format!("localhost/image:{tag}").parse()?);
    tag.into_iter().map(reference).collect()
}
