//! What goes wrong with a request on the wire.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::step::Step;

/// What happens to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The connection is reset before the body is read.
    ResetBefore,
    /// The request is done, and the connection reset in place of the answer.
    LostAnswer,
    /// The connection is reset after the head of the answer.
    ResetAfterHeaders,
    /// The connection is reset after half of the body.
    HalfBody,
    /// The body has the right length and a wrong byte.
    WrongBytes,
    /// The body comes in a hundred pieces, over a second.
    Slow,
    /// It is not done, and answered with this status.
    Status(u16),
}

/// Kinds without a number, as they are called on the command line.
pub const KINDS: [(Kind, &str); 6] = [
    (Kind::ResetBefore, "reset-before"),
    (Kind::LostAnswer, "lost-answer"),
    (Kind::ResetAfterHeaders, "reset-after-headers"),
    (Kind::HalfBody, "half-body"),
    (Kind::WrongBytes, "wrong-bytes"),
    (Kind::Slow, "slow"),
];

/// A fault of some requests of a step.
#[derive(Debug)]
pub struct Fault {
    step: Step,
    kind: Kind,
    which: Which,
}

/// Which requests of the step are struck.
#[derive(Debug)]
enum Which {
    /// The first ones, so many of them.
    First(AtomicU64),
    /// The first for each object: whichever of several that come at once is first, all meet with the same.
    OfEach(Mutex<BTreeSet<String>>),
}

/// How [`Which::OfEach`] is said in place of a count.
const EACH: &str = "each";

/// Something that happens so many times.
pub(crate) fn take(left: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
}

impl Fault {
    /// What happens to a request of a step for an object, if it is one of those.
    pub(crate) fn strike(&self, step: Step, object: &str) -> Option<Kind> {
        let is_struck = || match &self.which {
            Which::First(left) => take(left),
            Which::OfEach(struck) => {
                struck.lock().unwrap_or_else(PoisonError::into_inner).insert(object.to_owned())
            }
        };
        (self.step == step && is_struck()).then_some(self.kind)
    }
}

impl Clone for Fault {
    fn clone(&self) -> Self {
        let Self { step, kind, .. } = *self;
        let which = match &self.which {
            Which::First(left) => Which::First(AtomicU64::new(left.load(Ordering::Relaxed))),
            Which::OfEach(struck) => {
                let struck = struck.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Which::OfEach(Mutex::new(struck))
            }
        };
        Self { step, kind, which }
    }
}

/// It is not `STEP:KIND`, `STEP:KIND:COUNT` or `STEP:KIND:each`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not STEP:KIND, STEP:KIND:COUNT or STEP:KIND:each")]
pub struct NotAFault;

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let mut parts = text.split(':');
        let step = parts.next().and_then(|step| step.parse().ok()).ok_or(NotAFault)?;
        let kind = parts.next().ok_or(NotAFault)?;
        let named = KINDS.iter().find(|(_, name)| *name == kind).map(|(kind, _)| *kind);
        let status = || kind.parse().ok().filter(|status| (400..600).contains(status));
        let kind = named.or_else(|| status().map(Kind::Status)).ok_or(NotAFault)?;
        let which = match parts.next() {
            None => Which::First(AtomicU64::new(1)),
            Some(EACH) => Which::OfEach(Mutex::default()),
            Some(count) => Which::First(AtomicU64::new(count.parse().map_err(|_| NotAFault)?)),
        };
        if parts.next().is_some() {
            return Err(NotAFault);
        }
        Ok(Self { step, kind, which })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_step_so_many_times() {
        let fault: Fault = "get-blob:503:2".parse().unwrap();
        assert_eq!(fault.strike(Step::HeadBlob, ""), None);
        let struck: Vec<_> = (0..3).map(|_| fault.strike(Step::GetBlob, "")).collect();
        assert_eq!(struck, [Some(Kind::Status(503)), Some(Kind::Status(503)), None]);
    }

    #[test]
    fn a_fault_of_each_strikes_the_first_request_for_every_object() {
        let fault: Fault = "put-blob:lost-answer:each".parse().unwrap();
        let struck: Vec<_> = ["a", "b", "a", "b"]
            .into_iter()
            .map(|object| fault.strike(Step::PutBlob, object).is_some())
            .collect();
        assert_eq!(struck, [true, true, false, false]);
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in ["", "get-blob", "get-blob:200", "nothing:500", "ping:slow:x", "ping:slow:1:2"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
