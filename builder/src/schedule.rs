//! Runs the steps of a graph as soon as their inputs are there, several at once.
//!
//! A step runs on a thread of its own: it mostly sleeps, waiting for a process, a disk or a
//! registry, so a thread per running step costs nothing and a thread pool would only be in the way.
//! Steps may become known while others run already.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A step, and the numbers of those whose results it needs: all that were added are numbered from 0.
pub type Planned<T> = (T, Vec<usize>);

/// Steps to run, of which more may come.
///
/// A thread that waits is woken for a step, and wakes the next one if there is another step: of the many that
/// wait while a long stage runs step by step none is woken for nothing.
#[derive(Debug)]
pub struct Schedule<T, E> {
    board: Mutex<Board<T, E>>,
    wake: Condvar,
}

/// Whether more steps may come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Intake {
    Open,
    Closed,
}

/// Where every step stands.
#[derive(Debug)]
struct Board<T, E> {
    steps: Vec<T>,
    intake: Intake,
    ready: BTreeSet<usize>,
    missing: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    finished: BTreeSet<usize>,
    failure: Option<E>,
}

impl<T, E> Default for Schedule<T, E> {
    fn default() -> Self {
        Self { board: Mutex::new(Board::new()), wake: Condvar::new() }
    }
}

impl<T: Copy + Send, E: Send> Schedule<T, E> {
    /// Adds steps. What each needs was added before it, now or earlier.
    pub fn add(&self, steps: Vec<Planned<T>>) {
        let mut board = self.lock();
        for (step, inputs) in steps {
            board.add(step, &inputs);
        }
        self.wake.notify_one();
    }

    /// No more steps come.
    pub fn close(&self) {
        self.lock().intake = Intake::Closed;
        self.wake.notify_all();
    }

    /// Runs every step once, after its inputs, at most `jobs` at a time, until there are no more and
    /// none can come.
    ///
    /// The first failure stops new steps from starting, and `stop` is called, which is to end those that
    /// run; they are waited for.
    ///
    /// # Errors
    ///
    /// The first error that a step returned.
    pub fn run(
        &self,
        jobs: NonZeroUsize,
        step: &(dyn Fn(T) -> Result<(), E> + Sync),
        stop: &(dyn Fn() + Sync),
    ) -> Result<(), E> {
        std::thread::scope(|scope| {
            for _ in 1..self.lock().workers(jobs) {
                scope.spawn(|| self.work(step, stop));
            }
            self.work(step, stop);
        });
        self.lock().failure.take().map_or(Ok(()), Err)
    }

    fn work(&self, step: &(dyn Fn(T) -> Result<(), E> + Sync), stop: &(dyn Fn() + Sync)) {
        while let Some((number, next)) = self.next() {
            let outcome = step(next);
            let failed = outcome.is_err();
            // Noted before others are stopped, whose ends are none of the reasons.
            let is_over = self.finish(number, outcome);
            if failed {
                stop();
            }
            if is_over {
                self.wake.notify_all();
            }
        }
    }

    /// Notes the end of a step; whether no other one begins any more.
    fn finish(&self, number: usize, outcome: Result<(), E>) -> bool {
        let mut board = self.lock();
        board.finish(number, outcome);
        board.is_over()
    }

    /// The next step to run; waits while others may still free one, or more may come.
    fn next(&self) -> Option<(usize, T)> {
        let mut board = self.lock();
        loop {
            if board.is_over() {
                return None;
            }
            if let Some(number) = board.ready.pop_first() {
                if !board.ready.is_empty() {
                    self.wake.notify_one();
                }
                return Some((number, board.steps[number]));
            }
            board = self.wake.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board<T, E>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Board<T, E> {
    fn new() -> Self {
        Self {
            steps: Vec::new(),
            intake: Intake::Open,
            ready: BTreeSet::new(),
            missing: Vec::new(),
            dependents: Vec::new(),
            finished: BTreeSet::new(),
            failure: None,
        }
    }

    fn add(&mut self, step: T, inputs: &[usize]) {
        let number = self.steps.len();
        let open: Vec<usize> =
            inputs.iter().copied().filter(|input| !self.finished.contains(input)).collect();
        for &input in &open {
            self.dependents[input].push(number);
        }
        if open.is_empty() {
            self.ready.insert(number);
        }
        self.steps.push(step);
        self.missing.push(open.len());
        self.dependents.push(Vec::new());
    }

    /// A thread more than there are steps is of use only where more may come.
    fn workers(&self, jobs: NonZeroUsize) -> usize {
        match self.intake {
            Intake::Open => jobs.get(),
            Intake::Closed => jobs.get().min(self.steps.len()),
        }
    }

    fn is_over(&self) -> bool {
        let done = self.intake == Intake::Closed && self.finished.len() == self.steps.len();
        done || self.failure.is_some()
    }

    fn finish(&mut self, number: usize, outcome: Result<(), E>) {
        self.finished.insert(number);
        match outcome {
            Ok(()) => self.release(number),
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }

    fn release(&mut self, number: usize) {
        for dependent in std::mem::take(&mut self.dependents[number]) {
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
    use std::sync::mpsc::channel;

    use super::*;

    fn jobs(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    /// Steps that are their own numbers, of which no more come.
    fn planned<E: Send>(inputs: &[&[usize]]) -> Schedule<usize, E> {
        let schedule = Schedule::default();
        schedule.add(inputs.iter().enumerate().map(|(at, of)| (at, of.to_vec())).collect());
        schedule.close();
        schedule
    }

    #[test]
    fn a_step_runs_after_all_its_inputs() {
        let inputs: [&[usize]; 5] = [&[], &[0], &[0], &[1, 2], &[]];
        for count in [1, 2, 8] {
            let done = Mutex::new(Vec::new());
            let step = |index: usize| {
                let mut done = done.lock().unwrap();
                assert!(inputs[index].iter().all(|input| done.contains(input)), "{index}");
                done.push(index);
                Ok::<(), ()>(())
            };
            planned(&inputs).run(jobs(count), &step, &|| {}).unwrap();
            assert_eq!(done.into_inner().unwrap().len(), 5, "with {count} jobs");
        }
    }

    #[test]
    fn independent_steps_run_at_the_same_time() {
        let barrier = Barrier::new(3);
        let step = |_| {
            barrier.wait();
            Ok::<(), ()>(())
        };
        planned(&[&[], &[], &[]]).run(jobs(3), &step, &|| {}).unwrap();
    }

    #[test]
    fn all_that_one_step_frees_runs_at_the_same_time() {
        let barrier = Barrier::new(3);
        let step = |number| {
            if number > 0 {
                barrier.wait();
            }
            Ok::<(), ()>(())
        };
        for _ in 0..200 {
            planned(&[&[], &[0], &[0], &[0]]).run(jobs(3), &step, &|| {}).unwrap();
        }
    }

    #[test]
    fn steps_that_come_together_while_all_wait_run_at_the_same_time() {
        let (schedule, barrier) = (Schedule::default(), Barrier::new(3));
        let step = |_: usize| {
            barrier.wait();
            Ok::<(), ()>(())
        };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| schedule.run(jobs(4), &step, &|| {}));
            for _ in 0..200 {
                schedule.add(vec![(0, vec![]), (1, vec![]), (2, vec![])]);
            }
            schedule.close();
            running.join().unwrap().unwrap();
        });
    }

    #[test]
    fn steps_that_come_later_wait_for_what_still_runs_and_not_for_what_is_done() {
        let schedule = Schedule::default();
        schedule.add(vec![(0, vec![]), (1, vec![])]);
        let ((done, first), (go, second)) = (channel(), channel());
        let (second, order) = (Mutex::new(second), Mutex::new(Vec::new()));
        let step = |index: usize| {
            if index == 1 {
                second.lock().unwrap().recv().unwrap();
            }
            order.lock().unwrap().push(index);
            done.send(index).unwrap();
            Ok::<(), ()>(())
        };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| schedule.run(jobs(2), &step, &|| {}));
            assert_eq!(first.recv().unwrap(), 0);
            schedule.add(vec![(2, vec![0]), (3, vec![1, 2])]);
            assert_eq!(first.recv().unwrap(), 2);
            go.send(()).unwrap();
            schedule.close();
            running.join().unwrap().unwrap();
        });
        assert_eq!(order.into_inner().unwrap(), [0, 2, 1, 3]);
    }

    #[test]
    fn a_failure_keeps_later_steps_from_starting() {
        let started = AtomicUsize::new(0);
        let step = |index| {
            started.fetch_add(1, Ordering::SeqCst);
            if index == 1 { Err("no") } else { Ok(()) }
        };
        assert_eq!(planned(&[&[], &[0], &[1]]).run(jobs(2), &step, &|| {}), Err("no"));
        assert_eq!(started.into_inner(), 2);
    }

    #[test]
    fn a_failure_stops_those_that_run_and_is_the_one_that_is_told() {
        let (send, receive) = channel();
        let (send, receive) = (Mutex::new(send), Mutex::new(receive));
        let step = |index| match index {
            0 => Err("failed"),
            _ => receive.lock().unwrap().recv().map_err(|_| "never stopped").and(Err("stopped")),
        };
        let stop = || send.lock().unwrap().send(()).unwrap();
        assert_eq!(planned(&[&[], &[]]).run(jobs(2), &step, &stop), Err("failed"));
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        assert_eq!(planned(&[]).run(jobs(4), &|_| Ok::<(), ()>(()), &|| {}), Ok(()));
    }
}
