//! `wythe copy NAME docker-daemon:NAME`, `containers-storage:NAME` and `containerd:NAME`: images for other programs of this
//! machine, which take what they lack.

use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::{LayerCompression, LayerOptions};
use wythe_store::image::catalog::read_any_image;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::{Transfers, Watched};

use crate::acquire::locate;
use crate::args::image::CopyArgs;
use crate::args::location::{ImageLocation, ImagesOf};
use crate::containerd::Containerd;
use crate::containers_storage::ContainersStorage;
use crate::failure::Failure;
use crate::render::quantity::Bytes;
use crate::session::Session;
use crate::{docker_engine, host, stored_image};

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
    let read = read_any_image(lease.store(), &image.root, &stored_image::this_machine());
    let read = read.map_err(|problem| stored_image::unreadable(asked, problem))?;
    let config = read.manifest.value().config.digest;
    (image.config, image.names) = (Some(config), vec![name.clone()]);
    let told = match program {
        ImagesOf::Containerd => {
            let (containerd, secret) =
                (Containerd::find(&session.settings)?, docker_engine::secret());
            let taken = containerd.take(&image, &content, (&name, &secret))?;
            taken.map(|bytes| format!("containerd took {} that it lacked", Bytes(bytes)))
        }
        ImagesOf::Docker => {
            let engine = docker_engine::of(&session.settings)?;
            docker_engine::told(engine.take(&image, &content, &docker_engine::secret())?)
        }
        ImagesOf::Podman => {
            let storage = ContainersStorage::find(&session.settings)?;
            let named = (&name, &*docker_engine::secret());
            let taken = storage.take((&image, config), &content, named)?;
            taken.map(|bytes| format!("podman took {} that it lacked", Bytes(bytes)))
        }
    };
    if let Some(text) = told {
        session.remark(&text);
    }
    session.print(&config.to_string())
}
