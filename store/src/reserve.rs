//! Room that is kept for collection: on a disk without a free byte or inode it could not begin, for
//! it has to write down what goes before anything goes.

use std::io;

use crate::vfs::Vfs;

/// Where it lies. What these files hold is of no meaning.
const FILES: [&str; 4] = ["reserve/0", "reserve/1", "reserve/2", "reserve/3"];

const FOLDER: &str = "reserve";

/// Together as much as the journal needs to condemn some thousands of files.
const SIZE: usize = 64 * 1024;

/// Gives it up; says whether there was any.
pub(crate) fn spend(vfs: &dyn Vfs) -> bool {
    FILES.iter().filter(|path| vfs.unlink(path).is_ok()).count() > 0
}

/// Makes what is missing of it. Where there is no room the next collection tries again.
pub(crate) fn keep(vfs: &dyn Vfs) {
    if let Err(error) =
        vfs.make_dir(FOLDER).and_then(|()| FILES.iter().try_for_each(|path| make(vfs, path)))
    {
        tracing::debug!(%error, "cannot keep a reserve");
    }
}

fn make(vfs: &dyn Vfs, path: &str) -> io::Result<()> {
    if vfs.exists(path)? {
        return Ok(());
    }
    // Bytes that a file system which compresses cannot make fewer.
    let byte = |at: u32| at.wrapping_mul(at).wrapping_mul(2_654_435_761).to_le_bytes()[3];
    let bytes: Vec<u8> = (0..u32::try_from(SIZE).unwrap_or(0)).map(byte).collect();
    let file = vfs.create(path)?;
    file.append(&bytes).inspect_err(|_| {
        // Half of one is none.
        let removed = vfs.unlink(path);
        tracing::debug!(?removed, path, "there is no room for it");
    })
}
