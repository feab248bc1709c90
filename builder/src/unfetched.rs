//! A source of images for builds that are to fetch nothing.

use std::io::Read;

use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;
use wythe_store::oci::source::{ImageSource, SourceError, SourceProblem};

/// Has no image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoImages;

impl ImageSource for NoImages {
    fn manifest(&self, reference: &Reference) -> Result<(Descriptor, Vec<u8>), SourceError> {
        Err(refused(reference))
    }

    fn blob(
        &self,
        reference: &Reference,
        _: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        Err(refused(reference))
    }
}

fn refused(reference: &Reference) -> SourceError {
    let detail = "this build may not fetch anything".to_owned();
    SourceError::new(reference, SourceProblem::Network { detail })
}
