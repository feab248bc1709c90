//! What tells an unchanged file from a changed one.

use rustix::fs::Stat;
use wythe_store::timestamp::Timestamp;

/// The facts about a file that cannot all stay the same while its bytes change.
///
/// `ctime` moves with every write and every change of mode, owner or extended attribute, and cannot
/// be set back.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FileStat {
    /// Device.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time.
    pub mtime: Timestamp,
    /// Time of the last change of the inode.
    pub ctime: Timestamp,
    /// Type and permission bits.
    pub mode: u32,
}

impl FileStat {
    #[expect(clippy::cast_sign_loss, reason = "the kernel reports no negative sizes")]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: stat.st_size as u64,
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
        }
    }
}

fn time(seconds: i64, nanos: u64) -> Timestamp {
    Timestamp { seconds, nanos: u32::try_from(nanos).unwrap_or_default() }
}
