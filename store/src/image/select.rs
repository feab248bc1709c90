//! Which image of an index is meant.

use crate::oci::config::ImageConfig;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::{DocumentError, RawDocument};
use crate::oci::index::{Index, MAX_DEPTH};
use crate::oci::manifest::Manifest;
use crate::oci::platform::Platform;

/// The most entries without a platform whose configurations are looked into: there is one where a
/// tool forgot to say it, and each costs requests.
const MAX_UNNAMED: usize = 16;

/// What a root leads to for a platform.
pub(super) enum Selected {
    /// An image, by way of these indexes, outermost first.
    Image(Vec<RawDocument<Index>>, Box<RawDocument<Manifest>>),
    /// Nothing; there is something for these platforms.
    Nothing(Vec<Platform>),
    /// Something that is neither an index nor a manifest.
    Other(Descriptor),
    /// More indexes than anybody nests.
    TooDeep,
}

/// Finds the image for a platform.
pub(super) struct Search<'a, E> {
    pub(super) platform: &'a Platform,
    pub(super) read: &'a Read<'a, E>,
}

/// Gives the bytes of a document.
pub(super) type Read<'a, E> = dyn Fn(&Descriptor, Kind) -> Result<Vec<u8>, E> + 'a;

/// What a document is, which decides where it is to be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Configuration,
    Manifest,
}

impl<E: From<DocumentError>> Search<'_, E> {
    /// What `at` leads to. An image that nothing else is beside is taken whatever it is for.
    pub(super) fn run(&self, at: &Descriptor) -> Result<Selected, E> {
        self.visit(at, 0)
    }

    fn visit(&self, at: &Descriptor, depth: usize) -> Result<Selected, E> {
        if at.media_type.is_manifest() {
            let bytes = (self.read)(at, Kind::Manifest)?;
            return Ok(Selected::Image(Vec::new(), RawDocument::read(at, bytes)?.into()));
        }
        if !at.media_type.is_index() {
            return Ok(Selected::Other(at.clone()));
        }
        if depth == MAX_DEPTH {
            return Ok(Selected::TooDeep);
        }
        let index = RawDocument::<Index>::read(at, (self.read)(at, Kind::Manifest)?)?;
        let mut there: Vec<Platform> =
            index.value().images().filter_map(|entry| entry.platform.clone()).collect();
        for entry in candidates(index.value(), self.platform) {
            match self.visit(entry, depth + 1)? {
                Selected::Image(mut indexes, manifest) => {
                    if self.is_meant(index.value(), entry, &manifest)? {
                        indexes.insert(0, index);
                        return Ok(Selected::Image(indexes, manifest));
                    }
                }
                Selected::Nothing(others) => there.extend(others),
                Selected::Other(_) => {}
                Selected::TooDeep => return Ok(Selected::TooDeep),
            }
        }
        Ok(Selected::Nothing(there))
    }

    /// Whether an image is one that was asked for: as its entry says, as it says itself where the
    /// entry is silent, or because there is no other.
    fn is_meant(
        &self,
        index: &Index,
        entry: &Descriptor,
        manifest: &RawDocument<Manifest>,
    ) -> Result<bool, E> {
        let alone = index.images().nth(1).is_none();
        if entry.platform.is_some() || entry.media_type.is_index() || alone {
            return Ok(true);
        }
        let config = &manifest.value().config;
        if !config.media_type.is_config() {
            return Ok(false);
        }
        let bytes = (self.read)(config, Kind::Configuration)?;
        let config = RawDocument::<ImageConfig>::read(config, bytes)?.into_parts().1.platform();
        Ok(self.platform.compatible().iter().any(|wanted| wanted.accepts(&config)))
    }
}

/// The entries to look at, best first: those whose platform fits, then those that say none.
fn candidates<'a>(index: &'a Index, platform: &Platform) -> Vec<&'a Descriptor> {
    let mut found = index.ranked(platform);
    let silent = index.images().filter(|entry| entry.platform.is_none());
    found.extend(silent.take(MAX_UNNAMED));
    found
}
