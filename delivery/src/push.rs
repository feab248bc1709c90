//! Images to registries, layers first, while others are still being compressed.

use std::fmt;

use wythe_registry::client::Client;
use wythe_registry::delivered::Delivered;
use wythe_registry::push::{Outbox, Push as How};
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::Transfers;

use crate::content::OutgoingContent;
use crate::encode::Ready;
use crate::error::DeliveryError;
use crate::image::{OutgoingImage, refuse_other};

/// How an image is called in its registry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Naming {
    /// By its digest alone, in the repositories of its names.
    ByDigest,
    /// By its names.
    #[default]
    ByName,
}

/// Where an image goes to, and what it may consist of.
#[derive(Clone, Copy)]
pub struct Push<'a> {
    /// Speaks to registries.
    pub registry: &'a Client,
    /// What it consists of, wherever that is.
    pub content: &'a OutgoingContent<'a>,
    /// Who is told how far blobs are.
    pub transfers: &'a dyn Transfers,
    /// What was seen to before, by whoever shares it.
    pub delivered: &'a Delivered,
}

impl fmt::Debug for Push<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Push").field("content", &self.content).finish_non_exhaustive()
    }
}

impl Push<'_> {
    /// Sends an image to the registries of some names while `make` makes it: layers that it tells of
    /// leave at once.
    ///
    /// # Errors
    ///
    /// Those of `make`; [`DeliveryError::Tagged`] if a name has a tag and only its digest is to be a
    /// name; [`DeliveryError::OtherDigest`] if it has the digest of something else; or if a layer is
    /// not to be had, or a registry refuses something.
    pub fn run<'image>(
        self,
        names: &[Reference],
        naming: Naming,
        make: impl FnOnce(Ready<'_>) -> Result<OutgoingImage<'image>, DeliveryError>,
    ) -> Result<OutgoingImage<'image>, DeliveryError> {
        if naming == Naming::ByDigest
            && let Some(tagged) = names.iter().find(|name| name.tag().is_some())
        {
            return Err(DeliveryError::Tagged(Box::new(tagged.clone())));
        }
        // To those of a digest may only go what has it.
        let free = names.iter().filter(|name| name.digest().is_none());
        let free: Vec<Reference> = free.cloned().collect();
        self.with_outbox(|outbox| {
            let image = outbox.ahead(&free, make)?;
            let called = |name: &Reference| match naming {
                Naming::ByDigest => name.clone().with_digest(image.root.digest),
                Naming::ByName => name.clone(),
            };
            let names: Vec<Reference> = names.iter().map(called).collect();
            send(outbox, &image, &names)?;
            Ok(image)
        })
    }

    /// Sends an image that is made already.
    pub(crate) fn outgoing(
        self,
        image: &OutgoingImage<'_>,
        names: &[Reference],
    ) -> Result<(), DeliveryError> {
        self.with_outbox(|outbox| send(outbox, image, names))
    }

    pub(crate) fn with_outbox<T, E>(
        self,
        send: impl FnOnce(&Outbox<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Self { registry, content, transfers, delivered } = self;
        let how = How { origins: content, neighbours: content.neighbours(), transfers, delivered };
        send(&registry.outbox(content, how))
    }
}

fn send(
    outbox: &Outbox<'_>,
    image: &OutgoingImage<'_>,
    names: &[Reference],
) -> Result<(), DeliveryError> {
    names.iter().try_for_each(|name| refuse_other(name, image.root.digest))?;
    Ok(outbox.push_all(&image.root, names)?)
}
