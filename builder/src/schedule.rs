//! Runs the steps of a graph as soon as their inputs are there, several at once.
//!
//! A step runs on a thread of its own: it mostly sleeps, waiting for a process, a disk or a
//! registry, so a thread per running step costs nothing and a thread pool would only be in the way.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Which steps there are and what each waits for.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// For each step the steps whose results it needs, all of lower index.
    pub inputs: Vec<Vec<usize>>,
}

/// Where every step stands.
#[derive(Debug)]
struct Board<E> {
    ready: BTreeSet<usize>,
    missing: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    unfinished: usize,
    failure: Option<E>,
}

/// Runs every step of `plan` once, after its inputs, at most `jobs` at a time.
///
/// The first failure stops new steps from starting, and `stop` is called, which is to end those that
/// run; they are waited for.
///
/// # Errors
///
/// The first error that a step returned.
pub fn run<E: Send>(
    plan: &Plan,
    jobs: NonZeroUsize,
    step: &(dyn Fn(usize) -> Result<(), E> + Sync),
    stop: &(dyn Fn() + Sync),
) -> Result<(), E> {
    let board = Mutex::new(Board::new(plan));
    let wake = Condvar::new();
    let workers = jobs.get().min(plan.inputs.len());
    std::thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(|| work((&board, &wake), step, stop));
        }
        work((&board, &wake), step, stop);
    });
    let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    board.failure.map_or(Ok(()), Err)
}

fn work<E>(
    (board, wake): (&Mutex<Board<E>>, &Condvar),
    step: &(dyn Fn(usize) -> Result<(), E> + Sync),
    stop: &(dyn Fn() + Sync),
) {
    while let Some(index) = next(board, wake) {
        let outcome = step(index);
        let failed = outcome.is_err();
        // Noted before others are stopped, whose ends are none of the reasons.
        lock(board).finish(index, outcome);
        if failed {
            stop();
        }
        wake.notify_all();
    }
}

/// The next step to run; waits while others may still free one.
fn next<E>(board: &Mutex<Board<E>>, wake: &Condvar) -> Option<usize> {
    let mut state = lock(board);
    loop {
        if state.unfinished == 0 || state.failure.is_some() {
            return None;
        }
        if let Some(index) = state.ready.pop_first() {
            return Some(index);
        }
        state = wake.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

fn lock<E>(board: &Mutex<Board<E>>) -> MutexGuard<'_, Board<E>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E> Board<E> {
    fn new(plan: &Plan) -> Self {
        let count = plan.inputs.len();
        let mut dependents = vec![Vec::new(); count];
        for (index, inputs) in plan.inputs.iter().enumerate() {
            for &input in inputs {
                dependents[input].push(index);
            }
        }
        let missing: Vec<usize> = plan.inputs.iter().map(Vec::len).collect();
        let ready = (0..count).filter(|&index| missing[index] == 0).collect();
        Self { ready, missing, dependents, unfinished: count, failure: None }
    }

    fn finish(&mut self, index: usize, outcome: Result<(), E>) {
        self.unfinished -= 1;
        match outcome {
            Ok(()) => self.release(index),
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }

    fn release(&mut self, index: usize) {
        for dependent in std::mem::take(&mut self.dependents[index]) {
            self.missing[dependent] -= 1;
            if self.missing[dependent] == 0 {
                self.ready.insert(dependent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn jobs(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    #[test]
    fn a_step_runs_after_all_its_inputs() {
        let plan = Plan { inputs: vec![vec![], vec![0], vec![0], vec![1, 2], vec![]] };
        for count in [1, 2, 8] {
            let done = Mutex::new(Vec::new());
            let step = |index: usize| {
                let mut done = done.lock().unwrap();
                assert!(plan.inputs[index].iter().all(|input| done.contains(input)), "{index}");
                done.push(index);
                Ok::<(), ()>(())
            };
            run(&plan, jobs(count), &step, &|| {}).unwrap();
            assert_eq!(done.into_inner().unwrap().len(), 5, "with {count} jobs");
        }
    }

    #[test]
    fn independent_steps_run_at_the_same_time() {
        let plan = Plan { inputs: vec![vec![], vec![], vec![]] };
        let barrier = Barrier::new(3);
        let step = |_| {
            barrier.wait();
            Ok::<(), ()>(())
        };
        run(&plan, jobs(3), &step, &|| {}).unwrap();
    }

    #[test]
    fn a_failure_keeps_later_steps_from_starting() {
        let plan = Plan { inputs: vec![vec![], vec![0], vec![1]] };
        let started = AtomicUsize::new(0);
        let step = |index| {
            started.fetch_add(1, Ordering::SeqCst);
            if index == 1 { Err("no") } else { Ok(()) }
        };
        assert_eq!(run(&plan, jobs(2), &step, &|| {}), Err("no"));
        assert_eq!(started.into_inner(), 2);
    }

    #[test]
    fn a_failure_stops_those_that_run_and_is_the_one_that_is_told() {
        let plan = Plan { inputs: vec![vec![], vec![]] };
        let (send, receive) = std::sync::mpsc::channel();
        let (send, receive) = (Mutex::new(send), Mutex::new(receive));
        let step = |index| match index {
            0 => Err("failed"),
            _ => receive.lock().unwrap().recv().map_err(|_| "never stopped").and(Err("stopped")),
        };
        let stop = || send.lock().unwrap().send(()).unwrap();
        assert_eq!(run(&plan, jobs(2), &step, &stop), Err("failed"));
    }

    #[test]
    fn an_empty_plan_is_done_at_once() {
        assert_eq!(run(&Plan::default(), jobs(4), &|_| Ok::<(), ()>(()), &|| {}), Ok(()));
    }
}
