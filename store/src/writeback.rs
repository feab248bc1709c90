//! Having files written to the disk while more of them is made, so that a sync at the end has less to wait for.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::map::begin_writeback;

/// Who tells the disk to write a file: a thread at a time, for a disk that is busy keeps it waiting.
#[derive(Debug, Default)]
pub(crate) struct Writeback {
    is_busy: Arc<AtomicBool>,
}

impl Writeback {
    /// Begins with a part of a file, unless an earlier one is still under way. Says whether it did.
    pub(crate) fn begin(&self, file: &File, range: Range<u64>) -> bool {
        if self.is_busy.swap(true, Ordering::Acquire) {
            return false;
        }
        let is_busy = Arc::clone(&self.is_busy);
        let begun = file.try_clone().and_then(|file| {
            thread::Builder::new().name("writeback".to_owned()).spawn(move || {
                begin_writeback(&file, range);
                is_busy.store(false, Ordering::Release);
            })
        });
        if let Err(error) = &begun {
            self.is_busy.store(false, Ordering::Release);
            tracing::debug!(%error, "nobody to write early");
        }
        begun.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn one_part_is_under_way_at_a_time() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 10_000]).unwrap();
        let writeback = Writeback::default();
        writeback.is_busy.store(true, Ordering::Relaxed);
        assert!(!writeback.begin(&file, 0..10_000));
        writeback.is_busy.store(false, Ordering::Relaxed);
        assert!(writeback.begin(&file, 0..10_000));
        while !writeback.begin(&file, 10_000..20_000) {
            thread::yield_now();
        }
    }
}
