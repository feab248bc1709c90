//! The same question about many things, asked by a few threads.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What `ask` says to each of `items`, in their order, on so many threads at most.
pub fn each<T: Sync, R: Send>(items: &[T], threads: usize, ask: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while let Some((number, item)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            items.get(number).map(|item| (number, item))
        } {
            let answer = ask(item);
            answers.lock().unwrap_or_else(PoisonError::into_inner).push((number, answer));
        }
    };
    std::thread::scope(|scope| {
        // The calling thread is one of them.
        for _ in 1..threads.min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Those of `items` of which `is` says so, in their order.
///
/// # Errors
///
/// The first, in their order, that `is` makes.
pub fn those<T: Copy + Sync, E: Send>(
    items: &[T],
    threads: usize,
    is: impl Fn(&T) -> Result<bool, E> + Sync,
) -> Result<Vec<T>, E> {
    let mut found = Vec::new();
    for (item, answer) in items.iter().zip(each(items, threads, is)) {
        if answer? {
            found.push(*item);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_what_was_asked() {
        for (items, threads) in [(0, 4), (1, 4), (100, 4), (100, 1)] {
            let items: Vec<usize> = (0..items).collect();
            assert_eq!(
                each(&items, threads, |item| item + 1),
                items.iter().map(|n| n + 1).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn those_that_are_meant_keep_their_order_and_a_failure_is_told() {
        let even = |item: &usize| if *item < 9 { Ok(item.is_multiple_of(2)) } else { Err(*item) };
        assert_eq!(those(&[4, 1, 2, 3, 8], 3, even), Ok(vec![4, 2, 8]));
        assert_eq!(those(&[4, 9, 2], 3, even), Err(9));
    }
}
