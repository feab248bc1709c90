//! Several things at once that mostly wait: for a network, a disk, or each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Does something with every item, on as many threads; the results are in the order of the items.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    if items.len() < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

/// How many may do something at once.
#[derive(Debug)]
pub(crate) struct Permits {
    free: Mutex<usize>,
    returned: Condvar,
}

/// The right to be one of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Permits);

impl Permits {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), returned: Condvar::new() }
    }

    /// Waits until there is room.
    pub(crate) fn acquire(&self) -> Permit<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.returned.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn items_are_worked_on_at_once_and_results_keep_their_order() {
        let barrier = Barrier::new(3);
        let work = |item: &usize| {
            barrier.wait();
            item * 2
        };
        assert_eq!(in_parallel(&[1, 2, 3], 8, work), [2, 4, 6]);
        assert_eq!(in_parallel(&[5], 1, |item| item + 1), [6]);
    }

    #[test]
    fn no_more_than_were_permitted_are_at_it() {
        let (permits, at_it) = (Permits::new(2), AtomicUsize::new(0));
        let most = in_parallel(&[(); 50], 8, |()| {
            let _permit = permits.acquire();
            let count = at_it.fetch_add(1, Ordering::SeqCst) + 1;
            std::thread::yield_now();
            at_it.fetch_sub(1, Ordering::SeqCst);
            count
        });
        assert!(most.iter().all(|count| *count <= 2), "{most:?}");
    }
}
