//! Entering the namespaces of the sandbox: at once, or when it turns out that steps run.

use wythe_registry::credentials::prepare_helpers;
use wythe_sandbox::enter::IdChoice;
use wythe_sandbox::{InitError, enter};
use wythe_store::live::owner::reserve;

use crate::failure::Failure;
use crate::host;

/// Whether a command needs the namespaces of the sandbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Namespaces {
    /// Where it runs steps, or touches what they left.
    ForSteps,
    Needed,
    NotNeeded,
    /// As for steps, once it has found that there are some to run.
    PutOff,
}

impl Namespaces {
    /// Enters them; the process starts over in them, with the same arguments. Where that cannot be
    /// done, and what is to be done may do without, says why.
    pub(crate) fn enter(self, ids: IdChoice) -> Result<Option<InitError>, Failure> {
        let put_off = self == Self::PutOff && !enter::is_second_run();
        if self == Self::NotNeeded || put_off {
            return Ok(None);
        }
        let before = host::user_namespace();
        match enter::init_with(ids) {
            Ok(_) => {
                prepare_helpers(enter::beside);
                enter::reserved().into_iter().for_each(reserve);
                Ok(None)
            }
            // A process that is half in stays there.
            Err(error) if self != Self::Needed && before == host::user_namespace() => {
                Ok(Some(error))
            }
            Err(error) => Err(error.into()),
        }
    }
}
