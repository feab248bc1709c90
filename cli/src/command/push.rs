//! `wythe push`.

use wythe_builder::progress::AsEvents;
use wythe_delivery::content::OutgoingContent;
use wythe_delivery::encode::Ready;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::LayerOptions;
use wythe_delivery::push::{Naming, Push};
use wythe_store::oci::reference::Reference;

use crate::args::image::PushArgs;
use crate::aws::create_repositories;
use crate::closure;
use crate::failure::Failure;
use crate::session::Session;

/// Sends an image to its registry, and prints the digest it has there.
pub(crate) fn run(args: &PushArgs, session: &Session) -> Result<(), Failure> {
    let to: Reference = args.destination.as_ref().unwrap_or(&args.image).parse()?;
    create_repositories(std::slice::from_ref(&to), args.repositories.create_repo, session)?;
    let lease = session.store()?.lease()?;
    let platform = args.which.platform()?;
    let root = closure::of_store(&lease, &args.image, platform.as_ref(), session)?;
    let layers = LayerOptions {
        compression: args.compression.map(Into::into).unwrap_or_default(),
        ..LayerOptions::default()
    };
    let (client, progress) = (session.registry()?, session.progress());
    let content = OutgoingContent::new(&lease, &client, &[]);
    let make = |ready: Ready<'_>| OutgoingImage::encode_each(&content, &root, (layers, ready));
    let transfers = &AsEvents(&*progress);
    let push = Push { registry: &client, lease: &lease, origins: &[], transfers };
    let digest = push.run(&[to], Naming::ByName, make)?.root.digest;
    drop(progress);
    session.print(&digest.to_string())
}
