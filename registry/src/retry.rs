//! When and how long to wait before another attempt.

use std::time::Duration;

use crate::error::RegistryError;
use crate::settings::Timing;

/// Attempts in all. With the delays below, the last is made about half a minute after the first.
pub(crate) const MAX_ATTEMPTS: u32 = 6;
/// The first delay is up to this long, each further one up to twice the one before.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// A registry that asks for more patience than this is one to give up on.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// Repeats what fails for reasons that pass.
///
/// The delay is what the registry asks for, else a random share of a doubling limit, so that many
/// clients that failed together do not come back together.
pub(crate) fn retry<T>(
    timing: &dyn Timing,
    mut attempt: impl FnMut() -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let mut number = 0;
    loop {
        number += 1;
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if number == MAX_ATTEMPTS || !error.is_transient() {
            return Err(error);
        }
        match delay(timing, number, error.retry_after()) {
            Some(delay) => timing.sleep(delay),
            None => return Err(error),
        }
    }
}

/// How long to wait after attempt `number`, which is 1 for the first, where the server may have `asked` for so many
/// seconds; `None` to give up.
pub fn delay(timing: &dyn Timing, number: u32, asked: Option<u64>) -> Option<Duration> {
    if let Some(seconds) = asked {
        let asked = Duration::from_secs(seconds);
        return (asked <= MAX_DELAY).then_some(asked);
    }
    let limit = (FIRST_DELAY * (1 << number.min(16).saturating_sub(1))).min(MAX_DELAY);
    // A minute at most.
    let longest = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX - 1);
    Some(Duration::from_millis(timing.random() % (longest + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RegistryProblem;
    use crate::fake::timing::InstantTiming;

    fn status(status: u16, retry_after: Option<u64>) -> RegistryError {
        let body = String::new();
        let problem = RegistryProblem::Status { status, body, retry_after, challenge: None };
        RegistryError::new("GET", &"https://r.io/".parse().unwrap(), problem)
    }

    #[track_caller]
    fn check(make: impl Fn() -> RegistryError, expected: u32) -> Vec<Duration> {
        let timing = InstantTiming::default();
        let mut attempts = 0;
        let result: Result<(), _> = retry(&timing, || {
            attempts += 1;
            Err(make())
        });
        assert!(result.is_err());
        assert_eq!(attempts, expected);
        timing.slept()
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
        for transient in [408, 429, 500, 502, 503, 504] {
            check(|| status(transient, None), MAX_ATTEMPTS);
        }
        for lasting in [400, 401, 403, 404, 405, 413, 501] {
            check(|| status(lasting, None), 1);
        }
    }

    #[test]
    fn the_registry_says_how_long_to_wait_within_reason() {
        let slept = check(|| status(429, Some(7)), MAX_ATTEMPTS);
        assert!(slept.iter().all(|time| *time == Duration::from_secs(7)));
        check(|| status(429, Some(3600)), 1);
    }
}
