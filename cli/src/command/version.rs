//! `wythe version`.

use crate::args::store::VersionArgs;
use crate::failure::Failure;
use crate::session::Session;

/// Prints the version.
pub(crate) fn run(_args: &VersionArgs, session: &Session) -> Result<(), Failure> {
    session.print(concat!("wythe ", env!("CARGO_PKG_VERSION")))
}
