//! How many do something at once that takes memory or a network.

use std::sync::{Condvar, Mutex, PoisonError};

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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use wythe_store::side_by_side::side_by_side;

    use super::*;

    #[test]
    fn no_more_than_were_permitted_are_at_it() {
        let (permits, at_it) = (Permits::new(2), AtomicUsize::new(0));
        let most = side_by_side(&[(); 50], 8, |()| {
            let _permit = permits.acquire();
            let count = at_it.fetch_add(1, Ordering::SeqCst) + 1;
            std::thread::yield_now();
            at_it.fetch_sub(1, Ordering::SeqCst);
            count
        });
        assert!(most.iter().all(|count| *count <= 2), "{most:?}");
    }
}
