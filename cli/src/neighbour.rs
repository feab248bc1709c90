//! Programs of this machine that keep images: they are given one, and take of it what they lack.

use wythe_delivery::engine::Engine;
use wythe_delivery::image::OutgoingImage;
use wythe_store::digest::Digest;
use wythe_store::image::catalog::read_any_image;
use wythe_store::oci::content::Content;
use wythe_store::oci::reference::Reference;

use crate::args::location::ImagesOf;
use crate::containerd::Containerd;
use crate::containers_storage::ContainersStorage;
use crate::docker_engine;
use crate::failure::Failure;
use crate::render::quantity::Bytes;
use crate::settings::Settings;
use crate::stored_image;

/// One of them.
pub(crate) enum Neighbour {
    Containerd(Containerd),
    Docker(Engine),
    Podman(ContainersStorage),
}

impl Neighbour {
    /// That of a kind, if this machine has it and it answers.
    pub(crate) fn find(kind: ImagesOf, settings: &Settings) -> Result<Self, Failure> {
        Ok(match kind {
            ImagesOf::Containerd => Self::Containerd(Containerd::find(settings)?),
            ImagesOf::Docker => Self::Docker(docker_engine::of(settings)?),
            ImagesOf::Podman => Self::Podman(ContainersStorage::find(settings)?),
        })
    }

    /// Gives it an image under the image's names. Says what is to be told of that: how much it took.
    pub(crate) fn take(
        &self,
        image: &OutgoingImage<'_>,
        content: &dyn Content,
    ) -> Result<Option<String>, Failure> {
        let secret = docker_engine::secret();
        if let Self::Docker(engine) = self {
            return Ok(docker_engine::told(engine.take(image, content, &secret)?));
        }
        if image.names.is_empty() {
            let failure = Failure::usage("an image without a name cannot be found there");
            return Err(failure.remedy("give it one with --tag"));
        }
        let config = config(image)?;
        let mut taken = None;
        for name in &image.names {
            let bytes = self.take_as(name, (image, config), (content, &secret))?;
            taken = taken.or(bytes);
        }
        let told = |bytes| format!("{} took {} that it lacked", self.spoken(), Bytes(bytes));
        Ok(taken.map(told))
    }

    /// Under one name; says how many bytes came, unless it had the image.
    fn take_as(
        &self,
        name: &Reference,
        (image, config): (&OutgoingImage<'_>, Digest),
        (content, secret): (&dyn Content, &str),
    ) -> Result<Option<u64>, Failure> {
        match self {
            Self::Containerd(containerd) => containerd.take(image, content, (name, secret)),
            Self::Podman(storage) => storage.take((image, config), content, (name, secret)),
            Self::Docker(_) => Ok(None),
        }
    }

    fn spoken(&self) -> &'static str {
        match self {
            Self::Containerd(_) => "containerd",
            Self::Docker(_) => "docker",
            Self::Podman(_) => "podman",
        }
    }

    /// Whether it knows images by their manifests; others know them by their configurations.
    pub(crate) fn knows_manifest(&self, image: &OutgoingImage<'_>) -> bool {
        match self {
            Self::Containerd(_) => true,
            Self::Docker(engine) => engine.id(image) == Some(image.root.digest),
            Self::Podman(_) => false,
        }
    }
}

/// The configuration of an image; of an index that of the image for this machine.
pub(crate) fn config(image: &OutgoingImage<'_>) -> Result<Digest, Failure> {
    if let Some(config) = image.config {
        return Ok(config);
    }
    let machine = stored_image::this_machine();
    let read = read_any_image(image.lease.store(), &image.root, &machine);
    let name = image.names.first().map(Reference::canonical).unwrap_or_default();
    let read = read.map_err(|problem| stored_image::unreadable(&name, problem))?;
    Ok(read.manifest.value().config.digest)
}
