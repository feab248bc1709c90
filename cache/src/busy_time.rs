//! A limit to how long something may keep a build waiting, however many threads wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wythe_registry::settings::Timing;

/// The time in which at least one request was under way, and its limit.
#[derive(Debug)]
pub(crate) struct BusyTime {
    limit: Duration,
    timing: Arc<dyn Timing>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many are under way, and since when at least one is.
    running: u32,
    since: Option<Instant>,
    spent: Duration,
}

/// Something that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a BusyTime);

impl BusyTime {
    pub(crate) fn new(limit: Duration, timing: Arc<dyn Timing>) -> Self {
        Self { limit, timing, state: Mutex::default() }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Begins something; `None` if the time is used up.
    pub(crate) fn begin(&self) -> Option<Running<'_>> {
        let now = self.timing.now();
        let mut state = self.state();
        let current = state.since.map_or(Duration::ZERO, |since| now.duration_since(since));
        if state.spent + current >= self.limit {
            return None;
        }
        state.running += 1;
        state.since.get_or_insert(now);
        Some(Running(self))
    }

    /// A panic while it is held leaves it as it was.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let now = self.0.timing.now();
        let mut state = self.0.state();
        state.running -= 1;
        if state.running == 0 {
            let since = state.since.take();
            state.spent += since.map_or(Duration::ZERO, |since| now.duration_since(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use wythe_registry::fake::timing::InstantTiming;

    use super::*;

    #[test]
    fn time_counts_once_while_several_wait_and_not_while_nobody_does() {
        let timing = Arc::new(InstantTiming::default());
        let second = Duration::from_secs(1);
        let busy = BusyTime::new(3 * second, timing.clone());
        let (one, other) = (busy.begin(), busy.begin());
        timing.sleep(2 * second);
        drop((one, other));
        timing.sleep(60 * second);
        let third = busy.begin();
        assert!(third.is_some());
        timing.sleep(second);
        assert!(busy.begin().is_none());
        drop(third);
        assert!(busy.begin().is_none());
    }
}
