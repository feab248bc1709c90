//! Images on their way to repositories, where nothing names them yet.

use std::fmt;

use rayon::ThreadPool;
use wythe_delivery::encode::Ready;
use wythe_delivery::image::OutgoingImage;
use wythe_delivery::options::LayerOptions;
use wythe_delivery::push::{Naming, Push};
use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_store::lease::Lease;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::Transfers;

use crate::closure::LocatedImage;
use crate::failure::Failure;

/// What sends images.
#[derive(Clone, Copy)]
pub(crate) struct Sending<'a> {
    pub(crate) lease: &'a Lease,
    pub(crate) client: &'a Client,
    pub(crate) transfers: &'a dyn Transfers,
    pub(crate) pool: &'a ThreadPool,
    /// What was seen to before.
    pub(crate) delivered: &'a Delivered,
}

impl Sending<'_> {
    /// Sends what the repositories of some names lack of an image, which gets no tag there.
    pub(crate) fn untagged(
        self,
        image: &LocatedImage<'_>,
        names: &[Reference],
    ) -> Result<(), Failure> {
        let Self { lease, client: registry, transfers, pool, delivered } = self;
        let content = &image.content(lease);
        let mut pinned = Vec::new();
        for name in names {
            let repository: Reference = name.name().parse()?;
            pinned.push(repository.with_digest(image.root.digest));
        }
        let make = |ready: Ready<'_>| {
            let layers = LayerOptions::default();
            OutgoingImage::encode_each(content, &image.root, layers, (pool, ready))
        };
        let push = Push { registry, content, transfers, delivered };
        push.run(&pinned, Naming::ByDigest, make)?;
        Ok(())
    }
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sending").field("client", &self.client).finish_non_exhaustive()
    }
}
