//! What refers to an image, on its way with it: signatures, statements, indexes of layers.

use std::collections::BTreeSet;
use std::io;

use wythe_store::digest::Digest;
use wythe_store::oci::closure::Closure;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::transfer::Watched;

use crate::closure::{self, LocatedImage};
use crate::failure::{Class, Failure};
use crate::sending::Sending;

/// Copies what refers to an image, or to an image or statement of an index, and what refers to that in turn, from
/// one repository to others that have the image. Says how many there were.
pub(crate) fn copy(
    image: &LocatedImage<'_>,
    (from, to): (&Reference, &[Reference]),
    sending: Sending<'_>,
) -> Result<usize, Failure> {
    let mut subjects = manifests(image, sending)?;
    let mut seen: BTreeSet<Digest> = subjects.iter().copied().collect();
    let mut count = 0;
    while let Some(subject) = subjects.pop() {
        let referrers = sending.client.referrers(from, &subject)?;
        for referrer in &referrers {
            one(referrer, (from, to), sending)?;
            count += 1;
            if seen.insert(referrer.digest) {
                subjects.push(referrer.digest);
            }
        }
        for name in to.iter().filter(|_| !referrers.is_empty()) {
            sending.client.list_referrers(name, &subject, &referrers)?;
        }
    }
    Ok(count)
}

/// Everything that something may refer to.
fn manifests(image: &LocatedImage<'_>, sending: Sending<'_>) -> Result<Vec<Digest>, Failure> {
    let content = &image.content(sending.lease);
    let closure = Closure::of(content, std::slice::from_ref(&image.root));
    let closure = closure.map_err(|error: io::Error| Failure::of(Class::Damage, &error))?;
    Ok(closure.manifests.iter().map(|(manifest, _)| manifest.digest).collect())
}

fn one(
    referrer: &Descriptor,
    (from, to): (&Reference, &[Reference]),
    sending: Sending<'_>,
) -> Result<(), Failure> {
    let name = from.clone().without_digest().with_digest(referrer.digest);
    let source = Watched { images: sending.client, transfers: sending.transfers };
    let found =
        closure::at_source(sending.lease, (Box::new(source), name.clone()), None, Class::Network)?;
    sending.untagged(&found.beside(name), to).map_err(|failure| {
        let kind = referrer.artifact_type.as_ref().unwrap_or(&referrer.media_type);
        failure
            .within(format!("{} of {} refers to the image", referrer.digest, kind.as_str()))
            .remedy("without --referrers the image alone is copied")
    })
}
