//! Doing the same with several things at once where each waits for the system.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What `each` answers for every item, in their order. As many as `at_a_time` run at once, on the calling
/// thread and on threads that are there for this only: none of a pool waits.
pub fn side_by_side<T: Sync, A: Send>(
    items: &[T],
    at_a_time: usize,
    each: impl Fn(&T) -> A + Sync,
) -> Vec<A> {
    let next = AtomicUsize::new(0);
    let answers: Vec<Mutex<Option<A>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        while let Some(at) = claim(&next, items.len()) {
            let answer = each(&items[at]);
            *answers[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..at_a_time.min(items.len()) {
            // Where the system has no more threads, those that there are do it all.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let taken =
        answers.into_iter().map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
    taken.flatten().collect()
}

fn claim(next: &AtomicUsize, count: usize) -> Option<usize> {
    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < count)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        for at_a_time in [0, 1, 3, 200] {
            assert_eq!(side_by_side(&items, at_a_time, |item| item * 2), doubled(&items));
        }
        assert!(side_by_side(&[], 8, |item: &usize| *item).is_empty());
    }

    fn doubled(items: &[usize]) -> Vec<usize> {
        items.iter().map(|item| item * 2).collect()
    }

    #[test]
    fn as_many_run_at_once_as_are_asked_for() {
        let barrier = Barrier::new(3);
        let waited = side_by_side(&[(); 3], 3, |()| barrier.wait().is_leader());
        assert_eq!(waited.into_iter().filter(|leads| *leads).count(), 1);
    }
}
