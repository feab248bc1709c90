//! An image as it leaves.

use std::io::Write;
use std::path::Path;

use rayon::ThreadPool;
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_store::digest::Digest;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::catalog::read_any_image;
use wythe_store::lease::Lease;
use wythe_store::oci::archive::Flavour;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::layout::write::{dated, named, titled};
use wythe_store::oci::platform::{Platform, host_architecture};
use wythe_store::oci::reference::{DEFAULT_TAG, Reference};
use wythe_store::oci::transfer::{Transfers, Watched};

use crate::archive::{write_archive, write_layout};
use crate::content::OutgoingContent;
use crate::encode::{Encoder, Ready};
use crate::error::DeliveryError;
use crate::options::LayerOptions;
use crate::push::Push;
use crate::root;

/// An image as it leaves: what it is called, and its manifest or index. The lease keeps its bytes.
#[derive(Clone, Debug)]
pub struct OutgoingImage<'a> {
    /// What keeps its bytes.
    pub lease: &'a Lease,
    /// Its manifest, or the index of several.
    pub root: Descriptor,
    /// The configuration, where there is one.
    pub config: Option<Digest>,
    /// What it is called in archives and layouts.
    pub names: Vec<Reference>,
    /// What an archive calls it that holds others, too, where it has no name.
    pub title: Option<String>,
    /// When it was made, as its configuration says.
    pub created: Option<String>,
    /// What archives and layouts list beside it without a name, since it refers to it. The store has all of it.
    pub referrers: Vec<Descriptor>,
    /// Where layers are to be had that the store lacks; a push fetches those the registry lacks.
    pub origins: &'a [BlobOrigin],
}

impl<'a> OutgoingImage<'a> {
    /// What leaves for what a name of the store stands for: one image, or an index with all it lists.
    /// Layers are compressed in `pool`.
    ///
    /// # Errors
    ///
    /// If a document cannot be read, a layer cannot be had or encoded, or the store fails.
    pub fn encode(
        content: &OutgoingContent<'a>,
        root: &Descriptor,
        layers: LayerOptions,
        pool: &ThreadPool,
    ) -> Result<Self, DeliveryError> {
        Self::encode_each(content, root, layers, (pool, &|_| {}))
    }

    /// As [`encode`](Self::encode). Tells `ready` of each layer as soon as it can leave.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_each(
        content: &OutgoingContent<'a>,
        root: &Descriptor,
        layers: LayerOptions,
        (pool, ready): (&ThreadPool, Ready<'_>),
    ) -> Result<Self, DeliveryError> {
        let (lease, origins) = (content.lease, content.origins);
        let encoder = Encoder::new(content, layers, (pool, ready))?;
        let machine = Platform::linux(host_architecture());
        let image = read_any_image(lease.store(), root, &machine).ok();
        let created = image.as_ref().and_then(|image| image.config.value().created.clone());
        let platform = image.map(|image| image.config.value().platform());
        let platform = platform.filter(|platform| !platform.os.is_empty());
        let root = of_platform(encoder.root(root)?, platform);
        let (config, names, title, referrers) = (None, Vec::new(), None, Vec::new());
        Ok(Self { lease, root, config, names, title, created, referrers, origins })
    }

    /// Sends it to the registry of a name, and tells how far its blobs are. The name is written last.
    ///
    /// # Errors
    ///
    /// [`DeliveryError::OtherDigest`] if the name has a digest, and not this one; or if a layer is
    /// not to be had, or the registry refuses something.
    pub fn push(
        &self,
        registry: &Client,
        to: &Reference,
        transfers: &dyn Transfers,
    ) -> Result<(), DeliveryError> {
        let images = Watched { images: registry, transfers };
        let content = &OutgoingContent::new(self.lease, &images, self.origins);
        let push = Push { registry, content, transfers, delivered: &Delivered::default() };
        push.outgoing(self, std::slice::from_ref(to))
    }

    /// Adds it to a layout directory, which is made where there is none.
    ///
    /// # Errors
    ///
    /// If the store lacks something, or the directory cannot be written.
    pub fn write_layout(&self, directory: &Path) -> Result<(), DeliveryError> {
        write_layout(std::slice::from_ref(self), directory)
    }

    /// Writes it as an archive of an OCI layout.
    ///
    /// # Errors
    ///
    /// If the store lacks something, or `out` fails.
    pub fn write_oci(&self, out: &mut dyn Write) -> Result<(), DeliveryError> {
        write_archive(std::slice::from_ref(self), (Flavour::Oci, None), out)
    }

    /// Writes it as an archive that `docker load` of any kind reads; one that knows no indexes takes
    /// the image for `platform`, or the first.
    ///
    /// # Errors
    ///
    /// If it is no image, the store lacks something, or `out` fails.
    pub fn write_docker(
        &self,
        platform: &Platform,
        out: &mut dyn Write,
    ) -> Result<(), DeliveryError> {
        write_archive(std::slice::from_ref(self), (Flavour::Docker, Some(platform)), out)
    }

    /// The images that its root lists: itself, or those of an index.
    ///
    /// # Errors
    ///
    /// If the index cannot be read.
    pub fn listed(lease: &Lease, root: &Descriptor) -> Result<Vec<Descriptor>, DeliveryError> {
        root::images(lease, root)
    }

    /// The image under each of its names, and what refers to it; an image without a name is listed once.
    pub(crate) fn entries(&self) -> Vec<Descriptor> {
        let mut entries = self.own_entries();
        entries.extend_from_slice(&self.referrers);
        entries
    }

    /// As in an archive, but an image without a name is the latest of a layout, so that whoever asks
    /// a layout for no name gets it, and building again replaces it.
    pub(crate) fn layout_entries(&self) -> Vec<Descriptor> {
        let mut entries = self.own_entries();
        if let ([], None, [only]) = (self.names.as_slice(), &self.title, entries.as_mut_slice()) {
            *only = titled(only.clone(), DEFAULT_TAG);
        }
        entries.extend_from_slice(&self.referrers);
        entries
    }

    fn own_entries(&self) -> Vec<Descriptor> {
        let entry = |name| named(self.root.clone(), name, self.created.as_deref());
        match (self.names.as_slice(), &self.title) {
            ([], None) => vec![dated(self.root.clone(), self.created.as_deref())],
            ([], Some(title)) => {
                vec![dated(titled(self.root.clone(), title), self.created.as_deref())]
            }
            (names, _) => names.iter().map(entry).collect(),
        }
    }
}

/// A manifest with what it is for, as lists of images have it. An index is for nothing itself.
fn of_platform(root: Descriptor, platform: Option<Platform>) -> Descriptor {
    if root.media_type.is_manifest() { Descriptor { platform, ..root } } else { root }
}

/// Refuses a destination whose digest is that of something else.
///
/// # Errors
///
/// [`DeliveryError::OtherDigest`].
pub fn refuse_other(to: &Reference, root: Digest) -> Result<(), DeliveryError> {
    match to.digest() {
        Some(digest) if digest != root => {
            Err(DeliveryError::OtherDigest { to: Box::new(to.clone()), root })
        }
        _ => Ok(()),
    }
}
