//! What calls about a file leave in the memory of their caller.

use rustix::fs::{Statx, makedev};

/// `struct stat` of this machine.
#[cfg(target_arch = "x86_64")]
pub(super) fn stat(stat: &Statx) -> Vec<u8> {
    let mut answer = Answer::of(144);
    answer.put(0, device(stat)).put(8, stat.stx_ino).put(16, u64::from(stat.stx_nlink));
    answer.put(24, u32::from(stat.stx_mode)).put(28, stat.stx_uid).put(32, stat.stx_gid);
    answer.put(40, stands_for(stat)).put(48, stat.stx_size);
    answer.put(56, u64::from(stat.stx_blksize)).put(64, stat.stx_blocks);
    answer.times(72, stat);
    answer.0
}

/// `struct stat` of this machine.
#[cfg(target_arch = "aarch64")]
pub(super) fn stat(stat: &Statx) -> Vec<u8> {
    let mut answer = Answer::of(128);
    answer.put(0, device(stat)).put(8, stat.stx_ino).put(16, u32::from(stat.stx_mode));
    answer.put(20, stat.stx_nlink).put(24, stat.stx_uid).put(28, stat.stx_gid);
    answer.put(32, stands_for(stat)).put(48, stat.stx_size);
    answer.put(56, stat.stx_blksize).put(64, stat.stx_blocks);
    answer.times(72, stat);
    answer.0
}

/// `struct stat64` of i386.
pub(super) fn small_stat(stat: &Statx) -> Vec<u8> {
    let mut answer = Answer::of(96);
    answer.put(0, device(stat)).put(12, first_half(stat.stx_ino));
    answer.put(16, u32::from(stat.stx_mode)).put(20, stat.stx_nlink);
    answer.put(24, stat.stx_uid).put(28, stat.stx_gid).put(32, stands_for(stat));
    answer.put(44, stat.stx_size).put(52, stat.stx_blksize).put(56, stat.stx_blocks);
    for (at, time) in [(64, stat.stx_atime), (72, stat.stx_mtime), (80, stat.stx_ctime)] {
        answer.put(at, first_half(time.tv_sec.cast_unsigned())).put(at + 4, time.tv_nsec);
    }
    answer.put(88, stat.stx_ino);
    answer.0
}

/// `struct statx`, the same everywhere.
pub(super) fn statx(stat: &Statx) -> Vec<u8> {
    let mut answer = Answer::of(256);
    answer.put(0, stat.stx_mask & BASIC_AND_BIRTH).put(4, stat.stx_blksize);
    answer.put(16, stat.stx_nlink).put(20, stat.stx_uid).put(24, stat.stx_gid);
    answer.put(28, stat.stx_mode).put(32, stat.stx_ino);
    answer.put(40, stat.stx_size).put(48, stat.stx_blocks);
    let times = [(64, stat.stx_atime), (80, stat.stx_btime), (96, stat.stx_ctime)];
    for (at, time) in times.into_iter().chain([(112, stat.stx_mtime)]) {
        answer.put(at, time.tv_sec.cast_unsigned()).put(at + 8, time.tv_nsec);
    }
    answer.put(128, stat.stx_rdev_major).put(132, stat.stx_rdev_minor);
    answer.put(136, stat.stx_dev_major).put(140, stat.stx_dev_minor);
    answer.0
}

/// Zeros, and numbers put among them.
struct Answer(Vec<u8>);

impl Answer {
    fn of(size: usize) -> Self {
        Self(vec![0; size])
    }

    fn put(&mut self, at: usize, number: impl Number) -> &mut Self {
        let bytes = number.bytes();
        self.0[at..at + bytes.len()].copy_from_slice(&bytes);
        self
    }

    /// The three times of a 64-bit `struct stat`.
    fn times(&mut self, at: usize, stat: &Statx) {
        for (index, time) in [stat.stx_atime, stat.stx_mtime, stat.stx_ctime].iter().enumerate() {
            self.put(at + 16 * index, time.tv_sec.cast_unsigned());
            self.put(at + 16 * index + 8, u64::from(time.tv_nsec));
        }
    }
}

/// A number of any width.
trait Number {
    fn bytes(self) -> Vec<u8>;
}

impl Number for u16 {
    fn bytes(self) -> Vec<u8> {
        self.to_ne_bytes().to_vec()
    }
}

impl Number for u32 {
    fn bytes(self) -> Vec<u8> {
        self.to_ne_bytes().to_vec()
    }
}

impl Number for u64 {
    fn bytes(self) -> Vec<u8> {
        self.to_ne_bytes().to_vec()
    }
}

fn device(stat: &Statx) -> u64 {
    makedev(stat.stx_dev_major, stat.stx_dev_minor)
}

fn stands_for(stat: &Statx) -> u64 {
    makedev(stat.stx_rdev_major, stat.stx_rdev_minor)
}

/// What fits into a field of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the whole number has a field of its own")]
fn first_half(number: u64) -> u32 {
    number as u32
}

/// `STATX_BASIC_STATS | STATX_BTIME`.
const BASIC_AND_BIRTH: u32 = 0xfff;
