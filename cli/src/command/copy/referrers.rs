//! What refers to an image, on its way with it: signatures, statements, indexes of layers.

use std::collections::BTreeSet;
use std::fmt;
use std::io;

use wythe_registry::client::Client;
use wythe_store::digest::Digest;
use wythe_store::lease::Lease;
use wythe_store::oci::closure::Closure;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::SourceError;
use wythe_store::oci::transfer::{Transfers, Watched};

use crate::acquire::{Found, stand_in};
use crate::closure::{self, LocatedImage};
use crate::failure::{Class, Failure};
use crate::sending::Sending;

/// Where what refers to an image is: where the image is.
#[derive(Clone, Copy)]
pub(crate) struct Referring<'a> {
    pub(crate) place: &'a Found,
    pub(crate) image: &'a LocatedImage<'a>,
    pub(crate) lease: &'a Lease,
    pub(crate) client: &'a Client,
    pub(crate) transfers: &'a dyn Transfers,
}

impl fmt::Debug for Referring<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Referring").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Referring<'_> {
    /// Copies what refers to an image, or to an image or statement of an index, and what refers to that in turn, to
    /// repositories that have the image. Says how many there were.
    pub(crate) fn send(self, to: &[Reference], sending: Sending<'_>) -> Result<usize, Failure> {
        self.each(|subject, referrers| {
            for referrer in referrers {
                let sent = sending.untagged(&self.located(referrer)?, to);
                sent.map_err(|failure| refused(failure, referrer))?;
            }
            for name in to.iter().filter(|_| !referrers.is_empty()) {
                sending.client.list_referrers(name, subject, referrers)?;
            }
            Ok(())
        })
    }

    /// Fetches the same into the store, and gives what an index lists of it.
    pub(crate) fn fetch(self) -> Result<Vec<Descriptor>, Failure> {
        let mut found: Vec<Descriptor> = Vec::new();
        self.each(|_, referrers| {
            for referrer in referrers {
                self.located(referrer)?.complete(self.lease)?;
                if !found.iter().any(|known| known.digest == referrer.digest) {
                    found.push(referrer.clone());
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Shows `take` everything that something refers to, with what does. Says how many of those there are.
    fn each(
        self,
        mut take: impl FnMut(&Digest, &[Descriptor]) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut subjects = self.manifests()?;
        let mut seen: BTreeSet<Digest> = subjects.iter().copied().collect();
        let mut count = 0;
        while let Some(subject) = subjects.pop() {
            let referrers = self.of(&subject)?;
            take(&subject, &referrers)?;
            for referrer in &referrers {
                count += 1;
                if seen.insert(referrer.digest) {
                    subjects.push(referrer.digest);
                }
            }
        }
        Ok(count)
    }

    /// Everything that something may refer to.
    fn manifests(self) -> Result<Vec<Digest>, Failure> {
        let content = &self.image.content(self.lease);
        let closure = Closure::of(content, std::slice::from_ref(&self.image.root));
        let closure = closure.map_err(|error: io::Error| Failure::of(Class::Damage, &error))?;
        Ok(closure.manifests.iter().map(|(manifest, _)| manifest.digest).collect())
    }

    /// What refers to a manifest.
    fn of(self, subject: &Digest) -> Result<Vec<Descriptor>, Failure> {
        match self.place {
            Found::Layout(layout) => {
                let name = stand_in()?.with_digest(*subject);
                Ok(layout.referrers(subject).map_err(|problem| SourceError::new(&name, problem))?)
            }
            Found::Registry(name) => Ok(self.client.referrers(name, subject)?),
            Found::Store(_) => Ok(Vec::new()),
        }
    }

    fn located(&self, referrer: &Descriptor) -> Result<LocatedImage<'_>, Failure> {
        let pinned = |name: Reference| name.without_digest().with_digest(referrer.digest);
        match self.place {
            Found::Layout(layout) => {
                let (source, name) = (layout.clone(), pinned(stand_in()?));
                closure::at_source(self.lease, (source, name), None, Class::Usage)
            }
            Found::Registry(from) => {
                let (name, transfers) = (pinned(from.clone()), self.transfers);
                let source = Box::new(Watched { images: self.client, transfers });
                let name_there = name.clone();
                let found =
                    closure::at_source(self.lease, (source, name_there), None, Class::Network)?;
                Ok(found.beside(name))
            }
            Found::Store(_) => Err(Failure::new(Class::Internal, "the store keeps no referrers")),
        }
    }
}

/// That one of them was not taken.
fn refused(failure: Failure, referrer: &Descriptor) -> Failure {
    let kind = referrer.artifact_type.as_ref().unwrap_or(&referrer.media_type);
    failure
        .within(format!("{} of {} refers to the image", referrer.digest, kind.as_str()))
        .remedy("without --referrers the image alone is copied")
}
