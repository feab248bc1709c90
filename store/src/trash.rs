//! What is deleted goes out of sight first, by a rename; the files go later, when there is time.

use crate::id::hex;
use crate::sys;
use crate::vfs::Vfs;

/// Moves a directory out of sight under a name nothing in `trash/` has: what lies there may be
/// impossible to delete for us.
pub(crate) fn throw_away(vfs: &dyn Vfs, path: &str) -> std::io::Result<()> {
    vfs.publish(path, &format!("trash/{}", hex(&sys::random()?)))
}

/// Deletes what was thrown away, as far as we may.
pub(crate) fn empty(vfs: &dyn Vfs) {
    for name in vfs.list("trash").unwrap_or_default() {
        let path = format!("trash/{name}");
        if let Err(error) = vfs.remove_tree(&path) {
            tracing::debug!(%error, path, "cannot remove yet");
        }
    }
}
