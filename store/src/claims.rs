//! Work that is done once, by whoever comes first, while the others wait for it.
//!
//! The rule that keeps builds from hanging: whoever holds a claim may hand work to the pool, and work
//! in the pool asks for no claim. A thread of the pool that waits for others takes up whatever lies
//! next in the pool; if that could ask for a claim, it could ask for the one that the thread itself
//! holds. So claims are for the threads of steps and for the one that seals, and no lock is held
//! while a claim is.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What is being worked on.
#[derive(Debug)]
pub struct Claims<K> {
    taken: Mutex<BTreeSet<K>>,
    freed: Condvar,
}

/// The right to work on something alone, until it is dropped.
#[derive(Debug)]
pub struct Claim<'c, K: Copy + Ord> {
    claims: &'c Claims<K>,
    key: K,
}

impl<K> Default for Claims<K> {
    fn default() -> Self {
        Self { taken: Mutex::default(), freed: Condvar::new() }
    }
}

impl<K: Copy + Ord> Claims<K> {
    /// Waits until nobody else works on `key`. What they have made of it is there to be found then.
    pub fn claim(&self, key: K) -> Claim<'_, K> {
        let mut taken = self.taken();
        while !taken.insert(key) {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        Claim { claims: self, key }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Ord> Drop for Claim<'_, K> {
    fn drop(&mut self) {
        self.claims.taken().remove(&self.key);
        self.claims.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

    use super::*;

    #[test]
    fn one_at_a_time_works_on_a_thing_and_others_on_other_things() {
        let (claims, at_work) = (Claims::default(), [const { AtomicUsize::new(0) }; 3]);
        std::thread::scope(|scope| {
            for thread in 0..12 {
                let (claims, at_work) = (&claims, &at_work);
                scope.spawn(move || {
                    for round in 0..100 {
                        let key = (thread + round) % 3;
                        let _claim = claims.claim(key);
                        assert_eq!(at_work[key].fetch_add(1, Ordering::SeqCst), 0);
                        at_work[key].fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    /// What hung when a mutex was held instead, and the pool's threads asked for it.
    #[test]
    fn holders_that_work_in_the_pool_do_not_wait_for_themselves() {
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (claims, sum) = (Claims::default(), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                for layer in 0..8 {
                    let (claims, pool, sum) = (&claims, &pool, &sum);
                    scope.spawn(move || {
                        // Each needs all below it, as layers do.
                        for below in (0..=layer).rev() {
                            let _claim = claims.claim(below);
                            pool.install(|| {
                                (0..64).into_par_iter().for_each(|_| {
                                    sum.fetch_add(1, Ordering::Relaxed);
                                });
                            });
                        }
                    });
                }
            });
            assert_eq!(sum.into_inner(), 36 * 64, "{threads} threads");
        }
    }
}
