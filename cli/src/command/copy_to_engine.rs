//! `wythe copy NAME docker-daemon:NAME`, `containers-storage:NAME` and `containerd:NAME`: images for other programs of this
//! machine, which take what they lack.

use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{LayerCompression, LayerOptions};
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Transfers, Watched};

use crate::acquire::locate;
use crate::args::image::CopyArgs;
use crate::args::location::{ImageLocation, ImagesOf};
use crate::failure::Failure;
use crate::host;
use crate::neighbour::{self, Neighbour};
use crate::session::Session;

/// Gives an image to another program, and prints its id there.
pub(crate) fn run(
    args: &CopyArgs,
    (program, name): (ImagesOf, &str),
    (session, transfers): (&Session, &dyn Transfers),
) -> Result<(), Failure> {
    let asked = match (name, &args.source) {
        ("", ImageLocation::Store(source) | ImageLocation::Registry(source)) => source,
        (name, _) => name,
    };
    let name = asked.parse::<Reference>()?.without_digest().with_default_tag();
    let (lease, client) = (session.store()?.lease()?, session.registry()?);
    let images = &Watched { images: &client, transfers };
    let source = locate(&args.source, args.which.platform()?.as_ref(), (&lease, images))?;
    let (content, pool) = (source.content(&lease), host::threads()?);
    // On the way through memory compression saves nothing.
    let compression = LayerCompression::Uncompressed;
    let layers = LayerOptions { compression, ..LayerOptions::default() };
    let mut image = OutgoingImage::encode(&content, &source.root, layers, &pool)?;
    image.names = vec![name];
    let config = neighbour::config(&image)?;
    image.config = Some(config);
    let told = Neighbour::find(program, &session.settings)?.take(&image, &content)?;
    if let Some(text) = told {
        session.remark(&text);
    }
    session.print(&config.to_string())
}
