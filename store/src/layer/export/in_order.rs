//! Work that a pool does side by side, and whose results are taken in their order, each as soon as it can be: nobody
//! waits for the slowest of a window.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rayon::{ScopeFifo, ThreadPool, Yield};

/// How long a thread of the pool that finds no work waits for a result before it looks for work again.
const IDLE: Duration = Duration::from_micros(200);

/// Nobody wants any more items.
#[derive(Debug)]
pub(super) struct Stopped;

/// Takes an item of some weight; waits where there is too much on its way.
pub(super) type Push<'a, T> = &'a mut dyn FnMut(T, u64) -> Result<(), Stopped>;

/// Who works, and how much may be on its way, by the weights of items. One item always may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workers<'a> {
    /// Called by whoever is none of its threads; `None` for the pool that this is called in.
    pub(super) pool: Option<&'a ThreadPool>,
    /// How much is handed over and not taken.
    pub(super) room: u64,
}

/// Has `work` done with all that `feed` pushes, on a thread of its own, and gives the results to `take` in the order
/// of the items, on this thread.
///
/// # Errors
///
/// The first of `take` and `work` in the order of the items, else that of `feed`.
pub(super) fn in_order<T: Send, R: Send, E: Send>(
    workers: Workers<'_>,
    feed: impl FnOnce(Push<'_, T>) -> Result<(), E> + Send,
    work: impl Fn(T) -> Result<R, E> + Sync,
    take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let (work, room) = (&work, &Room::new(workers.room));
    match workers.pool {
        Some(pool) => pool.in_place_scope_fifo(|scope| within(scope, room, (feed, work, take))),
        None => rayon::in_place_scope_fifo(|scope| within(scope, room, (feed, work, take))),
    }
}

fn within<'scope, T, R, E>(
    scope: &ScopeFifo<'scope>,
    room: &Room,
    (feed, work, take): (
        impl FnOnce(Push<'_, T>) -> Result<(), E> + Send,
        &'scope (impl Fn(T) -> Result<R, E> + Sync),
        impl FnMut(R) -> Result<(), E>,
    ),
) -> Result<(), E>
where
    T: Send + 'scope,
    R: Send + 'scope,
    E: Send + 'scope,
{
    let (sender, results) = channel();
    thread::scope(|threads| {
        let closing = Closing(room);
        let feeding = threads.spawn(move || {
            let mut number = 0;
            feed(&mut |item, weight| {
                room.enter(weight)?;
                let promise = Promise { number, weight, sender: sender.clone(), result: None };
                number += 1;
                scope.spawn_fifo(move |_| promise.keep(work(item)));
                Ok(())
            })
        });
        let taken = take_all(&results, room, take);
        drop(closing);
        let fed = feeding.join().unwrap_or_else(|panic| resume_unwind(panic));
        taken.and(fed)
    })
}

fn take_all<R, E>(
    results: &Receiver<Done<R, E>>,
    room: &Room,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let (mut early, mut next) = (BTreeMap::new(), 0);
    while let Some(done) = receive(results) {
        early.insert(done.number, (done.weight, done.result));
        while let Some((weight, result)) = early.remove(&next) {
            // One that panicked has none, and the scope passes the panic on.
            let Some(result) = result else { return Ok(()) };
            take(result?)?;
            room.leave(weight);
            next += 1;
        }
    }
    Ok(())
}

/// The next result that is done; `None` after the last. A thread of the pool does what there is to do meanwhile:
/// it may be the only one.
fn receive<D>(results: &Receiver<D>) -> Option<D> {
    if rayon::current_thread_index().is_none() {
        return results.recv().ok();
    }
    loop {
        match results.try_recv() {
            Ok(done) => return Some(done),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        if rayon::yield_now() == Some(Yield::Executed) {
            continue;
        }
        match results.recv_timeout(IDLE) {
            Ok(done) => return Some(done),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// What became of an item: nothing where the work panicked.
struct Done<R, E> {
    number: usize,
    weight: u64,
    result: Option<Result<R, E>>,
}

/// What an item will become. That is sent whatever it is.
struct Promise<R, E> {
    number: usize,
    weight: u64,
    result: Option<Result<R, E>>,
    sender: Sender<Done<R, E>>,
}

impl<R, E> Promise<R, E> {
    fn keep(mut self, result: Result<R, E>) {
        self.result = Some(result);
    }
}

impl<R, E> Drop for Promise<R, E> {
    fn drop(&mut self) {
        let result = self.result.take();
        // Nobody listens any more where a result before this one was an error.
        let _ = self.sender.send(Done { number: self.number, weight: self.weight, result });
    }
}

/// How much is on its way.
struct Room {
    limit: u64,
    state: Mutex<Occupied>,
    changed: Condvar,
}

#[derive(Default)]
struct Occupied {
    weight: u64,
    is_closed: bool,
}

/// Closes the room, also where somebody panics: nobody waits for room then.
struct Closing<'a>(&'a Room);

impl Room {
    fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    fn enter(&self, weight: u64) -> Result<(), Stopped> {
        let is_full = |state: &mut Occupied| {
            !state.is_closed && 0 < state.weight && self.limit < state.weight + weight
        };
        let state = self.changed.wait_while(self.state(), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.weight += weight;
        if state.is_closed { Err(Stopped) } else { Ok(()) }
    }

    fn leave(&self, weight: u64) {
        self.state().weight -= weight;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, Occupied> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    /// Twice the numbers up to 200, where each weighs something else.
    fn doubled(workers: Workers<'_>) -> Vec<u64> {
        let mut taken = Vec::new();
        let feed = |push: Push<'_, u64>| {
            (0..200).try_for_each(|n| push(n, n % 7)).map_err(|Stopped| "stopped")
        };
        in_order(
            workers,
            feed,
            |n| Ok(2 * n),
            |n| {
                taken.push(n);
                Ok(())
            },
        )
        .unwrap();
        taken
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads_within_the_pool_and_without() {
        let expected: Vec<u64> = (0..200).map(|n| 2 * n).collect();
        for (threads, room) in [(1, 0), (1, 50), (3, 5), (8, 1000)] {
            let pool = pool(threads);
            assert_eq!(doubled(Workers { pool: Some(&pool), room }), expected);
            assert_eq!(pool.install(|| doubled(Workers { pool: None, room })), expected);
        }
    }

    #[test]
    fn no_more_is_on_its_way_than_there_is_room_for() {
        let (pool, fed, taken) = (pool(2), AtomicU64::new(0), AtomicU64::new(0));
        let feed = |push: Push<'_, u64>| {
            (0..100).try_for_each(|n| {
                push(n, 10)?;
                fed.fetch_add(10, Ordering::SeqCst);
                Ok(())
            })
        };
        let take = |_| {
            let on_its_way = fed.load(Ordering::SeqCst) - taken.fetch_add(10, Ordering::SeqCst);
            // What was let in and is not counted yet is one more.
            assert!(on_its_way <= 40, "{on_its_way}");
            Ok(())
        };
        let workers = Workers { pool: Some(&pool), room: 30 };
        in_order(workers, |push| feed(push).map_err(|Stopped| ()), Ok, take).unwrap();
        assert_eq!(taken.into_inner(), 1000);
    }

    #[test]
    fn the_first_failure_ends_the_feeding() {
        let (pool, fed) = (pool(2), AtomicU64::new(0));
        let feed = |push: Push<'_, u64>| {
            for n in 0.. {
                if push(n, 1).is_err() {
                    return Ok(());
                }
                fed.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        };
        let work = |n| if n == 20 { Err("twenty") } else { Ok(n) };
        let workers = Workers { pool: Some(&pool), room: 10 };
        assert_eq!(in_order(workers, feed, work, |_| Ok(())), Err("twenty"));
        assert!(fed.into_inner() <= 31);
        let failed = in_order(workers, feed_one, Ok, |_| Err("full"));
        assert_eq!(failed, Err("full"));
        let failed = in_order(workers, |_| Err("unreadable"), Ok::<u64, _>, |_| Ok(()));
        assert_eq!(failed, Err("unreadable"));
    }

    fn feed_one(push: Push<'_, u64>) -> Result<(), &'static str> {
        push(1, 1).map_err(|Stopped| "stopped")
    }

    #[test]
    fn a_panic_is_passed_on_and_leaves_nobody_waiting() {
        let panicked = std::panic::catch_unwind(|| {
            let pool = pool(2);
            let feed = |push: Push<'_, u64>| {
                let _ = (0..1000).try_for_each(|n| push(n, 1));
                Ok::<_, ()>(())
            };
            let work = |n| if n == 20 { panic!("twenty") } else { Ok(n) };
            in_order(Workers { pool: Some(&pool), room: 10 }, feed, work, |_| Ok(()))
        });
        assert!(panicked.is_err());
    }
}
