//! Where a file system is to put what fills a disk with names: apart from what was there before.
//!
//! ext4 puts a new directory near the one it is in, and files near their directory. Without a journal, as on
//! many virtual machines, it keeps away from inodes that were freed within the last minutes, and
//! looks at each of them, one by one, for every file that it makes near them: a layer of 50,000 files unpacked
//! where a store has just been deleted took ten to twenty times as long. A directory with the flag
//! of top-level directories (`chattr +T`) has its subdirectories far from itself, where few others are.

use crate::vfs::Vfs;

/// The directories of a store whose subdirectories are filled with many files: by leases, which unpack and
/// run steps there, and by cache mounts. Layers and packs are made in the former and renamed.
const OUT_OF: [&str; 2] = ["work", "caches"];

/// Has the subdirectories of these made apart, where the file system can do that. What it cannot is no
/// error. Copies of a store do not have the flag, so this is done once per boot.
pub(crate) fn out(vfs: &dyn Vfs) {
    for directory in OUT_OF {
        if let Err(error) = vfs.spread(directory) {
            tracing::debug!(%error, directory, "cannot have directories made apart");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

    use super::*;
    use crate::store::{OpenOptions, Store};

    fn is_apart(directory: &Path) -> bool {
        ioctl_getflags(File::open(directory).unwrap()).is_ok_and(|f| f.contains(IFlags::TOPDIR))
    }

    fn set(directory: &Path, change: impl Fn(IFlags) -> IFlags) -> rustix::io::Result<()> {
        let opened = File::open(directory).unwrap();
        ioctl_setflags(&opened, change(ioctl_getflags(&opened)?))
    }

    fn open(path: &Path, boot: u8) -> Store {
        let options = OpenOptions { boot: [boot; 16], ..OpenOptions::default() };
        Store::open(path, &options).unwrap()
    }

    #[test]
    fn what_is_filled_with_files_is_made_apart_where_the_file_system_can() {
        let directory = tempfile::tempdir().unwrap();
        let (trial, store) = (directory.path().join("trial"), directory.path().join("store"));
        std::fs::create_dir(&trial).unwrap();
        let can = set(&trial, |flags| flags | IFlags::TOPDIR).is_ok() && is_apart(&trial);
        drop(open(&store, 1));
        for name in OUT_OF {
            assert_eq!(is_apart(&store.join(name)), can, "{name}");
            if can {
                set(&store.join(name), |flags| flags - IFlags::TOPDIR).unwrap();
            }
        }
        drop(open(&store, 1));
        assert!(!is_apart(&store.join("work")), "asked for once per boot");
        drop(open(&store, 2));
        for name in OUT_OF {
            assert_eq!(is_apart(&store.join(name)), can, "a copy of a store, {name}");
        }
    }
}
