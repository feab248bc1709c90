//! Content that is read while it is still being made, so that its digest is the last that is known of it.

use std::fmt;
use std::io::Read;

use crate::oci::descriptor::Descriptor;

/// A blob that somebody puts together.
pub trait GrowingContent: fmt::Debug + Send + Sync {
    /// Waits until it is longer than so many bytes, or no longer made; whether it is longer and still made.
    fn outgrows(&self, bytes: u64) -> bool;

    /// What it has become, once it is complete; `None` before, and for ever where it is given up.
    fn descriptor(&self) -> Option<Descriptor>;

    /// A reader from a place in it, which must be there already. It waits for what is not, ends where the
    /// complete blob does, and fails where that is given up.
    fn read_from(&self, at: u64) -> Box<dyn Read + Send + '_>;
}
