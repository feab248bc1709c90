//! What tells an unchanged file from a changed one.

use rustix::fs::Stat;
use wythe_store::stat_cache::FileStat;
use wythe_store::timestamp::Timestamp;

/// The facts about a file that cannot all stay the same while its bytes change.
///
/// `ctime` moves with every write and every change of mode, owner or extended attribute, and cannot
/// be set back.
#[expect(clippy::cast_sign_loss, reason = "the kernel reports no negative sizes")]
pub(crate) fn facts(stat: &Stat) -> FileStat {
    FileStat {
        device: stat.st_dev,
        inode: stat.st_ino,
        size: stat.st_size as u64,
        mode: stat.st_mode,
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// When the content changed.
pub(crate) fn mtime(stat: &Stat) -> Timestamp {
    time(stat.st_mtime, stat.st_mtime_nsec)
}

fn time(seconds: i64, nanos: u64) -> Timestamp {
    Timestamp { seconds, nanos: u32::try_from(nanos).unwrap_or_default() }
}
