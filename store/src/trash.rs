//! What is deleted goes out of sight first, by a rename; the files go later, when there is time.

use std::cell::Cell;

use crate::id::hex;
use crate::sys;
use crate::vfs::Vfs;

/// Moves a directory out of sight under a name nothing in `trash/` has: what lies there may be
/// impossible to delete for us.
pub(crate) fn throw_away(vfs: &dyn Vfs, path: &str) -> std::io::Result<()> {
    vfs.publish(path, &format!("trash/{}", hex(&sys::random()?)))
}

/// Deletes a little of what was thrown away: so much that nobody notices who has other things to do.
pub(crate) fn empty_in_passing(vfs: &dyn Vfs) {
    let n_deleted = Cell::new(0);
    empty(vfs, &|| n_deleted.replace(n_deleted.get() + 1) < IN_PASSING);
}

/// A file is deleted in about ten microseconds, so that this many take five milliseconds: what whoever
/// collects in passing leaves of its time.
const IN_PASSING: u32 = 500;

/// Deletes what was thrown away, as far as we may, until told to stop.
pub(crate) fn empty(vfs: &dyn Vfs, go_on: &dyn Fn() -> bool) {
    for name in vfs.list("trash").unwrap_or_default() {
        if !go_on() {
            return;
        }
        let path = format!("trash/{name}");
        if let Err(error) = vfs.remove_tree_while(&path, go_on) {
            tracing::debug!(%error, path, "cannot remove yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::{OpenOptions, Store};

    #[test]
    fn much_is_deleted_in_several_goes() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), &OpenOptions::default()).unwrap();
        let trash = directory.path().join("trash/a/b");
        fs::create_dir_all(&trash).unwrap();
        for n in 0..IN_PASSING + 100 {
            fs::write(trash.join(n.to_string()), "").unwrap();
        }
        empty_in_passing(&**store.vfs());
        let n_left = fs::read_dir(&trash).unwrap().count();
        assert!((100..110).contains(&n_left), "{n_left}");
        empty_in_passing(&**store.vfs());
        assert!(!directory.path().join("trash/a").exists());
    }
}
