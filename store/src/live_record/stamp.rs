//! How the directory of a layer was left.
//!
//! Whoever uses one looks at it once, from outside: the file system notes when anything of a
//! directory was last changed, and lets nobody set that. So one that was put in its place, that
//! somebody began to empty, or that was brought back by hand is another. What was changed further
//! below is not seen; that is what comparing is for.

use std::io;

use crate::live_record::LiveName;
use crate::timestamp::Timestamp;
use crate::vfs::{DirectoryNotes, Vfs};
use crate::wire::{Decoder, Encoder};

/// The directory of all these directories.
const HOME: &str = "live";

/// What was noted of a directory when it was recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    changed: Timestamp,
    modified: Timestamp,
    /// The number of the directory that it lies in, which a copy of a store does not have.
    home: u64,
}

impl Stamp {
    /// The stamp of a directory that is there.
    ///
    /// # Errors
    ///
    /// If there is no such directory, or it cannot be looked at.
    pub fn of(vfs: &dyn Vfs, name: &LiveName) -> io::Result<Self> {
        let DirectoryNotes { changed, modified, .. } = seen(vfs, &name.path())?;
        Ok(Self { changed, modified, home: seen(vfs, HOME)?.inode })
    }

    /// Whether a directory is as it was left. In a copy of a store everything has changed, and only
    /// the time that copies keep tells.
    pub(crate) fn is_of(&self, vfs: &dyn Vfs, found: &DirectoryNotes) -> io::Result<bool> {
        Ok(found.changed == self.changed
            || found.modified == self.modified && seen(vfs, HOME)?.inode != self.home)
    }

    pub(super) fn write(&self, out: &mut Encoder) {
        for Timestamp { seconds, nanos } in [self.changed, self.modified] {
            out.number(seconds.cast_unsigned()).number(u64::from(nanos));
        }
        out.number(self.home);
    }

    pub(super) fn read(from: &mut Decoder<'_>) -> Option<Self> {
        let changed = moment(from)?;
        let modified = moment(from)?;
        Some(Self { changed, modified, home: from.number()? })
    }
}

fn moment(from: &mut Decoder<'_>) -> Option<Timestamp> {
    let (seconds, nanos) = (from.number()?.cast_signed(), from.number()?);
    Some(Timestamp { seconds, nanos: u32::try_from(nanos).ok()? })
}

fn seen(vfs: &dyn Vfs, path: &str) -> io::Result<DirectoryNotes> {
    vfs.noted(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Disk;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    /// Whether a directory that is treated so passes for the one that was recorded.
    fn passes(treat: impl FnOnce(&Path)) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let (vfs, name) = (Disk::open(directory.path()).unwrap(), LiveName::new("abcd").unwrap());
        let path = directory.path().join(name.path());
        fs::create_dir_all(path.join("etc")).unwrap();
        fs::write(path.join("file"), "1").unwrap();
        let stamp = Stamp::of(&vfs, &name).unwrap();
        // Some file systems count time in ticks.
        std::thread::sleep(std::time::Duration::from_millis(20));
        treat(&path);
        let found = vfs.noted(&name.path()).unwrap();
        found.is_some_and(|found| stamp.is_of(&vfs, &found).unwrap())
    }

    /// Gives a directory the time of another.
    fn keep_time(of: &Path, to: &Path) {
        let time = fs::metadata(of).unwrap().modified().unwrap();
        fs::File::open(to).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn what_was_only_read_passes() {
        assert!(passes(|path| {
            let _names = fs::read_dir(path).unwrap().count();
            fs::read(path.join("file")).unwrap();
        }));
    }

    #[test]
    fn what_was_emptied_replaced_brought_back_or_given_another_mode_does_not() {
        assert!(!passes(|path| fs::remove_file(path.join("file")).unwrap()));
        assert!(!passes(|path| fs::remove_dir_all(path).unwrap()));
        assert!(!passes(|path| {
            fs::remove_dir_all(path).unwrap();
            fs::write(path, "").unwrap();
        }));
        assert!(!passes(|path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }));
        assert!(!passes(|path| {
            let aside = path.with_extension("aside");
            fs::rename(path, &aside).unwrap();
            fs::create_dir(path).unwrap();
            keep_time(&aside, path);
        }));
    }

    #[test]
    fn in_a_copy_of_the_store_the_time_that_copies_keep_tells() {
        let copy = |path: &Path| {
            let (home, aside) = (path.parent().unwrap(), path.ancestors().nth(2).unwrap());
            let aside = aside.join("aside");
            fs::rename(home, &aside).unwrap();
            fs::create_dir_all(path.join("etc")).unwrap();
            fs::write(path.join("file"), "1").unwrap();
            keep_time(&aside.join("abcd"), path);
        };
        assert!(passes(copy));
        assert!(!passes(|path| {
            copy(path);
            fs::remove_file(path.join("file")).unwrap();
        }));
    }
}
