//! Time for tests: it passes only by sleeping, and nobody waits.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::settings::Timing;

/// Time that passes only by sleeping, and chance without surprises.
#[derive(Debug)]
pub struct InstantTiming {
    start: Instant,
    slept: Mutex<Vec<Duration>>,
}

impl Default for InstantTiming {
    fn default() -> Self {
        Self { start: Instant::now(), slept: Mutex::default() }
    }
}

impl InstantTiming {
    /// How long each wait was to be.
    pub fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Timing for InstantTiming {
    fn now(&self) -> Instant {
        self.start + self.slept().iter().sum::<Duration>()
    }

    fn sleep(&self, time: Duration) {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner).push(time);
    }

    fn random(&self) -> u64 {
        u64::MAX / 3
    }
}
