//! What base images say, as far as this machine knows: layouts and the store, no registry.

use wythe_store::image::catalog::open_image;
use wythe_store::image::resolve::resolve;
use wythe_store::oci::config::ImageConfig;
use wythe_store::oci::platform::Platform;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{SourceError, SourceProblem};
use wythe_store::store::Store;

use crate::bases::open_layout;
use crate::lower::{BaseFacts, Bases};
use crate::operation::BaseSource;
use crate::options::Options;

/// The images of this machine.
pub(super) struct Offline<'a> {
    pub(super) options: &'a Options,
    pub(super) store: Option<&'a Store>,
}

impl Bases for Offline<'_> {
    fn facts(&self, base: &BaseSource) -> Result<BaseFacts, SourceError> {
        match base {
            BaseSource::Directory { .. } => Ok(BaseFacts::default()),
            BaseSource::Image { reference, platform } => self.stored(reference, platform),
            BaseSource::Layout { context, platform } => {
                let (name, layout) = open_layout(self.options, context)?;
                let image = resolve(&layout, &name, platform)?;
                Ok(BaseFacts { config: image.config.value().clone() })
            }
        }
    }
}

impl Offline<'_> {
    fn stored(&self, reference: &Reference, platform: &Platform) -> Result<BaseFacts, SourceError> {
        let image = self.store.and_then(|store| open_image(store, reference, platform).ok()?);
        let config: Option<ImageConfig> = image.map(|image| image.config.value().clone());
        match config {
            Some(config) => Ok(BaseFacts { config }),
            None => Err(unknown(reference)),
        }
    }
}

/// That nothing is known of an image.
pub(crate) fn unknown(reference: &Reference) -> SourceError {
    let detail = "the image is not on this machine".to_owned();
    SourceError::new(reference, SourceProblem::NotFound { detail })
}
