//! How long somebody waits for a cache. What is asked of one meanwhile is done on a thread of its own, which is left behind.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::cache_backend::CacheBackend;

/// How often it is asked whether to go on.
const LOOK: Duration = Duration::from_millis(50);

/// How long somebody waits: for a time, and as long as it is to go on.
#[derive(Clone)]
pub struct Patience {
    /// For how long.
    pub time: Duration,
    go_on: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// A cache that was not waited for any longer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Late {
    /// It took too long.
    #[error("cache {backend}: not written within {time:?}")]
    Time {
        /// The name of the cache.
        backend: String,
        /// How long it might have taken.
        time: Duration,
    },
    /// Who waited does not any more.
    #[error("cache {backend}: interrupted before it was written")]
    Interrupted {
        /// The name of the cache.
        backend: String,
    },
}

/// Why nobody waits any longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Impatience {
    /// It takes too long.
    Time,
    /// It is not to go on.
    Interrupted,
}

impl Patience {
    /// That of somebody who waits for so long.
    pub fn of(time: Duration) -> Self {
        Self { time, go_on: Arc::new(|| true) }
    }

    /// The same, as long as it is to `go_on`; asked often, and from several threads.
    #[must_use]
    pub fn while_it_is_to(self, go_on: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { go_on: Arc::new(go_on), ..self }
    }

    /// How long to wait, for what began then, before this is asked again.
    ///
    /// # Errors
    ///
    /// If it is not waited for any longer.
    pub fn left(&self, since: Instant) -> Result<Duration, Impatience> {
        if !(self.go_on)() {
            return Err(Impatience::Interrupted);
        }
        let left = self.time.saturating_sub(since.elapsed());
        if left.is_zero() { Err(Impatience::Time) } else { Ok(left.min(LOOK)) }
    }

    /// Does something with a cache, and waits for it.
    ///
    /// # Errors
    ///
    /// If it is not waited for to its end.
    pub fn wait_for<T: Send + 'static>(
        &self,
        backend: &dyn CacheBackend,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Late> {
        let (sender, receiver) = channel();
        std::thread::spawn(move || drop(sender.send(work())));
        let begun = Instant::now();
        loop {
            let left = self.left(begun).map_err(|why| self.late(why, backend))?;
            match receiver.recv_timeout(left) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Timeout) => {}
                // Its thread has panicked.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.late(Impatience::Time, backend));
                }
            }
        }
    }

    /// A cache that is not waited for any longer.
    pub fn late(&self, why: Impatience, backend: &dyn CacheBackend) -> Late {
        let backend = backend.name().to_owned();
        match why {
            Impatience::Time => Late::Time { backend, time: self.time },
            Impatience::Interrupted => Late::Interrupted { backend },
        }
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Patience").field("time", &self.time).finish_non_exhaustive()
    }
}
