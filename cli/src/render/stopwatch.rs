//! Time since the command began: the only clock of the renderers.

use std::fmt;
use std::time::{Duration, Instant};

/// Tells how long ago it was started.
pub(crate) struct Stopwatch(Box<dyn Fn() -> Duration + Send + Sync>);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        let start = Instant::now();
        Self(Box::new(move || start.elapsed()))
    }

    /// Moves by one tenth of a second whenever it is looked at, for tests.
    #[cfg(test)]
    pub(crate) fn stepping() -> Self {
        let looks = std::sync::atomic::AtomicU64::new(0);
        Self(Box::new(move || {
            let look = looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Duration::from_millis(100 * look)
        }))
    }

    /// How long ago it was started.
    pub(crate) fn elapsed(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Stopwatch").finish_non_exhaustive()
    }
}
