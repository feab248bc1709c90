//! A blob that is sent again where it broke off.

use super::session::{Destination, Session};
use crate::error::RegistryError;
use crate::profile::Chunks;
use crate::retry::{MAX_ATTEMPTS, delay};

/// Whether the registry is asked how far a broken upload has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resume {
    /// It is, and what has arrived is not sent again.
    Asked,
    /// What is short is sent again as a whole.
    Never,
}

impl Resume {
    /// What can be done at a registry: where nothing is told of parts after the first, nothing can be added to it.
    pub(super) fn at(to: Destination<'_>) -> Self {
        if to.chunks() == Chunks::Never { Self::Never } else { Self::Asked }
    }
}

/// Makes attempts to send a blob, to an upload that is open or to a new one; each is told how much has arrived. Those that
/// come further do not count.
pub(super) fn send<'a, T>(
    to: Destination<'a>,
    (open, mut resume): (Option<Session<'a>>, Resume),
    mut attempt: impl FnMut(&mut Session<'a>, u64) -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let timing = &*to.inner.settings.timing;
    let (mut session, mut arrived, mut number) = (open, 0, 0);
    loop {
        let begun = match session.take() {
            Some(open) => Ok(session.insert(open)),
            None => to.begin().map(|begun| session.insert(begun)),
        };
        let error = match begun.and_then(|open| attempt(open, arrived)) {
            Ok(sent) => return Ok(sent),
            Err(error) => error,
        };
        number += 1;
        let passes = error.is_transient() || (0 < arrived && is_of_session(&error));
        let pause =
            (passes && number < MAX_ATTEMPTS).then(|| delay(timing, number, error.retry_after()));
        let Some(pause) = pause.flatten() else {
            give_up(session, resume);
            return Err(error);
        };
        timing.sleep(pause);
        if error.status() == Some(400) {
            // What was put together of several pieces is not the blob.
            resume = Resume::Never;
        }
        let now = match (&mut session, resume) {
            (Some(open), Resume::Asked) => open.arrived(),
            (Some(_) | None, _) => 0,
        };
        if arrived < now {
            number = 0;
        }
        if now == 0 {
            give_up(session.take(), resume);
        }
        arrived = now;
    }
}

/// Whether the registry finds fault with an upload that was taken up again: it can begin anew.
fn is_of_session(error: &RegistryError) -> bool {
    matches!(error.status(), Some(400 | 404 | 416))
}

/// What is short is not worth a request.
fn give_up(session: Option<Session<'_>>, resume: Resume) {
    if let Some(session) = session.filter(|_| resume == Resume::Asked) {
        session.cancel();
    }
}
