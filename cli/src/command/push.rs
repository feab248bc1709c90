//! `wythe push`.

use wythe_builder::progress::AsEvents;
use wythe_delivery::encode::Ready;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::LayerOptions;
use wythe_delivery::push::{Naming, Push};
use wythe_registry::delivered::Delivered;
use wythe_store::digest::Digest;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Transfers, Watched};

use crate::args::image::PushArgs;
use crate::aws::create_repositories;
use crate::closure;
use crate::failure::Failure;
use crate::host;
use crate::session::Session;

/// Sends an image to its registry, and prints the digest it has there.
pub(crate) fn run(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    let to: Reference = args.destination.as_ref().unwrap_or(&args.image).parse()?;
    create_repositories(std::slice::from_ref(&to), args.repositories.create_repo, session)?;
    let progress = session.progress();
    let digest = pushed(args, to, (session, &AsEvents(&*progress)))?;
    drop(progress);
    session.print(&digest.to_string())
}

/// Sends the image, and of it what the registry lacks; gives its digest there.
fn pushed(
    args: &PushArgs,
    to: Reference,
    (session, transfers): (&Session, &dyn Transfers),
) -> Result<Digest, Failure> {
    let (lease, client) = (session.store()?.lease()?, session.registry()?);
    let platform = args.which.platform()?;
    let source = Watched { images: &client, transfers };
    let image = closure::of_store(&lease, &args.image, platform.as_ref(), &source)?;
    let layers = LayerOptions {
        compression: args.compression.map(Into::into).unwrap_or_default(),
        ..LayerOptions::default()
    };
    let (content, pool) = (&image.content(&lease), &host::threads()?);
    let make =
        |ready: Ready<'_>| OutgoingImage::encode_each(content, &image.root, layers, (pool, ready));
    let push = Push { registry: &client, content, transfers, delivered: &Delivered::default() };
    Ok(push.run(&[to], Naming::ByName, make)?.root.digest)
}
